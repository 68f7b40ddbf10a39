"""TLS servers on loopback, a port each, in a thread: they count who comes, and change at a word."""

from __future__ import annotations

import asyncio
import random
import socket
import ssl
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from tlscheck.lab import server
from tlscheck.lab.authority import SUITES, Authority
from tlscheck.lab.plan import Profile, Version


@dataclass(frozen=True)
class Manner:
    """How a server behaves; `lowest` None refuses connections. `resets` is a share of them."""

    lowest: Version | None = "TLSv1.2"
    highest: Version = "TLSv1.3"
    suites: Sequence[str] = SUITES
    group: str | None = None
    resets: float = 0.0


STEADY = Manner()


@dataclass
class _Stand:
    sockets: list[socket.socket] = field(default_factory=list)
    servers: list[asyncio.Server] = field(default_factory=list)
    make: Callable[[], server.Connection] | None = None
    came: int = 0


class Town:
    """Servers by the id of their endpoint. Only to be had from `town`."""

    def __init__(self, directory: Path) -> None:
        self._authority = Authority(directory)
        self.bundle = self._authority.bundle
        self._stands: dict[str, _Stand] = {}
        self._contexts: dict[tuple[str, Manner], ssl.SSLContext] = {}
        self._held: list[Callable[[], None]] | None = None
        self.loop = asyncio.new_event_loop()
        self._chance = random.Random(4)

    def behave(self, **manners: Manner) -> None:
        """From now on these servers behave so; those that are new are built."""

        async def all_of_them() -> None:
            for name, manner in manners.items():
                await self._behave(name, manner)

        self._do(all_of_them())

    async def _behave(self, name: str, manner: Manner) -> None:
        stand = self._stands.setdefault(name, _Stand())
        while len(stand.sockets) < 2:
            stand.sockets.append(_bound())
        for old in stand.servers:
            old.close()
        stand.servers = []
        if manner.lowest is None:
            stand.make = None
            for nth, closed in enumerate(stand.sockets):  # the port stays ours, and is deaf
                port = closed.getsockname()[1]
                closed.close()
                stand.sockets[nth] = _bound(port)
            return
        key = (name, manner)
        if key not in self._contexts:
            self._contexts[key] = self._context(name, manner)
        stand.make = partial(_Waiting, self, self._contexts[key])
        for each in stand.sockets:
            listening = each.dup()
            stand.servers.append(
                await self.loop.create_server(
                    partial(self._come, stand, manner.resets), sock=listening, backlog=512
                )
            )

    def _context(self, name: str, manner: Manner) -> ssl.SSLContext:
        assert manner.lowest
        profile = Profile("tls", manner.lowest, manner.highest)
        context = self._authority.context([host(name)], profile)
        context.set_ciphers(":".join(manner.suites) + ":@SECLEVEL=0")
        if manner.group:
            context.set_ecdh_curve(manner.group)
        return context

    def _come(self, stand: _Stand, resets: float) -> asyncio.Protocol:
        stand.came += 1
        if self._chance.random() < resets:
            return server.Reset()
        assert stand.make
        return stand.make()

    def came(self) -> dict[str, int]:
        """How many connections each server has had by now."""

        async def count() -> dict[str, int]:
            for _ in range(5):  # whoever stands in the queue is let in
                await asyncio.sleep(0.002)
            return {name: stand.came for name, stand in self._stands.items()}

        found: dict[str, int] = self._do(count())
        return found

    def data_file(self, names: Iterable[str], moved: Iterable[str] = ()) -> str:
        """The endpoints with these ids; those that `moved` are at their other port."""
        other = set(moved)
        return "".join(
            f'[[endpoint]]\nid = "{name}"\nhost = "{host(name)}"\nservice = "sts"\n'
            f"port = {self._stands[name].sockets[name in other].getsockname()[1]}\n"
            'addresses = ["127.0.0.1"]\n'
            for name in names
        )

    @contextmanager
    def held(self) -> Iterator[None]:
        """Nobody is answered before the end of this."""
        self._held = []
        try:
            yield
        finally:

            async def answer() -> None:
                waiting, self._held = self._held or [], None
                for each in waiting:
                    each()

            self._do(answer())

    def wait(self, answer: Callable[[], None]) -> None:
        """Answer now, or when nobody is held any more."""
        if self._held is None:
            answer()
        else:
            self._held.append(answer)

    def _do(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(30)


class _Waiting(server.Tls):
    def __init__(self, place: Town, context: ssl.SSLContext) -> None:
        super().__init__(context)
        self._place = place

    def on_data(self, data: bytes) -> None:
        self._place.wait(partial(self._answer, data))

    def _answer(self, data: bytes) -> None:
        if not self._transport.is_closing():
            super().on_data(data)


def host(name: str) -> str:
    """The host of the endpoint with this id."""
    return f"sts.{name.replace('_', '-')}.example"


def _bound(port: int = 0) -> socket.socket:
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.bind(("127.0.0.1", port))
    return made


@contextmanager
def town(directory: Path, **manners: Manner) -> Iterator[Town]:
    """Servers that behave so, until the end."""
    directory.mkdir(mode=0o700, exist_ok=True)
    place = Town(directory)
    thread = threading.Thread(target=place.loop.run_forever, daemon=True)
    thread.start()
    try:
        place.behave(**manners)
        yield place
    finally:
        try:
            place.behave(**dict.fromkeys(place._stands, Manner(lowest=None)))
        finally:
            place.loop.call_soon_threadsafe(place.loop.stop)
            thread.join(30)
        assert not thread.is_alive(), "the town does not come to an end"
        for stand in place._stands.values():
            for each in stand.sockets:
                each.close()
        place.loop.close()
