"""Handshake messages, field by field, and what they say of the pick. No I/O."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from functools import cache

from tlscheck.core import registry
from tlscheck.core.registry import Version
from tlscheck.core.reply import Alert, Picked, Ssl2Picked

_RETRY_RANDOM = hashlib.sha256(b"HelloRetryRequest").digest()  # RFC 8446, section 4.1.3


class Malformed(Exception):
    """A field of a message is not as its definition says; the text names the field."""


class Cursor:
    """Reads the fields of `what`, one after another; raises `Malformed` at one that is short."""

    def __init__(self, data: bytes, what: str) -> None:
        self.data, self.at, self.what = data, 0, what

    def take(self, size: int, field: str) -> bytes:
        end = self.at + size
        if end > len(self.data):
            raise Malformed(f"{self.what}: {field} is short")
        self.at = end
        return self.data[end - size : end]

    def uint(self, size: int, field: str) -> int:
        return int.from_bytes(self.take(size, field), "big")

    def vector(self, size: int, field: str) -> bytes:
        start = self.at + size
        if start > len(self.data):
            raise Malformed(f"{self.what}: length of {field} is short")
        end = start + int.from_bytes(self.data[self.at : start], "big")
        if end > len(self.data):
            raise Malformed(f"{self.what}: {field} is short")
        self.at = end
        return self.data[start:end]

    def left(self) -> int:
        return len(self.data) - self.at

    def end(self) -> None:
        if self.left():
            raise Malformed(f"{self.what}: {self.left()} trailing bytes")


def extension_map(cursor: Cursor) -> dict[int, bytes]:
    """The extensions that are left to read, by type: RFC 8446, section 4.2."""
    found: dict[int, bytes] = {}
    if cursor.left():
        inner = Cursor(cursor.vector(2, "extensions"), f"{cursor.what} extensions")
        while inner.left():
            kind = inner.uint(2, "type")
            body = inner.vector(2, f"extension {kind}")
            if kind in found:
                raise Malformed(f"{cursor.what}: extension {kind} twice")
            found[kind] = body
    cursor.end()
    return found


def server_hello(body: bytes) -> Picked:
    """RFC 8446, section 4.1.3; RFC 5246, section 7.4.1.3."""
    cursor = Cursor(body, "ServerHello")
    version = cursor.uint(2, "version")
    random = cursor.take(32, "random")
    if len(cursor.vector(1, "session id")) > 32:
        raise Malformed("ServerHello: session id is longer than 32 bytes")
    suite = cursor.uint(2, "cipher suite")
    cursor.uint(1, "compression method")
    extensions = extension_map(cursor)
    retry = random == _RETRY_RANDOM
    group = None
    if 43 in extensions:
        inner = Cursor(extensions[43], "supported_versions")
        version = inner.uint(2, "selected version")
        inner.end()
    if version >= Version.TLSv1_3 and 51 in extensions:
        inner = Cursor(extensions[51], "key_share")
        group = inner.uint(2, "group")
        if not retry:
            inner.vector(2, "key exchange")
        inner.end()
    return Picked(version, suite, group, retry=retry)


def certificates(body: bytes) -> tuple[bytes, ...]:
    """RFC 5246, section 7.4.2."""
    outer = Cursor(body, "Certificate")
    cursor = Cursor(outer.vector(3, "certificate list"), "Certificate")
    outer.end()
    chain: list[bytes] = []
    while cursor.left():
        chain.append(cursor.vector(3, f"certificate {len(chain) + 1}"))
    return tuple(chain)


@cache
def _ffdhe_primes() -> dict[int, int]:
    """RFC 7919, appendix A: prime -> group, computed from e as the RFC defines them."""
    # floor(2^k * e), from the series of 1/n!, with bits to spare.
    spare = 8400
    e, term, n = 0, 1 << spare, 1
    while term:
        e += term
        term //= n
        n += 1
    offsets = {2048: 560316, 3072: 2625351, 4096: 5736041, 6144: 15705020, 8192: 10965728}
    return {
        2**bits - 2 ** (bits - 64) + ((e >> (spare - (bits - 130))) + x) * 2**64 - 1: group
        for group, (bits, x) in zip(registry.ffdhe_groups(), offsets.items(), strict=True)
    }


def key_exchange(picked: Picked, body: bytes) -> Picked:
    """ServerKeyExchange: RFC 8422, section 5.4; RFC 5246, section 7.4.3; RFC 4279; RFC 5489."""
    suite = registry.suites().get(picked.suite)
    if suite is None or suite.key_exchange not in ("ECDHE", "DHE"):
        return picked
    cursor = Cursor(body, "ServerKeyExchange")
    if suite.authentication == "PSK":
        cursor.vector(2, "identity hint")
    group, dh_bits = None, None
    if suite.key_exchange == "ECDHE":
        if cursor.uint(1, "curve type") != 3:  # named_curve
            return picked
        group = cursor.uint(2, "named curve")
        if not cursor.vector(1, "public point"):
            raise Malformed("ServerKeyExchange: public point is empty")
    else:
        prime = int.from_bytes(cursor.vector(2, "prime"), "big")
        cursor.vector(2, "generator")
        cursor.vector(2, "public value")
        group, dh_bits = _ffdhe_primes().get(prime), prime.bit_length()
    scheme = None
    signed = suite.authentication not in ("PSK", "NULL")
    if signed and picked.version >= Version.TLSv1_2:
        scheme = cursor.uint(2, "signature scheme")
    if signed:
        cursor.vector(2, "signature")
    return replace(picked, group=group, scheme=scheme, dh_bits=dh_bits)


def lacking(picked: Picked, had: set[int]) -> str | None:
    """The message that this suite cannot do without and that has not come."""
    suite = registry.suites().get(picked.suite)
    if suite is None:
        return None
    if 11 not in had and suite.authentication in ("RSA", "ECDSA", "DSS"):
        return "Certificate"
    if 12 not in had and suite.key_exchange in ("ECDHE", "DHE"):
        return "ServerKeyExchange"
    return None


def ssl2_server_hello(message: bytes) -> Ssl2Picked | Alert:
    """An SSLv2 message: a SERVER-HELLO, or the ERROR that is a refusal."""
    cursor = Cursor(message, "SERVER-HELLO")
    kind = cursor.uint(1, "type")
    if kind == 0:  # ERROR: no cipher in common
        return Alert(40)
    if kind != 4:
        raise Malformed(f"SSLv2 message {kind} instead of SERVER-HELLO")
    cursor.take(2, "session id hit and certificate type")
    if cursor.uint(2, "version") != Version.SSLv2:
        raise Malformed("SERVER-HELLO: version is not SSLv2")
    sizes = [cursor.uint(2, name) for name in ("certificate", "ciphers", "connection id")]
    certificate = cursor.take(sizes[0], "certificate")
    kinds = cursor.take(sizes[1], "ciphers")
    cursor.take(sizes[2], "connection id")
    cursor.end()
    if len(kinds) % 3:
        raise Malformed("SERVER-HELLO: ciphers are not of three bytes")
    return Ssl2Picked(
        tuple(int.from_bytes(kinds[i : i + 3], "big") for i in range(0, len(kinds), 3)),
        certificate,
    )
