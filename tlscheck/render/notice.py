"""What changed, as a webhook is told it: as `tlscheck-notice/1`, or as text for a chat.

Both are bounded, and what they leave out they count. What a server sent can mention nobody, link
nowhere and draw nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any, get_args

from tlscheck.core.diff import Change, Document, Weight
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


def generic(
    document: Document, summary: Mapping[Verdict, int], most: int = MOST_CHANGES
) -> dict[str, Any]:
    """`tlscheck-notice/1`, ready for JSON: at most `most` changes, and how `more` there are.

    `id` is the run that found the changes: a receiver that has seen it has been told already.
    `summary` is the new report's.
    """
    telling = [change for change in document.changes if change.weight in TELLING]
    telling.sort(key=lambda change: TELLING.index(change.weight))
    listed = telling[:most]
    return {
        "schema": "tlscheck-notice/1",
        "id": _short(document.new.run),
        "old": _side(asdict(document.old)),
        "new": _side(asdict(document.new)),
        "circumstances": [_short(said) for said in document.circumstances[:_MOST_SAID]],
        "summary": {verdict: summary.get(verdict, 0) for verdict in VERDICTS},
        "counts": _counts(document),
        **{weight: [_told(c) for c in listed if c.weight == weight] for weight in TELLING},
        "more": len(telling) - len(listed),
    }


def chat(
    document: Document, summary: Mapping[Verdict, int], most: int = MOST_CHANGES
) -> dict[str, str]:
    """`{"text": ...}` as Slack and what is compatible with it take it, at most `MOST_TEXT` long."""
    head = _head(document, summary)
    told = [c for weight in TELLING for c in document.changes if c.weight == weight]
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


def _side(side: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _short(v) if isinstance(v, str) else v for name, v in side.items()}


def _told(change: Change) -> dict[str, str]:
    fields = ("endpoint", "topic", "says")
    return {field: _short(getattr(change, field)) for field in fields}


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
