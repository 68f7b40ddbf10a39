"""Drives explorations under limits. Network, clock and randomness are handed in.

What a reply is worth is decided here (`Prober.settle`): an alert made for refusing, or a
ServerHello, decides at once; a hang-up counts as a refusal only when it repeats while a control
hello, one that this target has accepted, is answered in between; a time-out never does.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from tlscheck.core import model
from tlscheck.core.explore import VERSIONS, Answer, Exploration, Refused, T, Unknown, explore
from tlscheck.core.model import Endpoint, EndpointReport, Target, TargetReport
from tlscheck.core.wire import (
    RANDOM_BYTES,
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
    sendable_name,
)

# Alerts that mean "nothing you offered will do" (RFC 8446, section 6.2).
_REFUSALS = {40: "handshake_failure", 47: "illegal_parameter", 70: "", 71: "insufficient_security"}
_PROTOCOL_VERSION = 70


class Dial(Protocol):
    """Asks one hello of one address: `io.tcp.exchange`."""

    def __call__(
        self, address: str, port: int, hello: Hello, random: bytes, *, connect: float, read: float
    ) -> Awaitable[Reply]: ...


@dataclass(frozen=True, slots=True)
class Resolved:
    """What a look-up gave: addresses, or why there are none."""

    addresses: tuple[str, ...] = ()
    why: str | None = None
    pinned: bool = False


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of a run. Times are seconds."""

    at_once: int = 200  # connections of the whole run
    per_target: int = 6  # connections to one address
    connect: float = 5.0
    read: float = 5.0
    patience: float = 31.0  # the longest read, for a server that answers other hellos
    deadline: float = 60.0  # of one target
    budget: int = 1500  # connections to one target


@dataclass(slots=True)
class World:
    """All that a scan needs from outside."""

    resolve: Callable[[Endpoint], Awaitable[Resolved]]
    dial: Dial
    clock: Callable[[], float]
    random: Callable[[int], bytes]
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    https: Callable[[Target], Awaitable[dict[str, Any]]] | None = None
    limits: Limits = field(default_factory=Limits)
    progress: Callable[[int, int, int], None] = lambda done, total, connections: None


