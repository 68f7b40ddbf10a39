"""Questions asked before their turn: as long as a server answers as foreseen, nobody waits."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from tlscheck.core.eliminate import (
    Answer,
)
from tlscheck.core.foresight import Trail, fits, on_groups, otherwise
from tlscheck.core.registry import Version
from tlscheck.core.wire import Alert, Hello, Picked, Reply, Ssl2Picked

MOST_GUESSES = 3  # for each version, after the first


@dataclass(slots=True)
class _Step:
    """A question asked ahead, the answer that is expected, and the reply when it has come; `None`
    if it was not asked after all."""

    hello: Hello
    expected: Answer
    reply: asyncio.Future[Reply | None]

    def tell(self, reply: Reply | None) -> None:
        if not self.reply.done():
            self.reply.set_result(reply)


class Ahead:
    """Asks one server, by `ask`, the questions of a trail, `at_once` of them; their replies wait
    for the questions, and are no answers before.

    The next are asked when all of the last have been answered: so it depends on the replies alone,
    never on their time, what is asked in all. Where the server leaves the trail, that of another
    usual one is taken if `guess` is set, else what is left of it is not asked.
    """

    def __init__(
        self, ask: Callable[[Hello], Awaitable[Reply | None]], at_once: int, guess: bool
    ) -> None:
        self._ask, self._at_once, self._guess = ask, at_once, guess
        self._name: str | None = None
        self._waiting: dict[Hello, deque[asyncio.Future[Reply | None]]] = {}
        self._asked: set[Hello] = set()  # by whoever explores
        self._said: list[tuple[Hello, Reply]] = []
        self._left: deque[_Step] = deque()
        self._off: set[tuple[Version, bool]] = set()  # lines of questions that left the trail
        self._guesses: Counter[Version] = Counter()
        self._going: asyncio.Task[None] | None = None

    def follow(self, trail: Trail, name: str | None, said: Sequence[tuple[Hello, Reply]]) -> None:
        """Go along `trail`, with `name` as the server's. `said` has been asked and replied."""
        self._name, self._said = name, list(said)
        self._append(trail)
        self._asked.update(hello for hello, _ in said)
        if self._left:
            self._going = asyncio.ensure_future(self._go())

    async def reply(self, hello: Hello) -> Reply | None:
        """The reply to `hello` if it was asked ahead, for whoever asks it now."""
        if waiting := self._waiting.get(hello):
            return await waiting.popleft()
        self._asked.add(hello)
        return None

    async def landed(self) -> None:
        """Wait until nothing is under way."""
        if self._going:
            await self._going

    def _append(self, trail: Trail) -> None:
        for nameless, expected in trail:
            hello = replace(nameless, server_name=self._name)
            if hello not in self._asked:
                step = _Step(hello, expected, asyncio.get_running_loop().create_future())
                self._waiting.setdefault(hello, deque()).append(step.reply)
                self._left.append(step)

    async def _go(self) -> None:
        while self._left:
            batch = self._batch()
            try:
                replies = await asyncio.gather(*(self._ask(step.hello) for step in batch))
            except BaseException:  # whoever waits for a reply is to ask, or to end, as well
                self._left.extendleft(batch)
                self._drop(None)
                raise
            for step, reply in zip(batch, replies, strict=True):
                step.tell(reply)
            strayed = set[Version]()
            for step, reply in zip(batch, replies, strict=True):
                if not isinstance(reply, Picked | Ssl2Picked | Alert):
                    self._drop(None)  # whoever is in trouble is asked no more than need be
                    return
                self._said.append((step.hello, reply))
                if not fits(step.expected, reply):
                    groups = on_groups(step.hello)
                    self._off.add((step.hello.version, groups))
                    if isinstance(reply, Picked) and not groups:
                        strayed.add(step.hello.version)
            for version in sorted(strayed) if self._guess else ():
                self._guess_again(version)

    def _batch(self) -> list[_Step]:
        batch = list[_Step]()
        while self._left and len(batch) < self._at_once:
            step = self._left.popleft()
            version = step.hello.version
            # The groups are asked of the suites found.
            if {(version, on_groups(step.hello)), (version, False)} & self._off:
                step.tell(None)
            else:
                batch.append(step)
        return batch

    def _guess_again(self, version: Version) -> None:
        self._guesses[version] += 1
        if self._guesses[version] <= MOST_GUESSES:
            self._drop(version)
            self._off -= {(version, False), (version, True)}
            self._append(otherwise(self._said, version))

    def _drop(self, version: Version | None) -> None:
        """Ask no more of this version, or of any."""
        keep = deque[_Step]()
        for step in self._left:
            if version in (None, step.hello.version):
                step.tell(None)
            else:
                keep.append(step)
        self._left = keep
