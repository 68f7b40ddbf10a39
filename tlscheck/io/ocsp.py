"""A stapled OCSP response as plain data: RFC 6960. Never asked for by ourselves."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from tlscheck.io import signatures
from tlscheck.io.der import Unreadable, translated

MOST_BYTES = 1 << 16
MOST_ANSWERS = 64  # a responder may speak of several certificates
_HOUR = timedelta(hours=1)


def read(
    response: bytes, leaf: bytes, issuer: bytes | None, *, now: datetime
) -> dict[str, Any] | None:
    """What a response (DER) says of `leaf`; `None` when it is empty. Never raises.

    - `status`: `good`, `revoked` or `unknown`; `None` where the response has none (`why`)
    - `produced`, `this_update`, `next_update`, `revoked`: UTC, RFC 3339, or `None`
    - `age_hours`: whole hours from `this_update` to `now`
    - `about_leaf`: whether its serial number is the leaf's: `yes`, `no`, `unknown`
    - `signed`: by `issuer`, or by whom it has delegated that to: `yes`, `no`, `unknown`
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
    serial = x509.load_der_x509_certificate(leaf).serial_number
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
        "about_leaf": lambda: "yes" if one.serial_number == serial else "no",
        "signed": lambda: _signed(said, issuer),
    }
    for name, read_ in fields.items():
        try:
            with translated():
                found[name] = read_()
        except Unreadable as fault:
            found["why"] = found["why"] or f"{name} cannot be read: {fault}"


def _signed(said: Any, issuer: bytes | None) -> str:
    from cryptography import x509

    if issuer is None:
        return "unknown"
    authority = x509.load_der_x509_certificate(issuer)
    answers = [signatures.answered(said, authority.public_key())]
    for delegate in said.certificates[:2]:
        if _may_sign(delegate) and signatures.signed(delegate, authority.public_key()):
            answers.append(signatures.answered(said, delegate.public_key()))
    return "yes" if True in answers else "unknown" if None in answers else "no"


def _stamp(moment: datetime | None) -> str | None:
    return None if moment is None else moment.replace(tzinfo=None).isoformat() + "Z"


def _may_sign(delegate: Any) -> bool:
    """RFC 6960, section 4.2.2.2."""
    from cryptography import x509
    from cryptography.x509.oid import ExtendedKeyUsageOID

    try:
        with translated():
            usage = delegate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except Unreadable:
        return False
    return ExtendedKeyUsageOID.OCSP_SIGNING in usage
