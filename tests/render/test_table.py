"""The table fits its width whatever it is given, hides no reason and lets no control through."""

from __future__ import annotations

import json
import re
import unicodedata
from dataclasses import replace
from typing import get_args

from hypothesis import given
from hypothesis import strategies as st

from tlscheck.core.model import (
    VERDICTS,
    EndpointReport,
    Finding,
    PolicyUse,
    Protocol,
    Report,
    Run,
    TargetReport,
    Tool,
    Verdict,
)
from tlscheck.render import json as as_json
from tlscheck.render.clean import clean, columns, cut, cut_middle, wrap
from tlscheck.render.table import render

DRIFT = "TLSv1.1 is documented and no longer offered; TLSv1.3 is offered and newer than documented"
UNKNOWN = Protocol("unknown", "not probed")
EVERY = ("SSLv2", "SSLv3", "TLSv1.0", "TLSv1.1", "TLSv1.2", "TLSv1.3")


def endpoint(name: str, host: str | None = None, **answers: str) -> EndpointReport:
    said = dict.fromkeys(EVERY, "no") | {"TLSv1.2": "yes", "TLSv1.3": "yes"}
    said |= {f"TLSv1.{key[1:]}": answer for key, answer in answers.items()}
    protocols = {version: Protocol(answer) for version, answer in said.items()}  # type: ignore[arg-type]
    target = TargetReport("192.0.2.7", "yes", None, 9, protocols)
    host = host or f"sts.{name}.amazonaws.com"
    return EndpointReport(name, "sts", "aws", name, "standard", host, 443, False, (target,))


def finding(name: str, verdict: Verdict, because: str) -> Finding:
    return Finding(name, "aws-iam-2020", "transit-versions", verdict, "", because)


def report(endpoints: list[EndpointReport], findings: list[Finding]) -> Report:
    return Report(
        schema="tlscheck-report/1",
        tool=Tool("tlscheck", "0.1.0"),
        run=Run("1", "2026-11-24T02:00:00Z", "2026-11-24T02:01:00Z", True, 2913),
        policies=(PolicyUse("aws-iam-2020", "2026-11-24"),),
        endpoints=tuple(endpoints),
        findings=tuple(findings),
        summary=dict.fromkeys(VERDICTS, 0),
    )


SAMPLE = report(
    [
        endpoint("us-east-1"),
        endpoint("eu-west-1", v0="yes"),
        endpoint("us-gov-west-1", v0="unknown"),
        endpoint("eu-west-2", v0="yes"),
    ],
    [
        finding("us-east-1", "exceeds", DRIFT),
        finding("eu-west-1", "fail", "TLSv1.0 is offered and weaker than documented"),
        finding("us-gov-west-1", "inconclusive", "TLSv1.0 unknown: reset, control failed"),
        finding("eu-west-2", "fail", "TLSv1.0 is offered and weaker than documented"),
    ],
)


def test_the_table_is_this_one() -> None:
    assert (
        render(SAMPLE, colour=False, width=100, path="reports/1.json")
        == """\
verdict       endpoint                         versions      note
------------  -------------------------------  ------------  --------------------------------------
fail          sts.eu-west-1.amazonaws.com      1.0 1.2 1.3   1.0 offered and weaker than documented
fail          sts.eu-west-2.amazonaws.com      1.0 1.2 1.3   1.0 offered and weaker than documented
inconclusive  sts.us-gov-west-1.amazonaws.com  1.0? 1.2 1.3  1.0 unknown: reset, control failed
exceeds       sts.us-east-1.amazonaws.com      1.2 1.3

Reasons:
fail aws-iam-2020/transit-versions: TLSv1.0 is offered and weaker than documented
    sts.eu-west-1.amazonaws.com, sts.eu-west-2.amazonaws.com
inconclusive aws-iam-2020/transit-versions: TLSv1.0 unknown: reset, control failed
    sts.us-gov-west-1.amazonaws.com
exceeds aws-iam-2020/transit-versions: TLSv1.1 is documented and no longer offered; TLSv1.3 is
  offered and newer than documented
    sts.us-east-1.amazonaws.com

Report: reports/1.json

4 endpoints: 2 fail, 1 inconclusive, 1 exceeds
(policy aws-iam-2020, as of 2026-11-24; 2913 connections)
"""
    )


def test_the_sum_is_one_line_where_it_fits() -> None:
    assert render(SAMPLE, colour=False, width=120).splitlines()[-1] == (
        "4 endpoints: 2 fail, 1 inconclusive, 1 exceeds "
        "(policy aws-iam-2020, as of 2026-11-24; 2913 connections)"
    )


