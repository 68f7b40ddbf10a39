"""IANA names of suites and groups: their code points, and what OpenSSL calls them."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from functools import cache

from tlslite.constants import CipherSuite

from .process import program

GROUP_CODES = {
    "secp256r1": 23, "secp384r1": 24, "secp521r1": 25, "x25519": 29, "x448": 30,
    "ffdhe2048": 256, "ffdhe3072": 257, "ffdhe4096": 258, "ffdhe6144": 259, "ffdhe8192": 260,
    "SecP256r1MLKEM768": 0x11EB, "X25519MLKEM768": 0x11EC, "SecP384r1MLKEM1024": 0x11ED,
}  # fmt: skip

_OPENSSL_GROUPS = {
    "secp256r1": "P-256", "secp384r1": "P-384", "secp521r1": "P-521",
    "x25519": "X25519", "x448": "X448",
}  # fmt: skip

# The suites that the documents this program checks speak of: three that differ in the key
# exchange, six that differ in the cipher, in the order AWS lists them.
GCM_128, GCM_256 = "AES_128_GCM_SHA256", "AES_256_GCM_SHA384"
ECDHE_RSA_SIX = tuple(
    f"TLS_ECDHE_RSA_WITH_{cipher}"
    for cipher in (
        GCM_128, "AES_128_CBC_SHA256", "AES_128_CBC_SHA",
        GCM_256, "AES_256_CBC_SHA384", "AES_256_CBC_SHA",
    )
)  # fmt: skip
RSA_SIX = tuple(
    f"TLS_RSA_WITH_{cipher}"
    for cipher in (
        GCM_128, "AES_128_CBC_SHA256", "AES_128_CBC_SHA",
        GCM_256, "AES_256_CBC_SHA256", "AES_256_CBC_SHA",
    )
)  # fmt: skip
TWELVE = ECDHE_RSA_SIX + RSA_SIX
ECDHE_ECDSA_SIX = tuple(suite.replace("_RSA_", "_ECDSA_") for suite in ECDHE_RSA_SIX)
TLS13 = ("TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256", "TLS_AES_128_GCM_SHA256")

_TLS13_ALL = ":".join((*TLS13, "TLS_AES_128_CCM_SHA256", "TLS_AES_128_CCM_8_SHA256"))


def old(suites: Iterable[str]) -> tuple[str, ...]:
    """Those that exist below TLS 1.2: without AEAD and without SHA-2."""
    return tuple(suite for suite in suites if suite.endswith(("_SHA", "_MD5")))


@cache
def _openssl_suites() -> dict[str, tuple[int, str]]:
    """IANA name -> code point, OpenSSL's name; of all that the installed OpenSSL knows."""
    command = [program("openssl"), "ciphers", "-V", "-stdname", "-ciphersuites", _TLS13_ALL]
    command += ["ALL:COMPLEMENTOFALL:@SECLEVEL=0"]
    listing = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    suites = {}
    for line in listing.splitlines():
        # "0x13,0x02 - TLS_AES_256_GCM_SHA384 - TLS_AES_256_GCM_SHA384 TLSv1.3 Kx=any ..."
        code, _, name, _, openssl_name = line.split()[:5]
        high, low = (int(byte, 16) for byte in code.split(","))
        suites[name] = (high << 8 | low, openssl_name)
    return suites


@cache
def suite_codes() -> dict[str, int]:
    """IANA name -> code point, of all that OpenSSL or tlslite-ng knows."""
    codes = {
        name.replace("_ANON_", "_anon_"): code
        for code, name in CipherSuite.ietfNames.items()
        if name.startswith("TLS_") and not name.endswith("_draft_00")
    }
    return codes | {name: code for name, (code, _) in _openssl_suites().items()}


def suite_name(code: int) -> str:
    return {code: name for name, code in suite_codes().items()}.get(code, f"0x{code:04X}")


def group_name(code: int) -> str:
    return {code: name for name, code in GROUP_CODES.items()}.get(code, f"0x{code:04X}")


def in_openssl(suite: str) -> bool:
    return suite in _openssl_suites()


def openssl_suites(suites: Iterable[str]) -> str:
    """The cipher string of OpenSSL for these suites."""
    return ":".join(_openssl_suites()[suite][1] for suite in suites)


def openssl_groups(groups: Iterable[str]) -> str:
    return ":".join(_OPENSSL_GROUPS.get(group, group) for group in groups)
