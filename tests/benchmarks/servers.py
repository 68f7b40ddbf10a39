"""The servers that are measured, and the truth about them."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from tests.servers import certificates, nginx, openssl
from tests.servers.names import ECDHE_RSA_SIX, TLS13, in_openssl, suite_codes
from tests.servers.process import program
from tests.servers.profile import Profile, Server, version

_NEEDS_MORE = ("PSK", "SRP", "_DSS_")  # than a certificate for RSA and one for ECDSA


@dataclass(frozen=True)
class Setup:
    name: str
    title: str
    start: Callable[[Path], AbstractContextManager[Server]]


def everything(directory: Path) -> AbstractContextManager[Server]:
    """All suites and curves that the installed OpenSSL has, in TLS 1.0 to 1.3, served by nginx."""
    directory.mkdir(parents=True, exist_ok=True)
    parameters = directory / "dhparam.pem"
    subprocess.run(
        [program("openssl"), "genpkey", "-genparam", "-algorithm", "DH",
         "-pkeyopt", "group:modp_2048", "-out", parameters],
        check=True, capture_output=True,
    )  # fmt: skip
    suites = [
        suite
        for suite, code in sorted(suite_codes().items(), key=lambda item: item[1])
        if in_openssl(suite) and code >> 8 != 0x13 and not any(w in suite for w in _NEEDS_MORE)
    ]
    return nginx.serve(
        directory,
        "nginx-everything",
        ("TLSv1.0", "TLSv1.1", "TLSv1.2", "TLSv1.3"),
        suites,
        ("x25519", "x448", "secp256r1", "secp384r1", "secp521r1"),
        "server",
        tls13=(*TLS13, "TLS_AES_128_CCM_SHA256", "TLS_AES_128_CCM_8_SHA256"),
        keys=("rsa", "ecdsa"),
        more=(f"ssl_dhparam {parameters}",),
    )


SETUPS = (
    Setup("twelve", "nginx, twelve suites in TLS 1.0 to 1.2", nginx.twelve),
    Setup("modern", "nginx, TLS 1.2 and 1.3, the client's order", nginx.modern),
    Setup("everything", "nginx, every suite OpenSSL has, TLS 1.0 to 1.3", everything),
    Setup("serial", "openssl s_server: one connection at a time", openssl.everything),
)

CANNED_GROUPS = ("x25519", "secp256r1", "secp384r1")


def canned(address: str, kinds: int) -> Profile:
    """What native/canned.c answers at this address: with more kinds than one, its suites turned."""
    turn = int(address.rpartition(".")[2]) % kinds
    old = [ECDHE_RSA_SIX[(0, 3, 1, 2, 4, 5)[(n + turn) % 6]] for n in range(6)]
    new = [TLS13[(n + turn) % 3] for n in range(3)]
    return Profile(
        {
            "TLSv1.2": version(old, "server", CANNED_GROUPS),
            "TLSv1.3": version(new, "server", CANNED_GROUPS),
        }
    )


def canned_certificate(directory: Path) -> Path:
    """The body of a Certificate message, in a file, as native/canned.c sends it."""
    made = certificates.make(directory / "certificates")
    chain = x509.load_pem_x509_certificates(made.chain("rsa").read_bytes())
    sized = [cert.public_bytes(Encoding.DER) for cert in chain]
    entries = b"".join(len(der).to_bytes(3) + der for der in sized)
    file = directory / "certificate"
    file.write_bytes(len(entries).to_bytes(3) + entries)
    return file


def pairs(profile: Profile) -> frozenset[tuple[str, str]]:
    """All (protocol, suite) of a profile."""
    return frozenset(
        (protocol, suite) for protocol, told in profile.protocols.items() for suite in told.suites
    )
