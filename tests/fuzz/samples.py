"""Certificates of every kind of key, with as many extensions as they can carry."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import (
    AuthorityInformationAccessOID,
    ExtendedKeyUsageOID,
    NameOID,
    ObjectIdentifier,
)

from .corpus import DIRECTORY
from .mutate import header

SINCE = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
UNTIL = datetime(2051, 1, 2, 3, 4, 5, tzinfo=UTC)  # past 2050: a GeneralizedTime
TIMESTAMPS = ObjectIdentifier("1.3.6.1.4.1.11129.2.4.2")

KEYS: dict[str, Callable[[], Any]] = {
    "rsa": lambda: rsa.generate_private_key(65537, 2048),
    "rsa-pss": lambda: rsa.generate_private_key(65537, 2048),
    "dsa": lambda: dsa.generate_private_key(1024),
    "p256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "p384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "p521": lambda: ec.generate_private_key(ec.SECP521R1()),
    "brainpool": lambda: ec.generate_private_key(ec.BrainpoolP256R1()),
    "ed25519": ed25519.Ed25519PrivateKey.generate,
    "ed448": ed448.Ed448PrivateKey.generate,
}
# Type, bits and curve of the key; name and hash of the signature.
TRUTH: dict[str, tuple[str, int, str | None, str, str | None]] = {
    "rsa": ("RSA", 2048, None, "sha256WithRSAEncryption", "sha256"),
    "rsa-pss": ("RSA", 2048, None, "RSASSA-PSS", "sha384"),
    "dsa": ("DSA", 1024, None, "dsa-with-sha256", "sha256"),
    "p256": ("EC", 256, "secp256r1", "ecdsa-with-SHA256", "sha256"),
    "p384": ("EC", 384, "secp384r1", "ecdsa-with-SHA384", "sha384"),
    "p521": ("EC", 521, "secp521r1", "ecdsa-with-SHA512", "sha512"),
    "brainpool": ("EC", 256, "brainpoolP256r1", "ecdsa-with-SHA256", "sha256"),
    "ed25519": ("Ed25519", 256, None, "Ed25519", None),
    "ed448": ("Ed448", 456, None, "Ed448", None),
}
_HASHES: dict[str, Any] = {
    "sha256": hashes.SHA256,
    "sha384": hashes.SHA384,
    "sha512": hashes.SHA512,
}


def name(*pairs: tuple[ObjectIdentifier, str]) -> x509.Name:
    return x509.Name([x509.NameAttribute(kind, value) for kind, value in pairs])


SUBJECT = x509.Name(
    [
        x509.RelativeDistinguishedName([x509.NameAttribute(NameOID.COUNTRY_NAME, "NZ")]),
        x509.RelativeDistinguishedName(
            [
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, 'Ao, "Tea" + Co\\'),
                x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, "#1"),
            ]
        ),
        x509.RelativeDistinguishedName([x509.NameAttribute(NameOID.SERIAL_NUMBER, "7")]),
        x509.RelativeDistinguishedName(
            [x509.NameAttribute(NameOID.COMMON_NAME, "Tāmaki \x1b[31m")]
        ),
        x509.RelativeDistinguishedName([x509.NameAttribute(NameOID.COMMON_NAME, "a.example")]),
    ]
)
ISSUER = name((NameOID.ORGANIZATION_NAME, "Throw-away"), (NameOID.COMMON_NAME, "Root"))


def timestamps(count: int) -> bytes:
    """An SCT list (RFC 6962, section 3.3) whose signatures are made up."""
    one = b"\x00" + bytes(range(32)) + bytes(8) + b"\x00\x00" + b"\x04\x03\x00\x04sign"
    listed = b"".join(len(one).to_bytes(2, "big") + one for _ in range(count))
    value = len(listed).to_bytes(2, "big") + listed
    return header(0x04, len(value)) + value


def _extensions(leaf: bool) -> list[tuple[x509.ExtensionType, bool]]:
    uri = x509.UniformResourceIdentifier
    names: list[x509.GeneralName] = [
        x509.DNSName("a.example"),
        x509.DNSName("*.b.example"),
        x509.IPAddress(ipaddress.ip_address("192.0.2.7")),
        x509.IPAddress(ipaddress.ip_address("2001:db8::7")),
        x509.RFC822Name("tea@a.example"),
        uri("spiffe://a.example/tea"),
        x509.DirectoryName(ISSUER),
        x509.RegisteredID(ObjectIdentifier("1.2.3.4")),
        x509.OtherName(ObjectIdentifier("1.3.6.1.4.1.311.20.2.3"), b"\x0c\x03tea"),
    ]
    usage = x509.KeyUsage(
        digital_signature=True, content_commitment=False, key_encipherment=leaf,
        data_encipherment=False, key_agreement=True, key_cert_sign=not leaf, crl_sign=not leaf,
        encipher_only=False, decipher_only=True,
    )  # fmt: skip
    access = AuthorityInformationAccessOID
    return [
        (x509.SubjectAlternativeName(names), False),
        (x509.BasicConstraints(ca=not leaf, path_length=None if leaf else 1), True),
        (usage, True),
        (
            x509.ExtendedKeyUsage(
                [ExtendedKeyUsageOID.SERVER_AUTH, ObjectIdentifier("1.3.6.1.5.5.7.3.17")]
            ),
            False,
        ),
        (x509.TLSFeature([x509.TLSFeatureType.status_request]), False),
        (x509.UnrecognizedExtension(TIMESTAMPS, timestamps(3)), False),
        (
            x509.AuthorityInformationAccess(
                [
                    x509.AccessDescription(access.OCSP, uri("http://ocsp.example/")),
                    x509.AccessDescription(access.CA_ISSUERS, uri("http://ca.example/1.crt")),
                    x509.AccessDescription(access.CA_ISSUERS, uri("http://ca.example/2.crt")),
                ]
            ),
            False,
        ),
        (
            x509.CRLDistributionPoints(
                [
                    x509.DistributionPoint([uri("http://crl.example/1")], None, None, None),
                    x509.DistributionPoint([uri("http://crl.example/2")], None, None, None),
                ]
            ),
            False,
        ),
        (
            x509.CertificatePolicies(
                [x509.PolicyInformation(ObjectIdentifier("2.23.140.1.2.1"), ["http://x.example"])]
            ),
            False,
        ),
        (x509.UnrecognizedExtension(ObjectIdentifier("1.2.3.4.5.6"), b"\x05\x00"), False),
    ]


def build(
    kind: str,
    *,
    subject: x509.Name = SUBJECT,
    issuer: x509.Name = ISSUER,
    extensions: list[tuple[x509.ExtensionType, bool]] | None = None,
    serial: int = 0x7A00B1,
) -> bytes:
    """The DER of a certificate signed with its own key, whatever it says of its issuer."""
    key = _key(kind)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(serial)
        .not_valid_before(SINCE)
        .not_valid_after(UNTIL)
    )
    for extension, critical in _extensions(True) if extensions is None else extensions:
        builder = builder.add_extension(extension, critical)
    digest = TRUTH[kind][4]
    algorithm = _HASHES[digest]() if digest else None
    pss = padding.PSS(padding.MGF1(hashes.SHA384()), 48) if kind == "rsa-pss" else None
    made: bytes = builder.sign(key, algorithm, rsa_padding=pss).public_bytes(Encoding.DER)
    return made


@cache
def _key(kind: str) -> Any:
    return KEYS[kind]()


def make() -> dict[str, bytes]:
    """One leaf of each kind of key, an authority, and one without extensions."""
    return {
        **{kind: build(kind) for kind in KEYS},
        "authority": build("p256", extensions=_extensions(False)),
        "bare": build("p256", extensions=[]),
    }


@cache
def certificates() -> dict[str, bytes]:
    """What `make` made once: keys are chance, and a seed must give the same mutation again."""
    return {path.stem: path.read_bytes() for path in sorted(DIRECTORY.glob("*.der"))}
