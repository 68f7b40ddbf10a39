"""A stapled OCSP response as plain data: RFC 6960. Never asked for by ourselves."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from tlscheck.io import signatures
from tlscheck.io.der import SEQUENCE, Unreadable, first, inside, items, translated

MOST_BYTES = 1 << 16
MOST_ANSWERS = 64  # a responder may speak of several certificates
_HOUR = timedelta(hours=1)


def read(
    response: bytes, leaf: bytes, issuer: bytes | None, *, now: datetime
) -> dict[str, Any] | None:
    """What a response (DER) says of `leaf`; `None` when it is empty. Never raises.

    - `status`: `good`, `revoked` or `unknown`; `None` where the response has none
    - `why`: what is wrong with it: that it has no status, or is out of date; `None` if nothing is
    - `produced`, `this_update`, `next_update`, `revoked`: UTC, RFC 3339, or `None`
    - `age_hours`: whole hours from `this_update` to `now`
    - `about_leaf`: whether it names the leaf (section 4.1.1): `yes`, `no`, `unknown`. Where the
      issuer is not known the serial number alone decides
    - `signed`: by `issuer`, or by whom it has delegated that to until now: `yes`, `no`, `unknown`
    """
    if not response:
        return None
    found: dict[str, Any] = {
        "status": None, "why": None, "produced": None, "this_update": None, "next_update": None,
        "revoked": None, "age_hours": None, "about_leaf": "unknown", "signed": "unknown",
    }  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with translated():
                _read(found, response[:MOST_BYTES], leaf, issuer, now)
        except Unreadable as fault:
            found["why"] = f"cannot be read: {fault}"
    return found


def _read(
    found: dict[str, Any], response: bytes, leaf: bytes, issuer: bytes | None, now: datetime
) -> None:
    from cryptography import x509
    from cryptography.x509 import ocsp

    said = ocsp.load_der_ocsp_response(response)
    if said.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
        found["why"] = f"the responder said {said.response_status.name.lower()}"
        return
    subject = x509.load_der_x509_certificate(leaf)
    serial = subject.serial_number
    every = list(islice(said.responses, MOST_ANSWERS))
    if not every:
        found["why"] = "the responder answered nothing"
        return
    one = next((each for each in every if each.serial_number == serial), every[0])
    # Each on its own: a date that cannot be read costs that date alone.
    fields: dict[str, Callable[[], Any]] = {
        "status": lambda: one.certificate_status.name.lower(),
        "produced": lambda: _stamp(said.produced_at_utc),
        "this_update": lambda: _stamp(one.this_update_utc),
        "next_update": lambda: _stamp(one.next_update_utc),
        "revoked": lambda: _stamp(one.revocation_time_utc),
        "age_hours": lambda: (now - one.this_update_utc) // _HOUR,
        "about_leaf": lambda: "yes" if _names(one, subject, issuer) else "no",
        "signed": lambda: _signed(said, issuer, now),
    }
    for name, read_ in fields.items():
        try:
            with translated():
                found[name] = read_()
        except Unreadable as fault:
            found["why"] = found["why"] or f"{name} cannot be read: {fault}"
    found["why"] = found["why"] or _out_of_date(found, now)


def extension(response: bytes, leaf: bytes, kind: bytes) -> bytes | None:
    """The DER of the extension with this OID (DER) of what a response says of `leaf`, `None` where
    there is none. Raises `Unreadable`, and what cryptography does.

    Of a response that speaks of several certificates, cryptography gives no extensions.
    """
    from cryptography import x509
    from cryptography.x509 import ocsp

    said = ocsp.load_der_ocsp_response(response[:MOST_BYTES])
    if said.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
        return None
    serial = x509.load_der_x509_certificate(leaf).serial_number
    serials = [each.serial_number for each in islice(said.responses, MOST_ANSWERS)]
    if serial not in serials:
        return None
    # RFC 6960, section 4.2.1. Before the answers is no other SEQUENCE; who is revoked has a 0xA1
    # of another kind before the date.
    data = items(inside(said.tbs_response_bytes, SEQUENCE))
    answers = next(item.body for item in data if item.tag == SEQUENCE)
    (answer,) = islice(items(answers), at := serials.index(serial), at + 1)
    for part in islice(items(answer.body), 3, None):
        if part.tag == 0xA1:
            every = items(inside(part.body, SEQUENCE))
            return next((each.whole for each in every if first(each.whole) == kind), None)
    return None


def _names(one: Any, subject: Any, issuer: bytes | None) -> bool:
    from cryptography import x509
    from cryptography.x509 import ocsp

    if one.serial_number != subject.serial_number or issuer is None:
        return bool(one.serial_number == subject.serial_number)
    authority = x509.load_der_x509_certificate(issuer)
    builder = ocsp.OCSPRequestBuilder()
    asked = builder.add_certificate(subject, authority, one.hash_algorithm).build()
    return bool(
        (one.issuer_name_hash, one.issuer_key_hash)
        == (asked.issuer_name_hash, asked.issuer_key_hash)
    )


def _out_of_date(found: dict[str, Any], now: datetime) -> str | None:
    since, until = (
        datetime.fromisoformat(stamp) if (stamp := found[name]) else None
        for name in ("this_update", "next_update")
    )  # fmt: skip
    if since is not None and now < since:
        return f"out of date: begins {found['this_update']}"
    if until is not None and until < now:
        return f"out of date since {found['next_update']}"
    return None


def _signed(said: Any, issuer: bytes | None, now: datetime) -> str:
    from cryptography import x509

    if issuer is None:
        return "unknown"
    authority = x509.load_der_x509_certificate(issuer)
    answers = [signatures.answered(said, authority.public_key())]
    for delegate in said.certificates[:2]:
        if _may_sign(delegate, now) and signatures.signed(delegate, authority.public_key()):
            answers.append(signatures.answered(said, delegate.public_key()))
    return "yes" if True in answers else "unknown" if None in answers else "no"


def _stamp(moment: datetime | None) -> str | None:
    return None if moment is None else moment.replace(tzinfo=None).isoformat() + "Z"


def _may_sign(delegate: Any, now: datetime) -> bool:
    """RFC 6960, section 4.2.2.2."""
    from cryptography import x509
    from cryptography.x509.oid import ExtendedKeyUsageOID

    try:
        with translated():
            if not delegate.not_valid_before_utc <= now <= delegate.not_valid_after_utc:
                return False
            usage = delegate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except Unreadable:
        return False
    return ExtendedKeyUsageOID.OCSP_SIGNING in usage
