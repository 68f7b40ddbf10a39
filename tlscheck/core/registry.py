"""Code points and names, with what they mean: versions, suites, groups, signature schemes, alerts.

A suite's properties are read off its IANA name, which spells them out: key exchange and
authentication before `_WITH_`, cipher and MAC (or hash) after it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import IntEnum
from functools import cache

from tlscheck.core import iana


class Version(IntEnum):
    """Protocol versions by their code point on the wire (RFC 8446, section 4.1.2)."""

    SSLv2 = 0x0002
    SSLv3 = 0x0300
    TLSv1_0 = 0x0301
    TLSv1_1 = 0x0302
    TLSv1_2 = 0x0303
    TLSv1_3 = 0x0304

    @property
    def label(self) -> str:
        """The name used in reports: `TLSv1.2`."""
        return self.name.replace("_", ".")


VERSION_BY_LABEL = {version.label: version for version in Version}


def version_name(code: int) -> str:
    """The report's name of a version, or its code point where it has none."""
    return Version(code).label if code in Version._value2member_map_ else f"0x{code:04X}"


@dataclass(frozen=True, slots=True)
class Suite:
    """A cipher suite. `first` and `last` are the versions in which servers negotiate it."""

    code: int
    name: str
    key_exchange: str
    authentication: str
    cipher: str
    mac: str
    forward_secrecy: bool
    aead: bool
    bits: int
    export: bool
    first: Version
    last: Version


_AEAD = re.compile(r"GCM|CCM|POLY1305|ASCON|AEGIS|MGM")
_MAC = re.compile(r"^(?P<cipher>.*?)_(?P<mac>MD5|SHA|SHA1|SHA256|SHA384|SHA512|SM3|IMIT|OMAC|NULL"
                  r"|GOSTR3411|ASCONHASH256)$")  # fmt: skip
# Cipher name, in the order in which to look for it -> effective key bits.
_BITS = (
    ("EXPORT1024", 56), ("_40", 40), ("DES40", 40), ("_56", 56), ("3DES", 112), ("DES_CBC", 56),
    ("NULL", 0), ("AES_256", 256), ("AES_128", 128), ("CAMELLIA_256", 256), ("CAMELLIA_128", 128),
    ("ARIA_256", 256), ("ARIA_128", 128), ("CHACHA20", 256), ("RC4_128", 128), ("RC4", 128),
    ("AEGIS_256", 256), ("AEGIS_128", 128), ("ASCON", 128), ("SEED", 128), ("IDEA", 128),
    ("RC2", 128), ("SM4", 128), ("28147", 256), ("KUZNYECHIK", 256), ("MAGMA", 256),
    ("SALSA20", 256), ("FORTEZZA", 80),
)  # fmt: skip
# What stands before _WITH_ -> key exchange and authentication.
_HEADS = {
    "KRB5": ("KRB5", "KRB5"),
    "PSK": ("PSK", "PSK"),
    "RSA_PSK": ("RSA", "PSK"),
    "DHE_PSK": ("DHE", "PSK"),
    "PSK_DHE": ("DHE", "PSK"),
    "ECDHE_PSK": ("ECDHE", "PSK"),
    "DH_anon": ("DHE", "NULL"),
    "ECDH_anon": ("ECDHE", "NULL"),
    "ECCPWD": ("ECCPWD", "ECCPWD"),
    "SRP_SHA": ("SRP", "SRP"),
    "SRP_SHA_RSA": ("SRP", "RSA"),
    "SRP_SHA_DSS": ("SRP", "DSS"),
    "RSA_FIPS": ("RSA", "RSA"),
    "FORTEZZA_KEA": ("KEA", "KEA"),
    "ECC": ("ECC", "SM2"),
    "IBC": ("IBC", "IBC"),
    "IBSDH": ("IBSDH", "IBS"),
    "ECDHE": ("ECDHE", "SM2"),  # TLS_ECDHE_SM4_CBC_SM3: GB/T 38636
}


