"""tlslite-ng, for what others no longer speak: SSL 3.0, RC4, 3DES."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from . import certificates
from .process import ADDRESS, running
from .profile import Profile, Server, version

_PROGRAM = Path(__file__).with_name("serve_tlslite.py")

# tlslite-ng has an order of its own: by ciphers, then by key exchanges.
_ECDHE = (
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_RC4_128_SHA",
)
_RSA = (
    "TLS_RSA_WITH_AES_256_CBC_SHA",
    "TLS_RSA_WITH_AES_128_CBC_SHA",
    "TLS_RSA_WITH_3DES_EDE_CBC_SHA",
    "TLS_RSA_WITH_RC4_128_SHA",
    "TLS_RSA_WITH_RC4_128_MD5",
)


@contextmanager
def ssl3(directory: Path) -> Iterator[Server]:
    """SSL 3.0 and TLS 1.0."""
    made = certificates.make(directory / "certificates")
    settings = {
        "minVersion": (3, 0),
        "maxVersion": (3, 1),
        "cipherNames": ["aes256", "aes128", "3des", "rc4"],
        "macNames": ["sha", "md5"],
        "keyExchangeNames": ["ecdhe_rsa", "rsa"],
        "eccCurves": ["x25519", "secp256r1"],
        "keyShares": ["x25519"],
    }

    def command(port: int) -> list[str | Path]:
        wanted = {
            "address": ADDRESS,
            "port": port,
            "chain": str(made.chain("rsa")),
            "key": str(made.key("rsa")),
            "settings": settings,
        }
        return [sys.executable, "-I", _PROGRAM, json.dumps(wanted)]

    # It picks ECDHE in SSL 3.0 too, where no client can say which curves it knows.
    profile = {protocol: version(_ECDHE + _RSA, "server") for protocol in ("SSLv3", "TLSv1.0")}
    with running("tlslite-ssl3", directory, command, Profile(profile)) as server:
        yield server
