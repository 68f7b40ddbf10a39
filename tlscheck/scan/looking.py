"""Asks for a target's features, within a number of connections, and what a refusal leaves open."""

from __future__ import annotations

from collections.abc import Sequence

from tlscheck.core.eliminate import (
    Answer,
    Unknown,
)
from tlscheck.core.explore import (
    VersionFacts,
)
from tlscheck.core.features import Looked, look
from tlscheck.core.keyed import told_apart
from tlscheck.core.reply import Hello
from tlscheck.scan.prober import Prober


async def looked(prober: Prober, facts: Sequence[VersionFacts], most: int) -> tuple[Looked, int]:
    """The features of a target whose versions are `facts`, for about `most` connections: what is
    asked again because of faults may take a few more, and what is left then is unknown. And how
    many connections are left. The log keeps none of it: it asks for something else."""
    begun, explored = prober.connections, len(prober.log)
    spent = Unknown(f"not asked: {most} connections were spent on features")

    async def answers(hellos: Sequence[Hello]) -> tuple[Answer, ...]:
        may = max(0, most - (prober.connections - begun))
        return await prober.answers(hellos[:may]) + (spent,) * len(hellos[may:])

    exploration = look(facts)
    try:
        hellos = next(exploration)
        while True:
            hellos = exploration.send(await answers(hellos))
    except StopIteration as stop:
        found: Looked = stop.value
        del prober.log[explored:]
        return found, most - (prober.connections - begun)


async def keyed(prober: Prober, facts: Sequence[VersionFacts]) -> tuple[VersionFacts, ...]:
    """`facts`, with TLS 1.3 unknown where it was refused to those without a key alone."""

    async def one(fact: VersionFacts) -> VersionFacts:
        asking = told_apart(fact)
        try:
            hello = next(asking)
            while True:
                hello = asking.send(await prober.ask(hello))
        except StopIteration as stop:
            found: VersionFacts = stop.value
            return found

    return tuple([await one(fact) for fact in facts])
