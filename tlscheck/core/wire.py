"""Hello -> bytes, bytes -> Reply: the part of SSL and TLS that is in clear. No I/O.

A `Hello` is what one connection asks; `Reader` is fed what comes back, in pieces of any size,
until a `Reply` is known. The handshake is never finished, so nothing here needs cryptography.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from typing import Literal

from tlscheck.core import registry, shares
from tlscheck.core.registry import Version

RANDOM_BYTES = 64  # what `encode` needs: client random and session id

# Bounds on what one connection may send (bytes).
MOST_BYTES = 1 << 20
MOST_MESSAGE = 1 << 19
MOST_RECORD = (1 << 14) + 2048
BANNER = 8  # bytes from which to tell what is no TLS
MOST_IDLE_MESSAGES = 32  # HelloRequests and warning alerts before we stop listening

_RETRY_RANDOM = hashlib.sha256(b"HelloRetryRequest").digest()  # RFC 8446, section 4.1.3
_EMPTY_RENEGOTIATION_INFO_SCSV = 0x00FF  # RFC 5746, section 3.3


@dataclass(frozen=True, slots=True)
class Hello:
    """What one connection asks: a version, with the suites and groups offered in it.

    `suites` and `groups` are IANA code points in the client's order. `shares` adds key shares
    to a TLS 1.3 hello (without them a server answers with a HelloRetryRequest). `extensions` is
    "few" for those alone that the question needs, and "none" (below TLS 1.3) for none at all, for
    servers that stumble over them. `schemes` are the signature schemes instead of all, `more` are
    extensions besides (type and body). `closely`: the whole first flight is to be read, that of
    TLS 1.3 too (`flight`).
    """

    version: Version
    suites: tuple[int, ...]
    groups: tuple[int, ...] = ()
    server_name: str | None = None
    shares: bool = False
    extensions: Literal["all", "few", "none"] = "all"
    schemes: tuple[int, ...] = ()
    compressions: tuple[int, ...] = (0,)
    more: tuple[tuple[int, bytes], ...] = ()
    closely: bool = False

    def __hash__(self) -> int:
        # Hellos are looked up for each exchange, and most differ in how much they offer.
        lists = len(self.suites), self.suites[:1], self.suites[-1:], len(self.groups)
        return hash((self.version, lists, self.server_name, self.extensions))


@dataclass(frozen=True, slots=True)
class Picked:
    """A ServerHello (or HelloRetryRequest, `retry`): what the server chose.

    `ended` is what cut the first flight of TLS 1.2 and below short of its ServerHelloDone, `None`
    when nothing did. `dh_bits` is the size of the prime of a DHE key exchange.
    """

    version: int
    suite: int
    group: int | None = None
    scheme: int | None = None
    certificates: tuple[bytes, ...] = ()
    retry: bool = False
    ended: Ending | None = None
    dh_bits: int | None = None

    @property
    def whole(self) -> bool:
        """Whether the flight came to its end."""
        return self.ended is None


@dataclass(frozen=True, slots=True)
class Ssl2Picked:
    """An SSLv2 SERVER-HELLO: every cipher kind that server and hello have in common."""

    suites: tuple[int, ...]
    certificate: bytes = b""


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert that ended the connection; `code` is the description (RFC 8446, section 6)."""

    code: int

    def __str__(self) -> str:
        return f"alert {registry.alert_name(self.code)}"


@dataclass(frozen=True, slots=True)
class Hangup:
    """The peer ended the connection with neither an alert nor an answer: `reset` or `closed`."""

    how: str

    def __str__(self) -> str:
        return self.how


@dataclass(frozen=True, slots=True)
class Silent:
    """A deadline passed at this `stage`: `connect` or `read`."""

    stage: str

    def __str__(self) -> str:
        return f"{self.stage} time-out"


@dataclass(frozen=True, slots=True)
class Unreachable:
    """No connection was made, and why: refused, no route."""

    why: str

    def __str__(self) -> str:
        return self.why


@dataclass(frozen=True, slots=True)
class OwnFault:
    """This side could not ask: no descriptor, no port. Says nothing about the server. `passing`:
    it may be able to in a moment."""

    why: str
    passing: bool = False

    def __str__(self) -> str:
        return f"{self.why}, on this side"


@dataclass(frozen=True, slots=True)
class Garbage:
    """Bytes that are no TLS, or TLS that breaks its own rules; `why` names the fault."""

    why: str

    def __str__(self) -> str:
        return self.why


Ending = Alert | Hangup | Silent | Garbage
Reply = Picked | Ssl2Picked | Alert | Hangup | Silent | Unreachable | OwnFault | Garbage


# --- encoding -------------------------------------------------------------------------------


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


