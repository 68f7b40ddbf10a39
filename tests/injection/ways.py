"""One report, and all the ways by which a report comes out."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pydantic
import pytest

from tests.injection import samples
from tests.injection.sinks import (
    Said,
    ascii_json,
    coloured,
    complaint,
    found,
    places,
    plain,
    run,
)
from tlscheck.core.model import Report
from tlscheck.io import catalog
from tlscheck.render import endpoint as page

SEED = "Q7Z"  # what a payload is known by when it comes out
REPORT = samples.report()
SAMPLE = pydantic.TypeAdapter(Report).validate_python(REPORT)
OWN_FILES = sorted(catalog.builtin_directory().glob("*.toml"))
CATALOG = catalog.load(OWN_FILES)
ALL = [place for place in places(REPORT) if place]
STRINGS = [place for place in ALL if isinstance(found(REPORT, place), str)]
KEYS = [place for place in ALL if isinstance(place[-1], str)]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """One reader of reports and one catalog for all runs: they take longer than the runs."""
    monkeypatch.setattr(pydantic, "TypeAdapter", functools.cache(pydantic.TypeAdapter))
    load = catalog.load
    monkeypatch.setattr(catalog, "load", lambda p: CATALOG if p == OWN_FILES else load(p))
    monkeypatch.chdir(tmp_path)


def show(document: Any, name: str = "r.json") -> Iterator[tuple[str, Said]]:
    """A saved report in all the ways that it can come out."""
    Path(name).write_text(json.dumps(document))
    yield "piped", run("show", name)
    yield "terminal", run("show", name, terminal=True, COLUMNS="100")
    yield "no colour", run("show", name, terminal=True, COLUMNS="70", NO_COLOR="1")
    yield "json", run("show", name, "--format", "json", terminal=True)
    for form in ("table", "json"):
        out = Path(f"out.{form}")
        out.unlink(missing_ok=True)
        said = run("show", name, "--format", form, "-o", str(out), terminal=True, COLUMNS="100")
        if said.status == 0:
            assert said.out == said.err == b""
            said = Said(0, out.read_bytes(), b"")
        yield f"file {form}", said


def shown_harmlessly(document: Any) -> str | None:
    """The table on a pipe; None when the report is refused, in one line, by every way out."""
    text: str | None = None
    refused = set()
    for sink, said in show(document):
        refused.add(said.status)
        if said.status != 0:
            complaint(said)
        elif sink == "terminal":
            coloured(said.out, 100)
        elif sink.endswith("json"):
            assert ascii_json(said.out) == document
        else:
            most = {"piped": 80, "no colour": 70, "file table": 100}[sink]
            said_text = plain(said.out, most)
            text = said_text if sink == "piped" else text
    assert len(refused) == 1
    return text


def in_full(report: Report) -> str:
    """Every endpoint in full, as text and as JSON."""
    pages = []
    for endpoint in report.endpoints:
        pages.append(plain(page.render(report, endpoint, width=80).encode(), 80))
        ascii_json(page.as_json(report, endpoint).encode())
    return "".join(pages)
