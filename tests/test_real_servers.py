"""The report of a server from other hands says exactly what it was configured with."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.servers.catalogue import ALL

TLSCHECK = (sys.executable, "-m", "tlscheck")


def report_of(server: Any, directory: Path) -> dict[str, Any]:
    target = f"sts.example.com:{server.port}@{server.address}"
    done = subprocess.run(
        [*TLSCHECK, "scan", "--endpoint", target, "--depth", "quick", "-o", directory / "r.json"],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode in (0, 1), done.stderr
    report: dict[str, Any] = json.loads((directory / "r.json").read_text())
    return report


@pytest.mark.parametrize(("name", "start"), ALL, ids=[name for name, _ in ALL])
def test_the_report_says_exactly_what_was_configured(name: str, start: Any, tmp_path: Path) -> None:
    with start(tmp_path) as server:
        report = report_of(server, tmp_path)
        truth = server.profile.protocols
    (target,) = report["endpoints"][0]["targets"]
    assert target["reachable"] == "yes" and not target["features"].get("notes"), target["features"]
    for label, found in target["protocols"].items():
        expected = truth.get(label)
        assert found["offered"] == ("no" if expected is None else "yes"), (label, found)
        if expected is None:
            continue
        assert found["why"] is None, (label, found["why"])
        assert set(found["suites"]) == set(expected.suites), label
        if len(expected.suites) > 1:
            assert found["order"] == expected.order, label
        if expected.order == "server":
            assert found["suites"] == list(expected.suites), label
        if label in ("TLSv1.2", "TLSv1.3"):
            assert set(found["groups"]) == set(expected.groups), label
    if name == "nginx-twelve":
        assert target["connections"] <= 40
