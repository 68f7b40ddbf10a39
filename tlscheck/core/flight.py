"""A server's whole first flight, read closely: what a hello was answered beyond the pick. Pure.

In TLS 1.2 and below it is in clear. In TLS 1.3 all after the ServerHello is sealed (RFC 8446,
section 7.1), with keys that whoever sent one of the `shares` can compute. So the certificates can
be read here too, and the handshake is still never finished: nothing is sent after the hello.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass, fields, replace

from tlscheck.core import registry, shares, wire
from tlscheck.core.messages import Cursor, Malformed, extension_map
from tlscheck.core.registry import Version
from tlscheck.core.reply import Hangup, Hello, Picked, Reply, Silent

STATUS_REQUEST, ALPN, TIMESTAMPS, ENCRYPT_THEN_MAC, EXTENDED_MASTER_SECRET = 5, 16, 18, 22, 23
SESSION_TICKET, RENEGOTIATION_INFO = 35, 0xFF01

MOST_KEPT = 1 << 16  # bytes of one staple or extension that are kept


@dataclass(frozen=True, slots=True)
class Flight(Picked):
    """What a server picked, and what else it said.

    `random` is the ServerHello's (32 bytes), `extensions` are its own and, in TLS 1.3, those of
    EncryptedExtensions and of the leaf, by type; `staple` is an OCSP response (DER), empty when
    there is none; `public` the server's DH or ECDH value. `sealed` says why nothing after a
    ServerHello of TLS 1.3 could be read. `messages`: kinds of handshake messages that came.
    """

    random: bytes = b""
    compression: int = 0
    extensions: tuple[tuple[int, bytes], ...] = ()
    staple: bytes = b""
    public: bytes = b""
    sealed: str | None = None
    messages: frozenset[int] = frozenset()

    def extension(self, kind: int) -> bytes | None:
        """The body of an extension, `None` when it did not come."""
        return next((body for code, body in self.extensions if code == kind), None)


class Reader(wire.Reader):
    """Like `wire.Reader`, but a pick comes out as a `Flight`. `sent` are the bytes of the hello,
    which TLS 1.3 needs to open what follows."""

    def __init__(self, hello: Hello, sent: bytes) -> None:
        super().__init__(hello)
        self._sent = sent[5:]  # without the head of the record
        self._keys: _Opener | None = None
        self._more = Flight(0, 0)

    def feed(self, data: bytes) -> Reply | None:
        """Take the next bytes; the reply if it is now known."""
        return self._as_flight(super().feed(data))

    def end(self, cause: Hangup | Silent) -> Reply:
        """The reply when the stream ended (or went silent) by `cause`."""
        reply = self._as_flight(super().end(cause))
        assert reply is not None
        return reply

    def _as_flight(self, reply: Reply | None) -> Reply | None:
        if isinstance(reply, Picked) and not isinstance(reply, Flight):
            picked = {field.name: getattr(reply, field.name) for field in fields(Picked)}
            self.reply = reply = replace(self._more, **picked, messages=frozenset(self._had))
        return reply

    def _record(self, kind: int, body: bytes) -> None:
        if self._keys is None:
            super()._record(kind, body)
        elif kind == 20:  # for middleboxes: RFC 8446, appendix D.4
            self._count_idle("ChangeCipherSpecs")
        elif kind == 23:
            super()._record(*self._keys.open(body))
        elif kind == 21:  # a server that could not go on may say so in clear
            super()._record(kind, body)
        else:
            raise Malformed(f"record {kind} in clear after the ServerHello")

    def _message(self, kind: int, body: bytes) -> None:
        if self._keys is not None:
            self._opened(kind, body)
            return
        super()._message(kind, body)
        if kind == 2:
            self._server_hello(body)
        elif kind == 12:
            self._more = replace(self._more, public=_public(self._picked, body))
        elif kind == 22:
            self._more = replace(self._more, staple=_staple(body))

    def _server_hello(self, body: bytes) -> None:
        cursor = Cursor(body, "ServerHello")
        cursor.take(2, "version")
        random = cursor.take(32, "random")
        cursor.vector(1, "session id")
        cursor.take(2, "cipher suite")
        compression = cursor.uint(1, "compression method")
        found = extension_map(cursor)
        self._more = replace(
            self._more, random=random, compression=compression, extensions=_kept(found)
        )
        picked = self.reply
        if not isinstance(picked, Picked) or picked.retry or picked.version != Version.TLSv1_3:
            return
        share = Cursor(found.get(51, b""), "key_share")
        if not share.left():
            self._more = replace(self._more, sealed="no key share in the answer")
            return
        group = share.uint(2, "group")
        public = share.vector(2, "key exchange")
        self._more = replace(self._more, public=shares.dh_value(group, public))
        try:
            secret = shares.agreed(group, public)
        except ValueError as fault:
            raise Malformed(f"key_share: {fault}") from None
        suite = registry.suite_name(picked.suite)
        if secret is None or suite not in _SEALS:
            what = registry.group_name(group) if secret is None else suite
            self._more = replace(self._more, sealed=f"cannot be opened under {what}")
            return
        hello = b"\x02" + len(body).to_bytes(3, "big") + body
        self._keys = _Opener(suite, secret, self._sent + hello)
        self._picked, self.reply = picked, None

    def _opened(self, kind: int, body: bytes) -> None:
        """A message of the sealed flight: RFC 8446, section 4.3 and 4.4."""
        assert self._picked is not None
        self._had.add(kind)
        if kind == 8:  # EncryptedExtensions
            found = extension_map(Cursor(body, "EncryptedExtensions"))
            self._more = replace(self._more, extensions=self._more.extensions + _kept(found))
        elif kind == 11:
            self._certificate(body)
        elif kind == 15:  # CertificateVerify
            cursor = Cursor(body, "CertificateVerify")
            self._picked = replace(self._picked, scheme=cursor.uint(2, "signature scheme"))
            self.reply = self._picked
        elif kind == 20:  # Finished
            raise Malformed("Finished without CertificateVerify")
        elif kind != 13:  # CertificateRequest
            raise Malformed(f"handshake message {kind} in the sealed flight")

    def _certificate(self, body: bytes) -> None:
        """RFC 8446, section 4.4.2."""
        assert self._picked is not None
        outer = Cursor(body, "Certificate")
        outer.vector(1, "request context")
        entries = Cursor(outer.vector(3, "certificate list"), "Certificate")
        outer.end()
        chain: list[bytes] = []
        while entries.left():
            chain.append(entries.vector(3, f"certificate {len(chain) + 1}"))
            more = entries.vector(2, "extensions")
            if len(chain) > 1:
                continue
            found = extension_map(Cursor(len(more).to_bytes(2, "big") + more, "leaf"))
            staple = _staple(found.pop(STATUS_REQUEST)) if STATUS_REQUEST in found else b""
            both = self._more.extensions + _kept(found)
            self._more = replace(self._more, extensions=both, staple=staple)
        self._picked = replace(self._picked, certificates=tuple(chain))


def _kept(found: dict[int, bytes]) -> tuple[tuple[int, bytes], ...]:
    return tuple((kind, body) for kind, body in found.items() if len(body) <= MOST_KEPT)


def _staple(body: bytes) -> bytes:
    """CertificateStatus, of one OCSP response: RFC 6066, section 8."""
    cursor = Cursor(body, "CertificateStatus")
    if cursor.uint(1, "status type") != 1:
        return b""
    response = cursor.vector(3, "response")
    return response if len(response) <= MOST_KEPT else b""


def _public(picked: Picked | None, body: bytes) -> bytes:
    """The server's value in a ServerKeyExchange: RFC 8422, section 5.4; RFC 5246, 7.4.3."""
    suite = registry.suites().get(picked.suite) if picked else None
    if suite is None or suite.key_exchange not in ("ECDHE", "DHE"):
        return b""
    cursor = Cursor(body, "ServerKeyExchange")
    if suite.authentication == "PSK":
        cursor.vector(2, "identity hint")
    if suite.key_exchange == "ECDHE":
        if cursor.uint(1, "curve type") != 3:
            return b""
        cursor.take(2, "named curve")
        return cursor.vector(1, "public point")
    cursor.vector(2, "prime")
    cursor.vector(2, "generator")
    return cursor.vector(2, "public value")


