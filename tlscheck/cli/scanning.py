"""The scan command's heart: endpoints in, report out, under signals."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import resource
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from tlscheck import __version__
from tlscheck.cli.output import on_terminal
from tlscheck.core import policy as judging
from tlscheck.core.features import Chain
from tlscheck.core.model import (
    Depth,
    Endpoint,
    EndpointReport,
    PolicyUse,
    Report,
    Run,
    Target,
    Tool,
)
from tlscheck.core.policy import Policy
from tlscheck.io import dns, tcp
from tlscheck.io.journal import Journal
from tlscheck.io.settings import Settings
from tlscheck.scan import INTERRUPTED, Limits, Resolved, World, scan
from tlscheck.scan.world import Check, Deep, Read

DNS_SECONDS = 15.0
MOST_ADDRESSES = 128  # of one name that are asked
MOST_HTTPS = 32  # HTTPS requests at once
SIGNALS = (signal.SIGINT, signal.SIGTERM)
GC_EVERY = 5000  # objects, between looking for cycles among the new ones
OUR_FILES = 16  # descriptors that are none of the scan's connections

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Job:
    """What to scan and how. `family` is 4 or 6 to leave out the addresses of the other,
    `nameserver` the one to ask (ADDRESS[:PORT]) instead of the system's resolver."""

    endpoints: tuple[Endpoint, ...]
    policies: tuple[Policy, ...]
    as_of: date
    depth: Depth
    ca_bundle: Path | None
    limits: Limits
    family: int | None = None
    nameserver: str | None = None


def job_of(
    settings: Settings, endpoints: tuple[Endpoint, ...], policies: Sequence[Policy], as_of: date,
    ca_bundle: Path | None,
) -> Job:  # fmt: skip
    """The job that the `settings` ask for, of these endpoints (those configured, or the lab's)."""
    return Job(
        endpoints,
        tuple(policies),
        as_of,
        settings.depth,
        ca_bundle,
        Limits.of(settings.pace, settings.deadline),
        settings.family,
        settings.nameserver,
    )


@dataclass(frozen=True, slots=True)
class Done:
    """A report, and the signal that ended the scan early, if one did."""

    report: Report
    signal: int | None


def run(job: Job, journal: Journal | None = None) -> Done:
    """Scan and judge. With a `journal` its run is gone on with: what is finished there is not asked
    again, and what gets finished is added to it."""
    limits = _within_descriptors(job.limits)
    # What was imported stays; and with so many objects alive, looking for cycles takes its time.
    gc.freeze()
    gc.set_threshold(GC_EVERY)
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(_run(replace(job, limits=limits), journal))


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop's loop where it is installed (the extra `fast`), else `None` for asyncio's own."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


