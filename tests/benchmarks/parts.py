"""The parts of a run: what is measured against what, and the table of each."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

from tests.servers.profile import Profile, Server

from . import ours, table
from .goals import Found
from .native import Far, far
from .peers import PEERS, Peer
from .runs import Plan, alone, rows, say
from .servers import SETUPS, Setup, canned, canned_certificate
from .tools import Each, Ours, Tool, Whole

NAMES = 95  # of the catalog
NAMED = (*(setup.name for setup in SETUPS), "catalog", "alike", "many", "start")
ALIKE, ALIKE_DELAY = 10, 400  # ms: so few, so far that this machine has nothing to do but wait
MANY_DELAY = 40  # ms
Section = tuple[str, str]  # title, text


@dataclass(frozen=True)
class Wanted:
    """`parts` of NAMED, `paces` of tlscheck, `peers` by name, `delays` in ms; of the many, how many
    each time, and in how many configurations."""

    parts: Sequence[str]
    paces: Sequence[str]
    peers: Sequence[str]
    delays: Sequence[int]
    numbers: Sequence[int]
    kinds: int
    plan: Plan

    @property
    def installed(self) -> list[Peer]:
        return [peer for peer in PEERS if peer.name in self.peers and not peer.missing()]

    @property
    def missing(self) -> list[str]:
        return [peer.name for peer in PEERS if peer.name in self.peers and peer.missing()]


def measured(wanted: Wanted, found: Found) -> Iterator[Section]:
    """Each part when it is done; the figures go into `found`."""
    alone(_VERSION, 1)  # whatever is written or read the first time
    if "start" in wanted.parts:
        yield _start(wanted.plan, found)
    for setup in SETUPS:
        if setup.name in wanted.parts:
            with _far(setup) as (server, proxy):
                for delay in wanted.delays:
                    title = f"One endpoint: {setup.title}, {delay} ms"
                    say(title)
                    yield (
                        title,
                        _compared(setup.name, server, proxy, delay, ["127.0.0.1"], wanted, found),
                    )
    if "catalog" in wanted.parts:
        with _far(SETUPS[0]) as (server, proxy):
            for delay in wanted.delays:
                title = f"{NAMES} endpoints: {SETUPS[0].title}, {delay} ms"
                say(title)
                yield (
                    title,
                    _compared("catalog", server, proxy, delay, addresses(NAMES), wanted, found),
                )
    if "alike" in wanted.parts:
        with _far(SETUPS[0]) as (server, proxy):
            title = f"{ALIKE} endpoints alike: {SETUPS[0].title}, {ALIKE_DELAY} ms"
            say(title)
            mine = replace(wanted, peers=())
            yield (
                title,
                _compared("alike", server, proxy, ALIKE_DELAY, addresses(ALIKE), mine, found),
            )
    if "many" in wanted.parts:
        yield _many(wanted, found)


_VERSION = [*ours.COMMAND, "--version"]


def _start(plan: Plan, found: Found) -> Section:
    lines = ["| command | wall | CPU | memory |", "|---|--:|--:|--:|"]
    for title, command in (
        ("tlscheck --version", _VERSION),
        ("python -c pass", [sys.executable, "-c", "pass"]),
    ):
        took = alone(command, max(5, plan.rounds))
        wall = median(t.wall for t in took)
        found.start = found.start or wall
        lines.append(
            f"| `{title}` | {wall:.3f} | {median(t.cpu for t in took):.3f} "
            f"| {median(t.memory for t in took) / 1e6:.0f} MB |"
        )
    return "Start", "\n".join(lines)


@contextmanager
def _far(setup: Setup) -> Iterator[tuple[Server, Far]]:
    with (
        tempfile.TemporaryDirectory() as place,
        setup.start(Path(place)) as server,
        far("proxy", str(server.port)) as proxy,
    ):
        yield server, proxy


def _compared(
    part: str, server: Server, proxy: Far, delay: int, asked: Sequence[str],
    wanted: Wanted, found: Found,
) -> str:  # fmt: skip
    proxy.move(delay / 1000)
    tools = _one(wanted) if len(asked) == 1 else _catalog(wanted)
    done = rows(tools, proxy, asked, lambda _: server.profile, wanted.plan)
    found.compared[part, delay] = done
    return table.rows(done, wanted.missing, many=len(asked) > 1)


def _one(wanted: Wanted) -> list[Tool]:
    return [*map(Ours, wanted.paces), *map(Each, wanted.installed)]


def _catalog(wanted: Wanted) -> list[Tool]:
    """tlscheck, each peer 8 at a time, and what else might be its best."""
    tools: list[Tool] = [*map(Ours, wanted.paces)]
    for peer in wanted.installed:
        tools.append(Each(peer, 8))
        tools += [Whole(peer)] if peer.whole else []
        tools += [Each(peer, 100)] if peer.name == "sslscan" else []
    return tools


def addresses(number: int) -> list[str]:
    return [f"127.1.{n // 250}.{n % 250 + 1}" for n in range(number)]


@contextmanager
def _canned(kinds: int) -> Iterator[Far]:
    """On the last core, so that the first is the scanner's alone."""
    with (
        tempfile.TemporaryDirectory() as place,
        far("canned", canned_certificate(Path(place)), str(kinds)) as server,
    ):
        os.sched_setaffinity(server.pid, {max(os.sched_getaffinity(0))})
        server.move(MANY_DELAY / 1000)
        yield server


def _many(wanted: Wanted, found: Found) -> Section:
    title = f"Many endpoints: canned answers, {MANY_DELAY} ms, tlscheck on one core"
    if wanted.kinds > 1:
        title += f", {wanted.kinds} configurations in turn"
    say(title)

    def truth(address: str) -> Profile:
        return canned(address, wanted.kinds)

    core = min(os.sched_getaffinity(0))
    lines, wrong = [table.MANY], []
    with _canned(wanted.kinds) as server:
        for pace in wanted.paces:
            for number in wanted.numbers:
                tool = Ours(pace, core)
                (row,) = rows([tool], server, addresses(number), truth, wanted.plan)
                found.many[pace, number] = row
                lines.append(table.many(pace, number, row))
                wrong += [f"{row.tool}, {number}: {text}" for text in row.wrong]
    return title, "\n".join([*lines, *table.wrong(wrong)])
