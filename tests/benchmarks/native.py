"""The programs in C: built when first used, run with one order a line (native/far.c)."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tests.servers.process import program

SOURCES = Path(__file__).parent / "native"
BUILD = Path(__file__).parent / "build"  # git ignores it
PROGRAMS = {"far": ("far.c", "wait.c", "counts.c", "canned.c"), "measure": ("measure.c",)}


@cache
def built(name: str) -> Path:
    """The path of a program of ours, compiled anew when a source is newer than it."""
    made = BUILD / name
    BUILD.mkdir(exist_ok=True)
    with (BUILD / "lock").open("w") as lock:  # the tests run in several processes
        fcntl.flock(lock, fcntl.LOCK_EX)
        newest = max(file.stat().st_mtime for file in SOURCES.iterdir())
        if not made.exists() or made.stat().st_mtime < newest:
            sources = [SOURCES / source for source in PROGRAMS[name]]
            subprocess.run([program("cc", "gcc", "clang"), "-O2", "-o", made, *sources], check=True)
    return made


@dataclass(frozen=True)
class Place:
    """What one address has seen. `rounds` are round trips from the first connection to the last
    answer, 0 when there is no delay."""

    connections: int
    at_once: int
    rounds: float


@dataclass(frozen=True)
class Seen:
    """What a far server has seen since it was reset."""

    connections: int
    at_once: int
    cpu: float
    places: tuple[Place, ...]


class Far:
    """A far server that runs: on `port` of every address in 127.0.0.0/8."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._delay = 0.0
        self._cpu = 0.0
        self.pid = process.pid
        self.port = int(self._read())

    def _read(self) -> str:
        assert self._process.stdout
        if not (line := self._process.stdout.readline()):
            raise RuntimeError(f"the far server ended with status {self._process.wait()}")
        return line

    def _order(self, order: str) -> dict[str, Any]:
        assert self._process.stdin
        self._process.stdin.write(order + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._read())
        return answer

    def move(self, delay: float) -> None:
        """Put it so many seconds (the round trip) away."""
        self._order(f"rtt {delay * 1e6:.0f}")
        self._delay = delay

    def reset(self) -> None:
        self._order("reset")
        self._cpu = self._order("stats")["cpu"]

    def seen(self) -> Seen:
        told = self._order("stats")
        places = tuple(
            Place(connections, at_once, span / 1e6 / self._delay if self._delay else 0.0)
            for connections, at_once, span in told["places"]
        )
        return Seen(told["connections"], told["peak"], told["cpu"] - self._cpu, places)


@contextmanager
def far(*words: str | Path) -> Iterator[Far]:
    """A far server: `proxy PORT`, or `canned FILE KINDS`."""
    command = [str(built("far")), "0", *map(str, words)]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    )
    try:
        yield Far(process)
    finally:
        assert process.stdin and process.stdout
        process.stdin.close()  # at which it ends
        process.wait(timeout=10)
        process.stdout.close()


@dataclass(frozen=True)
class Took:
    """What a command took, it and its children; seconds and bytes. `status` is None if it was cut
    off at its limit."""

    wall: float
    cpu: float
    memory: int
    status: int | None
    output: str


def measured(
    command: Sequence[str | Path], directory: Path, limit: float, environment: dict[str, str]
) -> Took:
    """Run it, for at most `limit` seconds; both its outputs are kept together in `directory`."""
    told, log = directory / "measured.json", directory / "output"
    begun = time.monotonic()
    with log.open("wb") as output:
        process = subprocess.Popen(
            [str(word) for word in (built("measure"), told, *command)],
            stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
            cwd=directory, env=environment, start_new_session=True,
        )  # fmt: skip
        try:
            process.wait(timeout=limit)
        except subprocess.TimeoutExpired:
            _end(process)
            return Took(time.monotonic() - begun, 0.0, 0, None, log.read_text(errors="replace"))
    numbers = json.loads(told.read_text())
    return Took(
        numbers["wall"], numbers["cpu"], numbers["memory"], numbers["status"],
        log.read_text(errors="replace"),
    )  # fmt: skip


def _end(process: subprocess.Popen[bytes]) -> None:
    """The command and its children, which are a session of their own."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
