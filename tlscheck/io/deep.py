"""sslyze as a second opinion, in a child process that can be killed: one target, one child.

Whatever happens to the child - a time-out, a signal, no memory, an answer that is none - the target
gets an answer with the reason, and nothing else of the run is touched.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from typing import Any

from tlscheck.core.hello import sendable_name
from tlscheck.core.model import Target
from tlscheck.io.disk import words

COMMAND = ("-P", "-m", "tlscheck.io.sslyzed")
MOST_BYTES = 1 << 20  # of an answer
MOST_MEMORY = 3 << 30  # bytes of address space; threads and arenas take most of it unused
READ = 5  # seconds of one read
EARLIER = 2.0  # seconds before its end at which it is to tell what it knows
LAST = 5.0  # seconds to wait for a child that was killed
# What is not handed on: sslyze needs none of these, and could be led elsewhere by them.
_WITHHELD = ("AWS_", "SSLKEYLOGFILE", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


async def ask(target: Target, seconds: float) -> dict[str, Any]:
    """What sslyze says of a target, within `seconds`: the keys of `sslyze_words.report`, or
    `outcome` (unknown) and `why` alone. Raises nothing but CancelledError; the child is gone when
    it returns."""
    until = time.monotonic() + seconds - EARLIER
    try:
        child = await asyncio.create_subprocess_exec(
            sys.executable,
            *COMMAND,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
            env=_environment(),
            limit=MOST_BYTES,
        )
    except OSError as fault:
        return _unknown(f"cannot be started, on this side: {words(fault)}")
    try:
        async with asyncio.timeout(seconds):
            said = await _told(child, target, seconds, until)
            if len(said) > MOST_BYTES:
                return _unknown(f"said more than {MOST_BYTES >> 20} MB")
            status = await child.wait()
    except TimeoutError:
        return _unknown(f"killed after {seconds:g} s")
    finally:
        await _end(child)
    return _read(said, status)


def _unknown(why: str) -> dict[str, Any]:
    return {"outcome": "unknown", "why": why, "tool": "sslyze"}


def _environment() -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.upper().startswith(_WITHHELD)}
    return {**kept, "MALLOC_ARENA_MAX": "2"}


async def _told(
    child: asyncio.subprocess.Process, target: Target, seconds: float, until: float
) -> bytes:
    """Asks, and reads what comes until there is no more, or too much."""
    assert child.stdin and child.stdout
    endpoint = target.endpoint
    asked = {
        "host": endpoint.host,
        "address": target.address,
        "port": endpoint.port,
        "name": sendable_name(endpoint.sni) or endpoint.host,
        "seconds": round(seconds),
        "until": until,
        "memory": MOST_MEMORY,
        "timeout": READ,
    }
    with contextlib.suppress(ConnectionError):  # it has ended already, and its status says why
        child.stdin.write(json.dumps(asked).encode() + b"\n")
        await child.stdin.drain()
    said = b""
    while len(said) <= MOST_BYTES and (piece := await child.stdout.read(1 << 16)):
        said += piece
    return said


async def _end(child: asyncio.subprocess.Process) -> None:
    """Kills what is left: the child is the leader of a group of its own."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)
    if child.stdin:
        child.stdin.close()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(LAST):
            # What it has said stands between us and its end: asyncio waits for the pipe, too.
            while child.stdout and await child.stdout.read(1 << 16):
                pass
            await child.wait()


def _read(said: bytes, status: int) -> dict[str, Any]:
    try:
        found = json.loads(said)
    except (ValueError, RecursionError):
        found = None
    if isinstance(found, dict) and found.get("outcome") in ("yes", "unknown"):
        return found
    if status < 0:
        return _unknown(f"ended by signal {-status}")
    return _unknown(f"ended without an answer (status {status})")
