"""Certificates with something to tell: every defect and every extra that a report must name."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

HOST = "sts.papers.example.com"
DAY = timedelta(days=1)
PEM = serialization.Encoding.PEM


@cache
def key(kind: str, purpose: str) -> Any:
    if kind == "rsa":
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)
    if kind == "ed25519":
        return ed25519.Ed25519PrivateKey.generate()
    return ec.generate_private_key(ec.SECP384R1())


def name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _usage(authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True, key_cert_sign=authority, crl_sign=authority,
        content_commitment=False, key_encipherment=False, data_encipherment=False,
        key_agreement=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip


def certificate(
    subject: str,
    issuer: str,
    *,
    kind: str = "ec",
    authority: bool = False,
    since: datetime | None = None,
    days: int = 90,
    names: tuple[str | x509.GeneralName, ...] = (HOST,),
    more: tuple[x509.ExtensionType, ...] = (),
    issuer_key: x509.AuthorityKeyIdentifier | None = None,
    bare: bool = False,
    serial: int | None = None,
) -> x509.Certificate:
    """Signed by the EC key of `issuer`; keys go by the names of those who have them. `issuer_key`
    is what it says of that key, if not what is right; one that is `bare` says nothing of it, nor
    what it may be used for."""
    since = since or datetime.now(UTC) - DAY
    signer = key("ec", issuer)
    mine = key(kind, subject)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name(subject))
        .issuer_name(name(issuer))
        .public_key(mine.public_key())
        .serial_number(serial or x509.random_serial_number())
        .not_valid_before(since)
        .not_valid_after(since + days * DAY)
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(mine.public_key()), False)
    )
    if not bare:
        right = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key())
        builder = builder.add_extension(_usage(authority), critical=True)
        builder = builder.add_extension(issuer_key or right, critical=False)
    if not authority:
        every = [x509.DNSName(each) if isinstance(each, str) else each for each in names]
        builder = builder.add_extension(x509.SubjectAlternativeName(every), critical=False)
        usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
        builder = builder.add_extension(usage, critical=False)
    for extension in more:
        builder = builder.add_extension(extension, critical=False)
    return builder.sign(signer, hashes.SHA256())


@dataclass
class Papers:
    """A root and an intermediate, and files for servers."""

    directory: Path
    root: x509.Certificate = field(init=False)
    middle: x509.Certificate = field(init=False)

    def __post_init__(self) -> None:
        self.directory.mkdir(exist_ok=True)
        self.root = certificate("Root", "Root", authority=True, days=3650)
        self.middle = certificate("Middle", "Root", authority=True, days=1825)
        self.bundle.write_bytes(self.root.public_bytes(PEM))

    @property
    def bundle(self) -> Path:
        return self.directory / "root.pem"

    def leaf(self, **more: Any) -> x509.Certificate:
        return certificate("leaf", "Middle", **more)

    def file(self, label: str, *chain: x509.Certificate) -> Path:
        path = self.directory / f"{label}.pem"
        path.write_bytes(b"".join(each.public_bytes(PEM) for each in chain))
        return path

    def key_file(self, kind: str = "ec", purpose: str = "leaf") -> Path:
        path = self.directory / f"{kind}-{purpose}.key"
        private = key(kind, purpose).private_bytes(
            PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        path.write_bytes(private)
        return path

    def staple(self, leaf: x509.Certificate, *, revoked: bool = False, by: str = "Middle") -> Path:
        """An OCSP response about `leaf`, two days old."""
        now = datetime.now(UTC).replace(microsecond=0)
        responder = self.middle if by == "Middle" else certificate(by, by, authority=True)
        builder = ocsp.OCSPResponseBuilder().add_response(
            leaf, self.middle, hashes.SHA1(),
            ocsp.OCSPCertStatus.REVOKED if revoked else ocsp.OCSPCertStatus.GOOD,
            now - 2 * DAY, now + 5 * DAY,
            now - 3 * DAY if revoked else None, None,
        ).responder_id(ocsp.OCSPResponderEncoding.HASH, responder)  # fmt: skip
        path = self.directory / "staple.der"
        response = builder.sign(key("ec", by), hashes.SHA256())
        path.write_bytes(response.public_bytes(serialization.Encoding.DER))
        return path
