"""What cryptography says of a certificate that it reads whole: what `read` must not contradict."""

from __future__ import annotations

import warnings
from typing import Any

from cryptography import x509
from cryptography.x509.oid import AuthorityInformationAccessOID as Access

from tlscheck.io import fields

from .samples import TIMESTAMPS

_USAGES = {
    "digital_signature": "digitalSignature",
    "content_commitment": "contentCommitment",
    "key_encipherment": "keyEncipherment",
    "data_encipherment": "dataEncipherment",
    "key_agreement": "keyAgreement",
    "key_cert_sign": "keyCertSign",
    "crl_sign": "cRLSign",
    "_encipher_only": "encipherOnly",
    "_decipher_only": "decipherOnly",
}


def contradictions(der: bytes, found: dict[str, Any]) -> list[str]:
    """Fields that `found` has and cryptography, reading `der` whole, has otherwise; or that
    cryptography has and `found` neither has nor says why."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        said = _said(der)
    return [
        f"{name}: {found.get(name)!r}, and whole {value!r}"
        for name, value in said.items()
        if (found[name] != value if name in found else name not in found["problems"])
        and name not in found["problems"]  # a list that is not whole
    ]


def _said(der: bytes) -> dict[str, Any]:
    try:
        whole = x509.load_der_x509_certificate(der)
    except Exception:
        return {}
    said: dict[str, Any] = {}

    def say(name: str, value: Any) -> None:
        try:
            said[name] = value()
        except Exception:
            said.pop(name, None)

    say("version", lambda: whole.version.value + 1)
    say("serial", lambda: _hex(whole.serial_number))
    say("issuer", lambda: _short(whole.issuer.rfc4514_string()))
    say("subject", lambda: _short(whole.subject.rfc4514_string()))
    say("not_before", lambda: f"{whole.not_valid_before_utc:%Y-%m-%dT%H:%M:%SZ}".zfill(20))
    say("not_after", lambda: f"{whole.not_valid_after_utc:%Y-%m-%dT%H:%M:%SZ}".zfill(20))
    try:
        extensions = whole.extensions
    except Exception:
        return said

    def get(kind: type[Any]) -> Any:
        try:
            return extensions.get_extension_for_class(kind).value
        except x509.ExtensionNotFound:
            return None

    if limits := get(x509.BasicConstraints):
        said["basic_constraints"] = {"ca": limits.ca, "path_length": limits.path_length}
    if usage := get(x509.KeyUsage):
        said["key_usage"] = [name for field, name in _USAGES.items() if getattr(usage, field)]
    said["must_staple"] = x509.TLSFeatureType.status_request in (get(x509.TLSFeature) or ())
    stamps = [e.value for e in extensions if e.oid == TIMESTAMPS]
    said["scts"] = len(list(stamps[0])) if stamps else 0
    access = [
        (a.access_method, a.access_location) for a in get(x509.AuthorityInformationAccess) or ()
    ]
    points = [name for p in get(x509.CRLDistributionPoints) or () for name in p.full_name or ()]
    uri = x509.UniformResourceIdentifier
    said["urls"] = {
        "ocsp": sum(k == Access.OCSP and isinstance(v, uri) for k, v in access),
        "ca_issuers": sum(k == Access.CA_ISSUERS and isinstance(v, uri) for k, v in access),
        "crl": sum(isinstance(name, uri) for name in points),
    }
    return said


def _hex(number: int) -> str | None:
    digits = f"{abs(number):x}"
    return "-" * (number < 0) + "0" * (len(digits) % 2) + digits


def _short(text: str) -> str:
    if len(text) > fields.MOST_TEXT:
        raise ValueError
    return text
