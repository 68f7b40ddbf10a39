"""The metrics are read by somebody else's parser, whatever a report has in it."""

from __future__ import annotations

import os
import stat
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from tlscheck.core.model import (
    VERDICTS,
    EndpointReport,
    Finding,
    PolicyUse,
    Report,
    Run,
    TargetReport,
    Tool,
    Verdict,
)
from tlscheck.io import store
from tlscheck.render.clean import clean
from tlscheck.render.metrics import MODE, render

FINISHED = "2026-11-24T02:01:00Z"
FINISHED_UNIX = 1795485660


def endpoint(name: str, *certificates: dict[str, Any]) -> EndpointReport:
    targets = tuple(
        TargetReport("192.0.2.7", "yes", None, 9, certificates=(one,)) for one in certificates
    )
    return EndpointReport(name, "sts", "aws", "r", "standard", "h", 443, False, targets)


def finding(name: str, verdict: Verdict, rule: str = "r", policy: str = "p") -> Finding:
    return Finding(name, policy, rule, verdict, "", "")


def report(
    *endpoints: EndpointReport,
    findings: tuple[Finding, ...] = (),
    policies: tuple[str, ...] = ("p",),
    complete: bool = True,
) -> Report:
    return Report(
        schema="tlscheck-report/1",
        tool=Tool("tlscheck", "0.1.0"),
        run=Run("1", "2026-11-24T02:00:00Z", FINISHED, complete, 2913),
        policies=tuple(PolicyUse(name, "2026-11-24") for name in policies),
        endpoints=endpoints,
        findings=findings,
        summary=dict.fromkeys(VERDICTS, 0),
    )


def parsed(text: str) -> dict[str, dict[tuple[tuple[str, str], ...], float]]:
    """By metric and labels, as the parser of prometheus_client reads it."""
    families: list[Metric] = list(text_string_to_metric_families(text))
    found: dict[str, dict[tuple[tuple[str, str], ...], float]] = {}
    for family in families:
        assert family.type == "gauge" and family.documentation
        assert family.name not in found
        own = found[family.name] = {}
        for sample in family.samples:
            assert sample.timestamp is None and sample.name == family.name
            key = tuple(sorted(sample.labels.items()))
            assert key not in own, "the exporter drops a file with a series twice"
            own[key] = sample.value
    return found


def test_a_report_is_told_in_numbers() -> None:
    made = report(
        endpoint("a", {"not_after": "2026-12-04T02:01:00Z", "position": 0}),
        endpoint("b"),
        findings=(finding("a", "pass"), finding("a", "fail", "s"), finding("b", "exceeds")),
    )
    found = parsed(render(made, None))
    assert found["tlscheck_last_success_time_seconds"] == {(): FINISHED_UNIX}
    assert found["tlscheck_last_run_time_seconds"] == {(): FINISHED_UNIX}
    assert found["tlscheck_last_run_complete"] == {(): 1}
    assert found["tlscheck_connections"] == {(): 2913}
    assert found["tlscheck_endpoints"] == {(): 2}
    counts = {"pass": 1, "fail": 1, "exceeds": 1}
    assert found["tlscheck_findings"] == {
        (("policy", "p"), ("verdict", verdict)): counts.get(verdict, 0) for verdict in VERDICTS
    }
    assert found["tlscheck_endpoint_verdict"] == {
        (("endpoint", "a"), ("policy", "p"), ("verdict", "fail")): 1,
        (("endpoint", "b"), ("policy", "p"), ("verdict", "exceeds")): 1,
    }
    assert found["tlscheck_certificate_days_left"] == {(("endpoint", "a"),): 10}


def test_an_interrupted_run_is_no_success() -> None:
    made = report(complete=False)
    found = parsed(render(made, "2026-11-23T02:01:00Z"))
    assert found["tlscheck_last_success_time_seconds"] == {(): FINISHED_UNIX - 86400}
    assert found["tlscheck_last_run_complete"] == {(): 0}
    assert "tlscheck_last_success_time_seconds" not in parsed(render(made, None))