# --- opening what TLS 1.3 seals ---------------------------------------------------------------

# Hash and length of the key (RFC 8446, appendix B.4).
_SEALS = {
    "TLS_AES_128_GCM_SHA256": ("sha256", 16),
    "TLS_AES_256_GCM_SHA384": ("sha384", 32),
    "TLS_CHACHA20_POLY1305_SHA256": ("sha256", 32),
    "TLS_AES_128_CCM_SHA256": ("sha256", 16),
    "TLS_AES_128_CCM_8_SHA256": ("sha256", 16),
}


def _expand(name: str, secret: bytes, label: str, context: bytes, size: int) -> bytes:
    """HKDF-Expand-Label: RFC 8446, section 7.1; RFC 5869, section 2.3."""
    words = b"tls13 " + label.encode()
    info = size.to_bytes(2, "big") + bytes((len(words),)) + words
    info += bytes((len(context),)) + context
    done, block, count = b"", b"", 1
    while len(done) < size:
        block = hmac.digest(secret, block + info + bytes((count,)), name)
        done, count = done + block, count + 1
    return done[:size]


class _Opener:
    """Opens the server's handshake records, one after another."""

    def __init__(self, suite: str, shared: bytes, transcript: bytes) -> None:
        name, size = _SEALS[suite]
        empty = hashlib.new(name).digest()
        early = hmac.digest(bytes(len(empty)), bytes(len(empty)), name)
        derived = _expand(name, early, "derived", empty, len(empty))
        secret = hmac.digest(derived, shared, name)
        heard = hashlib.new(name, transcript).digest()
        traffic = _expand(name, secret, "s hs traffic", heard, len(empty))
        self._vector = int.from_bytes(_expand(name, traffic, "iv", b"", 12), "big")
        self._unseal = _cipher(suite, _expand(name, traffic, "key", b"", size))
        self._number = 0

    def open(self, sealed: bytes) -> tuple[int, bytes]:
        """Type and content of a record: RFC 8446, section 5.2."""
        nonce = (self._vector ^ self._number).to_bytes(12, "big")
        self._number += 1
        head = b"\x17\x03\x03" + len(sealed).to_bytes(2, "big")
        plain = self._unseal(nonce, sealed, head).rstrip(b"\0")
        if not plain:
            raise Malformed("sealed record without content")
        return plain[-1], plain[:-1]


def _cipher(suite: str, key: bytes) -> Callable[[bytes, bytes, bytes], bytes]:
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESCCM, AESGCM, ChaCha20Poly1305

    aead: AESCCM | AESGCM | ChaCha20Poly1305
    if "CCM" in suite:
        aead = AESCCM(key, tag_length=8 if "CCM_8" in suite else 16)
    else:
        aead = ChaCha20Poly1305(key) if "CHACHA20" in suite else AESGCM(key)

    def unseal(nonce: bytes, sealed: bytes, head: bytes) -> bytes:
        try:
            return aead.decrypt(nonce, sealed, head)
        except (InvalidTag, ValueError):
            raise Malformed("sealed record cannot be opened") from None

    return unseal
