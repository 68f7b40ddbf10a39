"""The real command line, with names that resolve as the faults want, and no way off this machine.

`python -m tests.truth.command NAMES.json MEMORY DESCRIPTORS ARGUMENTS...`: NAMES.json maps a host
name to its addresses, or to the fault of its look-up; the peak of the memory (bytes) is written to
MEMORY; DESCRIPTORS is how many the process may have, 0 for as many as it has.
"""

from __future__ import annotations

import atexit
import ipaddress
import json
import resource
import socket
import sys
import time
from pathlib import Path
from typing import Any

FAULTS = {"failure": socket.EAI_NONAME, "temporary": socket.EAI_AGAIN}
HANG_SECONDS = 600


def main() -> None:
    names = json.loads(Path(sys.argv[1]).read_text())
    memory = Path(sys.argv[2])
    if descriptors := int(sys.argv[3]):
        resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, descriptors))
    sys.argv = ["tlscheck", *sys.argv[4:]]
    sys.addaudithook(_only_loopback)
    socket.getaddrinfo = _resolver(names)
    atexit.register(lambda: memory.write_text(str(peak_memory())))
    from tlscheck.cli import main as tlscheck

    tlscheck()


def _only_loopback(event: str, arguments: tuple[Any, ...]) -> None:
    if event in ("socket.connect", "socket.sendto") and isinstance(arguments[1], tuple):
        address = ipaddress.ip_address(arguments[1][0])
        if not address.is_loopback:
            raise RuntimeError(f"the scanner left this machine: {address}")


def _resolver(names: dict[str, Any]) -> Any:
    def getaddrinfo(host: Any, port: Any, *rest: Any, **named: Any) -> list[Any]:
        host = host.decode() if isinstance(host, bytes) else host
        found = names.get(host, "failure")
        if found == "time-out":
            time.sleep(HANG_SECONDS)
        if isinstance(found, str):
            raise socket.gaierror(FAULTS.get(found, socket.EAI_AGAIN), found)
        families = [socket.AF_INET6 if ":" in address else socket.AF_INET for address in found]
        return [
            (family, socket.SOCK_STREAM, 6, "",
             (address, port, 0, 0) if family == socket.AF_INET6 else (address, port))
            for family, address in zip(families, found, strict=True)
        ]  # fmt: skip

    return getaddrinfo


def peak_memory() -> int:
    """Bytes. Of /proc, for getrusage also counts what was there before exec."""
    status = Path("/proc/self/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


if __name__ == "__main__":
    main()