def _head(head: str) -> tuple[str, str]:
    bare = re.sub(r"_EXPORT(1024)?$", "", head)
    if bare in _HEADS:
        return _HEADS[bare]
    if bare.startswith("GOST"):
        return "GOST", bare
    exchange, _, authentication = bare.partition("_")
    return exchange, authentication or exchange


def _suite(code: int, name: str) -> Suite:
    body = name.removeprefix("TLS_")
    head, separator, tail = body.partition("_WITH_")
    # RFC 9367: these name their authentication, and exist in TLS 1.3 alone all the same.
    tls13 = (not separator and code < 0xE000) or "_MGM_" in name
    if not separator:
        head, tail = ("", body) if tls13 else tuple(body.split("_", 1))  # TLS_ECDHE_SM4_...
    exchange, authentication = ("TLS13", "TLS13") if tls13 else _head(head)
    aead = bool(_AEAD.search(tail))
    split = _MAC.match(tail)
    cipher, mac = (split["cipher"], split["mac"]) if split else (tail, "AEAD")
    if cipher in ("SHA256", "SHA384"):  # integrity without encryption: RFC 9150
        cipher = "NULL"
    # CBC suites with SHA-2 need TLS 1.2, but those with PSK do not (RFC 5487, section 3); nor do
    # the older two of GOST, while those of RFC 9189 do.
    modern = aead or (mac in ("SHA256", "SHA384") and authentication != "PSK")
    modern = modern or 0xC100 <= code <= 0xC102
    old = exchange in ("RSA", "DHE", "DH", "KRB5", "KEA") and authentication != "PSK"
    first = (
        Version.TLSv1_3 if tls13
        else Version.TLSv1_2 if modern
        else Version.SSLv3 if old
        else Version.TLSv1_0
    )  # fmt: skip
    return Suite(
        code=code,
        name=name,
        key_exchange=exchange,
        authentication=authentication,
        cipher=cipher,
        mac="AEAD" if aead else mac,
        forward_secrecy=exchange in ("ECDHE", "DHE", "TLS13", "CECPQ1", "ECCPWD", "IBSDH"),
        aead=aead,
        bits=next((bits for mark, bits in _BITS if mark in name), 0),
        export="EXPORT" in name,
        first=first,
        last=Version.TLSv1_3 if tls13 else Version.TLSv1_2,
    )


@cache
def suites() -> dict[int, Suite]:
    """Every known suite of SSLv3 to TLS 1.3, by code point, in the registry's order.

    That order is the one in which tlscheck offers suites and lists those of a server without an
    order of its own: what a careful client would want first, first.
    """
    rank = {"TLS13": 0, "ECDHE": 1, "DHE": 2, "RSA": 3}

    def key(suite: Suite) -> tuple[object, ...]:
        usual = (
            suite.key_exchange in rank
            and suite.authentication in ("TLS13", "RSA", "ECDSA")
            and bool(re.search(r"AES|CHACHA20", suite.cipher))
        )
        # ChaCha20 never leads a list: some servers reorder theirs when a client puts it first.
        chacha = "CHACHA20" in suite.name
        return (
            not usual,
            rank.get(suite.key_exchange, 4),
            not suite.aead,
            chacha,
            -suite.bits,
            suite.code,
        )

    every = (_suite(code, name) for code, name in iana.SUITES)
    return {suite.code: suite for suite in sorted(every, key=key)}


@cache
def _suites_by_name() -> dict[str, Suite]:
    return {suite.name: suite for suite in suites().values()}


def suite_by_name(name: str) -> Suite:
    """The suite with this IANA name; raises `KeyError` where there is none."""
    return _suites_by_name()[name]


def known_suite(name: str) -> Suite | None:
    """The suite with this IANA name, if there is one: a report may hold any name."""
    return _suites_by_name().get(name)


