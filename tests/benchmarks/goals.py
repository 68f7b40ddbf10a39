"""What tlscheck is to reach, and whether it does: each goal beside what was measured."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise

from . import ours
from .runs import Row
from .servers import SETUPS

Fact = tuple[str, str, bool]  # the goal, what was measured, whether it is held

VERSION_SECONDS = 0.15
AT_ONCE = {"gentle": 2, "normal": 12}  # connections to one address
ALIKE_CONNECTIONS, ALIKE_ROUNDS = 30, 4.0
CATALOG_SECONDS = 3.0
NEAR_SECONDS = 0.35
ROUNDING = 0.2  # of a round trip, which our own work takes
MANY, MANY_SECONDS, MANY_BYTES = 1000, 20.0, 120e6
GROWTH = 1.15  # times as many may take so much more than times as long: what a run varies by


@dataclass
class Found:
    """All rows of a run: by part and delay (ms), and of the many by pace and number."""

    start: float | None = None
    compared: dict[tuple[str, int], list[Row]] = field(default_factory=dict)
    many: dict[tuple[str, int], Row] = field(default_factory=dict)


def table(found: Found) -> str:
    """Only the goals for which there are figures."""
    facts = [fact for goal in _GOALS for fact in goal(found)]
    lines = [f"| {goal} | {said} | {'yes' if held else '**no**'} |" for goal, said, held in facts]
    return "\n".join(["| goal | measured | reached |", "|---|---|:-:|", *lines])


def _split(rows: list[Row]) -> tuple[dict[str, Row], list[Row]]:
    """tlscheck's by pace, one without paces being normal, and the others."""
    titles = {ours.title(pace): pace or "normal" for pace in ("", *ours.PACES)}
    mine = {titles[row.tool]: row for row in rows if row.tool in titles}
    return mine, [row for row in rows if row.tool not in titles]


def _wall(row: Row) -> float:
    return row.middle("wall")


def _start(found: Found) -> Iterator[Fact]:
    if found.start is not None:
        goal = f"`tlscheck --version` within {VERSION_SECONDS} s"
        yield goal, f"{found.start:.2f} s", found.start <= VERSION_SECONDS


def _one(found: Found) -> Iterator[Fact]:
    mine, peers = _split(found.compared.get(("twelve", 40), []))
    if not peers:
        return
    fastest = min(peers, key=_wall)
    for pace, times, connections in (("gentle", 1.0, 30), ("normal", 5.0, 50), ("fast", 8.0, 0)):
        if pace in mine:
            ratio, made = _wall(fastest) / _wall(mine[pace]), mine[pace].worst("connections")
            most = f", at most {connections} connections" if connections else ""
            yield (
                f"twelve suites, 40 ms, {pace}: {times:g} times as fast as the fastest peer{most}",
                f"{ratio:.1f} times ({fastest.tool}), {made:.0f} connections",
                ratio > times and (not connections or made <= connections),
            )


def _at_once(found: Found) -> Iterator[Fact]:
    for pace, most in AT_ONCE.items():
        rows = [mine[pace] for rows in found.compared.values() if pace in (mine := _split(rows)[0])]
        if rows:
            seen = max(row.worst("at_once") for row in rows)
            goal = f"{pace}: at most {most} connections at once to an address"
            yield goal, f"{seen:.0f}", seen <= most


def _catalog(found: Found) -> Iterator[Fact]:
    mine, peers = _split(found.compared.get(("catalog", 40), []))
    if "normal" not in mine:
        return
    row = mine["normal"]
    yield (
        f"catalog, 40 ms: under {CATALOG_SECONDS:g} s",
        f"{_wall(row):.2f} s",
        (_wall(row) < CATALOG_SECONDS),
    )
    for jobs, times in ((8, 20.0), (100, 2.5)):
        if rows := [peer for peer in peers if peer.tool.endswith(f", {jobs} at a time")]:
            fastest = min(rows, key=_wall)
            ratio = _wall(fastest) / _wall(row)
            goal = f"catalog, 40 ms: {times:g} times as fast as the fastest peer {jobs} at a time"
            yield goal, f"{ratio:.1f} times ({fastest.tool})", ratio >= times


