"""Observations x policy x date -> findings.

A rule's check looks at each target on its own; the endpoint gets the worst of the verdicts.
What could not be learned never becomes a pass or a fail: where it would make a difference, the
verdict is `inconclusive` with the reason. Pure.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from functools import partial
from itertools import product
from typing import Literal, assert_never, get_args

from tlscheck.core import conduct, registry
from tlscheck.core.conduct import merged
from tlscheck.core.model import (
    Endpoint,
    EndpointReport,
    Finding,
    Protocol,
    TargetReport,
    Verdict,
    worst,
)

Check = Literal["versions", "pfs", "https", "http", "groups", "dns"]
Level = Literal["MUST", "SHOULD", "STATEMENT", "INFO"]
Severity = Literal["critical", "high", "medium", "low", "info"]
Verified = Literal["primary", "secondary", "unverified"]
Status = Literal["current", "superseded", "draft"]
Param = tuple[str, ...] | int | float

# Weakest first, by the names that reports use.
VERSIONS: tuple[str, ...] = ("SSLv2", "SSLv3", "TLSv1.0", "TLSv1.1", "TLSv1.2", "TLSv1.3")

# The params a check knows, all of them sets of names.
PARAMS: Mapping[Check, tuple[str, ...]] = {
    "versions": ("documented", "required", "require_any", "expected", "forbidden"),
    "pfs": ("report_key_exchange",),
    "https": (),
    "http": (),
    "groups": ("interesting", "forbidden"),
    "dns": ("dualstack", "ipv4_only"),
}


@dataclass(frozen=True, slots=True)
class Citation:
    """Where a rule comes from; `verified` says how well somebody looked."""

    document: str
    section: str
    url: str
    verified: Verified


@dataclass(frozen=True, slots=True)
class Rule:
    """One requirement as data. It holds from `since` to `until`, both included.

    `applies_to` maps `variants`, `services` or `partitions` to the names it is limited to.
    """

    id: str
    check: Check
    text: str
    level: Level
    severity: Severity
    citation: Citation
    since: date | None = None
    until: date | None = None
    applies_to: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    params: Mapping[str, Param] = field(default_factory=dict)

    def names(self, param: str) -> tuple[str, ...]:
        """The set of names called `param`; empty when the rule does not have it."""
        value = self.params.get(param, ())
        return value if isinstance(value, tuple) else ()


@dataclass(frozen=True, slots=True)
class Policy:
    """One version of one document's requirements."""

    id: str
    title: str
    publisher: str
    version: str
    published: date
    status: Status
    supersedes: str | None
    url: str
    notes: tuple[str, ...]
    rules: tuple[Rule, ...]


@dataclass(frozen=True, slots=True)
class _Judged:
    """Where `saw` is empty there was nothing to look at: the rule itself does not apply. Else
    `not_applicable` is a question that got no answer, or was not asked."""

    verdict: Verdict
    saw: str
    because: str


_Look = Callable[[TargetReport], _Judged]


def judge(
    policies: Sequence[Policy],
    endpoints: Sequence[EndpointReport],
    catalog: Mapping[str, Endpoint] | None = None,
    *,
    as_of: date,
) -> tuple[Finding, ...]:
    """One finding for every rule and endpoint, in the order of `endpoints`, `policies`, rules; and
    one more for each trouble that an endpoint is in whatever the policies say (`conduct`).

    `catalog` maps endpoint ids to rows; it only adds which endpoints had their addresses pinned.
    """
    rows = catalog or {}
    findings = []
    for endpoint in endpoints:
        row = rows.get(endpoint.id)
        pinned = row is not None and bool(row.addresses)
        for policy in policies:
            for rule in policy.rules:
                it = _judge_rule(rule, endpoint, pinned, as_of)
                findings.append(
                    Finding(endpoint.id, policy.id, rule.id, it.verdict, it.saw, it.because)
                )
        findings += conduct.findings(endpoint)
    return tuple(findings)


def summary(findings: Iterable[Finding]) -> dict[Verdict, int]:
    """How many findings have which verdict; every verdict is a key."""
    counts: dict[Verdict, int] = {
        "pass": 0,
        "exceeds": 0,
        "warn": 0,
        "fail": 0,
        "inconclusive": 0,
        "not_applicable": 0,
        "waived": 0,
    }
    for finding in findings:
        counts[finding.verdict] += 1
    return counts


def _judge_rule(rule: Rule, endpoint: EndpointReport, pinned: bool, as_of: date) -> _Judged:
    why_not = _not_applicable(rule, endpoint, as_of)
    if why_not is not None:
        return _Judged("not_applicable", "", why_not)
    match rule.check:
        case "versions":
            return _over_targets(rule, endpoint, partial(_versions, rule))
        case "pfs":
            return _over_targets(rule, endpoint, partial(_pfs, rule))
        case "https":
            return _over_targets(rule, endpoint, _https)
        case "http":
            return _over_targets(rule, endpoint, _http)
        case "groups":
            return _over_targets(rule, endpoint, partial(_groups, rule))
        case "dns":
            return _capped(rule, _dns(rule, endpoint, pinned))
        case _:
            assert_never(rule.check)


