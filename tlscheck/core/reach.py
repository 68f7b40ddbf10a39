"""What a refusal of the HTTPS check tells: of the server, or of what the check cannot do. Pure.

The check speaks with this machine's OpenSSL, which has fewer groups and suites than a probe can
name. A server that does with none of them refuses it with the alert with which it refuses anybody.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tlscheck.core import registry
from tlscheck.core.explore import VersionFacts
from tlscheck.core.registry import Version

EXPIRED = "certificate has expired"  # OpenSSL says so of any certificate of a chain
NO_HTTP_1 = "alert no_application_protocol"  # RFC 7301, section 3.2; the check offers HTTP/1.1
_CURVES = registry.OPENSSL_CURVES
_FIELDS = frozenset(map(registry.group_name, registry.ffdhe_groups()))
_MODERN = frozenset(
    {"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"}
)
MOST_NAMED = 3  # groups or suites in a reason
_REFUSALS = ("alert handshake_failure", "alert insufficient_security", "alert illegal_parameter")


def doubted(
    https: dict[str, Any],
    facts: Sequence[VersionFacts],
    certificates: Sequence[Mapping[str, Any]],
    alpn: str | None = None,
) -> dict[str, Any]:
    """What HTTPS answered, unknown where it was refused for what we may not have; and of an expired
    certificate whose that is. `alpn` is what a probe that offers HTTP/2, too, was answered."""
    if alpn == "h2" and str(https.get("why")).startswith(NO_HTTP_1):
        why = f"speaks HTTP/2 only, which this check does not: picks h2, refuses 1.1 ({NO_HTTP_1})"
        return {**https, "why": why}
    left = [c.get("days_left") for c in certificates if c.get("position") == 0]
    if https.get("why") == EXPIRED and left and all(isinstance(d, int) and d >= 0 for d in left):
        return {**https, "why": "a certificate above its own has expired"}
    lacked = lack(https, facts, certificates)
    if lacked is None:
        return https
    why = f"{https['why']}: takes nothing but {lacked}, which this check may not have"
    return {**https, "outcome": "unknown", "why": why}


def lack(
    https: Mapping[str, Any],
    facts: Sequence[VersionFacts],
    certificates: Sequence[Mapping[str, Any]],
) -> str | None:
    """What the check may have lacked where `https` tells of a refusal: suites that authenticate the
    server, or groups, one of which is needed for each of them. `None` where it had enough; a check
    that has more than it must is not refused for the lack of it.

    The newest version counts: it is agreed on before the suite and the group.
    """
    if https.get("outcome") != "no" or https.get("why") not in _REFUSALS:
        return None
    spoken = {f.version: f.protocol for f in facts if f.protocol.offered == "yes"}
    newest = max(spoken, default=Version.SSLv3)
    if newest <= Version.SSLv3:
        return None
    groups = set(spoken[newest].groups)
    curves = {_curve(each) for each in certificates if each.get("position") == 0}
    needed = set[str]()
    for suite in map(registry.known_suite, spoken[newest].suites):
        if suite is None or suite.authentication not in ("RSA", "ECDSA", "DSS", "TLS13"):
            continue
        if suite.cipher == "NULL":  # in clear: the check has such suites, and does not want them
            continue
        if not _is_had(suite):
            needed.add(suite.name)
            continue
        known = _CURVES | (_FIELDS if newest is Version.TLSv1_3 else frozenset())
        if suite.key_exchange in ("ECDHE", "TLS13") and groups and not groups & known:
            needed |= groups
        elif suite.authentication != "RSA" and curves and not curves & {None, *_CURVES}:
            needed |= {curve for curve in curves if curve}
        else:
            return None
    few = sorted(needed)[:MOST_NAMED]
    more = [f"{len(needed) - len(few)} more"] if len(needed) > len(few) else []
    return " or ".join(few + more) or None


def _is_had(suite: registry.Suite) -> bool:
    """Whether every OpenSSL of these days has a suite: some are built without RC4, 3DES and what is
    as old, and Python offers no CCM in TLS 1.3."""
    if suite.key_exchange == "TLS13":
        return suite.name in _MODERN
    ciphers = ("AES_", "CHACHA20_")
    return suite.key_exchange in ("RSA", "DHE", "ECDHE") and suite.cipher.startswith(ciphers)


def _curve(leaf: Mapping[str, Any]) -> str | None:
    key = leaf.get("key")
    curve = key.get("curve") if isinstance(key, dict) else None
    return curve if isinstance(curve, str) else None