def encode(hello: Hello, random: bytes) -> bytes:
    """The bytes of `hello` in one record. `random` is `RANDOM_BYTES` long."""
    if len(random) != RANDOM_BYTES:
        raise ValueError(f"random must be {RANDOM_BYTES} bytes")
    if hello.version is Version.SSLv2:
        return _encode_ssl2(hello, random)
    message = _client_hello(hello, random, 0)
    # Some servers hang on handshake messages of 256 to 511 bytes: pad past them (RFC 7685).
    if 256 <= len(message) <= 511 and hello.extensions == "all" and _extended(hello):
        message = _client_hello(hello, random, max(0, 512 - len(message) - 4) + 1)
    out = _Writer()
    out.uint(1, 22)  # handshake
    out.uint(2, min(hello.version, Version.TLSv1_0))  # RFC 8446, section 5.1
    with out.prefixed(2):
        out.data += message
    return bytes(out.data)


def _client_hello(hello: Hello, random: bytes, padding: int) -> bytes:
    modern = hello.version is Version.TLSv1_3
    out = _Writer()
    out.uint(1, 1)  # ClientHello
    with out.prefixed(3):
        out.uint(2, min(hello.version, Version.TLSv1_2))
        out.data += random[:32]
        with out.prefixed(1):
            # A session id makes middleboxes take TLS 1.3 for a resumption (RFC 8446, D.4).
            out.data += random[32:] if modern else b""
        out.data += _suites(hello.suites, modern)
        with out.prefixed(1):
            out.uint(1, *hello.compressions)  # null alone, but where the question is about it
        if _extended(hello):
            with out.prefixed(2):
                _server_name(out, hello.server_name)
                out.data += _extensions(
                    hello.version, hello.groups, hello.shares, hello.extensions,
                    hello.schemes, hello.closely,
                )  # fmt: skip
                for kind, body in hello.more:
                    with out.extension(kind):
                        out.data += body
                if padding:
                    with out.extension(21):  # padding: RFC 7685, section 3
                        out.data += bytes(padding - 1)
    return bytes(out.data)


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


def _server_name(out: _Writer, server_name: str | None) -> None:
    if name := sendable_name(server_name):
        with out.extension(0), out.prefixed(2):  # server_name: RFC 6066, section 3
            out.uint(1, 0)
            with out.prefixed(2):
                out.data += name.encode("ascii")


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


# --- decoding -------------------------------------------------------------------------------


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
        return self.take(self.uint(size, f"length of {field}"), field)

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


def _server_hello(body: bytes) -> Picked:
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


def _certificates(body: bytes) -> tuple[bytes, ...]:
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


def _key_exchange(picked: Picked, body: bytes) -> Picked:
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


def _lacking(picked: Picked, had: set[int]) -> str | None:
    """The message that this suite cannot do without and that has not come."""
    suite = registry.suites().get(picked.suite)
    if suite is None:
        return None
    if 11 not in had and suite.authentication in ("RSA", "ECDSA", "DSS"):
        return "Certificate"
    if 12 not in had and suite.key_exchange in ("ECDHE", "DHE"):
        return "ServerKeyExchange"
    return None