def _not_applicable(rule: Rule, endpoint: EndpointReport, as_of: date) -> str | None:
    if rule.since is not None and as_of < rule.since:
        return f"holds from {rule.since.isoformat()}"
    if rule.until is not None and as_of > rule.until:
        return f"held until {rule.until.isoformat()}"
    here = {
        "variants": endpoint.variant,
        "services": endpoint.service,
        "partitions": endpoint.partition,
    }
    for kind, names in rule.applies_to.items():
        if here[kind] not in names:
            return f"applies to {kind} {', '.join(names)}"
    return None


def _capped(rule: Rule, it: _Judged) -> _Judged:
    """What a rule of this level, cited this well, may say at most."""
    if rule.level == "INFO":
        # A note never needs anybody to act, so what it could not see is not held against anyone.
        if it.verdict == "inconclusive":
            return replace(it, verdict="not_applicable")
        return replace(it, verdict="pass") if it.verdict in ("fail", "warn") else it
    weak = rule.level == "SHOULD" or rule.citation.verified == "unverified"
    return replace(it, verdict="warn") if weak and it.verdict == "fail" else it


# --- many targets, one verdict


def _over_targets(rule: Rule, endpoint: EndpointReport, look: _Look) -> _Judged:
    if not endpoint.targets:
        return _capped(rule, _Judged("inconclusive", "nothing", "no address to ask"))
    skipped = [(target.address, why) for target in endpoint.targets if (why := _skipped(target))]
    if len(skipped) == len(endpoint.targets):
        return _capped(rule, _Judged("inconclusive", "nothing", merged(skipped)))

    each = [
        (target.address, _capped(rule, look(target)))
        for target in endpoint.targets
        if not _skipped(target)
    ]
    verdict = worst(tuple(it.verdict for _, it in each))
    if verdict == "pass" and any(it.verdict == "not_applicable" for _, it in each):
        verdict = "not_applicable"  # one that gave no answer can be otherwise
    alike = all(it.verdict == verdict for _, it in each)
    because = merged([(at, it.because) for at, it in each if it.verdict == verdict], not alike)
    left_out = "".join(f"; {at} left out: {why}" for at, why in skipped)
    return _Judged(verdict, merged([(at, it.saw) for at, it in each]), because + left_out)


def _skipped(target: TargetReport) -> str:
    why = target.features.get("skipped")
    return why if isinstance(why, str) else ""


def _unreachable(target: TargetReport) -> _Judged | None:
    if target.reachable == "yes":
        return None
    why = target.why or ("not reachable" if target.reachable == "no" else "not asked")
    return _Judged("inconclusive", "nothing", why)


_NOT_PROBED = Protocol(offered="unknown", why="not probed")


def _protocol(target: TargetReport, version: str) -> Protocol:
    return target.protocols.get(version, _NOT_PROBED)


# --- versions


def _versions(rule: Rule, target: TargetReport) -> _Judged:
    """The verdict that holds whatever the unknown versions are, or `inconclusive`.

    A version that is taken on one connection and refused on the next counts as both.
    """
    if (silent := _unreachable(target)) is not None:
        return silent
    known = frozenset(v for v in VERSIONS if _protocol(target, v).offered == "yes")
    unsteady = known.intersection(_texts(target, "unsteady"))
    each = [
        _versions_if(rule, target, (known - unsteady) | chosen) for chosen in _subsets(unsteady)
    ]
    verdict = worst(tuple(it.verdict for it in each))
    it = next(it for it in each if it.verdict == verdict)
    if not unsteady:
        return it
    some = ", ".join(v for v in VERSIONS if v in unsteady)
    because = f"{it.because} ({some} is answered differently from one connection to the next)"
    return _Judged(verdict, _saw(target, known), because)


def _versions_if(rule: Rule, target: TargetReport, known: frozenset[str]) -> _Judged:
    """The verdict when exactly `known` is offered, beside what is unknown."""
    unknown = tuple(v for v in VERSIONS if _protocol(target, v).offered == "unknown")
    saw = _saw(target, known)
    could_be = {guess: _versions_verdict(rule, known | guess) for guess in _subsets(unknown)}
    verdicts = {verdict for verdict, _ in could_be.values()}
    if len(verdicts) > 1:
        # Name those that matter: where learning this one alone could change the verdict.
        open_ = [
            v
            for v in unknown
            if any(could_be[guess][0] != could_be[guess ^ {v}][0] for guess in could_be)
        ]
        return _Judged("inconclusive", saw, _unknowns(target, open_))
    [verdict] = verdicts
    reasons = [why for _, why in could_be.values()]
    certain = [why for why in reasons[0] if all(why in others for others in reasons)]
    because = "; ".join(certain) or f"whatever {' and '.join(unknown)} would turn out to be"
    return _Judged(verdict, saw, because)


