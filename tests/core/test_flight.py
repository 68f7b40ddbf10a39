"""A first flight is read to its end, also where TLS 1.3 seals it, however it is cut or spoilt."""

from __future__ import annotations

import random
import socket
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from tests.servers import gnutls, jsse, nginx, openssl, pyopenssl
from tests.servers.process import ADDRESS
from tlscheck.core import flight, registry, shares
from tlscheck.core.flight import Flight, Reader
from tlscheck.core.hello import encode
from tlscheck.core.registry import Version
from tlscheck.core.reply import Garbage, Hangup, Hello, Picked, Reply

RANDOM = bytes(range(64))
NAME = "localhost"
ALPN = (flight.ALPN, b"\x00\x0c\x02h2\x08http/1.1")
RSA = tuple(s for s in registry.SIGNATURE_SCHEMES if s >> 8 == 0x08)
X25519, P256, P384, P521, X448, FFDHE_2048 = 0x1D, 0x17, 0x18, 0x19, 0x1E, 0x100
HYBRIDS = (0x11EB, 0x11EC, 0x11ED)


def modern(group: int = X25519, suite: int | None = None, **more: Any) -> Hello:
    suites = (suite,) if suite else registry.suites_of(Version.TLSv1_3)
    return Hello(Version.TLSv1_3, suites, (group,), shares=True, closely=True, schemes=RSA, **more)


def old(*suites: str, version: Version = Version.TLSv1_2, **more: Any) -> Hello:
    codes = tuple(registry.suite_by_name(s).code for s in suites) or registry.suites_of(version)
    return Hello(version, codes, registry.curves_of(version), closely=True, **more)


def heard(port: int, hello: Hello) -> bytes:
    """All that a server says to a hello until its first flight has ended."""
    reader, said = Reader(hello, encode(hello, RANDOM, NAME)), b""
    with socket.create_connection((ADDRESS, port), timeout=10) as stream:
        stream.sendall(encode(hello, RANDOM, NAME))
        while reader.reply is None and (data := stream.recv(1 << 16)):
            said += data
            reader.feed(data)
    return said


def read(hello: Hello, data: bytes, step: int = 1 << 20) -> Reply:
    reader = Reader(hello, encode(hello, RANDOM, NAME))
    for at in range(0, len(data), step):
        if reply := reader.feed(data[at : at + step]):
            return reply
    return reader.end(Hangup("closed"))


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Hello, bytes, bytes]]:
    """Hellos, what real servers said to them, and the leaf that they were given."""
    found: dict[str, tuple[Hello, bytes, bytes]] = {}

    @cache
    def leaf(directory: Path) -> bytes:
        pem = (directory / "certificates" / "rsa.pem").read_bytes()
        from cryptography.hazmat.primitives.serialization import Encoding

        return x509.load_pem_x509_certificates(pem)[0].public_bytes(Encoding.DER)

    asked = {
        "nginx": (nginx.dual, [modern(more=(ALPN,)), modern(P256), old(
            "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", more=(ALPN,))]),
        "gnutls": (gnutls.client_order, [modern(X448), modern()]),
        "jsse": (jsse.everything, [modern(), old("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256")]),
        "openssl": (openssl.everything, [
            *(modern(suite=suite) for suite in (0x1301, 0x1302, 0x1303, 0x1304, 0x1305)),
            *(modern(group) for group in (P256, P384, P521, X448, FFDHE_2048)),
            old("TLS_DHE_RSA_WITH_AES_128_CCM_8"), old("TLS_RSA_WITH_AES_128_CCM"),
            old("TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA", version=Version.TLSv1_0)]),
        "pyopenssl": (pyopenssl.hybrids, [modern(group) for group in HYBRIDS]),
    }  # fmt: skip
    for name, (start, hellos) in asked.items():
        place = tmp_path_factory.mktemp(name)
        with start(place) as server:
            for number, hello in enumerate(hellos):
                data = heard(server.port, hello)
                found[f"{name} {number}"] = hello, data, leaf(place)
    return found


