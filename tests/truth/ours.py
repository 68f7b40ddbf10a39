"""One scan of all faults by tlscheck's command line."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.servers.faults.process import Faults
from tests.servers.faults.registry import Fault

HOME = Path(__file__).resolve().parents[2]
SPARE_SECONDS = 120  # a scan that takes longer than its deadline and this is broken


@dataclass(frozen=True)
class Scan:
    report: dict[str, Any]
    seconds: float
    memory: int  # bytes at the peak


def scan(
    servers: Faults,
    faults: Sequence[Fault],
    deadline: float,
    directory: Path,
    more: Sequence[str] = (),
    descriptors: int = 0,
) -> Scan:
    """Scans these faults in one process, which may have so many `descriptors` (0: as it is).

    `more` are further arguments of the command.
    """
    data, names = directory / "endpoints.toml", directory / "names.json"
    output, memory = directory / "report.json", directory / "memory"
    data.write_text("".join(_row(fault, servers) for fault in faults))
    names.write_text(json.dumps({f.host: _answer(f, servers) for f in faults}))
    output.unlink(missing_ok=True)
    begun = time.monotonic()
    done = subprocess.run(
        [
            sys.executable, "-m", "tests.truth.command", names, memory, str(descriptors),
            "scan", "--endpoints", data, "--format", "json", "--depth", "quick",
            "--deadline", str(deadline), "-o", output, *more,
        ],
        cwd=HOME, timeout=deadline + SPARE_SECONDS, stdin=subprocess.DEVNULL,
        capture_output=True, text=True,
    )  # fmt: skip
    seconds = time.monotonic() - begun
    if done.returncode not in (0, 1, 3):
        raise RuntimeError(f"exit status {done.returncode}: {done.stderr[-2000:]}")
    return Scan(json.loads(output.read_text()), seconds, int(memory.read_text()))


def _answer(fault: Fault, servers: Faults) -> list[str] | str:
    if fault.resolves in ("pinned", "addresses"):
        return list(servers.addresses[fault.name])
    return [] if fault.resolves == "empty" else fault.resolves


def _row(fault: Fault, servers: Faults) -> str:
    row: dict[str, Any] = {
        "id": f"fault:{fault.name}",
        "service": "sts",
        "partition": "custom",
        "region": "-",
        "variant": "standard",
        "host": fault.host,
        "port": servers.port,
    }
    if fault.resolves == "pinned":
        row["addresses"] = list(servers.addresses[fault.name])
    # JSON's strings, integers and lists of strings are TOML's too.
    lines = (f"{key} = {json.dumps(value)}\n" for key, value in row.items())
    return "[[endpoint]]\n" + "".join(lines) + "\n"


def together(scans: Sequence[Scan]) -> Scan:
    """Several scans as one: the longest time, the highest peak."""
    report = {
        key: [each for scan in scans for each in scan.report[key]]
        for key in ("endpoints", "findings")
    }
    return Scan(report, max(s.seconds for s in scans), max(s.memory for s in scans))
