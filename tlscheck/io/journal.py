"""The journal of a run in progress, `tlscheck-journal/1`: what to go on from after a crash.

`.journal-RUN.jsonl` in the reports directory: a header line, then a line for each endpoint that is
finished. Only the holder of that directory's lock touches it. A last line without an end is what a
kill has left and does not count; anything else that is odd, and the journal is not used at all.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tlscheck.core.model import EndpointReport
from tlscheck.io import disk

FORMAT = "tlscheck-journal/1"
MOST_BYTES = 256 << 20
# The scan waits meanwhile: 4 ms as a rule, 80 ms at worst on the disk where it was measured.
SYNC_SECONDS = 1.0

_NAME = re.compile(r"\.journal-[0-9a-f]+\.jsonl")

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Header:
    """Which run a journal is of. `started` is its first start (UTC, RFC 3339); `asked` is what must
    be the same for a journal to be gone on from: its names are told where they differ."""

    run: str
    started: str
    asked: Mapping[str, str]


@dataclass(slots=True)
class Journal:
    """A journal that is open. `finished` are the endpoints that it held when it was opened.

    `fault` says why it could not be written to the end, if so: the run is worth more than its
    journal and goes on without.
    """

    directory: Path
    header: Header
    finished: dict[str, EndpointReport]
    _descriptor: int
    _length: int
    fault: str | None = field(default=None, init=False)
    _clock: Callable[[], float] = time.monotonic
    _synced: float = field(default=0.0, init=False)

    @property
    def path(self) -> Path:
        return self.directory / _name(self.header.run)

    def add(self, report: EndpointReport) -> None:
        """An endpoint is finished. A kill from now on does not lose it; a power failure may, for
        `SYNC_SECONDS` or as long as the system keeps it to itself."""
        if self.fault:
            return
        line = _line(asdict(report))
        try:
            with disk.told(self.path):
                disk.write_all(self._descriptor, line)
                if self._clock() - self._synced >= SYNC_SECONDS:
                    os.fdatasync(self._descriptor)
                    self._synced = self._clock()
        except disk.CannotWrite as fault:
            self.fault = str(fault)
            with contextlib.suppress(OSError):
                os.ftruncate(self._descriptor, self._length)
        else:
            self._length += len(line)

    def close(self) -> None:
        """Leave it for the next run."""
        with contextlib.suppress(OSError):
            os.fdatasync(self._descriptor)
        os.close(self._descriptor)


def begin(directory: Path, place: int, header: Header) -> Journal:
    """A new journal in `directory`, whose descriptor is `place`. Raises `CannotWrite`."""
    name = _name(header.run)
    line = _line({"format": FORMAT, **asdict(header)})
    with disk.told(directory / name):
        disk.replace(name, line, place)
        return Journal(directory, header, {}, disk.reopen(name, place), len(line))


def latest(
    directory: Path, place: int, asked: Mapping[str, str], ids: Collection[str], tell: Tell
) -> Journal | None:
    """The newest journal in `directory` that fits what is `asked` now and the endpoints `ids`, open
    to go on with. `tell` is told, in a line each, of those that are not used.
    """
    found = sorted(_headers(place), key=lambda pair: pair[1].started if pair[1] else "")
    for name, header in reversed(found):
        path = directory / name
        if header is None:
            tell(f"{path}: not used: it is no journal of this version of tlscheck")
            continue
        names = header.asked.keys() | asked.keys()
        other = sorted(n for n in names if header.asked.get(n) != asked.get(n))
        if other:
            tell(f"{path}: not used: that run differs in {', '.join(other)}")
            continue
        try:
            descriptor = disk.reopen(name, place)
        except OSError as fault:
            tell(f"{path}: not used: {disk.why(fault)}")
            continue
        try:
            finished, length = _finished(descriptor, ids)
            os.ftruncate(descriptor, length)  # the next line must not be glued to half a one
        except (OSError, ValueError) as fault:
            os.close(descriptor)
            tell(f"{path}: not used: {fault}")
            continue
        return Journal(directory, header, finished, descriptor, length)
    return None


def tidy(directory: Path, place: int, now: datetime, age: timedelta, tell: Tell) -> None:
    """Remove journals of runs that began longer than `age` before `now`, or as far after it."""
    for name, header in _headers(place):
        with contextlib.suppress(OSError):
            began = _began(name, header, place)
            if abs(now - began) > age:
                os.unlink(name, dir_fd=place)
                tell(f"{directory / name}: removed: its run began {began:%Y-%m-%dT%H:%M:%SZ}")


def forget(place: int, header: Header) -> None:
    """Remove the journal of this run, whose report is there now, and those of runs before it that
    asked the same: nothing is to be gone on from any more."""
    for name, other in _headers(place):
        if other and other.asked == header.asked and other.started <= header.started:
            with contextlib.suppress(OSError):
                os.unlink(name, dir_fd=place)


def _name(run: str) -> str:
    return f".journal-{run}.jsonl"


def _line(document: dict[str, Any]) -> bytes:
    return json.dumps(document, separators=(",", ":"), allow_nan=False).encode() + b"\n"


def _headers(place: int) -> Iterator[tuple[str, Header | None]]:
    """The journals in a directory by name; `None` for a header that cannot be read."""
    for name in sorted(filter(_NAME.fullmatch, os.listdir(place))):
        try:
            descriptor = disk.reopen(name, place)
        except OSError:
            yield name, None
            continue
        with os.fdopen(descriptor, "rb") as file:
            yield name, _header(name, file.readline(1 << 16))


def _header(name: str, line: bytes) -> Header | None:
    try:
        document = json.loads(line) if line.endswith(b"\n") else None
        if not isinstance(document, dict) or document.pop("format") != FORMAT:
            return None
        header = Header(**document)
        _moment(header.started)
        asked = all(isinstance(value, str) for value in header.asked.values())
        return header if asked and _name(header.run) == name else None
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


def _moment(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)


def _began(name: str, header: Header | None, place: int) -> datetime:
    if header:
        return _moment(header.started)
    found = os.stat(name, dir_fd=place, follow_symlinks=False)
    return datetime.fromtimestamp(found.st_mtime, UTC)


def _finished(descriptor: int, ids: Collection[str]) -> tuple[dict[str, EndpointReport], int]:
    """The endpoints in a journal whose header is good, and the length of its whole lines.

    Raises `ValueError` when a line is not what a run writes.
    """
    from pydantic import TypeAdapter, ValidationError

    with os.fdopen(os.dup(descriptor), "rb") as file:
        file.seek(0)
        data = file.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise ValueError(f"it is larger than {MOST_BYTES >> 20} MB")
    adapter = TypeAdapter(EndpointReport)
    whole = data[: data.rfind(b"\n") + 1]
    found: dict[str, EndpointReport] = {}
    for number, line in enumerate(whole.split(b"\n")[1:-1], 2):
        try:
            report = adapter.validate_json(line, extra="forbid")
        except ValidationError as fault:
            raise ValueError(f"line {number} is damaged") from fault
        if report.id not in ids or report.id in found:
            raise ValueError(f"line {number} is of no endpoint that was to be asked")
        found[report.id] = report
    return found, len(whole)
