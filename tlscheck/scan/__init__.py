"""Drives explorations under limits. Network, clock and randomness are handed in (`World`).

`prober` decides what a reply is worth and asks again, `pace` how fast; here targets become
reports.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from itertools import zip_longest
from typing import Any

from tlscheck.core import doubt, foresight, model, reach
from tlscheck.core.eliminate import Answer
from tlscheck.core.explore import (
    VERSIONS,
    VersionFacts,
    explore_version,
    hidden,
    knocks,
    opening,
)
from tlscheck.core.features import Looked
from tlscheck.core.habits import late
from tlscheck.core.model import Endpoint, EndpointReport, Target, TargetReport
from tlscheck.core.registry import Version
from tlscheck.core.reply import Hello
from tlscheck.scan.lesson import Lesson
from tlscheck.scan.looking import keyed, looked
from tlscheck.scan.prober import Prober
from tlscheck.scan.second import second
from tlscheck.scan.world import Check, Limits, Resolved, World

__all__ = ["INTERRUPTED", "Limits", "Resolved", "World", "scan"]

INTERRUPTED = "interrupted"
STARTS = 32  # targets that may have just begun: more would wait for this machine, not for servers
START = 0.35  # seconds for which a target counts as one that has just begun
SELDOM_SPOKEN = (Version.TLSv1_3, Version.SSLv3)  # by those whose other versions agree
MARGIN = 3  # connections that a server in trouble may take more than another time
FIRST = 2  # versions asked at once of a server that has said nothing yet: so few slots are held


class Run:
    """What all targets of a run share: the limits, what servers taught, and the end."""

    def __init__(self, world: World, endpoints: Sequence[Endpoint]) -> None:
        self.world = world
        self.slots = asyncio.Semaphore(world.limits.at_once)
        self.probers: set[Prober] = set()
        self.interrupted = False
        kinds = Counter(map(_kind, endpoints))
        self._lessons = {
            kind: Lesson(count, world.limits.per_target) for kind, count in kinds.items()
        }
        self._starts = asyncio.Semaphore(min(STARTS, max(1, world.limits.at_once // FIRST)))

    def interrupt(self) -> None:
        """Ask no more; what was learned stays."""
        self.interrupted = True
        for prober in self.probers:
            prober.halt(INTERRUPTED)
        for lesson in self._lessons.values():
            lesson.end()

    async def probe(self, target: Target) -> TargetReport:
        """All observations of one target."""
        lesson = self._lessons[_kind(target.endpoint)]
        async with lesson.turn(), self._start():
            return await self._probe(target, lesson)

    @asynccontextmanager
    async def _start(self) -> AsyncIterator[None]:
        """A place among the targets that have just begun: the memory that a run takes has a bound,
        and a slow target keeps no other from its turn."""
        await self._starts.acquire()
        later = asyncio.get_running_loop().call_later(START, self._starts.release)
        try:
            yield
        finally:
            if later.when() > asyncio.get_running_loop().time():
                later.cancel()
                self._starts.release()

    async def _probe(self, target: Target, lesson: Lesson) -> TargetReport:
        limits = self.world.limits
        prober = Prober(target, self.world, self.slots)
        https = asyncio.ensure_future(_asked(self.world.https, target))
        http = asyncio.ensure_future(_asked(self.world.http, target))
        self.probers.add(prober)
        if self.interrupted:
            prober.halt(INTERRUPTED)
        roomy = len(self.probers) * limits.per_target <= limits.at_once
        try:
            facts, mixed = await _explore(prober, lesson, roomy)
            facts = await keyed(prober, facts)
            found = Looked()
            if self.world.certificates:
                found, left = await looked(prober, facts, limits.features)
                if mixed is None and limits.again:
                    facts, mixed = await _further(prober, facts, left - MARGIN)
            unsteady = [v.label for v in doubt.unsteady(prober.log)]
            answered = await https
            facts, odd = _witnessed(facts, answered)
            deep: dict[str, Any] | None = None
            if self.world.deep:
                deep, facts, other = await second(self.world.deep, prober, target, facts)
                odd = odd or other
        finally:
            self.probers.discard(prober)
            prober.ahead.forget()
            prober.log.clear()
        _add_group(answered, facts)
        mixed = mixed or odd
        features = dict(late(found.features, answered.pop("ticket", None)))
        if notes := [note for fact in facts for note in fact.told()]:
            features["notes"] = list(dict.fromkeys(notes))
        if strays := [stray for fact in facts for stray in fact.strays]:
            features["unoffered"] = list(dict.fromkeys(strays))
        if mixed:
            features["mixed"] = mixed
            features["unsteady"] = unsteady
        if target.pinned:
            features["pinned"] = True
        read = self.world.certificates
        certificates = read(target, found.chains, answered) if read else ()
        picked = found.features.get("alpn", {}).get("picked")
        why = None if prober.answered else prober.stopped
        reachable: model.Answer = "yes" if prober.connected else "unknown"
        if why == "connection refused":
            reachable = "no"
        return TargetReport(
            address=target.address,
            reachable=reachable,
            why=why,
            connections=prober.connections,
            protocols={fact.version.label: fact.protocol for fact in facts},
            certificates=certificates,
            https=reach.doubted(answered, facts, certificates, picked),
            http=await http,
            features=features,
            deep=deep,
        )

    async def endpoint(self, endpoint: Endpoint) -> EndpointReport:
        """Resolve an endpoint and probe each of its addresses."""
        resolved = await self.world.resolve(endpoint)
        targets = [Target(endpoint, address, resolved.pinned) for address in resolved.addresses]
        reports = list(await asyncio.gather(*map(self.probe, targets)))
        reports += [unprobed(address, why, skipped=True) for address, why in resolved.skipped]
        reports += [unprobed("", why) for why in resolved.unseen]
        if not reports:
            reports = [unprobed("", resolved.why or "no address")]
        return report_of(endpoint, tuple(sorted(reports, key=lambda report: report.address)))


async def _asked(check: Check | None, target: Target) -> dict[str, Any]:
    return await check(target) if check else {}


def _add_group(answered: dict[str, Any], facts: Sequence[VersionFacts]) -> None:
    """The group that HTTPS negotiated, where the version has but one."""
    for fact in facts:
        groups = fact.protocol.groups
        if fact.version.label == answered.get("version") and len(groups) == 1:
            suite = answered.get("suite")
            if fact.version is Version.TLSv1_3 or "_ECDHE_" in str(suite):
                answered["group"] = groups[0] if fact.protocol.why is None else None


async def _explore(
    prober: Prober, lesson: Lesson, roomy: bool
) -> tuple[tuple[VersionFacts, ...], str | None]:
    """What was found of each version, by age; and how the answers contradict each other. `roomy`:
    there is room for more connections to a server that has said nothing yet."""
    again = prober.limits.again
    openings = [opening(version) for version in VERSIONS[: None if roomy else FIRST]]
    taught = lesson.only() if roomy else None
    if taught:
        prober.ahead.follow(taught.again if again else taught.trail)
    elif roomy and prober.limits.early and not lesson.taught:
        prober.ahead.early(tuple(map(opening, SELDOM_SPOKEN)) * (1 + doubt.REFUSED_SELDOM))
    replies = await prober.open(openings, knocks())
    if not taught:
        first = [(h, r) for h, r in zip(openings, replies, strict=True) if r is not None]
        if taught := lesson.like(first):
            prober.ahead.follow(taught.again if again else taught.trail, first)
        else:
            prober.ahead.suppose(first)
    found = await asyncio.gather(
        *(
            prober.drive(explore_version(version), reply)
            for version, reply in zip_longest(VERSIONS, replies)
        )
    )
    facts = tuple(sorted(found, key=lambda fact: fact.version))
    asked = tuple(prober.log)
    followed = taught is not None and foresight.same(asked, taught.trail)
    twin = taught if followed else lesson.twin(asked)
    if twin and not await lesson.proven(twin):
        twin = None
    odd = False
    if twin:
        # Where it did not follow, it was asked in vain, too; and at gentle may have been.
        spent = len(asked) if followed and again else prober.connections
        left = max(doubt.FEW - spent, 0 if followed else doubt.LEAST)
        odd = not await _steady(prober, asked, doubt.briefly(asked, left))
    if twin and not odd:
        spare = await prober.spare_replies()
        # What it has said since is held against all it said only if it is something new.
        alike = foresight.within(prober.log, twin.again)
        mixed = None if alike else doubt.contradiction(prober.log)
    else:
        with lesson.learn(_trail(asked, facts)) as fresh:
            plain = facts
            if odd or await _open(prober, asked):
                facts = await _closely(prober, facts)
            spare = await prober.spare_replies()
            mixed = doubt.contradiction(prober.log)
            if fresh and mixed is None and facts == plain and prober.stopped is None:
                fresh.proof.set_result(True)
    facts, lost = doubt.overlooked(facts, spare)
    return await _of_each(prober, facts, mixed or lost)


async def _further(
    prober: Prober, facts: tuple[VersionFacts, ...], left: int
) -> tuple[tuple[VersionFacts, ...], str | None]:
    """`facts`, and how the answers contradict each other, when what is `left` of the connections
    for features has been spent on asking again."""
    asked = tuple(prober.log)
    if await _steady(prober, asked, doubt.scarcest(asked, left)):
        return facts, None
    facts = await _closely(prober, facts)
    return await _of_each(prober, facts, doubt.contradiction(prober.log))


async def _closely(prober: Prober, facts: tuple[VersionFacts, ...]) -> tuple[VersionFacts, ...]:
    """`facts` with what hides behind the lists; and all that may tell unequal servers apart is
    asked again."""
    facts = await _behind(prober, facts)
    await prober.answers(doubt.doubts(prober.log))
    return facts


async def _steady(prober: Prober, asked: doubt.Log, again: Sequence[Hello]) -> bool:
    """Whether a server that has answered all as its neighbours do, or as its versions let expect
    of each other, goes on like that when it is asked `again`, and hides nothing."""
    return foresight.steady(asked, tuple(zip(again, await prober.answers(again), strict=True)))


async def _open(prober: Prober, asked: doubt.Log) -> bool:
    """Whether a server that no other stands for is to be looked at closely: always, or where few
    are asked again only if its versions do not agree, or it does not go on like that."""
    if prober.limits.again or not doubt.agreed(asked):
        return True
    few = doubt.briefly(asked, doubt.FEW - prober.connections)
    return not await _steady(prober, asked, few)


async def _of_each(
    prober: Prober, facts: tuple[VersionFacts, ...], mixed: str | None
) -> tuple[tuple[VersionFacts, ...], str | None]:
    """`facts` with what unequal servers at this address have besides, if it is `mixed`: all is
    asked so often that each of them is met."""
    if mixed is None:
        return facts, None
    again = await asyncio.gather(
        *(prober.drive(explore_version(fact.version, insist=doubt.OFTEN)) for fact in facts)
    )
    return tuple(doubt.merged(*both) for both in zip(facts, again, strict=True)), mixed


def _trail(
    asked: Sequence[tuple[Hello, Answer]], facts: Sequence[VersionFacts]
) -> foresight.Trail | None:
    """What others may be asked ahead, if nothing was out of the ordinary."""
    return None if any(fact.told() for fact in facts) else foresight.trail_of(asked)


def _witnessed(
    facts: tuple[VersionFacts, ...], https: dict[str, Any]
) -> tuple[tuple[VersionFacts, ...], str | None]:
    """`facts` and how the HTTPS check contradicts them, if it does: what a whole handshake has
    negotiated is offered, whatever a hello was told."""
    label, suite = https.get("version"), https.get("suite")
    if not isinstance(suite, str) or suite.startswith("0x"):
        return facts, None
    for at, fact in enumerate(facts):
        found = fact.protocol
        if fact.version.label != label or found.offered == "unknown" or suite in found.suites:
            continue
        if found.offered == "yes" and found.why:  # the list is not said to be whole
            continue
        odd = f"{label}: HTTPS negotiates {suite}, which was refused to a hello"
        return (*facts[:at], doubt.with_pick(fact, suite), *facts[at + 1 :]), odd
    return facts, None


async def _behind(prober: Prober, facts: Sequence[VersionFacts]) -> tuple[VersionFacts, ...]:
    """`facts` with the suites that the whole list hid. The newest version stands for all, as long
    as it hid nothing and the others agree with it."""
    spoken = [f for f in facts if f.protocol.offered == "yes" and f.version < Version.TLSv1_3]
    if not spoken:
        return tuple(facts)
    *older, newest = spoken
    seen = {newest.version: await prober.drive(hidden(newest))}
    if seen[newest.version] is not newest or not doubt.agreed(prober.log):
        more = await asyncio.gather(*(prober.drive(hidden(fact)) for fact in older))
        seen |= {fact.version: fact for fact in more}
    return tuple(seen.get(fact.version, fact) for fact in facts)


def _kind(endpoint: Endpoint) -> tuple[str, str]:
    """Endpoints that are probably set up alike."""
    return endpoint.service, endpoint.variant


def unprobed(address: str, why: str, *, skipped: bool = False) -> TargetReport:
    """The report of a target that was never asked anything."""
    protocols = {version.label: model.Protocol("unknown", why) for version in sorted(VERSIONS)}
    features = {"skipped": why} if skipped else {}
    return TargetReport(address, "unknown", why, 0, protocols, features=features)


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
        differ(targets) or any("mixed" in target.features for target in targets),
        targets,
    )


async def scan(
    endpoints: Sequence[Endpoint], world: World, stop: asyncio.Event
) -> tuple[tuple[EndpointReport, ...], bool]:
    """Scan all endpoints; their reports in the order given, and whether the run is complete.

    All start at once under the limit on connections, so no far or silent one holds up the rest.
    When `stop` is set, what was learned by then is reported, and the rest as interrupted.
    """
    run = Run(world, endpoints)
    done = spent = 0

    async def one(endpoint: Endpoint) -> EndpointReport:
        nonlocal done, spent
        report = await run.endpoint(endpoint)
        if not stop.is_set():
            world.finished(report)
        done += 1
        spent += sum(target.connections for target in report.targets)
        world.progress(done, len(endpoints), spent)
        return report

    work = asyncio.gather(*map(one, endpoints))
    stopped = asyncio.ensure_future(stop.wait())
    await asyncio.wait((work, stopped), return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    if not work.done():
        run.interrupt()
    return tuple(await work), not run.interrupted
