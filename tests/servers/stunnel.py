"""stunnel, over the installed OpenSSL. It forwards to nobody: the handshake comes first."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from . import certificates
from .names import TWELVE, old, openssl_groups, openssl_suites
from .process import ADDRESS, program, running
from .profile import Profile, Server, version


@contextmanager
def old_and_new(directory: Path) -> Iterator[Server]:
    """TLS 1.1 and 1.2 at security level 0, in the server's order."""
    made = certificates.make(directory / "certificates")
    suites = TWELVE[::-1]
    groups = ("secp384r1", "x448", "x25519")

    def command(port: int) -> list[str | Path]:
        lines = [
            "foreground = yes",
            "pid =",
            "debug = notice",
            "[tls]",
            f"accept = {ADDRESS}:{port}",
            f"connect = {ADDRESS}:9",
            f"cert = {made.chain('rsa')}",
            f"key = {made.key('rsa')}",
            "securityLevel = 0",
            "sslVersionMin = TLSv1.1",
            "sslVersionMax = TLSv1.2",
            f"ciphers = {openssl_suites(suites)}",
            f"curves = {openssl_groups(groups)}",
            "options = CIPHER_SERVER_PREFERENCE",
        ]
        file = directory / "stunnel.conf"
        file.write_text("\n".join(lines) + "\n")
        return [program("stunnel4", "stunnel"), file]

    profile = Profile(
        {
            "TLSv1.1": version(old(suites), "server"),
            "TLSv1.2": version(suites, "server", groups),
        }
    )
    with running("stunnel-1.1-1.2", directory, command, profile) as server:
        yield server
