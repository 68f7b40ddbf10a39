"""diff, history and evaluate as a user meets them: what they say, and their exit statuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tests.cli.program import run
from tlscheck.core.diff import Document
from tlscheck.io import store
from tlscheck.render.notice import Notice

SAMPLE = Path(__file__).resolve().parents[2] / "reports" / "sample.json"
FIPS, GOOD = "sts:aws:us-west-1:fips-dualstack", "sts:aws:us-west-1:standard"


@pytest.fixture
def keep(tmp_path: Path) -> Callable[..., Path]:
    """Keeps a night's report: the sample, as of a day, with one of its endpoints changed."""

    def keep(day: int, change: Callable[[dict[str, Any]], None] | None = None) -> Path:
        report = json.loads(SAMPLE.read_text())
        report["run"] |= {"id": f"{day:08x}", "started": f"2026-11-{day:02}T02:00:00Z"}
        if change:
            change(next(e for e in report["endpoints"] if e["id"] == GOOD)["targets"][0])
        path = tmp_path / "reports" / f"202611{day:02}T020000Z-{day:08x}.json"
        store.write(path, json.dumps(report))
        return path

    return keep


def offers_11(target: dict[str, Any]) -> None:
    target["protocols"]["TLSv1.1"] |= {
        "offered": "yes", "why": None, "suites": ["TLS_RSA_WITH_AES_128_CBC_SHA"],
    }  # fmt: skip


def goes_blind(target: dict[str, Any]) -> None:
    for protocol in target["protocols"].values():
        protocol |= {"offered": "unknown", "why": "read time-out", "suites": [], "groups": [],
                     "order": None}  # fmt: skip


def test_the_last_two_are_compared_and_only_what_changed_is_said(
    keep: Callable[..., Path], tmp_path: Path
) -> None:
    keep(1), keep(2), keep(3, offers_11)
    done = run("diff", cwd=tmp_path)
    assert done.returncode == 1 and done.stderr == ""
    assert done.stdout == (
        "2026-11-02T02:00:00Z (00000002) -> 2026-11-03T02:00:00Z (00000003)\n\n"
        f"Changed\n  {GOOD}\n    TLSv1.1 now offered\n\n1 changed\n"
    )
    same = run("diff", "2026-11-01", "00000002", cwd=tmp_path)
    assert same.returncode == 0 and same.stdout.endswith("no change\n")
    back = run("diff", "00000003", "2026-11-01", cwd=tmp_path)
    assert back.returncode == 1 and "TLSv1.1 no longer offered" in back.stdout


def test_sight_lost_is_told_and_is_no_change(keep: Callable[..., Path], tmp_path: Path) -> None:
    keep(1), keep(2, goes_blind)
    done = run("diff", cwd=tmp_path)
    assert done.returncode == 0 and "sight lost: everything" in done.stdout


def test_a_run_at_another_depth_changes_nothing_and_says_so(
    keep: Callable[..., Path], tmp_path: Path
) -> None:
    def quick(report: dict[str, Any]) -> None:
        report["run"]["depth"] = "quick"
        for target in (t for e in report["endpoints"] for t in e["targets"]):
            target |= {"certificates": [], "https": {}, "http": {}, "features": {}}

    for day in (1, 2, 3):
        path = keep(day)
        report = json.loads(path.read_text())
        if day == 2:
            quick(report)
        path.write_text(json.dumps(report))
        again = run("evaluate", str(path), "--format", "json", "--policy", "aws-current",
                    "--policy", "aws-iam-2020", "-o", str(path), cwd=tmp_path)  # fmt: skip
        assert again.returncode == 1, again.stderr
    for pair in (("2026-11-01", "2026-11-02"), ("2026-11-02", "2026-11-03")):
        done = run("diff", *pair, cwd=tmp_path)
        assert done.returncode == 0 and done.stdout.endswith("both runs asked\n\nno change\n")
        assert done.stdout.count("asked at another depth") == 1
    assert "no change" in run("history", cwd=tmp_path).stdout


