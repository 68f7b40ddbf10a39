"""Every rule can pass, fail and admit ignorance; the version rule is right in every combination."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tlscheck.core import policy as core
from tlscheck.core.model import (
    VERDICTS,
    Endpoint,
    EndpointReport,
    Finding,
    Protocol,
    TargetReport,
    Verdict,
)
from tlscheck.core.policy import VERSIONS, Citation, Policy, Rule, judge, summary
from tlscheck.io.policies import find

DAY = date(2026, 11, 24)
NEW_YEAR = date(2027, 1, 1)  # by then pq-no-kyber holds
FS = "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"
RSA = "TLS_RSA_WITH_AES_128_GCM_SHA256"
TLS13 = "TLS_AES_128_GCM_SHA256"


def protocols(offered: str = "1.2 1.3", unknown: str = "") -> dict[str, Protocol]:
    def one(version: str) -> Protocol:
        short = version.removeprefix("TLSv")
        if short in unknown.split():
            return Protocol("unknown", "reset, control failed")
        if short not in offered.split():
            return Protocol("no", "alert protocol_version")
        if version == "TLSv1.3":
            return Protocol("yes", None, (TLS13,), "server", ("X25519MLKEM768", "x25519"))
        return Protocol("yes", None, (FS, RSA), "server", ("secp256r1",))

    return {version: one(version) for version in VERSIONS}


def target(
    said: dict[str, Protocol] | None = None, address: str = "192.0.2.7", **other: Any
) -> TargetReport:
    made = TargetReport(address, "yes", None, 9, protocols() if said is None else said)
    return replace(made, **{"https": {"outcome": "yes", "why": None, "status": 302}, **other})


def endpoint(*targets: TargetReport, **other: Any) -> EndpointReport:
    made = EndpointReport(
        id="sts:aws:us-east-1:standard",
        service="sts",
        partition="aws",
        region="us-east-1",
        variant="standard",
        host="sts.us-east-1.amazonaws.com",
        port=443,
        mixed=False,
        targets=targets,
    )
    return replace(made, **other)


def held(name: str, at: EndpointReport, as_of: date = DAY) -> Finding:
    """The finding of `policy/rule`."""
    policy, rule = name.split("/")
    [found] = [f for f in judge([find(policy)], [at], as_of=as_of) if f.rule == rule]
    return found


def suites(*names: str, why: str | None = None) -> dict[str, Protocol]:
    return protocols("") | {"TLSv1.2": Protocol("yes", why, names, "server", ())}


def groups(*names: str, why: str | None = None) -> dict[str, Protocol]:
    return protocols("") | {"TLSv1.3": Protocol("yes", why, (TLS13,), "server", names)}


def dual(*addresses: str) -> EndpointReport:
    return endpoint(*(target(address=a) for a in addresses), variant="dualstack")


HTTPS_NO = {"outcome": "no", "why": "certificate has expired", "status": None}
HTTPS_UNKNOWN = {"outcome": "unknown", "why": "time-out", "status": None}
OLD_UNKNOWN = endpoint(target(protocols("1.2 1.3", "1.0")))
FIPS = "fips-dualstack"

# For every rule: what satisfies it, what breaks it, and what leaves it open. The verdict in
# the middle is `warn` where the level or the citation allows no more.
FIXTURES: list[tuple[str, Verdict, EndpointReport]] = [
    ("aws-iam-2020/transit-versions", "pass", endpoint(target(protocols("1.1 1.2")))),
    ("aws-iam-2020/transit-versions", "exceeds", endpoint(target())),
    ("aws-iam-2020/transit-versions", "fail", endpoint(target(protocols("1.0 1.1 1.2")))),
    ("aws-iam-2020/transit-versions", "inconclusive", OLD_UNKNOWN),
    ("aws-iam-2020/pfs", "pass", endpoint(target(suites(RSA, FS)))),
    ("aws-iam-2020/pfs", "fail", endpoint(target(suites(RSA)))),
    ("aws-iam-2020/pfs", "inconclusive", endpoint(target(suites(RSA, why="time-out")))),
    ("aws-iam-2020/https-endpoints", "pass", endpoint(target())),
    ("aws-iam-2020/https-endpoints", "fail", endpoint(target(https=HTTPS_NO))),
    ("aws-iam-2020/https-endpoints", "inconclusive", endpoint(target(https=HTTPS_UNKNOWN))),
    ("aws-iam-2020/https-endpoints", "not_applicable", endpoint(target(https={}))),
    ("aws-current/min-tls12", "pass", endpoint(target())),
    ("aws-current/min-tls12", "fail", endpoint(target(protocols("1.1 1.2")))),
    ("aws-current/min-tls12", "fail", endpoint(target(protocols("")))),
    ("aws-current/min-tls12", "inconclusive", OLD_UNKNOWN),
    ("aws-current/transit-12-13", "pass", endpoint(target())),
    ("aws-current/transit-12-13", "exceeds", endpoint(target(protocols("1.3")))),
    ("aws-current/transit-12-13", "warn", endpoint(target(protocols("1.1 1.2 1.3")))),
    ("aws-current/transit-12-13", "warn", endpoint(target(protocols("1.2")))),
    ("aws-current/transit-12-13", "inconclusive", OLD_UNKNOWN),
    ("aws-current/tls13-recommended", "pass", OLD_UNKNOWN),
    ("aws-current/tls13-recommended", "warn", endpoint(target(protocols("1.2")))),
    ("aws-current/tls13-recommended", "inconclusive", endpoint(target(protocols("1.2", "1.3")))),
    ("aws-current/pfs", "pass", endpoint(target(groups("x25519")))),
    ("aws-current/pfs", "fail", endpoint(target(suites(RSA)))),
    ("aws-current/pfs", "inconclusive", endpoint(target(protocols("", "1.2")))),
    ("aws-current/https-only", "pass", endpoint(target())),
    ("aws-current/https-only", "fail", endpoint(target(https=HTTPS_NO))),
    ("aws-current/https-only", "inconclusive", endpoint(target(https=HTTPS_UNKNOWN))),
    ("aws-current/port80", "pass", endpoint(target(http={"outcome": "closed"}))),
    ("aws-current/port80", "warn", endpoint(target(http={"outcome": "answer", "status": 200}))),
    ("aws-current/port80", "not_applicable", endpoint(target(http={"outcome": "unknown"}))),
    ("aws-current/fips-tls12", "pass", endpoint(target(), variant=FIPS)),
    ("aws-current/fips-tls12", "warn", endpoint(target(protocols("1.1 1.2")), variant=FIPS)),
    ("aws-current/fips-tls12", "inconclusive", replace(OLD_UNKNOWN, variant=FIPS)),
    ("aws-current/fips-tls12", "not_applicable", endpoint(target())),
    ("aws-current/pq-status", "pass", endpoint(target(groups("x25519")))),
    ("aws-current/pq-status", "exceeds", endpoint(target())),
    ("aws-current/pq-status", "not_applicable", endpoint(target(groups("x25519", why="reset")))),
    ("aws-current/pq-no-kyber", "pass", endpoint(target())),
    ("aws-current/pq-no-kyber", "fail", endpoint(target(groups("X25519Kyber768Draft00")))),
    ("aws-current/pq-no-kyber", "inconclusive", endpoint(target(groups()))),
    ("aws-current/dualstack-dns", "pass", dual("192.0.2.7", "2001:db8::7")),
    ("aws-current/dualstack-dns", "warn", dual("192.0.2.7")),
    ("aws-current/dualstack-dns", "inconclusive", dual()),
    ("aws-current/dualstack-dns", "not_applicable", endpoint(target())),
]


@pytest.mark.parametrize(("name", "verdict", "at"), FIXTURES)
def test_every_rule_says_what_its_fixture_shows(
    name: str, verdict: Verdict, at: EndpointReport
) -> None:
    assert held(name, at, NEW_YEAR).verdict == verdict


def test_no_rule_is_without_fixtures() -> None:
    rules = {f"{p}/{r.id}" for p in ("aws-iam-2020", "aws-current") for r in find(p).rules}
    assert rules == {name for name, _, _ in FIXTURES}
    for rule in rules - {"aws-current/pq-status"}:
        verdicts = {verdict for name, verdict, _ in FIXTURES if name == rule}
        open_ = "not_applicable" if rule == "aws-current/port80" else "inconclusive"
        assert verdicts >= {"pass", open_}, rule
        assert verdicts & {"fail", "warn"}, rule


# --- what findings say


def test_reasons_name_the_versions() -> None:
    better = held("aws-iam-2020/transit-versions", endpoint(target()))
    assert better.saw == "TLSv1.2, TLSv1.3"
    assert better.because == (
        "TLSv1.1 is documented and no longer offered; TLSv1.3 is offered and newer than documented"
    )
    worse = held("aws-iam-2020/transit-versions", endpoint(target(protocols("1.0 1.1 1.2"))))
    assert worse.because == "TLSv1.0 is offered and weaker than documented"
    unsure = held("aws-iam-2020/transit-versions", OLD_UNKNOWN)
    assert unsure.saw == "TLSv1.2, TLSv1.3; unknown: TLSv1.0"
    assert unsure.because == "TLSv1.0 unknown: reset, control failed"


def test_an_unknown_that_cannot_matter_does_not_hide_a_fail() -> None:
    found = held("aws-iam-2020/transit-versions", endpoint(target(protocols("1.0 1.2", "1.1"))))
    assert (found.verdict, found.because) == (
        "fail",
        "TLSv1.0 is offered and weaker than documented",
    )


def test_only_the_unknowns_that_matter_are_named() -> None:
    found = held("aws-iam-2020/transit-versions", endpoint(target(protocols("1.2 1.3", "1.0 1.1"))))
    assert found.because == "TLSv1.0 unknown: reset, control failed"


def test_a_version_without_an_observation_is_unknown() -> None:
    said = {k: v for k, v in protocols().items() if k != "SSLv2"}
    found = held("aws-iam-2020/transit-versions", endpoint(target(said)))
    assert (found.verdict, found.because) == ("inconclusive", "SSLv2 unknown: not probed")


@pytest.mark.parametrize("rule", ["transit-versions", "pfs", "https-endpoints"])
def test_silence_is_inconclusive_with_its_reason(rule: str) -> None:
    dead = target({}, reachable="no", why="connection refused", https={})
    found = held(f"aws-iam-2020/{rule}", endpoint(dead))
    assert (found.verdict, found.because) == ("inconclusive", "connection refused")
    found = held(f"aws-iam-2020/{rule}", endpoint())
    assert (found.verdict, found.because) == ("inconclusive", "no address to ask")


def test_an_address_that_nobody_saw_has_no_name_before_its_reason() -> None:
    unseen = target({}, reachable="unknown", why="AAAA: DNS: time-out", https={}, address="")
    found = held("aws-iam-2020/transit-versions", endpoint(target(), unseen))
    assert (found.verdict, found.because) == ("inconclusive", "AAAA: DNS: time-out")


def test_the_worst_address_speaks_for_the_endpoint_and_is_named() -> None:
    good = target(address="192.0.2.1")
    bad = target(protocols("1.0 1.2"), "192.0.2.2")
    mute = target({}, "192.0.2.3", reachable="no", why="time-out")
    found = held("aws-iam-2020/transit-versions", endpoint(good, bad, mute))
    assert found.verdict == "fail"
    assert found.because == "192.0.2.2: TLSv1.0 is offered and weaker than documented"
    assert (
        found.saw == "192.0.2.1: TLSv1.2, TLSv1.3; 192.0.2.2: TLSv1.0, TLSv1.2; 192.0.2.3: nothing"
    )
    found = held("aws-iam-2020/transit-versions", endpoint(good, mute))
    assert (found.verdict, found.because) == ("inconclusive", "192.0.2.3: time-out")


def test_alike_addresses_are_not_named() -> None:
    both = held("aws-current/min-tls12", endpoint(target(), target(address="192.0.2.8")))
    assert "192.0.2" not in both.saw + both.because


def test_a_skipped_address_is_left_out_and_named() -> None:
    no_route = {"skipped": "no IPv6 route from here"}
    away = target({}, "2001:db8::7", reachable="unknown", why="skipped", features=no_route)
    found = held("aws-current/min-tls12", endpoint(target(), away))
    assert found.verdict == "pass"
    assert found.because.endswith("; 2001:db8::7 left out: no IPv6 route from here")
    found = held("aws-current/min-tls12", endpoint(away))
    assert (found.verdict, found.because) == ("inconclusive", "no IPv6 route from here")


def test_https_failures_say_why() -> None:
    found = held("aws-iam-2020/https-endpoints", endpoint(target(https=HTTPS_NO)))
    assert found.because == "certificate has expired"
    found = held("aws-iam-2020/https-endpoints", endpoint(target(https={})))
    assert (found.verdict, found.saw) == ("not_applicable", "nothing")
    assert found.because == "HTTPS was not asked for at this depth"


def test_suites_without_forward_secrecy_are_shown_not_failed() -> None:
    found = held("aws-current/pfs", endpoint(target()))
    assert found.verdict == "pass"
    assert found.saw == f"2 of 3 suites with forward secrecy; RSA key exchange: {RSA}"


def test_unknown_suites_and_empty_lists_prove_nothing() -> None:
    for said in (suites(), suites("0x1234"), suites(RSA, "0x1234")):
        assert held("aws-current/pfs", endpoint(target(said))).verdict == "inconclusive"


def test_sslv2_has_no_forward_secrecy() -> None:
    only = protocols("") | {"SSLv2": Protocol("yes", None, ("SSL_CK_RC4_128_WITH_MD5",))}
    assert held("aws-current/pfs", endpoint(target(only))).verdict == "fail"


def test_dns_findings_are_about_addresses_not_answers() -> None:
    no_route = {"skipped": "no IPv6 route from here"}
    away = target({}, "2001:db8::7", features=no_route)
    both = endpoint(target(), away, variant="dualstack")
    assert held("aws-current/dualstack-dns", both).verdict == "pass"

    found = held("aws-current/dualstack-dns", dual("192.0.2.7"))
    assert (found.saw, found.because) == ("A", "no AAAA address")

    unanswered = target({}, "", reachable="unknown", why="AAAA query timed out")
    half = endpoint(target(), unanswered, variant="dualstack")
    found = held("aws-current/dualstack-dns", half)
    assert (found.verdict, found.because) == ("inconclusive", "AAAA query timed out")


def test_global_names_are_ipv4_only() -> None:
    for address, verdict in (("192.0.2.7", "pass"), ("2001:db8::7", "warn")):
        at = endpoint(target(address=address), host="sts.amazonaws.com", variant="global")
        assert held("aws-current/dualstack-dns", at).verdict == verdict


def test_pinned_addresses_say_nothing_about_dns() -> None:
    at = endpoint(target(features={"pinned": True}), variant="dualstack")
    found = held("aws-current/dualstack-dns", at)
    assert (found.verdict, found.because) == ("not_applicable", "addresses were pinned")
    row = Endpoint("x", "sts", "aws", "r", "dualstack", "h", addresses=("192.0.2.7",))
    policy = find("aws-current")
    at = endpoint(target(), variant="dualstack")
    [by_row] = [
        f for f in judge([policy], [at], {at.id: row}, as_of=DAY) if f.rule == "dualstack-dns"
    ]
    assert by_row.because == "addresses were pinned"


# --- when and where a rule holds


def a_rule(**other: Any) -> Rule:
    cited = Citation("a document", "1", "https://example.com/", "primary")
    made = Rule("r", "versions", "text", "MUST", "high", cited)
    return replace(made, **{"params": {"required": ("TLSv1.3",)}, **other})


def verdict_of(rule: Rule, at: EndpointReport, as_of: date = DAY) -> Finding:
    policy = Policy("p", "t", "x", "1", DAY, "current", None, "https://example.com/", (), (rule,))
    [finding] = judge([policy], [at], as_of=as_of)
    return finding


def test_dates_are_inclusive() -> None:
    rule = a_rule(since=date(2026, 1, 1), until=date(2026, 12, 31))
    for day, verdict, because in (
        (date(2025, 12, 31), "not_applicable", "holds from 2026-01-01"),
        (date(2026, 1, 1), "pass", None),
        (date(2026, 12, 31), "pass", None),
        (date(2027, 1, 1), "not_applicable", "held until 2026-12-31"),
    ):
        found = verdict_of(rule, endpoint(target()), day)
        assert found.verdict == verdict
        assert because in (None, found.because)


@pytest.mark.parametrize(
    "limit", [{"variants": ("fips",)}, {"services": ("iam",)}, {"partitions": ("aws-cn",)}]
)
def test_a_rule_keeps_to_what_it_applies_to(limit: dict[str, tuple[str, ...]]) -> None:
    assert verdict_of(a_rule(applies_to=limit), endpoint(target())).verdict == "not_applicable"


def test_weak_rules_warn_and_notes_never_do() -> None:
    bad = endpoint(target(protocols("1.2")))
    cited = Citation("a document", "1", "https://example.com/", "unverified")
    assert verdict_of(a_rule(), bad).verdict == "fail"
    assert verdict_of(a_rule(level="SHOULD"), bad).verdict == "warn"
    assert verdict_of(a_rule(citation=cited), bad).verdict == "warn"
    assert verdict_of(a_rule(level="INFO"), bad).verdict == "pass"
    open_ = endpoint(target(protocols("1.2", "1.3")))
    assert verdict_of(a_rule(level="INFO"), open_).verdict == "not_applicable"
    assert verdict_of(a_rule(level="SHOULD"), open_).verdict == "inconclusive"


def test_findings_come_in_the_order_of_the_report_then_of_the_files() -> None:
    policies = [find("aws-iam-2020"), find("aws-current")]
    two = [endpoint(target(), id="b"), endpoint(target(), id="a")]
    found = [(f.endpoint, f.policy, f.rule) for f in judge(policies, two, as_of=DAY)]
    assert found == [(e.id, p.id, r.id) for e in two for p in policies for r in p.rules]


def test_the_summary_has_every_verdict() -> None:
    assert set(summary(())) == set(VERDICTS) and not any(summary(()).values())
    findings = judge([find("aws-iam-2020")], [endpoint(target())], as_of=DAY)
    assert summary(findings) == dict.fromkeys(VERDICTS, 0) | {"exceeds": 1, "pass": 2}


# --- the version rule against plain words

SOME = st.sets(st.sampled_from(VERSIONS)).map(lambda s: tuple(v for v in VERSIONS if v in s))
RULES = st.fixed_dictionaries(dict.fromkeys(core.PARAMS["versions"], SOME)).map(
    lambda params: a_rule(params=params)
)
ANSWERS = st.fixed_dictionaries({v: st.sampled_from(("yes", "no", "unknown")) for v in VERSIONS})


def in_plain_words(rule: Rule, offered: set[str]) -> Verdict:
    documented, any_of = rule.names("documented"), rule.names("require_any")
    for version in rule.names("forbidden"):
        if version in offered:
            return "fail"
    for version in rule.names("required") + rule.names("expected"):
        if version not in offered:
            return "fail"
    if any_of and not any(version in offered for version in any_of):
        return "fail"
    if not all(version in offered for version in documented):
        return "exceeds"
    # By their names, versions sort as they were made: SSLv2, SSLv3, TLSv1.0, ...
    if documented and offered and max(offered) > max(documented):
        return "exceeds"
    return "pass"


def answered(answers: dict[str, str]) -> EndpointReport:
    said = {v: Protocol(a, "why") for v, a in answers.items()}  # type: ignore[arg-type]
    return endpoint(target(said))


@given(RULES, st.sets(st.sampled_from(VERSIONS)))
def test_the_version_rule_is_the_one_in_plain_words(rule: Rule, offered: set[str]) -> None:
    at = answered({v: "yes" if v in offered else "no" for v in VERSIONS})
    assert verdict_of(rule, at).verdict == in_plain_words(rule, offered)


def test_the_default_rule_is_right_in_all_combinations() -> None:
    [rule] = [r for r in find("aws-iam-2020").rules if r.id == "transit-versions"]
    for bits in range(2 ** len(VERSIONS)):
        offered = {v for i, v in enumerate(VERSIONS) if bits >> i & 1}
        weak = offered & {"SSLv2", "SSLv3", "TLSv1.0"}
        at = answered({v: "yes" if v in offered else "no" for v in VERSIONS})
        wanted = (
            "fail" if weak or "TLSv1.2" not in offered
            else "pass" if offered == {"TLSv1.1", "TLSv1.2"}
            else "exceeds"
        )  # fmt: skip
        assert verdict_of(rule, at).verdict == wanted


@given(RULES, ANSWERS)
def test_a_verdict_despite_unknowns_holds_whatever_they_are(
    rule: Rule, answers: dict[str, str]
) -> None:
    found = verdict_of(rule, answered(answers))
    unknown = [v for v in VERSIONS if answers[v] == "unknown"]
    possible = {
        in_plain_words(
            rule,
            {v for v in VERSIONS if answers[v] == "yes"}
            | {v for i, v in enumerate(unknown) if bits >> i & 1},
        )
        for bits in range(2 ** len(unknown))
    }
    assert found.verdict == (possible.pop() if len(possible) == 1 else "inconclusive")
    assert found.because
    if unknown:
        assert found.saw.endswith(f"; unknown: {', '.join(unknown)}")


@given(RULES, ANSWERS, st.sampled_from(VERSIONS))
def test_forgetting_an_answer_changes_no_verdict_into_another(
    rule: Rule, answers: dict[str, str], forgotten: str
) -> None:
    before = verdict_of(rule, answered(answers)).verdict
    after = verdict_of(rule, answered(answers | {forgotten: "unknown"})).verdict
    assert after in (before, "inconclusive")


@pytest.mark.parametrize(
    ("offered", "unsteady", "verdict", "says"),
    [
        ("1.2 1.3", "TLSv1.2", "fail", "TLSv1.2 is required and not offered"),
        ("1.0 1.2", "TLSv1.0", "fail", "TLSv1.0 is offered and weaker than documented"),
        ("1.1 1.2", "TLSv1.1", "exceeds", "TLSv1.1 is documented and no longer offered"),
    ],
)
def test_a_version_that_only_some_connections_get_counts_as_both(
    offered: str, unsteady: str, verdict: Verdict, says: str
) -> None:
    unequal = target(protocols(offered), features={"unsteady": [unsteady]})
    found = held("aws-iam-2020/transit-versions", endpoint(unequal))
    assert found.verdict == verdict and says in found.because
    assert f"{unsteady} is answered differently from one connection" in found.because


def test_forward_secrecy_of_unequal_servers_is_not_vouched_for() -> None:
    mixed = {"mixed": "TLSv1.2: two suites are each picked before the other"}
    both = suites(FS, RSA)
    found = held("aws-iam-2020/pfs", endpoint(target(both, features=mixed)))
    assert found.verdict == "inconclusive" and "unequal servers" in found.because
    assert held("aws-iam-2020/pfs", endpoint(target(suites(FS), features=mixed))).verdict == "pass"


def test_unknowns_of_one_reason_are_told_once() -> None:
    found = held("aws-iam-2020/transit-versions", endpoint(target(protocols("1.2", "1.0 1.1"))))
    assert found.because == "TLSv1.0, TLSv1.1 unknown: reset, control failed"
    mute = target({v: Protocol("unknown", "reset (5 times)") for v in VERSIONS})
    found = held("aws-iam-2020/transit-versions", endpoint(mute))
    assert found.because == f"{', '.join(VERSIONS)} unknown: reset (5 times)"


def test_a_pick_that_was_not_offered_is_a_finding_of_its_own() -> None:
    strays = {"unoffered": ["TLSv1.2: picked 0x1A1A, which was not offered"]}
    [found] = [f for f in judge([], [endpoint(target(features=strays))], as_of=DAY)]
    assert (found.policy, found.rule, found.verdict) == ("tlscheck", "unoffered-pick", "warn")
    assert found.because == strays["unoffered"][0]
    both = endpoint(target(), target(address="192.0.2.8", features=strays))
    [found] = judge([], [both], as_of=DAY)
    assert found.because.startswith("192.0.2.8: TLSv1.2: picked")
    assert judge([], [endpoint(target())], as_of=DAY) == ()


# --- port 80


@pytest.mark.parametrize(
    ("http", "verdict", "because"),
    [
        ({"outcome": "closed", "why": "connection refused"}, "pass", "port 80 is closed"),
        ({"outcome": "redirect", "status": 301, "location": "https://a/"}, "pass",
         "port 80 only redirects"),
        ({"outcome": "answer", "status": 200}, "warn", "port 80 answers in clear"),
        ({"outcome": "unknown", "why": "timed out"}, "not_applicable",
         "port 80 gave no answer: timed out"),
        ({}, "not_applicable", "port 80 was not asked at this depth"),
        ({"outcome": ["x"]}, "not_applicable", "port 80 gave no answer: None"),
    ],
)  # fmt: skip
def test_an_answer_in_clear_is_warned_of_and_silence_is_neither(
    http: dict[str, Any], verdict: str, because: str
) -> None:
    found = held("aws-current/port80", endpoint(target(http=http)))
    assert (found.verdict, found.because) == (verdict, because)


def test_an_address_that_is_silent_on_port_80_does_not_turn_a_warning_into_a_pass() -> None:
    closed = target(http={"outcome": "closed"})
    both = {
        said: held("aws-current/port80", endpoint(closed, target({}, "192.0.2.8", http=http)))
        for said, http in (
            ("answer", {"outcome": "answer", "status": 200}),
            ("silence", {"outcome": "unknown", "why": "timed out"}),
        )
    }
    assert both["answer"].verdict == "warn"
    assert both["silence"].verdict == "not_applicable" and both["silence"].saw
    assert both["silence"].because == "192.0.2.8: port 80 gave no answer: timed out"


# --- what no policy is needed for


def leaf(**said: Any) -> tuple[dict[str, Any], ...]:
    return ({"position": 0, "must_staple": False, "staple": None} | said,)


REVOKED = {"status": "revoked", "about_leaf": "yes", "signed": "yes", "revoked": None}
STAPLING = {answer: {"ocsp_stapling": {"answer": answer}} for answer in ("yes", "no", "unknown")}


@pytest.mark.parametrize(
    ("rule", "seen"),
    [
        ("weak-dh", {"features": {"dh": {"answer": "yes", "bits": 1024}}}),
        ("revoked", {"certificates": leaf(staple=REVOKED)}),
        ("must-staple", {"certificates": leaf(must_staple=True), "features": STAPLING["no"]}),
        ("compression", {"features": {"compression": {"answer": "yes"}}}),
        ("compression", {"deep": {"compression": {"answer": "yes"}}}),
        ("heartbleed", {"deep": {"heartbleed": {"answer": "yes"}}}),
        ("ccs-injection", {"deep": {"ccs_injection": {"answer": "yes"}}}),
        ("robot", {"deep": {"robot": {"answer": "yes"}}}),
        ("client-renegotiation", {"deep": {"client_renegotiation": {"answer": "yes"}}}),
    ],
)
def test_a_trouble_is_a_warning_of_its_own(rule: str, seen: dict[str, Any]) -> None:
    [found] = judge([], [endpoint(target(**seen))], as_of=DAY)
    assert (found.policy, found.rule, found.verdict) == ("tlscheck", rule, "warn")
    assert found.because and found.saw
    both = endpoint(target(**seen), target(address="192.0.2.8"))
    [found] = judge([], [both], as_of=DAY)
    assert found.because.startswith("192.0.2.7: ")


@pytest.mark.parametrize(
    "seen",
    [
        {"certificates": leaf(staple=REVOKED | {"status": "good"})},
        {"certificates": leaf(staple=REVOKED | {"status": "unknown"})},
        {"certificates": leaf(staple=REVOKED | {"about_leaf": "no"})},
        {"certificates": leaf(staple=REVOKED | {"signed": "no"})},
        {"certificates": leaf(staple=REVOKED | {"signed": "unknown"})},
        {"certificates": leaf(must_staple=True), "features": STAPLING["yes"]},
        {"certificates": leaf(must_staple=True), "features": STAPLING["unknown"]},
        {"certificates": leaf(), "features": STAPLING["no"]},
        {"certificates": ({"position": 1, "must_staple": True},), "features": STAPLING["no"]},
    ],
)
def test_what_revokes_nothing_and_needs_no_staple_is_no_trouble(seen: dict[str, Any]) -> None:
    assert judge([], [endpoint(target(**seen))], as_of=DAY) == ()


@pytest.mark.parametrize(
    "odd",
    [None, 1, True, "yes", [], {}, {"answer": ["yes"]}, {"bits": True},
     {"answer": "no", "bits": 2048}, {"answer": "unknown"}],
)  # fmt: skip
def test_what_is_not_known_is_no_trouble(odd: Any) -> None:
    names = ("dh", "compression", "heartbleed", "ccs_injection", "robot", "client_renegotiation")
    held = dict.fromkeys(names, odd)
    assert judge([], [endpoint(target(features=held, deep=held))], as_of=DAY) == ()
    assert judge([], [endpoint(target(deep=odd))], as_of=DAY) == ()
