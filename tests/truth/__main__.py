"""`python -m tests.truth`: the table of false verdicts."""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.servers.faults import process, registry
from tests.servers.faults.registry import Fault

from . import ours, theirs
from .judge import Outcome, judge

_SUITE = re.compile(r"TLS_\w+(?:, TLS_\w+)*")
OVER = 2.0  # seconds that a target may take beyond its deadline


def main() -> int:
    options = _options()
    faults = registry.chosen(options.faults)
    runs: list[list[Outcome]] = []
    scans: list[ours.Scan] = []
    companions: list[Outcome] = []
    beside = registry.COMPANIONS if options.among else ()
    with process.start((*faults, *beside)) as servers, tempfile.TemporaryDirectory() as place:
        for seed in range(options.first, options.first + options.seeds):
            servers.again(seed)
            parts = [(f, *beside) for f in faults] if options.alone or beside else [faults]
            each = []
            for part in parts:
                each.append(
                    ours.scan(servers, part, options.deadline, Path(place), options.more,
                              options.descriptors)
                )  # fmt: skip
                companions += [_judged(fault, servers, each[-1].report) for fault in beside]
            done = ours.together(each)
            outcomes = [_judged(fault, servers, done.report) for fault in faults]
            runs.append(outcomes)
            scans.append(done)
            if options.keep:
                _keep(options.keep / f"seed-{seed}", servers, done.report, outcomes)
            false = sum(len(o.false) for o in outcomes)
            print(
                f"seed {seed}: {done.seconds:.0f} s, {false} false, peak memory "
                f"{done.memory / 1e6:.0f} MB",
                file=sys.stderr, flush=True,
            )  # fmt: skip
        second = _second(servers, faults, options) if options.sslyze else []
        print(_table(faults, runs, options.deadline, second))
        print()
        print(_sums(faults, runs, scans))
        if beside:
            right = sum(not o.false and not o.missed for o in companions)
            print(f"- healthy servers beside a hostile one: {right} of {len(companions)} right")
        if second:
            false, open_ = sum(len(o.false) for o in second), sum(o.undecided for o in second)
            print(f"- sslyze, one seed: {false} false, {open_} pairs inconclusive")
        print(_details([*runs, companions]))
    return 1 if any(o.false for run in runs for o in run) else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.truth", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1, help="how many (default 1)")
    parser.add_argument("--first", type=int, default=1, help="the first of them (default 1)")
    parser.add_argument("--faults", nargs="+", default=[], metavar="NAME", help="default: all")
    parser.add_argument("--deadline", type=float, default=60.0, help="of an address, in seconds")
    parser.add_argument("--alone", action="store_true", help="one process a fault, not one for all")
    parser.add_argument("--among", action="store_true", help="the same, each among nine healthy")
    parser.add_argument("--descriptors", type=int, default=0, help="that the scanner may have")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep reports and server logs")
    parser.add_argument("--sslyze", action="store_true", help="ask sslyze, too")
    parser.add_argument("--limit", type=float, default=60.0, help="of sslyze a fault, in seconds")
    parser.add_argument("more", nargs="*", help="after --: further arguments of tlscheck scan")
    options = parser.parse_args()
    if unknown := [name for name in options.faults if name not in registry.BY_NAME]:
        parser.error(
            f"no such fault: {', '.join(unknown)}; there are {', '.join(registry.BY_NAME)}"
        )
    return options


def _judged(fault: Fault, servers: process.Faults, report: dict[str, Any]) -> Outcome:
    outcome = judge(fault, servers.addresses[fault.name], report)
    stats = servers.stats()[fault.name]
    outcome.seconds = max(site["seconds"] for site in stats)
    return outcome


def _keep(
    place: Path, servers: process.Faults, report: dict[str, Any], outcomes: Sequence[Outcome]
) -> None:
    place.mkdir(parents=True, exist_ok=True)
    (place / "report.json").write_text(json.dumps(report, indent=1))
    for outcome in outcomes:
        if outcome.false or outcome.missed or outcome.undecided:
            log = json.dumps(servers.log(outcome.fault)).replace("}, {", "},\n{")
            (place / f"{outcome.fault}.json").write_text(log)


def _of(runs: Sequence[Sequence[Outcome]], at: int) -> list[Outcome]:
    return [run[at] for run in runs]


