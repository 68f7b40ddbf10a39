"""One target: asks hellos at a pace, and settles what the replies are worth.

An alert made for refusing, or a ServerHello, decides at once; a hang-up counts as a refusal only
when it repeats while a control hello, one that this target has accepted, is answered in between;
a time-out never does, nor does what is no TLS. Faults of this machine are waited out.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

from tlscheck.core.eliminate import (
    Answer,
    Exploration,
    Refused,
    T,
    Unknown,
)
from tlscheck.core.hello import RANDOM_BYTES
from tlscheck.core.model import Target
from tlscheck.core.registry import Version
from tlscheck.core.reply import (
    Alert,
    Garbage,
    Hangup,
    Hello,
    OwnFault,
    Picked,
    Reply,
    Silent,
    Ssl2Picked,
    Unreachable,
)
from tlscheck.scan.ahead import Ahead
from tlscheck.scan.pace import Pace
from tlscheck.scan.world import World

# Alerts that mean "nothing you offered will do" (RFC 8446, section 6.2): handshake_failure,
# illegal_parameter, protocol_version, insufficient_security.
_REFUSALS = (40, 47, 70, 71)
_PROTOCOL_VERSION = 70
# And alerts that answer one question alone: suites that hold TLS_FALLBACK_SCSV (RFC 7507, section
# 3), the extension ALPN (RFC 7301, section 3.2).
_FALLBACK_SCSV, _INAPPROPRIATE_FALLBACK = 0x5600, 86
_ALPN, _NO_APPLICATION_PROTOCOL = 16, 120
_CLOSE_NOTIFY = 0

KNOCKS = (0.1, 0.3, 1.0, 2.0)  # seconds before each further try with a server that says nothing
SLOW = 10.0  # seconds to wait for a first answer, in the end
TRIES_SILENT = 3  # with the usual patience, then as many at once with the longest
TRIES_OTHER = 4  # for what is neither an answer, nor a hang-up, nor silence
TRIES_AWAY = 12  # for no connection, to a server that has answered before
TRIES_BLIND = 5  # for hang-ups where nothing was ever accepted
OWN_PAUSES = (0.1, 0.2, 0.4, 0.8, 1.5, 3.0)  # seconds to wait out a fault of this machine
MOST_TRIES = 20  # for a hang-up that may be chance
MOST_TIMES = 60  # replies to one hello that decide nothing
LOST = 3  # control hellos in a row without an answer: everything waits until one is answered
PINGS = (0.25, 0.5, 1.0, 2.0, 4.0)  # seconds between tries meanwhile; the last goes on
KEPT = 5.0  # seconds of the deadline that no silence may take: other questions have answers
MOST_LOST = 0.5  # of the deadline: so long is waited for a server that has shut us out


@dataclass(slots=True)
class _Seen:
    """What came back to one hello so far, when it decided nothing."""

    hangups: int = 0
    silences: int = 0
    others: int = 0
    unreached: int = 0  # no connection came about
    failures: int = 0  # an alert after the ServerHello
    witnesses: int = 0  # control hellos answered in between

    @property
    def times(self) -> int:
        return self.hangups + self.silences + self.others + self.unreached + self.failures


def _refuses(hello: Hello, code: int) -> bool:
    """Whether an alert decides against this hello."""
    if code == _INAPPROPRIATE_FALLBACK:
        return _FALLBACK_SCSV in hello.suites
    if code == _NO_APPLICATION_PROTOCOL:
        return any(kind == _ALPN for kind, _ in hello.more)
    return code in _REFUSALS


class Prober:
    """Asks hellos of one target, and settles what the replies are worth."""

    def __init__(self, target: Target, world: World, slots: asyncio.Semaphore) -> None:
        self.target, self.world, self.limits = target, world, world.limits
        self.connections = 0
        self.stopped: str | None = None  # why nothing more is asked
        self.connected = False  # TCP has come about once
        self.answered = False  # something has been said that decides
        self.log: list[tuple[Hello, Answer]] = []
        self.pace = Pace(world.limits.per_target)
        self._slots = slots
        self._ends: float | None = None
        self._control: Hello | None = None
        self._widest = 0  # most suites in an accepted hello
        self._good = self._faults = self._muted = self._missed = 0
        self._futile = False  # long patience has been tried, and brought nothing
        self._slowest = 0.0  # seconds that an answer took at most
        self._open = 0
        self._queue: list[asyncio.Future[None]] = []
        self._lost: asyncio.Task[None] | None = None
        self._running: set[asyncio.Task[Any]] = set()
        self.ahead = Ahead(self.ask, self.limits.per_target, self.limits.guess)

    # --- explorations

    async def drive(self, exploration: Exploration[T], first: Reply | None = None) -> T:
        """Run an exploration to its end; `first` is the reply to what it opens with, if known."""
        try:
            hellos = next(exploration)
            if first is not None:
                hellos = exploration.send((await self._settled(hellos[0], first),))
            while True:
                hellos = exploration.send(await self.answers(hellos))
        except StopIteration as stop:
            value: T = stop.value
            return value

    async def answers(self, hellos: Sequence[Hello]) -> tuple[Answer, ...]:
        """What each of `hellos` is answered, all asked at once."""

        async def one(hello: Hello) -> Answer:
            return await self._settled(hello, await self._first(hello))

        if len(hellos) == 1:  # most often, and a task of its own would cost more than it does
            return (await one(hellos[0]),)
        return tuple(await asyncio.gather(*(one(hello) for hello in hellos)))

    async def _first(self, hello: Hello) -> Reply | None:
        """The first reply to `hello`, which may have been asked ahead."""
        reply = await self.ahead.reply(hello)
        if reply is None:
            reply = await self.ask(hello)
        return reply

    async def spare_replies(self) -> tuple[tuple[Hello, Reply], ...]:
        """The replies that nobody has asked for in the end; they are answers all the same."""
        await self.ahead.landed()
        spare = self.ahead.unused()
        for hello, reply in spare:
            picked = isinstance(reply, Picked) and reply.whole
            if picked or (isinstance(reply, Alert) and _refuses(hello, reply.code)):
                await self._settled(hello, reply)
        return spare

    async def open(
        self, hellos: Sequence[Hello], knocks: Sequence[Hello]
    ) -> tuple[Reply | None, ...]:
        """The replies to the first few `hellos`, before any is settled: what is accepted serves
        as the control. A server that has said nothing is asked no more than these at once, but for
        what is asked early (`Ahead.early`).

        Where none of them says anything, `knocks` are tried for a while before the target is
        given up.
        """
        replies = tuple(await asyncio.gather(*(self._first(hello) for hello in hellos)))
        last = next((reply for reply in replies if reply is not None), None)
        for nth, wait in enumerate(KNOCKS):
            if self._control or (self.answered and nth) or self.stopped:
                break
            if nth > 1 and isinstance(last, Silent):  # each has cost a whole time-out
                break
            await self._pause(wait)
            few = knocks[:1] if isinstance(last, Unreachable) else knocks
            read = SLOW if nth else None  # the last chance for a server that is only slow
            tried = await asyncio.gather(*(self.ask(hello, read, aside=True) for hello in few))
            last = next((reply for reply in tried if reply is not None), last)
        if not self.answered and last is not None:
            self.halt(str(last))
        return replies

    # --- asking

    def halt(self, why: str) -> None:
        """Ask no more, and give up what is being asked; what was learned stays."""
        if self.stopped is None:
            self.stopped = why
            for task in self._running:
                task.cancel()
            self._wake()

    async def ask(
        self,
        hello: Hello,
        read: float | None = None,
        *,
        aside: bool = False,
    ) -> Reply | None:
        """One exchange, or `None` once this target is stopped. `read` is seconds; `aside` does
        not wait for a place among those to this address: for the few that must. Passing faults
        of this machine are waited out."""
        for pause in (*OWN_PAUSES, 0.0):
            async with self._place(aside):
                if self.stopped is None and not aside:
                    await self._pause(self.pace.reserve(self.world.clock()))
                async with self._slots:
                    reply = await self._exchange(hello, read)
            if not (isinstance(reply, OwnFault) and reply.passing and pause):
                break
            await self._pause(pause)
        return reply

    async def _exchange(self, hello: Hello, read: float | None) -> Reply | None:
        if not self._may():
            return None
        began = self.world.clock()
        self.connections += 1  # before it is made: those under way are of the budget too
        reply = await self._abandonable(
            self.world.dial(
                self.target,
                hello,
                self.world.random(RANDOM_BYTES),
                connect=min(self.limits.connect, self.left),
                read=min(read or self.patience, self.left),
            )
        )
        self.connections -= isinstance(reply, OwnFault)
        if reply is not None:
            self._note(hello, reply, self.world.clock() - began)
        return reply

    @property
    def left(self) -> float:
        """Seconds until the deadline, which counts from the first connection on."""
        now = self.world.clock()
        if self._ends is None:
            self._ends = now + self.limits.deadline
        return max(0.0, self._ends - now)

    @property
    def patience(self) -> float:
        """Seconds to wait for an answer: long after the slowest so far, where there was one."""
        if self._late:
            return min(self.limits.patience, 1.0 + 2 * self._slowest)
        if not self._control:
            return self.limits.read
        return min(self.limits.read, 1.0 + 10 * self._slowest)

    @property
    def _late(self) -> bool:
        """Whether this server takes long to refuse, as some do on purpose."""
        return self._slowest > self.limits.read

    def spare(self, seconds: float) -> None:
        """Put the deadline off by what others have taken."""
        if self._ends is not None:
            self._ends += seconds

    def _may(self) -> bool:
        if self.stopped is None and self.left <= 0:
            self.halt(f"deadline of {self.limits.deadline:g} s passed")
        if self.stopped is None and self.connections >= self.limits.budget:
            self.halt(f"budget of {self.limits.budget} connections spent")
        return self.stopped is None

    @asynccontextmanager
    async def _place(self, aside: bool) -> AsyncIterator[None]:
        """A place among the connections to this address, as many as the pace allows."""
        if aside:
            yield
            return
        while self.stopped is None and (self._lost or self._open >= int(self.pace.at_once)):
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._queue.append(turn)
            await turn
        self._open += 1
        try:
            yield
        finally:
            self._open -= 1
            self._wake()

    def _wake(self) -> None:
        """Let those who wait look again whether there is a place."""
        queue, self._queue = self._queue, []
        for turn in queue:
            if not turn.done():
                turn.set_result(None)

    async def _abandonable(self, work: Awaitable[T]) -> T | None:
        """The result of `work`, or `None` when the target was halted meanwhile."""
        task = asyncio.current_task()
        assert task is not None
        self._running.add(task)
        try:
            return await work
        except asyncio.CancelledError:
            if self.stopped is None or task.uncancel():  # nobody halted us, or not that alone
                raise
            return None
        finally:
            self._running.discard(task)

    async def _pause(self, seconds: float) -> None:
        if seconds > 0 and self.stopped is None:
            await self._abandonable(self.world.sleep(min(seconds, self.left)))

    def _note(self, hello: Hello, reply: Reply, took: float) -> None:
        if not isinstance(reply, Unreachable | OwnFault) and reply != Silent("connect"):
            self.connected = True
        match reply:
            case Picked(ended=None) | Ssl2Picked() | Alert():
                self.answered = True
                self._slowest = max(self._slowest, took)
                self.pace.good()
            case Hangup() if took > self.limits.read:
                self._slowest = max(self._slowest, took)
            case OwnFault():
                pass
            case Hangup() | Picked() | Silent("read") if self._control not in (None, hello):
                pass  # it may be how this server refuses: the control will tell
            case _:
                self.pace.bad(self.world.clock())
        if isinstance(reply, Picked):
            self.answered = True
        if isinstance(reply, Picked) and reply.whole and reply.version == hello.version:
            self._control = hello
            self._good += 1
            self._widest = max(self._widest, len(hello.suites))

    # --- settling

    async def _settled(self, hello: Hello, reply: Reply | None) -> Answer:
        answer = await self._settle(hello, reply)
        # The log is kept to the end, and what fills it is up to the server: no certificates.
        lean = replace(answer, certificates=()) if isinstance(answer, Picked) else answer
        self.log.append((hello, lean))
        return answer

    async def _settle(self, hello: Hello, reply: Reply | None) -> Answer:
        """What `reply` is worth as an answer to `hello`; asks again as long as that is open."""
        seen = _Seen()
        attempt = 0
        while reply is not None:
            match reply:
                case Ssl2Picked() | Picked(ended=None):
                    self._were_chance(seen)
                    return reply
                case Picked(ended=Alert()) if hello.closely:
                    return reply  # what was asked about comes after the pick
                case Picked(ended=Alert()):
                    seen.failures += 1
                case Alert(code=code) if _refuses(hello, code):
                    self._were_chance(seen)
                    return self._refused(hello, str(reply), version=code == _PROTOCOL_VERSION)
                case Alert() | Hangup() | Picked(ended=Hangup()):
                    seen.hangups += 1
                case Silent() | Picked(ended=Silent()):
                    seen.silences += 1
                case Unreachable():
                    seen.unreached += 1
                case Garbage() | OwnFault() | Picked():
                    seen.others += 1
            if decided := await self._decided(hello, reply, seen):
                return decided
            attempt += 1
            await self._pause(min(1.0, 0.03 * 1.5**attempt))
            # What has been silent once may be so again.
            long = min(self.patience, self.left - KEPT) if seen.silences else None
            if long is not None and long <= 0:
                return self._unknown(reply, seen)
            reply = await self.ask(hello, long)
        return Unknown(self.stopped or "not asked")

    def _were_chance(self, seen: _Seen) -> None:
        """What was `seen` before an answer that decides was a fault of the way or the moment."""
        if seen.hangups or seen.silences:
            self._faults += seen.hangups
            self._muted += seen.silences
            self.pace.bad(self.world.clock())

    async def _decided(self, hello: Hello, reply: Reply, seen: _Seen) -> Answer | None:
        """What has been `seen` means by now, `reply` being the last of it; `None` is nothing."""
        if isinstance(reply, OwnFault):  # it was waited out in vain
            return Unknown(str(reply))
        if self._control and seen.silences != 1:
            await self._witness(seen)
            needed = 3 if not seen.hangups else self._needed()
            ended = isinstance(reply, Hangup | Alert | Picked)
            if ended and min(seen.hangups + seen.failures, seen.witnesses + 1) >= needed:
                return self._gone(hello, reply, seen)
        if not self._control and seen.hangups + seen.failures >= TRIES_BLIND:
            # A ServerHello is an answer, and so is failing on it every time.
            if isinstance(reply, Picked) and isinstance(reply.ended, Hangup | Alert):
                return reply
            return self._unknown(reply, seen)
        away = seen.unreached >= (TRIES_AWAY if self._control else TRIES_OTHER)
        if away or seen.others >= TRIES_OTHER or seen.times >= MOST_TIMES:
            return self._unknown(reply, seen)
        if seen.hangups and self._late and self._control:  # one by one would take too long
            return await self._wait_long(hello, reply, seen)
        tries = self._tries(self._muted, 1e-4) if self._muted else TRIES_SILENT
        if seen.silences >= tries and isinstance(reply, Silent | Picked):
            return await self._wait_long(hello, reply, seen)
        return None

    async def _witness(self, seen: _Seen) -> None:
        """Ask the control hello: is this server still answering us at all?"""
        assert self._control
        control = await self.ask(self._control)
        if control is None or isinstance(control, OwnFault):
            return
        if isinstance(control, Picked | Alert):
            seen.witnesses += isinstance(control, Picked) and control.whole
            self._missed = 0
            return
        self._faults += 1
        self._missed += 1
        if self._missed >= LOST and self._lost is None:
            self._lost = asyncio.ensure_future(self._find_again(control))
        if self._lost:
            await asyncio.wait((self._lost,))
            # What came meanwhile says nothing of this hello.
            seen.hangups = seen.witnesses = seen.silences = seen.others = seen.unreached = 0

    async def _find_again(self, last: Reply) -> None:
        """This server has stopped answering: nothing is asked but whether it does so again."""
        assert self._control
        ends = self.world.clock() + MOST_LOST * self.limits.deadline
        known, tries, reply = self.connections, 0, last
        try:
            while self.stopped is None:
                await self._pause(PINGS[min(tries, len(PINGS) - 1)])
                tries += 1
                again = await self.ask(self._control, aside=True)
                if isinstance(again, Picked):
                    self._missed = 0
                    return
                reply = again or reply
                if self.world.clock() >= ends:
                    self.halt(f"answered no more after {known} connections: {reply}")
        finally:
            self._lost = None
            self._wake()

    def _needed(self) -> int:
        """How often a hang-up must repeat to be a refusal: so often that chance, at the rate of
        faults seen on hellos that this target accepts, is no explanation."""
        return self._tries(self._faults, 1e-6)

    def _tries(self, faults: int, odds: float) -> int:
        """How many in a row are less likely than `odds`, after `faults` among good answers."""
        rate = (faults + 1) / (self._good + faults + 2)
        return min(MOST_TRIES, max(3, math.ceil(math.log(odds) / math.log(rate))))

    async def _wait_long(self, hello: Hello, reply: Reply, seen: _Seen) -> Answer:
        """Some servers refuse by hanging up long after: wait for that, once, for several."""
        long = min(self.limits.patience, self.left - KEPT)
        if not self._control or self._futile or long <= 0:
            return self._unknown(reply, seen)
        several = max(TRIES_SILENT, self._needed())
        replies = await asyncio.gather(*(self.ask(hello, long, aside=True) for _ in range(several)))
        control = await self.ask(self._control)
        came = [r for r in replies if r is not None]
        for late in came:
            if isinstance(late, Ssl2Picked) or (isinstance(late, Picked) and late.whole):
                return late
            if hello.closely and isinstance(late, Picked) and isinstance(late.ended, Alert):
                return late
            if isinstance(late, Alert) and _refuses(hello, late.code):
                version = late.code == _PROTOCOL_VERSION
                return self._refused(hello, str(late), version=version, times=came.count(late))
        served = isinstance(control, Picked) and control.whole
        if len(came) == several and served and all(isinstance(r, Hangup | Alert) for r in came):
            why = f"{came[0]} {several} times, while others were answered"
            return self._refused(hello, why, times=several)
        if len(came) < several:
            return Unknown(self.stopped or "not asked")
        silent = next((r for r in came if isinstance(r, Silent)), came[0])
        seen.silences += several
        self._futile = not any(isinstance(r, Hangup | Alert | Picked) for r in came)
        return self._unknown(silent, seen)

    def _gone(self, hello: Hello, reply: Reply, seen: _Seen) -> Answer:
        if isinstance(reply, Picked):  # picked, and failed on each time
            return reply
        # A close or reset is as plain as such a server gets; other alerts may be about one suite.
        plain = isinstance(reply, Hangup) or reply == Alert(_CLOSE_NOTIFY)
        why = f"{reply} {seen.hangups} times, while others were answered"
        return self._refused(hello, why, plain=plain, times=seen.hangups)

    def _refused(
        self, hello: Hello, why: str, *, plain: bool = True, version: bool = False, times: int = 1
    ) -> Refused:
        # Each version has extensions of its own to stumble over, but for SSLv3, which has none.
        tolerant = hello.version is Version.SSLv3 and self._widest >= len(hello.suites)
        return Refused(why, plain, version, tolerant, times)

    def _unknown(self, reply: Reply, seen: _Seen) -> Unknown:
        said = str(reply.ended) if isinstance(reply, Picked) else str(reply)
        blind = isinstance(reply, Hangup | Alert) and not self._control
        control = ", and no hello accepted to compare with" if blind else ""
        stumbles = isinstance(reply, Hangup | Silent | Garbage)
        return Unknown(f"{said} ({seen.times} times{control})", asked=stumbles)
