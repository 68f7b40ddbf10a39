"""History finds each change on its night, in spite of nights without sight, and counts flapping."""

from __future__ import annotations

import pytest

from tlscheck.core.diff import PRESENT, Fact
from tlscheck.core.history import Facts, History, Night, follow

YES, NO, UNSEEN = Fact(("yes",)), Fact(("no",)), Fact((), False)
HERE = {PRESENT: Fact(("a.example:443",))}


def nights(*facts: Fact | None) -> list[Night]:
    """One endpoint whose TLS 1.0 was seen like this, night by night; None: it was not there."""
    return [
        Night(f"2026-01-{day:02}", {} if fact is None else {"a": HERE | {"TLSv1.0": fact}})
        for day, fact in enumerate(facts, 1)
    ]


def told(history: History) -> list[tuple[str, str]]:
    return [(event.night[-2:], event.change.says) for event in history.events]


def since(history: History, topic: str = "TLSv1.0") -> tuple[str, int]:
    (held,) = [held for held in history.holds if held.topic == topic]
    return held.since[-2:], held.flaps


def test_a_fact_holds_since_its_night() -> None:
    found = follow(nights(YES, YES, NO, NO))
    assert told(found) == [("03", "TLSv1.0 no longer offered")]
    assert since(found) == ("03", 0) and found.nights == 4


def test_nights_without_sight_neither_make_nor_hide_a_change() -> None:
    assert told(follow(nights(YES, UNSEEN, UNSEEN, YES))) == []
    found = follow(nights(YES, UNSEEN, NO, UNSEEN))
    assert told(found) == [("03", "TLSv1.0 no longer offered")] and since(found) == ("03", 0)
    assert since(follow(nights(UNSEEN, YES, YES))) == ("02", 0)


@pytest.mark.parametrize("confirm", [2, 3])
def test_a_change_counts_after_nights_that_agree_and_from_the_first_of_them(confirm: int) -> None:
    found = follow(nights(YES, NO, NO, NO, NO), confirm=confirm)
    assert told(found) == [("02", "TLSv1.0 no longer offered")] and since(found) == ("02", 0)
    with_gap = follow(nights(YES, NO, UNSEEN, NO, NO), confirm=confirm)
    assert told(with_gap) == [("02", "TLSv1.0 no longer offered")]


def test_what_turns_back_has_flapped() -> None:
    found = follow(nights(YES, NO, YES, NO, YES), confirm=2)
    assert told(found) == [] and since(found) == ("01", 2)
    assert len(told(follow(nights(YES, NO, YES, NO, YES)))) == 4


def test_an_endpoint_that_comes_or_goes_is_told() -> None:
    assert told(follow(nights(None, YES))) == [("02", "added to the catalog")]
    assert told(follow(nights(YES, None))) == [("02", "removed from the catalog")]
    assert told(follow(nights(YES, YES))) == []


def test_only_one_endpoint_is_followed_when_asked_for() -> None:
    both: list[dict[str, Facts]] = [
        {name: HERE | {"TLSv1.0": fact} for name in "ab"} for fact in (YES, NO)
    ]
    two = [Night(f"2026-01-0{n}", facts) for n, facts in enumerate(both, 1)]
    assert {e.change.endpoint for e in follow(two).events} == {"a", "b"}
    assert {e.change.endpoint for e in follow(two, only="b").events} == {"b"}


def test_the_same_facts_night_after_night_cost_nothing() -> None:
    facts = {f"e{n}": HERE | {"TLSv1.0": YES} for n in range(95)}
    found = follow(Night(f"{n:04}", facts) for n in range(3650))
    assert found.events == () and found.nights == 3650
