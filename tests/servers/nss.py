"""NSS: its selfserv. It listens on every address; only the loopback one is ever asked."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from . import certificates
from .names import suite_codes
from .process import program, running
from .profile import PROTOCOLS, Profile, Server, Version, version

_VERSIONS = dict(zip(PROTOCOLS[1:], ("ssl3", "tls1.0", "tls1.1", "tls1.2", "tls1.3"), strict=True))
_GROUPS = {
    "secp256r1": "P256", "secp384r1": "P384", "secp521r1": "P521", "x25519": "x25519",
    "ffdhe2048": "FF2048", "ffdhe3072": "FF3072", "ffdhe4096": "FF4096",
}  # fmt: skip


def _database(directory: Path, made: certificates.Certificates) -> str:
    database = directory / "nssdb"
    if not database.exists():
        database.mkdir()
        _run("certutil", "-N", "-d", f"sql:{database}", "--empty-password")
        for kind in ("rsa", "ecdsa"):
            arguments = ("-d", f"sql:{database}", "-W", certificates.PASSWORD, "-K", "")
            _run("pk12util", "-i", str(made.pkcs12(kind)), *arguments)
    return f"sql:{database}"


def _run(name: str, *arguments: str) -> None:
    subprocess.run([program(name), *arguments], check=True, capture_output=True, timeout=60)


@contextmanager
def serve(
    directory: Path,
    name: str,
    protocols: dict[str, Version],
    groups: Sequence[str],
) -> Iterator[Server]:
    """All versions from the first of `protocols` to its last."""
    made = certificates.make(directory / "certificates")
    database = _database(directory, made)
    first, *_, last = [_VERSIONS[p] for p in PROTOCOLS if p in protocols] * 2
    suites = dict.fromkeys(suite for v in protocols.values() for suite in v.suites)

    def command(port: int) -> list[str | Path]:
        words: list[str | Path] = [program("selfserv"), "-p", str(port), "-d", database]
        words += ["-n", "rsa", "-e", "ecdsa", "-V", f"{first}:{last}", "-H", "1"]
        words += ["-c", "".join(f":{suite_codes()[suite]:04x}" for suite in suites)]
        words += ["-I", ",".join(_GROUPS[group] for group in groups)]
        return words

    with running(name, directory, command, Profile(protocols)) as server:
        yield server


# NSS has an order of its own, whatever the order of `-c`: this is it. That of `-I` it follows.
_OLD = (
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA",
    "TLS_DHE_RSA_WITH_AES_128_CBC_SHA",
    "TLS_RSA_WITH_AES_128_CBC_SHA",
    "TLS_RSA_WITH_AES_256_CBC_SHA",
    "TLS_RSA_WITH_3DES_EDE_CBC_SHA",
    "TLS_RSA_WITH_RC4_128_SHA",
    "TLS_RSA_WITH_RC4_128_MD5",
)


def ssl3(directory: Path) -> AbstractContextManager[Server]:
    """SSL 3.0 to TLS 1.1, with RC4 and 3DES."""
    # No ECDHE in SSL 3.0, unlike JSSE and tlslite-ng.
    plain = [suite for suite in _OLD if "_EC" not in suite]
    protocols = {
        "SSLv3": version(plain, "server"),
        "TLSv1.0": version(_OLD, "server"),
        "TLSv1.1": version(_OLD, "server"),
    }
    return serve(directory, "nss-ssl3", protocols, ("secp256r1", "ffdhe2048"))


def modern(directory: Path) -> AbstractContextManager[Server]:
    """TLS 1.2 and 1.3, both certificates, RFC 7919 groups."""
    suites = (
        "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
        "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
        "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
        "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
        "TLS_DHE_RSA_WITH_AES_128_GCM_SHA256",
        "TLS_RSA_WITH_AES_128_GCM_SHA256",
    )
    tls13 = (
        "TLS_AES_128_GCM_SHA256",
        "TLS_CHACHA20_POLY1305_SHA256",
        "TLS_AES_256_GCM_SHA384",
    )
    groups = ("secp384r1", "x25519", "secp256r1", "ffdhe3072", "ffdhe2048")
    protocols = {
        "TLSv1.2": version(suites, "server", groups),
        "TLSv1.3": version(tls13, "server", groups),
    }
    return serve(directory, "nss-modern", protocols, groups)
