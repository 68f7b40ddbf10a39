"""A world without network and without waiting: servers are functions, time jumps.

The loop's clock moves on only when everybody waits, straight to the next timer, so a scan that
would take minutes takes milliseconds and always the same ones.
"""

from __future__ import annotations

import asyncio
import random
import selectors
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from tests.core.test_explore import Profile, answer
from tlscheck.core.eliminate import (
    Refused,
)
from tlscheck.core.model import Endpoint, EndpointReport, Target
from tlscheck.core.registry import Version
from tlscheck.core.reply import Alert, Hangup, Hello, Picked, Reply, Silent, Ssl2Picked, Unreachable
from tlscheck.scan import Limits, Resolved, World, scan

T = TypeVar("T")
ROUND_TRIP = 0.02  # seconds


class _Jumping(selectors.DefaultSelector):
    """Never waits: the time that it is asked to wait has passed when it returns."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise RuntimeError("everybody waits for something that never comes")
        self.now += max(0.0, timeout)
        return super().select(0)


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._jumping = _Jumping()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now


def run(main: Coroutine[Any, Any, T]) -> T:
    """`asyncio.run`, in virtual time."""
    with asyncio.Runner(loop_factory=_Loop) as runner:
        return runner.run(main)


def plainly(profile: Profile, hello: Hello) -> Reply:
    """What a healthy server of this profile replies."""
    said = answer(profile, hello)
    if isinstance(said, Refused):
        return Alert(70 if said.version else 40)
    assert isinstance(said, Picked | Ssl2Picked)
    if isinstance(said, Picked) and said.version < Version.TLSv1_3:
        return replace(said, certificates=(b"a certificate",))
    return said


Serve = Callable[[Hello, float], Awaitable[Reply]]
"""A server: the hello and the seconds that the client waits, to the reply."""


@dataclass(slots=True)
class Server:
    """A healthy server, and what may be wrong with it. Times in seconds, shares of 1."""

    profile: Profile
    seed: int = 0
    resets: float = 0.0
    silent: float = 0.0
    away: float = 0.0  # no connection comes about
    rate: float | None = None  # connections a second; more are reset
    ban_after: int | None = None  # connections
    ban_for: float = float("inf")
    refusal: Reply | None = None  # instead of an alert
    refuses_after: float = 0.0  # a refusal comes that late
    other: Profile | None = None  # answers half of the connections
    connections: int = 0
    _chance: random.Random = field(init=False)
    _tokens: float = field(init=False, default=0.0)
    _filled: float = field(init=False, default=0.0)
    _banned: float | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self._chance = random.Random(self.seed)
        self._tokens = self.rate or 0.0

    async def __call__(self, hello: Hello, wait: float) -> Reply:
        self.connections += 1
        now = asyncio.get_running_loop().time()
        await asyncio.sleep(ROUND_TRIP)
        if self._shut_out(now) or self._too_fast(now) or self._chance.random() < self.resets:
            return Hangup("reset")
        if self._chance.random() < self.away:
            return Unreachable("connection refused")
        if self._chance.random() < self.silent:
            await asyncio.sleep(wait)
            return Silent("read")
        which = self.other if self.other and self._chance.random() < 0.5 else self.profile
        reply = plainly(which, hello)
        if isinstance(reply, Alert):
            if self.refuses_after > wait:
                await asyncio.sleep(wait)
                return Silent("read")
            await asyncio.sleep(self.refuses_after)
            return self.refusal or reply
        return reply

    def _shut_out(self, now: float) -> bool:
        if self.ban_after is None:
            return False
        if self._banned is None and self.connections > self.ban_after:
            self._banned = now
        return self._banned is not None and now < self._banned + self.ban_for

    def _too_fast(self, now: float) -> bool:
        if self.rate is None:
            return False
        self._tokens = min(self.rate, self._tokens + (now - self._filled) * self.rate)
        self._filled = now
        if self._tokens < 1:
            return True
        self._tokens -= 1
        return False


@dataclass(frozen=True, slots=True)
class Scanned:
    """A report, and the virtual seconds that it took."""

    endpoint: EndpointReport
    seconds: float


def scanned(
    serve: Serve, limits: Limits | None = None, https: dict[str, Any] | None = None
) -> Scanned:
    """What a scan finds of one server at one address; `https` is what the HTTPS check says."""
    (one,), seconds = scanned_together([serve], limits, https)
    return Scanned(one, seconds)


def scanned_together(
    servers: list[Serve],
    limits: Limits | None = None,
    https: dict[str, Any] | None = None,
    *,
    features: bool = False,
) -> tuple[tuple[EndpointReport, ...], float]:
    """What one scan finds of several servers, each an endpoint of its own; no certificate is read
    where it asks for `features`."""

    async def check(target: Target) -> dict[str, Any]:
        return https or {}

    async def dial(
        target: Target, hello: Hello, random: bytes, *, connect: float, read: float
    ) -> Reply:
        return await servers[target.endpoint.port](hello, read)

    async def resolve(endpoint: Endpoint) -> Resolved:
        return Resolved(("192.0.2.1",))

    endpoints = [
        Endpoint(f"e{n}", "sts", "custom", "-", "standard", f"e{n}.example", n)
        for n in range(len(servers))
    ]

    async def main() -> tuple[tuple[EndpointReport, ...], float]:
        loop = asyncio.get_running_loop()
        world = World(resolve, dial, loop.time, bytes, https=check, limits=limits or Limits())
        if features:
            world.certificates = lambda target, chains, answered: ()
        reports, complete = await scan(endpoints, world, asyncio.Event())
        assert complete
        return reports, loop.time()

    return run(main())
