"""A certificate cut into the DER of its fields (X.690), each then read on its own.

`cryptography` reads a certificate whole or not at all, and all its extensions or none. So a small
walk finds the parts, and cryptography reads each inside a blank certificate of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any

from tlscheck.io.secret import masked

if TYPE_CHECKING:
    from cryptography import x509

MOST_EXTENSIONS = 100
MOST_PART = 16 << 10  # bytes of an attribute, a name or an extension (but for names) that is read


class Unreadable(Exception):
    """A part is not as its definition says; the text says what is wrong, in a few words."""


@contextmanager
def translated() -> Iterator[None]:
    """Whatever cryptography raises, as `Unreadable`: it has no base class for that."""
    try:
        yield
    except Unreadable:
        raise
    except BaseException as fault:
        # A panic of its Rust code is no Exception, and its class has no importable name.
        if not isinstance(fault, Exception) and type(fault).__name__ != "PanicException":
            raise
        raise Unreadable(_words(fault)) from None


def _words(fault: BaseException) -> str:
    """A short reason, in ASCII whatever bytes the fault quotes."""
    if kind := re.search(r"kind: (\w+)", str(fault)):
        return f"malformed ({kind[1]})"
    text = masked(str(fault).partition("\n")[0])[:100] or "cannot be read"
    return f"{type(fault).__name__}: {text}".encode("ascii", "backslashreplace").decode()


INTEGER, OCTETS, OID, SEQUENCE, SET = 0x02, 0x04, 0x06, 0x30, 0x31


@dataclass(frozen=True, slots=True)
class Item:
    """One tag, length and value (X.690, section 8.1); `whole` has all three."""

    tag: int
    whole: bytes
    body: bytes


def _head(data: bytes, at: int) -> tuple[int, int, int]:
    """Tag, and where the value starts and ends (perhaps past `data`), of what is at `at`.

    Lengths that are longer than they need be are let through: it is cryptography that minds.
    """
    if at + 2 > len(data):
        raise Unreadable("cut short")
    tag, size, start = data[at], data[at + 1], at + 2
    if tag & 0x1F == 0x1F:
        raise Unreadable("has a tag of several bytes")
    if size == 0x80 or size > 0x84:
        raise Unreadable("has no definite length")
    if size > 0x80:
        start += size - 0x80
        if start > len(data):
            raise Unreadable("cut short")
        size = int.from_bytes(data[at + 2 : start], "big")
    return tag, start, start + size


def items(data: bytes, at: int = 0) -> Iterator[Item]:
    """What stands one after another from `at` on; raises `Unreadable` at what is broken."""
    while at < len(data):
        tag, start, end = _head(data, at)
        if end > len(data):
            raise Unreadable("runs past the end")
        yield Item(tag, data[at:end], data[start:end])
        at = end


def count(data: bytes, at: int) -> int:
    """How many items there are from `at` on, up to the first that is broken."""
    size, many = len(data), 0
    while at < size:
        if at + 1 < size and data[at + 1] < 0x80 and data[at] & 0x1F != 0x1F:
            at += 2 + data[at + 1]  # most are short, and there may be 200,000
        else:
            try:
                _, _, at = _head(data, at)
            except Unreadable:
                break
        many += at <= size
    return many


def inside(data: bytes, *tags: int) -> bytes:
    """The value of the only item in `data`, of the only item in that, and so on."""
    for tag in tags:
        found = list(islice(items(data), 2))
        if len(found) != 1 or found[0].tag != tag:
            raise Unreadable("malformed (structure)")
        data = found[0].body
    return data


def content(extension: bytes) -> bytes:
    """The value of an extension: what its OCTET STRING holds, without cryptography."""
    *_, value = islice(items(inside(extension, SEQUENCE)), 3)
    return inside(value.whole, OCTETS)


def first(sequence: bytes) -> bytes:
    """The DER of the first item in a SEQUENCE."""
    for item in items(inside(sequence, SEQUENCE)):
        return item.whole
    raise Unreadable("malformed (empty)")


# RFC 5280, section 4.1: name, tag, and whether it may be left out.
_TBS = (
    ("version", 0xA0, True),
    ("serial", INTEGER, False),
    ("inner signature", SEQUENCE, False),
    ("issuer", SEQUENCE, False),
    ("validity", SEQUENCE, False),
    ("subject", SEQUENCE, False),
    ("key", SEQUENCE, False),
    ("issuer id", 0x81, True),
    ("subject id", 0x82, True),
    ("extensions", 0xA3, True),
)


@dataclass(slots=True)
class Parts:
    """A certificate cut into the DER of its fields, as far as it holds together.

    `fault` says where it does not, `ended` whether there is surely no other field.
    """

    fields: dict[str, bytes] = field(default_factory=dict)
    extensions: dict[bytes, list[bytes]] = field(default_factory=dict)
    fault: str | None = None
    ended: bool = False
    extension_fault: str | None = None

    @classmethod
    def of(cls, der: bytes) -> Parts:
        parts = cls()
        try:
            parts._frame(der)
        except Unreadable as fault:
            parts.fault = str(fault)
        try:
            parts._extensions()
        except Unreadable as fault:
            parts.extension_fault = f"list of extensions: {fault}"
        return parts

    def _frame(self, der: bytes) -> None:
        outer, at, end = _head(der, 0)
        inner, at, inner_end = _head(der, at)
        if (outer, inner) != (SEQUENCE, SEQUENCE):
            raise Unreadable("not a certificate")
        # A wrong length of the frame is told, and does not hide the fields in it.
        for name, tag, optional in _TBS:
            if at < len(der) and der[at] == tag:
                at = self._take(der, at, name)
            elif not optional:
                raise Unreadable(f"{name}: not where it should be")
        self.ended = at == inner_end
        if not self.ended:
            raise Unreadable("its length is not that of its fields")
        at = self._take(der, at, "signature")
        tag, _, at = _head(der, at)
        if tag != 0x03 or at != end:
            raise Unreadable("signature: malformed (structure)")
        if end != len(der):
            raise Unreadable(
                f"{len(der) - end} bytes after its end" if end < len(der) else "cut short"
            )

    def _take(self, der: bytes, at: int, name: str) -> int:
        try:
            _, _, end = _head(der, at)
        except Unreadable as fault:
            raise Unreadable(f"{name}: {fault}") from None
        if end > len(der):
            raise Unreadable(f"{name}: runs past the end")
        self.fields[name] = der[at:end]
        return end

    def _extensions(self) -> None:
        """RFC 5280, section 4.2: each whole, by the DER of its OID."""
        if "extensions" not in self.fields:
            return
        body = inside(self.fields["extensions"], 0xA3, SEQUENCE)
        for nth, item in enumerate(items(body)):
            if nth == MOST_EXTENSIONS:
                raise Unreadable(f"more than {MOST_EXTENSIONS}")
            try:
                self.extensions.setdefault(first(item.whole), []).append(item.whole)
            except Unreadable as fault:  # it may be any of them, and the rest are still there
                self.extension_fault = f"extension {nth + 1}: {fault}"

    def get(self, name: str) -> bytes:
        """The DER of a field. Raises `Unreadable` where the walk did not get to it."""
        if name not in self.fields:
            raise Unreadable(f"not reached ({self.fault})")
        return self.fields[name]

    def extension(self, kind: bytes) -> bytes | None:
        """The DER of one extension, `None` when there is none; raises where that is not known."""
        found = self.extensions.get(kind, [])
        if len(found) > 1:
            raise Unreadable(f"extension is there {len(found)} times")
        if found:
            return found[0]
        if self.extension_fault:
            raise Unreadable(f"not reached ({self.extension_fault})")
        if not self.ended:
            raise Unreadable(f"not reached ({self.fault})")
        return None


# --- the blank certificate -------------------------------------------------------------------


def encoded(tag: int, *bodies: bytes) -> bytes:
    body = b"".join(bodies)
    if len(body) < 0x80:
        return bytes((tag, len(body))) + body
    size = len(body).to_bytes((len(body).bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(size))) + size + body


ALTERNATIVE_NAMES = encoded(OID, b"\x55\x1d\x11")
_NO_NAME = encoded(SEQUENCE)
_A_TIME = encoded(0x17, b"700101000000Z")
_AN_ALGORITHM = encoded(SEQUENCE, encoded(OID, b"\x2b\x65\x70"))  # Ed25519: RFC 8410, section 3
_A_KEY = encoded(SEQUENCE, _AN_ALGORITHM, encoded(0x03, bytes(33)))


def alone(
    *,
    name: bytes = _NO_NAME,
    time: bytes = _A_TIME,
    algorithm: bytes = _AN_ALGORITHM,
    extension: bytes = b"",
) -> x509.Certificate:
    """A certificate that is blank but for the parts given (the name is the subject, the time is
    not before), as cryptography reads it. Raises what cryptography does."""
    from cryptography import x509

    tbs = encoded(
        SEQUENCE,
        encoded(0xA0, b"\x02\x01\x02"),
        b"\x02\x01\x01",
        algorithm,
        _NO_NAME,
        encoded(SEQUENCE, time, _A_TIME),
        name,
        _A_KEY,
        encoded(0xA3, encoded(SEQUENCE, extension)) if extension else b"",
    )
    return x509.load_der_x509_certificate(encoded(SEQUENCE, tbs, algorithm, encoded(0x03, b"\x00")))


def extension_value(extension: bytes) -> Any:
    """What cryptography makes of one extension."""
    if len(extension) > MOST_PART:
        raise Unreadable(f"longer than {MOST_PART} bytes")
    return next(iter(alone(extension=extension).extensions)).value


def general_name(der: bytes) -> x509.GeneralName:
    """One GeneralName (RFC 5280, section 4.2.1.6)."""
    value = encoded(OCTETS, encoded(SEQUENCE, der))
    (name,) = extension_value(encoded(SEQUENCE, ALTERNATIVE_NAMES, value))
    found: x509.GeneralName = name
    return found


def dotted(oid: bytes) -> str:
    """The dotted string of an OID's DER."""
    if not oid or oid[0] != OID:
        raise Unreadable("malformed (OID)")
    text: str = general_name(b"\x88" + oid[1:]).value.dotted_string
    return text