def _within_descriptors(limits: Limits) -> Limits:
    """`limits` with no more connections at once than this process may have descriptors."""
    wanted = limits.at_once + 2 * MOST_HTTPS + OUR_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        # Of what is left, a third goes to the HTTPS requests.
        spare = max(3, (soft - OUR_FILES) * 2 // 3)
        limits = replace(limits, at_once=min(limits.at_once, spare))
    return limits


async def _run(job: Job, journal: Journal | None) -> Done:
    stop = asyncio.Event()
    caught: list[int] = []
    loop = asyncio.get_running_loop()

    def on_signal(number: int) -> None:
        if caught:  # the second one is meant
            os._exit(128 + number)
        caught.append(number)
        stop.set()

    for number in SIGNALS:
        loop.add_signal_handler(number, on_signal, number)
    try:
        return await _scanned(job, journal, stop, caught)
    finally:
        for number in SIGNALS:  # uvloop would keep them to itself
            loop.remove_signal_handler(number)


async def _scanned(
    job: Job, journal: Journal | None, stop: asyncio.Event, caught: Sequence[int]
) -> Done:
    """The scan itself, until `stop`; `caught` is the signal that has set it."""
    started = journal.header.started if journal else stamp(datetime.now(UTC))
    name = journal.header.run if journal else run_id()
    finished = journal.finished if journal else {}
    left = [endpoint for endpoint in job.endpoints if endpoint.id not in finished]
    progress = _Progress(len(left))
    world = World(
        resolve=_resolve(job, stop),
        dial=tcp.exchange,
        clock=time.monotonic,
        random=os.urandom,
        https=None if job.depth == "quick" else _https(job, stop),
        http=None if job.depth == "quick" else _http(job, stop),
        certificates=None if job.depth == "quick" else _certificates(job),
        deep=_deep(job, stop) if job.depth == "deep" else None,
        limits=job.limits,
        progress=progress.update,
        finished=journal.add if journal else lambda report: None,
    )
    with progress:
        reports, complete = await scan(left, world, stop)
    fresh = iter(reports)
    endpoints = [finished[e.id] if e.id in finished else next(fresh) for e in job.endpoints]
    report = _report(job, name, started, endpoints, complete)
    return Done(report, caught[0] if caught and not complete else None)


async def _unless(stop: asyncio.Event, work: Coroutine[Any, Any, T]) -> T | None:
    """The result of `work`, or `None` when `stop` comes first."""
    task, stopped = asyncio.ensure_future(work), asyncio.ensure_future(stop.wait())
    await asyncio.wait((task, stopped), return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    if task.done():
        return task.result()
    task.cancel()
    await asyncio.wait((task,))
    return None


def _resolve(job: Job, stop: asyncio.Event) -> Callable[[Endpoint], Awaitable[Resolved]]:
    slots = asyncio.Semaphore(max(1, job.limits.at_once // 3))  # each holds a descriptor or two

    asked = dns.resolver(job.nameserver) if job.nameserver else None

    async def look_up(endpoint: Endpoint) -> Resolved:
        if asked is None:
            return Resolved(*await dns.look_up(endpoint, DNS_SECONDS))
        addresses, why, unseen = await dns.look_up_at(asked, endpoint, DNS_SECONDS)
        # What was not seen stands in the report as a target without an address.
        return Resolved(addresses, why, unseen=(unseen,) if unseen else ())

    async def resolve(endpoint: Endpoint) -> Resolved:
        if endpoint.addresses:
            found = Resolved(endpoint.addresses, pinned=True)
        else:
            async with slots:
                answer = await _unless(stop, look_up(endpoint))
            found = answer or Resolved((), INTERRUPTED)
        return _of_family(_bounded(found), job.family)

    return resolve


def _bounded(found: Resolved) -> Resolved:
    """No more addresses than one name may cost; that there are more is said."""
    left = len(found.addresses) - MOST_ADDRESSES
    if left <= 0:
        return found
    why = f"not asked: {left} more addresses than the {MOST_ADDRESSES} that one name may have"
    return replace(found, addresses=found.addresses[:MOST_ADDRESSES], unseen=(*found.unseen, why))


def _of_family(found: Resolved, family: int | None) -> Resolved:
    """Only the addresses of this family; the others are skipped, and said to be."""
    if family is None:
        return found
    keep = {a: (6 if ":" in a else 4) == family for a in found.addresses}
    why = f"not asked: only IPv{family} was wanted"
    other = "AAAA: " if family == 4 else "A: "
    return replace(
        found,
        addresses=tuple(a for a, wanted in keep.items() if wanted),
        skipped=found.skipped + tuple((a, why) for a, wanted in keep.items() if not wanted),
        unseen=tuple(text for text in found.unseen if not text.startswith(other)),
    )


def _https(job: Job, stop: asyncio.Event) -> Check:
    from tlscheck.io import https

    return _requests(
        job,
        stop,
        partial(https.check, ca_bundle=job.ca_bundle),
        https.answer("unknown", INTERRUPTED),
    )


def _http(job: Job, stop: asyncio.Event) -> Check:
    from tlscheck.io import http

    return _requests(job, stop, http.check, http.answer("unknown", INTERRUPTED))


def _deep(job: Job, stop: asyncio.Event) -> Deep:
    """sslyze, four at once for each processor: they wait most of their time."""
    from tlscheck.io import deep

    slots = asyncio.Semaphore(4 * (os.cpu_count() or 1))

    async def check(target: Target, begin: Callable[[], float]) -> dict[str, Any]:
        async with slots:
            if not stop.is_set():
                said = await _unless(stop, deep.ask(target, begin()))
                if said:
                    return said
        return {"outcome": "unknown", "why": INTERRUPTED}

    return check


def _requests(
    job: Job,
    stop: asyncio.Event,
    ask: Callable[..., Coroutine[Any, Any, dict[str, Any]]],
    interrupted: dict[str, Any],
) -> Check:
    """A check that asks HTTP requests, so many at once, until the run is interrupted."""
    slots = asyncio.Semaphore(max(1, min(MOST_HTTPS, job.limits.at_once // 3)))
    timeout = min(12.0, job.limits.deadline)

    async def check(target: Target) -> dict[str, Any]:
        async with slots:
            return await _unless(stop, ask(target, timeout=timeout)) or interrupted

    return check


def _certificates(job: Job) -> Read:
    from tlscheck.io import chains

    def read(
        target: Target, sent: tuple[Chain, ...], https: dict[str, Any]
    ) -> tuple[dict[str, Any], ...]:
        return chains.read(target, sent, https, ca_bundle=job.ca_bundle, now=datetime.now(UTC))

    return read


def run_id() -> str:
    """A new one."""
    return os.urandom(4).hex()


def stamp(moment: datetime) -> str:
    """A moment as reports have it."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _report(
    job: Job, name: str, started: str, endpoints: Sequence[EndpointReport], complete: bool
) -> Report:
    reports = tuple(endpoints)
    run_ = Run(
        id=name,
        started=started,
        finished=stamp(datetime.now(UTC)),
        complete=complete,
        connections=sum(t.connections for r in reports for t in r.targets),
        depth=job.depth,
    )
    report = Report(
        schema="tlscheck-report/1",
        tool=Tool("tlscheck", __version__),
        run=run_,
        policies=(),
        endpoints=reports,
        findings=(),
        summary={},
    )
    return judged(report, job.policies, job.as_of, {e.id: e for e in job.endpoints})


def judged(
    report: Report,
    policies: Sequence[Policy],
    as_of: date,
    catalog: dict[str, Endpoint] | None = None,
) -> Report:
    """`report` with the findings of `policies` on the date `as_of`."""
    findings = judging.judge(policies, report.endpoints, catalog, as_of=as_of)
    return replace(
        report,
        policies=tuple(PolicyUse(p.id, as_of.isoformat()) for p in policies),
        findings=findings,
        summary=judging.summary(findings),
    )


class _Progress:
    """A bar with counts and the time left on stderr, on a terminal only."""

    def __init__(self, total: int) -> None:
        self._bar: Any = None
        if on_terminal(sys.stderr):
            from rich.console import Console
            from rich.progress import (
                BarColumn,
                MofNCompleteColumn,
                Progress,
                TextColumn,
                TimeRemainingColumn,
            )

            self._bar = Progress(
                TextColumn("scanning"),
                BarColumn(bar_width=None),
                MofNCompleteColumn(),
                TextColumn("endpoints, {task.fields[connections]} connections, left"),
                TimeRemainingColumn(compact=True),
                # rich takes COLUMNS and LINES for numbers, of any size; it can ask the terminal.
                console=Console(stderr=True, _environ=os.environ | {"COLUMNS": "", "LINES": ""}),
                transient=True,
            )
            self._task = self._bar.add_task("", total=total, connections=0)

    def update(self, done: int, total: int, connections: int) -> None:
        if self._bar:
            self._bar.update(self._task, completed=done, total=total, connections=connections)

    def __enter__(self) -> None:
        if self._bar:
            self._bar.start()

    def __exit__(self, *error: object) -> None:
        if self._bar:
            self._bar.stop()
