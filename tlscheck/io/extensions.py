"""The extensions of a certificate that count here, each read on its own (RFC 5280, section 4.2).

A reader takes the parts and a `Note`, and raises `Unreadable` where there is nothing to be had.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

from tlscheck.io.der import (
    ALTERNATIVE_NAMES,
    INTEGER,
    MOST_PART,
    OID,
    SEQUENCE,
    Parts,
    Unreadable,
    content,
    count,
    encoded,
    extension_value,
    general_name,
    inside,
    items,
    translated,
)
from tlscheck.io.fields import Note, cut

if TYPE_CHECKING:
    from cryptography import x509

MOST_NAMES = 100  # subject alternative names, extended key usages
TIMESTAMPS = encoded(OID, bytes.fromhex("2b06010401d679020402"))  # RFC 6962, section 3.3

_KEY_USAGE = encoded(OID, b"\x55\x1d\x0f")
_BASIC_CONSTRAINTS = encoded(OID, b"\x55\x1d\x13")
_CRL_POINTS = encoded(OID, b"\x55\x1d\x1f")
_EXTENDED_KEY_USAGE = encoded(OID, b"\x55\x1d\x25")
_AUTHORITY_INFORMATION = encoded(OID, bytes.fromhex("2b06010505070101"))
_TLS_FEATURE = encoded(OID, bytes.fromhex("2b06010505070118"))


def names(parts: Parts, note: Note, most: int = MOST_NAMES) -> dict[str, Any]:
    found: dict[str, Any] = {"dns": [], "ip": [], "others": [], "more": 0}
    extension = parts.extension(ALTERNATIVE_NAMES)
    if extension is None:
        return found
    body, at = inside(content(extension), SEQUENCE), 0
    try:
        for item in islice(items(body), most):
            at += len(item.whole)
            try:
                with translated():
                    _sort(general_name(item.whole), found)
            except Unreadable as fault:
                found["more"] += 1
                note(f"one is left out: {fault}")
    except Unreadable as fault:
        note(f"the list breaks off: {fault}")
    found["more"] += count(body, at)
    return found


def _sort(name: x509.GeneralName, found: dict[str, Any]) -> None:
    """Put one name where it belongs."""
    from cryptography import x509

    match name:
        case x509.DNSName(value=text):
            found["dns"].append(cut(text))
            return
        case x509.IPAddress(value=address):
            found["ip"].append(str(address))
            return
        case x509.RFC822Name(value=text):
            kind = "email"
        case x509.UniformResourceIdentifier(value=text):
            kind = "uri"
        case x509.DirectoryName(value=directory):
            kind, text = "directory", directory.rfc4514_string()
        case x509.RegisteredID(value=oid):
            kind, text = "oid", oid.dotted_string
        case x509.OtherName(type_id=oid):  # its value is anything at all
            kind, text = "other", oid.dotted_string
        case _:
            raise Unreadable("of a kind that is not known")
    found["others"].append({"kind": kind, "value": cut(text)})


def basic_constraints(parts: Parts, note: Note) -> dict[str, Any] | None:
    extension = parts.extension(_BASIC_CONSTRAINTS)
    if extension is None:
        return None
    value = extension_value(extension)
    if (value.path_length or 0) > 0xFFFF:
        raise Unreadable("path length is larger than 65535")
    return {"ca": value.ca, "path_length": value.path_length}


_USAGES = ("digitalSignature", "contentCommitment", "keyEncipherment", "dataEncipherment",
           "keyAgreement", "keyCertSign", "cRLSign", "encipherOnly", "decipherOnly")  # fmt: skip


def key_usage(parts: Parts, note: Note) -> list[str] | None:
    extension = parts.extension(_KEY_USAGE)
    if extension is None:
        return None
    unused, *octets = inside(content(extension), 0x03)  # a BIT STRING; bit 0 is the highest
    if unused > 7 or len(octets) > 2:
        raise Unreadable("malformed (bits)")
    bits = "".join(f"{octet:08b}" for octet in octets)
    return [name for name, bit in zip(_USAGES, bits, strict=False) if bit == "1"]


# RFC 5280, section 4.2.1.12; RFC 6960, section 4.2.2.2.
_PURPOSES = {
    "2.5.29.37.0": "anyExtendedKeyUsage",
    "1.3.6.1.5.5.7.3.1": "serverAuth",
    "1.3.6.1.5.5.7.3.2": "clientAuth",
    "1.3.6.1.5.5.7.3.3": "codeSigning",
    "1.3.6.1.5.5.7.3.4": "emailProtection",
    "1.3.6.1.5.5.7.3.8": "timeStamping",
    "1.3.6.1.5.5.7.3.9": "OCSPSigning",
}


def extended_key_usage(parts: Parts, note: Note) -> list[str] | None:
    extension = parts.extension(_EXTENDED_KEY_USAGE)
    if extension is None:
        return None
    every = [purpose.dotted_string for purpose in extension_value(extension)]
    if len(every) > MOST_NAMES:
        note(f"the first {MOST_NAMES} of {len(every)}")
    return [_PURPOSES.get(oid, oid) for oid in every[:MOST_NAMES]]


def must_staple(parts: Parts, note: Note) -> bool:
    extension = parts.extension(_TLS_FEATURE)
    if extension is None:
        return False
    if len(extension) > MOST_PART:
        raise Unreadable(f"longer than {MOST_PART} bytes")
    # A SEQUENCE of INTEGER, each an extension of TLS; cryptography knows but two of them.
    features = list(items(inside(content(extension), SEQUENCE)))
    if any(item.tag != INTEGER for item in features):
        raise Unreadable("malformed (structure)")
    return any(item.body == b"\x05" for item in features)


def scts(parts: Parts, note: Note) -> int:
    extension = parts.extension(TIMESTAMPS)
    return 0 if extension is None else len(extension_value(extension))


_ACCESS = {"1.3.6.1.5.5.7.48.1": "ocsp", "1.3.6.1.5.5.7.48.2": "ca_issuers"}


def urls(parts: Parts, note: Note) -> dict[str, int]:
    from cryptography import x509

    found = {"ocsp": 0, "ca_issuers": 0, "crl": 0}
    if (extension := parts.extension(_AUTHORITY_INFORMATION)) is not None:
        for access in extension_value(extension):
            kind = _ACCESS.get(access.access_method.dotted_string)
            if kind and isinstance(access.access_location, x509.UniformResourceIdentifier):
                found[kind] += 1
    if (extension := parts.extension(_CRL_POINTS)) is not None:
        for point in extension_value(extension):
            names = point.full_name or ()
            found["crl"] += sum(isinstance(n, x509.UniformResourceIdentifier) for n in names)
    return found
