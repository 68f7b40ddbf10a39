"""`python -m tests.benchmarks`: measure, and write the table."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from . import goals, ours, parts, table
from .peers import PEERS
from .runs import Plan

RESULTS = Path(__file__).parent / "RESULTS.md"
BIG = 10_000


def main() -> int:
    options = _options()
    wanted = parts.Wanted(
        options.only or parts.NAMED,
        [pace for pace in ours.paces() if pace in options.paces or not pace],
        options.peers if options.peers is not None else [peer.name for peer in PEERS],
        options.delays,
        [*options.endpoints, *([BIG] if options.big else [])],
        options.kinds,
        Plan(options.rounds, options.patience, options.limit),
    )
    whole = not options.only and options.peers is None
    output = options.output or (RESULTS if whole else None)
    found, sections = goals.Found(), list[str]()
    notes = [f"load of the machine before the first run: {os.getloadavg()[0]:.1f}", *options.note]
    for title, text in parts.measured(wanted, found):
        print(f"\n## {title}\n\n{text}", flush=True)
        sections.append(f"\n## {title}\n\n{text}\n")
        if output:
            reached = f"\n## Goals\n\n{goals.table(found)}\n"
            output.write_text(table.head(notes) + reached + "".join(sections))
    print(f"\n## Goals\n\n{goals.table(found)}", flush=True)
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--only", nargs="+", default=[], metavar="PART", choices=parts.NAMED,
                        help=f"of {', '.join(parts.NAMED)}")  # fmt: skip
    parser.add_argument("--paces", nargs="+", default=ours.PACES, choices=ours.PACES,
                        help="of tlscheck, where it has them (default all)")  # fmt: skip
    parser.add_argument("--peers", nargs="*", metavar="NAME",
                        help="that are measured beside tlscheck (default all)")  # fmt: skip
    parser.add_argument("--delays", nargs="+", type=int, default=[0, 40, 150], metavar="MS")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--patience", type=float, default=60.0, metavar="SECONDS",
                        help="what takes longer is run once (default 60)")  # fmt: skip
    parser.add_argument("--limit", type=float, default=900.0, metavar="SECONDS",
                        help="what takes longer is cut off (default 900)")  # fmt: skip
    parser.add_argument("--endpoints", nargs="+", type=int, default=[100, 1000], metavar="N",
                        help="of the part many (default 100 1000)")  # fmt: skip
    parser.add_argument("--big", action="store_true", help=f"{BIG:,} of them, too")
    parser.add_argument("--kinds", type=int, default=1, metavar="N",
                        help="how many configurations the many have (default 1)")  # fmt: skip
    parser.add_argument("--note", action="append", default=[], help="a line for the head")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE",
                        help="RESULTS.md if everything is measured, else none")  # fmt: skip
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
