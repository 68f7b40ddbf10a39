"""The report of a server from other hands says exactly what it was configured with."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import uvloop

from tests.servers import nginx
from tests.servers.catalogue import ALL
from tests.servers.process import ADDRESS
from tlscheck.core.model import Endpoint, EndpointReport
from tlscheck.io import tcp
from tlscheck.scan import Resolved, World, scan

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


async def once(port: int) -> EndpointReport:
    async def resolve(endpoint: Endpoint) -> Resolved:
        return Resolved((endpoint.host,), pinned=True)

    endpoint = Endpoint("one", "sts", "custom", "-", "standard", ADDRESS, port)
    world = World(resolve, tcp.exchange, time.monotonic, os.urandom)
    (report,), complete = await scan([endpoint], world, asyncio.Event())
    assert complete
    return report


REPEATS = 100


def test_a_hundred_scans_of_an_unchanged_server_are_identical(tmp_path: Path) -> None:
    with nginx.modern(tmp_path) as server:
        first = asyncio.run(once(server.port))
        assert first.targets[0].protocols["TLSv1.2"].offered == "yes"
        for _ in range(REPEATS):
            assert asyncio.run(once(server.port)) == first


def test_uvloop_sees_what_asyncio_sees(tmp_path: Path) -> None:
    with nginx.twelve(tmp_path) as server, asyncio.Runner(loop_factory=uvloop.new_event_loop) as u:
        assert u.run(once(server.port)) == asyncio.run(once(server.port))
        closed = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0]
        port = int(closed) - 1  # nobody listens below the ports that are given out
        assert u.run(once(port)) == asyncio.run(once(port))