def test_hosts_stay_whole_in_80_columns() -> None:
    lines = render(SAMPLE, colour=False).splitlines()
    assert max(map(columns, lines)) == 80
    for row in SAMPLE.endpoints:
        assert any(row.host in line for line in lines[2:6])


def test_a_long_host_gives_up_its_middle() -> None:
    long = "sts." + "x" * 80 + ".amazonaws.com"
    line = render(report([endpoint("a", long)], []), colour=False).splitlines()[2]
    assert re.search(r"sts\.x+…x+\.amazonaws\.com ", line)
    assert columns(line) <= 80


def test_only_the_verdict_word_is_coloured() -> None:
    plain = render(SAMPLE, colour=False)
    coloured = render(SAMPLE, colour=True)
    assert "\x1b" not in plain
    assert re.sub(r"\x1b\[\d+m", "", coloured) == plain
    words = re.findall(r"\x1b\[\d\d?m(.*?)\x1b\[0m", coloured)
    rows = ["fail", "fail", "inconclusive", "exceeds"]
    assert words == [*rows, "fail", "inconclusive", "exceeds"]


def test_addresses_that_differ_are_marked() -> None:
    one = endpoint("a", v1="yes")
    two = replace(one, targets=(*one.targets, *endpoint("a", v1="no").targets))
    text = render(report([two], []), colour=False)
    assert " 1.1* 1.2 1.3 " in text
    assert "\n* not on every address\n" in text


def test_who_has_what_is_told_where_servers_are_unequal() -> None:
    one = endpoint("a", v1="yes")
    other = replace(endpoint("a").targets[0], address="192.0.2.8")
    two = replace(one, mixed=True, targets=(*one.targets, other))
    said = {"mixed": "TLSv1.2: A is picked and refused"}
    odd = endpoint("b")
    odd = replace(odd, mixed=True, targets=(replace(odd.targets[0], features=said),))
    text = render(report([two, odd, endpoint("c")], []), colour=False)
    assert text.split("Unequal servers:\n")[1].startswith(
        """\
mixed sts.a.amazonaws.com
    192.0.2.7: 1.1 1.2 1.3
    192.0.2.8: 1.2 1.3
mixed sts.b.amazonaws.com
    192.0.2.7: 1.2 1.3; TLSv1.2: 0 suites"""
    )
    block = " ".join(text.split("Unequal servers:")[1].split())
    assert "TLSv1.2: A is picked and refused" in block and "sts.c.amazonaws.com" not in block


def test_what_no_rule_is_about_is_told_once_for_all_who_did_it() -> None:
    note = {"notes": ["TLSv1.2: picked 0x1A1A, which was not offered"]}
    odd = [endpoint(name) for name in "ab"]
    odd = [replace(e, targets=(replace(e.targets[0], features=note),)) for e in odd]
    text = render(report(odd, []), colour=False)
    assert text.split("Noticed:\n")[1].startswith(
        "TLSv1.2: picked 0x1A1A, which was not offered\n"
        "    sts.a.amazonaws.com, sts.b.amazonaws.com\n"
    )


def test_a_note_in_80_columns_starts_with_what_tells() -> None:
    because = {
        "a": "192.0.2.7: TLSv1.0 is offered and weaker than documented",
        "b": "TLSv1.2 is required and not offered",
        "c": "certificate has expired",
    }
    rows = [endpoint(name, v0="yes") for name in because]
    said = [finding(name, "fail", why) for name, why in because.items()]
    text = render(report(rows, said), colour=False, width=64)
    notes = re.findall(r"1\.0 1\.2 1\.3  (1\.0 offered|1\.2 missing|expired)", text)
    assert notes == ["1.0 offered", "1.2 missing", "expired"]


def test_two_ports_of_one_host_are_told_apart_below_the_table_too() -> None:
    two = [replace(endpoint("a", "sts.example.com"), port=port, id=str(port)) for port in (1, 2)]
    two[1] = replace(two[1], mixed=True)
    target = replace(two[0].targets[0], features={"notes": ["odd"]})
    two[0] = replace(two[0], targets=(target,))
    text = render(report(two, [finding("2", "fail", "x")]), colour=False)
    reasons, unequal, noticed = text.split("Reasons:")[1].split("\n\n")[:3]
    assert "sts.example.com:2" in reasons and "sts.example.com:1" not in reasons
    assert "mixed sts.example.com:2" in unequal
    assert "sts.example.com:1" in noticed and "sts.example.com:2" not in noticed