def _texts(target: TargetReport, feature: str) -> tuple[str, ...]:
    """A feature that is a list of texts; a report from elsewhere may hold anything."""
    held = target.features.get(feature)
    return tuple(filter(lambda text: isinstance(text, str), held)) if isinstance(held, list) else ()


def _subsets(versions: Iterable[str]) -> list[frozenset[str]]:
    names = tuple(versions)
    return [
        frozenset(v for v, bit in zip(names, bits, strict=True) if bit)
        for bits in product((False, True), repeat=len(names))
    ]


def _saw(target: TargetReport, known: frozenset[str]) -> str:
    unknown = ", ".join(v for v in VERSIONS if _protocol(target, v).offered == "unknown")
    saw = ", ".join(v for v in VERSIONS if v in known) or "none"
    return f"{saw}; unknown: {unknown}" if unknown else saw


def _unknowns(target: TargetReport, versions: Sequence[str]) -> str:
    """Why these versions are unknown; those of one reason together."""
    alike: dict[str, list[str]] = {}
    for version in versions:
        alike.setdefault(_protocol(target, version).why or "no reason given", []).append(version)
    return "; ".join(f"{', '.join(names)} unknown: {why}" for why, names in alike.items())


def _versions_verdict(rule: Rule, offered: frozenset[str]) -> tuple[Verdict, tuple[str, ...]]:
    """The verdict and its reasons when exactly `offered` is offered."""
    documented = rule.names("documented")
    any_of = rule.names("require_any")
    rank = VERSIONS.index
    weakest = min(map(rank, documented), default=0)
    newest = max(map(rank, documented), default=len(VERSIONS))

    bad = [
        f"{v} is offered and {'weaker than documented' if rank(v) < weakest else 'not allowed'}"
        for v in VERSIONS
        if v in rule.names("forbidden") and v in offered
    ]
    for word in ("required", "expected"):
        lacking = [v for v in VERSIONS if v in rule.names(word) and v not in offered]
        bad += [f"{v} is {word} and not offered" for v in lacking]
    if any_of and offered.isdisjoint(any_of):
        bad.append(f"none of {', '.join(any_of)} is offered")
    if bad:
        return "fail", tuple(bad)

    better = [
        f"{v} is documented and no longer offered"
        for v in VERSIONS
        if v in documented and v not in offered
    ] + [
        f"{v} is offered and newer than documented"
        for v in VERSIONS
        if v in offered and rank(v) > newest
    ]
    if better:
        return "exceeds", tuple(better)
    return "pass", ("offers what it should and nothing it should not",)


# --- forward secrecy


def _gaps(target: TargetReport, versions: Sequence[str]) -> list[str]:
    """Why the lists of these versions cannot be trusted to be whole; empty when they can."""
    unknown = [v for v in versions if _protocol(target, v).offered == "unknown"]
    gaps = [_unknowns(target, unknown)] if unknown else []
    for version in versions:
        protocol = _protocol(target, version)
        if protocol.offered == "yes" and (protocol.why or not protocol.suites):
            gaps.append(f"{version} incomplete: {protocol.why or 'suites not listed'}")
    return gaps


def _pfs(rule: Rule, target: TargetReport) -> _Judged:
    if (silent := _unreachable(target)) is not None:
        return silent
    offered = {v: p for v in VERSIONS if (p := _protocol(target, v)).offered == "yes"}
    names = tuple(dict.fromkeys(name for p in offered.values() for name in p.suites))
    suites = [suite for name in names if (suite := registry.known_suite(name)) is not None]
    secret = [suite.name for suite in suites if suite.forward_secrecy]

    saw = f"{len(secret)} of {len(names)} suites with forward secrecy"
    for exchange in rule.names("report_key_exchange"):
        if plain := [suite.name for suite in suites if suite.key_exchange == exchange]:
            saw += f"; {exchange} key exchange: {', '.join(plain)}"

    mixed = target.features.get("mixed")
    if mixed and len(secret) < len(suites):
        # What was found is what all of them offer together: one may have no such suite.
        return _Judged("inconclusive", saw, f"unequal servers answer at this address: {mixed}")
    if "TLSv1.3" in offered:
        return _Judged("pass", saw, "TLSv1.3 is offered and always has forward secrecy")
    if secret:
        return _Judged("pass", saw, "a suite with forward secrecy is offered")
    gaps = _gaps(target, VERSIONS)
    # SSLv2 has no forward secrecy; its suites are not among the registry's by name.
    gaps += [
        f"{name} is not a known suite"
        for version, protocol in offered.items()
        for name in protocol.suites
        if version != "SSLv2" and registry.known_suite(name) is None
    ]
    if gaps:
        return _Judged("inconclusive", saw, "; ".join(dict.fromkeys(gaps)))
    return _Judged("fail", saw, "no suite with forward secrecy is offered")