def test_every_flight_is_read_whole_with_the_certificates(
    recorded: dict[str, tuple[Hello, bytes, bytes]],
) -> None:
    assert len(recorded) == 23
    for name, (hello, data, leaf) in recorded.items():
        reply = read(hello, data)
        assert isinstance(reply, Flight) and reply.whole and reply.sealed is None, (name, reply)
        assert reply.version == hello.version and reply.suite in hello.suites
        assert reply.certificates[0] == leaf, name
        assert len(reply.random) == 32 and reply.compression == 0
        if hello.version is Version.TLSv1_3:
            assert reply.scheme in RSA and reply.group == hello.groups[0]
            assert reply.public and not reply.random.startswith(b"\xcf\x21\xad\x74")
        if name.startswith("nginx") and ALPN in hello.more:
            assert reply.extension(flight.ALPN) == b"\x00\x09\x08http/1.1"


def test_a_flight_reads_the_same_however_it_is_cut(
    recorded: dict[str, tuple[Hello, bytes, bytes]],
) -> None:
    for hello, data, _ in recorded.values():
        whole = read(hello, data)
        for step in (1, 2, 5, 100):
            assert read(hello, data, step) == whole
        assert read(hello, data + b"more") == whole


def test_a_flight_that_breaks_off_is_not_whole(
    recorded: dict[str, tuple[Hello, bytes, bytes]],
) -> None:
    for name, (hello, data, _) in recorded.items():
        for at in range(0, len(data) - 1, max(1, len(data) // 40)):
            reply = read(hello, data[:at])
            # The flight of TLS 1.3 goes on after what is needed of it.
            assert isinstance(reply, Hangup) or (isinstance(reply, Picked) and (
                reply.ended == Hangup("closed") or (reply.version == 0x0304 and reply.certificates)
            )), (name, at, reply)  # fmt: skip


def test_what_is_spoilt_is_garbage_and_never_a_fault(
    recorded: dict[str, tuple[Hello, bytes, bytes]],
) -> None:
    chance = random.Random(6)
    for hello, data, leaf in recorded.values():
        for _ in range(60):
            spoilt = bytearray(data)
            for _ in range(chance.randint(1, 4)):
                spoilt[chance.randrange(len(spoilt))] ^= 1 << chance.randrange(8)
            reply = read(hello, bytes(spoilt))
            if hello.version is Version.TLSv1_3 and isinstance(reply, Flight) and reply.whole:
                # Sealed: what was altered cannot be opened, so what is read is as it was sent.
                assert not reply.certificates or reply.certificates[0] == leaf


def test_what_cannot_be_opened_says_why() -> None:
    """A pick of a group without a share that is known, or of a suite that is not."""
    hello = modern()
    for group, suite, why in ((0x11EE, 0x1301, "curveSM2MLKEM768"), (X25519, 0xC100, "KUZNYECHIK")):
        share = group.to_bytes(2, "big") + b"\x00\x20" + bytes(32)
        extensions = b"\x00\x2b\x00\x02\x03\x04\x00\x33" + len(share).to_bytes(2, "big") + share
        body = b"\x03\x03" + bytes(32) + b"\x00" + suite.to_bytes(2, "big") + b"\x00"
        body += len(extensions).to_bytes(2, "big") + extensions
        message = b"\x02" + len(body).to_bytes(3, "big") + body
        reply = read(hello, b"\x16\x03\x03" + len(message).to_bytes(2, "big") + message)
        assert isinstance(reply, Flight) and reply.sealed and not reply.certificates
        if group == 0x11EE:
            assert why in reply.sealed


def test_a_share_of_another_length_than_its_groups_is_garbage(
    recorded: dict[str, tuple[Hello, bytes, bytes]],
) -> None:
    hello, data, _ = recorded["pyopenssl 1"]
    size = int.from_bytes(data[3:5], "big")
    at = data.index(b"\x11\xec\x04\x60") + 2
    short = bytearray(data[5 : 5 + size - 1])  # one byte less, in all lengths around it
    for where, width in ((1, 3), (at - 5, 2), (at - 5 - 4, 2), (4 + 2 + 32 + 33 + 3, 2)):
        value = int.from_bytes(short[where : where + width], "big") - 1
        short[where : where + width] = value.to_bytes(width, "big")
    reply = read(hello, data[:3] + (size - 1).to_bytes(2, "big") + bytes(short))
    assert reply == Garbage("key_share: 1119 bytes instead of 1120")


def test_a_hello_that_is_read_closely_has_the_share_that_it_needs() -> None:
    for group, share in shares.of(True).items():
        assert share in encode(modern(group), RANDOM)
    plain = replace(modern(P384), closely=False)
    assert shares.of(True)[P384] not in encode(plain, RANDOM)
