"""`python -m tests.benchmarks`: measure, and write the table."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from tests.servers.profile import Profile, Server

from . import ours, table
from .native import Far, far
from .peers import PEERS
from .runs import Plan, Row, alone, rows, say
from .servers import SETUPS, Setup, canned, canned_certificate
from .tools import Each, Ours, Tool, Whole

RESULTS = Path(__file__).parent / "RESULTS.md"
NAMES = 95  # of the catalog
PARTS = (*(setup.name for setup in SETUPS), "catalog", "many", "start")
Section = tuple[str, str]  # title, text


def main() -> int:
    options = _options()
    plan = Plan(options.rounds, options.patience, options.limit)
    sections: list[Section] = []
    output = options.output or (None if options.only or options.tools else RESULTS)
    for section in _measured(options, plan):
        sections.append(section)
        print(f"\n## {section[0]}\n\n{section[1]}", flush=True)
        if output:
            text = "".join(f"\n## {title}\n\n{body}\n" for title, body in sections)
            output.write_text(table.head(options.note) + text)
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--only", nargs="+", default=[], metavar="PART", choices=PARTS,
                        help=f"of {', '.join(PARTS)}")  # fmt: skip
    parser.add_argument("--tools", nargs="+", default=[], metavar="NAME",
                        help="of tlscheck and the peers; tlscheck is always measured")  # fmt: skip
    parser.add_argument("--delays", nargs="+", type=int, default=[0, 40, 150], metavar="MS")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--patience", type=float, default=60.0, metavar="SECONDS",
                        help="what takes longer is run once (default 60)")  # fmt: skip
    parser.add_argument("--limit", type=float, default=900.0, metavar="SECONDS",
                        help="what takes longer is cut off (default 900)")  # fmt: skip
    parser.add_argument("--endpoints", nargs="+", type=int, default=[100, 1000], metavar="N",
                        help="of the part many (default 100 1000)")  # fmt: skip
    parser.add_argument("--big", action="store_true", help="10,000 of them, too")
    parser.add_argument("--kinds", type=int, default=1, metavar="N",
                        help="how many configurations the many have (default 1)")  # fmt: skip
    parser.add_argument("--note", action="append", default=[], help="a line for the head")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE",
                        help="RESULTS.md if everything is measured, else none")  # fmt: skip
    return parser.parse_args()


def _measured(options: argparse.Namespace, plan: Plan) -> Iterator[Section]:
    wanted = options.only or PARTS
    alone(_version(), 1)  # whatever is written or read the first time
    if "start" in wanted:
        yield _start(plan)
    for setup in SETUPS:
        if setup.name in wanted:
            with _far(setup) as (server, proxy):
                for delay in options.delays:
                    title = f"One endpoint: {setup.title}, {delay} ms"
                    yield _compared(title, server, proxy, delay, ["127.0.0.1"], _alone(options),
                                    options, plan)  # fmt: skip
    if "catalog" in wanted:
        with _far(SETUPS[0]) as (server, proxy):
            for delay in options.delays:
                title = f"{NAMES} endpoints: {SETUPS[0].title}, {delay} ms"
                yield _compared(title, server, proxy, delay, _addresses(NAMES), _catalog(options),
                                options, plan)  # fmt: skip
    if "many" in wanted:
        yield _many(options, plan)


@contextmanager
def _far(setup: Setup) -> Iterator[tuple[Server, Far]]:
    with (
        tempfile.TemporaryDirectory() as place,
        setup.start(Path(place)) as server,
        far("proxy", str(server.port)) as proxy,
    ):
        yield server, proxy


def _version() -> list[str | Path]:
    return [*ours.COMMAND, "--version"]


def _start(plan: Plan) -> Section:
    lines = ["| command | wall | CPU | memory |", "|---|--:|--:|--:|"]
    bare: list[str | Path] = [sys.executable, "-c", "pass"]
    for title, command in (("tlscheck --version", _version()), ("python -c pass", bare)):
        took = alone(command, max(5, plan.rounds))
        lines.append(
            f"| `{title}` | {median(t.wall for t in took):.3f} | {median(t.cpu for t in took):.3f} "
            f"| {median(t.memory for t in took) / 1e6:.0f} MB |"
        )
    return "Start", "\n".join(lines)


def _wanted(options: argparse.Namespace) -> tuple[list[Ours], list[str]]:
    """tlscheck, and the names of the peers that are to be measured."""
    mine = [Ours(pace) for pace in ours.paces()]
    return mine, [p.name for p in PEERS if not options.tools or p.name in options.tools]


def _alone(options: argparse.Namespace) -> list[Tool]:
    mine, names = _wanted(options)
    return [*mine, *(Each(p) for p in PEERS if p.name in names and not p.missing())]


def _catalog(options: argparse.Namespace) -> list[Tool]:
    mine, names = _wanted(options)
    tools: list[Tool] = [*mine]
    for peer in PEERS:
        if peer.name in names and not peer.missing():
            tools.append(Each(peer, 8))
            tools += [Whole(peer)] if peer.whole else []
            tools += [Each(peer, 100)] if peer.name == "sslscan" else []
    return tools


def _compared(
    title: str, server: Server, proxy: Far, delay: int, addresses: Sequence[str],
    tools: Sequence[Tool], options: argparse.Namespace, plan: Plan,
) -> Section:  # fmt: skip
    say(title)
    proxy.move(delay / 1000)
    found = rows(tools, proxy, addresses, lambda _: server.profile, plan)
    names = _wanted(options)[1]
    missing = [peer.name for peer in PEERS if peer.name in names and peer.missing()]
    return title, table.rows(found, missing, many=len(addresses) > 1)


def _addresses(count: int) -> list[str]:
    return [f"127.1.{n // 250}.{n % 250 + 1}" for n in range(count)]


@contextmanager
def _canned(kinds: int) -> Iterator[Far]:
    """On the last core, so that the first is the scanner's alone."""
    with (
        tempfile.TemporaryDirectory() as place,
        far("canned", canned_certificate(Path(place)), str(kinds)) as server,
    ):
        os.sched_setaffinity(server.pid, {max(os.sched_getaffinity(0))})
        server.move(0.04)
        yield server


