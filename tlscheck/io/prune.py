"""Old reports go: the last of each of the newest days and weeks stay, and what is to be spared.

What is no report by its name is not touched, and neither is a symlink.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Collection, Hashable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from tlscheck.io import disk, store


@dataclass(frozen=True, slots=True)
class Pruned:
    """What was removed, and one line for each thing that could not be done."""

    removed: tuple[str, ...]
    problems: tuple[str, ...]


def doomed(
    names: Iterable[str], keep_daily: int, keep_weekly: int, spared: Collection[str]
) -> tuple[str, ...]:
    """The reports among `names` that may go, sorted; names that are not a report's never do.

    Stay: the last of each of the newest `keep_daily` UTC days and `keep_weekly` ISO weeks that
    have any, the newest, and those `spared`. Raises ValueError for a number < 0.
    """
    if keep_daily < 0 or keep_weekly < 0:
        raise ValueError("how many reports to keep cannot be below zero")
    days = {name: day for name in names if (day := _day(name)) is not None}
    ours = sorted(days)
    stay = {
        *ours[-1:],
        *_last_of_each(ours, keep_daily, lambda name: days[name]),
        *_last_of_each(ours, keep_weekly, lambda name: days[name].isocalendar()[:2]),
        *spared,
    }
    return tuple(name for name in ours if name not in stay)


def _last_of_each(names: Sequence[str], most: int, of: Callable[[str], Hashable]) -> Sequence[str]:
    """The last name (of sorted ones) of each of the newest `most` periods."""
    last = {of(name): name for name in names}  # in the order of the periods
    return list(last.values())[-most:] if most else []


def _day(name: str) -> date | None:
    """The UTC day of a report by its file's name; `None` when it is no report's."""
    match = store.NAME.fullmatch(name)
    if match is None:
        return None
    with contextlib.suppress(ValueError):  # no such day
        return date.fromisoformat(match["day"])
    return None


def prune(directory: Path, *, keep_daily: int, keep_weekly: int, spared: Collection[str]) -> Pruned:
    """Removes the reports in `directory` that are `doomed`, oldest first. Raises ValueError alone.

    `spared` are names of files, such as that of the last complete report. One report that cannot be
    removed does not keep the others.
    """
    removed: list[str] = []
    problems: list[str] = []
    try:
        # What is looked at and what is removed are in one and the same directory, whatever is
        # renamed meanwhile.
        at = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as fault:
        return Pruned((), (f"cannot prune {directory}: {disk.words(fault)}",))
    try:
        for name in doomed(store.names(at), keep_daily, keep_weekly, spared):
            try:
                os.unlink(name, dir_fd=at)
                removed.append(name)
            except FileNotFoundError:
                continue  # someone else was faster
            except OSError as fault:
                problems.append(f"cannot remove {directory / name}: {disk.words(fault)}")
        if removed:
            os.fsync(at)
    except OSError as fault:
        problems.append(f"cannot prune {directory}: {disk.words(fault)}")
    finally:
        os.close(at)
    return Pruned(tuple(removed), tuple(problems))