class Reader:
    """Reads one connection's answer to `hello`, fed in pieces of any size.

    `feed` returns the reply as soon as it is known, else `None`; `end` says what the reply is
    when no more will come. Memory is bounded by `MOST_BYTES`.
    """

    def __init__(self, hello: Hello) -> None:
        self._ssl2 = hello.version is Version.SSLv2
        self._raw = bytearray()
        self._handshake = bytearray()
        self._alert = bytearray()
        self._picked: Picked | None = None
        self._had: set[int] = set()  # kinds of handshake messages
        self._warning: Alert | None = None
        self._heard = 0
        self._idle = 0
        self.reply: Reply | None = None

    def feed(self, data: bytes) -> Reply | None:
        """Take the next bytes; the reply if it is now known."""
        if self.reply is None:
            data = data[: MOST_BYTES - self._heard + 1]  # the same however it is cut
            self._heard += len(data)
            self._raw += data
            try:
                self._records()
                if self.reply is None and self._heard > MOST_BYTES:
                    raise Malformed(f"more than {MOST_BYTES} bytes without an end")
            except Malformed as fault:
                self._stop(Garbage(str(fault)))
        return self.reply

    def end(self, cause: Hangup | Silent) -> Reply:
        """The reply when the stream ended (or went silent) by `cause`."""
        if self.reply is None:
            # A warning said last words where a hang-up follows: some send their refusal as one.
            last: Ending = cause
            if isinstance(cause, Hangup) and self._warning:
                last = self._warning
            if self._raw and not (20 <= self._raw[0] <= 23 or self._ssl2):
                last = Garbage(_not_tls(bytes(self._raw)))
            self._stop(last)
        assert self.reply is not None
        return self.reply

    def _stop(self, ending: Ending) -> None:
        if self._picked is not None:
            self.reply = replace(self._picked, ended=ending)
        else:
            self.reply = ending

    def _records(self) -> None:
        while self.reply is None and self._raw:
            if self._ssl2 and self._raw[0] & 0x80:
                if not self._ssl2_record():
                    return
                continue
            if not 20 <= self._raw[0] <= 23:
                if len(self._raw) < BANNER:  # the first few bytes tell what it is
                    return
                raise Malformed(_not_tls(bytes(self._raw[:BANNER])))
            if len(self._raw) < 5:
                return
            # Some refuse an SSLv2 hello in a record with its own version.
            old = self._ssl2 and self._raw[0] == 21 and self._raw[1:3] == b"\x00\x02"
            if self._raw[1] != 3 and not old:
                raise Malformed(f"record version 0x{self._raw[1]:02X}{self._raw[2]:02X}")
            size = int.from_bytes(self._raw[3:5], "big")
            if size > MOST_RECORD:
                raise Malformed(f"record of {size} bytes")
            if len(self._raw) < 5 + size:
                return
            kind, body = self._raw[0], bytes(self._raw[5 : 5 + size])
            del self._raw[: 5 + size]
            self._record(kind, body)

    def _record(self, kind: int, body: bytes) -> None:
        if kind == 21:
            if not body:
                self._count_idle("empty records")
            self._alert += body
            while self.reply is None and len(self._alert) >= 2:
                level, code = self._alert[0], self._alert[1]
                del self._alert[:2]
                self._on_alert(level, code)
        elif kind == 22:
            if not body:
                self._count_idle("empty records")
            self._handshake += body
            self._messages()
        else:
            name = "ChangeCipherSpec" if kind == 20 else "application data"
            raise Malformed(f"{name} before the end of the first flight")

    def _on_alert(self, level: int, code: int) -> None:
        # A warning does not end a handshake, but for close_notify (RFC 5246, section 7.2).
        if level == 1 and code != 0:
            self._warning = Alert(code)
            self._count_idle("warning alerts")
        else:
            self._stop(Alert(code))

    def _count_idle(self, what: str) -> None:
        self._idle += 1
        if self._idle > MOST_IDLE_MESSAGES:
            raise Malformed(f"more than {MOST_IDLE_MESSAGES} {what}")

    def _messages(self) -> None:
        while self.reply is None and len(self._handshake) >= 4:
            size = int.from_bytes(self._handshake[1:4], "big")
            if size > MOST_MESSAGE:
                raise Malformed(f"handshake message of {size} bytes")
            if len(self._handshake) < 4 + size:
                return
            kind, body = self._handshake[0], bytes(self._handshake[4 : 4 + size])
            del self._handshake[: 4 + size]
            self._message(kind, body)

    def _message(self, kind: int, body: bytes) -> None:
        self._had.add(kind)
        if kind == 0:
            self._count_idle("HelloRequests")
        elif self._picked is None:
            if kind != 2:
                raise Malformed(f"handshake message {kind} instead of ServerHello")
            picked = _server_hello(body)
            if picked.version >= Version.TLSv1_3 or picked.retry:
                self.reply = picked
            else:
                self._picked = picked
        elif kind == 11:
            self._picked = replace(self._picked, certificates=_certificates(body))
        elif kind == 12:
            self._picked = _key_exchange(self._picked, body)
        elif kind == 14:
            if lacking := _lacking(self._picked, self._had):
                raise Malformed(f"ServerHelloDone without {lacking}")
            self.reply = self._picked
        elif kind not in (13, 22, 23):  # CertificateRequest, CertificateStatus, SupplementalData
            raise Malformed(f"handshake message {kind} in the first flight")

    def _ssl2_record(self) -> bool:
        if len(self._raw) < 2:
            return False
        size = int.from_bytes(self._raw[:2], "big") & 0x7FFF
        if len(self._raw) < 2 + size:
            return False
        cursor = Cursor(bytes(self._raw[2 : 2 + size]), "SERVER-HELLO")
        del self._raw[: 2 + size]
        kind = cursor.uint(1, "type")
        if kind == 0:  # ERROR: no cipher in common, which is a refusal
            self.reply = Alert(40)
            return True
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
        self.reply = Ssl2Picked(
            tuple(int.from_bytes(kinds[i : i + 3], "big") for i in range(0, len(kinds), 3)),
            certificate,
        )
        return True


_OTHERS = {b"HTTP/": "HTTP", b"SSH-": "SSH", b"220 ": "SMTP or FTP", b"<": "HTML"}


def _not_tls(data: bytes) -> str:
    for start, name in _OTHERS.items():
        if data.startswith(start):
            return f"not TLS but {name}"
    return f"not TLS (first byte 0x{data[0]:02X})"
