"""A few of each: what `python -m tests.nights` does at length."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from tests.cli.test_resume import FILL, in_a_small_place

from .faults import FIRST, LINE, fault_at, no_room, place_for_nights
from .kills import NIGHT, kills
from .planted import PLANTS, two_nights
from .races import races
from .year import year

SEED = int(os.environ.get("TLSCHECK_SEED", "4"))


def test_killed_at_random_moments_a_night_loses_nothing(tmp_path: Path) -> None:
    print(kills(tmp_path, 8, SEED))


def test_of_two_nights_at_once_exactly_one_writes(tmp_path: Path) -> None:
    print(races(tmp_path, 3, SEED))


def test_a_disk_that_fails_is_one_clear_line_and_the_next_night_is_good(tmp_path: Path) -> None:
    with place_for_nights(tmp_path) as nights:
        # Each file is written, synced, renamed and synced: one of these of each, and each of these.
        for nth, name in enumerate(("write", "fsync", "rename", "fsync")):
            for _ in range(20):  # how many reports are pruned before the last may differ
                _, calls = fault_at(nights, 1 << 30, errno.ENOSPC)
                ends = [at for at, call in enumerate(calls, 1) if call == "rename"]
                at = ends[nth] - 2 + nth
                assert len(ends) == 4 and at > FIRST
                status, made = fault_at(nights, at, errno.ENOSPC)
                nights.whole_night()
                renamed = made[: at - 1].count("rename")
                if made[at - 1 : at] == [name] and renamed == nth + (nth == 3):
                    break
            assert (status, made[at - 1 : at]) == (5, [name])
        assert no_room(nights, [0, 1000, 4000]) == [5] * 3


@pytest.mark.parametrize("pages", [0, 2, 40])
def test_a_full_disk_is_one_clear_line(pages: int, tmp_path: Path) -> None:
    with place_for_nights(tmp_path):
        (old,) = (tmp_path / "reports").glob("2*.json")
        done = in_a_small_place(tmp_path, FILL.format(pages * 4096), "size=512k", NIGHT)
    assert done.returncode == (0 if pages == 40 else 5)
    if done.returncode:
        assert LINE.fullmatch(done.stderr) and "No space left on device" in done.stderr
        assert (tmp_path / "after" / old.name).read_bytes() == (
            tmp_path / "before" / old.name
        ).read_bytes()


def test_exactly_the_planted_changes_are_named(tmp_path: Path) -> None:
    assert two_nights(tmp_path, resets=0.0, depth="standard", only=PLANTS) == []


def test_resets_at_random_name_no_other_change(tmp_path: Path) -> None:
    few = ("steady", "version_came", "suite_went", "order")
    assert two_nights(tmp_path, resets=0.3, depth="quick", only=few) == []


def test_the_history_of_a_year_finds_each_change_on_its_night(tmp_path: Path) -> None:
    print(year(tmp_path, SEED))
