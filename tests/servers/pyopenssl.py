"""pyOpenSSL, over the OpenSSL 3.5 inside cryptography: the groups of after quantum computers."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from OpenSSL import SSL

from . import certificates
from .names import ECDHE_RSA_SIX, TLS13, openssl_groups, openssl_suites
from .process import ADDRESS, running
from .profile import Order, Profile, Server, version

_PROGRAM = Path(__file__).with_name("serve_pyopenssl.py")
_CONFIGURATION = """\
openssl_conf = openssl
[openssl]
ssl_conf = ssl
[ssl]
system_default = system
[system]
Groups = {groups}
"""


@contextmanager
def serve(
    directory: Path,
    name: str,
    lowest: str,
    suites: Sequence[str],
    groups: Sequence[str],
    order: Order,
    tls13: Sequence[str] = TLS13,
) -> Iterator[Server]:
    made = certificates.make(directory / "certificates")
    configuration = directory / "openssl.cnf"
    configuration.write_text(_CONFIGURATION.format(groups=openssl_groups(groups)))

    def command(port: int) -> list[str | Path]:
        wanted = {
            "address": ADDRESS,
            "port": port,
            "lowest": {"TLSv1.2": SSL.TLS1_2_VERSION, "TLSv1.3": SSL.TLS1_3_VERSION}[lowest],
            "suites": openssl_suites(suites),
            "tls13": openssl_suites(tls13),
            "server_order": order == "server",
            "chain": str(made.chain("rsa")),
            "key": str(made.key("rsa")),
        }
        return [sys.executable, "-I", _PROGRAM, json.dumps(wanted)]

    profile = {"TLSv1.3": version(tls13, order, groups)}
    if lowest == "TLSv1.2":
        classic = [group for group in groups if "MLKEM" not in group]
        profile["TLSv1.2"] = version(suites, order, classic)
    environment = {"OPENSSL_CONF": str(configuration)}
    with running(name, directory, command, Profile(profile), environment) as server:
        yield server


def hybrids(directory: Path) -> AbstractContextManager[Server]:
    """TLS 1.3 alone, with hybrid groups before the others."""
    groups = (
        "X25519MLKEM768",
        "SecP256r1MLKEM768",
        "SecP384r1MLKEM1024",
        "x25519",
        "secp256r1",
    )
    suites = ECDHE_RSA_SIX
    return serve(directory, "pyopenssl-hybrids", "TLSv1.3", suites, groups, "server")


def transition(directory: Path) -> AbstractContextManager[Server]:
    """TLS 1.2 and 1.3 with one hybrid group, not the first, in the client's order."""
    groups = ("x25519", "X25519MLKEM768", "secp384r1")
    suites = ECDHE_RSA_SIX[:1] + ECDHE_RSA_SIX[3:4]
    return serve(directory, "pyopenssl-transition", "TLSv1.2", suites, groups, "client")
