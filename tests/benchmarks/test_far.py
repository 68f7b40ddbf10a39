"""What the benchmarks stand on: the far server is as far as it says, and says what it should."""

from __future__ import annotations

import os
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.servers import check
from tests.servers.names import GROUP_CODES, suite_codes
from tests.servers.process import program
from tests.servers.profile import Server

from .native import Far, far, measured
from .runs import environment
from .servers import canned as profile
from .servers import canned_certificate

FAR = 0.1  # seconds
LATE = 0.06  # seconds; the best of some tries is not later than that, on a busy machine
TRIES = 10


class Backend:
    """Says each word back; at "bye" it closes, at "rst" it resets. Keeps how each one ended."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.ends: list[str] = []
        self._ended = threading.Semaphore(0)
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                stream, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._talk, args=(stream,), daemon=True).start()

    def _talk(self, stream: socket.socket) -> None:
        with stream:
            try:
                while word := stream.recv(100):
                    if word == b"rst":
                        stream.setsockopt(
                            socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
                        )
                    if word in (b"bye", b"rst"):
                        self.ends.append(word.decode())
                        return
                    stream.sendall(word)
                stream.sendall(b"last word")
                self.ends.append("closed")
            except ConnectionResetError:
                self.ends.append("reset")
            finally:
                self._ended.release()

    def ended(self) -> str:
        """How the next one ended."""
        assert self._ended.acquire(timeout=10)
        return self.ends[-1]

    def close(self) -> None:
        self._listener.close()


@contextmanager
def proxied(delay: float) -> Iterator[tuple[Backend, Far]]:
    backend = Backend()
    try:
        with far("proxy", str(backend.port)) as proxy:
            proxy.move(delay)
            yield backend, proxy
    finally:
        backend.close()


@contextmanager
def connected(server: Far, address: str = "127.0.0.1") -> Iterator[socket.socket]:
    with socket.create_connection((address, server.port), timeout=10) as stream:
        yield stream


def test_the_first_answer_takes_two_round_trips_and_the_next_ones_one() -> None:
    best: list[float] = [9.9] * 4
    with proxied(FAR) as (_, proxy):
        for _ in range(TRIES):
            with connected(proxy) as stream:
                took = []
                for _ in range(3):
                    begun = time.monotonic()
                    stream.sendall(b"word")
                    assert stream.recv(100) == b"word"
                    took.append(time.monotonic() - begun)
                begun = time.monotonic()
                stream.sendall(b"bye")
                assert stream.recv(100) == b""
                took.append(time.monotonic() - begun)
            assert took[0] > 2 * FAR - 0.01 and min(took[1:]) >= FAR - 0.001, took
            best = [min(pair) for pair in zip(best, took, strict=True)]
            if best[0] < 2 * FAR + LATE and max(best[1:]) < FAR + LATE:
                return
    pytest.fail(f"the fastest answers took {best}")


def test_it_counts_connections_by_address() -> None:
    with proxied(0.0) as (_, proxy):
        proxy.reset()
        with connected(proxy, "127.0.0.2") as one, connected(proxy, "127.0.0.2") as two:
            for stream in (one, two):
                stream.sendall(b"word")
                assert stream.recv(100) == b"word"
        with connected(proxy, "127.9.8.7") as stream:
            stream.sendall(b"word")
            assert stream.recv(100) == b"word"
        seen = proxy.seen()
        assert seen.connections == 3 and seen.at_once >= 2
        assert sorted((p.connections, p.at_once) for p in seen.places) == [(1, 1), (2, 2)]
        proxy.reset()
        assert proxy.seen().connections == 0


def test_it_counts_round_trips() -> None:
    with proxied(FAR) as (_, proxy):
        proxy.reset()
        with connected(proxy) as stream:
            for _ in range(3):
                stream.sendall(b"word")
                assert stream.recv(100) == b"word"
        (place,) = proxy.seen().places
        assert place.rounds >= 4


def test_how_one_side_ends_is_how_the_other_hears_it() -> None:
    with proxied(0.001) as (backend, proxy):
        with connected(proxy) as stream:
            stream.sendall(b"word")
            assert stream.recv(100) == b"word"
            stream.shutdown(socket.SHUT_WR)
            assert stream.recv(100) == b"last word"
            assert stream.recv(100) == b""
            assert backend.ended() == "closed"
        with connected(proxy) as stream:
            stream.sendall(b"rst")
            with pytest.raises(ConnectionResetError):
                stream.recv(100)
            assert backend.ended() == "rst"
        with connected(proxy) as stream:
            stream.sendall(b"word")
            assert stream.recv(100) == b"word"
            stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        assert backend.ended() == "reset"


@pytest.fixture(scope="module")
def canned(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    certificate = canned_certificate(tmp_path_factory.mktemp("canned"))
    with far("canned", certificate, "3") as server:
        yield Server("canned", "127.5.6.7", server.port, profile("127.5.6.7", 3))


def test_the_canned_server_answers_as_its_profile_says(canned: Server) -> None:
    """To a hello that neither the scanner nor the canned server has made."""
    for protocol, told in canned.profile.protocols.items():
        suites = [suite_codes()[suite] for suite in told.suites]
        groups = [GROUP_CODES[group] for group in told.groups]
        for at in range(len(suites)):
            pick = check.hello(canned, protocol, suites[at:][::-1], groups)
            assert (pick.protocol, pick.suite) == (protocol, told.suites[at])
        for at in range(len(groups)):
            pick = check.hello(canned, protocol, suites, groups[at:][::-1])
            assert (pick.protocol, pick.group) == (protocol, told.groups[at])
        assert check.hello(canned, protocol, [0x002F, 0x1304]).refusal == "alert 40"
        assert check.hello(canned, protocol, suites, [GROUP_CODES["x448"]]).refusal == "alert 40"
    for old in ("SSLv3", "TLSv1.0", "TLSv1.1"):
        assert check.hello(canned, old).refusal == "alert 70"
    assert not check.speaks(canned, "SSLv2")


def test_openssl_reads_the_canned_flight_up_to_its_signature(canned: Server) -> None:
    """The signature is false, and is the first thing that is."""
    done = subprocess.run(
        [program("openssl"), "s_client", "-connect", f"{canned.address}:{canned.port}", "-tls1_2",
         "-cipher", "ECDHE-RSA-AES256-SHA384", "-groups", "P-384", "-msg"],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30,
        env={**os.environ, "OPENSSL_CONF": os.devnull},
    )  # fmt: skip
    assert "Throw-away rsa" in done.stderr, done.stderr
    assert "tls_process_key_exchange:bad signature" in done.stderr


def test_the_whole_harness_measures_the_canned_server(tmp_path: Path) -> None:
    """tlscheck finds what the profile says, and the table says so."""
    command: list[str | Path] = [sys.executable, "-m", "tests.benchmarks", "--only", "many"]
    command += [
        "--paces",
        "normal",
        "--endpoints",
        "5",
        "--kinds",
        "2",
        "--rounds",
        "1",
        "-o",
        tmp_path / "table.md",
    ]
    took = measured(command, tmp_path, 60.0, environment())
    assert took.status == 0, took.output
    table = (tmp_path / "table.md").read_text()
    row = next(line for line in table.splitlines() if line.startswith(("| - |", "| normal |")))
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[1:3] == ["5", "1"] and cells[-2:] == ["0", "0"], row
    assert "Wrong" not in table, table
