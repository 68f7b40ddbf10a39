"""Whether a server is what its profile says: asked by clients that are not the scanner.

Three of them: openssl s_client, which finishes the handshake; tlslite-ng's client, which does so
for what OpenSSL no longer speaks (SSL 3.0, RC4, 3DES); and a bare ClientHello, which asks for
groups without a key share, and for everything at once that a profile does not name.
"""

from __future__ import annotations

import os
import socket
import struct
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain

from tlslite.constants import CipherSuite
from tlslite.errors import TLSError
from tlslite.handshakesettings import HandshakeSettings
from tlslite.mathtls import RFC7919_GROUPS
from tlslite.tlsconnection import TLSConnection

from .names import (
    GROUP_CODES,
    group_name,
    in_openssl,
    openssl_groups,
    openssl_suites,
    suite_codes,
    suite_name,
)
from .process import program
from .profile import PROTOCOLS, Order, Server

SECONDS = 10.0
PARALLEL = 8

_WIRE = {"SSLv3": 0x300, "TLSv1.0": 0x301, "TLSv1.1": 0x302, "TLSv1.2": 0x303, "TLSv1.3": 0x304}
_SWITCH = {"TLSv1.0": "tls1", "TLSv1.1": "tls1_1", "TLSv1.2": "tls1_2", "TLSv1.3": "tls1_3"}
_ALL_SUITES = (*range(0x0001, 0x00FF), *range(0xC001, 0xC0C0), *range(0xCCA8, 0xCCAF))
_ALL_TLS13_SUITES = tuple(range(0x1301, 0x1308))
_ALL_GROUPS = (*range(1, 42), *range(256, 261), *range(0x200, 0x203), *range(0x11EB, 0x11EE))
_SIGNATURES = (
    0x0403, 0x0503, 0x0603, 0x0807, 0x0808, 0x0809, 0x080A, 0x080B, 0x0804, 0x0805, 0x0806,
    0x0401, 0x0501, 0x0601, 0x0303, 0x0301, 0x0302, 0x0203, 0x0201, 0x0202,
)  # fmt: skip
_RETRY = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")


@dataclass(frozen=True)
class Pick:
    """What a server picked; all None if it refused, with the reason."""

    protocol: str | None = None
    suite: str | None = None
    group: str | None = None
    refusal: str = ""


def disagreements(server: Server) -> list[str]:
    """What the profile says and the server does not do, or the other way round."""
    return list(chain(versions(server), suites(server), groups(server)))


def versions(server: Server) -> Iterator[str]:
    """Each version in the profile, and no other, is spoken."""
    for protocol in PROTOCOLS:
        told = protocol in server.profile.protocols
        if speaks(server, protocol) != told:
            yield f"{protocol}: the profile says {'yes' if told else 'no'}, the server does not"


def speaks(server: Server, protocol: str) -> bool:
    """A handshake of this version succeeds, with the strongest client there is for it."""
    if protocol == "SSLv2":
        return _speaks_sslv2(server)
    profile = server.profile.protocols.get(protocol)
    if profile is None:
        return hello(server, protocol).protocol == protocol
    suite = next((s for s in profile.suites if in_openssl(s)), profile.suites[0])
    return handshake(server, protocol, suite)


def suites(server: Server) -> Iterator[str]:
    """Each suite in the profile, and no other, is picked, in the order it says."""
    for protocol, profile in server.profile.protocols.items():
        codes = [suite_codes()[name] for name in profile.suites]
        everything = _ALL_TLS13_SUITES if protocol == "TLSv1.3" else _ALL_SUITES
        more = hello(server, protocol, [code for code in everything if code not in codes])
        if more.protocol:
            yield f"{protocol}: {more.suite} is not in the profile and is picked"
        for name, code in zip(profile.suites, codes, strict=True):
            pick = hello(server, protocol, [code])
            if (pick.protocol, pick.suite) != (protocol, name):
                yield f"{protocol}: {name} alone is answered by {pick}"
        with ThreadPoolExecutor(PARALLEL) as pool:
            done = pool.map(lambda name, p=protocol: handshake(server, p, name), profile.suites)
            for name, success in zip(profile.suites, done, strict=True):
                if not success:
                    yield f"{protocol}: no handshake with {name}"

        def picked(offer: Sequence[str], protocol: str = protocol) -> str | None:
            return hello(server, protocol, [suite_codes()[name] for name in offer]).suite

        for complaint in _order(profile.suites, profile.order, picked):
            yield f"{protocol} suites: {complaint}"


