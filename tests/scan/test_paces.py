"""Whatever the pace, and whatever was guessed, the same is found; a guess only saves waiting."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.test_doubt import CURVES, ECDHE, LONG, NEW, OLD, RSA, TLS13, server
from tests.core.test_explore import USUAL, Profile, expect, profiles
from tests.scan.virtual import ROUND_TRIP, Serve, Server, plainly, scanned, scanned_together
from tlscheck.core import registry, suppose
from tlscheck.core.doubt import FEW, REFUSED_SELDOM
from tlscheck.core.explore import (
    VersionFacts,
    opening,
)
from tlscheck.core.model import EndpointReport
from tlscheck.core.registry import Version
from tlscheck.core.reply import Alert, Hello, Reply
from tlscheck.scan import Limits
from tlscheck.scan.ahead import PARTS

PACES = ("gentle", "normal", "fast")
TWELVE = server(ECDHE + RSA, OLD)
MODERN = server(ECDHE, NEW)


def found_exactly(report: EndpointReport, profile: Profile) -> None:
    (target,) = report.targets
    assert not report.mixed, target.features
    for label, protocol in target.protocols.items():
        version = registry.VERSION_BY_LABEL[label]
        if version is not Version.SSLv2:
            expect(profile, VersionFacts(version, protocol), [])


@settings(max_examples=60)
@given(profiles())
def test_every_pace_finds_the_same_in_any_server(profile: Profile) -> None:
    spent = {}
    for pace in PACES:
        report = scanned(Server(profile), Limits.of(pace, 60)).endpoint
        found_exactly(report, profile)
        spent[pace] = report.targets[0].connections
    plain = scanned(Server(profile), replace(Limits(), guess=False)).endpoint
    # What wrong guesses cost: never more than as much again, and five turns.
    assert spent["normal"] <= 2 * plain.targets[0].connections + 5 * PARTS


LIKELY = suppose.likely_suites()


@pytest.mark.parametrize("number", range(0, len(LIKELY), 31))
def test_a_likely_server_is_found_sooner_than_by_asking_one_after_another(number: int) -> None:
    taste, table = LIKELY[number].taste, registry.suites()
    spoken = {
        version: tuple(s for s in taste.items if table[s].first <= version)
        for version in (Version.TLSv1_0, Version.TLSv1_1, Version.TLSv1_2)
    }
    spoken = {version: suites for version, suites in spoken.items() if suites}
    groups = suppose.likely_groups()[number % 3].taste.items[:4]
    profile = Profile(spoken, dict.fromkeys(spoken, groups), (), taste.server_order)

    async def serve(hello: Hello, wait: float) -> Reply:
        await asyncio.sleep(ROUND_TRIP)
        return plainly(profile, hello)

    quick = scanned(serve)
    slow = scanned(serve, replace(Limits(), guess=False))
    found_exactly(quick.endpoint, profile)
    assert quick.endpoint.targets[0].protocols == slow.endpoint.targets[0].protocols
    assert quick.seconds <= slow.seconds
    if len(taste.items) > 8 and not any(table[s].key_exchange == "DHE" for s in taste.items):
        assert quick.seconds < slow.seconds / 1.5


MANY = tuple(  # without an ECDSA suite, and in no order that is known
    suite.code
    for suite in sorted(registry.suites().values(), key=lambda suite: suite.code * 7919 % 65521)
    if suite.key_exchange in ("RSA", "ECDHE")
    and suite.authentication == "RSA"
    and suite.first is not Version.TLSv1_3
)


@pytest.mark.parametrize("order", [tuple(sorted(MANY)), MANY], ids=["by code", "at random"])
def test_a_long_list_like_none_that_is_known_is_found_in_parts(order: tuple[int, ...]) -> None:
    profile = server(order, OLD)
    quick = scanned(Server(profile))
    slow = scanned(Server(profile), replace(Limits(), guess=False))
    for each in (quick, slow):
        found_exactly(each.endpoint, profile)
    assert quick.endpoint.targets[0].protocols == slow.endpoint.targets[0].protocols
    most = slow.endpoint.targets[0].connections
    assert quick.endpoint.targets[0].connections <= 2 * most
    if order != MANY:
        assert quick.seconds < slow.seconds / 2


def test_after_a_list_in_an_odd_order_the_rest_is_asked_at_once() -> None:
    order = [*ECDHE, *RSA]
    random.Random(0).shuffle(order)
    profile = server(tuple(order), OLD)
    quick = scanned(Server(profile))
    slow = scanned(Server(profile), replace(Limits(), guess=False))
    found_exactly(quick.endpoint, profile)
    assert quick.seconds <= slow.seconds - 4 * ROUND_TRIP


def test_what_only_a_part_of_a_list_brings_out_is_not_lost() -> None:
    """A server that hides a suite from all but short lists: it was picked once, so it is there."""
    profile, shy = server(tuple(sorted(MANY)), OLD), sorted(MANY)[20]

    async def serve(hello: Hello, wait: float) -> Reply:
        await asyncio.sleep(ROUND_TRIP)
        if len(hello.suites) > 60:
            hello = replace(hello, suites=tuple(s for s in hello.suites if s != shy))
        return plainly(profile, hello)

    report = scanned(serve).endpoint
    suites = report.targets[0].protocols["TLSv1.2"].suites
    assert registry.suite_name(shy) in suites
    assert set(suites) == {registry.suite_name(s) for s in MANY}
    assert report.mixed


@dataclass
class Clocked:
    """A server that notes when it was asked first and answered last, and how many at once."""

    profile: Profile
    first: float | None = None
    last: float = 0.0
    open: int = 0
    most: int = 0
    connections: int = 0
    asked: list[Hello] = field(default_factory=list)

    async def __call__(self, hello: Hello, wait: float) -> Reply:
        now = asyncio.get_running_loop().time
        self.first = now() if self.first is None else self.first
        self.connections += 1
        self.open += 1
        self.most = max(self.most, self.open)
        self.asked.append(hello)
        await asyncio.sleep(ROUND_TRIP)
        self.open -= 1
        self.last = now()
        return plainly(self.profile, hello)

    @property
    def rounds(self) -> float:
        assert self.first is not None
        return (self.last - self.first) / ROUND_TRIP


@pytest.mark.parametrize("profile", [TWELVE, MODERN], ids=["twelve", "modern"])
@pytest.mark.parametrize("pace", ["normal", "fast"])
def test_a_neighbour_costs_30_connections_in_4_round_trips(profile: Profile, pace: str) -> None:
    servers = [Clocked(profile) for _ in range(95)]
    reports, _ = scanned_together(servers, Limits.of(pace, 60))
    for report in reports:
        found_exactly(report, profile)
    for clocked in servers[2:]:
        assert clocked.connections <= 30
        assert clocked.rounds <= 4.01


@pytest.mark.parametrize(("pace", "most"), [("normal", 32), ("fast", 46)])
def test_one_of_a_kind_pays_for_all_of_it_wherever_they_stand(pace: str, most: int) -> None:
    """`most`: at fast all of a trail that leads nowhere is asked at once."""
    less = replace(MODERN, suites={v: mine[:-1] for v, mine in MODERN.suites.items()})
    bare = replace(MODERN, curves={v: mine[:1] for v, mine in MODERN.curves.items()})
    kinds = [MODERN, TWELVE, *(MODERN, less, TWELVE, bare) * 4]
    servers = [Server(profile) for profile in kinds]
    reports, _ = scanned_together(list(servers), Limits.of(pace, 60))
    for report, profile in zip(reports, kinds, strict=True):
        found_exactly(report, profile)
    for kind in (MODERN, TWELVE, less, bare):
        *others, _ = sorted(s.connections for s in servers if s.profile is kind)
        assert max(others) <= most


DHE = tuple(
    registry.suite_by_name(f"TLS_DHE_RSA_WITH_AES_{bits}").code
    for bits in ("128_GCM_SHA256", "128_CBC_SHA256")
)


@pytest.mark.parametrize("pace", PACES)
@pytest.mark.parametrize("plain", [MODERN, LONG], ids=["modern", "long"])
def test_a_neighbour_does_not_answer_for_what_hides_behind_the_list(
    pace: str, plain: Profile
) -> None:
    """As GnuTLS: DHE with a prime of its own, for whoever offers no group of RFC 7919."""
    newest = Version.TLSv1_2
    more = replace(plain, suites=plain.suites | {newest: plain.suites[newest] + DHE}, fields=())
    kinds = [plain] * 12 + [more] * 2
    reports, _ = scanned_together([Server(profile) for profile in kinds], Limits.of(pace, 60))
    for report, profile in zip(reports, kinds, strict=True):
        found_exactly(report, profile)


@pytest.mark.parametrize("pace", PACES)
def test_a_neighbour_does_not_answer_for_what_is_refused_beside_another_suite(pace: str) -> None:
    """A server that picks what it has no key for, and refuses without looking further."""
    newest = Version.TLSv1_2
    more = replace(MODERN, suites=MODERN.suites | {newest: MODERN.suites[newest] + RSA[:2]})
    trap = registry.suite_by_name("TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA").code

    async def serve(hello: Hello, wait: float) -> Reply:
        await asyncio.sleep(ROUND_TRIP)
        left = hello.version is newest and not set(hello.suites) & set(MODERN.suites[newest])
        return Alert(40) if left and trap in hello.suites else plainly(more, hello)

    servers = [*(Server(MODERN) for _ in range(12)), serve]
    reports, _ = scanned_together(servers, Limits.of(pace, 60))
    for report in reports[:-1]:
        found_exactly(report, MODERN)
    found_exactly(reports[-1], more)


def unequal(one: Profile, other: Profile, seed: int, end: int = 40) -> Serve:
    """Two servers behind one address, taken at random; the other refuses a list with `end`."""
    chance = random.Random(seed)

    async def serve(hello: Hello, wait: float) -> Reply:
        await asyncio.sleep(ROUND_TRIP)
        which = chance.random() < 0.5
        reply = plainly(other if which else one, hello)
        return Alert(end) if which and reply == Alert(40) else reply

    return serve


USUAL_ORDER = (
    0xC02F, 0xC027, 0xC013, 0xC030, 0xC028, 0xC014, 0x009C, 0x003C, 0x002F, 0x009D, 0x003D, 0x0035
)  # fmt: skip
SUITES = server(ECDHE + RSA, NEW)
BESIDE = {
    "one speaks TLS 1.0 to 1.2": (SUITES, server(ECDHE + RSA, OLD), 0),
    "one has no ECDHE": (SUITES, server(RSA, NEW), 6),
}


@pytest.mark.parametrize("like", [0, 1])
@pytest.mark.parametrize("name", BESIDE)
def test_unequal_servers_are_told_apart_beside_neighbours_like_one_of_them(
    name: str, like: int
) -> None:
    one, other, most = BESIDE[name]
    neighbour, missed = (one, other)[like], 0
    for seed in range(1000, 1200, 10):
        pairs = [unequal(one, other, seed + n) for n in range(10)]
        servers = [*(Server(neighbour) for _ in range(9)), *pairs]
        reports, _ = scanned_together(servers, Limits.of("normal", 60))
        for report in reports[:9]:
            found_exactly(report, neighbour)
        for report in reports[9:]:
            said = report.targets[0].protocols
            for version in {*one.suites, *other.suites}:
                assert said[version.label].offered == "yes", (version, said)
            missed += not report.mixed
    assert missed <= most


def test_what_features_leave_is_spent_on_asking_again() -> None:
    """A neighbour with twelve suites leaves 3 of 30 hellos, and more of those for features."""
    limits, new = Limits.of("normal", 60), Version.TLSv1_3
    usual = replace(server(USUAL_ORDER, OLD), curves=dict.fromkeys(OLD, CURVES[:1]))
    newer = replace(
        usual, suites=usual.suites | {new: TLS13}, curves=usual.curves | {new: CURVES[:1]}
    )
    flagged = [0, 0]
    for n, features in enumerate((False, True)):
        for seed in range(0, 60, 10):
            pairs = [unequal(usual, newer, seed + nth) for nth in range(10)]
            servers = [*(Clocked(usual) for _ in range(9)), *pairs]
            reports, _ = scanned_together(servers, limits, features=features)
            flagged[n] += sum(report.mixed for report in reports[9:])
            for report, clocked in zip(reports[2:9], servers[2:9], strict=True):
                found_exactly(report, usual)
                assert isinstance(clocked, Clocked)
                assert clocked.connections <= FEW + features * limits.features
                refused = Counter(clocked.asked)[opening(new)]
                assert refused >= (4 if features else 2)
    assert flagged[0] < 52 and flagged[1] >= 55


def test_another_refusal_of_the_same_hello_than_before_is_looked_into() -> None:
    """The one that lacks a suite says so otherwise: no contradiction, but no neighbour either."""
    less = replace(MODERN, suites=MODERN.suites | {NEW[0]: MODERN.suites[NEW[0]][:-1]})
    flagged = [0, 0]
    for n, end in enumerate((40, 47)):
        for seed in range(0, 60, 10):
            pairs = [unequal(MODERN, less, seed + nth, end) for nth in range(10)]
            servers = [*(Server(MODERN) for _ in range(9)), *pairs]
            reports, _ = scanned_together(servers, Limits.of("normal", 60))
            flagged[n] += sum(report.mixed for report in reports[9:])
    assert flagged[0] < 40 and flagged[1] >= 50


@pytest.mark.parametrize(("pace", "rounds"), [("normal", 5), ("fast", 3)])
def test_a_lone_server_is_asked_again_for_what_it_refuses_without_a_turn_more(
    pace: str, rounds: int
) -> None:
    usual = server(USUAL_ORDER, OLD)
    clocked = Clocked(replace(usual, curves=dict.fromkeys(OLD, CURVES[:1])))
    scanned_together([clocked], Limits.of(pace, 60))
    asked = Counter(clocked.asked)
    for version in (Version.TLSv1_3, Version.SSLv3):
        assert asked[opening(version)] == 1 + REFUSED_SELDOM
    assert clocked.connections <= 42 and clocked.rounds <= rounds + 0.01


def test_each_pace_keeps_to_its_connections_at_once() -> None:
    for pace, most in (("gentle", 2), ("normal", 12), ("fast", 32)):
        servers = [Clocked(TWELVE) for _ in range(12)]
        scanned_together(servers, Limits.of(pace, 60))
        assert max(clocked.most for clocked in servers) <= most


def test_gentle_asks_the_twelve_suites_with_30_connections() -> None:
    assert scanned(Server(TWELVE), Limits.of("gentle", 60)).endpoint.targets[0].connections <= 30


@st.composite
def changed(draw: st.DrawFn, profile: Profile) -> Profile:
    """Another server, not quite like `profile`."""
    suites, curves = dict(profile.suites), dict(profile.curves)
    version = draw(st.sampled_from(sorted(suites)))
    mine = suites[version]
    match draw(st.sampled_from(["less", "more", "order", "curves", "version", "both"])):
        case "less" if len(mine) > 1:
            gone = draw(st.sampled_from(mine))
            suites[version] = tuple(suite for suite in mine if suite != gone)
        case "more":
            extra = draw(st.sampled_from([s for s in USUAL[version] if s not in mine]))
            at = draw(st.integers(0, len(mine)))
            suites[version] = (*mine[:at], extra, *mine[at:])
        case "order":
            suites[version] = tuple(draw(st.permutations(mine)))
        case "curves":
            curves[version] = tuple(draw(st.permutations(curves[version])))[
                : draw(st.integers(1, 3))
            ]
        case "version" if len(suites) > 1:
            del suites[version]
        case "both":
            return replace(profile, server_order=not profile.server_order)
    return replace(profile, suites=suites, curves=curves)


@settings(max_examples=80)
@given(st.data(), st.sampled_from([TWELVE, MODERN]), st.sampled_from(PACES))
def test_what_differs_from_its_neighbours_is_found_all_the_same(
    data: st.DataObject, common: Profile, pace: str
) -> None:
    odd = data.draw(changed(common))
    kinds = [common] * 5 + [odd] + [common] * 4 + [odd]
    reports, _ = scanned_together([Server(profile) for profile in kinds], Limits.of(pace, 60))
    for report, profile in zip(reports, kinds, strict=True):
        found_exactly(report, profile)


@pytest.mark.parametrize("seed", range(20))
def test_a_neighbour_in_trouble_is_asked_until_it_is_known(seed: int) -> None:
    servers = [Server(MODERN, seed + n, resets=0.3 if n > 5 else 0.0) for n in range(12)]
    reports, _ = scanned_together(list(servers))
    for report in reports:
        found_exactly(report, MODERN)


def test_those_who_wait_for_the_first_do_not_wait_for_ever() -> None:
    silent = [Server(MODERN, silent=1.0) for _ in range(2)]
    servers = [*silent, *(Clocked(MODERN) for _ in range(12))]
    reports, _ = scanned_together(list(servers))
    for clocked in servers[2:]:
        assert isinstance(clocked, Clocked)
        assert clocked.last < 6
    for report in reports[2:]:
        found_exactly(report, MODERN)


@pytest.mark.parametrize("refusal", [Alert(40), Alert(70)])
def test_many_that_refuse_everything_alike_are_told_to(refusal: Alert) -> None:
    nothing = Profile({}, {}, (), True)
    reports, _ = scanned_together([Server(nothing, refusal=refusal) for _ in range(12)])
    for report in reports:
        (target,) = report.targets
        assert target.connections >= FEW
        assert {p.offered for p in target.protocols.values()} == {"no"}


def test_a_bug_while_asking_ahead_ends_the_scan_and_leaves_nobody_waiting() -> None:
    asked = 0

    async def serve(hello: Hello, wait: float) -> Reply:
        nonlocal asked
        asked += 1
        await asyncio.sleep(ROUND_TRIP)
        if asked > 10:
            raise RuntimeError("a bug")
        return plainly(TWELVE, hello)

    with pytest.raises(RuntimeError, match="a bug"):
        scanned(serve)
