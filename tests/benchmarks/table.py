"""The table, in markdown."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from . import ours
from .peers import PEERS
from .runs import Row

INTRODUCTION = """\
# How long it takes

Written by `make bench`. Each tool does the same work, protocol versions and all their cipher
suites, as a whole process; tlscheck finds the orders and the groups as well. The servers run on
this machine too, behind a delay: connecting costs one round trip, and every answer one more. Wall
and CPU (of all its processes) are seconds and medians; a tool's ratio is its wall time to that of
tlscheck. Missed and extra are pairs of version and suite, of the worst run. At once is the most
connections to one address. Round trips go from the first connection to the last answer; where there
are many addresses, each and round trips are of the median address and, behind the slash, of the
worst.
"""


def machine() -> str:
    """What the figures depend on, and nothing by which a machine is known."""
    cores = len(os.sched_getaffinity(0))
    model = next(
        (line.partition(":")[2].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
         if line.startswith("model name")),
        platform.machine(),
    )  # fmt: skip
    kernel = ".".join(platform.release().split(".")[:2])
    return f"{cores} cores ({model}), Linux {kernel}, Python {platform.python_version()}"


def head(notes: Sequence[str]) -> str:
    from tlscheck import __version__

    versions = [f"tlscheck {__version__}"]
    for peer in PEERS:
        versions.append(f"{peer.name} {'not installed' if peer.missing() else peer.version()}")
    facts = [f"{datetime.now(UTC):%Y-%m-%d}, {machine()}", ", ".join(versions), *notes]
    return INTRODUCTION + "\n" + "\n".join(f"- {fact}" for fact in facts) + "\n"


def rows(found: Sequence[Row], missing: Sequence[str], many: bool = False) -> str:
    """`missing` are the tools that are not installed: a row says so."""
    titles = ["tool", "runs", "wall", "ratio", "CPU", "connections", *(["each"] if many else []),
              "at once", "round trips", "missed", "extra"]  # fmt: skip
    lines = [_line(titles), "|---|" + "--:|" * (len(titles) - 1)]
    mine = [row for row in found if row.tool in map(ours.title, ("normal", "", *ours.PACES))]
    base = next((r for r in mine if r.tool == ours.title("normal")), mine[0]).middle("wall")
    for row in found:
        wall, more = row.middle("wall"), "> " if row.cut else ""
        ratio = f"{more}{wall / base:.1f}"
        spans = f"{row.middle('rounds'):.1f}" + (f" / {row.worst('longest'):.1f}" if many else "")
        lines.append(
            _line(
                [
                    row.tool, str(len(row.samples)), f"{more}{wall:.2f}", ratio,
                    "?" if row.cut else f"{row.middle('cpu'):.2f}",
                    f"{row.middle('connections'):.0f}",
                    *([f"{row.middle('each'):.0f} / {row.worst('most'):.0f}"] if many else []),
                    f"{row.worst('at_once'):.0f}", spans if row.middle("rounds") else "-",
                    f"{row.worst('missed'):.0f}", f"{row.worst('extra'):.0f}",
                ]
            )
        )  # fmt: skip
    lines += [_line([tool, "not installed", *[""] * (len(titles) - 2)]) for tool in missing]
    lines += ["", f"The delay itself took {_delay_cost(found):.0f} µs of CPU a connection."]
    lines += wrong([f"{row.tool}: {text}" for row in found for text in row.wrong])
    return "\n".join(lines)


def _delay_cost(found: Sequence[Row]) -> float:
    """Microseconds, over all runs."""
    samples = [sample for row in found for sample in row.samples]
    made = sum(sample.connections for sample in samples)
    return 1e6 * sum(sample.far_cpu for sample in samples) / max(1, made)


MANY = (
    "| pace | endpoints | runs | wall | CPU | memory | connections | each | round trips | far CPU "
    "| missed | extra |\n|---|" + "--:|" * 11
)


def many(pace: str, number: int, row: Row) -> str:
    """A line below `MANY`. The far CPU is that of the canned server, on the other core."""
    return _line(
        [
            pace or "-", f"{number}", f"{len(row.samples)}", f"{row.middle('wall'):.2f}",
            f"{row.middle('cpu'):.2f}", f"{row.worst('memory') / 1e6:.0f} MB",
            f"{row.middle('connections'):.0f}",
            f"{row.middle('each'):.0f} / {row.worst('most'):.0f}",
            f"{row.middle('rounds'):.1f} / {row.worst('longest'):.1f}",
            f"{row.middle('far_cpu'):.2f}",
            f"{row.worst('missed'):.0f}", f"{row.worst('extra'):.0f}",
        ]
    )  # fmt: skip


def wrong(found: Sequence[str]) -> list[str]:
    """What is to be below a table; nothing if nothing is wrong."""
    return ["", "Wrong:", *(f"- {text}" for text in found)] if found else []


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"
