"""openssl s_server: one connection at a time, and everything that OpenSSL can do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from . import certificates
from .names import TLS13, TWELVE, old, openssl_groups, openssl_suites
from .process import ADDRESS, program, running
from .profile import Order, Profile, Server, version

_SWITCHES = {"TLSv1.0": "tls1", "TLSv1.1": "tls1_1", "TLSv1.2": "tls1_2", "TLSv1.3": "tls1_3"}
_EC = ("x25519", "x448", "secp256r1", "secp384r1", "secp521r1")

# No forward secrecy, no authentication, no encryption, no hurry.
_ODD = (
    "TLS_DHE_RSA_WITH_AES_128_CCM_8",
    "TLS_ECDHE_ECDSA_WITH_ARIA_256_GCM_SHA384",
    "TLS_ECDHE_RSA_WITH_CAMELLIA_128_CBC_SHA256",
    "TLS_DHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
    "TLS_DHE_RSA_WITH_AES_256_CBC_SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA",
    "TLS_DH_anon_WITH_AES_128_CBC_SHA256",
    "TLS_DH_anon_WITH_CAMELLIA_256_CBC_SHA",
    "TLS_ECDH_anon_WITH_AES_256_CBC_SHA",
    "TLS_RSA_WITH_CAMELLIA_128_CBC_SHA",
    "TLS_RSA_WITH_AES_128_CCM",
    "TLS_ECDHE_RSA_WITH_NULL_SHA",
    "TLS_RSA_WITH_NULL_SHA256",
    "TLS_RSA_WITH_NULL_SHA",
    "TLS_RSA_WITH_NULL_MD5",
)


@contextmanager
def serve(
    directory: Path,
    name: str,
    protocols: Sequence[str],
    suites: Sequence[str],
    groups: Sequence[str],
    order: Order,
    tls13: Sequence[str] = TLS13,
    keys: Sequence[str] = ("rsa",),
) -> Iterator[Server]:
    made = certificates.make(directory / "certificates")

    def command(port: int) -> list[str | Path]:
        words: list[str | Path] = [program("openssl"), "s_server", "-www", "-quiet"]
        words += ["-accept", f"{ADDRESS}:{port}"]
        words += ["-cipher", f"{openssl_suites(suites)}:@SECLEVEL=0"]
        words += ["-ciphersuites", openssl_suites(tls13), "-groups", openssl_groups(groups)]
        words += [f"-no_{_SWITCHES[p]}" for p in _SWITCHES if p not in protocols]
        words += ["-serverpref"] if order == "server" else []
        for key, prefix in zip(keys, ("", "d"), strict=False):
            words += [f"-{prefix}cert", made.chain(key), f"-{prefix}key", made.key(key)]
            words += [f"-{prefix}cert_chain", made.chain(key)]
        return words

    profile = {}
    for protocol in protocols:
        if protocol == "TLSv1.3":  # without a key share to prefer, the group is the server's choice
            profile[protocol] = version(tls13, order, groups, "server")
        elif protocol == "TLSv1.2":  # OpenSSL does not negotiate RFC 7919 groups for DHE
            profile[protocol] = version(suites, order, [g for g in groups if g in _EC])
        else:
            profile[protocol] = version(old(suites), order)
    with running(name, directory, command, Profile(profile)) as server:
        yield server


def everything(directory: Path) -> AbstractContextManager[Server]:
    """TLS 1.0 to 1.3, two certificates, odd suites, all groups that OpenSSL 3.0 has."""
    finite = ("ffdhe2048", "ffdhe3072", "ffdhe4096", "ffdhe6144", "ffdhe8192")
    return serve(
        directory,
        "openssl-everything",
        tuple(_SWITCHES),
        _ODD + TWELVE,
        _EC + finite,
        "server",
        tls13=(*TLS13, "TLS_AES_128_CCM_SHA256", "TLS_AES_128_CCM_8_SHA256"),
        keys=("rsa", "ecdsa"),
    )


def client_order(directory: Path) -> AbstractContextManager[Server]:
    """TLS 1.0 and 1.2 with a gap between them, in the client's order."""
    return serve(
        directory,
        "openssl-client-order",
        ("TLSv1.0", "TLSv1.2"),
        TWELVE,
        ("secp521r1", "secp256r1"),
        "client",
    )


def only_1_0(directory: Path) -> AbstractContextManager[Server]:
    """TLS 1.0 alone, with one suite."""
    suites = ("TLS_RSA_WITH_AES_128_CBC_SHA",)
    return serve(directory, "openssl-only-1.0", ("TLSv1.0",), suites, ("secp256r1",), "server")


def only_1_1(directory: Path) -> AbstractContextManager[Server]:
    """TLS 1.1 alone."""
    groups = ("secp256r1",)
    return serve(directory, "openssl-only-1.1", ("TLSv1.1",), old(TWELVE), groups, "server")
