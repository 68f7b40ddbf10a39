"""A journal is gone on from when it fits in everything, and never half."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.io.test_whole import ASKED, ENDPOINTS, HEADER
from tlscheck.io import journal, lock
from tlscheck.io.journal import Header, Journal

NAME = f".journal-{HEADER.run}.jsonl"


@pytest.fixture
def place(tmp_path: Path) -> Iterator[int]:
    with lock.held(tmp_path) as place:
        yield place


def written(directory: Path, place: int, header: Header = HEADER, names: str = "ab") -> Path:
    found = journal.begin(directory, place, header)
    for name in names:
        found.add(ENDPOINTS[name])
    found.close()
    return found.path


def latest(directory: Path, place: int, **asked: str) -> tuple[Journal | None, list[str]]:
    said: list[str] = []
    found = journal.latest(directory, place, ASKED | asked, ENDPOINTS, said.append)
    if found:
        found.close()
    return found, said


def test_it_is_json_lines_that_name_their_format(tmp_path: Path, place: int) -> None:
    head, *lines = map(json.loads, written(tmp_path, place).read_text().splitlines())
    assert head["format"] == "tlscheck-journal/1" and head["run"] == HEADER.run
    assert [line["id"] for line in lines] == ["a", "b"]


def test_every_cut_of_the_last_line_loses_that_line_alone(tmp_path: Path, place: int) -> None:
    path = written(tmp_path, place)
    whole = path.read_bytes()
    start = whole[:-1].rfind(b"\n") + 1
    for length in range(start, len(whole)):
        path.write_bytes(whole[:length])
        found, said = latest(tmp_path, place)
        assert found and found.finished == {"a": ENDPOINTS["a"]} and not said
        assert path.read_bytes() == whole[:start]


def test_what_is_added_after_a_cut_is_read_back(tmp_path: Path, place: int) -> None:
    path = written(tmp_path, place)
    path.write_bytes(path.read_bytes()[:-9])
    found = journal.latest(tmp_path, place, ASKED, ENDPOINTS, pytest.fail)
    assert found
    found.add(ENDPOINTS["c"])
    found.close()
    again, _ = latest(tmp_path, place)
    assert again and again.finished == {n: ENDPOINTS[n] for n in "ac"}


DAMAGE: dict[str, tuple[Callable[[list[bytes]], list[bytes]], str]] = {
    "zeros": (lambda lines: [lines[0], bytes(len(lines[1])), lines[2]], "line 2 is damaged"),
    "half a line": (lambda lines: [lines[0], lines[1][:99], lines[2]], "line 2 is damaged"),
    "an empty line": (lambda lines: [lines[0], b"", *lines[1:]], "line 2 is damaged"),
    "another name": (
        lambda lines: [lines[0], lines[1].replace(b'"host"', b'"hoast"'), lines[2]],
        "line 2 is damaged",
    ),
    "one more name": (
        lambda lines: [lines[0], lines[1][:-1] + b',"x":1}', lines[2]],
        "line 2 is damaged",
    ),
    "the same twice": (lambda lines: [*lines, lines[1]], "line 4 is of no endpoint that was to be"),
    "one not asked for": (
        lambda lines: [lines[0], lines[1].replace(b'"id":"a"', b'"id":"z"')],
        "line 2 is of no endpoint that was to be",
    ),
    "another format": (
        lambda lines: [lines[0].replace(b"journal/1", b"journal/2"), *lines[1:]],
        "no journal of this version",
    ),
    "another run": (
        lambda lines: [lines[0].replace(b"abcd0123", b"abcd0124"), *lines[1:]],
        "no journal of this version",
    ),
    "no time": (
        lambda lines: [lines[0].replace(b"2026-11-24T", b"../../etc/T"), *lines[1:]],
        "no journal of this version",
    ),
    "no header": (lambda lines: lines[1:], "no journal of this version"),
    "no object": (lambda lines: [b"[]", *lines[1:]], "no journal of this version"),
    "deep nesting": (lambda lines: [b"[" * 60000, *lines[1:]], "no journal of this version"),
}


@pytest.mark.parametrize(("damage", "says"), DAMAGE.values(), ids=DAMAGE)
def test_a_journal_with_any_other_damage_is_not_used_and_said_so(
    damage: Callable[[list[bytes]], list[bytes]], says: str, tmp_path: Path, place: int
) -> None:
    path = written(tmp_path, place)
    path.write_bytes(b"\n".join([*damage(path.read_bytes().splitlines()), b""]))
    found, said = latest(tmp_path, place)
    assert found is None and len(said) == 1
    assert said[0].startswith(f"{path}: not used: ") and says in said[0]
    assert path.exists()


def test_one_that_asked_something_else_is_not_used_and_what_differs_is_said(
    tmp_path: Path, place: int
) -> None:
    path = written(tmp_path, place)
    found, said = latest(tmp_path, place, depth="standard", family="4")
    assert found is None
    assert said == [f"{path}: not used: that run differs in depth, family"]


def test_the_newest_that_fits_is_used(tmp_path: Path, place: int) -> None:
    written(tmp_path, place, replace(HEADER, run="1", started="2026-11-24T04:00:00Z"), "a")
    written(tmp_path, place, replace(HEADER, run="2", started="2026-11-24T03:00:00Z"), "b")
    other = replace(HEADER, run="3", started="2026-11-24T05:00:00Z", asked={"depth": "other"})
    written(tmp_path, place, other, "c")
    found, said = latest(tmp_path, place)
    assert found and found.header.run == "1" and len(said) == 1


@pytest.mark.parametrize(("hours", "kept"), [(0, True), (11.9, True), (12.1, False), (-13, False)])
def test_an_old_one_is_removed_and_said_so(
    hours: float, kept: bool, tmp_path: Path, place: int
) -> None:
    path = written(tmp_path, place)
    said: list[str] = []
    now = datetime(2026, 11, 24, 2, tzinfo=UTC) + timedelta(hours=hours)
    journal.tidy(tmp_path, place, now, timedelta(hours=12), said.append)
    assert path.exists() is kept
    assert said == ([] if kept else [f"{path}: removed: its run began 2026-11-24T02:00:00Z"])


def test_an_unreadable_one_goes_by_the_age_of_its_file(tmp_path: Path, place: int) -> None:
    path = tmp_path / NAME
    path.write_text("?")
    os.utime(path, (0, 0))
    said: list[str] = []
    journal.tidy(tmp_path, place, datetime.now(UTC), timedelta(hours=12), said.append)
    assert not path.exists() and len(said) == 1


def test_a_finished_run_removes_its_own_and_older_ones_that_asked_the_same(
    tmp_path: Path, place: int
) -> None:
    written(tmp_path, place)
    written(tmp_path, place, replace(HEADER, run="1", started="2026-11-24T01:00:00Z"))
    other = written(tmp_path, place, replace(HEADER, run="2", asked={"depth": "other"}))
    newer = written(tmp_path, place, replace(HEADER, run="3", started="2026-11-24T04:00:00Z"))
    journal.forget(place, HEADER)
    assert sorted(tmp_path.glob(".journal-*")) == sorted([other, newer])
