"""What a few replies let suppose of a server is a guess that later replies only make better."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.core.test_explore import Profile, answer, profiles
from tlscheck.core import registry
from tlscheck.core.eliminate import Refused
from tlscheck.core.explore import VERSIONS, opening
from tlscheck.core.foresight import fits, trail_to
from tlscheck.core.registry import Version
from tlscheck.core.reply import Alert, Hello, Picked, Reply
from tlscheck.core.suppose import Said, Supposed, Taste, likely_groups, likely_suites, suppose

OLD = (Version.TLSv1_0, Version.TLSv1_1, Version.TLSv1_2)
P256, X25519 = 0x17, 0x1D


def reply(server: Supposed | Profile, hello: Hello) -> Reply:
    said = server.answer(hello) if isinstance(server, Supposed) else answer(server, hello)
    if isinstance(said, Refused):
        return Alert(70 if said.version else 40)
    assert isinstance(said, Picked)
    return said


def opened(server: Supposed | Profile) -> Said:
    hellos = [opening(version) for version in VERSIONS if version is not Version.SSLv2]
    return [(hello, reply(server, hello)) for hello in hellos]


def of(taste: Taste, groups: Taste) -> Supposed:
    """A server that takes these in TLS 1.0 to 1.2."""
    table = registry.suites()
    spoken = {
        version: Taste(
            tuple(s for s in taste.items if table[s].first <= version), taste.server_order
        )
        for version in OLD
    }
    spoken = {version: mine for version, mine in spoken.items() if mine.items}
    return Supposed(spoken, dict.fromkeys(spoken, groups))


def learned(server: Supposed, guesses: int) -> int:
    """How many guesses it takes until one is the server, each with the replies to the last."""
    said = list(opened(server))
    for number in range(1, guesses + 1):
        trail = trail_to(suppose(said))
        replies = [(hello, reply(server, hello)) for hello, _ in trail]
        if all(fits(expected, r) for (_, expected), (_, r) in zip(trail, replies, strict=True)):
            return number
        said += replies
    raise AssertionError(f"{guesses} guesses were not enough")


@pytest.mark.parametrize("number", range(0, len(likely_suites()), 13))
def test_a_likely_server_is_known_after_a_few_guesses(number: int) -> None:
    groups = likely_groups()[number % len(likely_groups())].taste
    assert learned(of(likely_suites()[number].taste, groups), 4) <= 4


def test_the_most_likely_server_is_known_from_its_openings() -> None:
    assert learned(of(likely_suites()[0].taste, likely_groups()[0].taste), 1) == 1


@settings(max_examples=60)
@given(st.data())
def test_a_suite_less_than_is_likely_costs_a_few_guesses(data: st.DataObject) -> None:
    whole = data.draw(st.sampled_from(likely_suites()[::29])).taste
    assume(len(whole.items) > 3)
    gone = data.draw(st.sampled_from(whole.items))
    less = Taste(tuple(item for item in whole.items if item != gone), whole.server_order)
    assert learned(of(less, likely_groups()[0].taste), 9) <= 9


@settings(max_examples=80)
@given(profiles(), st.integers(0, 40))
def test_nothing_is_supposed_against_what_was_replied(profile: Profile, many: int) -> None:
    """Whatever the server: what was picked is taken, what was offered in vain is not, and the
    trail ends."""
    said = list(opened(profile))
    said += [(h, reply(profile, h)) for h, _ in trail_to(suppose(said))[:many]]
    server = suppose(said)
    for hello, told in said:
        picked = isinstance(told, Picked) and told.version == hello.version
        if isinstance(told, Picked) and picked:
            assert told.suite in server.suites[hello.version].items
        elif hello == opening(hello.version):
            assert hello.version not in server.suites
    assert len(trail_to(server)) < 600


def test_an_order_of_its_own_is_kept_as_far_as_it_is_known() -> None:
    """Each pick goes before all that it was preferred to."""
    line = tuple(reversed(likely_suites()[0].taste.items))
    odd = of(Taste(line[5:] + line[:5]), likely_groups()[0].taste)
    said = list(opened(odd))
    hello = opening(Version.TLSv1_2)
    for _ in range(6):  # as by elimination
        told = reply(odd, hello)
        assert isinstance(told, Picked)
        said.append((hello, told))
        left = tuple(s for s in hello.suites if s != told.suite)
        hello = Hello(hello.version, left, hello.groups)
    picks = [r.suite for h, r in said if h.version is Version.TLSv1_2 and isinstance(r, Picked)]
    supposed = suppose(said).suites[Version.TLSv1_2].items
    places = [supposed.index(pick) for pick in dict.fromkeys(picks)]
    assert all(one < other for one, other in pairwise(places))


def test_a_curve_that_a_certificate_needs_says_nothing_of_the_order() -> None:
    """Without its curve an ECDSA suite cannot be had, and the next is picked: RFC 8422, 5.1."""
    ecdsa, rsa = 0xC02B, 0xC02F
    whole = opening(Version.TLSv1_2)
    curves = tuple(group for group in whole.groups if group != P256)
    said = [
        (whole, Picked(Version.TLSv1_2, ecdsa, P256)),
        (Hello(whole.version, whole.suites, curves), Picked(Version.TLSv1_2, rsa, X25519)),
    ]
    assert suppose(said).suites[Version.TLSv1_2].items[0] == ecdsa


def test_the_groups_of_one_version_tell_those_of_another() -> None:
    """A server has one list of them, in an order that no usual one has here."""
    x448, p384 = 0x1E, 0x18
    newest, older = opening(Version.TLSv1_3), opening(Version.TLSv1_2)
    left = tuple(group for group in newest.groups if group != p384)
    said = [
        (newest, Picked(Version.TLSv1_3, 0x1301, p384)),
        (Hello(newest.version, newest.suites, left), Picked(Version.TLSv1_3, 0x1301, x448)),
        (older, Picked(Version.TLSv1_2, 0xC02F, p384)),
    ]
    assert suppose(said).groups[Version.TLSv1_2].items[:2] == (p384, x448)


def test_a_list_like_none_that_is_known_is_said_to_be() -> None:
    hello = opening(Version.TLSv1_2)
    aria, ccm = 0xC060, 0xC09C
    left = tuple(suite for suite in hello.suites if suite != aria)
    said = [
        (hello, Picked(Version.TLSv1_2, aria, P256)),
        (Hello(hello.version, left, hello.groups), Picked(Version.TLSv1_2, ccm)),
    ]
    assert suppose(said).vague
    assert not suppose(opened(of(likely_suites()[0].taste, likely_groups()[0].taste))).vague


def test_of_a_server_that_speaks_nothing_nothing_is_asked() -> None:
    assert trail_to(suppose([(opening(v), Alert(70)) for v in VERSIONS])) == ()
