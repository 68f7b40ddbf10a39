"""A certificate as plain data for the report: names, dates and numbers, from bytes that may lie.

Each field is read on its own (`der`): one bad field costs that field alone. What cannot be read is
absent and has its reason in `problems`; nothing that a certificate points at is ever fetched, and
no signature, name or date is trusted or judged here.
"""

from __future__ import annotations

import base64
import hashlib
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any

from tlscheck.io.der import (
    ALTERNATIVE_NAMES,
    INTEGER,
    MOST_PART,
    OCTETS,
    OID,
    SEQUENCE,
    SET,
    Parts,
    Unreadable,
    alone,
    count,
    dotted,
    encoded,
    extension_value,
    first,
    general_name,
    inside,
    items,
    translated,
)

if TYPE_CHECKING:
    from cryptography import x509

# Bounds: bytes of input, numbers of things that are listed, characters of one string.
MOST_BYTES = 512 << 10
MOST_NAMES = 100  # subject alternative names, extended key usages
MOST_ATTRIBUTES = 64  # of one subject or issuer
MOST_CHAIN = 16  # certificates that are read
MOST_TEXT = 512
MOST_SERIAL = 64  # bytes; RFC 5280, section 4.1.2.2 allows 20


def read(der: bytes) -> dict[str, Any]:
    """What one DER certificate says (RFC 5280, section 4.1), ready for JSON. Never raises.

    A field that cannot be read is absent, and `problems` has one short reason under its name; so
    has a list that is not whole. `problems["certificate"]` is about the frame around the fields; of
    more than `MOST_BYTES` nothing is read. Work and memory are linear in the size.
    An extension that is not there gives the value in brackets. Strings are as the certificate has
    them, cut at `MOST_TEXT` characters: clean them before they are shown.

    - `fingerprint`: SHA-256 of `der`, hex; `size`: bytes
    - `version`: 1 to 3
    - `serial`: hex, cut at `MOST_SERIAL` bytes; below zero with a minus
    - `signature`: `oid`, `name` and `hash` (both `None` where there is none)
    - `issuer`, `subject`: RFC 4514 strings; a value that is no text is `#` and its hex
    - `issuer_der`, `subject_der`: hex of what was sent, at most `MOST_TEXT` bytes of it, and only
      where the string cannot be had
    - `common_names`: those of the subject
    - `not_before`, `not_after`: UTC, RFC 3339
    - `key`: `type` (or its OID), `bits`, for EC the `curve` (its TLS group name, else its OID)
    - `pin`: SHA-256 of the SubjectPublicKeyInfo, base64 (RFC 7469, section 2.4)
    - `names`: subject alternative names (4.2.1.6): `dns`, `ip`, and `others`, a list of `kind`
      and `value`; `more`: how many are not listed [empty lists and 0]
    - `basic_constraints`: `ca`, and `path_length` or `None` (4.2.1.9) [`None`]
    - `key_usage` (4.2.1.3), `extended_key_usage` (4.2.1.12): names, or OIDs [`None`]
    - `must_staple`: TLS feature status_request (RFC 7633, section 4.2.3.1) [false]
    - `scts`: number of embedded timestamps (RFC 6962, section 3.3) [0]
    - `urls`: how many of `ocsp`, `ca_issuers` (4.2.2.1) and `crl` (4.2.1.13) [0 each]
    """
    found: dict[str, Any] = {"fingerprint": hashlib.sha256(der).hexdigest(), "size": len(der)}
    problems: dict[str, str] = {}
    if len(der) > MOST_BYTES:
        return {**found, "problems": {"certificate": f"larger than {MOST_BYTES} bytes"}}
    parts = Parts.of(der)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of cryptography, about each oddity: they are not for us
        if fault := parts.fault or _whole_fault(der):
            problems["certificate"] = fault
        for name, reader in _FIELDS.items():
            try:
                with translated():
                    found[name] = reader(parts, partial(problems.setdefault, name))
            except Unreadable as fault:
                problems[name] = str(fault)
    for name in ("issuer", "subject"):
        if name not in found and name in parts.fields:
            found[f"{name}_der"] = parts.fields[name][:MOST_TEXT].hex()
    return {**found, "problems": problems}


