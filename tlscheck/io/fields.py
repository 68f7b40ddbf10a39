"""The fields of a certificate but for its extensions, each read on its own (RFC 5280, section 4.1).

A reader takes the parts and a `Note`, and raises `Unreadable` where there is nothing to be had.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from itertools import islice
from typing import TYPE_CHECKING, Any

from tlscheck.io.der import (
    INTEGER,
    MOST_PART,
    OID,
    SEQUENCE,
    SET,
    Parts,
    Unreadable,
    alone,
    dotted,
    encoded,
    first,
    inside,
    items,
    translated,
)
from tlscheck.io.secret import masked

if TYPE_CHECKING:
    from cryptography import x509

MOST_ATTRIBUTES = 64  # of one subject or issuer
MOST_TEXT = 512  # characters of one string
MOST_SERIAL = 64  # bytes; RFC 5280, section 4.1.2.2 allows 20

Note = Callable[[str], str]
"""Says that a value is not whole, and why."""


def version(parts: Parts, note: Note) -> int:
    parts.get("serial")  # without it nothing tells that a version was left out
    if "version" not in parts.fields:
        return 1
    number = int.from_bytes(inside(parts.fields["version"], 0xA0, INTEGER)[:8], "big") + 1
    if number not in (1, 2, 3):
        raise Unreadable("malformed (not 1 to 3)")
    return number


def serial(parts: Parts, note: Note) -> str:
    body = inside(parts.get("serial"), INTEGER)
    if not body:
        raise Unreadable("malformed (empty)")
    if len(body) > MOST_SERIAL:
        note(f"the first {MOST_SERIAL} of {len(body)} bytes")
        return body[:MOST_SERIAL].hex()
    number = int.from_bytes(body, "big", signed=True)
    digits = f"{abs(number):x}"
    return "-" * (number < 0) + "0" * (len(digits) % 2) + digits


# RFC 4055, 5758, 8410, 8702, 9688, 9881; RFC 3279 for the old ones.
_SIGNATURES = {
    "1.2.840.113549.1.1.2": "md2WithRSAEncryption",
    "1.2.840.113549.1.1.4": "md5WithRSAEncryption",
    "1.2.840.113549.1.1.5": "sha1WithRSAEncryption",
    "1.2.840.113549.1.1.10": "RSASSA-PSS",
    "1.2.840.113549.1.1.11": "sha256WithRSAEncryption",
    "1.2.840.113549.1.1.12": "sha384WithRSAEncryption",
    "1.2.840.113549.1.1.13": "sha512WithRSAEncryption",
    "1.2.840.113549.1.1.14": "sha224WithRSAEncryption",
    "1.2.840.10040.4.3": "dsa-with-sha1",
    "2.16.840.1.101.3.4.3.1": "dsa-with-sha224",
    "2.16.840.1.101.3.4.3.2": "dsa-with-sha256",
    "2.16.840.1.101.3.4.3.3": "dsa-with-sha384",
    "2.16.840.1.101.3.4.3.4": "dsa-with-sha512",
    "1.2.840.10045.4.1": "ecdsa-with-SHA1",
    "1.2.840.10045.4.3.1": "ecdsa-with-SHA224",
    "1.2.840.10045.4.3.2": "ecdsa-with-SHA256",
    "1.2.840.10045.4.3.3": "ecdsa-with-SHA384",
    "1.2.840.10045.4.3.4": "ecdsa-with-SHA512",
    "2.16.840.1.101.3.4.3.10": "id-ecdsa-with-sha3-256",
    "2.16.840.1.101.3.4.3.11": "id-ecdsa-with-sha3-384",
    "2.16.840.1.101.3.4.3.12": "id-ecdsa-with-sha3-512",
    "2.16.840.1.101.3.4.3.14": "id-rsassa-pkcs1-v1-5-with-sha3-256",
    "2.16.840.1.101.3.4.3.15": "id-rsassa-pkcs1-v1-5-with-sha3-384",
    "2.16.840.1.101.3.4.3.16": "id-rsassa-pkcs1-v1-5-with-sha3-512",
    "1.3.101.112": "Ed25519",
    "1.3.101.113": "Ed448",
    "2.16.840.1.101.3.4.3.17": "ML-DSA-44",
    "2.16.840.1.101.3.4.3.18": "ML-DSA-65",
    "2.16.840.1.101.3.4.3.19": "ML-DSA-87",
}
_OLD_HASHES = {"1.2.840.113549.1.1.2": "md2", "1.2.840.113549.1.1.4": "md5"}


def signature(parts: Parts, note: Note) -> dict[str, str | None]:
    inner = parts.get("inner signature")
    if parts.fields.get("signature", inner) != inner:
        note("differs inside and outside")  # RFC 5280, section 4.1.1.2
    oid = dotted(first(inner))
    found: dict[str, str | None] = {"oid": oid, "name": _SIGNATURES.get(oid), "hash": None}
    try:
        with translated():
            algorithm = alone(algorithm=inner).signature_hash_algorithm
            found["hash"] = algorithm.name if algorithm else None
    except Unreadable as fault:
        found["hash"] = _OLD_HASHES.get(oid)
        if not found["hash"] and found["name"]:
            note(f"hash: {fault}")
    return found


def cut(text: str) -> str:
    """`text`, or its beginning (without half an escape) and an ellipsis."""
    if len(text) > MOST_TEXT:
        text = masked(text)  # before a secret is cut in two
    return text if len(text) <= MOST_TEXT else text[:MOST_TEXT].rstrip("\\") + "…"


def _attributes(der: bytes, note: Note) -> list[list[bytes]]:
    """The attributes of a Name (RFC 5280, section 4.1.2.4), one by one, by RDN."""
    found: list[list[bytes]] = []
    room = MOST_ATTRIBUTES
    for rdn in items(inside(der, SEQUENCE)):
        if rdn.tag != SET or not rdn.body:
            raise Unreadable("malformed (RDN)")
        few = [item.whole for item in islice(items(rdn.body), MOST_ATTRIBUTES + 1)]
        found.append(few[:room])
        room -= len(few)
        if room < 0:
            note(f"the first {MOST_ATTRIBUTES} attributes")
            break
    return [rdn for rdn in found if rdn]


def _attribute(der: bytes) -> x509.NameAttribute[Any]:
    if len(der) > MOST_PART:
        raise Unreadable(f"longer than {MOST_PART} bytes")
    with translated():
        return next(iter(alone(name=encoded(SEQUENCE, encoded(SET, der))).subject))


def _attribute_text(der: bytes) -> str:
    """`CN=a.example`; a value that is no text as RFC 4514, section 2.4 has it: `CN=#05`..."""
    try:
        return cut(_attribute(der).rfc4514_string())
    except Unreadable:
        pair = list(islice(items(inside(der, SEQUENCE)), 3))
        if len(pair) != 2:
            raise
        oid = dotted(pair[0].whole)
        return cut(f"{_SHORT.get(oid, oid)}=#{pair[1].whole[:MOST_TEXT].hex()}")


# RFC 4514, section 3.
_SHORT = {"2.5.4.3": "CN", "2.5.4.7": "L", "2.5.4.8": "ST", "2.5.4.10": "O", "2.5.4.11": "OU",
          "2.5.4.6": "C", "2.5.4.9": "STREET", "0.9.2342.19200300.100.1.25": "DC",
          "0.9.2342.19200300.100.1.1": "UID"}  # fmt: skip


def name(which: str, parts: Parts, note: Note) -> str:
    # The last RDN comes first: RFC 4514, section 2.1.
    rdns = reversed(_attributes(parts.get(which), note))
    return ",".join("+".join(map(_attribute_text, rdn)) for rdn in rdns)


_COMMON_NAME = encoded(OID, b"\x55\x04\x03")


def common_names(parts: Parts, note: Note) -> list[str]:
    found: list[str] = []
    for der in (der for rdn in _attributes(parts.get("subject"), note) for der in rdn):
        try:
            attribute = _attribute(der)
        except Unreadable as fault:
            if first(der) == _COMMON_NAME:
                note(f"one is left out: {fault}")
            continue
        if attribute.oid.dotted_string == "2.5.4.3":
            found.append(cut(str(attribute.value)))
    return found


def time(which: int, parts: Parts, note: Note) -> str:
    """RFC 5280, section 4.1.2.5; as RFC 3339 has it."""
    both = list(islice(items(inside(parts.get("validity"), SEQUENCE)), which + 1))
    if len(both) <= which:
        raise Unreadable("malformed (structure)")
    time = alone(time=both[which].whole).not_valid_before_utc
    return time.replace(tzinfo=None).isoformat() + "Z"


# RFC 3279, 4055, 5480, 8410, 9881.
_KEYS = {
    "1.2.840.113549.1.1.1": "RSA",
    "1.2.840.113549.1.1.7": "RSA-OAEP",
    "1.2.840.113549.1.1.10": "RSA-PSS",
    "1.2.840.10040.4.1": "DSA",
    "1.2.840.10046.2.1": "DH",
    "1.2.840.113549.1.3.1": "DH",
    "1.2.840.10045.2.1": "EC",
    "1.3.101.110": "X25519",
    "1.3.101.111": "X448",
    "1.3.101.112": "Ed25519",
    "1.3.101.113": "Ed448",
    "2.16.840.1.101.3.4.3.17": "ML-DSA-44",
    "2.16.840.1.101.3.4.3.18": "ML-DSA-65",
    "2.16.840.1.101.3.4.3.19": "ML-DSA-87",
}
_BITS = {"X25519": 256, "X448": 448, "Ed25519": 256, "Ed448": 456}  # of the public key


def key(parts: Parts, note: Note) -> dict[str, Any]:
    """RFC 5280, section 4.1.2.7. What the key is for is known even where the key is broken."""
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    der = parts.get("key")
    algorithm = first(der)
    oid = dotted(first(algorithm))
    found: dict[str, Any] = {"type": _KEYS.get(oid, oid)}
    try:
        with translated():
            key = load_der_public_key(der)
    except Unreadable as fault:
        note(f"size: {fault}")
        if found["type"] == "EC":
            for curve in islice(items(inside(algorithm, SEQUENCE)), 1, 2):
                found["curve"] = dotted(curve.whole)
        return found
    found["bits"] = getattr(key, "key_size", _BITS.get(found["type"]))
    if isinstance(key, EllipticCurvePublicKey):
        found["curve"] = key.curve.name
    return found


def pin(parts: Parts, note: Note) -> str:
    return base64.b64encode(hashlib.sha256(parts.get("key")).digest()).decode()
