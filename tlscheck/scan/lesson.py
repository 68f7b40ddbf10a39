"""What the servers of one kind teach those that come after them, and who goes first."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from functools import cached_property

from tlscheck.core.doubt import Log
from tlscheck.core.foresight import Trail, again, fits_all, same
from tlscheck.core.suppose import Said

FEW = 8  # servers of a kind that all start at once
LEADERS = 2  # of more, so many do, and the others wait for what these teach
PATIENCE = 60.0  # seconds that they wait at most, by the connections at once to an address
LEAST, MOST = 4.0, 15.0  # seconds, and no less or more than these
MOST_TAUGHT = 8


@dataclass(eq=False)
class Taught:
    """What a server was asked and answered. `proof` tells whether nothing else came to light when
    it was looked at closely: only then may it stand for what others are not asked."""

    trail: Trail
    proof: asyncio.Future[bool] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )

    @cached_property
    def again(self) -> Trail:
        """The trail, and what a server is asked besides that has answered it all as foreseen."""
        return again(self.trail)


class Lesson:
    """What servers of one kind taught, of which there are `count` in all."""

    def __init__(self, count: int, per_target: int) -> None:
        self.taught: list[Taught] = []
        self._patience = max(LEAST, min(MOST, PATIENCE / per_target))
        self._many, self._begun, self._leading = count > FEW, 0, 0
        self._over = asyncio.Event()

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """The time of one server, once it has come."""
        self._begun += 1
        if not self._many or self._begun > LEADERS:
            if self._many:
                await self._taught()
            yield
            return
        self._leading += 1
        try:
            yield
        finally:
            self._leading -= 1
            if not self._leading:
                self._over.set()

    async def _taught(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._patience):
                await self._over.wait()

    def only(self) -> Taught | None:
        """What was taught, if all agreed: a server to come will hardly be otherwise."""
        return self.taught[0] if len(self.taught) == 1 else None

    def like(self, said: Said) -> Taught | None:
        """The first that was taught on which all that was `said` is."""
        return next((each for each in self.taught if fits_all(each.trail, said)), None)

    def twin(self, log: Log) -> Taught | None:
        """What another server taught that was asked and answered just this. Of a few servers, each
        is looked at closely."""
        if not self._many:
            return None
        return next((each for each in self.taught if same(log, each.trail)), None)

    @contextmanager
    def learn(self, trail: Trail | None) -> Iterator[Taught | None]:
        """Take in what a server was asked and answered; it is proven, or not, by the end."""
        known = trail is None or any(trail == each.trail for each in self.taught)
        if trail is None or known or len(self.taught) >= MOST_TAUGHT:
            yield None
            return
        taught = Taught(trail)
        self.taught.append(taught)
        self._over.set()
        try:
            yield taught
        finally:
            if not taught.proof.done():
                taught.proof.set_result(False)
                self.taught.remove(taught)

    async def proven(self, taught: Taught) -> bool:
        """Whether it may stand for others; waits until that is known."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._patience):
                return await asyncio.shield(taught.proof)
        return False

    def end(self) -> None:
        """Nobody waits any more."""
        self._over.set()