def chain(ders: Sequence[bytes]) -> list[dict[str, Any]]:
    """The certificates of a chain as sent, leaf first, each as `read` gives it, at most
    `MOST_CHAIN` of them. Facts by name alone (RFC 5280, section 6.1), no trust decision.

    Each has also its `position` (0 is the leaf), `self_issued`, and `issued_by_next` (`None` for
    the last and where a name cannot be read). The leaf has `chain` besides:

    - `sent`: how many were sent, of which `read` are here
    - `path`: positions, from the leaf to issuer after issuer as far as they were sent
    - `in_order`: each one certifies the one before it, as far as the path goes (RFC 5246, 7.4.2)
    - `extra`: positions that are not on the path
    - `complete`: the path ends with one that names itself as its issuer
    - `awaited`: the issuer that would be next on the path; `None` when complete. A root is often
      left out: only a trust store can tell whether more is missing.
    """
    few = ders[:MOST_CHAIN]
    names = [_names_of(der) for der in few]
    found = [
        {
            **read(der),
            "position": at,
            "self_issued": None if None in names[at] else names[at][0] == names[at][1],
            "issued_by_next": _issued(names[at], names[at + 1]) if at + 1 < len(few) else None,
        }
        for at, der in enumerate(few)
    ]
    if found:
        path = _path(names)
        last = path[-1]
        complete = found[last]["self_issued"] is True
        found[0]["chain"] = {
            "sent": len(ders),
            "read": len(few),
            "path": path,
            "in_order": path == list(range(len(path))),
            "extra": [at for at in range(len(few)) if at not in path],
            "complete": complete,
            "awaited": None if complete else found[last].get("issuer"),
        }
    return found


def _whole_fault(der: bytes) -> str | None:
    """Why cryptography refuses the certificate as it is, although it can be cut into its parts."""
    from cryptography import x509

    try:
        with translated():
            x509.load_der_x509_certificate(der)
    except Unreadable as fault:
        return str(fault)
    return None


_Names = tuple[bytes | None, bytes | None]  # subject and issuer, DER


def _names_of(der: bytes) -> _Names:
    fields = Parts.of(der[:MOST_BYTES]).fields
    return fields.get("subject"), fields.get("issuer")


def _issued(one: _Names, other: _Names) -> bool | None:
    issuer, subject = one[1], other[0]
    return None if issuer is None or subject is None else issuer == subject


def _path(names: Sequence[_Names]) -> list[int]:
    """From the leaf to issuer after issuer; the next one sent goes before others of its name."""
    path = [0]
    while names[path[-1]][0] != names[path[-1]][1]:
        at = path[-1]
        later = [*range(at + 1, len(names)), *range(at)]
        issuer = next((i for i in later if i not in path and _issued(names[at], names[i])), None)
        if issuer is None:
            break
        path.append(issuer)
    return path


# --- the fields ------------------------------------------------------------------------------

Note = Callable[[str], str]
"""Says that a value is not whole, and why."""


def _version(parts: Parts, note: Note) -> int:
    parts.get("serial")  # without it nothing tells that a version was left out
    if "version" not in parts.fields:
        return 1
    number = int.from_bytes(inside(parts.fields["version"], 0xA0, INTEGER)[:8], "big") + 1
    if number not in (1, 2, 3):
        raise Unreadable("malformed (not 1 to 3)")
    return number


def _serial(parts: Parts, note: Note) -> str:
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


def _signature(parts: Parts, note: Note) -> dict[str, str | None]:
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


def _cut(text: str) -> str:
    """`text`, or its beginning (without half an escape) and an ellipsis."""
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
        return _cut(_attribute(der).rfc4514_string())
    except Unreadable:
        pair = list(islice(items(inside(der, SEQUENCE)), 3))
        if len(pair) != 2:
            raise
        oid = dotted(pair[0].whole)
        return _cut(f"{_SHORT.get(oid, oid)}=#{pair[1].whole[:MOST_TEXT].hex()}")


# RFC 4514, section 3.
_SHORT = {"2.5.4.3": "CN", "2.5.4.7": "L", "2.5.4.8": "ST", "2.5.4.10": "O", "2.5.4.11": "OU",
          "2.5.4.6": "C", "2.5.4.9": "STREET", "0.9.2342.19200300.100.1.25": "DC",
          "0.9.2342.19200300.100.1.1": "UID"}  # fmt: skip


def _name(which: str, parts: Parts, note: Note) -> str:
    # The last RDN comes first: RFC 4514, section 2.1.
    rdns = reversed(_attributes(parts.get(which), note))
    return ",".join("+".join(map(_attribute_text, rdn)) for rdn in rdns)


def _common_names(parts: Parts, note: Note) -> list[str]:
    found: list[str] = []
    for der in (der for rdn in _attributes(parts.get("subject"), note) for der in rdn):
        try:
            attribute = _attribute(der)
        except Unreadable as fault:
            if first(der) == _COMMON_NAME:
                note(f"one is left out: {fault}")
            continue
        if attribute.oid.dotted_string == "2.5.4.3":
            found.append(_cut(str(attribute.value)))
    return found


def _time(which: int, parts: Parts, note: Note) -> str:
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


