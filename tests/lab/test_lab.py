"""The lab: every deviation behaves as its description says, and no lab outlives its parent."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tlscheck.core import registry
from tlscheck.core.hello import RANDOM_BYTES, encode
from tlscheck.core.model import Endpoint
from tlscheck.core.registry import Version
from tlscheck.core.reply import Hello
from tlscheck.core.wire import Reader
from tlscheck.lab import plan as plans
from tlscheck.lab import process
from tlscheck.lab.plan import DEVIATIONS, Station, plan
from tlscheck.lab.process import Lab, LabError, start, write_pointers

pytestmark = pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")

HOME = Path(__file__).resolve().parents[2]
WAIT = 20.0
TLS = {
    "TLSv1.0": ssl.TLSVersion.TLSv1,
    "TLSv1.1": ssl.TLSVersion.TLSv1_1,
    "TLSv1.2": ssl.TLSVersion.TLSv1_2,
    "TLSv1.3": ssl.TLSVersion.TLSv1_3,
}


def endpoint(nth: int) -> Endpoint:
    region = f"xx-test-{nth}"
    return Endpoint(
        f"sts:aws:{region}:standard", "sts", "aws", region, "standard", f"sts.{region}.example.com"
    )


ENDPOINTS = [endpoint(nth) for nth in range(30)]


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with start(ENDPOINTS) as lab:
        yield lab


def station(lab: Lab, deviation: str | None) -> Station:
    return next(s for s in lab.stations if (s.deviation.id if s.deviation else None) == deviation)


def client(lab: Lab, version: str | None = None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    context.minimum_version = TLS[version or "TLSv1.0"]
    context.maximum_version = TLS[version or "TLSv1.3"]
    context.load_verify_locations(lab.ca_bundle)
    return context


def ask(lab: Lab, station: Station, address: str, version: str | None = None) -> bytes:
    """The HTTP answer of one address."""
    with (
        socket.create_connection((address, lab.port), WAIT) as sock,
        client(lab, version).wrap_socket(sock, server_hostname=station.endpoint.host) as tls,
    ):
        tls.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = b""
        while piece := tls.recv(4096):
            answer += piece
        return answer


def offered(lab: Lab, station: Station, address: str) -> list[str]:
    """The versions an address finishes a handshake in."""
    found = []
    for version in TLS:
        try:
            ask(lab, station, address, version)
        except ssl.SSLError as error:
            # An alert, or a ServerHello for an older version than asked.
            assert error.reason in ("TLSV1_ALERT_PROTOCOL_VERSION", "UNSUPPORTED_PROTOCOL"), error
        else:
            found.append(version)
    return found


@pytest.mark.parametrize(
    ("deviation", "versions"),
    [
        (None, [["TLSv1.2", "TLSv1.3"]]),
        ("tls10-offered", [["TLSv1.0", "TLSv1.1", "TLSv1.2", "TLSv1.3"]]),
        ("only-tls11", [["TLSv1.1"]]),
        ("as-documented-2020", [["TLSv1.1", "TLSv1.2"]]),
        (
            "addresses-differ",
            [["TLSv1.2", "TLSv1.3"], ["TLSv1.0", "TLSv1.1", "TLSv1.2", "TLSv1.3"]],
        ),
    ],
)
def test_a_station_offers_the_versions_planned(
    lab: Lab, deviation: str | None, versions: list[list[str]]
) -> None:
    found = station(lab, deviation)
    assert [offered(lab, found, address) for address in found.addresses] == versions


def test_a_finished_handshake_gets_an_http_answer(lab: Lab) -> None:
    normal = station(lab, None)
    answer = ask(lab, normal, normal.addresses[0])
    assert answer.startswith(b"HTTP/1.1 302 Found\r\n")
    assert b"\r\nLocation: https://aws.amazon.com/iam\r\n" in answer


def test_a_normal_station_prefers_its_own_order_and_lists_only_forward_secrecy(lab: Lab) -> None:
    normal = station(lab, None)
    context = client(lab, "TLSv1.2")
    context.set_ciphers("ECDHE-RSA-AES256-SHA:ECDHE-RSA-AES128-GCM-SHA256")
    with (
        socket.create_connection((normal.addresses[0], lab.port), WAIT) as sock,
        context.wrap_socket(sock, server_hostname=normal.endpoint.host) as tls,
    ):
        assert tls.cipher() == ("ECDHE-RSA-AES128-GCM-SHA256", "TLSv1.2", 128)


@pytest.mark.parametrize(
    ("deviation", "code"), [("expired-certificate", 10), ("self-signed", 18), ("wrong-name", 62)]
)
def test_a_bad_certificate_is_bad_in_the_planned_way(lab: Lab, deviation: str, code: int) -> None:
    found = station(lab, deviation)
    with pytest.raises(ssl.SSLCertVerificationError) as caught:
        ask(lab, found, found.addresses[0])
    assert caught.value.verify_code == code


def test_resets_come_after_the_hello_every_time(lab: Lab) -> None:
    found = station(lab, "resets")
    for _ in range(3):
        with pytest.raises(ConnectionResetError):
            ask(lab, found, found.addresses[0])


def test_the_closed_port_refuses(lab: Lab) -> None:
    found = station(lab, "port-closed")
    with pytest.raises(ConnectionRefusedError):
        ask(lab, found, found.addresses[0])


def test_what_is_not_tls_answers_in_clear(lab: Lab) -> None:
    found = station(lab, "not-tls")
    with socket.create_connection((found.addresses[0], lab.port), WAIT) as sock:
        sock.sendall(b"\x16\x03\x01\x00\x05hello")
        assert sock.recv(4096).startswith(b"HTTP/1.1 400 ")


def test_the_silent_one_accepts_and_says_nothing(lab: Lab) -> None:
    found = station(lab, "silent")
    with socket.create_connection((found.addresses[0], lab.port), WAIT) as sock:
        sock.sendall(b"\x16\x03\x01\x00\x05hello")
        normal = station(lab, None)
        ask(lab, normal, normal.addresses[0])  # the lab has had its turn since
        sock.setblocking(False)
        with pytest.raises(BlockingIOError):
            sock.recv(1)


def test_openssl_finds_the_certificate_good(lab: Lab) -> None:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("no openssl command")
    normal = station(lab, None)
    done = subprocess.run(
        [openssl, "s_client", "-connect", f"{normal.addresses[0]}:{lab.port}",
         "-CAfile", lab.ca_bundle, "-servername", normal.endpoint.host,
         "-verify_hostname", normal.endpoint.host, "-x509_strict", "-verify_return_error"],
        input=b"", capture_output=True, timeout=WAIT, check=False,
    )  # fmt: skip
    assert b"Verify return code: 0 (ok)" in done.stdout, done


def test_a_hello_that_never_ends_is_cut_off(lab: Lab) -> None:
    normal = station(lab, None)
    with socket.create_connection((normal.addresses[0], lab.port), WAIT) as sock:
        filler = b"\x16\x03\x01\x40\x00\x01\xff\xff\xff" + bytes((1 << 14) - 4)
        with pytest.raises(ConnectionError):
            for _ in range(1 << 10):
                sock.sendall(filler)


# --- the plan --------------------------------------------------------------------------------


def test_the_plan_is_the_same_for_the_same_catalog_in_any_order() -> None:
    backwards = plan(ENDPOINTS[::-1])
    assert plan(ENDPOINTS) == backwards[::-1]


def test_every_deviation_is_planted_once_and_every_address_is_its_own() -> None:
    stations = plan(ENDPOINTS)
    assert sorted(s.deviation.id for s in stations if s.deviation) == sorted(plans.BY_ID)
    addresses = [address for s in stations for address in s.addresses]
    assert len(addresses) == len(set(addresses)) == len(ENDPOINTS) + 1
    assert addresses[0] == "127.0.1.1"


@pytest.mark.parametrize("count", range(26))
def test_at_least_half_of_the_stations_stay_normal(count: int) -> None:
    stations = plan(ENDPOINTS[:count])
    planted = [s for s in stations if s.deviation]
    assert len(planted) == min(len(DEVIATIONS), count // 2)


def test_rows_of_one_host_share_its_stand_in() -> None:
    alias = Endpoint("a", "sts", "aws", "r", "legacy", ENDPOINTS[1].host.upper())
    first, second = plan([ENDPOINTS[1], alias])
    assert first.addresses == second.addresses


def test_more_hosts_than_addresses_is_an_error() -> None:
    crowd = [
        Endpoint(str(nth), "sts", "aws", "r", "v", f"h{nth}") for nth in range(plans.MOST_ADDRESSES)
    ]
    with pytest.raises(LabError, match="more than the lab has addresses for"):
        start(crowd)


# --- the process -----------------------------------------------------------------------------


def test_the_endpoints_are_the_catalogs_with_address_and_port_replaced(lab: Lab) -> None:
    assert [e.id for e in lab.endpoints] == [e.id for e in ENDPOINTS]
    assert {e.port for e in lab.endpoints} == {lab.port}
    assert [e.addresses for e in lab.endpoints] == [s.addresses for s in lab.stations]


def test_close_stops_the_process_and_removes_its_files() -> None:
    lab = start(ENDPOINTS[:2])
    directory = lab.ca_bundle.parent
    assert directory.stat().st_mode & 0o777 == 0o700
    lab.close()
    lab.close()
    assert not lab.running
    assert not directory.exists()
    with socket.socket() as sock:
        assert sock.connect_ex((lab.endpoints[0].addresses[0], lab.port)) == errno.ECONNREFUSED


def test_the_lab_ignores_ctrl_c_when_told_to() -> None:
    with start(ENDPOINTS[:1]) as lab:
        os.kill(lab.pid, signal.SIGINT)
        assert ask(lab, lab.stations[0], lab.stations[0].addresses[0])
        assert lab.running


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, "eof"])
def test_the_process_ends_cleanly_on(how: signal.Signals | str) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "tlscheck.lab"],
        cwd=HOME, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        # A shell that put the tests in the background has them, and what they start, ignore SIGINT.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as child:  # fmt: skip
        assert child.stdin and child.stdout and child.stderr
        child.stdin.write(json.dumps({"port": 0, "stations": []}).encode() + b"\n")
        child.stdin.flush()
        ready = json.loads(child.stdout.readline())
        if isinstance(how, signal.Signals):
            child.send_signal(how)
        else:
            child.stdin.close()
        assert child.wait(WAIT) == 0
        assert child.stderr.read() == b""
        assert not Path(ready["ca"]).parent.exists()


def test_no_lab_outlives_a_parent_that_was_killed() -> None:
    code = (
        "import sys\n"
        "from tlscheck.core.model import Endpoint\n"
        "from tlscheck.lab.process import start\n"
        "lab = start([Endpoint('i', 'sts', 'aws', 'r', 'v', 'h.example.com')])\n"
        "print(lab.ca_bundle, flush=True)\n"
        "sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=HOME, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as parent:  # fmt: skip
        assert parent.stdout and parent.stderr
        ca_bundle = Path(parent.stdout.readline().decode().strip())
        assert ca_bundle.exists()
        parent.kill()
        # stderr is shared with the lab: it ends when both are gone.
        assert parent.stderr.read() == b""
        assert not ca_bundle.parent.exists()


def test_a_port_that_is_taken_is_one_clear_line() -> None:
    with socket.socket() as other:
        other.bind(("127.0.1.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(LabError) as caught:
            start(ENDPOINTS[:1], port=port)
    assert str(caught.value) == f"the lab cannot start: port {port} is taken on 127.0.1.1"


def test_a_port_may_be_used_again_at_once() -> None:
    with start(ENDPOINTS[:1]) as lab:
        ask(lab, lab.stations[0], lab.stations[0].addresses[0])
    with start(ENDPOINTS[:1], port=lab.port) as again:
        assert again.port == lab.port


@pytest.mark.parametrize("port", [-1, 1 << 16])
def test_a_port_that_cannot_be_is_one_clear_line(port: int) -> None:
    with pytest.raises(LabError, match="port must be"):
        start(ENDPOINTS[:1], port=port)


def test_a_missing_loopback_address_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plans, "_address", lambda nth: "192.0.2.1")
    with pytest.raises(LabError) as caught:
        start(ENDPOINTS[:1])
    assert str(caught.value).endswith("this system has no loopback address 192.0.2.1")


def test_a_process_that_dies_at_once_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process.sys, "executable", shutil.which("true"))
    with pytest.raises(LabError, match="ended before it was ready"):
        start(ENDPOINTS[:1])


def test_pointers_are_enough_for_another_terminal(lab: Lab, tmp_path: Path) -> None:
    write_pointers(lab, tmp_path / "new")
    rows = tomllib.loads((tmp_path / "new" / "endpoints.toml").read_text())["endpoint"]
    assert [row["addresses"] for row in rows] == [list(e.addresses) for e in lab.endpoints]
    read = [Endpoint(**{**row, "addresses": tuple(row["addresses"])}) for row in rows]
    assert read == list(lab.endpoints)
    assert (tmp_path / "new" / "ca.pem").read_bytes() == lab.ca_bundle.read_bytes()
    assert sorted(p.name for p in (tmp_path / "new").iterdir()) == ["ca.pem", "endpoints.toml"]


# --- throughput ------------------------------------------------------------------------------


def test_thousands_of_short_connections_are_answered(lab: Lab) -> None:
    """As a scan makes them: a hello, the first flight, gone. Prints how long they took."""
    connections, at_once = 3000, 64
    normal = [s for s in lab.stations if s.deviation is None]
    hellos = [
        Hello(version, registry.suites_of(version), registry.groups_of(version))
        for version in (Version.TLSv1_3, Version.TLSv1_2, Version.TLSv1_2, Version.TLSv1_1)
    ]
    random = bytes(RANDOM_BYTES)
    replies: dict[str, int] = {}

    async def one(nth: int) -> None:
        hello = hellos[nth % len(hellos)]
        address = normal[nth % len(normal)].addresses[0]
        reader, writer = await asyncio.open_connection(address, lab.port)
        writer.write(encode(hello, random, "h.example.com"))
        parser = Reader(hello)
        while (reply := parser.feed(await reader.read(1 << 14))) is None:
            assert not reader.at_eof()
        writer.transport.abort()
        kind = type(reply).__name__
        replies[kind] = replies.get(kind, 0) + 1

    async def everyone() -> None:
        turns = iter(range(connections))

        async def worker() -> None:
            for nth in turns:
                await one(nth)

        await asyncio.gather(*(worker() for _ in range(at_once)))

    began = time.perf_counter()
    asyncio.run(asyncio.wait_for(everyone(), 120))
    took = time.perf_counter() - began
    print(f"\nlab: {connections} connections in {took:.1f} s, {connections / took:.0f} a second")
    assert replies == {"Picked": connections * 3 // 4, "Alert": connections // 4}
