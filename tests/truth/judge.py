"""A report held against the truth: what is false in it, what it leaves open, what was expected.

False is: a yes or no that the truth contradicts, or that nobody can know; a suite or group that
the server does not have; a list said to be whole (`why` is null) that lacks one; a wrong order;
and a verdict under aws-iam-2020 that the truth does not allow (`pass` above all where it is
`fail`). The rules of that policy are written down here a second time, on purpose.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, combinations
from typing import Any

from tests.servers.faults.registry import Fault, Site
from tests.servers.profile import PROTOCOLS, Profile, Version

_WORST = ("fail", "inconclusive", "warn", "exceeds", "pass")
_FORBIDDEN = {"SSLv2", "SSLv3", "TLSv1.0"}
_DOCUMENTED = {"TLSv1.1", "TLSv1.2"}


@dataclass
class Outcome:
    """One fault in one run. `pairs` are versions and version-suite pairs that can be learned."""

    fault: str
    false: list[str] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)
    pairs: int = 0
    undecided: int = 0
    connections: int = 0
    seconds: float = 0.0


def judge(fault: Fault, addresses: Sequence[str], report: dict[str, Any]) -> Outcome:
    """What the report says of one fault, held against its truth."""
    outcome = Outcome(fault.name)
    endpoint = next((e for e in report["endpoints"] if e["host"] == fault.host), None)
    if endpoint is None:
        outcome.missed.append("not in the report")
        return outcome
    targets = endpoint["targets"]
    for address, site in zip(addresses, fault.sites, strict=True):
        mine = [t for t in targets if t["address"] == address]
        if not mine and site.undecidable >= set(PROTOCOLS):  # a name without an address
            mine = [t for t in targets if t["address"] == ""]
        for target in mine[:1]:
            _target(fault, site, target, endpoint["mixed"], outcome)
        if not mine:
            outcome.missed.append(f"{address} is not in the report")
    findings = [f for f in report["findings"] if f["endpoint"] == endpoint["id"]]
    outcome.false += _verdicts(fault, findings)
    if fault.mixed is not None and endpoint["mixed"] != fault.mixed:
        outcome.missed.append(f"mixed is {endpoint['mixed']}".lower())
    said = json.dumps([endpoint, findings])
    outcome.missed += [f"does not say {w}" for w in fault.words if not re.search(w, said, re.I)]
    return outcome


def _target(
    fault: Fault, site: Site, target: dict[str, Any], mixed: bool, outcome: Outcome
) -> None:
    outcome.connections += target["connections"]
    for label in PROTOCOLS:
        said = target["protocols"].get(label) or {"offered": "unknown", "why": "absent"}
        if label in site.undecidable:
            if said["offered"] != "unknown":
                outcome.false.append(f"{label} {said['offered']} ({said['why']}): unknowable")
            continue
        truths = [profile.protocols.get(label) for profile in site.backends]
        outcome.false += [f"{label} {word}" for word in _false(said, truths, site.whole, mixed)]
        if len(site.backends) > 1:
            continue
        if fault.counted:
            pairs, undecided = _undecided(said, truths[0])
            if label not in fault.tolerated:
                outcome.pairs += pairs
                outcome.undecided += undecided
        if fault.expect == "exact" and not fault.spare:
            tolerated = label in fault.tolerated and said["offered"] == "unknown"
            if not tolerated and (word := _inexact(said, truths[0])):
                outcome.missed.append(f"{label} {word}")


def _false(
    said: dict[str, Any], truths: Sequence[Version | None], whole: bool, mixed: bool
) -> Iterator[str]:
    spoken = [truth for truth in truths if truth]
    if said["offered"] == "unknown":
        return
    if said["offered"] == "no":
        if spoken:
            yield f"no ({said['why']}): it is offered"
            yield from (f"no {name}" for name in spoken[0].suites)
        return
    if not spoken:
        yield f"yes ({', '.join(said['suites'])}): it is not offered"
        return
    for kind in ("suites", "groups"):
        if kind not in said:  # other scanners list no groups
            continue
        listed = set(said[kind])
        every = set(chain.from_iterable(getattr(truth, kind) for truth in spoken))
        yield from (f"has {name}: it has not" for name in sorted(listed - every))
        if said["why"] is None and not mixed:
            yield from (f"lacks {name}, in a whole list" for name in sorted(every - listed))
            if not whole:
                yield f"{kind} claimed to be whole: nobody can know"
    if len(spoken) == 1 and said.get("order") and spoken[0].order:
        if said["order"] != spoken[0].order:
            yield f"order of the {said['order']}: it is the {spoken[0].order}'s"
        elif said["order"] == "server":
            rank = {name: at for at, name in enumerate(spoken[0].suites)}
            places = [rank[name] for name in said["suites"] if name in rank]
            if places != sorted(places):
                yield "suites are not in the server's order"


def _undecided(said: dict[str, Any], truth: Version | None) -> tuple[int, int]:
    """How many pairs there are to learn, and how many were left open."""
    suites = truth.suites if truth else ()
    if said["offered"] == "unknown":
        return 1 + len(suites), 1 + len(suites)
    if said["offered"] == "yes" and said["why"]:
        return 1 + len(suites), len(set(suites) - set(said["suites"]))
    return 1 + len(suites), 0


def _inexact(said: dict[str, Any], truth: Version | None) -> str:
    if said["offered"] != ("yes" if truth else "no"):
        return f"is {said['offered']}: {said['why']}"
    if not truth:
        return ""
    if said["why"]:
        return f"is incomplete: {said['why']}"
    if truth.order and said["order"] != truth.order:
        return f"order is {said['order']}, not {truth.order}"
    return ""  # a list that is whole and wrong is false, and counted there


# --- the policy, once more


def _transit(offered: Iterable[str]) -> str:
    spoken = set(offered)
    if spoken & _FORBIDDEN or "TLSv1.2" not in spoken:
        return "fail"
    return "pass" if spoken == _DOCUMENTED else "exceeds"


def _secrecy(profile: Profile, offered: Iterable[str]) -> str:
    for label in offered:
        known = profile.protocols.get(label)
        if label == "TLSv1.3" or any("DHE_" in suite for suite in (known.suites if known else ())):
            return "pass"
    return "fail"


def _possible(site: Site, rule: str) -> set[str]:
    """The verdicts that would be right for one address; more than one where nobody can know."""
    if not site.backends:
        return {"pass", "fail"}
    found = set()
    for profile in site.backends:
        sure = set(profile.protocols) - site.open
        for size in range(len(site.open) + 1):
            for guess in combinations(sorted(site.open), size):
                offered = sure | set(guess)
                it = _transit(offered) if rule == "transit-versions" else _secrecy(profile, offered)
                found.add(it)
    return found


def allowed(fault: Fault, rule: str) -> set[str]:
    """The verdicts that the truth allows for an endpoint."""
    each = []
    for site in fault.sites:
        possible = _possible(site, rule)
        if len(possible) > 1 and (site.open or not site.backends):
            each.append("inconclusive")
        else:  # of several back ends the worst counts
            each.append(min(possible, key=_WORST.index))
    return {min(each, key=_WORST.index), "inconclusive"}


def _verdicts(fault: Fault, findings: Iterable[dict[str, Any]]) -> Iterator[str]:
    for finding in findings:
        if finding["policy"] == "aws-iam-2020" and finding["rule"] in ("transit-versions", "pfs"):
            right = allowed(fault, finding["rule"])
            if finding["verdict"] not in right:
                yield f"{finding['rule']} is {finding['verdict']}: {' or '.join(sorted(right))}"