def _key(parts: Parts, note: Note) -> dict[str, Any]:
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


def _pin(parts: Parts, note: Note) -> str:
    return base64.b64encode(hashlib.sha256(parts.get("key")).digest()).decode()


# --- the extensions --------------------------------------------------------------------------

_COMMON_NAME = encoded(OID, b"\x55\x04\x03")
_KEY_USAGE = encoded(OID, b"\x55\x1d\x0f")
_BASIC_CONSTRAINTS = encoded(OID, b"\x55\x1d\x13")
_CRL_POINTS = encoded(OID, b"\x55\x1d\x1f")
_EXTENDED_KEY_USAGE = encoded(OID, b"\x55\x1d\x25")
_AUTHORITY_INFORMATION = encoded(OID, bytes.fromhex("2b06010505070101"))
_TLS_FEATURE = encoded(OID, bytes.fromhex("2b06010505070118"))
_TIMESTAMPS = encoded(OID, bytes.fromhex("2b06010401d679020402"))


def _content(extension: bytes) -> bytes:
    """The extension's value: what its OCTET STRING holds, without cryptography."""
    *_, value = islice(items(inside(extension, SEQUENCE)), 3)
    return inside(value.whole, OCTETS)


def _names(parts: Parts, note: Note) -> dict[str, Any]:
    found: dict[str, Any] = {"dns": [], "ip": [], "others": [], "more": 0}
    extension = parts.extension(ALTERNATIVE_NAMES)
    if extension is None:
        return found
    body, at = inside(_content(extension), SEQUENCE), 0
    try:
        for item in islice(items(body), MOST_NAMES):
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
            found["dns"].append(_cut(text))
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
    found["others"].append({"kind": kind, "value": _cut(text)})


def _basic_constraints(parts: Parts, note: Note) -> dict[str, Any] | None:
    extension = parts.extension(_BASIC_CONSTRAINTS)
    if extension is None:
        return None
    value = extension_value(extension)
    if (value.path_length or 0) > 0xFFFF:
        raise Unreadable("path length is larger than 65535")
    return {"ca": value.ca, "path_length": value.path_length}


_USAGES = ("digitalSignature", "contentCommitment", "keyEncipherment", "dataEncipherment",
           "keyAgreement", "keyCertSign", "cRLSign", "encipherOnly", "decipherOnly")  # fmt: skip


def _key_usage(parts: Parts, note: Note) -> list[str] | None:
    extension = parts.extension(_KEY_USAGE)
    if extension is None:
        return None
    unused, *octets = inside(_content(extension), 0x03)  # a BIT STRING; bit 0 is the highest
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


def _extended_key_usage(parts: Parts, note: Note) -> list[str] | None:
    extension = parts.extension(_EXTENDED_KEY_USAGE)
    if extension is None:
        return None
    every = [purpose.dotted_string for purpose in extension_value(extension)]
    if len(every) > MOST_NAMES:
        note(f"the first {MOST_NAMES} of {len(every)}")
    return [_PURPOSES.get(oid, oid) for oid in every[:MOST_NAMES]]


def _must_staple(parts: Parts, note: Note) -> bool:
    extension = parts.extension(_TLS_FEATURE)
    if extension is None:
        return False
    if len(extension) > MOST_PART:
        raise Unreadable(f"longer than {MOST_PART} bytes")
    # A SEQUENCE of INTEGER, each an extension of TLS; cryptography knows but two of them.
    features = list(items(inside(_content(extension), SEQUENCE)))
    if any(item.tag != INTEGER for item in features):
        raise Unreadable("malformed (structure)")
    return any(item.body == b"\x05" for item in features)


def _scts(parts: Parts, note: Note) -> int:
    extension = parts.extension(_TIMESTAMPS)
    return 0 if extension is None else len(extension_value(extension))


_ACCESS = {"1.3.6.1.5.5.7.48.1": "ocsp", "1.3.6.1.5.5.7.48.2": "ca_issuers"}


def _urls(parts: Parts, note: Note) -> dict[str, int]:
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


_FIELDS: dict[str, Callable[[Parts, Note], Any]] = {
    "version": _version,
    "serial": _serial,
    "signature": _signature,
    "issuer": partial(_name, "issuer"),
    "not_before": partial(_time, 0),
    "not_after": partial(_time, 1),
    "subject": partial(_name, "subject"),
    "common_names": _common_names,
    "key": _key,
    "pin": _pin,
    "names": _names,
    "basic_constraints": _basic_constraints,
    "key_usage": _key_usage,
    "extended_key_usage": _extended_key_usage,
    "must_staple": _must_staple,
    "scts": _scts,
    "urls": _urls,
}
