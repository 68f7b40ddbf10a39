"""A certificate as plain data for the report: names, dates and numbers, from bytes that may lie.

Each field is read on its own (`fields`, `extensions`): one bad field costs that field alone. What
cannot be read is absent and has its reason in `problems`; nothing that a certificate points at is
ever fetched, and no signature, name or date is trusted or judged here.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from tlscheck.io import extensions, fields
from tlscheck.io.der import Parts, Unreadable, translated
from tlscheck.io.fields import MOST_TEXT

MOST_BYTES = 512 << 10  # of input
MOST_CHAIN = 16  # certificates that are read


def read(der: bytes) -> dict[str, Any]:
    """What one DER certificate says (RFC 5280, section 4.1), ready for JSON. Never raises.

    A field that cannot be read is absent, and `problems` has one short reason under its name; so
    has a list that is not whole. `problems["certificate"]` is about the frame around the fields; of
    more than `MOST_BYTES` nothing is read. Work and memory are linear in the size.
    An extension that is not there gives the value in brackets. Strings are as the certificate has
    them, cut at `MOST_TEXT` characters: clean them before they are shown.

    - `fingerprint`: SHA-256 of `der`, hex; `size`: bytes
    - `version`: 1 to 3
    - `serial`: hex, cut at `fields.MOST_SERIAL` bytes; below zero with a minus
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
    parts = Parts.of(der[:MOST_BYTES])
    return parts.fields.get("subject"), parts.fields.get("issuer")


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


_FIELDS: dict[str, Callable[[Parts, fields.Note], Any]] = {
    "version": fields.version,
    "serial": fields.serial,
    "signature": fields.signature,
    "issuer": partial(fields.name, "issuer"),
    "not_before": partial(fields.time, 0),
    "not_after": partial(fields.time, 1),
    "subject": partial(fields.name, "subject"),
    "common_names": fields.common_names,
    "key": fields.key,
    "pin": fields.pin,
    "names": extensions.names,
    "basic_constraints": extensions.basic_constraints,
    "key_usage": extensions.key_usage,
    "extended_key_usage": extensions.extended_key_usage,
    "must_staple": extensions.must_staple,
    "scts": extensions.scts,
    "urls": extensions.urls,
}