def test_what_was_seen_is_not_hidden_behind_an_address_that_was_not() -> None:
    seen = endpoint("a")
    unseen = TargetReport("", "unknown", "AAAA: DNS: time-out", 0, dict.fromkeys(EVERY, UNKNOWN))
    both = replace(seen, targets=(*seen.targets, unseen))
    line = render(report([both], []), colour=False).splitlines()[2]
    assert " 1.2 1.3 " in line and "?" not in line


def test_nothing_scanned_and_nothing_judged_are_said() -> None:
    assert render(report([], []), colour=False).endswith(
        "0 endpoints (policy aws-iam-2020, as of 2026-11-24; 2913 connections)\n"
    )
    dead = replace(endpoint("a"), targets=(TargetReport("192.0.2.7", "no", "refused", 1),))
    unjudged = replace(report([dead], []), policies=(), run=replace(SAMPLE.run, complete=False))
    text = render(unjudged, colour=False)
    assert re.search(r"^not_applicable  sts\.a\.amazonaws\.com  \?  .*no rule was held", text, re.M)
    assert text.endswith("(no policy; 2913 connections; not complete)\n")


def test_every_failing_finding_is_told_in_full() -> None:
    long = "because " * 60 + "of the end"
    both = report([endpoint("a")], [finding("a", "fail", "x"), finding("a", "inconclusive", long)])
    text = render(both, colour=False)
    block = text.split("Reasons:")[1]
    assert "fail aws-iam-2020/transit-versions: x" in block
    assert " ".join(long.split()) in " ".join(block.split())


# --- whatever comes in

NASTY = st.text(
    st.characters() | st.sampled_from("\x1b\x7f\x9b\u202e\u200b\ud800\u2028漢한\n\u3000")
)
VERDICT = st.sampled_from(get_args(Verdict))


@given(st.lists(st.tuples(NASTY, VERDICT, NASTY), max_size=4), st.integers(2, 130), NASTY)
def test_no_line_is_too_wide_and_no_control_gets_through(
    rows: list[tuple[str, Verdict, str]], width: int, path: str
) -> None:
    ends = [endpoint(str(index), host or "h") for index, (host, _, _) in enumerate(rows)]
    said = [finding(str(index), verdict, why) for index, (_, verdict, why) in enumerate(rows)]
    text = render(report(ends, said), colour=False, width=width, path=path)
    for line in text.split("\n"):
        assert columns(line) <= width
        assert clean(line) == line
    assert len(
        render(report(ends, said), colour=True, width=width).split("\n\n")[0].split("\n")
    ) == 2 + len(rows)


@given(st.text(st.sampled_from("漢a한b字"), max_size=20))
def test_wide_hosts_keep_the_columns_in_line(host: str) -> None:
    text = render(report([endpoint("a", host + "x"), endpoint("b")], []), colour=False, width=120)
    at = {columns(line[: line.index("1.2 1.3")]) for line in text.splitlines()[2:4]}
    assert len(at) == 1


@given(NASTY)
def test_cleaned_text_is_harmless_and_stays_so(text: str) -> None:
    safe = clean(text)
    assert clean(safe) == safe
    safe.encode("utf-8")
    assert not any(
        unicodedata.category(c)[0] in "CM"
        for c in safe
        if not unicodedata.combining(c) and unicodedata.category(c) != "Mc"
    )


def test_escapes_are_visible() -> None:
    assert clean("a\x1b[31m\u202eb\ud800\u2028\x7f\U000e0041") == (
        "a\\x1b[31m\\u202eb\\ud800\\u2028\\x7f\\U000e0041"
    )
    assert clean("sts.漢字.example…") == "sts.漢字.example…"


@given(NASTY.map(clean), st.integers(0, 40))
def test_cutting_keeps_to_the_width(text: str, width: int) -> None:
    for shorter in (cut(text, width), cut_middle(text, width)):
        assert columns(shorter) <= width
        assert shorter == text or columns(text) > width
    for line in wrap(text, max(width, 2), "- ", "  "):
        assert columns(line) <= max(width, 2)


@given(NASTY, NASTY)
def test_json_is_ascii_without_controls_and_reads_back(host: str, why: str) -> None:
    made = report([endpoint("a", host)], [finding("a", "fail", why)])
    text = as_json.render(made)
    assert re.fullmatch(r"[\n -~]*\n", text)
    read = json.loads(text)
    assert read["findings"][0]["because"] == why
    assert list(read) == [
        "schema", "tool", "run", "policies", "endpoints", "findings", "summary",
    ]  # fmt: skip
