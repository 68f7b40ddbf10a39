"""What the nightly run remembers, `.state.json` in the reports directory (`tlscheck-state/1`).

It moves only when all has been told. It can be deleted: then the last complete report stands in.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path

from tlscheck.core.diff import single
from tlscheck.core.memory import Memory
from tlscheck.io import disk

NAME = ".state.json"
MOST_BYTES = 64 << 20


class BadState(Exception):
    """A state that cannot be used; the text is one line with the file and why."""


def read(directory: Path) -> Memory | None:
    """What is remembered; `None` when nothing is. Raises `BadState`."""
    from pydantic import TypeAdapter

    path = directory / NAME
    try:
        with disk.opened(directory) as place:
            descriptor = disk.reopen(NAME, place)
        with os.fdopen(descriptor, "rb") as file:
            data = file.read(MOST_BYTES + 1)
    except FileNotFoundError:
        return None
    except OSError as fault:
        raise BadState(f"{path}: {disk.why(fault)}") from fault
    if len(data) > MOST_BYTES:
        raise BadState(f"{path}: larger than {MOST_BYTES >> 20} MB, which no state is")
    try:
        memory = TypeAdapter(Memory).validate_json(data, extra="forbid")
        if any(s.whole and single(s.topic) and len(s.values) != 1 for s in memory.sights):
            raise ValueError("one value, and no more, where there is just one")
    except ValueError as fault:  # of pydantic, too
        raise BadState(f"{path}: damaged, or of another version of tlscheck") from fault
    return memory


def write(directory: Path, memory: Memory) -> None:
    """Remember this from now on. Raises `CannotWrite`."""
    text = json.dumps(asdict(memory), ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    disk.write(directory / NAME, text + "\n", links=False)
