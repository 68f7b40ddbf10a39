"""One accepted connection, and the site that accepts it: what a fault has to play with."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from . import asked as asking
from .asked import Asked
from .real import Base, Engine, Server

MOST_SECONDS = 150.0  # that a connection may last: longer than a patient client waits
LOGGED = 4000  # connections of a site that are kept in its log
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER: on, zero seconds


class End(Exception):
    """How a connection goes on once a fault has decided; raised by its steps."""


class Reset(End):
    """Close by RST."""


class Finish(End):
    """Say no more: FIN, then wait for the client to leave."""


class Hold(End):
    """Say no more and do not close: wait for the client to leave."""


class Gone(End):
    """The client has left."""


@dataclass
class Site:
    """One address of one fault while it runs: what its connections have in common."""

    fault: str
    host: str
    engine: Engine
    seed: int = 0
    accepted: int = 0
    live: int = 0
    first: float = 0.0
    last: float = 0.0
    memory: dict[str, float] = field(default_factory=dict)
    log: list[dict[str, Any]] = field(default_factory=list)

    def again(self, seed: int) -> None:
        """Forget everything, as if just started."""
        self.seed, self.accepted, self.first, self.last = seed, 0, 0.0, 0.0
        self.memory.clear()
        self.log.clear()


class Connection:
    """One client. `n` counts the site's connections from 1; `random` depends on it alone."""

    def __init__(self, sock: socket.socket, site: Site) -> None:
        self.sock, self.site, self.n = sock, site, site.accepted
        self.memory, self.host, self.engine = site.memory, site.host, site.engine
        self.random = random.Random(f"{site.seed}/{site.fault}/{site.host}/{site.accepted}")
        self._loop = asyncio.get_running_loop()
        self._server: Server | None = None
        self.said = bytearray()  # the first bytes that were sent, for the log

    @property
    def now(self) -> float:
        return self._loop.time()

    async def hello(self) -> Asked:
        data = b""
        while True:
            data += await self.receive()
            try:
                if found := asking.read(data):
                    self.asked = found
                    return found
            except asking.NotAHello:
                raise Finish from None

    async def receive(self) -> bytes:
        data = await self._loop.sock_recv(self.sock, 1 << 16)
        if not data:
            raise Gone
        return data

    def answer(self, base: Base, asked: Asked) -> bytes:
        """What the real engine says to the hello."""
        self._server = self.engine.server(base)
        return self._server.feed(asked.raw)

    async def send(self, data: bytes) -> None:
        self.said += data[: max(0, 16 - len(self.said))]
        await self._loop.sock_sendall(self.sock, data)

    async def drip(self, data: bytes, size: int, every: float) -> None:
        """Sends `size` bytes a segment, `every` so many seconds."""
        for at in range(0, len(data), size):
            await self.send(data[at : at + size])
            await asyncio.sleep(every)

    async def pause(self, seconds: float) -> None:
        """Waits, but notices when the client leaves: its time with us is over then."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while True:
                    await self.receive()

    async def carry_on(self) -> None:
        """The rest of a conversation with the real engine, for who finishes the handshake."""
        while self._server and not self._server.over:
            answer = self._server.feed(await self.receive())
            if answer:
                await self.send(answer)

    async def wait_for_the_end(self) -> None:
        with contextlib.suppress(Gone, OSError):
            while True:
                await self.receive()


Behaviour = Callable[[Connection], Awaitable[None]]


async def accept(listener: socket.socket, site: Site, behave: Behaviour) -> None:
    """Serves one site until cancelled."""
    loop = asyncio.get_running_loop()
    tasks: set[asyncio.Task[None]] = set()
    try:
        while True:
            sock, _ = await loop.sock_accept(listener)
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            site.accepted += 1
            site.first = site.first or loop.time()
            task = asyncio.ensure_future(_serve(Connection(sock, site), behave))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
            if until := site.memory.get("deaf until"):
                await asyncio.sleep(max(0.0, until - loop.time()))
    finally:
        for task in tasks:
            task.cancel()


async def _serve(connection: Connection, behave: Behaviour) -> None:
    site, begun = connection.site, connection.now
    site.live += 1
    end = "finish"
    try:
        async with asyncio.timeout(MOST_SECONDS):
            end = await _play(connection, behave)
    except TimeoutError:
        end = "time is up"
    finally:
        site.live -= 1
        site.last = connection.now
        if len(site.log) < LOGGED:
            site.log.append(_entry(connection, begun, end))
        if end == "reset":
            with contextlib.suppress(OSError):
                connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        connection.sock.close()


async def _play(connection: Connection, behave: Behaviour) -> str:
    try:
        await behave(connection)
        end: End = Finish()
    except End as chosen:
        end = chosen
    except OSError:
        return "client left"
    match end:
        case Reset():
            return "reset"
        case Gone():
            return "client left"
        case Hold():
            await connection.wait_for_the_end()
            return "hold"
        case _:
            with contextlib.suppress(OSError):
                connection.sock.shutdown(socket.SHUT_WR)
            await connection.wait_for_the_end()
            return "finish"


def _entry(connection: Connection, begun: float, end: str) -> dict[str, Any]:
    asked = getattr(connection, "asked", None)
    return {
        "n": connection.n,
        "at": round(begun - connection.site.first, 3),
        "took": round(connection.now - begun, 3),
        "asked": f"0x{asked.version:04x}" if asked else None,
        "suites": len(asked.suites) if asked else 0,
        "groups": len(asked.groups) if asked else 0,
        "extensions": sorted(asked.extensions) if asked else [],
        "size": asked.size if asked else 0,
        "said": connection.said.hex(),
        "end": end,
    }