def _alike(found: Found) -> Iterator[Fact]:
    """Far away, for among many near ones a round trip is over before it is noticed."""
    for (part, _), rows in found.compared.items():
        for pace, row in _split(rows)[0].items() if part == "alike" else ():
            if pace == "gentle":  # two at once take a round trip for each connection
                continue
            each, rounds = row.middle("each"), row.middle("rounds")
            # A connect and an answer are two, and so many turns are needed at so many at once.
            least = 2 * math.ceil(each / AT_ONCE.get(pace, math.inf))
            why = f" (with {AT_ONCE[pace]} at once not below {least})" if pace in AT_ONCE else ""
            yield (
                f"one configured like an earlier one, {pace}: at most {ALIKE_CONNECTIONS} "
                f"connections in at most {ALIKE_ROUNDS:g} round trips",
                f"{each:.0f} in {rounds:.1f}{why}",
                each <= ALIKE_CONNECTIONS and rounds <= ALIKE_ROUNDS + ROUNDING,
            )


def _near(found: Found) -> Iterator[Fact]:
    for setup in SETUPS:
        mine, _ = _split(found.compared.get((setup.name, 0), []))
        if "normal" in mine:
            wall = _wall(mine["normal"])
            goal = f"{setup.name}, 0 ms: within {NEAR_SECONDS} s"
            yield goal, f"{wall:.2f} s", wall <= NEAR_SECONDS


def _beaten(found: Found) -> Iterator[Fact]:
    for (part, delay), rows in found.compared.items():
        mine, peers = _split(rows)
        if delay and peers and "normal" in mine:
            fastest = min(peers, key=_wall)
            ratio = _wall(fastest) / _wall(mine["normal"])
            goal = f"{part}, {delay} ms: no peer is faster"
            yield goal, f"{ratio:.1f} times as fast ({fastest.tool})", ratio >= 1


def _many(found: Found) -> Iterator[Fact]:
    for pace in ("", *ours.PACES):
        walls = {number: _wall(row) for (of, number), row in found.many.items() if of == pace}
        title = pace or "normal"
        if MANY in walls and title == "normal":
            memory = found.many[pace, MANY].worst("memory")
            goal = f"{MANY:,} endpoints, 40 ms, one core: under {MANY_SECONDS:g} s"
            yield goal, f"{walls[MANY]:.1f} s", walls[MANY] < MANY_SECONDS
            goal = f"{MANY:,} endpoints: peak memory under {MANY_BYTES / 1e6:.0f} MB"
            yield goal, f"{memory / 1e6:.0f} MB", memory < MANY_BYTES
        numbers = sorted(walls)
        for few, more in pairwise(numbers):
            times = walls[more] / walls[few]
            goal = f"from {few:,} to {more:,} endpoints, {title}: no more than {more / few:g} times"
            yield goal, f"{times:.1f} times", times <= GROWTH * more / few


def _right(found: Found) -> Iterator[Fact]:
    rows = [row for each in found.compared.values() for row in _split(each)[0].values()]
    rows += found.many.values()
    if rows:
        missed, extra = (sum(row.worst(what) for row in rows) for what in ("missed", "extra"))
        wrong = sum(len(row.wrong) for row in rows)
        said = f"{missed:.0f} missed, {extra:.0f} extra, {wrong} kinds of other faults"
        yield "nothing missed, nothing extra, in any run", said, not (missed or extra or wrong)


_GOALS: tuple[Callable[[Found], Iterator[Fact]], ...] = (
    _right, _start, _one, _near, _beaten, _at_once, _alike, _catalog, _many,
)  # fmt: skip
