"""Faults that fuzzing has found and that were mended, each in its smallest form."""

from __future__ import annotations

import pytest

from tests.core.test_explore import run
from tests.core.test_wire import message, record, server_hello
from tests.scan.virtual import scanned
from tlscheck.core import registry
from tlscheck.core.eliminate import (
    Answer,
    Refused,
    Unknown,
)
from tlscheck.core.explore import (
    VersionFacts,
    explore_version,
)
from tlscheck.core.registry import Version
from tlscheck.core.reply import Alert, Hangup, Hello, Picked, Reply
from tlscheck.scan import Limits

from . import hold

SIGNED = 0xC02B  # TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
P256, P384 = 23, 24


@pytest.mark.parametrize("budget", [1, 10, 50])
def test_the_budget_is_not_overdrawn(budget: int) -> None:
    def answer(hello: Hello) -> Reply:
        group = hello.groups[0] if hello.groups else None
        return Picked(int(hello.version), hello.suites[0] & 0xFFFF, group)

    (target,) = scanned(hold.Hostile(answer), Limits(budget=budget)).endpoint.targets
    assert target.connections <= budget


def test_a_version_of_which_every_suite_is_failed_on_is_not_offered() -> None:
    """Long lists are refused, and the one suite that a short list brings out is not usable."""

    def reply(hello: Hello) -> Answer:
        if hello.extensions == "few" and 0x2F in hello.suites:
            return Picked(0x0302, 0x2F, ended=Hangup("reset"))
        return Refused("reset")

    fact, _ = run(explore_version(Version.TLSv1_1), reply)
    assert isinstance(fact, VersionFacts)
    assert fact.protocol.offered != "yes" and fact.unusable == (0x2F,)


def test_a_suite_that_fails_when_it_is_asked_for_alone_is_not_forgotten() -> None:
    """A short list brings out a suite, which is then picked once more, and failed on."""

    def reply(hello: Hello) -> Answer:
        if len(hello.suites) > 90 or 0x2F not in hello.suites:
            return Refused("alert handshake_failure")
        end = Alert(80) if hello.suites == (0x2F,) else None
        return Picked(0x0302, 0x2F, ended=end)

    fact, _ = run(explore_version(Version.TLSv1_1), reply)
    assert isinstance(fact, VersionFacts)
    assert fact.unusable == (0x2F,) and fact.protocol.why


def test_a_version_is_not_refused_by_a_server_that_falls_silent() -> None:
    """One suite is picked and failed on; what is asked next is never answered."""

    def reply(hello: Hello) -> Answer:
        if 0xC02F in hello.suites:
            return Picked(0x0303, 0xC02F, P256, ended=Alert(80))
        return Unknown("read time-out (6 times)", asked=True)

    fact, _ = run(explore_version(Version.TLSv1_2), reply)
    assert isinstance(fact, VersionFacts)
    assert fact.protocol.offered == "unknown"


@pytest.mark.parametrize(
    "pick",
    [
        Picked(0x0303, SIGNED, P384, ended=Hangup("reset")),
        Picked(0x0302, SIGNED, P384),
    ],
)
def test_a_curve_that_fails_or_is_of_another_version_is_not_listed(pick: Picked) -> None:
    def reply(hello: Hello) -> Answer:
        if SIGNED not in hello.suites or P256 not in hello.groups:
            return Refused("alert handshake_failure")
        again = hello.groups[-1] == P256 and hello.groups != registry.curves_of(hello.version)
        return pick if again else Picked(0x0303, SIGNED, P256)

    fact, _ = run(explore_version(Version.TLSv1_2), reply)
    assert isinstance(fact, VersionFacts)
    assert fact.protocol.groups == ("secp256r1",)


def test_a_banner_is_named_the_same_in_pieces() -> None:
    hello, data = Hello(Version.TLSv1_2, ()), b"HTTP/1.1 400 Bad Request"
    cause = Hangup("closed")
    assert hold.fed(hello, [data], cause) == hold.fed(hello, [data[:1], data[1:]], cause)


def test_the_bound_on_bytes_holds_whole_and_in_pieces() -> None:
    size = 400_000
    one = message(11, (size + 3).to_bytes(3, "big") + size.to_bytes(3, "big") + bytes(size))
    flight = server_hello(0x0303, 0x002F) + one * 3 + message(14, b"")
    data = b"".join(record(22, flight[i : i + 16384]) for i in range(0, len(flight), 16384))
    hello, cause = Hello(Version.TLSv1_2, ()), Hangup("closed")
    parts = [data[i : i + 16384] for i in range(0, len(data), 16384)]
    assert hold.fed(hello, [data], cause) == hold.fed(hello, parts, cause)
