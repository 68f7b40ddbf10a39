"""Files that must not be lost: there whole or not at all, ours alone, reached through no link.

Under `store`, `journal` and `lock`. Python ignores SIGXFSZ, so a limit on file sizes is EFBIG here,
a fault like a full disk.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

FILE_MODE, DIRECTORY_MODE = 0o600, 0o700

# What a file is called until it is whole: .tlscheck-0123456789abcdef.tmp
_ASIDE = re.compile(r"\.tlscheck-[0-9a-f]{16}\.tmp")
_NO_LINK = os.O_NOFOLLOW | os.O_CLOEXEC
_OURS = {"/dev/stdout": 1, "/dev/stderr": 2}  # and /dev/fd/N: what is open already


class CannotWrite(Exception):
    """Output could not be written; the text is one line that names the file and why."""


@contextlib.contextmanager
def told(path: Path) -> Iterator[None]:
    """Every `OSError` within becomes `CannotWrite` about `path`."""
    try:
        yield
    except OSError as fault:
        raise CannotWrite(f"cannot write {path}: {why(fault)}") from fault


def why(fault: OSError) -> str:
    """What went wrong, in words, where no link is followed."""
    if fault.errno == errno.ELOOP:
        return "it is a symbolic link, which is not followed"
    return words(fault)


def words(fault: OSError) -> str:
    """What went wrong, in words."""
    return fault.strerror or str(fault)


def read(path: str | Path, most: int) -> bytes:
    """All that a file holds, but at most one byte beyond `most`. A pipe is read to its end, and one
    that nobody writes to is empty and holds nobody up. Raises `OSError`."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        os.set_blocking(descriptor, True)
        with open(descriptor, "rb", closefd=False) as file:
            return file.read(most + 1)
    finally:
        os.close(descriptor)


def write(path: Path, text: str, *, links: bool = True, mode: int = FILE_MODE) -> None:
    """Write `text` to `path` so that it is there whole, or not at all, whenever power fails.

    `mode` is the file's, whatever the umask; missing directories are made with mode 0700. A link
    is not followed where the file should be, and without `links` not where its directory should
    be either. Raises `CannotWrite`.
    """
    data = text.encode()
    with told(path):
        if (ours := _already_open(path)) is not None:
            write_all(ours, data)
            return
        with opened(path.parent, links=links) as place:
            if replaceable(path, place):
                replace(path.name, data, place, mode)
            else:  # /dev/null, a pipe
                descriptor = os.open(path.name, os.O_WRONLY | _NO_LINK, dir_fd=place)
                try:
                    write_all(descriptor, data)
                finally:
                    os.close(descriptor)


def check_writable(path: Path) -> None:
    """Raise `CannotWrite` now rather than after a scan, if `path` could not be written."""
    with told(path):
        if _already_open(path) is not None:
            return
        with opened(path.parent) as place:
            if replaceable(path, place):
                descriptor, aside = _aside(place)
                os.unlink(aside, dir_fd=place)
                os.close(descriptor)


def _already_open(path: Path) -> int | None:
    if path.parent == Path("/dev/fd") and path.name.isdecimal():
        return int(path.name)
    return _OURS.get(str(path))


@contextlib.contextmanager
def opened(directory: Path, *, links: bool = True) -> Iterator[int]:
    """A descriptor of `directory`, made with its parents, mode 0700, where it is missing.

    Without `links` it must not be a symbolic link itself. Raises `OSError` and `CannotWrite`.
    """
    if not links and directory.is_symlink():
        raise CannotWrite(
            f"cannot write in {directory}: it is a symbolic link; name where it leads"
        )
    for missing in reversed([d for d in (directory, *directory.parents) if not d.exists()]):
        with contextlib.suppress(FileExistsError):
            missing.mkdir(mode=DIRECTORY_MODE)
            _sync(missing.parent)
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | (0 if links else os.O_NOFOLLOW)
    descriptor = os.open(directory, flags)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def replaceable(path: Path, place: int) -> bool:
    """Whether `path` in the directory `place` is a file, or nothing yet; not a device or a pipe.

    Raises `CannotWrite` for a link or a directory.
    """
    try:
        mode = os.stat(path.name or ".", dir_fd=place, follow_symlinks=False).st_mode
    except FileNotFoundError:
        return True
    if stat.S_ISLNK(mode):
        raise CannotWrite(f"cannot write {path}: it is a symbolic link, which is not followed")
    if stat.S_ISDIR(mode):
        raise CannotWrite(f"cannot write {path}: it is a directory")
    return stat.S_ISREG(mode)


def reopen(name: str, place: int) -> int:
    """A descriptor of a file of ours in `place`, to read and append to. Raises `OSError`."""
    flags = os.O_RDWR | os.O_APPEND | os.O_NONBLOCK | _NO_LINK
    descriptor = os.open(name, flags, dir_fd=place)
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid():
        os.close(descriptor)
        raise PermissionError(errno.EPERM, "it is no file of ours", name)
    return descriptor


def write_all(descriptor: int, data: bytes) -> None:
    """All of `data`, in as many writes as it takes."""
    left = memoryview(data)
    while left:
        left = left[os.write(descriptor, left) :]


def replace(name: str, data: bytes, place: int, mode: int = FILE_MODE) -> None:
    """Make `name` in the directory `place` a file of `data` and `mode`, whole or not at all.

    Raises `OSError`.
    """
    descriptor, aside = _aside(place)
    try:  # open, and so locked, until it has its name
        try:
            os.fchmod(descriptor, mode)
            write_all(descriptor, data)
            os.fsync(descriptor)
            os.rename(aside, name, src_dir_fd=place, dst_dir_fd=place)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(aside, dir_fd=place)
            raise
    finally:
        os.close(descriptor)
    os.fsync(place)


def _aside(place: int) -> tuple[int, str]:
    """A new file in `place` and its name, locked for as long as it is open, so that `sweep` knows
    whether its writer lives."""
    while True:
        name = f".tlscheck-{os.urandom(8).hex()}.tmp"
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | _NO_LINK
        descriptor = os.open(name, flags, FILE_MODE, dir_fd=place)
        if _locked(descriptor) is not False and os.fstat(descriptor).st_nlink:
            os.fchmod(descriptor, FILE_MODE)  # whatever the umask takes away
            return descriptor, name
        os.close(descriptor)  # a sweep came between


def _locked(descriptor: int) -> bool | None:
    """Whether the lock is ours now; `None` where this file system has none."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def sweep(place: int) -> None:
    """Remove from the directory `place` what killed writers have left of files not yet whole."""
    for name in filter(_ASIDE.fullmatch, os.listdir(place)):
        with contextlib.suppress(OSError):  # not ours, or gone
            descriptor = reopen(name, place)
            try:
                if _locked(descriptor):
                    os.unlink(name, dir_fd=place)
            finally:
                os.close(descriptor)
