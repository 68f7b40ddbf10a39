"""The second opinion: asked for when our own is ready, compared, and confirmed where it differs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tlscheck.core import doubt, opinion
from tlscheck.core.explore import (
    VersionFacts,
)
from tlscheck.core.model import Target
from tlscheck.scan.prober import Prober
from tlscheck.scan.world import Deep

Facts = tuple[VersionFacts, ...]
LEAST, MOST = 5.0, 30.0  # seconds that it takes: with less it is not asked, and more it never has


async def second(
    ask: Deep, prober: Prober, target: Target, facts: Facts
) -> tuple[dict[str, Any], Facts, str | None]:
    """The report's `deep`, and `facts` with what proves to be offered after all, and how that
    contradicts what we were told, if it does."""
    if prober.stopped or not prober.answered:
        why = prober.stopped or "the target has answered nothing"
        return {"outcome": "unknown", "why": f"not asked: {why}"}, facts, None
    if prober.left < LEAST:
        why = f"not asked: {prober.left:.0f} s are left of the target's deadline"
        return {"outcome": "unknown", "why": why}, facts, None
    asked = prober.world.clock()

    def begin() -> float:
        prober.spare(prober.world.clock() - asked)  # it was the turn of others
        return min(MOST, prober.left)

    said = await ask(target, begin)
    versions = said.pop("versions", None)
    if not isinstance(versions, dict):
        return said, facts, None
    protocols = {fact.version.label: fact.protocol for fact in facts}
    compared, disputed = opinion.compare(protocols, versions)
    said["compared"] = compared
    odd: str | None = None
    for each, offered in await _confirmed(prober, disputed):
        right = "nobody knows" if offered is None else "ours" if offered == each.ours else "theirs"
        compared[each.version].setdefault("confirmed", {})[each.suite] = right
        if offered and not each.ours:
            facts = _with(facts, each)
            odd = f"{each.version}: {each.suite} is refused and picked"
    return said, facts, odd


async def _confirmed(
    prober: Prober, disputed: Sequence[opinion.Disagreement]
) -> list[tuple[opinion.Disagreement, bool | None]]:
    """Each disagreement with what one more probe says: whether the suite is offered."""
    asked = {each: opinion.questions(each) for each in disputed}
    few = [each for each, hellos in asked.items() if hellos][: opinion.MOST_CONFIRMED]
    hellos = [hello for each in few for hello in asked[each]]
    answers = dict(zip(hellos, await prober.answers(hellos), strict=True))
    told = {each: opinion.settled([(h, answers[h]) for h in asked[each]]) for each in few}
    return [(each, told.get(each)) for each in disputed]


def _with(facts: Facts, each: opinion.Disagreement) -> Facts:
    """`facts` with a suite that is offered although it was refused before."""
    return tuple(
        doubt.with_pick(fact, each.suite) if fact.version.label == each.version else fact
        for fact in facts
    )
