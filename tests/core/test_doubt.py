"""One server never contradicts itself; two unequal ones behind one address are found out."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.test_explore import Profile, answer, profiles
from tlscheck.core import doubt, registry
from tlscheck.core.eliminate import (
    Answer,
    Refused,
    Unknown,
)
from tlscheck.core.explore import (
    VERSIONS,
    VersionFacts,
    explore_version,
    opening,
)
from tlscheck.core.registry import Version
from tlscheck.core.reply import Hello, Picked

Reply = Callable[[Hello], Answer]
OLD = (Version.TLSv1_0, Version.TLSv1_1, Version.TLSv1_2)
NEW = (Version.TLSv1_2, Version.TLSv1_3)
CURVES = (23, 24, 25)


def asked(reply: Reply, insist: int = 1) -> tuple[list[VersionFacts], list[tuple[Hello, Answer]]]:
    """Explore all versions, a step of each in turn, as a scan that asks them at once does."""
    log: list[tuple[Hello, Answer]] = []
    facts: list[VersionFacts] = []
    parts = [explore_version(version, insist=insist) for version in VERSIONS]
    going = [(part, next(part)) for part in parts]
    while going:
        after = []
        for part, hellos in going:
            answers = tuple(reply(hello) for hello in hellos)
            log += zip(hellos, answers, strict=True)
            try:
                after.append((part, part.send(answers)))
            except StopIteration as stop:
                facts.append(stop.value)
        going = after
    return sorted(facts, key=lambda fact: fact.version), log


def scanned(reply: Reply) -> list[tuple[Hello, Answer]]:
    _, log = asked(reply)
    return log + [(hello, reply(hello)) for hello in doubt.doubts(log)]


@settings(max_examples=150)
@given(profiles())
def test_one_server_never_contradicts_itself(profile: Profile) -> None:
    log = scanned(lambda hello: answer(profile, hello))
    assert doubt.contradiction(log) is None and doubt.unsteady(log) == ()


@settings(max_examples=100)
@given(profiles(), st.sampled_from([60, 90, 130]), st.integers(0, 1000), st.integers(1, 9))
def test_nor_does_one_that_stumbles_or_falls_silent(
    profile: Profile, most: int, seed: int, share: int
) -> None:
    chance = random.Random(seed)

    def reply(hello: Hello) -> Answer:
        if chance.random() < share / 10:
            return Unknown("read time-out", asked=True)
        return answer(replace(profile, most=most), hello)

    assert doubt.contradiction(scanned(reply)) is None


def codes(exchange: str) -> tuple[int, ...]:
    ciphers = ("AES_128_GCM_SHA256", "AES_128_CBC_SHA256", "AES_128_CBC_SHA",
               "AES_256_GCM_SHA384", "AES_256_CBC_SHA")  # fmt: skip
    return tuple(registry.suite_by_name(f"TLS_{exchange}_WITH_{cipher}").code for cipher in ciphers)


ECDHE, RSA = codes("ECDHE_RSA"), codes("RSA")
TLS13 = registry.suites_of(Version.TLSv1_3)[:3]


def server(
    suites: tuple[int, ...], versions: tuple[Version, ...], *, own_order: bool = True
) -> Profile:
    table = registry.suites()
    offered = {
        v: TLS13 if v is Version.TLSv1_3 else tuple(s for s in suites if table[s].first <= v)
        for v in versions
    }
    return Profile(offered, dict.fromkeys(versions, CURVES), (256,), own_order)


UNEQUAL = {
    "halves in TLS 1.0 to 1.2": (server(ECDHE, OLD), server(RSA, OLD)),
    "halves in TLS 1.2 and 1.3": (server(ECDHE, NEW), server(RSA, NEW)),
    "one has more, old": (server(ECDHE + RSA, OLD), server(ECDHE, OLD)),
    "one has more, new": (server(ECDHE + RSA, NEW), server(ECDHE, NEW)),
    "overlap": (server(ECDHE[:4], NEW), server(ECDHE[2:] + RSA[:1], NEW)),
    "client order": (server(ECDHE, NEW, own_order=False), server(RSA, NEW, own_order=False)),
    "another order": (server(ECDHE, NEW), server(ECDHE[::-1], NEW)),
    "one speaks TLS 1.0": (server(ECDHE, NEW), server(ECDHE, (*OLD[:1], *NEW))),
    "one speaks no TLS 1.3": (server(ECDHE, NEW), server(ECDHE, NEW[:1])),
}
SEEDS = 200


@pytest.mark.parametrize("manner", ["at random", "in turn"])
@pytest.mark.parametrize("name", UNEQUAL)
def test_unequal_servers_are_flagged_in_99_of_100_runs(name: str, manner: str) -> None:
    flagged = 0
    for seed in range(SEEDS):
        chance, turn = random.Random(seed), iter(range(1 << 20))

        def reply(hello: Hello, chance: random.Random = chance, turn=turn) -> Answer:  # type: ignore[no-untyped-def]
            which = chance.random() < 0.5 if manner == "at random" else next(turn) % 2
            return answer(UNEQUAL[name][which], hello)

        flagged += doubt.contradiction(scanned(reply)) is not None
    assert flagged >= 0.99 * SEEDS


@pytest.mark.parametrize("seed", range(20))
def test_all_that_either_offers_is_in_what_is_merged(seed: int) -> None:
    chance = random.Random(seed)
    pair = UNEQUAL["overlap"]
    reply = lambda hello: answer(pair[chance.random() < 0.5], hello)  # noqa: E731
    first, _ = asked(reply)
    second, _ = asked(reply, insist=doubt.OFTEN)
    for before, after in zip(first, second, strict=True):
        found = doubt.merged(before, after).protocol
        both = {s for p in pair for s in p.suites.get(before.version, ())}
        assert set(found.suites) == {registry.suite_name(s) for s in both}
        assert found.offered == ("yes" if both else "no")
        assert found.order is None and (found.why == doubt.UNEQUAL) == bool(both)


def test_a_version_taken_and_refused_for_the_same_hello_is_unsteady() -> None:
    hello = Hello(Version.TLSv1_0, ECDHE, CURVES)
    log: list[tuple[Hello, Answer]] = [
        (hello, Picked(Version.TLSv1_0, ECDHE[0], 23)),
        (hello, Refused("alert protocol_version", version=True)),
    ]
    assert doubt.unsteady(log) == (Version.TLSv1_0,)
    assert "TLSv1.0" in (doubt.contradiction(log) or "")
    assert doubt.unsteady(log[:1]) == ()


LONG = server(ECDHE + RSA, (*OLD, Version.TLSv1_3))
"""So much to ask that the bound on a neighbour leaves no room to ask anything again."""


def test_of_a_neighbour_with_long_lists_each_end_is_asked_again_twice_in_a_row() -> None:
    _, log = asked(lambda hello: answer(LONG, hello))
    behind, *again = doubt.briefly(log, doubt.FEW - len(log))
    assert behind.version is Version.TLSv1_2 and not set(behind.groups) & {256, 257}
    assert len(log) >= doubt.FEW and again[::2] == again[1::2]
    assert set(again) <= {hello for hello, reply in log if isinstance(reply, Refused)}
    assert {hello.version for hello in again} == {Version.SSLv3, *OLD, Version.TLSv1_3}
    most = len(registry.groups_of(Version.TLSv1_2))
    assert any(h.version is Version.TLSv1_2 and len(h.groups) < most - 5 for h in again)


def test_the_ends_of_lists_of_groups_are_asked_again_in_a_row_as_servers_may_take_turns() -> None:
    _, log = asked(lambda hello: answer(server(ECDHE, NEW), hello))
    one, other = (doubt.doubts(log)[n : n + 3] for n in (0, 3))
    assert len(set(one)) == len(set(other)) == 1 and one != other


ONLY_12 = server(ECDHE, (Version.TLSv1_2,))


@pytest.mark.parametrize(
    ("profile", "version", "times"),
    [
        (server(ECDHE, NEW), Version.TLSv1_1, doubt.REFUSED),  # it asks for TLS 1.0 and SSLv3, too
        (ONLY_12, Version.TLSv1_3, doubt.REFUSED),
        (ONLY_12, Version.TLSv1_1, doubt.REFUSED),
        (server(ECDHE + RSA, OLD), Version.TLSv1_3, doubt.REFUSED_SELDOM),
        (server(ECDHE + RSA, OLD), Version.SSLv3, doubt.REFUSED_SELDOM),
    ],
)
def test_a_version_that_is_refused_is_asked_for_again(
    profile: Profile, version: Version, times: int
) -> None:
    _, log = asked(lambda hello: answer(profile, hello))
    assert doubt.doubts(log).count(opening(version)) == times


def test_of_a_neighbour_what_was_asked_least_is_asked_again_and_versions_before_all() -> None:
    _, log = asked(lambda hello: answer(ONLY_12, hello))
    again = doubt.briefly(log, 7)
    assert len(again) == 7
    hidden, rest = again[:2], again[2:]
    assert not {hello for hello, _ in log} & set(hidden)  # with an RSA key, and with another one
    newer, older = opening(Version.TLSv1_3), opening(Version.TLSv1_1)
    assert [rest.count(newer), rest.count(older)] == [3, 2]
    assert list(rest) == sorted(rest, key=rest.index)  # equal ones in a row
    many = Counter(doubt.scarcest(log, 60))
    assert many[older] <= many[newer] <= many[older] + 1 and len(many) > 10
    assert max(many.values()) == many[newer]
    assert min(many.values()) >= many[older] - 2  # what was picked


def test_what_is_refused_by_hang_ups_alone_is_not_asked_for_again_of_little() -> None:
    _, log = asked(lambda hello: answer(ONLY_12, hello))
    gone = Refused("reset 7 times, while others were answered", times=7)
    log = [(h, gone if isinstance(a, Refused) else a) for h, a in log]
    assert all(isinstance(dict(log)[hello], Picked) for hello in doubt.scarcest(log, 20))


def test_versions_do_not_agree_where_one_was_refused_after_it_was_spoken() -> None:
    _, log = asked(lambda hello: answer(server(ECDHE + RSA, (*OLD, Version.TLSv1_3)), hello))
    assert doubt.agreed(log)
    ended = next(h for h, a in log if h.version is Version.TLSv1_3 and isinstance(a, Refused))
    refused = Refused("alert protocol_version", version=True)
    assert not doubt.agreed([(h, refused if h == ended else a) for h, a in log])


@pytest.mark.parametrize("seed", range(40))
def test_of_unequal_servers_no_version_is_missed_that_one_of_them_speaks(seed: int) -> None:
    chance = random.Random(seed)
    pair = server(ECDHE, NEW), server(ECDHE, OLD)
    facts, _ = asked(lambda hello: answer(pair[chance.random() < 0.5], hello), doubt.OFTEN)
    spoken = {fact.version for fact in facts if fact.protocol.offered == "yes"}
    assert spoken == {*OLD, *NEW}
