"""No fault of a server or of the way to it becomes a false answer: in virtual time, many seeds."""

from __future__ import annotations

from typing import Any

import pytest

from tests.core.test_doubt import ECDHE, NEW, OLD, RSA, server
from tests.core.test_explore import Profile
from tests.scan.virtual import Serve, Server, scanned, scanned_together
from tlscheck.core import registry
from tlscheck.core.model import EndpointReport
from tlscheck.core.registry import Version
from tlscheck.core.reply import Alert, Hangup

TWELVE = ECDHE + RSA
PROFILES = {"old": server(TWELVE, OLD), "new": server(ECDHE, NEW)}


def pairs(report: EndpointReport, profile: Profile) -> tuple[int, int, int]:
    """How many version and suite pairs are false, not known, and there in all."""
    false = unknown = every = 0
    (target,) = report.targets
    for label, protocol in target.protocols.items():
        version = next(v for v in Version if v.label == label)
        truth = {registry.suite_name(s) for s in profile.suites.get(version, ())}
        every += len(truth) or 1
        found = set(protocol.suites)
        if protocol.offered == "unknown":
            unknown += len(truth) or 1
            continue
        false += (protocol.offered == "yes") != bool(truth)
        false += len(found - truth)
        if protocol.why is None:
            false += len(truth - found)
        elif protocol.offered == "yes":
            unknown += len(truth - found)
        false += protocol.order is not None and protocol.order != (
            "server" if profile.server_order else "client"
        )
    return false, unknown, every


ALERTS = (10, 22, 40, 47, 50, 60, 70, 71, 80, 86, 90, 109, 112, 115)
EXACT: dict[str, dict[str, Any]] = {
    "healthy": {},
    "1 % reset": {"resets": 0.01},
    "10 % reset": {"resets": 0.1},
    "30 % reset": {"resets": 0.3},
    "5 % silent": {"silent": 0.05},
    "30 % silent": {"silent": 0.3},
    "30 % refused a connection": {"away": 0.3},
    "20 connections a second": {"rate": 20.0},
    "banned for 5 s": {"ban_after": 15, "ban_for": 5.0},
    "refuses by closing": {"refusal": Hangup("closed")},
    "refuses by reset": {"refusal": Hangup("reset")},
    "refuses by closing, 10 % reset": {"refusal": Hangup("closed"), "resets": 0.1},
    "refuses by closing 12 s later": {"refusal": Hangup("closed"), "refuses_after": 12.0},
    "refuses by alert 25 s later": {"refuses_after": 25.0},
    **{f"refuses by alert {code}": {"refusal": Alert(code)} for code in ALERTS},
}


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("kind", PROFILES)
@pytest.mark.parametrize("fault", EXACT)
def test_it_is_found_out_all_the_same(fault: str, kind: str, seed: int) -> None:
    profile = PROFILES[kind]
    found = scanned(Server(profile, seed, **EXACT[fault]))
    false, unknown, every = pairs(found.endpoint, profile)
    (target,) = found.endpoint.targets
    assert false == 0, target
    assert unknown <= 0.01 * every, target
    assert not found.endpoint.mixed, target.features
    assert found.seconds < 62


LOST: dict[str, dict[str, Any]] = {
    "banned for good after 9": {"ban_after": 9},
    "always silent": {"silent": 1.0},
    "always reset": {"resets": 1.0},
}


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("kind", PROFILES)
@pytest.mark.parametrize("fault", LOST)
def test_what_cannot_be_learned_is_unknown(fault: str, kind: str, seed: int) -> None:
    profile = PROFILES[kind]
    found = scanned(Server(profile, seed, **LOST[fault]))
    false, unknown, _ = pairs(found.endpoint, profile)
    assert false == 0 and unknown > 0 and found.seconds < 62
    if fault.startswith("banned"):  # what was learned before is kept
        assert any(p.suites for p in found.endpoint.targets[0].protocols.values())


@pytest.mark.parametrize("seed", range(10))
def test_unequal_servers_are_mixed_and_both_are_told(seed: int) -> None:
    one, other = server(ECDHE, NEW), server(RSA, NEW)
    found = scanned(Server(one, seed, other=other))
    (target,) = found.endpoint.targets
    assert found.endpoint.mixed and target.features["mixed"]
    assert set(target.protocols["TLSv1.2"].suites) == {registry.suite_name(s) for s in TWELVE}
    assert target.protocols["TLSv1.2"].order is None
    assert target.protocols["TLSv1.0"].offered == "no"


def https(version: str, suite: str) -> dict[str, Any]:
    return {"outcome": "yes", "why": None, "status": 302, "version": version, "suite": suite}


def test_what_a_whole_handshake_negotiates_is_offered_whatever_a_hello_was_told() -> None:
    said = https("TLSv1.3", "TLS_AES_256_GCM_SHA384")
    found = scanned(Server(server(ECDHE, NEW[:1])), https=said)
    (target,) = found.endpoint.targets
    assert found.endpoint.mixed and "HTTPS negotiates" in target.features["mixed"]
    assert target.protocols["TLSv1.3"].offered == "yes"
    assert target.protocols["TLSv1.3"].suites == ("TLS_AES_256_GCM_SHA384",)
    other = https("TLSv1.2", "TLS_RSA_WITH_AES_128_CBC_SHA")
    assert scanned(Server(server(ECDHE, NEW)), https=other).endpoint.mixed


def test_an_https_check_that_agrees_changes_nothing() -> None:
    said = https("TLSv1.3", "TLS_AES_256_GCM_SHA384")
    with_it = scanned(Server(server(ECDHE, NEW)), https=said).endpoint.targets[0]
    without = scanned(Server(server(ECDHE, NEW))).endpoint.targets[0]
    assert with_it.protocols == without.protocols and not with_it.features


def test_a_hundred_scans_of_an_unchanged_server_say_the_same() -> None:
    first = scanned(Server(PROFILES["new"])).endpoint
    for seed in range(100):
        assert scanned(Server(PROFILES["new"], seed)).endpoint == first


@pytest.mark.parametrize("fault", [{"silent": 1.0}, {"resets": 1.0}, {"ban_after": 9}])
def test_many_bad_servers_cost_a_good_one_neither_time_nor_result(fault: dict[str, Any]) -> None:
    good = PROFILES["new"]
    bad: list[Serve] = [Server(PROFILES["old"], seed, **fault) for seed in range(200)]
    reports, seconds = scanned_together([*bad, Server(good)])
    assert pairs(reports[-1], good)[:2] == (0, 0)
    assert all(pairs(report, PROFILES["old"])[0] == 0 for report in reports[:-1])
    assert seconds < 62
