"""gnutls-serv. It listens on every address; only the loopback one is ever asked."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from . import certificates
from .names import old
from .process import program, running
from .profile import Profile, Server, Version, version


@contextmanager
def serve(
    directory: Path, name: str, priority: str, protocols: dict[str, Version]
) -> Iterator[Server]:
    made = certificates.make(directory / "certificates")

    def command(port: int) -> list[str | Path]:
        words: list[str | Path] = [program("gnutls-serv"), "--http", "--quiet", "--noticket"]
        words += [f"--port={port}", f"--priority={priority}"]
        for key in ("rsa", "ecdsa"):
            words += [f"--x509certfile={made.chain(key)}", f"--x509keyfile={made.key(key)}"]
        return words

    with running(name, directory, command, Profile(protocols)) as server:
        yield server


_BASE = "NONE:+COMP-NULL:+CTYPE-X509:+SIGN-ALL:+SIGN-RSA-SHA1:+SIGN-ECDSA-SHA1"

# As `gnutls-cli --list --priority` orders them: key exchanges, then ciphers, then MACs.
_CAMELLIA_AND_AES = (
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_RSA_WITH_CAMELLIA_128_CBC_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_RC4_128_SHA",
    "TLS_DHE_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_DHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
    "TLS_DHE_RSA_WITH_CAMELLIA_128_CBC_SHA256",
    "TLS_DHE_RSA_WITH_CAMELLIA_128_CBC_SHA",
    "TLS_DHE_RSA_WITH_AES_128_CBC_SHA256",
    "TLS_DHE_RSA_WITH_AES_128_CBC_SHA",
    "TLS_DHE_RSA_WITH_3DES_EDE_CBC_SHA",
    "TLS_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_RSA_WITH_CAMELLIA_128_CBC_SHA256",
    "TLS_RSA_WITH_CAMELLIA_128_CBC_SHA",
    "TLS_RSA_WITH_AES_128_CBC_SHA256",
    "TLS_RSA_WITH_AES_128_CBC_SHA",
    "TLS_RSA_WITH_3DES_EDE_CBC_SHA",
    "TLS_RSA_WITH_RC4_128_SHA",
)
_TLS13 = ("TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256")


def wide(directory: Path) -> AbstractContextManager[Server]:
    """TLS 1.0, 1.2 and 1.3 but not 1.1, in the server's order, RFC 7919 groups among the rest."""
    priority = (
        f"{_BASE}:+VERS-TLS1.3:+VERS-TLS1.2:+VERS-TLS1.0:+ECDHE-RSA:+DHE-RSA:+RSA"
        ":+AES-256-GCM:+CHACHA20-POLY1305:+CAMELLIA-128-CBC:+AES-128-CBC:+3DES-CBC:+ARCFOUR-128"
        ":+AEAD:+SHA256:+SHA1"
        ":+GROUP-SECP384R1:+GROUP-X25519:+GROUP-FFDHE3072:+GROUP-FFDHE2048:%SERVER_PRECEDENCE"
    )
    groups = ("secp384r1", "x25519", "ffdhe3072", "ffdhe2048")
    protocols = {
        "TLSv1.0": version(old(_CAMELLIA_AND_AES), "server"),
        "TLSv1.2": version(_CAMELLIA_AND_AES, "server", groups),
        "TLSv1.3": version(_TLS13, "server", groups),
    }
    return serve(directory, "gnutls-wide", priority, protocols)


def client_order(directory: Path) -> AbstractContextManager[Server]:
    """TLS 1.1 to 1.3, ECDHE alone with both certificates, in the client's order."""
    priority = (
        f"{_BASE}:+VERS-TLS1.3:+VERS-TLS1.2:+VERS-TLS1.1:+ECDHE-ECDSA:+ECDHE-RSA"
        ":+AES-128-GCM:+AES-256-CBC:+AEAD:+SHA1"
        ":+GROUP-X25519:+GROUP-X448:+GROUP-SECP256R1"
    )
    groups = ("x25519", "x448", "secp256r1")
    old_suites = (
        "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA",
        "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA",
    )
    new_suites = (
        "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
        "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    )
    protocols: dict[str, Version] = {
        "TLSv1.1": version(old_suites, "client"),
        "TLSv1.2": version(new_suites + old_suites, "client", groups),
        "TLSv1.3": version(("TLS_AES_128_GCM_SHA256",), "client", groups),
    }
    return serve(directory, "gnutls-client-order", priority, protocols)
