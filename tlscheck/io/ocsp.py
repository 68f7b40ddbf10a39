"""A stapled OCSP response as plain data: RFC 6960. Never asked for by ourselves."""

from __future__ import annotations

import warnings
from datetime import datetime, timedelta
from typing import Any

from tlscheck.io import signatures

MOST_BYTES = 1 << 16
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
            _read(found, response[:MOST_BYTES], leaf, issuer, now)
        except Exception as fault:  # of cryptography, about bytes that anybody may have made
            found["why"] = f"cannot be read: {type(fault).__name__}"
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
    found["status"] = said.certificate_status.name.lower()
    found["produced"] = _stamp(said.produced_at_utc)
    found["this_update"] = _stamp(said.this_update_utc)
    found["next_update"] = _stamp(said.next_update_utc)
    found["revoked"] = _stamp(said.revocation_time_utc)
    found["age_hours"] = (now - said.this_update_utc) // _HOUR
    serial = x509.load_der_x509_certificate(leaf).serial_number
    found["about_leaf"] = "yes" if said.serial_number == serial else "no"
    if issuer is None:
        return
    authority = x509.load_der_x509_certificate(issuer)
    answers = [signatures.answered(said, authority.public_key())]
    for delegate in said.certificates[:2]:
        if _may_sign(delegate) and signatures.signed(delegate, authority.public_key()):
            answers.append(signatures.answered(said, delegate.public_key()))
    found["signed"] = "yes" if True in answers else "unknown" if None in answers else "no"


def _stamp(moment: datetime | None) -> str | None:
    return None if moment is None else moment.replace(tzinfo=None).isoformat() + "Z"


def _may_sign(delegate: Any) -> bool:
    """RFC 6960, section 4.2.2.2."""
    from cryptography import x509
    from cryptography.x509.oid import ExtendedKeyUsageOID

    try:
        usage = delegate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except (x509.ExtensionNotFound, ValueError):
        return False
    return ExtendedKeyUsageOID.OCSP_SIGNING in usage
