"""What must hold of any bytes and any server, however hostile: one check for each part.

The tests, `python -m tests.fuzz` and atheris all end here.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from random import Random
from typing import Any

import jsonschema

from tests.core.test_explore import run
from tests.scan.virtual import scanned
from tlscheck.core import eliminate, explore, registry
from tlscheck.core.eliminate import Refused, Unknown
from tlscheck.core.model import EndpointReport, PolicyUse, Protocol, Report, Run, Tool
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
from tlscheck.core.wire import Reader
from tlscheck.io import certificates, store
from tlscheck.render.json import render
from tlscheck.scan import Limits

from . import corpus, mutate, oracle

CAUSES = (Hangup("closed"), Hangup("reset"), Silent("read"))
CERTIFICATE_SECONDS = 0.2  # of processor time
SCAN_SECONDS = 5.0  # of processor time
LATE = 2.0  # virtual seconds after its deadline by which a scan has ended


# --- certificates


def certificate(der: bytes) -> dict[str, Any]:
    """`read` never raises or dawdles, says nothing that cryptography, reading it whole, denies,
    and gives what JSON, UTF-8 and a report can hold."""
    began = time.process_time()
    found = certificates.read(der)
    took = time.process_time() - began
    assert took < CERTIFICATE_SECONDS, f"{took:.2f} s"
    text = json.dumps(found, ensure_ascii=False, allow_nan=False)
    text.encode()  # no lone surrogates
    assert len(text) < 200_000, len(text)
    assert json.loads(text) == found
    assert oracle.contradictions(der, found) == []
    for name in certificates._FIELDS:
        assert name in found or found["problems"].get(name), f"{name} is lost without a reason"
    return found


# --- the codec


def pieces(data: bytes, sizes: Iterator[int]) -> Iterator[bytes]:
    at = 0
    while at < len(data):
        size = next(sizes)
        yield data[at : at + size]
        at += size


def fed(hello: Hello, parts: Iterator[bytes] | Sequence[bytes], cause: Hangup | Silent) -> Reply:
    """What `Reader` makes of an answer that comes in these parts and then ends by `cause`."""
    reader = Reader(hello)
    for part in parts:
        if reply := reader.feed(part):
            return reply
    return reader.end(cause)


def _plain(reply: Reply) -> Reply:
    """`reply` without what it says of bytes that are no TLS: how much of a banner has come by
    then is chance."""
    if isinstance(reply, Garbage) and reply.why.startswith("not TLS"):
        return Garbage("not TLS")
    if isinstance(reply, Picked) and isinstance(reply.ended, Garbage):
        return Picked(reply.version, reply.suite, ended=_plain(reply.ended))  # type: ignore[arg-type]
    return reply


def codec(version: Version, data: bytes, chance: Random) -> Reply:
    """There is always a reply, and the same one whole, byte by byte and in random pieces."""
    hello = Hello(version, ())
    cause = chance.choice(CAUSES)
    whole = fed(hello, [data], cause)
    assert isinstance(whole, Picked | Ssl2Picked | Alert | Hangup | Silent | Garbage)
    most = chance.choice((1, 2, 7, 100, 2000))
    sizes = iter(lambda: chance.randint(1, most), None)
    cut = fed(hello, pieces(data, sizes), cause)
    assert _plain(whole) == _plain(cut), f"{whole} in one, {cut} in pieces of up to {most}"
    str(whole).encode()
    return whole


# --- the whole exploration


Answer = Callable[[Hello], Reply]


@dataclass
class Hostile:
    """A server that answers as `answer` says, and remembers what it said."""

    answer: Answer
    pauses: Sequence[float] = (0.02,)
    chance: Random = field(default_factory=lambda: Random(0))
    said: list[tuple[Hello, Reply]] = field(default_factory=list)

    async def __call__(self, hello: Hello, wait: float) -> Reply:
        pause = self.chance.choice(self.pauses)
        reply = self.answer(hello) if pause < wait else Silent("read")
        await asyncio.sleep(wait if isinstance(reply, Silent) else pause)
        self.said.append((hello, reply))
        return reply


def scan(server: Hostile, limits: Limits | None = None) -> list[str]:
    """What a scan of `server` breaks of this: it ends in time and within its budget whatever it is
    told, its report is one, and says nothing that no reply has said. Raises what the scan does."""
    limits = limits or Limits()
    began = time.process_time()
    found = scanned(server, limits)
    took = time.process_time() - began
    (target,) = found.endpoint.targets
    broken = [
        why
        for kept, why in (
            (found.seconds <= limits.deadline + LATE, f"late: {found.seconds} s"),
            (target.connections <= limits.budget, f"budget: {target.connections} connections"),
            (target.connections <= limits.budget + 50, f"ruin: {target.connections} connections"),
            (took < SCAN_SECONDS, f"slow: {took:.1f} s of processor time"),
        )
        if not kept
    ]
    text = render(_report(found.endpoint))
    broken += [f"schema: {fault.message}" for fault in _validator().iter_errors(json.loads(text))]
    for label, protocol in target.protocols.items():
        version = registry.VERSION_BY_LABEL[label]
        replies = [reply for hello, reply in server.said if hello.version is version]
        broken += [f"{kind}: {label} {protocol}" for kind in _unsaid(version, protocol, replies)]
    return broken


def _unsaid(version: Version, protocol: Protocol, replies: list[Reply]) -> Iterator[str]:
    """What is reported of one version and was never said."""
    whole = [r for r in replies if isinstance(r, Picked) and r.whole and r.version == version]
    kinds = {k for r in replies if isinstance(r, Ssl2Picked) for k in r.suites}
    picked = {registry.suite_name(code) for code in kinds | {r.suite for r in whole}}
    groups = {registry.group_name(r.group) for r in whole if r.group is not None}
    if not set(protocol.suites) <= picked:
        yield "strange suites"
    if not set(protocol.groups) <= groups:
        yield "strange groups"
    match protocol.offered:
        case "yes" if not protocol.suites and not protocol.why:
            yield "yes without a suite"
        case "no" if not any(isinstance(r, Alert | Hangup | Picked | Ssl2Picked) for r in replies):
            yield "no without a reason"
        case "no" | "unknown" if protocol.suites or not protocol.why:
            yield "neither yes nor why"


def _report(endpoint: EndpointReport) -> Report:
    return Report(
        "tlscheck-report/1",
        Tool("tlscheck", "0"),
        Run("0", "2026-01-01T00:00:00Z", "2026-01-01T00:01:00Z", True, 0),
        (PolicyUse("aws-current", "2026-01-01"),),
        (endpoint,),
        (),
        {},
    )


@cache
def _validator() -> jsonschema.protocols.Validator:
    return jsonschema.Draft202012Validator(store.schema())


def explored(seed: int) -> list[str]:
    """What an exploration of one version breaks of this, by answers that this seed makes: it comes
    to an end, and what it says was answered."""
    chance = Random(seed)
    version = chance.choice(list(Version))
    known: dict[Hello, eliminate.Answer] = {}
    said: list[tuple[Hello, eliminate.Answer]] = []
    # Mostly picks, so that it goes on; or mostly refusals.
    weights = chance.choice(((8, 1, 1, 1), (1, 4, 1, 1), (4, 4, 1, 1), (20, 2, 1, 0)))

    def answer(hello: Hello) -> eliminate.Answer:
        if hello not in known:
            known[hello] = _any_answer(hello, chance, weights)
        said.append((hello, known[hello]))
        return known[hello]

    fact, asked = run(explore.explore_version(version), answer)
    assert isinstance(fact, explore.VersionFacts)
    protocol = fact.protocol
    replies: list[Reply] = [a for _, a in said if isinstance(a, Picked | Ssl2Picked)]
    refused = any(isinstance(a, Refused) for _, a in said)
    broken = [*_unsaid(version, protocol, [*replies, *([Alert(40)] if refused else [])])]
    opened = said[0][1]
    taken = isinstance(opened, Picked) and opened.version == version
    # What was asked of failing suites alone was about their order.
    unknown = [
        hello
        for hello, a in said
        if isinstance(a, Unknown)
        and set(hello.suites) - set(fact.unusable) - set(eliminate.LEADERS)
    ]
    if protocol.offered == "no" and taken and unknown:
        broken.append("no without knowing")
    if set(protocol.suites) & {registry.suite_name(code) for code in fact.unusable}:
        broken.append("both usable and not")
    if len(asked) > 2000:
        broken.append("endless")
    return [f"{kind}: {fact}" for kind in broken]


def _any_answer(hello: Hello, chance: Random, weights: tuple[int, ...]) -> eliminate.Answer:
    match chance.choices(("pick", "refuse", "unknown", "other"), weights)[0]:
        case "pick":
            end = Alert(80) if chance.random() < 0.2 else None
            suite = chance.choice(hello.suites) & 0xFFFF
            group = chance.choice(hello.groups) if hello.groups else None
            return Picked(int(hello.version), suite, group, ended=end)
        case "refuse":
            plain, old = chance.random() < 0.7, chance.random() < 0.2
            return Refused("alert handshake_failure", plain, old)
        case "unknown":
            return Unknown("read time-out", asked=chance.random() < 0.5)
        case _:
            reply = any_reply(hello, chance)
            return reply if isinstance(reply, Picked | Ssl2Picked) else Unknown(str(reply))


# --- servers by seed


def replayed(chance: Random) -> Answer:
    """Recorded flows, now and then mutated; mostly those for a hello of this version."""
    flows, wild = corpus.flows(), chance.choice((0.1, 0.5, 1.0))
    alike = {version: [f for f in flows if f.version is version] for version in Version}

    def answer(hello: Hello) -> Reply:
        flow = chance.choice(alike[hello.version] if chance.random() < 0.9 else flows)
        data = mutate.mutated(flow.data, chance) if chance.random() < wild else flow.data
        return fed(hello, [data], chance.choice(CAUSES))

    return answer


def noise(chance: Random) -> Answer:
    """Random bytes, some of which look like a record."""

    def answer(hello: Hello) -> Reply:
        head = chance.choice((b"", b"\x16\x03\x03", b"\x15\x03\x01\x00\x02", b"\x80", b"HTTP/1.1 "))
        return fed(hello, [head + chance.randbytes(chance.randrange(200))], chance.choice(CAUSES))

    return answer


def any_reply(hello: Hello, chance: Random) -> Reply:
    """Whatever the wire could bring, and what the way to it could."""

    def picked() -> Reply:
        suite = chance.choice(hello.suites) if chance.random() < 0.9 else chance.randrange(1 << 16)
        version = chance.choice((*Version, 0, 0x7F12)) if chance.random() < 0.2 else hello.version
        group = chance.randrange(1 << 16) if chance.random() < 0.1 else None
        if hello.groups and chance.random() < 0.8:
            group = chance.choice(hello.groups)
        ended = chance.choice((Alert(chance.randrange(256)), Hangup("reset"), Garbage("odd")))
        return Picked(
            int(version), suite & 0xFFFF, group, retry=chance.random() < 0.3,
            ended=ended if chance.random() < 0.2 else None,
        )  # fmt: skip

    kinds: tuple[Callable[[], Reply], ...] = (
        picked, picked, picked, picked,
        lambda: Alert(chance.choice((40, 40, 70, 71, 0, chance.randrange(256)))),
        lambda: Alert(40),
        lambda: Ssl2Picked(tuple(chance.sample(registry.suites_of(Version.SSLv2), 3))),
        lambda: Hangup(chance.choice(("reset", "closed"))),
        lambda: Silent(chance.choice(("read", "connect"))),
        lambda: Garbage("odd"),
        lambda: Unreachable(chance.choice(("connection refused", "no route to host"))),
        lambda: OwnFault("out of file descriptors", passing=chance.random() < 0.5),
    )  # fmt: skip
    return chance.choice(kinds)()


def anything(chance: Random) -> Answer:
    """A reply of any kind to each hello."""
    return lambda hello: any_reply(hello, chance)


def stubborn(chance: Random) -> Answer:
    """A reply of any kind, but the same one to the same hello."""
    known: dict[Hello, Reply] = {}

    def answer(hello: Hello) -> Reply:
        if hello not in known:
            known[hello] = any_reply(hello, chance)
        return known[hello]

    return answer


def agreeable(chance: Random) -> Answer:
    """Takes all that is offered, in an order of the moment or in the client's."""
    faithful, fickle = chance.random() < 0.5, chance.random() * 0.2

    def answer(hello: Hello) -> Reply:
        if hello.version is Version.SSLv2 or chance.random() < fickle:
            return Alert(40)
        pick = (lambda items: items[0]) if faithful else chance.choice
        return Picked(int(hello.version), pick(hello.suites), pick(hello.groups or (None,)))

    return answer


SERVERS: tuple[Callable[[Random], Answer], ...] = (replayed, noise, anything, stubborn, agreeable)


def scan_of(seed: int) -> list[str]:
    """`scan` of the server that this seed makes, under the limits that it draws."""
    chance = Random(seed)
    kind = chance.choice(SERVERS)
    limits = Limits()
    if chance.random() < 0.5:
        limits = Limits(
            per_target=chance.randint(1, 8),
            read=chance.choice((0.5, 2.0, 5.0)),
            deadline=chance.choice((1.0, 10.0, 60.0)),
            budget=chance.choice((1, 10, 100, 1500)),
        )
    pauses = chance.choice(((0.02,), (0.0, 0.3), (0.02, 0.02, 4.0)))
    return scan(Hostile(kind(chance), pauses, chance), limits)
