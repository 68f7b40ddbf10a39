"""Reading what is kept: strictly, and only what is ours."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tlscheck.io import store

SAMPLE = Path(__file__).resolve().parents[2] / "reports" / "sample.json"
NAME = "20261124T020000Z-0000000a.json"


@pytest.mark.parametrize(
    "where",
    [(), ("run",), ("tool",), ("policies", 0), ("findings", 0), ("endpoints", 0),
     ("endpoints", 0, "targets", 0), ("endpoints", 0, "targets", 0, "protocols", "TLSv1.2")],
)  # fmt: skip
def test_an_unknown_field_is_named_with_its_place(where: Sequence[Any], tmp_path: Path) -> None:
    report = json.loads(SAMPLE.read_text())
    node = report
    for step in where:
        node = node[step]
    node["fresh"] = 1
    path = tmp_path / "r.json"
    path.write_text(json.dumps(report))
    with pytest.raises(store.BadReport) as caught:
        store.read(path)
    place = ".".join(map(str, (*where, "fresh")))
    assert str(caught.value).startswith(f"{path}: {place}: unknown field; ")


def test_what_a_server_sent_may_have_any_field(tmp_path: Path) -> None:
    report = json.loads(SAMPLE.read_text())
    target = report["endpoints"][0]["targets"][0]
    for part in ("https", "http", "features"):
        target[part]["fresh"] = {"deep": [1]}
    target["certificates"] = [{"fresh": 1}]
    (tmp_path / "r.json").write_text(json.dumps(report))
    assert store.data(tmp_path / "r.json")["endpoints"][0]["targets"][0]["http"]["fresh"]


def test_a_report_from_before_the_depth_was_recorded_is_read_and_fits_the_schema(
    tmp_path: Path,
) -> None:
    report = json.loads(SAMPLE.read_text())
    jsonschema.validate(report, store.schema())
    assert report["run"].pop("depth") == "standard"
    (tmp_path / "r.json").write_text(json.dumps(report))
    assert store.read(tmp_path / "r.json").run.depth is None
    jsonschema.validate(report, store.schema())
    report["run"]["depth"] = "abyss"
    (tmp_path / "r.json").write_text(json.dumps(report))
    with pytest.raises(store.BadReport, match=r"run\.depth: "):
        store.read(tmp_path / "r.json")


@pytest.mark.parametrize("schema", ["tlscheck-report/2", "tlscheck-diff/1", None])
def test_another_format_is_said_to_be_one(schema: str | None, tmp_path: Path) -> None:
    (tmp_path / "r.json").write_text(json.dumps({"schema": schema, "anything": 1}))
    with pytest.raises(store.BadReport, match=r'"schema" must be "tlscheck-report/1"'):
        store.read(tmp_path / "r.json")


def test_links_directories_and_other_names_are_no_reports(tmp_path: Path) -> None:
    theirs = tmp_path / "theirs.json"
    theirs.write_bytes(SAMPLE.read_bytes())
    reports = tmp_path / "reports"
    reports.mkdir()
    (reports / NAME).write_bytes(SAMPLE.read_bytes())
    (reports / NAME.replace("24T", "25T")).symlink_to(theirs)
    (reports / NAME.replace("24T", "26T")).mkdir()
    (reports / f"{NAME}.gz").write_bytes(b"")
    (reports / ".state.json").write_text("{}")
    assert store.kept(reports) == [reports / NAME]


def test_what_cannot_be_found_is_named(tmp_path: Path) -> None:
    with pytest.raises(store.BadReport, match=r"^gone\.json: no such file, and no run or date"):
        store.find(tmp_path / "none", "gone.json")