def _held(fault: Fault, mine: Sequence[Outcome]) -> int:
    """In how many runs what the fault expects was so."""
    spare = fault.spare and sum(o.undecided for o in mine) > fault.spare * sum(
        o.pairs for o in mine
    )
    return 0 if spare else sum(not o.false and not o.missed for o in mine)


def _table(
    faults: Sequence[Fault],
    runs: Sequence[Sequence[Outcome]],
    deadline: float,
    second: Sequence[Outcome],
) -> str:
    """A row a fault: the sums over all seeds, and beside them what sslyze said with one of them."""
    lines = [
        "| fault | must conclude | pairs | false | inconclusive | as expected | most s "
        "| connections |" + (" sslyze false | sslyze inconclusive |" if second else ""),
        "|---|---|--:|--:|--:|--:|--:|--:|" + ("--:|--:|" if second else ""),
    ]
    for at, fault in enumerate(faults):
        mine = _of(runs, at)
        slowest = max(o.seconds for o in mine)
        late = " !" if slowest > deadline + OVER else ""
        lines.append(
            f"| {fault.name} | {fault.says} | {sum(o.pairs for o in mine)} "
            f"| {sum(len(o.false) for o in mine)} | {sum(o.undecided for o in mine)} "
            f"| {_held(fault, mine)}/{len(mine)} | {slowest:.1f}{late} "
            f"| {sum(o.connections for o in mine) // len(mine)} |"
            + (f" {len(second[at].false)} | {second[at].undecided} |" if second else "")
        )
    return "\n".join(lines)


def _sums(
    faults: Sequence[Fault], runs: Sequence[Sequence[Outcome]], scans: Sequence[ours.Scan]
) -> str:
    every = [o for run in runs for o in run]
    pairs, undecided = sum(o.pairs for o in every), sum(o.undecided for o in every)
    healthy = [o for o in every if registry.BY_NAME[o.fault].healthy]
    held = sum(_held(fault, _of(runs, at)) for at, fault in enumerate(faults))
    return "\n".join(
        [
            f"{len(faults)} faults, {len(runs)} seeds: N = {len(every)} scans of a server, "
            f"{sum(o.connections for o in every)} connections.",
            f"- false: {sum(len(o.false) for o in every)}, in "
            f"{sum(bool(o.false) for o in every)} scans",
            f"- inconclusive: {undecided} of {pairs} pairs that can be learned "
            f"({100 * undecided / max(1, pairs):.2f} %); of healthy servers "
            f"{sum(o.undecided for o in healthy)} of {sum(o.pairs for o in healthy)}",
            f"- as expected: {held} of {len(every)}",
            f"- slowest run: {max(s.seconds for s in scans):.1f} s",
            f"- peak memory: {max(s.memory for s in scans) / 1e6:.0f} MB",
        ]
    )


def _details(runs: Sequence[Sequence[Outcome]]) -> str:
    lines = []
    for title, kind in (("False", "false"), ("Not as expected", "missed")):
        found = [(o.fault, text) for run in runs for o in run for text in getattr(o, kind)]
        if found:
            lines += ["", f"{title}:", *_counted(found)]
    return "\n".join(lines)


def _counted(found: Sequence[tuple[str, str]]) -> list[str]:
    """One line for what differs in the suite alone, with how often it was said."""
    kinds = Counter((fault, _SUITE.sub("SUITE", text)) for fault, text in found)
    names: dict[tuple[str, str], set[str]] = {}
    for fault, text in found:
        names.setdefault((fault, _SUITE.sub("SUITE", text)), set()).update(_SUITE.findall(text))
    lines = []
    for (fault, text), times in kinds.items():
        suites = len(names[fault, text])
        said = text.replace("SUITE", f"{suites} suites") if suites > 1 else text
        lines.append(f"- {fault}: {said.replace('SUITE', ''.join(names[fault, text]))} ({times}x)")
    return lines


def _second(
    servers: process.Faults, faults: Sequence[Fault], options: argparse.Namespace
) -> list[Outcome]:
    """What sslyze says of the same servers, with the first seed."""
    servers.again(options.first)
    report, _ = theirs.ask(servers, faults, options.limit)
    return [judge(fault, servers.addresses[fault.name], report) for fault in faults]


if __name__ == "__main__":
    sys.exit(main())