def groups(server: Server) -> Iterator[str]:
    """Each group in the profile, and no other, is picked, in the order it says."""
    for protocol, profile in server.profile.protocols.items():
        if protocol not in ("TLSv1.2", "TLSv1.3"):
            continue
        codes = [GROUP_CODES[name] for name in profile.groups]

        def picked(offer: Iterable[int], protocol: str = protocol) -> str | None:
            """The group of the first kind of key exchange that negotiates one."""
            wanted = list(offer)
            if protocol == "TLSv1.3":
                return hello(server, protocol, groups=wanted).group
            finite = any(256 <= code < 512 for code in wanted)
            known = server.profile.protocols[protocol].suites
            for prefix in ("TLS_ECDH", "TLS_DHE" if finite else "TLS_ECDH"):
                exchange = [suite_codes()[name] for name in known if name.startswith(prefix)]
                group = hello(server, protocol, exchange, wanted).group if exchange else None
                if group in {group_name(code) for code in wanted}:
                    return group
            return None

        if more := picked(code for code in _ALL_GROUPS if code not in codes):
            yield f"{protocol}: {more} is not in the profile and is picked"
        for name, code in zip(profile.groups, codes, strict=True):
            if picked([code]) != name:
                yield f"{protocol}: {name} alone is answered by {picked([code])}"
            elif "MLKEM" not in name and (protocol == "TLSv1.3" or "ffdhe" not in name):
                ephemeral = [
                    suite
                    for suite in profile.suites
                    if protocol == "TLSv1.3" or ("ECDHE" in suite and in_openssl(suite))
                ]
                if not any(handshake(server, protocol, suite, name) for suite in ephemeral):
                    yield f"{protocol}: no handshake with {name}"
        # In TLS 1.2 the curves and the groups of DHE are never rivals: an order within each.
        for kind in (False, True):
            names = [g for g in profile.groups if g.startswith("ffdhe") == kind]
            if protocol == "TLSv1.3":
                names = [] if kind else list(profile.groups)
            order = profile.group_order if len(names) > 1 else None
            complaints = _order(
                names, order, lambda offer, picked=picked: picked(GROUP_CODES[g] for g in offer)
            )
            for complaint in complaints:
                yield f"{protocol} groups: {complaint}"


def _order(names, order: Order | None, picked) -> Iterator[str]:  # type: ignore[no-untyped-def]
    """Whether the picks from a list follow the server's order, or the client's."""
    names = list(names)
    for place, name in enumerate(names if order else ()):
        if order == "server":  # the best of those that are left, offered last
            offer = names[place:][::-1]
        else:
            offer = [name, *(other for other in names if other != name)]
        if (pick := picked(offer)) != name:
            yield f"{pick} is picked from {offer}, not {name} as the {order}'s order would have it"


# The three clients.


def handshake(server: Server, protocol: str, suite: str, group: str | None = None) -> bool:
    """Whether a whole handshake succeeds with this suite alone, and this group alone."""
    if protocol in _SWITCH and in_openssl(suite):
        return _openssl_handshake(server, protocol, suite, group)
    return _tlslite_handshake(server, protocol, suite)


def _openssl_handshake(server: Server, protocol: str, suite: str, group: str | None) -> bool:
    command = [program("openssl"), "s_client", f"-{_SWITCH[protocol]}", "-legacy_server_connect"]
    command += ["-connect", f"{server.address}:{server.port}"]
    if protocol == "TLSv1.3":
        command += ["-ciphersuites", openssl_suites([suite])]
    else:
        command += ["-cipher", f"{openssl_suites([suite])}:@SECLEVEL=0"]
    if group:
        command += ["-groups", openssl_groups([group])]
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace",
        env={**os.environ, "OPENSSL_CONF": os.devnull}, timeout=SECONDS * 3,
    )  # fmt: skip
    words = f"Cipher is {openssl_suites([suite])}\n"
    return words in done.stdout and "(NONE)" not in done.stdout


def _tlslite_handshake(server: Server, protocol: str, suite: str) -> bool:
    code = suite_codes()[suite]
    minor = _WIRE[protocol]
    settings = HandshakeSettings()
    settings.minVersion = settings.maxVersion = (minor >> 8, minor & 0xFF)
    settings.versions = [settings.minVersion]
    settings.cipherNames = [*settings.cipherNames, "3des", "rc4", "null"]
    settings.macNames = [*settings.macNames, "md5"]
    settings.useEncryptThenMAC = settings.useExtendedMasterSecret = protocol != "SSLv3"
    with _connected(server) as stream:
        connection = _OneSuite(stream, code)
        try:
            connection.handshakeClientCert(settings=settings)
        except (TLSError, OSError, ValueError):
            return False
        picked: int = connection.session.cipherSuite
        return bool(picked == code and connection.version == settings.minVersion)


class _OneSuite(TLSConnection):  # type: ignore[misc]
    """tlslite-ng chooses by kinds of cipher; this offers one suite of them."""

    def __init__(self, stream: socket.socket, suite: int) -> None:
        super().__init__(stream)
        self._suite = suite

    def _sendMsg(self, message, *rest, **named):  # type: ignore[no-untyped-def]
        if type(message).__name__ == "ClientHello":
            message.cipher_suites = [self._suite, CipherSuite.TLS_EMPTY_RENEGOTIATION_INFO_SCSV]
        return super()._sendMsg(message, *rest, **named)


