"""Child processes that listen: started, waited for, and ended, by their process id."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from .profile import Profile, Server

ADDRESS = "127.0.0.1"
START_SECONDS = 60.0
ATTEMPTS = 3  # another process may take the free port before the server does


class ServerFailed(RuntimeError):
    """A server did not start; the message holds its log."""


def program(*names: str) -> str:
    """The path of the first of these programs that is installed."""
    path = os.environ.get("PATH", os.defpath) + os.pathsep + "/usr/sbin" + os.pathsep + "/sbin"
    for name in names:
        if found := shutil.which(name, path=path):
            return found
    raise FileNotFoundError(f"these tests need {' or '.join(names)}, which is not installed")


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind((ADDRESS, 0))
        port: int = listener.getsockname()[1]
        return port


def _connects(port: int) -> bool:
    try:
        socket.create_connection((ADDRESS, port), timeout=5).close()
    except OSError:
        return False
    return True


def _ready(process: subprocess.Popen[bytes], port: int) -> bool:
    """Wait until the process listens; False if it ended or the time is up."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if _connects(port):
            return process.poll() is None
        try:
            process.wait(timeout=0.02)
        except subprocess.TimeoutExpired:
            continue
        return False
    return False


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
    try:
        process.wait(timeout=5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextmanager
def running(
    name: str,
    directory: Path,
    command: Callable[[int], Sequence[str | Path]],
    profile: Profile,
    environment: Mapping[str, str] | None = None,
) -> Iterator[Server]:
    """Run `command(port)` until it listens on that port, and end it when the block is left.

    OpenSSL's system-wide configuration is kept out: only what the command says holds.
    """
    directory.mkdir(parents=True, exist_ok=True)
    log = directory / "log.txt"
    settings = {**os.environ, "OPENSSL_CONF": os.devnull, **(environment or {})}
    for attempt in range(1, ATTEMPTS + 1):
        port = free_port()
        with log.open("wb") as output:
            process = subprocess.Popen(
                [str(word) for word in command(port)],
                stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
                cwd=directory, env=settings,
            )  # fmt: skip
        try:
            if _ready(process, port):
                yield Server(name, ADDRESS, port, profile)
                return
        finally:
            _end(process)
        if attempt == ATTEMPTS:
            raise ServerFailed(
                f"{name} did not start (exit status {process.returncode}); its log:\n"
                + log.read_text(errors="replace")
            )
