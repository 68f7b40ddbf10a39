"""Data files by the command line: what would change is shown first, and faults name the place."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.cli.program import run
from tlscheck.io import catalog


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The catalog's files, with one row gone and one host changed."""
    place = tmp_path / "files"
    shutil.copytree(catalog.builtin_directory(), place)
    file = place / "aws.toml"
    tables = file.read_text().split("[[endpoint]]")
    gone = next(t for t in tables if 'id = "sts:aws:eu-west-1:standard"' in t)
    tables.remove(gone)
    text = "[[endpoint]]".join(tables)
    file.write_text(text.replace('"sts.eu-west-2.amazonaws.com"', '"sts.eu-west-9.amazonaws.com"'))
    return place


CHANGES = (
    "+ sts:aws:eu-west-1:standard sts.eu-west-1.amazonaws.com (data-listed)",
    "~ sts:aws:eu-west-2:standard host: sts.eu-west-9.amazonaws.com -> sts.eu-west-2.amazonaws.com",
)


def test_refresh_shows_what_would_change_and_writes_nothing_unasked(
    copy: Path, tmp_path: Path
) -> None:
    before = {path.name: path.read_text() for path in copy.iterdir()}
    done = run("endpoints", "refresh", "--directory", str(copy), cwd=tmp_path)
    assert done.returncode == 2 and "say --yes" in done.stderr
    assert set(CHANGES) <= set(done.stdout.splitlines())
    assert {path.name: path.read_text() for path in copy.iterdir()} == before


def test_refresh_writes_when_told_to_and_then_has_nothing_to_do(copy: Path, tmp_path: Path) -> None:
    done = run("endpoints", "refresh", "--directory", str(copy), "--yes", cwd=tmp_path)
    assert done.returncode == 0 and done.stdout.splitlines()[-1] == f"wrote {copy}/aws.toml"
    hosts = {row.host: row for row in catalog.load([copy])}
    assert hosts["sts.eu-west-1.amazonaws.com"].tier == "data-listed"
    assert "sts.eu-west-9.amazonaws.com" not in hosts
    again = run("endpoints", "refresh", "--directory", str(copy), cwd=tmp_path)
    assert again.returncode == 0 and again.stdout.startswith("0 to add, 0 to remove, 0 to change")


def test_the_shipped_files_are_what_the_rule_set_says(tmp_path: Path) -> None:
    done = run("endpoints", "refresh", cwd=tmp_path)
    assert done.returncode == 0
    assert done.stdout.startswith("0 to add, 0 to remove, 0 to change, 237 unchanged")


def test_refresh_of_nothing_is_refused(tmp_path: Path) -> None:
    done = run("endpoints", "refresh", "--directory", str(tmp_path), cwd=tmp_path)
    assert done.returncode == 2 and done.stdout == "" and "no .toml file" in done.stderr


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("a.toml", '[[endpoint]]\nhost = "a.example"\nport = 0\n', "a.toml:3: port"),
        ("a.toml", '[[endpoint]]\nhost = "a.example"\nhots = 1\n', "a.toml:3: "),
        ("a.toml", "[[endpoint]\n", "a.toml:1: "),
        ("a.csv", "host,port\na.example,443\nb example,443\n", "a.csv:3: host"),
        ("a.json", '[{"host": "a.example",\n  "note": "for 123456789012"}]', "a.json:2: note"),
        ("a.json", '[{"host": "a.example",\n "note": "https://me:pw@x/"}]', "a.json:2: note"),
        ("a.toml", '[[endpoint]]\nhost = "a.example"\nnote = "AKIAIOSFODNN7EXAMPLE"', "a.toml:3: "),
    ],
)
@pytest.mark.parametrize("command", [("endpoints", "check"), ("scan", "--endpoints")])
def test_a_bad_file_is_one_line_with_its_place(
    command: tuple[str, ...], name: str, text: str, says: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_text(text)
    done = run(*command, name, cwd=tmp_path)
    assert done.returncode == 2 and done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"tlscheck: {says}")
    for secret in ("123456789012", "me:pw", "AKIA"):
        assert secret not in line


def test_explain_tells_source_and_measure_and_names_the_rules_it_knows(tmp_path: Path) -> None:
    done = run("explain", "aws-iam-2020/transit-versions", cwd=tmp_path)
    assert done.returncode == 0
    for part in ("IAM User Guide, Data protection", "required", "measured", "TLSv1.2"):
        assert part in done.stdout
    unknown = run("explain", "nope", cwd=tmp_path)
    assert unknown.returncode == 2 and "aws-iam-2020/pfs" in unknown.stderr
