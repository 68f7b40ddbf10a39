"""A lie of every kind is noticed, and the truth is not taken for one."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.servers.faults import process
from tests.servers.faults.registry import ALL, BY_NAME, Fault
from tests.servers.profile import PROTOCOLS, Profile

from . import command, ours
from .judge import allowed, judge

ADDRESSES = ("127.91.0.1", "127.91.0.2")
Protocols = dict[str, dict[str, Any]]


def told(truth: Profile) -> Protocols:
    """What a perfect report says of one server."""
    said: Protocols = {}
    for label in PROTOCOLS:
        known = truth.protocols.get(label)
        said[label] = {
            "offered": "yes" if known else "no",
            "why": None if known else "alert protocol_version",
            "suites": list(known.suites) if known else [],
            "order": known.order if known else None,
            "groups": list(known.groups) if known else [],
        }
    return said


def unknown() -> Protocols:
    return {label: {"offered": "unknown", "why": "reset", "suites": []} for label in PROTOCOLS}


def report(fault: Fault, *each: Protocols, mixed: bool = False, **verdicts: str) -> dict[str, Any]:
    targets = [
        {"address": address, "connections": 1, "protocols": protocols}
        for address, protocols in zip(ADDRESSES, each, strict=False)
    ]
    findings = [
        {"endpoint": "x", "policy": "aws-iam-2020", "rule": rule.replace("_", "-"), "verdict": it}
        for rule, it in verdicts.items()
    ]
    endpoint = {"id": "x", "host": fault.host, "mixed": mixed, "targets": targets}
    return {"endpoints": [endpoint], "findings": findings}


MODERN = BY_NAME["healthy-modern"]


def modern(change: Callable[[Protocols], object] = lambda said: None, **verdicts: str) -> Any:
    said = told(MODERN.sites[0].backends[0])
    change(said)
    return judge(MODERN, ADDRESSES[:1], report(MODERN, said, **verdicts))


def test_the_truth_is_right_and_complete() -> None:
    right = modern(transit_versions="exceeds", pfs="pass")
    assert (right.false, right.missed, right.undecided, right.pairs) == ([], [], 0, 21)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda s: s["TLSv1.3"].update(offered="no", suites=[]), "no (None): it is offered"),
        (lambda s: s["TLSv1.0"].update(offered="yes", why=None), "TLSv1.0 yes"),
        (lambda s: s["TLSv1.2"]["suites"].pop(), "in a whole list"),
        (lambda s: s["TLSv1.2"]["suites"].append("TLS_RSA_WITH_RC4_128_SHA"), "it has not"),
        (lambda s: s["TLSv1.2"]["suites"].reverse(), "not in the server's order"),
        (lambda s: s["TLSv1.2"].update(order="client"), "order of the client"),
        (lambda s: s["TLSv1.3"].update(groups=[]), "lacks secp256r1"),
        (lambda s: s["TLSv1.3"]["groups"].append("x25519"), "has x25519"),
    ],
)
def test_every_lie_is_false(change: Callable[[Protocols], object], words: str) -> None:
    assert any(words in text for text in modern(change).false)


def test_a_wrong_verdict_is_false() -> None:
    assert modern(transit_versions="fail").false and modern(pfs="fail").false
    assert not modern(transit_versions="inconclusive").false


def test_what_is_left_open_is_counted_and_not_false() -> None:
    left = modern(lambda said: said["TLSv1.2"].update(why="reset", suites=[]))
    assert (left.false, left.undecided) == ([], 12) and left.missed
    left = modern(lambda said: said["TLSv1.2"].update(offered="unknown", suites=[]))
    assert (left.false, left.undecided) == ([], 13)


def test_silence_is_never_an_answer() -> None:
    tarpit = BY_NAME["tarpit"]
    assert not judge(tarpit, ADDRESSES[:1], report(tarpit, unknown(), pfs="inconclusive")).false
    for answer in ("yes", "no"):
        said = unknown()
        said["TLSv1.0"]["offered"] = answer
        assert judge(tarpit, ADDRESSES[:1], report(tarpit, said)).false
    assert judge(tarpit, ADDRESSES[:1], report(tarpit, unknown(), transit_versions="fail")).false


def test_unequal_back_ends_are_mixed_or_false() -> None:
    fault = BY_NAME["backends-versions-random"]
    one, other = (told(profile) for profile in fault.sites[0].backends)
    one["TLSv1.0"] = other["TLSv1.0"]
    one["TLSv1.1"] = other["TLSv1.1"]
    assert not judge(fault, ADDRESSES[:1], report(fault, one, mixed=True)).missed
    assert judge(fault, ADDRESSES[:1], report(fault, one)).missed == ["mixed is false"]
    assert judge(fault, ADDRESSES[:1], report(fault, other)).false


@pytest.mark.parametrize(
    ("name", "transit", "pfs"),
    [
        ("healthy-modern", {"exceeds"}, {"pass"}),
        ("healthy-every", {"fail"}, {"pass"}),
        ("picked-then-alert", {"exceeds"}, {"fail"}),
        ("always-tls10", {"fail"}, {"pass"}),
        ("tarpit", set(), set()),
        ("silent-refusal", set(), {"pass"}),
        ("backends-versions-random", {"fail"}, {"pass"}),
        ("families-differ", {"fail"}, {"pass"}),
        ("one-of-two-silent", set(), set()),
    ],
)
def test_the_policy_once_more(name: str, transit: set[str], pfs: set[str]) -> None:
    assert allowed(BY_NAME[name], "transit-versions") == transit | {"inconclusive"}
    assert allowed(BY_NAME[name], "pfs") == pfs | {"inconclusive"}


def test_perfect_reports_of_all_decidable_faults_are_right() -> None:
    for fault in ALL:
        if len(fault.sites) == 1 and len(fault.sites[0].backends) == 1:
            said = told(fault.sites[0].backends[0])
            said |= {label: unknown()[label] for label in fault.sites[0].open}
            if not fault.sites[0].whole:
                said |= {k: p | {"why": "silent"} for k, p in said.items() if not p["why"]}
            assert judge(fault, ADDRESSES[:1], report(fault, said)).false == [], fault.name


def test_the_command_does_not_leave_this_machine() -> None:
    for address in ("192.0.2.1", "::ffff:8.8.8.8", "2001:db8::1"):
        with pytest.raises(RuntimeError):
            command._only_loopback("socket.connect", (None, (address, 443)))
    command._only_loopback("socket.connect", (None, ("::1", 443, 0, 0)))


def test_one_scan_of_a_few(tmp_path: Path) -> None:
    names = ("healthy-modern", "port-closed", "dns-empty", "families-differ")
    faults = [BY_NAME[name] for name in names]
    with process.start(faults) as servers:
        done = ours.scan(servers, faults, 20, tmp_path)
        outcomes = [judge(f, servers.addresses[f.name], done.report) for f in faults]
    assert {o.fault: (o.false, o.missed) for o in outcomes} == {name: ([], []) for name in names}
    assert 1e6 < done.memory < 1e9


def test_an_unknown_fault_is_refused() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.truth", "--faults", "no-such"],
        cwd=ours.HOME, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 2 and "no such fault" in done.stderr
