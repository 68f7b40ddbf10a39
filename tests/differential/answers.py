"""What a client was asked, and what it found: the words in which all clients are compared."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal, NamedTuple

SECONDS = 30.0  # of one handshake, on a busy machine; one that takes longer fails the test

Verdict = Literal["yes", "no", "cannot", "broken"]


class Pair(NamedTuple):
    """A version alone (`kind` "version", no `name`), or a version with a suite or a group."""

    version: str
    kind: Literal["version", "suite", "group"]
    name: str = ""

    def __str__(self) -> str:
        return f"{self.version} {self.kind} {self.name}".strip()

    def matches(self, pattern: str) -> bool:
        """Whether a pattern over "version", "suite NAME" and "group NAME" means this one."""
        return fnmatchcase(f"{self.kind} {self.name}".strip(), pattern)


@dataclass(frozen=True)
class Answer:
    """`cannot`: this client is not able to offer it. `broken`: it gave up for a reason of its
    own. `said` is the client's own explanation."""

    verdict: Verdict
    said: str = ""


Answers = dict[Pair, Answer]
CANNOT = Answer("cannot", "not among what it can offer")


def run(
    command: Sequence[str | Path], environment: dict[str, str], seconds: float = SECONDS
) -> str:
    """What a client prints, both streams; raises `TimeoutExpired` rather than guess."""
    done = subprocess.run(
        [str(word) for word in command],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, errors="replace", env=environment, timeout=seconds,
    )  # fmt: skip
    return done.stdout
