"""The child process of `deep`: sslyze asks one target.

`python -P -m tlscheck.io.sslyzed`, with a JSON object on stdin: `host`, `address`, `port`, `name`,
`seconds`, `until` (of the system's monotonic clock), `memory` (bytes), `timeout` (seconds, of one
read). Stdin stays open: who closes it, or dies, ends this process. On stdout comes one JSON object,
at `until` with what is known by then; nothing is fetched, no redirect followed.

sslyze is mended first (`sslyze_mended`), and its results come out in our words (`sslyze_words`).
"""

from __future__ import annotations

import json
import os
import resource
import sys
import threading
from typing import Any

from tlscheck.io.sslyze_mended import mend
from tlscheck.io.sslyze_words import VERSIONS, report

_LONG = (
    "certificate_info",
    "robot",
    "session_resumption",
    *reversed(VERSIONS.values()),
    "elliptic_curves",
)


def _long(command: Any) -> int:
    """How late a command is best asked: those of a few connections first, then newer versions."""
    return _LONG.index(command.value) + 1 if command.value in _LONG else 0


def _scanned(asked: dict[str, Any]) -> Any:
    import sslyze

    scanner = sslyze.Scanner(per_server_concurrent_connections_limit=3)
    scanner.queue_scans(
        [
            sslyze.ServerScanRequest(
                sslyze.ServerNetworkLocation(
                    hostname=asked["host"], port=asked["port"], ip_address=asked["address"]
                ),
                sslyze.ServerNetworkConfiguration(
                    tls_server_name_indication=asked["name"], network_timeout=asked["timeout"]
                ),
                # Any collection will do, and a set has no order.
                scan_commands=sorted(sslyze.ScanCommand, key=_long),  # type: ignore[arg-type]
            )
        ]
    )
    return next(iter(scanner.get_results()))  # what comes after it waits for all threads


def main() -> None:
    asked = json.loads(sys.stdin.readline())
    memory, seconds = int(asked["memory"]), int(asked["seconds"]) + 1
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    out = os.fdopen(os.dup(1), "w")  # whatever else is printed goes nowhere
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)

    def watch() -> None:
        sys.stdin.read()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
    mend(asked["until"])
    json.dump(report(_scanned(asked)), out)
    out.flush()
    os._exit(0)  # its threads may still wait for a server


if __name__ == "__main__":
    main()
