"""A throw-away certificate authority: made at every start, gone with its directory.

All leaf certificates share one RSA key, because making 2048 bits takes longer than all the rest.
"""

from __future__ import annotations

import ipaddress
import ssl
import warnings
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tlscheck.lab.plan import Certificate, Profile

# What load balancers of AWS offer, in their order of preference; usable from TLS 1.0 on.
SUITES = (
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-SHA256",
    "ECDHE-RSA-AES128-SHA",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-SHA384",
    "ECDHE-RSA-AES256-SHA",
)
WRONG_NAME = "another-name.invalid"

_VERSIONS = {
    "TLSv1.0": ssl.TLSVersion.TLSv1,
    "TLSv1.1": ssl.TLSVersion.TLSv1_1,
    "TLSv1.2": ssl.TLSVersion.TLSv1_2,
    "TLSv1.3": ssl.TLSVersion.TLSv1_3,
}
_DAY = timedelta(days=1)


class Authority:
    """Issues the lab's certificates and keeps them in `directory` (which must be private)."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._now = datetime.now(UTC)
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._leaf_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self._name = _name("tlscheck lab CA")
        self._serial = 0
        self._key_file = directory / "leaf-key.pem"
        self._key_file.touch(mode=0o600)
        self._key_file.write_bytes(
            self._leaf_key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        self.bundle = directory / "ca.pem"
        self.bundle.write_bytes(_pem(self._root()))

    def context(self, names: Sequence[str], profile: Profile) -> ssl.SSLContext:
        """A server's TLS settings: versions and certificate of `profile`, for `names`."""
        self._serial += 1
        leaf = self._directory / f"leaf-{self._serial}.pem"
        leaf.write_bytes(_pem(self._leaf(names, profile.certificate)))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.options |= ssl.OP_CIPHER_SERVER_PREFERENCE
        # TLS 1.0 and 1.1 sign with MD5 and SHA-1, which OpenSSL 3 allows at level 0 only.
        context.set_ciphers(":".join(SUITES) + ":@SECLEVEL=0")
        with warnings.catch_warnings():  # old versions are deprecated, and meant here
            warnings.simplefilter("ignore", DeprecationWarning)
            context.minimum_version = _VERSIONS[profile.lowest]
            context.maximum_version = _VERSIONS[profile.highest]
        context.num_tickets = 0
        context.load_cert_chain(leaf, self._key_file)
        return context

    def _root(self) -> x509.Certificate:
        return (
            self._builder(self._name, self._name, -_DAY, 7 * _DAY)
            .public_key(self._key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs_certificates=True), critical=True)
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()), critical=False
            )
            .sign(self._key, hashes.SHA256())
        )

    def _leaf(self, names: Sequence[str], kind: Certificate) -> x509.Certificate:
        own = kind == "self-signed"
        subject = _name("tlscheck lab")
        start, end = (-4 * _DAY, -_DAY) if kind == "expired" else (-_DAY, 4 * _DAY)
        alternatives = [WRONG_NAME] if kind == "wrong-name" else dict.fromkeys(names)
        signer = self._leaf_key if own else self._key
        return (
            self._builder(subject, subject if own else self._name, start, end)
            .public_key(self._leaf_key.public_key())
            .add_extension(
                x509.SubjectAlternativeName([_alternative(name) for name in alternatives]),
                critical=False,
            )
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()),
                critical=False,
            )
            .sign(signer, hashes.SHA256())
        )

    def _builder(
        self, subject: x509.Name, issuer: x509.Name, start: timedelta, end: timedelta
    ) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .serial_number(x509.random_serial_number())
            .not_valid_before(self._now + start)
            .not_valid_after(self._now + end)
        )


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name.strip("[]")))
    except ValueError:
        return x509.DNSName(name.rstrip("."))


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=not signs_certificates,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