# --- HTTPS


def _https(target: TargetReport) -> _Judged:
    if not target.https:
        return _unreachable(target) or _Judged(
            "not_applicable", "nothing", "HTTPS was not asked for at this depth"
        )
    why, status = target.https.get("why"), target.https.get("status")
    saw = "nothing" if status is None else f"status {status}"
    match target.https.get("outcome"):
        case "yes":
            return _Judged("pass", saw, "HTTPS was answered with a certificate that holds")
        case "no":
            return _Judged("fail", saw, str(why or "HTTPS was refused"))
        case _:
            return _Judged("inconclusive", saw, str(why or "the HTTPS check left no answer"))


def _http(target: TargetReport) -> _Judged:
    """Port 80. Where nothing answers nothing is said in clear, so there is nothing to judge: that
    is neither a pass nor worth an open question."""
    said = target.http
    if not said:
        return _Judged("not_applicable", "nothing", "port 80 was not asked at this depth")
    status, why = said.get("status"), said.get("why")
    match said.get("outcome"):
        case "closed":
            return _Judged("pass", "closed", "port 80 is closed")
        case "redirect":
            saw = f"status {status}, to {said.get('location')}"
            return _Judged("pass", saw, "port 80 only redirects")
        case "answer":
            return _Judged("fail", f"status {status}", "port 80 answers in clear")
        case _:
            return _Judged("not_applicable", "nothing", f"port 80 gave no answer: {why}")


# --- groups

_WITH_GROUPS = ("TLSv1.2", "TLSv1.3")


def _groups(rule: Rule, target: TargetReport) -> _Judged:
    if (silent := _unreachable(target)) is not None:
        return silent
    offered = {v: p for v in _WITH_GROUPS if (p := _protocol(target, v)).offered == "yes"}
    groups = tuple(dict.fromkeys(name for p in offered.values() for name in p.groups))
    saw = ", ".join(groups) or "none"

    if bad := [name for name in groups if name in rule.names("forbidden")]:
        return _Judged("fail", saw, f"{', '.join(bad)} offered and not allowed")
    if found := [name for name in groups if name in rule.names("interesting")]:
        return _Judged("exceeds", saw, f"{', '.join(found)} offered and not required")
    gaps = _gaps(target, _WITH_GROUPS)
    # TLS 1.2 can do without groups (RSA key exchange), TLS 1.3 cannot.
    if "TLSv1.3" in offered and not offered["TLSv1.3"].groups:
        gaps.append("TLSv1.3 incomplete: groups not listed")
    if gaps:
        return _Judged("inconclusive", saw, "; ".join(gaps))
    return _Judged("pass", saw, "none of the groups looked for is offered")


# --- DNS


def _dns(rule: Rule, endpoint: EndpointReport, pinned: bool) -> _Judged:
    single = endpoint.host in rule.names("ipv4_only")
    wanted = rule.names("dualstack") if endpoint.variant.endswith("dualstack") else ()
    if not single and not wanted:
        return _Judged("not_applicable", "", "nothing is documented about this name's addresses")
    if pinned or any(target.features.get("pinned") for target in endpoint.targets):
        return _Judged("not_applicable", "nothing", "addresses were pinned")

    kinds = {target.address: _record(target.address) for target in endpoint.targets}
    found = [kind for kind in ("A", "AAAA") if kind in kinds.values()]
    saw = ", ".join(found) or "nothing"
    if single and "AAAA" in found:
        return _Judged("fail", saw, "AAAA found for a name documented as IPv4 only")
    missing = [kind for kind in wanted if kind not in found]
    # A target without an address stands for a question that got no answer.
    silent = [target.why or "no answer" for target in endpoint.targets if not kinds[target.address]]
    if not endpoint.targets:
        silent = ["no address to ask"]
    if silent and (missing or single):
        return _Judged("inconclusive", saw, "; ".join(dict.fromkeys(silent)))
    if missing:
        return _Judged("fail", saw, f"no {' and no '.join(missing)} address")
    return _Judged("pass", saw, "has the addresses that are documented")


def _record(address: str) -> Literal["A", "AAAA"] | None:
    try:
        return "A" if ipaddress.ip_address(address).version == 4 else "AAAA"
    except ValueError:
        return None


CHECKS: tuple[Check, ...] = get_args(Check)
