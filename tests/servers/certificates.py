"""Throw-away certificates: a root, an intermediate, and leaves for RSA and ECDSA."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import pkcs12
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

NAMES = ("localhost", "127.0.0.1", "::1")
PASSWORD = "throw-away"  # of the PKCS #12 files, for programs that insist on one

Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


@dataclass(frozen=True)
class Certificates:
    """Where the files are: each leaf's PEM file holds its chain, without the root."""

    directory: Path

    @property
    def ca(self) -> Path:
        return self.directory / "ca.pem"

    def chain(self, kind: str) -> Path:
        return self.directory / f"{kind}.pem"

    def key(self, kind: str) -> Path:
        return self.directory / f"{kind}.key"

    def both(self, kind: str) -> Path:
        """The chain and the key in one file."""
        return self.directory / f"{kind}.both.pem"

    def pkcs12(self, kind: str) -> Path:
        return self.directory / f"{kind}.p12"


def _name(common: str, organization: str = "Throw-away") -> x509.Name:
    """Of two leaves of one name the organizations differ: NSS tells them by the subject."""
    attributes = {NameOID.ORGANIZATION_NAME: organization, NameOID.COMMON_NAME: common}
    return x509.Name([x509.NameAttribute(kind, value) for kind, value in attributes.items()])


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


@cache
def _key(purpose: str) -> Key:
    """One key a purpose and process: making RSA keys is what takes the time."""
    if purpose == "rsa":
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return ec.generate_private_key(ec.SECP256R1())


def _builder(
    subject: x509.Name, issuer: str, key: Key, since: datetime, until: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(_name(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(since)
        .not_valid_after(until)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
    )


def _authority(
    subject: str, issuer: str, purpose: str, signer: str, since: datetime, until: datetime
) -> x509.Certificate:
    usage = x509.KeyUsage(
        digital_signature=True, key_cert_sign=True, crl_sign=True,
        content_commitment=False, key_encipherment=False, data_encipherment=False,
        key_agreement=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip
    return (
        _builder(_name(subject), issuer, _key(purpose), since, until)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(_signer(signer), critical=False)
        .sign(_key(signer), hashes.SHA256())
    )


def _signer(purpose: str) -> x509.AuthorityKeyIdentifier:
    return x509.AuthorityKeyIdentifier.from_issuer_public_key(_key(purpose).public_key())


@cache
def make(
    directory: Path,
    names: tuple[str, ...] = NAMES,
    since: datetime | None = None,
    until: datetime | None = None,
) -> Certificates:
    """Write ca.pem and, for rsa and ecdsa, the chain, the key, both in one, and PKCS #12.

    The names and the validity are those of the leaves; from yesterday for 30 days if not given.
    Asking again for the same directory and the same arguments writes nothing.
    """
    now = datetime.now(UTC)
    since = since or now - timedelta(days=1)
    until = until or now + timedelta(days=30)
    always = (min(since, now) - timedelta(days=1), max(until, now) + timedelta(days=365))

    directory.mkdir(parents=True, exist_ok=True)
    certificates = Certificates(directory)
    root_name, middle_name = "Throw-away Root", "Throw-away Intermediate"
    root = _authority(root_name, root_name, "root", "root", *always)
    middle = _authority(middle_name, root_name, "middle", "root", *always)
    pem = serialization.Encoding.PEM
    certificates.ca.write_bytes(root.public_bytes(pem))

    for kind in ("rsa", "ecdsa"):
        key = _key(kind)
        usage = x509.KeyUsage(
            digital_signature=True, key_encipherment=kind == "rsa", key_cert_sign=False,
            content_commitment=False, data_encipherment=False, key_agreement=False,
            crl_sign=False, encipher_only=False, decipher_only=False,
        )  # fmt: skip
        leaf = (
            _builder(_name(names[0], f"Throw-away {kind}"), middle_name, key, since, until)
            .add_extension(x509.SubjectAlternativeName([_alternative(n) for n in names]), False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False)
            .add_extension(_signer("middle"), critical=False)
            .sign(_key("middle"), hashes.SHA256())
        )
        chain = leaf.public_bytes(pem) + middle.public_bytes(pem)
        private = key.private_bytes(
            pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        certificates.chain(kind).write_bytes(chain)
        certificates.key(kind).write_bytes(private)
        certificates.both(kind).write_bytes(chain + private)
        certificates.pkcs12(kind).write_bytes(
            pkcs12.serialize_key_and_certificates(
                kind.encode(), key, leaf, [middle],
                serialization.BestAvailableEncryption(PASSWORD.encode()),
            )
        )  # fmt: skip
    return certificates
