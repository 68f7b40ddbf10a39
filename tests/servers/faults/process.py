"""Starting the servers as a child process, and stopping it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .registry import ALL, Fault, addresses

STOP_SECONDS = 5.0
_HOME = Path(__file__).resolve().parents[3]


@dataclass(frozen=True)
class Faults:
    """The servers while they run."""

    faults: tuple[Fault, ...]
    port: int
    addresses: dict[str, tuple[str, ...]]
    process: subprocess.Popen[str]

    def again(self, seed: int) -> None:
        """Forget all state and start anew with another seed."""
        _ask(self.process, f"again {seed}")

    def stats(self) -> dict[str, list[dict[str, float]]]:
        """Fault -> for each of its addresses: connections, and seconds from first to last."""
        return _ask(self.process, "stats")

    def log(self, name: str) -> list[list[dict[str, Any]]]:
        """Every connection to a fault, by address: what was asked, what was said, how it ended."""
        log: list[list[dict[str, Any]]] = _ask(self.process, f"log {name}")["log"]
        return log


@contextmanager
def start(faults: Sequence[Fault] = ALL, seed: int = 0) -> Iterator[Faults]:
    """Serves these faults until the block is left."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.servers.faults"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=_HOME,
        env={**os.environ, "OPENSSL_CONF": os.devnull, "PYTHONPATH": str(_HOME)},
        process_group=0,
    )
    try:
        wanted = {"faults": [fault.name for fault in faults], "seed": seed}
        ready = _ask(process, json.dumps(wanted))
        yield Faults(tuple(faults), ready["port"], addresses(faults), process)
    finally:
        _stop(process)


def _ask(process: subprocess.Popen[str], line: str) -> dict[str, Any]:
    assert process.stdin and process.stdout
    process.stdin.write(line + "\n")
    process.stdin.flush()
    answer = process.stdout.readline()
    if not answer:
        raise RuntimeError("the process of the faults has ended; its log is on stderr")
    message: dict[str, Any] = json.loads(answer)
    return message


def _stop(process: subprocess.Popen[str]) -> None:
    """Asks by closing stdin, then by signal, then does not ask."""
    assert process.stdin and process.stdout
    process.stdin.close()
    for insist in (process.terminate, process.kill):
        try:
            process.wait(STOP_SECONDS)
            break
        except subprocess.TimeoutExpired:
            insist()
    process.wait()
    process.stdout.close()
