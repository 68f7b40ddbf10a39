"""Hostile text, put into every field of a report, reaches no terminal unescaped.

Fields are found by walking the data, not by a list: one that is new is covered.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pydantic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.injection import samples
from tests.injection.payloads import PAYLOADS, TOGETHER
from tests.injection.sinks import (
    ascii_json,
    coloured,
    complaint,
    found,
    plain,
    planted,
    renamed,
    run,
)
from tests.injection.ways import ALL, KEYS, REPORT, SEED, STRINGS, in_full, show, shown_harmlessly
from tests.injection.ways import quick as quick  # a fixture for all of them
from tlscheck.core.model import Report
from tlscheck.io import store
from tlscheck.render import json as as_json
from tlscheck.render import table


@pytest.mark.parametrize("place", STRINGS, ids=lambda place: ".".join(map(str, place)))
def test_no_field_of_a_report_lets_any_payload_through(place: tuple[Any, ...]) -> None:
    """Every string of a report times every payload, rendered."""
    adapter = pydantic.TypeAdapter(Report)
    for payload in PAYLOADS.values():
        document = planted(REPORT, place, SEED + payload)
        try:
            report = adapter.validate_python(document)
        except pydantic.ValidationError:
            continue  # a word of a closed list, or no Unicode: the next test is about that
        text = plain(table.render(report, colour=False, width=80).encode(), 80)
        coloured(table.render(report, colour=True, width=80).encode(), 80)
        assert found(ascii_json(as_json.render(report).encode()), place) == SEED + payload
        if place in samples.SHOWN and payload:
            assert SEED in text, "the table no longer shows this"
        text = in_full(report)
        if place in samples.IN_FULL and payload:
            assert SEED in text, "an endpoint in full no longer shows this"


@pytest.mark.parametrize("place", STRINGS, ids=lambda place: ".".join(map(str, place)))
def test_every_field_of_a_report_is_harmless_by_every_way_out(place: tuple[Any, ...]) -> None:
    for payload in (TOGETHER.encode("utf-8", "ignore").decode(), TOGETHER, PAYLOADS["long"]):
        shown_harmlessly(planted(REPORT, place, payload))


@pytest.mark.parametrize("name", PAYLOADS)
def test_a_payload_in_all_fields_at_once_is_harmless(name: str) -> None:
    document = REPORT
    for place in STRINGS:
        if place[-1] not in ("schema", "verdict", "offered", "order", "reachable", "depth"):
            document = planted(document, place, SEED + PAYLOADS[name])
    text = shown_harmlessly(document)
    assert "surrogate" in name or (text is not None and text.count(SEED) >= 8)


@pytest.mark.parametrize("place", KEYS, ids=lambda place: ".".join(map(str, place)))
def test_a_name_of_a_field_is_as_harmless_as_its_value(place: tuple[Any, ...]) -> None:
    for payload in (TOGETHER.encode("utf-8", "ignore").decode(), TOGETHER):
        for sink, said in show(renamed(REPORT, place, payload)):
            if said.status:
                complaint(said)
            elif sink.endswith("json"):
                ascii_json(said.out)
            elif sink == "terminal":
                coloured(said.out, 100)
            else:
                plain(said.out, 100)


DEEP = "[" * 700 + "]" * 700
ODD = {
    "null": "null", "true": "true", "zero": "0", "minus": "-1", "half": "0.5", "list": "[]",
    "table": "{}", "nested list": '[[["x"]]]', "nested table": '{"x": {"y": ["z"]}}', "text": '""',
    "nan": "NaN", "infinite": "-Infinity", "too large": "1e999", "long": "9" * 4000,
    "too long": "9" * 5000, "deep": DEEP, "too deep": "[" * 100_000,
}  # fmt: skip


@pytest.mark.parametrize("odd", ODD)
def test_what_is_no_text_where_text_should_be_is_no_bug(odd: str) -> None:
    """Every place of a report times values of every other kind: shown or refused, never a crash."""
    for place in ALL:
        text = json.dumps(planted(REPORT, place, "@@")).replace('"@@"', ODD[odd])
        Path("r.json").write_text(text)
        said = run("show", "r.json")
        if said.status:
            complaint(said)
        else:
            plain(said.out, 80)
            in_full(store.read(Path("r.json")))
            said = run("show", "r.json", "--format", "json")
            assert said.status == 0, (place, said.err)
            ascii_json(said.out)


NASTY = st.text(
    st.characters() | st.sampled_from("\x1b\x9b\r\b\x00\x7f\u202e\u200b\ud800\u2028漢\n\u3000")
)


@settings(max_examples=60)
@given(st.dictionaries(st.sampled_from(STRINGS), NASTY, max_size=12))
def test_any_text_in_any_fields_is_harmless(texts: dict[tuple[Any, ...], str]) -> None:
    document = REPORT
    for place, text in texts.items():
        document = planted(document, place, text)
    shown_harmlessly(document)