class Prober:
    """Asks hellos of one target, and settles what the replies are worth."""

    def __init__(self, target: Target, world: World, slots: asyncio.Semaphore) -> None:
        self.target, self.world, self.limits = target, world, world.limits
        self.connections = 0
        self.stopped: str | None = None  # why nothing more is asked
        self.heard = False  # the peer has sent, refused or reset something after connecting
        self._slots = slots
        self._mine = asyncio.Semaphore(world.limits.per_target)
        self._ends = world.clock() + world.limits.deadline
        self._control: Hello | None = None
        self._good = self._faults = 0
        self._gap = 0.0  # seconds between connections, grown by faults
        self._next = 0.0

    async def drive(self, exploration: Exploration[T]) -> T:
        """Run an exploration to its end."""
        try:
            hellos = next(exploration)
            while True:
                hellos = exploration.send(await self._answers(hellos))
        except StopIteration as stop:
            value: T = stop.value
            return value

    async def _answers(self, hellos: tuple[Hello, ...]) -> tuple[Answer, ...]:
        # All are asked once before any is settled: what is accepted serves as the control.
        first = await asyncio.gather(*(self.ask(hello) for hello in hellos))
        if not self.heard:
            await self._knock(hellos[0], first)
        settled = (self.settle(h, r) for h, r in zip(hellos, first, strict=True))
        return tuple(await asyncio.gather(*settled))

    async def _knock(self, hello: Hello, replies: Sequence[Reply | None]) -> None:
        """Nobody has answered yet: try a little longer, then give the target up."""
        reply = next((r for r in replies if r is not None), None)
        for wait in (0.2, 0.8):
            if self.stopped or self.heard or reply is None:
                return
            await self._pause(wait)
            reply = await self.ask(hello)
        if not self.heard and reply is not None:
            self.stopped = self.stopped or str(reply)

    async def ask(self, hello: Hello, read: float | None = None) -> Reply | None:
        """One exchange, or `None` once this target is stopped."""
        async with self._mine:
            if self._gap:
                await self._pause(self._turn())
            async with self._slots:
                left = self._ends - self.world.clock()
                if self.stopped is None and left <= 0:
                    self.stopped = f"deadline of {self.limits.deadline:g} s passed"
                if self.stopped is None and self.connections >= self.limits.budget:
                    self.stopped = f"budget of {self.limits.budget} connections spent"
                if self.stopped:
                    return None
                self.connections += 1
                reply = await self.world.dial(
                    self.target.address,
                    self.target.endpoint.port,
                    hello,
                    self.world.random(RANDOM_BYTES),
                    connect=min(self.limits.connect, left),
                    read=min(read or self.limits.read, left),
                )
        self._note(hello, reply)
        return reply

    def _turn(self) -> float:
        now = self.world.clock()
        self._next = max(self._next, now) + self._gap
        return self._next - now

    async def _pause(self, seconds: float) -> None:
        await self.world.sleep(max(0.0, min(seconds, self._ends - self.world.clock())))

    def _note(self, hello: Hello, reply: Reply) -> None:
        if not isinstance(reply, Silent | Unreachable | OwnFault):
            self.heard = True
        if isinstance(reply, Picked) and reply.whole and reply.version == hello.version:
            self._control = hello
            self._good += 1
        if isinstance(reply, Picked | Ssl2Picked | Alert):
            self._gap = self._gap * 0.6 if self._gap > 0.01 else 0.0
        else:
            self._gap = min(max(self._gap * 1.5, 0.02), 0.5)

    def _needed(self) -> int:
        """How often a hang-up must repeat to be a refusal: so often that chance, at the rate of
        faults seen on hellos that this target accepts, is no explanation."""
        rate = (self._faults + 1) / (self._good + self._faults + 2)
        odds = 1e-7 if self._faults else 1e-3
        return max(3, math.ceil(math.log(odds) / math.log(rate)))

    async def settle(self, hello: Hello, reply: Reply | None) -> Answer:
        """What `reply` is worth as an answer to `hello`; asks again as long as that is open."""
        hangups = silences = others = witnesses = 0
        for attempt in range(60):
            if reply is None:
                return Unknown(self.stopped or "not asked")
            match reply:
                case Ssl2Picked():
                    return reply
                case Picked(whole=whole, why=why):
                    if whole or (why or "").startswith("alert"):
                        self._faults += hangups
                        return reply
                    hangups += 1
                case Alert(code=code) if code in _REFUSALS:
                    return Refused(str(reply), version=code == _PROTOCOL_VERSION)
                case Alert() | Hangup():
                    hangups += 1
                case Silent():
                    silences += 1
                case Garbage() | Unreachable() | OwnFault():
                    others += 1
            if hangups and not silences and not others and self._control:
                control = await self.ask(self._control)
                if isinstance(control, Picked) and control.whole:
                    witnesses += 1
                elif control is not None:
                    self._faults += 1
                needed = self._needed()
                if hangups >= needed and witnesses >= needed - 1:
                    return self._refusal(reply, hangups)
            patience = 3 if self.heard else 2
            if silences >= patience or others >= 4 or (hangups >= 5 and not self._control):
                return Unknown(self._unknown(reply, hangups + silences + others))
            await self._pause(
                min(2.0, 0.03 * 1.5**attempt) if not isinstance(reply, OwnFault) else 1
            )
            longer = self.limits.patience if silences == 2 else self.limits.read
            reply = await self.ask(hello, longer)
        return Unknown("no steady answer in 60 tries")

    def _refusal(self, reply: Reply, times: int) -> Answer:
        if isinstance(reply, Picked):  # picked, and hung up on it each time
            return replace(reply, why=f"{reply.why} {times} times")
        # A close or reset is as plain as such a server gets; other alerts may be about one suite.
        why = f"{reply} {times} times, while others were answered"
        return Refused(why, plain=isinstance(reply, Hangup))

    def _unknown(self, reply: Reply, times: int) -> str:
        seen = reply.why if isinstance(reply, Picked) else str(reply)
        control = "" if self._control else ", and no hello accepted to compare with"
        return f"{seen} ({times} times{control if isinstance(reply, Hangup | Alert) else ''})"


