"""What the servers of one kind teach those that come after them, and who goes first."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tlscheck.core.foresight import Trail

FEW = 8  # servers of a kind that all start at once
LEADERS = 2  # of more, so many do, and the others wait for what these teach
PATIENCE = 60.0  # seconds that they wait at most, by the connections at once to an address
LEAST, MOST = 4.0, 15.0  # seconds, and no less or more than these
MOST_TRAILS = 8


class Lesson:
    """The trails of finished servers of one kind, of which there are `count` in all."""

    def __init__(self, count: int, per_target: int) -> None:
        self.trails: list[Trail] = []
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

    def learn(self, trail: Trail | None) -> None:
        """Take in what a server was asked and answered."""
        if trail and trail not in self.trails and len(self.trails) < MOST_TRAILS:
            self.trails.append(trail)
            self._over.set()

    def end(self) -> None:
        """Nobody waits any more."""
        self._over.set()
