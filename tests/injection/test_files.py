"""Hostile text, put into every field of the files that we are given, is repeated harmlessly."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from tests.injection import samples
from tests.injection.payloads import PAYLOADS, TOGETHER
from tests.injection.sinks import (
    ascii_json,
    coloured,
    complaint,
    found,
    places,
    plain,
    planted,
    renamed,
    run,
)
from tests.injection.ways import SAMPLE
from tests.injection.ways import quick as quick  # a fixture for all of them
from tlscheck.cli.scanning import judged
from tlscheck.io import policies
from tlscheck.render import json as as_json
from tlscheck.render import table

FILE = samples.endpoints()
FILE_STRINGS = [place for place in places(FILE) if isinstance(found(FILE, place), str)]
FILE_KEYS = [place for place in places(FILE) if place and isinstance(place[-1], str)]


def as_toml(document: dict[str, Any]) -> bytes:
    return samples.toml(document).encode("utf-8", "surrogatepass")


def as_json_file(document: dict[str, Any]) -> bytes:
    return json.dumps(document).encode()


def as_csv(document: dict[str, Any]) -> bytes:
    rows = document.get("endpoint", [])
    names = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, names)
    writer.writeheader()
    for row in rows:
        writer.writerow({k: ";".join(v) if isinstance(v, list) else v for k, v in row.items()})
    return text.getvalue().encode("utf-8", "surrogatepass")


KINDS = {"toml": as_toml, "json": as_json_file, "csv": as_csv}


def listed_harmlessly(path: str) -> bool:
    """By every way that an endpoint file comes out; whether it was taken at all."""
    ways = [run("endpoints", "list", "--endpoints", path, "--format", "json", terminal=True)]
    if ways[0].status:
        complaint(ways[0])
        return False
    ways.append(run("endpoints", "check", path, terminal=True))
    ways.append(run("endpoints", "list", "--endpoints", path))
    ways.append(run("endpoints", "list", "--endpoints", path, "--format", "hosts"))
    for said in ways:
        assert said.status == 0 and said.err == b"" and plain(said.out)
    ascii_json(ways[0].out)
    return True


def write_kinds(document: dict[str, Any]) -> Iterator[str]:
    for kind, written in KINDS.items():
        path = Path(f"e.{kind}")
        path.write_bytes(written(document))
        yield str(path)


@pytest.mark.parametrize("place", FILE_STRINGS, ids=lambda place: ".".join(map(str, place)))
def test_no_field_of_an_endpoint_file_lets_any_payload_through(place: tuple[Any, ...]) -> None:
    taken = 0
    seen = set()  # a CSV file has no source
    for payload in PAYLOADS.values():
        for path in write_kinds(planted(FILE, place, payload)):
            if (data := Path(path).read_bytes()) not in seen:
                taken += listed_harmlessly(path)
                seen.add(data)
    free = ("description", "note", "name", "version", "made")
    assert bool(taken) or place[-1] not in free, "harmless for want of words"


@pytest.mark.parametrize("place", FILE_KEYS, ids=lambda place: ".".join(map(str, place)))
def test_a_name_in_an_endpoint_file_is_repeated_harmlessly(place: tuple[Any, ...]) -> None:
    for payload in (TOGETHER, TOGETHER.encode("utf-8", "ignore").decode(), PAYLOADS["long"]):
        for path in write_kinds(renamed(FILE, place, payload)):
            listed_harmlessly(path)


def test_what_a_file_says_is_what_the_list_says() -> None:
    """JSON comes out as it went in, in ASCII."""
    for payload in PAYLOADS.values():
        document = planted(FILE, ("endpoint", 0, "note"), payload)
        Path("e.json").write_text(json.dumps(document))
        said = run("endpoints", "list", "--endpoints", "e.json", "--format", "json")
        if said.status == 0:
            assert ascii_json(said.out)[0]["note"] == payload


def test_lines_that_are_no_file_at_all_are_repeated_harmlessly() -> None:
    for payload in [*PAYLOADS.values(), TOGETHER]:
        for kind in ("toml", "json", "csv"):
            for text in (
                payload,
                f"# {payload}\nx",
                f"[{payload}]",
                f'x = "{payload}"',
                f'{{"{payload}": 1}}',
            ):
                Path(f"e.{kind}").write_bytes(text.encode("utf-8", "surrogatepass"))
                listed_harmlessly(f"e.{kind}")
                if kind == "toml":
                    policy_harmlessly(f"./e.{kind}")


# --- policies ----------------------------------------------------------------------------------

POLICY = samples.policy()
POLICY_STRINGS = [p for p in places(POLICY) if isinstance(found(POLICY, p), str)]
POLICY_KEYS = [place for place in places(POLICY) if place and isinstance(place[-1], str)]


def policy_harmlessly(path: str, number: int = 0) -> bool:
    """By every way that a policy comes out, findings and the rule of this number included;
    whether it was taken at all."""
    ways = [run("policies", "check", path, terminal=True)]
    if ways[0].status:
        complaint(ways[0])
        return False
    policy = policies.load(path)
    ways.append(run("policies", "show", path, terminal=True))
    ways.append(run("explain", f"{path}/{policy.rules[number].id}", terminal=True))
    assert all(said.status == 0 and said.err == b"" and plain(said.out) for said in ways)
    report = judged(SAMPLE, [policy], date(2026, 11, 24))
    plain(table.render(report, colour=False, width=80).encode(), 80)
    coloured(table.render(report, colour=True, width=80).encode(), 80)
    ascii_json(as_json.render(report).encode())
    return True


@pytest.mark.parametrize("place", POLICY_STRINGS, ids=lambda place: ".".join(map(str, place)))
def test_no_field_of_a_policy_lets_any_payload_through(place: tuple[Any, ...]) -> None:
    taken = 0
    for payload in PAYLOADS.values():
        Path("p.toml").write_bytes(as_toml(planted(POLICY, place, payload)))
        taken += policy_harmlessly("./p.toml", place[1] if place[0] == "rule" else 0)
    free = ("title", "publisher", "version", "supersedes", "text", "document", "section")
    assert bool(taken) or place[-1] not in free


@pytest.mark.parametrize("place", POLICY_KEYS, ids=lambda place: ".".join(map(str, place)))
def test_a_name_in_a_policy_is_repeated_harmlessly(place: tuple[Any, ...]) -> None:
    for payload in (TOGETHER, TOGETHER.encode("utf-8", "ignore").decode(), PAYLOADS["long"]):
        Path("p.toml").write_bytes(as_toml(renamed(POLICY, place, payload)))
        policy_harmlessly("./p.toml")