async def probe(target: Target, world: World, slots: asyncio.Semaphore) -> TargetReport:
    """All observations of one target."""
    prober = Prober(target, world, slots)
    https = asyncio.ensure_future(world.https(target)) if world.https else None
    facts = await prober.drive(explore(sendable_name(target.endpoint.sni)))
    protocols = {fact.version.label: fact.protocol for fact in facts}
    notes = [note for fact in facts for note in fact.notes]
    features: dict[str, Any] = {"notes": notes} if notes else {}
    if target.pinned:
        features["pinned"] = True
    reachable: model.Answer = "yes" if prober.heard else "unknown"
    why = None if prober.heard else prober.stopped
    if why == "connection refused":
        reachable = "no"
    return TargetReport(
        address=target.address,
        reachable=reachable,
        why=why,
        connections=prober.connections,
        protocols=protocols,
        https=await https if https else {},
        features=features,
    )


def unprobed(address: str, why: str) -> TargetReport:
    """The report of a target that was never asked anything."""
    labels = sorted(VERSIONS)
    protocols = {version.label: model.Protocol("unknown", why) for version in labels}
    return TargetReport(address, "unknown", why, 0, protocols)


def differ(targets: Sequence[TargetReport]) -> bool:
    """Whether what is known of some targets contradicts what is known of others."""
    for label in {label for target in targets for label in target.protocols}:
        known = [p for t in targets if (p := t.protocols.get(label)) and p.offered != "unknown"]
        if len({p.offered for p in known}) > 1:
            return True
        whole = [p for p in known if p.why is None or p.offered == "no"]
        if len({(p.suites, p.order, p.groups) for p in whole}) > 1:
            return True
    return False


async def scan_endpoint(
    endpoint: Endpoint, world: World, slots: asyncio.Semaphore
) -> EndpointReport:
    """Resolve an endpoint and probe each of its addresses."""
    resolved = await world.resolve(endpoint)
    targets = [Target(endpoint, address, resolved.pinned) for address in resolved.addresses]
    if targets:
        reports = tuple(await asyncio.gather(*(probe(t, world, slots) for t in targets)))
    else:
        reports = (unprobed("", resolved.why or "no address"),)
    return report_of(endpoint, tuple(sorted(reports, key=lambda report: report.address)))


def report_of(endpoint: Endpoint, targets: tuple[TargetReport, ...]) -> EndpointReport:
    """An endpoint's report from those of its targets."""
    return EndpointReport(
        endpoint.id,
        endpoint.service,
        endpoint.partition,
        endpoint.region,
        endpoint.variant,
        endpoint.host,
        endpoint.port,
        differ(targets),
        targets,
    )


async def scan(
    endpoints: Sequence[Endpoint], world: World, stop: asyncio.Event
) -> tuple[tuple[EndpointReport, ...], bool]:
    """Scan all endpoints; their reports in the order given, and whether the run is complete.

    All start at once under the limit on connections, so no far or silent one holds up the rest.
    When `stop` is set, what is finished is kept and the rest is reported as interrupted.
    """
    slots = asyncio.Semaphore(world.limits.at_once)
    done: dict[str, EndpointReport] = {}

    async def one(endpoint: Endpoint) -> None:
        report = await scan_endpoint(endpoint, world, slots)
        done[endpoint.id] = report
        spent = sum(t.connections for r in done.values() for t in r.targets)
        world.progress(len(done), len(endpoints), spent)

    work = asyncio.gather(*(one(endpoint) for endpoint in endpoints))
    stopped = asyncio.ensure_future(stop.wait())
    await asyncio.wait((work, stopped), return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    if not work.done():
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
    else:
        work.result()
    reports = tuple(
        done.get(e.id) or report_of(e, (unprobed("", "interrupted"),)) for e in endpoints
    )
    return reports, len(done) == len(endpoints)
