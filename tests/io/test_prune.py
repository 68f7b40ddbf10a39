"""What is pruned is never the newest, never the last good one, and never somebody else's."""

from __future__ import annotations

import os
import stat
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tlscheck.io.prune import doomed, prune


def name(at: datetime, run: str = "1b56f0e1", end: str = ".json") -> str:
    return f"{at:%Y%m%dT%H%M%SZ}-{run}{end}"


def nights(count: int, start: datetime = datetime(2025, 1, 1, 2, tzinfo=UTC)) -> list[str]:
    return [name(start + timedelta(days=nth)) for nth in range(count)]


MOMENTS = st.datetimes(datetime(2019, 12, 1), datetime(2021, 2, 1))
NAMES = st.builds(
    name,
    MOMENTS | st.sampled_from([datetime(2020, 12, 30, h) for h in range(24)]),
    st.sampled_from(["00", "1b56f0e1", "ff"]),
)
FOREIGN = st.sampled_from(
    ["README.md", "sample.json", ".lock", "index.json", "20201301T000000Z-aa.json",
     "20201230T000000Z-aa.json.bak", "20201230T000000Z-aa.json.gz",
     ".20201230T000000Z-aa.json.x1", "20201230T000000Z-AA.json",
     "20201230T000000Z-aa.json\n", "٢٠201230T000000Z-aa.json", "20200230T000000Z-aa.json",
     "../20201230T000000Z-aa.json", "20201230T000000Z-.json"]
)  # fmt: skip
KEEP = st.integers(0, 12)


@st.composite
def directories(draw: st.DrawFn) -> tuple[list[str], str | None]:
    names = draw(st.lists(NAMES, unique=True, max_size=60))
    good = draw(st.sampled_from(names)) if names and draw(st.booleans()) else None
    return [*names, *draw(st.lists(FOREIGN, unique=True))], good


def ours(names: list[str]) -> list[str]:
    return [n for n in names if n.startswith(("2019", "202")) and not doomed_never(n)]


def doomed_never(one: str) -> bool:
    return one in FOREIGN.elements  # type: ignore[attr-defined]


@given(directories(), KEEP, KEEP)
def test_the_newest_and_the_last_good_stay_and_what_is_not_ours(
    found: tuple[list[str], str | None], daily: int, weekly: int
) -> None:
    names, good = found
    gone = doomed(names, daily, weekly, {good})
    assert set(gone) <= set(ours(names)) and len(set(gone)) == len(gone)
    assert good not in gone
    if own := ours(names):
        assert max(own) not in gone
        assert len(own) - len(gone) <= daily + weekly + 2


@given(directories(), KEEP, KEEP)
def test_pruning_twice_changes_nothing(
    found: tuple[list[str], str | None], daily: int, weekly: int
) -> None:
    names, good = found
    gone = doomed(names, daily, weekly, {good})
    assert doomed([n for n in names if n not in gone], daily, weekly, {good}) == ()
    assert doomed(names[::-1], daily, weekly, {good}) == gone


@given(directories(), KEEP, KEEP, KEEP, KEEP)
def test_keeping_more_never_removes_more(
    found: tuple[list[str], str | None], daily: int, weekly: int, days: int, weeks: int
) -> None:
    names, good = found
    fewer = doomed(names, daily + days, weekly + weeks, {good})
    assert set(fewer) <= set(doomed(names, daily, weekly, {good}))


@given(directories(), KEEP, KEEP)
def test_the_last_of_each_newest_day_and_week_stays(
    found: tuple[list[str], str | None], daily: int, weekly: int
) -> None:
    names, good = found
    kept = sorted(set(ours(names)) - set(doomed(names, daily, weekly, {good})))
    days: dict[date, str] = {}
    weeks: dict[tuple[int, int], str] = {}
    for one in sorted(ours(names)):
        day = datetime.strptime(one[:8], "%Y%m%d").date()
        days[day] = one
        weeks[day.isocalendar()[:2]] = one
    wanted = [days[day] for day in sorted(days)[::-1][:daily]]
    wanted += [weeks[week] for week in sorted(weeks)[::-1][:weekly]]
    wanted += [*ours([good] if good else []), *sorted(ours(names))[-1:]]
    assert kept == sorted(set(wanted))


