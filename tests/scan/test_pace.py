"""The pace brakes as soon as faults show, finds what a server bears, and recovers."""

from __future__ import annotations

import pytest

from tlscheck.scan.pace import FIRST_GAP, LONG_GAP, LONGEST_GAP, Pace


def test_nothing_waits_while_all_is_well() -> None:
    pace = Pace(6)
    for n in range(1000):
        assert pace.reserve(n / 1000) == 0
        pace.good()
    assert pace.at_once == 6 and pace.gap == 0


def test_a_fault_halves_what_is_open_and_a_burst_counts_once() -> None:
    pace = Pace(8)
    for _ in range(20):
        pace.bad(1.0)
    assert pace.at_once == 4 and pace.gap >= FIRST_GAP
    pace.bad(2.0)
    assert pace.at_once == 2


def test_faults_that_go_on_slow_down_to_a_limit_and_never_to_a_halt() -> None:
    pace = Pace(6)
    for n in range(500):
        pace.bad(float(n))
    assert pace.at_once == 1 and pace.gap == LONGEST_GAP
    half = Pace(6)
    for n in range(500):
        half.bad(float(n))
        half.good()
        half.good()
    assert half.gap <= LONG_GAP


def test_it_recovers_when_faults_stop() -> None:
    pace = Pace(6)
    for n in range(5):
        pace.bad(float(n))
    slow = pace.gap
    for _ in range(400):
        pace.good()
    assert pace.at_once == 6 and pace.gap == 0 < slow


@pytest.mark.parametrize("limit", [5, 20, 100])
def test_it_settles_near_the_rate_that_a_server_bears(limit: int) -> None:
    """A bucket of `limit` connections, filled as fast: it is used well, and rarely overrun."""
    pace, now, tokens, filled = Pace(6), 0.0, float(limit), 0.0
    served = refused = 0
    while now < 60:
        now += pace.reserve(now) + 0.001
        tokens, filled = min(limit, tokens + (now - filled) * limit), now
        if tokens >= 1:
            tokens -= 1
            served += 1
            pace.good()
        else:
            refused += 1
            pace.bad(now)
    assert served > 0.6 * limit * 60
    assert refused < 0.5 * (served + refused)
