"""The same servers asked by sslyze, one process a fault, its answers in the words of our reports.

`python -m tests.truth.theirs HOST ADDRESS PORT` is that process: it prints the protocols as JSON.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tests.servers.faults.process import Faults
from tests.servers.faults.registry import Fault
from tests.servers.profile import PROTOCOLS
from tlscheck.io.sslyze_words import VERSIONS

from .ours import HOME

JOBS = 2


def ask(
    servers: Faults, faults: Sequence[Fault], limit: float
) -> tuple[dict[str, Any], dict[str, float]]:
    """A report of all faults, without findings, and the seconds each took."""
    with ThreadPoolExecutor(JOBS) as pool:
        done = list(pool.map(lambda fault: _endpoint(servers, fault, limit), faults))
    endpoints = [endpoint for endpoint, _ in done]
    seconds = {fault.name: took for fault, (_, took) in zip(faults, done, strict=True)}
    return {"endpoints": endpoints, "findings": []}, seconds


def _endpoint(servers: Faults, fault: Fault, limit: float) -> tuple[dict[str, Any], float]:
    begun = time.monotonic()
    addresses = servers.addresses[fault.name]
    named = fault.resolves in ("failure", "time-out", "empty")  # it is given addresses, no names
    targets = [
        {
            "address": "" if named else address,
            "connections": 0,
            "protocols": {} if named else _protocols(fault.host, address, servers.port, limit),
        }
        for address in addresses
    ]
    endpoint = {"id": fault.name, "host": fault.host, "mixed": False, "targets": targets}
    return endpoint, time.monotonic() - begun


def _protocols(host: str, address: str, port: int, limit: float) -> dict[str, Any]:
    command = [sys.executable, "-m", "tests.truth.theirs", host, address, str(port)]
    try:
        done = subprocess.run(
            command, cwd=HOME, timeout=limit, stdin=subprocess.DEVNULL, capture_output=True,
            text=True,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return {}
    if done.returncode:
        return {}
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def main() -> None:
    from sslyze import (
        ScanCommand,
        ScanCommandAttemptStatusEnum,
        Scanner,
        ServerNetworkConfiguration,
        ServerNetworkLocation,
        ServerScanRequest,
    )

    host, address, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
    scanner = Scanner()
    scanner.queue_scans(
        [
            ServerScanRequest(
                ServerNetworkLocation(hostname=host, port=port, ip_address=address),
                ServerNetworkConfiguration(tls_server_name_indication=host),
                scan_commands={ScanCommand(name) for name in VERSIONS.values()},
            )
        ]
    )
    (result,) = scanner.get_results()
    found: dict[str, Any] = {}
    for label in PROTOCOLS:
        attempt = getattr(result.scan_result, VERSIONS[label]) if result.scan_result else None
        if attempt and attempt.status == ScanCommandAttemptStatusEnum.COMPLETED:
            suites = [each.cipher_suite.name for each in attempt.result.accepted_cipher_suites]
            found[label] = {
                "offered": "yes" if suites else "no",
                "why": None,  # all others are listed as rejected
                "suites": suites,
                "order": None,
            }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
