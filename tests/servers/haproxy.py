"""HAProxy, over the installed OpenSSL."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from . import certificates
from .names import ECDHE_RSA_SIX, TLS13, old, openssl_groups, openssl_suites
from .process import ADDRESS, program, running
from .profile import PROTOCOLS, Order, Profile, Server, version


@contextmanager
def serve(
    directory: Path,
    name: str,
    lowest: str,
    highest: str,
    suites: Sequence[str],
    groups: Sequence[str],
    order: Order,
    tls13: Sequence[str] = TLS13,
    kinds: Sequence[str] = ("rsa",),
) -> Iterator[Server]:
    made = certificates.make(directory / "certificates")

    def command(port: int) -> list[str | Path]:
        bind = [
            f"bind {ADDRESS}:{port} ssl {' '.join(f'crt {made.both(kind)}' for kind in kinds)}",
            f"ssl-min-ver {lowest} ssl-max-ver {highest}",
            f"ciphers {openssl_suites(suites)}:@SECLEVEL=0",
            f"ciphersuites {openssl_suites(tls13)}",
            f"curves {openssl_groups(groups)}",
            "prefer-client-ciphers" if order == "client" else "",
        ]
        lines = [
            "global",
            "    log stderr format raw local0 notice",
            "defaults",
            "    mode http",
            "    timeout client 30s",
            "frontend tls",
            "    " + " ".join(bind),
            "    http-request return status 200 content-type text/plain string ok",
        ]
        file = directory / "haproxy.cfg"
        file.write_text("\n".join(lines) + "\n")
        return [program("haproxy"), "-db", "-f", file]

    profile = {}
    for protocol in PROTOCOLS[PROTOCOLS.index(lowest) : PROTOCOLS.index(highest) + 1]:
        if protocol == "TLSv1.3":
            profile[protocol] = version(tls13, order, groups, "server")
        elif protocol == "TLSv1.2":
            profile[protocol] = version(suites, order, groups)
        else:
            profile[protocol] = version(old(suites), order)
    with running(name, directory, command, Profile(profile)) as server:
        yield server


def only_1_2(directory: Path) -> AbstractContextManager[Server]:
    """TLS 1.2 alone, forward secrecy alone, in the server's order."""
    groups = ("secp256r1", "secp384r1")
    return serve(
        directory, "haproxy-only-1.2", "TLSv1.2", "TLSv1.2", ECDHE_RSA_SIX, groups, "server"
    )


def client_order(directory: Path) -> AbstractContextManager[Server]:
    """TLS 1.2 and 1.3, in the client's order."""
    groups = ("x25519", "secp256r1")
    return serve(
        directory, "haproxy-client-order", "TLSv1.2", "TLSv1.3", ECDHE_RSA_SIX, groups, "client"
    )
