"""Without a network everything is inconclusive, with the reason, and nothing is "not offered"."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.cli.program import report_in, run

NO_NETWORK = ("unshare", "--map-root-user", "--net")  # a network namespace with nothing in it


def all_unknown(report: dict[str, Any]) -> None:
    for endpoint in report["endpoints"]:
        for target in endpoint["targets"]:
            assert target["reachable"] == "unknown" and target["why"], target
            assert {p["offered"] for p in target["protocols"].values()} == {"unknown"}
            assert all(p["why"] for p in target["protocols"].values())
    assert {f["verdict"] for f in report["findings"]} == {"inconclusive"}
    assert all(f["because"] for f in report["findings"])
    assert report["run"]["complete"] is True


def test_no_name_can_be_looked_up(tmp_path: Path) -> None:
    done = run("scan", cwd=tmp_path, before=NO_NETWORK, timeout=60)
    assert done.returncode == 3 and done.stderr == ""
    report = report_in(tmp_path)
    assert len(report["endpoints"]) == 95
    all_unknown(report)
    assert "DNS: temporary failure" in done.stdout
    assert done.stdout.splitlines()[-2] == "95 endpoints: 95 inconclusive"


@pytest.mark.parametrize(
    ("addresses", "why"),
    [
        (["192.0.2.9"], "network unreachable"),
        (["192.0.2.9", "2001:db8::9"], "no address or port to connect from, on this side"),
    ],
)
def test_no_address_can_be_reached(addresses: list[str], why: str, tmp_path: Path) -> None:
    pinned = [f"--endpoint=sts.example.com@{address}" for address in addresses]
    done = run("scan", *pinned, cwd=tmp_path, before=NO_NETWORK, timeout=60)
    assert done.returncode == 3 and done.stderr == ""
    report = report_in(tmp_path)
    all_unknown(report)
    assert [t["address"] for t in report["endpoints"][0]["targets"]] == addresses
    assert why in [t["why"] for t in report["endpoints"][0]["targets"]]


def test_a_family_that_is_not_wanted_is_left_out_and_said_to_be(tmp_path: Path) -> None:
    pinned = [f"--endpoint=sts.example.com@{address}" for address in ("192.0.2.9", "2001:db8::9")]
    done = run("scan", "-4", *pinned, cwd=tmp_path, before=NO_NETWORK, timeout=60)
    assert done.returncode == 3
    asked, left_out = report_in(tmp_path)["endpoints"][0]["targets"]
    assert asked["why"] == "network unreachable" and asked["connections"] > 0
    assert left_out["features"]["skipped"] == "not asked: only IPv4 was wanted"
    assert left_out["connections"] == 0 and "2001:db8::9 left out" in done.stdout
