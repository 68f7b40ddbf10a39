"""Questions asked before their turn: as long as a server answers as foreseen, nobody waits."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace

from tlscheck.core.eliminate import Answer
from tlscheck.core.explore import opening
from tlscheck.core.foresight import Trail, fits, trail_to
from tlscheck.core.registry import Version
from tlscheck.core.reply import Alert, Hello, Picked, Reply, Ssl2Picked
from tlscheck.core.suppose import Said, suppose

HOPS = 10  # turns of the event loop, in which a reply leads to the next question
# Of questions that follow one another: answers that were not foreseen, less those that were since;
# and how few are asked at once, the fewer the more was asked in vain.
MOST_STRAYS, FEWEST = 5, 2
MOST_GUESSES = 16  # of what the server is, for they cost time
PARTS = 12  # at most, of a list of suites that is like none that is known


Line = tuple[Version, bool]  # questions that follow one another: on suites, or on groups


def _line(hello: Hello) -> Line:
    return hello.version, hello.groups != opening(hello.version).groups


@dataclass(slots=True, eq=False)
class _Step:
    """A question asked ahead, the answer that is expected (`None`: any), and the reply when it has
    come; `None` if it was not asked after all."""

    hello: Hello
    expected: Answer | None = None
    reply: asyncio.Future[Reply | None] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )

    def tell(self, reply: Reply | None) -> None:
        if not self.reply.done():
            self.reply.set_result(reply)


class Ahead:
    """Asks one server, by `ask`, the questions of a trail, `at_once` of them; their replies wait
    for the questions, and are no answers before.

    The next are asked when all of the last have been answered: so it depends on the replies alone,
    never on their time, what is asked in all. Where the server leaves the trail, that of the one
    that its replies let suppose is taken if `guess` is set, else what is left of it is not asked.
    Each answer that was not foreseen halves what is asked at once of the questions that follow one
    another, and after a few of them nothing is asked ahead there until they have come to an end.
    What whoever explores asks unforeseen joins the next turn. In all, no more is asked in vain than
    not, and five turns.
    """

    def __init__(
        self, ask: Callable[[Hello], Awaitable[Reply | None]], at_once: int, guess: bool
    ) -> None:
        self._ask, self._at_once, self._guess = ask, at_once, guess
        self._waiting: dict[Hello, deque[_Step]] = {}
        self._asked = Counter[Hello]()  # ahead, or by whoever explores
        self._said: list[tuple[Hello, Reply]] = []
        self._left: deque[_Step] = deque()
        self._strays = Counter[Line]()
        self._unforeseen: list[_Step] = []
        self._over = False
        self._guesses = 0
        self._vain = self._in_part = 0  # questions that nobody will have asked for
        self._whole: bool | None = None  # in parts all suites were found, or not; or not asked
        self._going: asyncio.Task[None] | None = None
        self._early: asyncio.Future[list[None]] | None = None

    def early(self, hellos: Sequence[Hello]) -> None:
        """Ask `hellos` at once, of a server that nothing is known of, for whoever asks for them
        later, at most `at_once`."""
        steps = [_Step(hello) for hello in hellos]
        for step in steps:
            self._waiting.setdefault(step.hello, deque()).append(step)
        self._asked.update(hellos)
        self._early = asyncio.gather(*map(self._told, steps))

    async def _told(self, step: _Step) -> None:
        try:
            step.tell(await self._ask(step.hello))
        finally:
            step.tell(None)

    def follow(self, trail: Trail, said: Said = ()) -> None:
        """Go along `trail`, once for each server. `said` has been asked and replied."""
        self._said = list(said)
        self._plan(trail)
        if self._left:
            self._going = asyncio.ensure_future(self._go())

    def suppose(self, said: Said) -> None:
        """Go along the trail of the server that the replies `said` let suppose, if guessing is
        wanted."""
        if self._guess:
            self.follow(trail_to(suppose(said)), said)

    async def reply(self, hello: Hello) -> Reply | None:
        """The reply to `hello` if it was asked ahead, for whoever asks it now."""
        while waiting := self._waiting.get(hello):
            reply = await waiting.popleft().reply
            if reply is not None:
                return reply
        self._asked[hello] += 1
        if self._going is None or self._over:
            return None
        step = _Step(hello)
        self._unforeseen.append(step)
        return await step.reply

    async def landed(self) -> None:
        """Wait until nothing is under way."""
        for under_way in (self._early, self._going):
            if under_way:
                await under_way

    def unused(self) -> tuple[tuple[Hello, Reply], ...]:
        """What was asked, and replied, that nobody has asked for since."""
        steps = (step for waiting in self._waiting.values() for step in waiting)
        told = ((s.hello, s.reply.result()) for s in steps if s.reply.done())
        return tuple((hello, reply) for hello, reply in told if reply is not None)

    def forget(self) -> None:
        """Ask no more, and keep nothing: whoever asks and this hold each other."""
        for under_way in (self._early, self._going):
            if under_way and under_way.done() and not under_way.cancelled():
                under_way.exception()  # whoever asked has met it, too
            elif under_way:
                under_way.cancel()
        self._waiting.clear()
        self._asked.clear()
        self._said.clear()
        self._left.clear()

    def _plan(self, trail: Trail) -> None:
        """Ask what of `trail` has not been asked, and nothing else."""
        self._drop(None)
        seen = Counter[Hello]()
        for hello, expected in trail:
            seen[hello] += 1
            if seen[hello] > self._asked[hello] and self._strays[_line(hello)] < MOST_STRAYS:
                step = _Step(hello, expected)
                self._waiting.setdefault(hello, deque()).append(step)
                self._left.append(step)
        self._vain = sum(
            step.reply.done() and step.expected is not None
            for hello, steps in self._waiting.items()
            if hello not in seen
            for step in steps
        )

    def _overspent(self) -> bool:
        """Whether more was asked in vain than it is worth: as much as was not, and four turns."""
        useful = self._asked.total() - self._vain
        return self._vain + self._in_part > useful + 4 * PARTS

    async def _go(self) -> None:
        try:
            await self._along()
        finally:
            self._over = True
            self._drop(None)
            for step in self._unforeseen:
                step.tell(None)

    async def _along(self) -> None:
        while batch := await self._batch():
            replies = await self._replies(batch)
            if replies is None:  # whoever is in trouble is asked no more than need be
                return
            off = {
                _line(step.hello)
                for step, reply in zip(batch, replies, strict=True)
                if step.expected is not None and not fits(step.expected, reply)
            }
            self._strays.update(off)
            asked = Counter(_line(step.hello) for step in batch)
            right = [line for line, many in asked.items() if many >= FEWEST and line not in off]
            self._strays.subtract(line for line in right if self._strays[line])
            off |= self._ended(batch, replies)
            self._guesses += bool(off)
            if off and (self._overspent() or self._guesses > MOST_GUESSES):
                return
            if off:
                await self._stray({version for version, _ in off})

    def _ended(self, batch: Sequence[_Step], replies: Sequence[Reply]) -> set[Line]:
        """The lists that were too odd to be foreseen, and have come to an end: now they are known,
        as those are anyway that were found in parts."""
        ended = {
            line
            for step, reply in zip(batch, replies, strict=True)
            if isinstance(reply, Alert)
            and self._strays[line := _line(step.hello)] >= MOST_STRAYS
            and self._whole is None
        }
        for line in ended:
            del self._strays[line]
        return ended

    async def _batch(self) -> list[_Step]:
        """The next to be asked: what was not foreseen, and of each line of questions the fewer,
        the less it was."""
        batch, later, many = await self._awaited(), deque[_Step](), Counter[Line]()
        for step in self._left:
            line = _line(step.hello)
            most = max(FEWEST, self._at_once >> self._strays[line])
            if len(batch) < self._at_once and many[line] < most:
                many[line] += 1
                batch.append(step)
            else:
                later.append(step)
        self._left = later
        return batch

    async def _stray(self, versions: set[Version]) -> None:
        """The server has left the trail, in these versions."""
        if not self._guess:
            for version in versions:
                self._drop(version)
            return
        server = suppose(self._said, whole=bool(self._whole))
        if server.vague and self._whole is None:
            self._drop(None)
            older = [version for version in server.suites if version < Version.TLSv1_3]
            self._whole = await self._in_parts(max(older))  # what is vague is a list of these
            server = suppose(self._said, whole=self._whole)
            self._strays.clear()
        self._plan(trail_to(server, self._strays.total() == 0))

    async def _awaited(self) -> list[_Step]:
        """What those who explore ask now that they have their replies."""
        for _ in range(HOPS):
            await asyncio.sleep(0)
        steps, self._unforeseen = self._unforeseen, []
        return steps

    async def _replies(self, batch: Sequence[_Step]) -> Sequence[Reply] | None:
        """The replies to all of `batch`; `None` if some say nothing of the server."""
        self._asked.update(step.hello for step in batch if step.expected is not None)
        try:
            replies = await asyncio.gather(*(self._ask(step.hello) for step in batch))
        except BaseException:  # whoever waits for a reply is to ask, or to end, as well
            for step in batch:
                step.tell(None)
            raise
        for step, reply in zip(batch, replies, strict=True):
            step.tell(reply)
        told = [r for r in replies if isinstance(r, Picked | Ssl2Picked | Alert)]
        if len(told) < len(batch):
            return None
        self._said += zip((step.hello for step in batch), told, strict=True)
        return told

    async def _in_parts(self, version: Version) -> bool:
        """Find all suites of a version, by elimination from parts of the list: in each turn from
        as many as may be asked at once, of what is left of all."""
        base = opening(version)
        known = {r.suite for h, r in self._said if h.version is version and isinstance(r, Picked)}
        left = [suite for suite in base.suites if suite not in known]
        while left:
            others = await self._awaited()
            many = min(PARTS, max(FEWEST, self._at_once - len(others)), len(left))
            parts = [tuple(left[n::many]) for n in range(many)]
            steps = [_Step(replace(base, suites=part)) for part in parts]
            for step in steps:
                self._waiting.setdefault(step.hello, deque()).append(step)
            self._in_part += len(steps)
            replies = await self._replies([*steps, *others])
            if replies is None or self._overspent():
                return False
            picked = {  # what was refused is done with
                reply.suite: part
                for part, reply in zip(parts, replies, strict=False)  # then others' replies
                if isinstance(reply, Picked) and reply.version == version and reply.suite in part
            }
            open_ = set[int]().union(*picked.values()) - picked.keys()
            left = [suite for suite in left if suite in open_]
        return True

    def _drop(self, version: Version | None) -> None:
        """Ask no more of this version, or of any."""
        keep = deque[_Step]()
        for step in self._left:
            if version in (None, step.hello.version):
                step.tell(None)
                waiting = self._waiting[step.hello]
                if step in waiting:
                    waiting.remove(step)
            else:
                keep.append(step)
        self._left = keep