def test_the_first_leaf_to_expire_counts_and_no_other_certificate() -> None:
    made = report(
        endpoint(
            "a",
            {"not_after": "2026-12-04T02:01:00Z", "position": 0},
            {"not_after": "2026-11-25T14:01:00Z", "position": 0},
            {"not_after": "2026-11-24T03:00:00Z", "position": 1},
            {"position": 0, "problems": {"not_after": "unreadable"}},
            {"not_after": "never", "position": 0},
            {"not_after": None},
        ),
        endpoint("gone", {"not_after": "2026-11-23T02:01:00Z"}),
        endpoint("far", {"not_after": "9999-12-31T23:59:59Z"}),
        endpoint("unread", {"problems": {}}),
    )
    found = parsed(render(made, None))["tlscheck_certificate_days_left"]
    assert found[("endpoint", "a"),] == 1.5 and found[("endpoint", "gone"),] == -1
    assert found[("endpoint", "far"),] > 2_900_000 and (("endpoint", "unread"),) not in found


def test_an_empty_report_is_told_too() -> None:
    found = parsed(render(report(policies=()), None))
    assert found["tlscheck_endpoints"] == {(): 0} and "tlscheck_findings" not in found


@pytest.mark.parametrize(
    "name",
    ['a"b', "a\\b", "a\nb", "\\n", '\\"', 'x"} 1\ntlscheck_endpoints 99\n#', "\x1b[31m", "é ☃ 𝒳",
     "\udcff", "a\rb", "\u2028", "", " ", "{}", "a\\"],
)  # fmt: skip
def test_a_label_is_read_as_it_was_meant(name: str) -> None:
    made = report(endpoint(name), findings=(finding(name, "warn", policy=name),), policies=(name,))
    found = parsed(render(made, None))
    [((_, one), (_, two), _)] = found["tlscheck_endpoint_verdict"]
    assert one == two == clean(name)
    assert found["tlscheck_endpoints"] == {(): 1}


NAMES = st.text(st.one_of(st.characters(), st.sampled_from('"\\\n\x1bxb1{},=')), max_size=12)
FINDINGS = st.builds(Finding, NAMES, NAMES, NAMES, st.sampled_from(get_args(Verdict)), NAMES, NAMES)
ENDS = st.one_of(st.none(), NAMES, st.datetimes().map(lambda at: f"{at:%Y-%m-%dT%H:%M:%S}Z"))


@given(
    st.lists(st.tuples(NAMES, ENDS), max_size=8),
    st.lists(FINDINGS, max_size=20),
    st.lists(NAMES, max_size=3),
    st.booleans(),
)
def test_whatever_a_report_has_the_exporter_can_read_it(
    ends: list[tuple[str, str | None]], findings: list[Finding], policies: list[str], full: bool
) -> None:
    rows = [endpoint(name, {"not_after": end}) for name, end in ends]
    made = report(*rows, findings=tuple(findings), policies=tuple(policies), complete=full)
    text = render(made, None)
    found = parsed(text)
    assert sum(found.get("tlscheck_findings", {}).values()) == len(findings)
    assert text == render(
        replace(made, endpoints=made.endpoints[::-1], findings=made.findings[::-1],
                policies=made.policies[::-1]), None
    )  # fmt: skip
    assert text.encode() and text.endswith("\n") and "\r" not in text


def test_the_file_can_be_read_by_the_exporter(tmp_path: Path) -> None:
    old = os.umask(0o077)
    try:
        path = tmp_path / "new" / "tlscheck.prom"
        store.write(path, render(report(), None), mode=MODE)
        store.write(tmp_path / "report.json", "{}")
    finally:
        os.umask(old)
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert stat.S_IMODE((tmp_path / "report.json").stat().st_mode) == 0o600
    assert [entry.name for entry in path.parent.iterdir()] == ["tlscheck.prom"]
