"""One endpoint in full: everything that was seen, within 80 columns, and found by id or host."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from tests.injection import samples
from tests.injection.sinks import plain, run
from tlscheck.core.model import EndpointReport, Report
from tlscheck.render import endpoint as page

REPORT = TypeAdapter(Report).validate_python(samples.report())
(ONE,) = REPORT.endpoints


@pytest.mark.parametrize("width", [20, 40, 80, 120])
def test_no_line_is_wider_than_asked(width: int) -> None:
    plain(page.render(REPORT, ONE, width=width).encode(), width)


def test_everything_is_there() -> None:
    text = page.render(REPORT, ONE)
    for words in (
        "sts.us-east-1.amazonaws.com:443 (sts, aws, us-east-1, standard)", "Address 192.0.2.7",
        "TLSv1.3      yes, in the server's order: a why",
        "      TLS_AES_128_GCM_SHA256                                             FS AEAD",
        "groups  x25519", "Certificate, EC secp256r1 (TLSv1.3)", "365 days left of 365",
        "no: w", "system yes: w", "2 sent, in order, not needed: 1, missing: CN=m",
        "good: w, 3 hours old; about this one: yes, signed by its issuer: no (it must be stapled)",
        "first byte after 3 ms", "HSTS: max-age=9", "redirect: w, status 301, to http://a/",
        "alpn                    yes: w; picked h2", "heartbleed", "Findings",
        "fail aws-iam-2020/pfs: no reason", "saw: nothing", "Run a1b2c3d4, 2026-11-24T02:00:00Z",
    ):  # fmt: skip
        assert " ".join(words.split()) in " ".join(text.split()), (words, text)


def test_forward_secrecy_and_aead_are_marked() -> None:
    names = ("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA",
             "TLS_RSA_WITH_AES_128_GCM_SHA256", "TLS_RSA_WITH_AES_128_CBC_SHA",
             "0x1A1A")  # fmt: skip
    target = ONE.targets[0]
    protocol = replace(target.protocols["TLSv1.2"], suites=names)
    target = replace(target, protocols={"TLSv1.2": protocol})
    lines = page.render(REPORT, replace(ONE, targets=(target,))).splitlines()
    marks = [line.strip().partition(" ")[2].strip() for line in lines if line.strip()[:5] in
             ("TLS_E", "TLS_R", "0x1A1")]  # fmt: skip
    assert marks == ["FS AEAD", "FS ----", "-- AEAD", "-- ----", ""]


def test_who_was_right_is_told() -> None:
    compared = {"TLSv1.2": {"answer": "disagree", "why": None, "confirmed": {"TLS_X": "theirs"}}}
    target = replace(ONE.targets[0], deep={"outcome": "yes", "compared": compared})
    text = page.render(REPORT, replace(ONE, targets=(target,)))
    assert "compared TLSv1.2           disagree\n      TLS_X: sslyze is right" in text


@pytest.mark.parametrize(
    ("staple", "says"),
    [
        ({"status": None, "why": "cannot be read: x"}, "says nothing: cannot be read: x"),
        ({"status": "revoked", "revoked": "2026-11-01T00:00:00Z", "age_hours": 7},
         "revoked, since 2026-11-01T00:00:00Z, 7 hours old; about this one"),
        ({"status": "good", "why": "out of date: begins 2026-11-27T00:00:00Z", "age_hours": -20},
         "good: out of date: begins 2026-11-27T00:00:00Z; about this one"),
    ],
)  # fmt: skip
def test_a_staple_is_told_in_words_that_fit_it(staple: dict[str, Any], says: str) -> None:
    target = replace(ONE.targets[1], certificates=({"staple": staple},))
    text = page.render(REPORT, replace(ONE, targets=(target,)), width=200)
    (line,) = (line for line in text.splitlines() if line.startswith("    staple"))
    assert says in line and "- hours" not in line


def test_what_has_not_begun_has_no_days_left() -> None:
    leaf = {**ONE.targets[0].certificates[0], "days_left": 93, "lifetime_days": 90}
    target = replace(ONE.targets[0], certificates=(leaf,))
    text = " ".join(page.render(REPORT, replace(ONE, targets=(target,))).split())
    assert "for 90 days, and not yet" in text and "days left" not in text


def test_equal_addresses_stand_together() -> None:
    target = ONE.targets[0]
    late = {**target.https, "first_byte_ms": 99}
    other = replace(target, address="192.0.2.8", connections=1, https=late)
    text = page.render(REPORT, replace(ONE, targets=(target, other)))
    assert "Addresses 192.0.2.7, 192.0.2.8" in text and "10 connections" in text
    unlike = replace(other, http={"outcome": "closed"})
    text = page.render(REPORT, replace(ONE, targets=(target, unlike)))
    assert "Address 192.0.2.7\n" in text and "Address 192.0.2.8\n" in text


def test_an_old_report_is_shown_without_what_it_has_not() -> None:
    target = replace(ONE.targets[1], protocols={})
    text = page.render(replace(REPORT, findings=()), replace(ONE, targets=(target,)))
    assert "Certificate" not in text and "HTTPS" not in text and "No rule was held" in text


@pytest.mark.parametrize("what", [ONE.id, ONE.host, ONE.host.upper() + ".", f"{ONE.host}:443"])
@pytest.mark.parametrize("form", ["table", "json"])
def test_it_is_found_by_id_or_host(
    what: str, form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("r.json").write_text(json.dumps(samples.report()))
    said = run("show", "r.json", "--endpoint", what, "--format", form)
    assert said.status == 0, said.err
    if form == "json":
        found = json.loads(said.out)
        assert found["endpoint"]["id"] == ONE.id and len(found["findings"]) == 1
        assert TypeAdapter(EndpointReport).validate_python(found["endpoint"]) == ONE
    else:
        assert said.out.decode() == page.render(REPORT, ONE)


def test_what_is_not_in_the_report_is_wrong_usage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("r.json").write_text(json.dumps(samples.report()))
    said = run("show", "r.json", "--endpoint", "sts:aws:us-east-1:standar")
    assert said.status == 2 and said.out == b""
    assert b"did you mean sts:aws:us-east-1:standard?" in said.err
