"""What servers of today no longer do is found on one of 2008, and on one of 2013."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.io.test_deep import seen, troubles
from tests.scan.real import observed
from tests.servers import fronts, nginx, old
from tests.servers.profile import Server
from tlscheck.core.model import TargetReport

pytestmark = pytest.mark.skipif(platform.machine() != "x86_64", reason="the library is of x86-64")


@pytest.fixture(scope="module")
def careless(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with old.serve(tmp_path_factory.mktemp("careless")) as server:
        yield server


@pytest.fixture(scope="module")
def found(careless: Server) -> TargetReport:
    return seen(careless)


def test_versions_and_suites_of_2008(careless: Server, found: TargetReport) -> None:
    for name, protocol in found.protocols.items():
        truth = careless.profile.protocols.get(name)
        assert protocol.offered == ("yes" if truth else "no"), (name, protocol.why)
        assert set(protocol.suites) == set(truth.suites if truth else ()), name
        assert name == "SSLv2" or protocol.order == (truth and truth.order)


def test_features_of_2008(found: TargetReport) -> None:
    features = found.features
    assert features["compression"] == {"answer": "yes", "why": None, "method": "DEFLATE"}
    assert (features["dh"]["bits"], features["dh"]["group"]) == (1024, None)
    reuse = features["public_value_reuse"]
    assert (reuse["answer"], reuse["DHE"]) == ("yes", "yes")
    assert reuse["ECDHE"] == "not_applicable"
    for name in ("extended_master_secret", "encrypt_then_mac", "alpn", "ocsp_stapling"):
        assert features[name]["answer"] == "no", name
    # It closes the connection at a fallback, without a word.
    assert features["fallback_scsv"]["answer"] == "unknown" and features["fallback_scsv"]["why"]


def test_sslyze_sees_the_same(found: TargetReport) -> None:
    deep = found.deep
    assert deep and deep["outcome"] == "yes", deep
    for name in ("SSLv2", "SSLv3", "TLSv1.0"):
        assert deep["compared"][name]["answer"] == "agree", (name, deep["compared"][name])
    assert deep["compression"]["answer"] == deep["client_renegotiation"]["answer"] == "yes"
    assert deep["ccs_injection"]["answer"] == deep["robot"]["answer"] == "no"
    # It does not say a word to a record of a kind that it does not know, nor to a fallback.
    assert deep["heartbleed"]["answer"] == deep["fallback_scsv"]["answer"] == "unknown"
    assert set(troubles(found)) == {"compression", "weak-dh", "client-renegotiation"}


def test_it_is_seen_when_it_is_told_better(tmp_path: Path) -> None:
    with old.serve(tmp_path, careless=False) as server:
        target = observed(server.address, server.port, "localhost")
    assert target.protocols["SSLv2"].offered == "no"
    assert target.features["compression"]["answer"] == "no"
    assert target.features["public_value_reuse"]["DHE"] == "no"


def test_a_server_that_marks_no_downgrade_is_told_from_one_that_does(
    careless: Server, tmp_path: Path
) -> None:
    """TLS 1.3 of today, and behind the same address a server that has never heard of it."""
    with nginx.modern(tmp_path) as modern:
        with fronts.divided(modern, careless) as front:
            target = observed(front.address, front.port, "localhost")
        assert target.protocols["TLSv1.3"].offered == target.protocols["TLSv1.0"].offered == "yes"
        assert target.features["downgrade_sentinel"] == {"answer": "no", "why": None}
        with fronts.divided(modern, modern) as front:
            target = observed(front.address, front.port, "localhost")
        assert target.features["downgrade_sentinel"] == {"answer": "yes", "why": None}


@pytest.mark.parametrize("first", ["AES128-SHA", "RC4-SHA", "AES128-GCM-SHA256"])
def test_the_holes_of_2013_are_found_whatever_the_cipher(tmp_path: Path, first: str) -> None:
    with old.node(tmp_path, first) as server:
        target = seen(server)
    for name, protocol in target.protocols.items():
        truth = server.profile.protocols.get(name)
        assert protocol.offered == ("yes" if truth else "no"), (name, protocol.why)
        assert protocol.suites == (truth.suites if truth else ()), name
    assert target.features["fallback_scsv"]["answer"] == "no"
    assert target.features["session_tickets"]["answer"] == "yes"
    assert target.deep
    for hole in ("heartbleed", "ccs_injection"):
        assert target.deep[hole] == {"answer": "yes", "why": None}
    assert set(troubles(target)) == {"heartbleed", "ccs-injection", "client-renegotiation"}


def test_the_holes_of_2013_are_found_beside_tls_13(tmp_path: Path) -> None:
    with (
        old.node(tmp_path) as server,
        nginx.modern(tmp_path / "modern") as modern,
        fronts.divided(modern, server) as front,
    ):
        target = seen(front)
    assert target.protocols["TLSv1.3"].offered == "yes"
    assert {"heartbleed", "ccs-injection"} <= set(troubles(target))