def _speaks_sslv2(server: Server) -> bool:
    """An SSL 2.0 hello brings an SSL 2.0 hello."""
    specs = bytes.fromhex("010080 020080 030080 040080 050080 060040 0700c0 080080")
    body = b"\x01\x00\x02" + struct.pack(">HHH", len(specs), 0, 16) + specs + bytes(range(16))
    with _connected(server) as stream:
        try:
            stream.sendall(struct.pack(">H", 0x8000 | len(body)) + body)
            reply = stream.recv(64)
        except OSError:
            return False
    return len(reply) > 2 and bool(reply[0] & 0x80) and reply[2] == 4


def _u8(data: bytes) -> bytes:
    return struct.pack(">B", len(data)) + data


def _u16(data: bytes) -> bytes:
    return struct.pack(">H", len(data)) + data


def _shorts(numbers: Iterable[int]) -> bytes:
    return b"".join(struct.pack(">H", number) for number in numbers)


def hello(
    server: Server,
    protocol: str,
    suites: Sequence[int] | None = None,
    groups: Sequence[int] | None = None,
) -> Pick:
    """Send one ClientHello of one version; everything is offered of what is not given.

    In TLS 1.3 no key share is sent, so that the server names its group in a retry request.
    """
    modern = protocol == "TLSv1.3"
    offer = suites if suites is not None else _ALL_TLS13_SUITES if modern else _ALL_SUITES
    extensions = {}
    if protocol != "SSLv3":
        extensions[10] = _u16(_shorts(_ALL_GROUPS if groups is None else groups))
        extensions[11] = _u8(b"\x00")
    if protocol in ("TLSv1.2", "TLSv1.3"):
        extensions[13] = _u16(_shorts(_SIGNATURES))
    if modern:
        extensions[43] = _u8(_shorts([_WIRE[protocol]]))
        extensions[51] = _u16(b"")
    encoded = b"".join(struct.pack(">H", kind) + _u16(body) for kind, body in extensions.items())
    body = (
        struct.pack(">H", min(_WIRE[protocol], 0x303))
        + os.urandom(32)
        + _u8(os.urandom(32) if modern else b"")
        + _u16(_shorts([*offer, 0x00FF]))
        + _u8(b"\x00")
        + (_u16(encoded) if extensions else b"")
    )
    message = b"\x01" + struct.pack(">I", len(body))[1:] + body
    with _connected(server) as stream:
        try:
            stream.sendall(b"\x16" + struct.pack(">H", min(_WIRE[protocol], 0x301)) + _u16(message))
            return _reply(stream)
        except OSError as error:
            return Pick(refusal=str(error))


def _reply(stream: socket.socket) -> Pick:
    """Read what decides: a TLS 1.3 hello, or the flight of an older version."""
    reader, messages, pick = stream.makefile("rb"), b"", None
    while len(header := reader.read(5)) == 5:
        content = reader.read(struct.unpack(">H", header[3:])[0])
        if header[0] == 21:
            if content[0] == 1:  # a warning
                continue
            return Pick(refusal=f"alert {content[1]}")
        messages += content
        while len(messages) >= 4:
            length = int.from_bytes(messages[1:4], "big")
            if len(messages) < 4 + length:
                break
            kind, body, messages = messages[0], messages[4 : 4 + length], messages[4 + length :]
            if kind == 2:
                pick = _server_hello(body)
                if pick.protocol == "TLSv1.3":
                    return pick
            elif kind == 12 and pick:
                pick = Pick(pick.protocol, pick.suite, _exchange_group(pick.suite or "", body))
            elif kind == 14 and pick:
                return pick
    return Pick(refusal="closed")


def _server_hello(body: bytes) -> Pick:
    number, position = struct.unpack(">H", body[:2])[0], 35 + body[34]
    suite = struct.unpack(">H", body[position : position + 2])[0]
    position += 5  # the suite, the compression, the length of the extensions
    group = None
    while position + 4 <= len(body):
        kind, length = struct.unpack(">HH", body[position : position + 4])
        data = body[position + 4 : position + 4 + length]
        position += 4 + length
        if kind == 43:
            number = struct.unpack(">H", data)[0]
        elif kind == 51:
            group = group_name(struct.unpack(">H", data[:2])[0])
    names = {wire: protocol for protocol, wire in _WIRE.items()}
    return Pick(names.get(number, hex(number)), suite_name(suite), group)


def _exchange_group(suite: str, body: bytes) -> str | None:
    if suite.startswith("TLS_ECDH"):
        return group_name(struct.unpack(">H", body[1:3])[0]) if body[0] == 3 else None
    prime = int.from_bytes(body[2 : 2 + struct.unpack(">H", body[:2])[0]], "big")
    finite = [g for g in GROUP_CODES if g.startswith("ffdhe")]
    found = {p: name for name, (_, p) in zip(finite, RFC7919_GROUPS, strict=True)}
    return found.get(prime)


@contextmanager
def _connected(server: Server) -> Iterator[socket.socket]:
    with socket.create_connection((server.address, server.port), timeout=SECONDS) as stream:
        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield stream
