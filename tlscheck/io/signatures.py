"""Who signed what: RFC 5280, section 4.1.1.3; RFC 6960, section 4.2.1."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.x509 import ocsp


def signed(certificate: x509.Certificate, key: Any) -> bool | None:
    """Whether `key` signed a certificate; `None` where that cannot be tried (an algorithm that is
    not known, or is switched off)."""
    return _tried(
        key,
        certificate.signature,
        certificate.tbs_certificate_bytes,
        lambda: certificate.signature_algorithm_parameters,
        lambda: certificate.signature_hash_algorithm,
    )


def answered(response: ocsp.OCSPResponse, key: Any) -> bool | None:
    """The same of an OCSP response."""
    from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

    def parameters() -> Any:
        if isinstance(key, rsa.RSAPublicKey):
            return padding.PKCS1v15()
        hash_ = response.signature_hash_algorithm
        return ec.ECDSA(hash_) if isinstance(key, ec.EllipticCurvePublicKey) and hash_ else None

    return _tried(
        key,
        response.signature,
        response.tbs_response_bytes,
        parameters,
        lambda: response.signature_hash_algorithm,
    )


def _tried(
    key: Any,
    signature: bytes,
    text: bytes,
    parameters: Callable[[], Any],
    hash_: Callable[[], Any],
) -> bool | None:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric import ec, rsa

    try:
        if isinstance(key, rsa.RSAPublicKey):
            key.verify(signature, text, parameters(), hash_())
        elif isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(signature, text, parameters())
        else:
            key.verify(signature, text)
    except InvalidSignature:
        return False
    except Exception:  # of cryptography: it has no base class for what it cannot do
        return None
    return True
