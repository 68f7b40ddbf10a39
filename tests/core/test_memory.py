"""What is remembered: no change is lost behind nights without sight, and none is told twice."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.test_diff import DEPTHS, ONE, asked_less, blinded, report, reports
from tlscheck.core.diff import Change, compare
from tlscheck.core.memory import Memory, remember, since
from tlscheck.core.model import Depth

CHANCE = st.randoms(use_true_random=False)
RUN = {"id": "1", "started": "2026-11-24T02:00:00Z", "complete": True}
DEEPLY: dict[str, Any] = {"heartbleed": {"answer": "no"}}


def dated(found: dict[str, Any]) -> dict[str, Any]:
    return found | {"run": found["run"] | RUN}


def nights(*found: dict[str, Any]) -> list[list[Change]]:
    """What each night but the first tells."""
    memory: Memory | None = None
    told = []
    for each in map(dated, found):
        if memory is not None:
            told.append(list(since(memory, each).changes))
        memory = remember(each, memory)
    return told


def real(changes: Iterable[Change]) -> list[Change]:
    return [change for change in changes if change.weight != "sight"]


@given(reports(), reports())
def test_after_one_night_it_tells_what_two_reports_tell(
    a: dict[str, Any], b: dict[str, Any]
) -> None:
    assert nights(a, b) == [list(compare(dated(a), dated(b)).changes)]


@given(reports(), reports(), CHANCE, st.floats(0, 1), st.integers(1, 3))
def test_nights_without_sight_neither_lose_nor_repeat_a_change(
    a: dict[str, Any], b: dict[str, Any], chance: random.Random, share: float, count: int
) -> None:
    blind = [blinded(a, chance, share) for _ in range(count)]
    *quiet, last = nights(a, *blind, b, b)[:-1]
    assert [real(told) for told in quiet] == [[]] * count
    assert real(last) == real(compare(dated(a), dated(b)).changes)


@given(reports(), reports(), CHANCE, st.floats(0, 1))
def test_a_change_that_is_half_seen_is_told_once(
    a: dict[str, Any], b: dict[str, Any], chance: random.Random, share: float
) -> None:
    half = blinded(b, chance, share)
    first, again, same = nights(a, half, half, b)
    assert again == []
    assert not {(c.endpoint, c.topic) for c in real(first)} & {
        (c.endpoint, c.topic) for c in real(same) if "verdict" in c.topic
    }


@given(reports(), reports(), CHANCE, st.lists(st.sampled_from(DEPTHS), min_size=1, max_size=3))
def test_nights_that_ask_less_neither_lose_nor_repeat_nor_make_a_change(
    a: dict[str, Any], b: dict[str, Any], chance: random.Random, depths: list[Depth]
) -> None:
    less = [asked_less(a, depth, chance) for depth in depths]
    *quiet, last, again = nights(a, *less, b, b)
    assert [real(told) for told in quiet] == [[]] * len(depths)
    assert real(last) == real(compare(dated(a), dated(b)).changes) and again == []


def test_a_vulnerability_is_told_behind_nights_that_did_not_ask_for_it() -> None:
    deep = {**report(**{ONE + "deep": DEEPLY}), "run": {"depth": "deep"}}
    worse = {**report(**{ONE + "deep": {"heartbleed": {"answer": "yes"}}}), "run": deep["run"]}
    less = {**report(), "run": {"depth": "standard"}}
    told = nights(deep, less, less, worse, worse)
    assert [[f"{c.weight}: {c.says}" for c in each] for each in told] == [
        [], [], ["broke: heartbleed, says sslyze: no -> yes"], [],
    ]  # fmt: skip


def test_a_memory_without_a_depth_makes_nothing_of_it() -> None:
    memory = replace(remember(dated(report())), depth=None)
    quick = dated(report(**{ONE + "https": {}, "run/depth": "quick"}))
    assert since(memory, quick).circumstances == ()
    (said,) = since(remember(dated(report())), quick).circumstances
    assert said.startswith("asked at another depth (standard -> quick): ")


def test_what_went_behind_a_night_that_saw_a_part_and_something_new_is_told() -> None:
    def suites(names: list[str], why: str | None) -> dict[str, Any]:
        at = f"{ONE}protocols/TLSv1__2/"
        return report(**{at + "suites": names, at + "why": why})

    first, second = nights(suites(["A", "B"], None), suites(["C"], "time-out"), suites(["C"], None))
    assert [c.says for c in real(first)] == ["TLSv1.2 suites: +C"]
    assert "TLSv1.2 suites: -A -B" in [c.says for c in real(second)]
    assert not any("+C" in c.says for c in second)


@pytest.mark.parametrize("gap", [1, 5])
def test_a_verdict_that_broke_behind_inconclusive_nights_is_told(gap: int) -> None:
    blind = report(**{"findings/0/verdict": "inconclusive"})
    broken = report(**{"findings/0/verdict": "fail"})
    told = nights(report(), *[blind] * gap, broken, broken)
    said = [[f"{c.weight}: {c.says}" for c in each] for each in told]
    assert said == [
        ["sight: sight lost: verdict p/r"], *[[]] * (gap - 1), ["broke: p/r: pass -> fail"], [],
    ]  # fmt: skip


def test_what_was_unseen_and_is_the_same_again_is_sight_regained() -> None:
    blind = copy.deepcopy(report(**{ONE + "protocols": {}}))
    told = nights(report(), blind, blind, report())
    assert [[c.says for c in each] for each in told] == [
        ["sight lost: everything"], [], ["sight regained: everything"],
    ]  # fmt: skip


def test_an_endpoint_that_went_is_told_once_and_forgotten() -> None:
    none = report(endpoints=[], findings=[])
    assert [[c.says for c in each] for each in nights(report(), none, none, report())] == [
        ["removed from the catalog"], [], ["added to the catalog"],
    ]  # fmt: skip
