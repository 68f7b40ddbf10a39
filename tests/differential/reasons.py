"""Why other clients disagree with tlscheck on servers that are well. Each was seen on the wire.

A reason that starts with "BUG:" would be one of tlscheck's. There is none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .answers import Verdict


@dataclass(frozen=True)
class Reason:
    """Covers the disagreements of `client` on the servers and versions of `where` about `what`:
    patterns over "version", "suite NAME" and "group NAME". `says` is its verdict, and `said` a
    part of its own words. Every server, version and pattern named must be met, each with each.
    """

    client: str
    where: Mapping[str, Sequence[str]]
    what: Sequence[str]
    says: Verdict
    because: str
    said: str = ""


def _each(servers: str, *versions: str) -> dict[str, tuple[str, ...]]:
    return dict.fromkeys(servers.split(), versions)


_SSL3 = _each("nss-ssl3 jsse-everything tlslite-ssl3", "SSLv3")
_HYBRIDS = ("group SecP256r1MLKEM768", "group SecP384r1MLKEM1024")

REASONS: tuple[Reason, ...] = (
    Reason(
        "openssl", _SSL3, ("version",), "cannot", said="Unknown option: -ssl3",
        because="Debian's OpenSSL is built without SSL 3.0 (`openssl list -disabled`: SSL3). "
        "sslyze's OpenSSL 1.0.2 has it and agrees with tlscheck.",
    ),
    Reason(
        "openssl", _SSL3, ("suite TLS_RSA_*",), "cannot",
        because="No SSL 3.0, so no suites in it. sslyze agrees, but for JSSE, which see.",
    ),
    Reason(
        "openssl", _each("jsse-everything tlslite-ssl3", "SSLv3"), ("suite TLS_ECDHE_RSA_*",),
        "cannot",
        because="No SSL 3.0, so no suites in it. No document has ECDHE in SSL 3.0, but "
        "these two stacks do: tlslite-ng's client finishes the handshake with both.",
    ),
    Reason(
        "openssl", _each("nss-ssl3 jsse-everything", "SSLv3"), ("suite TLS_DHE_RSA_*",), "cannot",
        because="No SSL 3.0, so no suites in it.",
    ),
    Reason(
        "openssl",
        {
            "gnutls-wide": ("TLSv1.0", "TLSv1.2"),
            "nss-ssl3": ("TLSv1.0", "TLSv1.1"),
            "jsse-everything": ("TLSv1.0", "TLSv1.1", "TLSv1.2"),
            "tlslite-ssl3": ("TLSv1.0",),
        },
        ("suite TLS_*_RC4_128_*", "suite TLS_*_3DES_EDE_CBC_SHA"), "cannot",
        because="OpenSSL since 1.1.0 has RC4 and 3DES in no suite unless built with "
        "enable-weak-ssl-ciphers: `-cipher RC4-SHA` ends in `no cipher match` before a byte is "
        "sent. gnutls-cli and sslyze finish the handshakes.",
    ),
    Reason(
        "openssl", _each("gnutls-wide nss-modern jsse-everything", "TLSv1.2"),
        ("group ffdhe2048", "group ffdhe3072"), "cannot",
        because="OpenSSL 3.0 negotiates RFC 7919 groups in TLS 1.3 alone: with `-tls1_2 -groups "
        "ffdhe2048:P-256` its hello lists P-256 and nothing else. gnutls-cli, offered one such "
        "group, finishes the handshake in it.",
    ),
    Reason(
        "openssl", _each("gnutls-client-order", "TLSv1.2"), ("group x25519", "group x448"), "no",
        said="wrong curve",
        because="Offered x25519 (x448) alone, GnuTLS picks ECDHE-ECDSA and signs with its P-256 "
        "certificate; the ServerKeyExchange holds x25519 (x448), and OpenSSL refuses the "
        "signature, for the certificate's curve was not offered (RFC 8422, section 5.1), with "
        "illegal_parameter. The group is not at fault: with `-cipher kEECDH+aRSA`, or with P-256 "
        "offered after it, s_client finishes the handshake in it, and gnutls-cli always does.",
    ),
    Reason(
        "openssl", _each("pyopenssl-hybrids", "TLSv1.3"), _HYBRIDS, "cannot", said="cannot be set",
        because="OpenSSL 3.0 has no ML-KEM. pyOpenSSL's client, over OpenSSL 3.5, finishes the "
        "handshake in each of these groups offered alone.",
    ),
    Reason(
        "openssl", _each("pyopenssl-hybrids pyopenssl-transition", "TLSv1.3"),
        ("group X25519MLKEM768",), "cannot", said="cannot be set",
        because="The same.",
    ),
    Reason(
        "gnutls", _SSL3, ("version",), "cannot", said="No or insufficient priorities",
        because="Debian's GnuTLS is built without SSL 3.0: `gnutls-cli --list` has no VERS-SSL3.0.",
    ),
    Reason(
        "gnutls", _SSL3, ("suite TLS_RSA_*",), "cannot",
        because="No SSL 3.0, so no suites in it.",
    ),
    Reason(
        "gnutls", _each("jsse-everything tlslite-ssl3", "SSLv3"), ("suite TLS_ECDHE_RSA_*",),
        "cannot",
        because="No SSL 3.0, so no suites in it.",
    ),
    Reason(
        "gnutls", _each("nss-ssl3 jsse-everything", "SSLv3"), ("suite TLS_DHE_RSA_*",), "cannot",
        because="No SSL 3.0, so no suites in it.",
    ),
    Reason(
        "gnutls", _each("openssl-everything", "TLSv1.2"),
        ("suite TLS_ECDHE_ECDSA_WITH_ARIA_256_GCM_SHA384",), "cannot",
        because="GnuTLS has no ARIA (`+ARIA-256-GCM`: syntax error). openssl and sslyze agree.",
    ),
    Reason(
        "gnutls", _each("pyopenssl-hybrids", "TLSv1.3"), _HYBRIDS, "cannot",
        because="GnuTLS 3.7 has no ML-KEM: `gnutls-cli --list` ends with the groups of RFC 7919.",
    ),
    Reason(
        "gnutls", _each("pyopenssl-hybrids pyopenssl-transition", "TLSv1.3"),
        ("group X25519MLKEM768",), "cannot", said="Syntax error at: +GROUP-X25519-MLKEM768",
        because="The same.",
    ),
    Reason(
        "sslyze", _each("jsse-everything", "SSLv3"), ("version",), "broken", said="wrong curve",
        because="An SSL 3.0 hello has no extensions, so JSSE takes x25519 for ECDHE. sslyze asks "
        "with OpenSSL 1.0.2, which does not know it (`ssl3_get_key_exchange:wrong curve`), takes "
        "that for a fault of its own, and drops all that it learned of SSL 3.0.",
    ),
    Reason(
        "sslyze", _each("jsse-everything", "SSLv3"),
        ("suite TLS_RSA_*", "suite TLS_DHE_RSA_*", "suite TLS_ECDHE_RSA_*"), "cannot",
        because="Dropped with the version. Asked one by one, its OpenSSL 1.0.2 finishes the RSA "
        "and DHE suites, and tlslite-ng's client, which knows x25519, all eight.",
    ),
    Reason(
        "sslyze",
        _each(
            "nginx-modern nginx-dual openssl-everything gnutls-wide gnutls-client-order nss-modern "
            "jsse-everything haproxy-client-order pyopenssl-transition",
            "TLSv1.2",
        ),
        ("group *",), "cannot",
        because="sslyze asks for curves in the highest version of a server alone, here TLS 1.3.",
    ),
    Reason(
        "sslyze",
        _each("openssl-everything gnutls-wide nss-modern jsse-everything", "TLSv1.3"),
        ("group ffdhe2048", "group ffdhe3072"), "cannot",
        because="sslyze asks for elliptic curves alone. openssl and gnutls-cli agree.",
    ),
    Reason(
        "sslyze", _each("openssl-everything", "TLSv1.3"),
        ("group ffdhe4096", "group ffdhe6144", "group ffdhe8192"), "cannot",
        because="The same.",
    ),
    Reason(
        "sslyze", _each("pyopenssl-hybrids", "TLSv1.3"), _HYBRIDS, "cannot",
        because="sslyze asks with OpenSSL 1.1.1, which has no ML-KEM.",
    ),
    Reason(
        "sslyze", _each("pyopenssl-hybrids pyopenssl-transition", "TLSv1.3"),
        ("group X25519MLKEM768",), "cannot",
        because="The same.",
    ),
)  # fmt: skip
