"""What changed, as a webhook is told it: as `tlscheck-notice/1`, or as text for a chat.

Both are bounded, and what they leave out they count. What a server sent can mention nobody, link
nowhere and draw nothing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, astuple, dataclass
from typing import Any, Literal, get_args

from tlscheck.core.diff import Change, Document, Side, Weight
from tlscheck.core.model import VERDICTS, Verdict
from tlscheck.render.clean import clean, cut

TELLING: tuple[Weight, ...] = ("broke", "healed", "changed")
"""The weights that are worth a notification, worst first."""
MOST_CHANGES = 50
MOST_WORDS = 300  # columns of one string
MOST_TEXT = 3000  # characters of a chat message, as sent: what Slack takes in one piece
_MOST_SAID = 10  # circumstances
_MOST_NAME = 40  # columns of a time or a run in a chat message's head


def worth_telling(document: Document) -> bool:
    """Whether something broke, healed or changed; routine renewals and sight alone are not."""
    return any(change.weight in TELLING for change in document.changes)


@dataclass(frozen=True, slots=True)
class Told:
    """A change in words."""

    endpoint: str
    topic: str
    says: str


@dataclass(frozen=True, slots=True)
class Notice:
    """What a webhook is told (`tlscheck-notice/1`): the changes, and how many `more` there are.

    A receiver that has had a notice of this `id` has been told already. `summary` is the new
    report's, by verdict; `counts` are of all changes, by weight.
    """

    schema: Literal["tlscheck-notice/1"]
    id: str
    old: Side
    new: Side
    circumstances: tuple[str, ...]
    summary: dict[Verdict, int]
    counts: dict[Weight, int]
    broke: tuple[Told, ...]
    healed: tuple[Told, ...]
    changed: tuple[Told, ...]
    more: int


def identity(document: Document) -> str:
    """The same for the same changes since the same report, whichever run tells of them: whether a
    notice has arrived before the run that sent it was killed, nobody can know."""
    told = [document.old.run, *sorted(astuple(c) for c in _telling(document))]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:16]


def generic(
    document: Document, summary: Mapping[Verdict, int], most: int = MOST_CHANGES
) -> dict[str, Any]:
    """The notice, ready for JSON, with at most `most` changes."""
    telling = _telling(document)
    listed = telling[:most]
    broke, healed, changed = (
        tuple(_told(c) for c in listed if c.weight == weight) for weight in TELLING
    )
    notice = Notice(
        schema="tlscheck-notice/1",
        id=identity(document),
        old=_side(document.old),
        new=_side(document.new),
        circumstances=tuple(_short(said) for said in document.circumstances[:_MOST_SAID]),
        summary={verdict: summary.get(verdict, 0) for verdict in VERDICTS},
        counts=_counts(document),
        broke=broke,
        healed=healed,
        changed=changed,
        more=len(telling) - len(listed),
    )
    return asdict(notice)


def _telling(document: Document) -> list[Change]:
    """The changes that are worth a notice, the worst first."""
    telling = [change for change in document.changes if change.weight in TELLING]
    return sorted(telling, key=lambda change: TELLING.index(change.weight))


def chat(
    document: Document, summary: Mapping[Verdict, int], most: int = MOST_CHANGES
) -> dict[str, str]:
    """`{"text": ...}` as Slack and what is compatible with it take it, at most `MOST_TEXT` long."""
    head = _head(document, summary)
    told = _telling(document)
    room = MOST_TEXT - len(head) - len("\n```\n```") - len(f"\nand {len(told)} more")
    lines: list[str] = []
    for change in told[:most]:
        line = _inert(f"{change.weight}: {_short(change.endpoint)}: {_short(change.says)}")
        room -= len(line) + 1
        if room < 0:
            break
        lines.append(line)
    if lines:
        head += "\n```\n" + "\n".join(lines) + "\n```"  # in which no markup holds
    left = len(told) - len(lines)
    return {"text": head + (f"\nand {left} more" if left else "")}


def _head(document: Document, summary: Mapping[Verdict, int]) -> str:
    counts = [f"{n} {weight}" for weight, n in _counts(document).items() if n]
    verdicts = [f"{summary[v]} {v}" for v in VERDICTS if summary.get(v)]
    new = document.new
    was, now, run = (
        cut(clean(t), _MOST_NAME) for t in (document.old.started, new.started, new.run)
    )
    lines = [
        f"tlscheck: {', '.join(counts) or 'no change'}",
        f"{was} -> {now} (run {run}{'' if new.complete else ', not complete'})",
        f"now: {', '.join(verdicts) or 'nothing judged'}",
    ]
    return "\n".join(map(_inert, lines))


def _counts(document: Document) -> dict[Weight, int]:
    return {w: sum(c.weight == w for c in document.changes) for w in get_args(Weight)}


def _side(side: Side) -> Side:
    return Side(_short(side.run), _short(side.started), side.complete)


def _told(change: Change) -> Told:
    return Told(_short(change.endpoint), _short(change.topic), _short(change.says))


def _short(text: str) -> str:
    return cut(clean(text), MOST_WORDS)


# Slack acts on `<!here>` and its like, what is compatible with it on a plain `@here`; a backtick
# would end the block that keeps everything else from being markup.
_INERT = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "@": "\uff20", "`": "'"}


def _inert(text: str) -> str:
    return "".join(_pieces(text))


def _pieces(text: str) -> Iterator[str]:
    for char in text:
        yield _INERT.get(char, char)