def _many(options: argparse.Namespace, plan: Plan) -> Section:
    title = "Many endpoints: canned answers, 40 ms, tlscheck on one core"
    if options.kinds > 1:
        title += f", {options.kinds} configurations in turn"
    say(title)
    lines = [
        "| pace | endpoints | runs | wall | CPU | memory | connections | each | round trips "
        "| server's CPU | missed | extra |",
        "|---|" + "--:|" * 11,
    ]

    def truth(address: str) -> Profile:
        return canned(address, options.kinds)

    core = min(os.sched_getaffinity(0))
    with _canned(options.kinds) as server:
        for pace in ours.paces():
            for count in (*options.endpoints, *([10_000] if options.big else [])):
                tool = Ours(pace, core)
                (row,) = rows([tool], server, _addresses(count), truth, plan)
                lines.append(_many_line(pace, count, row))
    return title, "\n".join(lines)


def _many_line(pace: str, count: int, row: Row) -> str:
    return (
        f"| {pace or '-'} | {count} | {len(row.samples)} | {row.middle('wall'):.2f} "
        f"| {row.middle('cpu'):.2f} | {row.middle('memory') / 1e6:.0f} MB "
        f"| {row.middle('connections'):.0f} | {row.middle('each'):.0f} / {row.worst('most'):.0f} "
        f"| {row.middle('rounds'):.1f} / {row.worst('longest'):.1f} | {row.middle('far_cpu'):.2f} "
        f"| {row.worst('missed'):.0f} | {row.worst('extra'):.0f} |"
        + ("".join(f"\n\nWrong: {text}" for text in row.wrong[:5]))
    )


if __name__ == "__main__":
    sys.exit(main())
