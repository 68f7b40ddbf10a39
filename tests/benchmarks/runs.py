"""Runs of tools against a far server, and their medians."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from .native import Far, Took, measured
from .peers import HOME, Pair
from .servers import pairs
from .tools import Tool, Truth


@dataclass(frozen=True)
class Sample:
    """One run. `each` and `rounds` are of the median address: connections, and round trips from
    its first connection to its last answer; `most` and `longest` those of the worst."""

    wall: float
    cpu: float
    memory: int
    cut: bool  # at the limit: it had not ended
    connections: int
    each: float
    most: int
    at_once: int  # to one address
    rounds: float
    longest: float
    far_cpu: float
    missed: int
    extra: int
    wrong: tuple[str, ...]  # orders, groups, verdicts; of tlscheck only


@dataclass(frozen=True)
class Row:
    """A tool's samples: at least one."""

    tool: str
    samples: tuple[Sample, ...]

    def middle(self, what: str) -> float:
        return float(median(getattr(sample, what) for sample in self.samples))

    def worst(self, what: str) -> float:
        return float(max(getattr(sample, what) for sample in self.samples))

    @property
    def cut(self) -> bool:
        return any(sample.cut for sample in self.samples)

    @property
    def wrong(self) -> tuple[str, ...]:
        return tuple(sorted({text for sample in self.samples for text in sample.wrong}))


@dataclass(frozen=True)
class Plan:
    """How often, and how long: `limit` seconds cut a run off, and what took more than `patience`
    is not run again."""

    rounds: int = 3
    patience: float = 60.0
    limit: float = 900.0


def rows(
    tools: Sequence[Tool], far: Far, addresses: Sequence[str], truth: Truth, plan: Plan
) -> list[Row]:
    """Every tool in turn, then all again: what else the machine does falls on all alike."""
    samples: dict[str, list[Sample]] = {tool.title: [] for tool in tools}
    for number in range(plan.rounds):
        for tool in tools:
            mine = samples[tool.title]
            if number == 0 or (not mine[0].cut and mine[0].wall <= plan.patience):
                mine.append(_once(tool, far, addresses, truth, plan.limit))
                say(f"  {tool.title}: {mine[-1].wall:.2f} s, {mine[-1].connections} connections, "
                    f"{mine[-1].missed} missed, {mine[-1].extra} extra")  # fmt: skip
    return [Row(title, tuple(mine)) for title, mine in samples.items()]


def _once(tool: Tool, far: Far, addresses: Sequence[str], truth: Truth, limit: float) -> Sample:
    with tempfile.TemporaryDirectory() as place:
        directory = Path(place)
        command = tool.command(addresses, far.port, directory)
        far.reset()
        took = measured(command, directory, limit, environment())
        seen = far.seen()
        try:
            found = tool.answers(directory)
            wrong = tuple(tool.differences(directory, truth))
        except FileNotFoundError:  # it is ours that left nothing
            if took.status is not None:
                raise RuntimeError(f"status {took.status}: {took.output[-2000:]}") from None
            found, wrong = {}, ()
    missed, extra = _against(truth, addresses, found)
    each = [place.connections for place in seen.places] or [0]
    spans = [place.rounds for place in seen.places] or [0.0]
    return Sample(
        took.wall, took.cpu, took.memory, took.status is None, seen.connections,
        median(each), max(each), max((place.at_once for place in seen.places), default=0),
        median(spans), max(spans), seen.cpu, missed, extra, wrong,
    )  # fmt: skip


def _against(
    truth: Truth, addresses: Sequence[str], found: dict[str, set[Pair]]
) -> tuple[int, int]:
    """How many pairs are missed, and how many are extra, over all addresses."""
    both = [(pairs(truth(address)), found.get(address, set())) for address in addresses]
    return sum(len(told - mine) for told, mine in both), sum(
        len(mine - told) for told, mine in both
    )


def environment() -> dict[str, str]:
    """What is compiled once stays so, as where it is installed."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "PYTHONPATH": str(HOME)}


def alone(command: Sequence[str | Path], rounds: int) -> list[Took]:
    """A command that asks nobody."""
    with tempfile.TemporaryDirectory() as place:
        return [measured(command, Path(place), 60.0, environment()) for _ in range(rounds)]


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