def test_a_year_of_nights() -> None:
    year = nights(365)
    stay = set(year) - set(doomed(year, 30, 52, ()))
    assert len(stay) == 30 + 52 - 5  # the last Sundays are among the last days
    assert set(year[-30:]) <= stay
    assert doomed(year, 365, 0, ()) == ()
    assert set(year) - set(doomed(year, 0, 0, {year[7]})) == {year[7], year[-1]}


def test_weeks_are_those_of_iso_8601_across_new_year() -> None:
    days = nights(8, datetime(2020, 12, 28, 2, tzinfo=UTC))  # Monday of 2020-W53
    assert set(days) - set(doomed(days, 0, 2, ())) == {days[6], days[7]}


@pytest.mark.parametrize("numbers", [(-1, 0), (0, -1)])
def test_a_number_below_zero_is_refused(numbers: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="below zero"):
        doomed([], *numbers, None)


# --- on disk


def filled(directory: Path, names: list[str]) -> None:
    for one in names:
        (directory / one).write_text("{}")


def listed(directory: Path) -> set[str]:
    return set(os.listdir(directory))


def test_old_reports_are_removed_and_the_rest_is_untouched(tmp_path: Path) -> None:
    names = nights(10)
    foreign = ["README.md", ".lock", f"{names[0]}.bak", "20251301T000000Z-aa.json"]
    filled(tmp_path, [*names, *foreign])
    done = prune(tmp_path, keep_daily=2, keep_weekly=0, spared={names[4]})
    assert done.problems == () and list(done.removed) == [*names[:4], *names[5:8]]
    assert listed(tmp_path) == {*names[8:], names[4], *foreign}
    assert prune(tmp_path, keep_daily=2, keep_weekly=0, spared={names[4]}).removed == ()


def test_links_and_directories_named_like_reports_are_left_alone(tmp_path: Path) -> None:
    reports, other = tmp_path / "reports", tmp_path / "other"
    reports.mkdir()
    other.mkdir()
    names = nights(6)
    filled(other, [names[0], "kept"])
    filled(reports, names[3:5])
    (reports / names[0]).symlink_to(other / names[0])
    (reports / names[1]).symlink_to(other)
    (reports / names[2]).mkdir()
    os.mkfifo(reports / names[5])  # not the newest: no report
    done = prune(reports, keep_daily=1, keep_weekly=0, spared=())
    assert done.removed == (names[3],) and done.problems == ()
    assert listed(reports) == {*names} - {names[3]} and listed(other) == {names[0], "kept"}


def test_a_directory_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    done = prune(tmp_path / "none", keep_daily=1, keep_weekly=1, spared=())
    assert done.problems == (f"cannot prune {tmp_path / 'none'}: No such file or directory",)
    filled(tmp_path, ["file"])
    done = prune(tmp_path / "file", keep_daily=1, keep_weekly=1, spared=())
    assert done.problems == (f"cannot prune {tmp_path / 'file'}: Not a directory",)


def test_one_that_cannot_be_removed_does_not_keep_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = nights(4)
    filled(tmp_path, names)
    unlink = os.unlink

    def refuse(path: Any, **more: Any) -> None:
        if path == names[0]:
            raise PermissionError(1, "Operation not permitted")
        if path == names[1]:
            unlink(path, **more)  # by someone else, a moment before
        unlink(path, **more)

    monkeypatch.setattr(os, "unlink", refuse)
    done = prune(tmp_path, keep_daily=1, keep_weekly=0, spared=())
    assert done.removed == (names[2],)
    assert done.problems == (f"cannot remove {tmp_path / names[0]}: Operation not permitted",)
    assert listed(tmp_path) == {names[0], names[3]}


def test_nothing_is_removed_when_nothing_is_to_go(tmp_path: Path) -> None:
    before = stat.S_IMODE(tmp_path.stat().st_mode), tmp_path.stat().st_mtime_ns
    assert prune(tmp_path, keep_daily=0, keep_weekly=0, spared=()).removed == ()
    assert before == (stat.S_IMODE(tmp_path.stat().st_mode), tmp_path.stat().st_mtime_ns)
