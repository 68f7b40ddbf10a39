"""Where two sets of answers differ, and whether the reasons cover exactly that."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from .answers import CANNOT, Answer, Answers, Pair
from .reasons import Reason

_NO = Answer("no")


@dataclass(frozen=True)
class Disagreement:
    pair: Pair
    ours: Answer
    theirs: Answer

    def __str__(self) -> str:
        theirs = f"{self.theirs.verdict} ({self.theirs.said[-500:].strip()})"
        return f"{self.pair}: tlscheck says {self.ours.verdict}, it says {theirs}"


def disagreements(ours: Answers, theirs: Answers) -> list[Disagreement]:
    """Pairs that are not answered alike. That a client cannot ask is a disagreement where
    tlscheck says yes: nobody has confirmed it then."""
    found = []
    for pair in sorted({*ours, *theirs}):
        mine, its = ours.get(pair, _NO), theirs.get(pair, CANNOT)
        unasked = its.verdict == "cannot" and mine.verdict == "no"
        if its.verdict != mine.verdict and not unasked:
            found.append(Disagreement(pair, mine, its))
    return found


def compared(theirs: Answers) -> int:
    """How many pairs a client was asked and answered."""
    return sum(answer.verdict in ("yes", "no") for answer in theirs.values())


def matching(reason: Reason, server: str, each: Disagreement) -> bool:
    return (
        each.pair.version in reason.where.get(server, ())
        and each.theirs.verdict == reason.says
        and any(map(each.pair.matches, reason.what))
        and reason.said in each.theirs.said
    )


def complaints(
    server: str, client: str, found: Sequence[Disagreement], reasons: Iterable[Reason]
) -> Iterator[str]:
    """What has no reason, or two; and what a reason speaks of that did not happen."""
    mine = [r for r in reasons if r.client == client and server in r.where]
    for each in found:
        covering = sum(matching(reason, server, each) for reason in mine)
        if covering != 1:
            yield f"{covering or 'no'} reasons for {client} on {server}: {each}"
    for reason in mine:
        covered = [each for each in found if matching(reason, server, each)]
        for version in reason.where[server]:
            for pattern in reason.what:
                if not any(e.pair.version == version and e.pair.matches(pattern) for e in covered):
                    yield (
                        f"nothing to explain for {client} on {server}: {version} {pattern} "
                        f"({reason.because})"
                    )
