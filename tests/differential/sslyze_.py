"""sslyze, in a process of its own: `python -m tests.differential.sslyze_ ADDRESS PORT`."""

from __future__ import annotations

import json
import os
import sys
from concurrent.futures import Executor
from pathlib import Path

from tests.servers.profile import PROTOCOLS, Server

from .answers import Answer, Answers, Pair, run

HOME = Path(__file__).resolve().parents[2]
_COMMANDS = dict(
    zip(
        PROTOCOLS,
        (f"{name}_cipher_suites" for name in
         ("ssl_2_0", "ssl_3_0", "tls_1_0", "tls_1_1", "tls_1_2", "tls_1_3")),
        strict=True,
    )
)  # fmt: skip
SECONDS = 120.0  # of all it asks of one server
_CURVES = {"X25519": "x25519", "X448": "x448"}  # all others it calls by IANA's names


def ask(server: Server, certificates: Path, pool: Executor) -> Answers:
    command = [sys.executable, "-m", "tests.differential.sslyze_", server.address, str(server.port)]
    said = run(command, {**os.environ, "PYTHONPATH": str(HOME)}, SECONDS)
    return {
        Pair(version, kind, name): Answer(verdict, text)
        for version, kind, name, verdict, text in json.loads(said.splitlines()[-1])
    }


def main() -> None:
    from sslyze import (
        ScanCommand,
        ScanCommandAttemptStatusEnum,
        Scanner,
        ServerNetworkConfiguration,
        ServerNetworkLocation,
        ServerScanRequest,
    )

    host, address, port = "sts.example.com", sys.argv[1], int(sys.argv[2])
    scanner = Scanner()
    scanner.queue_scans(
        [
            ServerScanRequest(
                ServerNetworkLocation(hostname=host, port=port, ip_address=address),
                # On a busy machine its own 5 seconds are few.
                ServerNetworkConfiguration(tls_server_name_indication=host, network_timeout=10),
                scan_commands={
                    ScanCommand(name) for name in (*_COMMANDS.values(), "elliptic_curves")
                },
            )
        ]
    )
    (result,) = scanner.get_results()
    found = []
    for version, name in _COMMANDS.items():
        attempt = getattr(result.scan_result, name) if result.scan_result else None
        if attempt is None or attempt.status != ScanCommandAttemptStatusEnum.COMPLETED:
            trace = str(attempt and attempt.error_trace)
            found.append((version, "version", "", "broken", trace))
            continue
        accepted = attempt.result.accepted_cipher_suites
        found.append((version, "version", "", "yes" if accepted else "no", ""))
        found += [(version, "suite", each.cipher_suite.name, "yes", "") for each in accepted]
        for each in attempt.result.rejected_cipher_suites:
            # It calls a suite rejected where the server was silent, too.
            verdict = "broken" if "timed out" in each.error_message else "no"
            found.append((version, "suite", each.cipher_suite.name, verdict, each.error_message))
    # It asks for curves in the highest version alone; older ones than TLS 1.2 we do not compare.
    version = max(version for version, kind, _, verdict, _ in found if verdict == "yes")
    attempt = result.scan_result.elliptic_curves
    if version >= "TLSv1.2" and attempt.status != ScanCommandAttemptStatusEnum.COMPLETED:
        found.append((version, "group", "", "broken", str(attempt.error_trace)))
    elif version >= "TLSv1.2":
        curves = attempt.result
        for verdict, each in (("yes", curves.supported_curves), ("no", curves.rejected_curves)):
            found += [
                (version, "group", _CURVES.get(curve.name, curve.name), verdict, "")
                for curve in each or ()
            ]
    print(json.dumps(found))


if __name__ == "__main__":
    main()
