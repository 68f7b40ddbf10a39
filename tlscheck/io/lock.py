"""One run at a time writes to a reports directory."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from tlscheck.io import disk

NAME = ".lock"


class Held(Exception):
    """Another run holds the lock; the text is one line with the directory and the process."""


@contextlib.contextmanager
def held(directory: Path) -> Iterator[int]:
    """A descriptor of the reports directory `directory`, whose lock is ours until the end.

    The directory is made where it is missing. The lock is the kernel's: it ends with its holder,
    however that ends, and its file stays for good. Raises `Held` at once when another has it, and
    `CannotWrite`.
    """
    path = directory / NAME
    with contextlib.ExitStack() as stack:
        with disk.told(path):
            place = stack.enter_context(disk.opened(directory, links=False))
            disk.replaceable(path, place)
            lock = FileLock(
                path,
                blocking=False,
                mode=disk.FILE_MODE,
                preserve_lock_file=True,
                fallback_to_soft=False,  # which a killed run would hold for ever
                on_acquired=_sign,
            )
            try:
                stack.enter_context(lock)
            except Timeout:
                raise Held(f"another run{_holder(path)} is writing to {directory}") from None
            disk.sweep(place)
        yield place


def _sign(descriptor: int) -> None:
    """Say who holds it. On a full disk nobody does, and the lock holds all the same."""
    with contextlib.suppress(OSError):
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, b"%d\n" % os.getpid(), 0)


def _holder(path: Path) -> str:
    """`" (process 123)"`, if the lock's file names a process that lives."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            process = int(os.read(descriptor, 32))
        finally:
            os.close(descriptor)
    except (OSError, ValueError):
        return ""
    return f" (process {process})" if process > 0 and _lives(process) else ""


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except PermissionError:  # another user's
        return True
    except (OSError, OverflowError):
        return False
    return True
