"""`python -m tests.fuzz.record`: what real servers answer to our hellos, into `corpus/`.

Starts each server of `tests/servers/catalogue.py` on loopback, asks it a few hellos of every
version, and keeps the bytes of its first flights. Run it when the hellos change; tests read the
files alone. It also makes the certificates that are mutated.
"""

from __future__ import annotations

import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from tests.servers.catalogue import ALL
from tlscheck.core import registry
from tlscheck.core.explore import (
    opening,
)
from tlscheck.core.hello import RANDOM_BYTES, encode
from tlscheck.core.registry import Version
from tlscheck.core.reply import Hello

from . import samples
from .corpus import DIRECTORY, Flow, write

QUIET = 0.4  # seconds without a byte: the first flight has come
MOST = 8 << 10  # bytes of one flow


def hellos(version: Version) -> Iterator[Hello]:
    """Everything; one suite of each kind; what hardly any server has; in 1.3 with key shares."""
    every = opening(version)
    yield every
    if version is Version.SSLv2:
        return
    yield replace(every, suites=every.suites[-3:])
    if version is Version.TLSv1_3:
        yield replace(every, shares=True)
        yield replace(every, groups=(registry.GROUP_BY_NAME["secp384r1"],))
        return
    table = registry.suites()
    for exchange in ("RSA", "DHE", "ECDHE"):
        kind = tuple(s for s in every.suites if table[s].key_exchange == exchange)
        yield replace(every, suites=kind)


def ask(address: str, port: int, hello: Hello) -> bytes:
    """What comes back until the server is quiet or closes."""
    got = b""
    with socket.create_connection((address, port), timeout=5) as sock:
        sock.settimeout(QUIET)
        sock.sendall(encode(hello, bytes(range(RANDOM_BYTES)), "localhost"))
        with suppress(TimeoutError, ConnectionError):
            while len(got) < MOST and (data := sock.recv(MOST)):
                got += data
    return got[:MOST]


def main() -> int:
    for name, start in ALL:
        flows: dict[tuple[Version, bytes], Flow] = {}
        with tempfile.TemporaryDirectory() as directory, start(Path(directory)) as server:
            for version in Version:
                for hello in hellos(version):
                    said = ask(server.address, server.port, hello)
                    # Randoms and signatures differ every time: of alike answers one is enough.
                    kept = (version, said[:11] + len(said).to_bytes(4, "big"))
                    if said:
                        flows.setdefault(kept, Flow(name, version, said))
        write(name, list(flows.values()))
        print(f"{name}: {len(flows)} flows, {sum(len(f.data) for f in flows.values())} bytes")
    for name, der in samples.make().items():
        (DIRECTORY / f"{name}.der").write_bytes(der)
    print(f"in {DIRECTORY}, with {len(samples.KEYS) + 2} certificates")
    return 0


if __name__ == "__main__":
    sys.exit(main())
