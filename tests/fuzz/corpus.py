"""Recorded first flights: a file a server, each flow with the version of its hello before it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tlscheck.core.registry import Version

DIRECTORY = Path(__file__).with_name("corpus")


@dataclass(frozen=True, slots=True)
class Flow:
    """The bytes with which `server` answered a hello of `version`."""

    server: str
    version: Version
    data: bytes


def write(server: str, flows: Sequence[Flow]) -> None:
    """Each flow: its version and its length in bytes, two bytes each, and its bytes."""
    DIRECTORY.mkdir(exist_ok=True)
    parts = (
        flow.version.to_bytes(2, "big") + len(flow.data).to_bytes(2, "big") + flow.data
        for flow in flows
    )
    (DIRECTORY / f"{server}.bin").write_bytes(b"".join(parts))


@cache
def flows() -> tuple[Flow, ...]:
    """All that was recorded, in a fixed order."""
    found: list[Flow] = []
    for path in sorted(DIRECTORY.glob("*.bin")):
        data, at = path.read_bytes(), 0
        while at < len(data):
            version = Version(int.from_bytes(data[at : at + 2], "big"))
            end = at + 4 + int.from_bytes(data[at + 2 : at + 4], "big")
            found.append(Flow(path.stem, version, data[at + 4 : end]))
            at = end
    return tuple(found)
