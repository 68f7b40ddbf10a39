"""A refusal of the HTTPS check is the server's "no" only where the check lacked nothing."""

from __future__ import annotations

from typing import Any

import pytest

from tlscheck.core.explore import VersionFacts
from tlscheck.core.model import Protocol
from tlscheck.core.reach import NO_HTTP_1, doubted, lack
from tlscheck.core.registry import Version

MODERN = ("TLS_AES_128_GCM_SHA256",)
ECDSA = ("TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",)
RSA = ("TLS_RSA_WITH_AES_128_GCM_SHA256",)
CCM = ("TLS_AES_128_CCM_SHA256",)
OLD = ("TLS_DH_RSA_WITH_AES_128_CBC_SHA", "TLS_RSA_WITH_3DES_EDE_CBC_SHA",
       "TLS_RSA_WITH_RC4_128_MD5", "TLS_RSA_WITH_RC4_128_SHA")  # fmt: skip
CLEAR = ("TLS_RSA_WITH_NULL_SHA", "TLS_ECDH_anon_WITH_AES_128_CBC_SHA")
PSK = ("TLS_ECDHE_PSK_WITH_AES_128_CBC_SHA256",)
REFUSED = {"outcome": "no", "why": "alert handshake_failure"}


def fact(version: Version, suites: tuple[str, ...], *groups: str) -> VersionFacts:
    return VersionFacts(version, Protocol("yes", None, suites, None, groups))


def leaf(curve: str) -> dict[str, Any]:
    return {"position": 0, "key": {"type": "EC", "curve": curve}}


@pytest.mark.parametrize(
    ("facts", "certificates", "expected"),
    [
        ([fact(Version.TLSv1_3, MODERN, "X25519MLKEM768")], [], "X25519MLKEM768"),
        # The version is agreed on before the suite: an older one would not have helped.
        ([fact(Version.TLSv1_2, RSA), fact(Version.TLSv1_3, MODERN, "MLKEM768")], [], "MLKEM768"),
        ([fact(Version.TLSv1_2, ECDSA, "x25519")], [leaf("secp256k1")], "secp256k1"),
        ([fact(Version.TLSv1_2, ECDSA, "brainpoolP256r1")], [], "brainpoolP256r1"),
        # It wants a client's certificate, or something else that nobody told.
        ([fact(Version.TLSv1_3, MODERN, "X25519MLKEM768", "x25519")], [leaf("secp256r1")], None),
        ([fact(Version.TLSv1_2, ECDSA, "x25519")], [leaf("secp256k1"), leaf("secp256r1")], None),
        ([fact(Version.TLSv1_3, MODERN, "ffdhe2048")], [], None),
        ([fact(Version.TLSv1_2, RSA)], [], None),
        ([fact(Version.TLSv1_2, PSK, "brainpoolP256r1")], [], None),
        ([], [], None),
        # What Python cannot offer in TLS 1.3, and what no OpenSSL of these days has before it.
        ([fact(Version.TLSv1_3, CCM, "x25519")], [], CCM[0]),
        ([fact(Version.TLSv1_3, CCM + MODERN, "x25519")], [], None),
        ([fact(Version.TLSv1_0, OLD[:2])], [], f"{OLD[0]} or {OLD[1]}"),
        ([fact(Version.TLSv1_0, OLD)], [], f"{OLD[0]} or {OLD[1]} or {OLD[2]} or 1 more"),
        ([fact(Version.TLSv1_2, OLD + RSA)], [], None),
        # In clear, and of nobody: the check has them, and does not want them.
        ([fact(Version.TLSv1_2, CLEAR)], [], None),
    ],
)
def test_what_the_check_may_have_lacked(
    facts: list[VersionFacts], certificates: list[dict[str, Any]], expected: str | None
) -> None:
    assert lack(REFUSED, facts, certificates) == expected
    assert lack({"outcome": "no", "why": "certificate has expired"}, facts, certificates) is None
    assert lack({"outcome": "yes", "why": None}, facts, certificates) is None


@pytest.mark.parametrize("alpn", ["h2", "http/1.1", None])
def test_a_server_of_http_2_alone_is_told_to_be_one(alpn: str | None) -> None:
    refused = {"outcome": "unknown", "why": f"{NO_HTTP_1}: refuses HTTP/1.1"}
    found = doubted(refused, [], [], alpn)
    assert found["outcome"] == "unknown"
    assert found["why"].startswith("speaks HTTP/2 only" if alpn == "h2" else NO_HTTP_1)
    for other in (REFUSED, {"outcome": "unknown", "why": "closed without an HTTP answer"}):
        assert doubted(other, [], [], alpn) == other
