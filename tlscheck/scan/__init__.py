"""Drives explorations under limits. Network, clock and randomness are handed in (`World`).

`prober` decides what a reply is worth and asks again, `pace` how fast; here targets become
reports.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from tlscheck.core import doubt, model
from tlscheck.core.explore import VERSIONS, VersionFacts, explore_version, knocks, opening
from tlscheck.core.model import Endpoint, EndpointReport, Target, TargetReport
from tlscheck.core.wire import sendable_name
from tlscheck.scan.prober import Prober
from tlscheck.scan.world import Limits, Resolved, World

__all__ = ["INTERRUPTED", "Limits", "Resolved", "World", "scan"]

INTERRUPTED = "interrupted"


class Run:
    """What all targets of a run share: the limit on connections, and the end."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.slots = asyncio.Semaphore(world.limits.at_once)
        self.probers: set[Prober] = set()
        self.interrupted = False

    def interrupt(self) -> None:
        """Ask no more; what was learned stays."""
        self.interrupted = True
        for prober in self.probers:
            prober.halt(INTERRUPTED)

    async def probe(self, target: Target) -> TargetReport:
        """All observations of one target."""
        prober = Prober(target, self.world, self.slots)
        https = asyncio.ensure_future(self.world.https(target)) if self.world.https else None
        self.probers.add(prober)
        if self.interrupted:
            prober.halt(INTERRUPTED)
        try:
            facts, mixed = await _explore(prober, sendable_name(target.endpoint.sni))
        finally:
            self.probers.discard(prober)
        features: dict[str, Any] = {}
        if notes := [note for fact in facts for note in fact.notes]:
            features["notes"] = list(dict.fromkeys(notes))
        if mixed:
            features["mixed"] = mixed
            features["unsteady"] = [v.label for v in doubt.unsteady(prober.log)]
        if target.pinned:
            features["pinned"] = True
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
            https=await https if https else {},
            features=features,
        )

    async def endpoint(self, endpoint: Endpoint) -> EndpointReport:
        """Resolve an endpoint and probe each of its addresses."""
        resolved = await self.world.resolve(endpoint)
        targets = [Target(endpoint, address, resolved.pinned) for address in resolved.addresses]
        reports = list(await asyncio.gather(*map(self.probe, targets)))
        reports += [unprobed(address, why, skipped=True) for address, why in resolved.skipped]
        if not reports:
            reports = [unprobed("", resolved.why or "no address")]
        return report_of(endpoint, tuple(sorted(reports, key=lambda report: report.address)))


async def _explore(prober: Prober, name: str | None) -> tuple[tuple[VersionFacts, ...], str | None]:
    """What was found of each version, by age; and how the answers contradict each other."""
    openings = [opening(version, name) for version in VERSIONS]
    replies = await prober.open(openings, knocks(name))
    first = await asyncio.gather(
        *(
            prober.drive(explore_version(version, name), reply)
            for version, reply in zip(VERSIONS, replies, strict=True)
        )
    )
    facts = tuple(sorted(first, key=lambda fact: fact.version))
    await prober.answers(doubt.doubts(prober.log))
    mixed = doubt.contradiction(prober.log)
    if mixed is None:
        return facts, None
    # Unequal servers share this address: ask everything so often that each is met.
    again = await asyncio.gather(
        *(prober.drive(explore_version(fact.version, name, insist=doubt.OFTEN)) for fact in facts)
    )
    together = zip(facts, again, strict=True)
    return tuple(doubt.merged(before, after) for before, after in together), mixed


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
    run = Run(world)
    done: list[EndpointReport] = []

    async def one(endpoint: Endpoint) -> EndpointReport:
        report = await run.endpoint(endpoint)
        done.append(report)
        spent = sum(t.connections for r in done for t in r.targets)
        world.progress(len(done), len(endpoints), spent)
        return report

    work = asyncio.gather(*map(one, endpoints))
    stopped = asyncio.ensure_future(stop.wait())
    await asyncio.wait((work, stopped), return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    if not work.done():
        run.interrupt()
    return tuple(await work), not run.interrupted
