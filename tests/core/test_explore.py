"""Exploring any server recovers exactly its profile, at the least number of connections."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tlscheck.core import registry
from tlscheck.core.eliminate import (
    Answer,
    Exploration,
    Refused,
    Unknown,
    together,
)
from tlscheck.core.explore import (
    VERSIONS,
    VersionFacts,
    explore_version,
    hidden,
)
from tlscheck.core.model import Protocol
from tlscheck.core.registry import Version
from tlscheck.core.reply import Hello, Picked, Ssl2Picked

MODERN = [Version.SSLv3, Version.TLSv1_0, Version.TLSv1_1, Version.TLSv1_2, Version.TLSv1_3]
USUAL = {
    v: [s for s in registry.suites_of(v) if registry.suites()[s].key_exchange in
        ("TLS13", "ECDHE", "DHE", "RSA") and registry.suites()[s].authentication != "PSK"]
    for v in MODERN
}  # fmt: skip

USUAL[Version.SSLv3] = USUAL[Version.TLSv1_0]  # what no TLS 1.0 hello could name is not usual


@dataclass(frozen=True)
class Profile:
    """A server: for each version suites and groups in its order; whose order it follows."""

    suites: dict[Version, tuple[int, ...]]
    curves: dict[Version, tuple[int, ...]]
    fields: tuple[int, ...]
    server_order: bool
    most: int = 10_000  # refuses hellos with more suites than this


def choose(ours: tuple[int, ...], theirs: tuple[int, ...], server_order: bool) -> int | None:
    first, second = (theirs, ours) if server_order else (ours, theirs)
    return next((item for item in first if item in second), None)


def answer(profile: Profile, hello: Hello) -> Answer:
    if len(hello.suites) > profile.most:
        return Refused("alert handshake_failure")
    offered = [v for v in profile.suites if v <= hello.version] if hello.version != 2 else []
    if hello.version is Version.TLSv1_3 and Version.TLSv1_3 not in profile.suites:
        return Refused("alert protocol_version", version=True)
    if not offered:
        return Refused("alert protocol_version", version=True)
    version = max(offered)
    curve = choose(hello.groups, profile.curves.get(version, ()), profile.server_order)
    field = choose(hello.groups, profile.fields, profile.server_order)
    table = registry.suites()

    def usable(suite: int) -> bool:
        kind = table[suite].key_exchange
        return (
            True if version is Version.SSLv3  # no extensions: the server uses what it likes
            else curve is not None if kind == "ECDHE"
            else field is not None or not set(hello.groups) & set(registry.ffdhe_groups())
            if kind == "DHE"
            else (curve or field) is not None if kind == "TLS13"
            else True
        )  # fmt: skip

    theirs = tuple(s for s in profile.suites[version] if usable(s))
    suite = choose(hello.suites, theirs, profile.server_order)
    if suite is None:
        return Refused("alert handshake_failure")
    kind = table[suite].key_exchange
    group = {"ECDHE": curve, "DHE": field, "TLS13": curve}.get(kind)
    return Picked(version, suite, group, retry=version is Version.TLSv1_3)


def run(
    exploration: Exploration[object], reply: Callable[[Hello], Answer]
) -> tuple[object, list[Hello]]:
    asked: list[Hello] = []
    try:
        hellos = next(exploration)
        while True:
            asked += hellos
            hellos = exploration.send(tuple(reply(h) for h in hellos))
    except StopIteration as stop:
        return stop.value, asked


def explore() -> Exploration[tuple[VersionFacts, ...]]:
    facts = yield from together([explore_version(version) for version in VERSIONS])
    return tuple(sorted(facts, key=lambda fact: fact.version))


@st.composite
def profiles(draw: st.DrawFn, versions: list[Version] = MODERN, small: bool = False) -> Profile:
    chosen = draw(st.lists(st.sampled_from(versions), min_size=1, unique=True))
    suites, curves = {}, {}
    for version in chosen:
        pool = USUAL[version]
        most = 6 if small else 20
        suites[version] = tuple(
            draw(st.lists(st.sampled_from(pool), min_size=1, max_size=most, unique=True))
        )
        groups = registry.groups_of(version)
        groups = groups if version is Version.TLSv1_3 else registry.curves_of(version)
        curves[version] = tuple(
            draw(st.lists(st.sampled_from(groups), min_size=1, max_size=8, unique=True))
        )
    fields = tuple(
        draw(st.lists(st.sampled_from(registry.ffdhe_groups()), min_size=1, unique=True))
    )
    return Profile(suites, curves, fields, draw(st.booleans()))


def expect(profile: Profile, fact: VersionFacts, hellos: list[Hello]) -> None:
    version, found = fact.version, fact.protocol
    if version not in profile.suites:
        assert found.offered == "no", (version, found)
        return
    theirs = profile.suites[version]
    names = tuple(registry.suite_name(s) for s in theirs)
    assert found.offered == "yes" and found.why is None, found
    assert set(found.suites) == set(names)
    if len(names) > 1:
        # A server whose order happens to be ours cannot be told from one without: either is true.
        assert found.order == ("server" if profile.server_order else "client")
        if profile.server_order:
            assert found.suites == names
    else:
        assert found.order is None
    if version >= Version.TLSv1_2:
        kinds = {registry.suites()[s].key_exchange for s in theirs}
        groups: set[int] = set()
        if kinds & {"ECDHE", "TLS13"}:
            groups |= set(profile.curves[version])
        if "DHE" in kinds:
            groups |= set(profile.fields)
        assert set(found.groups) == {registry.group_name(g) for g in groups}


# Beside accepted + 1: one more for the order of suites; for the groups of TLS 1.2 there are two
# lists (curves and RFC 7919), each accepted + 1, with one more for their order, and one for a
# server with ECDSA only; and the curves once more where that has suites without a certificate.
CONSTANT = 1


@settings(max_examples=300)
@given(profiles())
def test_exploring_recovers_exactly_the_profile(profile: Profile) -> None:
    for version in MODERN:
        fact, asked = run(explore_version(version), lambda h: answer(profile, h))
        assert isinstance(fact, VersionFacts)
        expect(profile, fact, asked)
        suites = len(fact.protocol.suites)
        if fact.protocol.offered == "no":
            assert len(asked) == 1
        elif version < Version.TLSv1_2:
            assert len(asked) <= suites + 1 + CONSTANT
        else:
            groups = len(fact.protocol.groups)
            bare = any("_anon_" in name for name in fact.protocol.suites)
            curves = groups * (1 + bare) + (2 + bare) * (1 + CONSTANT) + 1
            assert len(asked) <= (suites + 1 + CONSTANT) + curves


@settings(max_examples=60)
@given(profiles())
def test_all_versions_side_by_side_give_the_same(profile: Profile) -> None:
    facts, asked = run(explore(), lambda h: answer(profile, h))
    assert isinstance(facts, tuple)
    assert [fact.version for fact in facts] == sorted(Version)
    for fact in facts:
        expect(profile, fact, asked)


@settings(max_examples=60)
@given(profiles(small=True), st.sampled_from([90, 120, 128]))
def test_a_server_that_refuses_long_lists_is_not_said_to_refuse_all(
    profile: Profile, most: int
) -> None:
    short = Profile(profile.suites, profile.curves, profile.fields, profile.server_order, most)
    facts, _ = run(explore(), lambda h: answer(short, h))
    assert isinstance(facts, tuple)
    for fact in facts:
        if fact.version in profile.suites:
            names = {registry.suite_name(s) for s in profile.suites[fact.version]}
            assert fact.protocol.offered == "yes" and set(fact.protocol.suites) == names


@settings(max_examples=100)
@given(profiles(), st.integers(0, 60))
def test_going_blind_midway_never_makes_a_no(profile: Profile, sight: int) -> None:
    asked = 0

    def fading(hello: Hello) -> Answer:
        nonlocal asked
        asked += 1
        return answer(profile, hello) if asked <= sight else Unknown("read time-out")

    facts, _ = run(explore(), fading)
    assert isinstance(facts, tuple)
    for fact in facts:
        if fact.version in profile.suites:
            found = fact.protocol
            assert found.offered in ("yes", "unknown")
            whole = {registry.suite_name(s) for s in profile.suites[fact.version]}
            assert set(found.suites) <= whole
            assert found.why is not None or set(found.suites) == whole


def test_a_server_that_picks_what_was_not_offered_ends_and_is_noted() -> None:
    facts, asked = run(explore(), lambda h: Picked(h.version, 0x1A1A, 0x2A2A))
    assert isinstance(facts, tuple)
    assert all(f.protocol.offered == "unknown" for f in facts if f.version > Version.SSLv2)
    assert all(f.strays for f in facts if f.version > Version.SSLv2)
    assert len(asked) < 20


def test_a_server_that_always_picks_the_same_suite_offers_just_that() -> None:
    always = lambda h: Picked(h.version, USUAL[Version.TLSv1_2][0], 0x001D)  # noqa: E731
    fact, asked = run(explore_version(Version.TLSv1_2), always)
    assert isinstance(fact, VersionFacts)
    assert fact.protocol.suites == (registry.suite_name(USUAL[Version.TLSv1_2][0]),)
    assert fact.strays and len(asked) < 8


def test_ssl2_lists_all_kinds_from_one_answer() -> None:
    fact, asked = run(explore_version(Version.SSLv2), lambda h: Ssl2Picked((0x0700C0, 0x010080)))
    assert isinstance(fact, VersionFacts) and len(asked) == 1
    assert fact.protocol.suites == ("SSL_CK_RC4_128_WITH_MD5", "SSL_CK_DES_192_EDE3_CBC_WITH_MD5")


def test_what_was_hidden_makes_no_list_whole() -> None:
    whole, part = registry.suites_of(Version.TLSv1_0)[:2]

    def reply(hello: Hello) -> Answer:
        picks = part in hello.suites
        return Picked(Version.TLSv1_0, part, None) if picks else Refused("alert handshake_failure")

    known = Protocol("yes", "suites may be incomplete: no answer", (registry.suite_name(whole),))
    found, _ = run(hidden(VersionFacts(Version.TLSv1_0, known)), reply)
    assert isinstance(found, VersionFacts)
    assert found.protocol.suites == tuple(map(registry.suite_name, (part, whole)))
    assert found.protocol.why == known.why


WHY = "suites may be incomplete: time-out (3 times)"


@pytest.mark.parametrize("hides", [False, True])
def test_what_was_not_answered_may_hide_more(hides: bool) -> None:
    """Of the families that may be hidden one is not answered, and another may hide something."""
    known, part, *_ = registry.suites_of(Version.TLSv1_2)
    lost = next(
        s for s in registry.suites_of(Version.TLSv1_2) if "_DHE_RSA_" in registry.suite_name(s)
    )

    def reply(hello: Hello) -> Answer:
        if lost in hello.suites:
            return Unknown("time-out (3 times)", asked=True)
        if hides and part in hello.suites:
            return Picked(Version.TLSv1_2, part, None)
        return Refused("alert handshake_failure")

    told = Protocol("yes", None, (registry.suite_name(known),))
    found, _ = run(hidden(VersionFacts(Version.TLSv1_2, told)), reply)
    assert isinstance(found, VersionFacts) and found.protocol.why == WHY
    assert (registry.suite_name(part) in found.protocol.suites) == hides


@pytest.mark.parametrize(
    ("curves", "server_order"),
    [((29, 23, 25, 24, 30), False),  # as JSSE: the key's own curve must be offered
     ((23, 24, 30), True)],  # as OpenSSL: beside the key's own it takes no other, unless anonymous
)  # fmt: skip
def test_suites_without_a_certificate_hide_no_curve_beside_an_ecdsa_key(
    curves: tuple[int, ...], server_order: bool
) -> None:
    own = 23
    signed, bare = (
        registry.suite_by_name(f"TLS_{kind}_WITH_AES_128_CBC_SHA").code
        for kind in ("ECDHE_ECDSA", "ECDH_anon")
    )

    def reply(hello: Hello) -> Answer:
        group = choose(hello.groups, curves, server_order)
        usable = (signed,) if own in hello.groups else ()
        suite = choose(hello.suites, (*usable, bare), server_order)
        if group is None or suite is None:
            return Refused("alert handshake_failure")
        return Picked(Version.TLSv1_2, suite, group)

    fact, _ = run(explore_version(Version.TLSv1_2), reply)
    assert isinstance(fact, VersionFacts)
    assert set(fact.protocol.groups) == {registry.group_name(g) for g in curves}


def test_a_server_that_reads_eleven_curves_alone_hides_none_of_those_in_use() -> None:
    own, mine = 24, (27, 28, 24)  # as mbed TLS 2.28, with a key on P-384: what is struck ends it
    known = {18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29}
    signed = registry.suite_by_name("TLS_ECDHE_ECDSA_WITH_AES_128_CCM").code

    def reply(hello: Hello) -> Answer:
        read = [group for group in hello.groups if group in known][:11]
        group = choose(tuple(read), mine, True)
        if signed not in hello.suites or own not in read or group is None:
            return Refused("alert handshake_failure")
        return Picked(Version.TLSv1_2, signed, group)

    fact, _ = run(explore_version(Version.TLSv1_2), reply)
    assert isinstance(fact, VersionFacts)
    assert fact.protocol.groups == tuple(map(registry.group_name, mine))


def test_a_client_that_leads_with_the_unknown_is_not_taken_to_lead_with_chacha20() -> None:
    names = ("TLS_AES_128_GCM_SHA256", "TLS_AES_128_CCM_SHA256", "TLS_AES_256_GCM_SHA384",
             "TLS_AES_128_CCM_8_SHA256", "TLS_CHACHA20_POLY1305_SHA256")  # fmt: skip
    mine = tuple(registry.suite_by_name(name).code for name in names)

    def reply(hello: Hello) -> Answer:
        known = [suite for suite in hello.suites if suite in mine]
        # As OpenSSL told to prioritize ChaCha20, and HAProxy: only the suites that it knows count.
        line = mine[-1:] + mine[:-1] if known[:1] == [mine[-1]] else mine
        suite = choose(hello.suites, line, True)
        group = choose(hello.groups, (29,), True)
        if suite is None or group is None:
            return Refused("alert handshake_failure")
        return Picked(Version.TLSv1_3, suite, group, retry=True)

    fact, _ = run(explore_version(Version.TLSv1_3), reply)
    assert isinstance(fact, VersionFacts)
    assert fact.protocol.suites == names and fact.protocol.order == "server"