def test_json_fits_its_schema_and_markdown_is_a_table(
    keep: Callable[..., Path], tmp_path: Path
) -> None:
    pair = [str(keep(1)), str(keep(2, offers_11))]
    notice = run("schema", "notice", cwd=tmp_path)
    assert json.loads(notice.stdout) == store.schema(Notice, "tlscheck-notice/1")
    schema = run("schema", "diff", cwd=tmp_path)
    assert json.loads(schema.stdout) == store.schema(Document, "tlscheck-diff/1")
    done = run("diff", *pair, "--format", "json", cwd=tmp_path)
    document = json.loads(done.stdout)
    jsonschema.validate(document, json.loads(schema.stdout))
    assert [c["says"] for c in document["changes"]] == ["TLSv1.1 now offered"]
    table = run("diff", *pair, "--format", "markdown", "-o", "d.md", cwd=tmp_path)
    assert table.returncode == 1 and table.stdout == ""
    assert "| TLSv1.1 now offered |" in (tmp_path / "d.md").read_text()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["diff"], "reports"),
        (["diff", "x.json"], "both OLD and NEW"),
        (["diff", "a/x.json", "a/y.json"], "a/x.json"),
        (["diff", "x" * 300, "2026-11-01"], "neither a file nor a run or date"),
        (["diff", "ffffffff", "2026-11-01"], "neither a file nor a run or date"),
        (["diff", "0000000", "2026-11-01"], "2 runs"),
        (["diff", "2026-11-09", "2026-11-01"], "neither a file"),
        (["history", "--reports", "none"], "none"),
        (["history", "sts.nowhere.example"], "no report has an endpoint"),
        (["history", ""], "no report has an endpoint"),
        (["history", "--reports", ""], "--reports': must not be empty"),
        (["diff", "--reports", ""], "--reports': must not be empty"),
        (["show", str(SAMPLE), "-o", ""], "'--output': must not be empty"),
        (["evaluate", str(SAMPLE), "--config", ""], "--config': must not be empty"),
        (["endpoints", "check", ""], "must not be empty"),
        (["scan", "--lab", "--ca-bundle", ""], "--ca-bundle': must not be empty"),
        (["scan", "--lab", "--resume-within", "nan"], "--resume-within: must be from 0 to 168"),
        (["evaluate", "x.json"], "x.json"),
        (["evaluate", str(SAMPLE), "--policy", "nope"], "nope"),
        (["evaluate", str(SAMPLE), "--as-of", "soon"], "YYYY-MM-DD"),
    ],
)
def test_trouble_is_one_line_and_exit_2(
    arguments: list[str], says: str, keep: Callable[..., Path], tmp_path: Path
) -> None:
    if arguments != ["diff"]:
        keep(1), keep(2)
    done = run(*arguments, cwd=tmp_path)
    assert done.returncode == 2 and done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert says in line


def test_history_tells_the_night_and_what_holds_since(
    keep: Callable[..., Path], tmp_path: Path
) -> None:
    keep(1), keep(2, goes_blind), keep(3, offers_11), keep(4, offers_11)
    (tmp_path / "reports" / "20261105T020000Z-00000005.json").write_text("{torn")
    done = run("history", cwd=tmp_path)
    assert done.returncode == 0 and "not JSON; left out" in done.stderr
    assert done.stdout == f"4 reports\n\n2026-11-03T02:00:00Z\n  {GOOD}: TLSv1.1 now offered\n"
    one = run("history", "sts.us-west-1.amazonaws.com", "--confirm", "2", cwd=tmp_path)
    assert "2026-11-03T02:00:00Z TLSv1.1: yes" in one.stdout
    assert "2026-11-01T02:00:00Z TLSv1.2: yes" in one.stdout
    assert "no change" in run("history", "--confirm", "3", cwd=tmp_path).stdout
    events = json.loads(run("history", "--format", "json", cwd=tmp_path).stdout)["events"]
    assert [e["night"] for e in events] == ["2026-11-03T02:00:00Z"]


def test_saved_observations_are_judged_again_without_a_scan(tmp_path: Path) -> None:
    old = run("evaluate", str(SAMPLE), cwd=tmp_path)
    assert old.returncode == 1 and "policy aws-iam-2020" in old.stdout
    new = run("evaluate", str(SAMPLE), "--policy", "aws-current", "--format", "json", cwd=tmp_path)
    report = json.loads(new.stdout)
    jsonschema.validate(report, store.schema())
    assert {f["policy"] for f in report["findings"]} == {"aws-current"}
    assert report["endpoints"] == json.loads(SAMPLE.read_text())["endpoints"]
    early = run("evaluate", str(SAMPLE), "--as-of", "2019-01-01", cwd=tmp_path)
    assert early.returncode == 0 and "4 not_applicable" in early.stdout


@pytest.mark.parametrize("layer", ["file", "environment", "flag"])
def test_reports_and_policies_are_looked_up_where_the_configuration_says(
    layer: str, keep: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(1), keep(2, offers_11)
    (tmp_path / "reports").rename(tmp_path / "else where")
    flags: tuple[str, ...] = ()
    if layer == "file":
        (tmp_path / "tlscheck.toml").write_text(
            'reports = "else where"\npolicies = ["aws-current"]'
        )
    elif layer == "environment":
        monkeypatch.setenv("TLSCHECK_REPORTS", "else where")
        monkeypatch.setenv("TLSCHECK_POLICIES", "aws-current")
    else:
        (tmp_path / "tlscheck.toml").write_text('reports = "nowhere"\npolicies = ["aws-iam-2020"]')
        flags = ("--reports", "else where")
    done = run("diff", *flags, cwd=tmp_path)
    assert done.returncode == 1 and "TLSv1.1 now offered" in done.stdout
    assert "2 reports" in run("history", *flags, cwd=tmp_path).stdout
    for name in ("00000001", "2026-11-01"):
        shown = run("show", name, "--format", "json", *flags, cwd=tmp_path)
        assert json.loads(shown.stdout)["run"]["id"] == "00000001"
    policy = ("--policy", "aws-current") if flags else ()
    again = run("evaluate", "00000001", "--format", "json", *flags, *policy, cwd=tmp_path)
    assert {f["policy"] for f in json.loads(again.stdout)["findings"]} == {"aws-current"}
    bad = run("evaluate", "00000001", *flags, "--policy", "nope", cwd=tmp_path)
    assert bad.returncode == 2 and "nope" in bad.stderr
