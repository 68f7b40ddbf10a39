"""The nearly equal servers that the README gives figures of."""

from __future__ import annotations

import pytest

from tests.scan.virtual import Server, scanned_together

from .nearly import PAIRS, Count, alone, beside


@pytest.mark.parametrize("name", PAIRS)
def test_alone_nearly_equal_servers_are_told_apart_mostly(name: str) -> None:
    found = alone(name, 40)
    assert found.scans == 40 and found.mixed >= 26 and found.false <= 8


def test_beside_neighbours_a_version_of_one_of_them_is_seldom_missed() -> None:
    found = Count()
    for name in ("TLS 1.0 and 1.1", "TLS 1.1", "TLS 1.3, beside TLS 1.2"):
        one = beside(name, 10, features=False)
        found.scans, found.false = found.scans + one.scans, found.false + one.false
    assert found.scans == 150 and found.false <= 9


def test_a_false_verdict_is_counted_as_one() -> None:
    (one, other), found = PAIRS["SSLv3"], Count()
    (report,), _ = scanned_together([Server(one)])
    found.add(report, (one, one))
    assert (found.scans, found.mixed, found.false) == (1, 0, 0)
    found.add(report, (one, other))
    assert (found.scans, found.mixed, found.false) == (2, 0, 1)
    (report,), _ = scanned_together([Server(PAIRS["a group"][0])])
    found.add(report, PAIRS["a group"])
    assert found.false == 2
