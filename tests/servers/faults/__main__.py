"""The child process: `python -m tests.servers.faults`, started by `process.start`.

The first line of stdin is the configuration as JSON, the answer says that it is ready. Then each
line `again SEED` forgets all state, and `stats` or `log` asks for a line of JSON. It ends when
stdin does, so that it never outlives who started it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import resource
import shutil
import signal
import socket
import sys
import tempfile
from pathlib import Path
from typing import Any

from . import registry
from .connection import Behaviour, Site, accept
from .real import BASES, Engine
from .registry import Absent, Fault

BACKLOG = 1024
TRIES = 20
DESCRIPTORS = 16384


def main() -> None:
    directory = Path(tempfile.mkdtemp(prefix="faults-"))
    try:
        asyncio.run(_serve(json.loads(sys.stdin.readline()), directory))
    finally:
        shutil.rmtree(directory, ignore_errors=True)


async def _serve(wanted: dict[str, Any], directory: Path) -> None:
    _raise_limit()
    faults = registry.chosen(wanted["faults"])
    places = registry.addresses(faults)
    port, sockets = _bind([a for mine in places.values() for a in mine if a != registry.UNROUTABLE])
    engine = Engine(directory)
    for base in BASES:
        engine.prepare(base)
    sites: dict[str, Site] = {}
    tasks = []
    for fault in faults:
        for address, site in zip(places[fault.name], fault.sites, strict=True):
            running = Site(fault.name, fault.host, engine, wanted["seed"])
            sites[address] = running
            tasks += _open(sockets.get(address), running, site.behave)
    over = asyncio.Event()
    reader = await _stdin()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, over.set)
    _say({"port": port})
    commands = asyncio.ensure_future(_obey(reader, sites, faults, places))
    await asyncio.wait(
        [commands, asyncio.ensure_future(over.wait())], return_when=asyncio.FIRST_COMPLETED
    )
    for task in [*tasks, commands]:
        task.cancel()


def _open(
    sock: socket.socket | None, site: Site, behave: Behaviour | Absent
) -> list[asyncio.Task[None]]:
    if sock is None or behave == "closed":  # bound: nobody else can take the port
        return []
    if behave == "full":
        sock.listen(0)
        _fill(sock)
        return []
    assert callable(behave)
    sock.listen(BACKLOG)
    return [asyncio.ensure_future(accept(sock, site, behave))]


_FILLERS: list[socket.socket] = []


def _fill(listener: socket.socket) -> None:
    """Connections of our own that nobody accepts, until no more go in."""
    for _ in range(4):
        filler = socket.socket()
        filler.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            filler.connect(listener.getsockname())
        _FILLERS.append(filler)


async def _obey(
    reader: asyncio.StreamReader,
    sites: dict[str, Site],
    faults: tuple[Fault, ...],
    places: dict[str, tuple[str, ...]],
) -> None:
    while line := (await reader.readline()).decode().split():
        match line:
            case ["again", seed]:
                for site in sites.values():
                    site.again(int(seed))
                _say({"ok": True})
            case ["stats"]:
                _say({f.name: [_stats(sites[a]) for a in places[f.name]] for f in faults})
            case ["log", name]:
                _say({"log": [sites[address].log for address in places[name]]})
            case _:
                _say({"error": f"no such command: {line}"})


def _stats(site: Site) -> dict[str, float]:
    seconds = max(0.0, site.last - site.first) if site.first else 0.0
    return {"connections": site.accepted, "seconds": round(seconds, 2), "live": site.live}


def _bind(addresses: list[str]) -> tuple[int, dict[str, socket.socket]]:
    """Sockets on one port that is free on every address."""
    for left in reversed(range(TRIES)):
        with socket.socket() as probe:
            probe.bind(("", 0))
            port = probe.getsockname()[1]
        bound: dict[str, socket.socket] = {}
        try:
            for address in addresses:
                family = socket.AF_INET6 if ":" in address else socket.AF_INET
                bound[address] = sock = socket.socket(family, socket.SOCK_STREAM)
                sock.bind((address, port))
                sock.setblocking(False)
            return port, bound
        except OSError:
            for sock in bound.values():
                sock.close()
            if not left:
                raise
    raise AssertionError("unreachable")


async def _stdin() -> asyncio.StreamReader:
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    return reader


def _raise_limit() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = DESCRIPTORS if hard == resource.RLIM_INFINITY else min(DESCRIPTORS, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _say(message: dict[str, Any]) -> None:
    print(json.dumps(message), flush=True)


main()
