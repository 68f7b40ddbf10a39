"""A scan ends in time, within bounds and with a true report, whatever the server answers."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tlscheck.core import registry
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
from tlscheck.scan import Limits

from . import hold

TENS = 30  # of scans of servers made by seed


@pytest.mark.parametrize("ten", range(TENS))
def test_a_hostile_server_is_scanned_within_bounds_and_nothing_is_made_up(ten: int) -> None:
    for seed in range(ten * 10, ten * 10 + 10):
        assert hold.scan_of(seed) == [], f"seed {seed}"


@pytest.mark.parametrize("hundred", range(20))
def test_an_exploration_ends_and_makes_nothing_up(hundred: int) -> None:
    for seed in range(hundred * 100, hundred * 100 + 100):
        assert hold.explored(seed) == [], f"seed {seed}"


endings = st.one_of(
    st.none(),
    st.integers(0, 255).map(Alert),
    st.sampled_from([Hangup("reset"), Hangup("closed"), Silent("read"), Garbage("odd")]),
)
picks = st.builds(
    Picked,
    version=st.sampled_from([*map(int, Version), 0, 0x7F12]),
    suite=st.one_of(st.sampled_from(list(registry.suites())), st.integers(0, 0xFFFF)),
    group=st.one_of(st.none(), st.sampled_from(registry.GROUPS), st.integers(0, 0xFFFF)),
    retry=st.booleans(),
    ended=endings,
)
replies = st.one_of(
    picks,
    picks,
    st.builds(
        Ssl2Picked,
        st.lists(st.sampled_from(registry.suites_of(Version.SSLv2)), max_size=9).map(tuple),
    ),
    st.integers(0, 255).map(Alert),
    st.sampled_from(["reset", "closed"]).map(Hangup),
    st.sampled_from(["read", "connect"]).map(Silent),
    st.sampled_from(["connection refused", "no route to host"]).map(Unreachable),
    st.builds(OwnFault, st.just("out of file descriptors"), st.booleans()),
    st.just(Garbage("odd")),
)


def at_home(reply: Reply, hello: Hello, there: bool) -> Reply:
    """`reply` as one to `hello`: a pick of what it offers, where it is to be `there`."""
    if not (there and isinstance(reply, Picked)):
        return reply
    group = hello.groups[(reply.group or 0) % len(hello.groups)] if hello.groups else None
    suite = hello.suites[reply.suite % len(hello.suites)] & 0xFFFF
    return Picked(int(hello.version), suite, group, retry=reply.retry, ended=reply.ended)


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(st.tuples(replies, st.booleans()), min_size=1, max_size=20),
    st.booleans(),
    st.sampled_from([Limits(), Limits(deadline=5.0), Limits(budget=60), Limits(per_target=1)]),
)
def test_any_replies_give_a_report(
    said: list[tuple[Reply, bool]], by_hello: bool, limits: Limits
) -> None:
    count = 0

    def answer(hello: Hello) -> Reply:
        nonlocal count
        count += 1
        nth = len(hello.suites) + len(hello.groups) + hello.version if by_hello else count
        reply, there = said[nth % len(said)]
        return at_home(reply, hello, there)

    assert hold.scan(hold.Hostile(answer), limits) == []


def test_the_same_server_gets_the_same_report() -> None:
    """What a seed says of a scan can be said again: time and chance are all virtual."""
    for kind in (hold.stubborn, hold.agreeable):
        servers = [hold.Hostile(kind(Random(7)), chance=Random(7)) for _ in range(2)]
        for server in servers:
            hold.scan(server)
        assert servers[0].said == servers[1].said
