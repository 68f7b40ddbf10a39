"""What is measured: tlscheck at a pace, or a peer, over one address or many."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from tests.servers.process import program
from tests.servers.profile import Profile

from . import ours
from .peers import Pair, Peer, Word

Truth = Callable[[str], Profile]  # of an address
Answers = dict[str, set[Pair]]


class Tool(Protocol):
    @property
    def title(self) -> str: ...

    def command(self, addresses: Sequence[str], port: int, directory: Path) -> list[Word]:
        """What to run; it leaves what it found in the directory, which is empty."""

    def answers(self, directory: Path) -> Answers:
        """What it found, by address; an address that it said nothing about is not in it."""

    def differences(self, directory: Path, truth: Truth) -> list[str]:
        """What else it said that is not the truth: orders, groups."""


@dataclass(frozen=True)
class Ours:
    pace: str
    pinned: int | None = None  # to this core

    @property
    def title(self) -> str:
        return ours.title(self.pace)

    def command(self, addresses: Sequence[str], port: int, directory: Path) -> list[Word]:
        core = [] if self.pinned is None else [program("taskset"), "-c", str(self.pinned)]
        return [*core, *ours.command(addresses, port, self.pace, directory)]

    def _report(self, directory: Path) -> dict[str, Any]:
        report: dict[str, Any] = json.loads((directory / "report.json").read_text())
        return report

    def answers(self, directory: Path) -> Answers:
        return ours.answers(self._report(directory))

    def differences(self, directory: Path, truth: Truth) -> list[str]:
        return ours.differences(self._report(directory), truth)


@dataclass(frozen=True)
class Each:
    """A peer, one process for each address, `jobs` at a time."""

    peer: Peer
    jobs: int = 1

    @property
    def title(self) -> str:
        return self.peer.name if self.jobs == 1 else f"{self.peer.name}, {self.jobs} at a time"

    def command(self, addresses: Sequence[str], port: int, directory: Path) -> list[Word]:
        if len(addresses) == 1:
            return self.peer.command(addresses[0], port, directory / f"{addresses[0]}.out")
        (directory / "list").write_text("".join(f"{address}\n" for address in addresses))
        one = self.peer.command("{}", port, directory / "{}.out")
        return [program("xargs"), "-a", directory / "list", "-P", str(self.jobs), "-I{}", *one]

    def answers(self, directory: Path) -> Answers:
        found: Answers = {}
        for file in directory.glob("*.out"):
            try:
                told = self.peer.answers(file.read_text(errors="replace"))
            except (ValueError, SyntaxError):  # it was cut short, or left nothing
                continue
            found[file.name.removesuffix(".out")] = set[Pair]().union(*told.values())
        return found

    def differences(self, directory: Path, truth: Truth) -> list[str]:
        return []


@dataclass(frozen=True)
class Whole:
    """A peer that takes the whole list in one process."""

    peer: Peer

    @property
    def title(self) -> str:
        return f"{self.peer.name}, one process"

    def command(self, addresses: Sequence[str], port: int, directory: Path) -> list[Word]:
        assert self.peer.whole
        (directory / "list").write_text("".join(f"{address}\n" for address in addresses))
        return self.peer.whole(directory / "list", port, directory / "all.out")

    def answers(self, directory: Path) -> Answers:
        try:
            return self.peer.answers((directory / "all.out").read_text())
        except (OSError, ValueError, SyntaxError):
            return {}

    def differences(self, directory: Path, truth: Truth) -> list[str]:
        return []
