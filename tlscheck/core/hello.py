"""Hello -> bytes: the code nests as the wire nests. No I/O."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, lru_cache

from tlscheck.core import registry, shares
from tlscheck.core.registry import Version
from tlscheck.core.reply import Hello

RANDOM_BYTES = 64  # what `encode` needs: client random and session id

_EMPTY_RENEGOTIATION_INFO_SCSV = 0x00FF  # RFC 5746, section 3.3


class _Writer:
    """Builds nested, length-prefixed structures: the code nests as the wire nests."""

    def __init__(self) -> None:
        self.data = bytearray()

    def uint(self, size: int, *values: int) -> None:
        for value in values:
            self.data += value.to_bytes(size, "big")

    @contextmanager
    def prefixed(self, size: int) -> Iterator[None]:
        at = len(self.data)
        self.data += bytes(size)
        yield
        self.data[at : at + size] = (len(self.data) - at - size).to_bytes(size, "big")

    @contextmanager
    def extension(self, kind: int) -> Iterator[None]:
        self.uint(2, kind)
        with self.prefixed(2):
            yield


@lru_cache(maxsize=1024)
def sendable_name(name: str | None) -> str | None:
    """`name` if it may be sent as a server name: a DNS name, no IP literal (RFC 6066, 3)."""
    if not name:
        return None
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        try:
            return name.rstrip(".").encode("ascii").decode()
        except UnicodeEncodeError:
            return None
    return None


def encode(hello: Hello, random: bytes, server_name: str | None = None) -> bytes:
    """The bytes of `hello` in one record. `random` is `RANDOM_BYTES` long; `server_name` is sent
    where extensions are, if it may be (`sendable_name`)."""
    if len(random) != RANDOM_BYTES:
        raise ValueError(f"random must be {RANDOM_BYTES} bytes")
    if hello.version is Version.SSLv2:
        return _encode_ssl2(hello, random)
    message = _client_hello(hello, random, server_name, b"")
    # Some servers hang on handshake messages of 256 to 511 bytes: pad past them (RFC 7685).
    if 256 <= len(message) <= 511 and hello.extensions == "all" and _extended(hello):
        padding = b"\x00\x15" + _sized(2, bytes(max(0, 512 - len(message) - 4)))
        message = _client_hello(hello, random, server_name, padding)
    legacy = min(hello.version, Version.TLSv1_0)  # RFC 8446, section 5.1
    return b"\x16" + legacy.to_bytes(2, "big") + _sized(2, message)  # a handshake record


def _client_hello(hello: Hello, random: bytes, server_name: str | None, padding: bytes) -> bytes:
    modern = hello.version is Version.TLSv1_3
    body = min(hello.version, Version.TLSv1_2).to_bytes(2, "big") + random[:32]
    # A session id makes middleboxes take TLS 1.3 for a resumption (RFC 8446, D.4).
    body += _sized(1, random[32:] if modern else b"")
    body += _suites(hello.suites, modern)
    body += _sized(1, bytes(hello.compressions))  # null alone, but where the question is about it
    if _extended(hello):
        usual = _extensions(
            hello.version, hello.groups, hello.shares, hello.extensions,
            hello.schemes, hello.closely,
        )  # fmt: skip
        more = b"".join(kind.to_bytes(2, "big") + _sized(2, data) for kind, data in hello.more)
        body += _sized(2, _server_name(server_name) + usual + more + padding)
    return b"\x01" + _sized(3, body)


def _sized(size: int, data: bytes) -> bytes:
    return len(data).to_bytes(size, "big") + data


def _extended(hello: Hello) -> bool:
    return hello.version is not Version.SSLv3 and hello.extensions != "none"


# What all servers are asked alike is made once: that is most of a hello.


@lru_cache(maxsize=1024)
def _suites(suites: tuple[int, ...], modern: bool) -> bytes:
    out = _Writer()
    with out.prefixed(2):
        out.uint(2, *suites)
        if not modern:
            out.uint(2, _EMPTY_RENEGOTIATION_INFO_SCSV)
    return bytes(out.data)


@lru_cache(maxsize=1024)
def _server_name(server_name: str | None) -> bytes:
    out = _Writer()
    if name := sendable_name(server_name):
        with out.extension(0), out.prefixed(2):  # server_name: RFC 6066, section 3
            out.uint(1, 0)
            with out.prefixed(2):
                out.data += name.encode("ascii")
    return bytes(out.data)


@lru_cache(maxsize=1024)
def _extensions(
    version: Version,
    groups: tuple[int, ...],
    shared: bool,
    which: str,
    schemes: tuple[int, ...],
    closely: bool,
) -> bytes:
    """All extensions but the server name, what a question has besides, and the padding."""
    modern = version is Version.TLSv1_3
    out = _Writer()
    if groups:
        with out.extension(10), out.prefixed(2):  # supported_groups: RFC 8422, 5.1.1; RFC 7919
            out.uint(2, *groups)
    if not modern and groups:
        with out.extension(11), out.prefixed(1):  # ec_point_formats: RFC 8422, section 5.1.2
            out.uint(1, 0)
    if version >= Version.TLSv1_2:
        with out.extension(13), out.prefixed(2):  # signature_algorithms: RFC 8446, 4.2.3
            usual = _schemes(modern) if which == "all" else _USUAL_SCHEMES
            out.uint(2, *(schemes or usual))
    if not modern and which == "all":
        with out.extension(22):  # encrypt_then_mac: RFC 7366, section 2
            pass
        with out.extension(23):  # extended_master_secret: RFC 7627, section 5.1
            pass
    if modern:
        with out.extension(43), out.prefixed(1):  # supported_versions: RFC 8446, 4.2.1
            out.uint(2, version)
        with out.extension(51), out.prefixed(2):  # key_share: RFC 8446, section 4.2.8
            sent = groups if which == "all" else groups[:1]
            for group in sent if shared else ():
                if share := shares.of(closely).get(group):
                    out.uint(2, group)
                    with out.prefixed(2):
                        out.data += share
    return bytes(out.data)


@cache
def _schemes(modern: bool) -> tuple[int, ...]:
    # DSA and SHA-224 do not exist in TLS 1.3 (RFC 8446, section 4.2.3).
    if not modern:
        return registry.SIGNATURE_SCHEMES
    return tuple(s for s in registry.SIGNATURE_SCHEMES if s & 0xFF != 2 and s >> 8 != 3)


# ECDSA, EdDSA, RSA-PSS and RSA, the strong first: what a short hello does with.
_USUAL_SCHEMES = (
    0x0403, 0x0503, 0x0603, 0x0807, 0x0808, 0x0804, 0x0805, 0x0806,
    0x0809, 0x080A, 0x080B, 0x0401, 0x0501, 0x0601, 0x0203, 0x0201,
)  # fmt: skip


def _encode_ssl2(hello: Hello, random: bytes) -> bytes:
    out = _Writer()
    out.uint(1, 1)  # CLIENT-HELLO
    out.uint(2, Version.SSLv2, 3 * len(hello.suites), 0, 16)
    out.uint(3, *hello.suites)
    out.data += random[:16]
    return (0x8000 | len(out.data)).to_bytes(2, "big") + bytes(out.data)