@cache
def suites_of(version: Version) -> tuple[int, ...]:
    """Code points of all suites that exist in `version`, in the registry's order."""
    if version is Version.SSLv2:
        return tuple(code for code, _ in iana.SSL2_SUITES)
    if version is Version.SSLv3:  # real stacks pick TLS 1.0's in it too (JSSE: ECDHE)
        return suites_of(Version.TLSv1_0)
    return tuple(s.code for s in suites().values() if s.first <= version <= s.last)


_SSL2_NAMES = dict(iana.SSL2_SUITES)
# What every OpenSSL since 1.1.1 offers, in TLS 1.3 too: ours and the one that sslyze brings along.
OPENSSL_CURVES = frozenset({"x25519", "secp256r1", "x448", "secp521r1", "secp384r1"})
GROUP_NAMES = dict(iana.GROUPS)
_SCHEME_NAMES = dict(iana.SIGNATURE_SCHEMES)
_ALERT_NAMES = dict(iana.ALERTS)

# The order in which groups are offered and listed: hybrids, the usual curves, RFC 7919, the rest.
# mbed TLS reads no more than the first 11 curves that it knows: those in use are to be of them.
_USUAL_GROUPS = ("X25519MLKEM768", "SecP256r1MLKEM768", "SecP384r1MLKEM1024", "x25519",
                 "secp256r1", "x448", "secp384r1", "secp521r1", "brainpoolP256r1",
                 "brainpoolP384r1", "brainpoolP512r1", "secp256k1", "ffdhe2048", "ffdhe3072",
                 "ffdhe4096", "ffdhe6144", "ffdhe8192")  # fmt: skip
GROUP_BY_NAME = {name: code for code, name in iana.GROUPS}
GROUPS: tuple[int, ...] = tuple(GROUP_BY_NAME[name] for name in _USUAL_GROUPS) + tuple(
    code for code, name in iana.GROUPS if name not in _USUAL_GROUPS
)
SIGNATURE_SCHEMES: tuple[int, ...] = tuple(code for code, _ in iana.SIGNATURE_SCHEMES)

_CURVES = tuple(g for g in GROUPS if g < 0x0100)
_FFDHE = tuple(g for g in GROUPS if 0x0100 <= g < 0x0200)
_OF_13_ONLY = {GROUP_BY_NAME[f"brainpoolP{bits}r1tls13"] for bits in (256, 384, 512)} | {0x29}
# Gone from TLS 1.3 (RFC 8446, section 4.2.7): all curves but these, and GOST (RFC 9367).
_IN_13 = _OF_13_ONLY | {0x17, 0x18, 0x19, 0x1D, 0x1E} | set(range(0x22, 0x29))


@cache
def groups_of(version: Version) -> tuple[int, ...]:
    """Code points of the groups that may be offered in `version`, in the order to offer them."""
    if version is Version.TLSv1_3:
        return tuple(g for g in GROUPS if g in _IN_13 or g >= 0x0100)
    return tuple(g for g in GROUPS if g < 0x0200 and g not in _OF_13_ONLY)


@cache
def curves_of(version: Version) -> tuple[int, ...]:
    """The elliptic curves among `groups_of(version)`."""
    return tuple(g for g in groups_of(version) if g in _CURVES)


def ffdhe_groups() -> tuple[int, ...]:
    """The finite-field groups of RFC 7919."""
    return _FFDHE


def suite_name(code: int) -> str:
    """IANA name of a suite (SSLv2 kinds included), or `0x1234` where it has none."""
    known = suites().get(code)
    return known.name if known else _SSL2_NAMES.get(code, f"0x{code:04X}")


def group_name(code: int) -> str:
    """IANA name of a group, or `0x1234` where it has none."""
    return GROUP_NAMES.get(code, f"0x{code:04X}")


def scheme_name(code: int) -> str:
    """IANA name of a signature scheme, or `0x1234` where it has none."""
    return _SCHEME_NAMES.get(code, f"0x{code:04X}")


def alert_name(code: int) -> str:
    """Name of an alert description, or `0x2A` where it has none."""
    return _ALERT_NAMES.get(code, f"0x{code:02X}")
