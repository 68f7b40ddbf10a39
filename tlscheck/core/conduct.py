"""What no policy is needed for: a server that breaks TLS itself, or lets itself be attacked.

Each of these is a warning: a scanner's word, or that of sslyze, and no document's. What is not
known, or was not looked at, is no finding. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tlscheck.core.model import EndpointReport, Finding, TargetReport

OWN = "tlscheck"
"""What stands for a policy's id in findings that no document is needed for."""

LEAST_DH = 2048  # bits: RFC 9325, section 4.2


@dataclass(frozen=True, slots=True)
class Trouble:
    """A rule of our own: `look` gives why a target is in this trouble, or nothing."""

    id: str
    text: str
    measured: str
    document: str
    url: str
    saw: str
    look: Callable[[TargetReport], str | None]


def findings(endpoint: EndpointReport) -> Iterator[Finding]:
    """One finding for each trouble that a target of this endpoint is in."""
    for trouble in TROUBLES:
        said = [(t.address, why) for t in endpoint.targets if (why := trouble.look(t))]
        if said:
            because = merged(said, named=len(said) < len(endpoint.targets))
            yield Finding(endpoint.id, OWN, trouble.id, "warn", trouble.saw, because)


def merged(said: Sequence[tuple[str, str]], named: bool = False) -> str:
    """What was said of addresses, once; with the addresses when they differ or `named` asks."""
    addresses: dict[str, list[str]] = {}
    for address, text in said:
        addresses.setdefault(text, []).append(address)
    if len(addresses) == 1 and not named:
        return said[0][1]
    # What stands for addresses that nobody saw has none.
    named_ = {text: ", ".join(filter(None, at)) for text, at in addresses.items()}
    return "; ".join(f"{at}: {text}" if at else text for text, at in named_.items())


def _table(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _unoffered(target: TargetReport) -> str | None:
    held = target.features.get("unoffered")
    texts = [each for each in held if isinstance(each, str)] if isinstance(held, list) else []
    return "; ".join(texts) or None


def _of_sslyze(name: str, what: str) -> Callable[[TargetReport], str | None]:
    def look(target: TargetReport) -> str | None:
        said = _table(_table(target.deep).get(name))
        return f"{what}, says sslyze" if said.get("answer") == "yes" else None

    return look


def _compression(target: TargetReport) -> str | None:
    if _table(target.features.get("compression")).get("answer") == "yes":
        return "TLS compression is agreed on"
    return _of_sslyze("compression", "TLS compression is agreed on")(target)


def _weak_dh(target: TargetReport) -> str | None:
    bits = _table(target.features.get("dh")).get("bits")
    weak = isinstance(bits, int) and not isinstance(bits, bool) and 0 < bits < LEAST_DH
    return f"DHE with a prime of {bits} bits" if weak else None


def _leaves(target: TargetReport) -> Iterator[dict[str, Any]]:
    for entry in map(_table, target.certificates):
        if entry.get("position") == 0:
            yield entry


def _revoked(target: TargetReport) -> str | None:
    """What a stranger signed, or what is about another certificate, revokes nothing."""
    for leaf in _leaves(target):
        staple = _table(leaf.get("staple"))
        if (staple.get("status"), staple.get("about_leaf"), staple.get("signed")) == (
            "revoked", "yes", "yes",
        ):  # fmt: skip
            since = staple.get("revoked")
            return "its certificate is revoked" + (f" since {since}" if since else "")
    return None


def _must_staple(target: TargetReport) -> str | None:
    asked = _table(target.features.get("ocsp_stapling")).get("answer") == "no"
    must = any(leaf.get("must_staple") is True for leaf in _leaves(target))
    return "its certificate must come with a staple, and has none" if asked and must else None


_SSLYZE = "Asked by sslyze, at --depth deep."
TROUBLES: tuple[Trouble, ...] = (
    Trouble(
        "unoffered-pick",
        "A server must pick a version, suite and group that were offered.",
        "Every answer of every probe is held against what its hello offered.",
        "RFC 5246, section 7.4.1.3; RFC 8446, section 4.1.3",
        "https://www.rfc-editor.org/rfc/rfc8446#section-4.1.3",
        "a pick that was not offered",
        _unoffered,
    ),
    Trouble(
        "heartbleed",
        "A server does not answer a heartbeat with its memory.",
        _SSLYZE,
        "CVE-2014-0160",
        "https://nvd.nist.gov/vuln/detail/CVE-2014-0160",
        "Heartbleed",
        _of_sslyze("heartbleed", "it is vulnerable to Heartbleed"),
    ),
    Trouble(
        "ccs-injection",
        "A server takes no ChangeCipherSpec before its time.",
        _SSLYZE,
        "CVE-2014-0224",
        "https://nvd.nist.gov/vuln/detail/CVE-2014-0224",
        "CCS injection",
        _of_sslyze("ccs_injection", "it is vulnerable to CCS injection"),
    ),
    Trouble(
        "robot",
        "A server does not tell whether what it decrypted with its RSA key was well-formed.",
        _SSLYZE,
        "RFC 5246, section 7.4.7.1",
        "https://www.rfc-editor.org/rfc/rfc5246#section-7.4.7.1",
        "ROBOT",
        _of_sslyze("robot", "it is an oracle for its RSA key"),
    ),
    Trouble(
        "client-renegotiation",
        "A client cannot make a server negotiate again and again on one connection.",
        _SSLYZE,
        "RFC 9325, section 3.5",
        "https://www.rfc-editor.org/rfc/rfc9325#section-3.5",
        "renegotiation",
        _of_sslyze("client_renegotiation", "a client can renegotiate at will"),
    ),
    Trouble(
        "compression",
        "TLS compression is not used.",
        "A hello that offers DEFLATE, of the suites that the server accepts; and sslyze's.",
        "RFC 9325, section 3.3",
        "https://www.rfc-editor.org/rfc/rfc9325#section-3.3",
        "compression",
        _compression,
    ),
    Trouble(
        "weak-dh",
        f"The prime of a DHE key exchange has at least {LEAST_DH} bits.",
        "The ServerKeyExchange that answers a hello of the DHE suites that the server accepts.",
        "RFC 9325, section 4.2",
        "https://www.rfc-editor.org/rfc/rfc9325#section-4.2",
        "a weak DH group",
        _weak_dh,
    ),
    Trouble(
        "revoked",
        "A certificate in use is not revoked.",
        "The OCSP response that a server staples, about its own certificate, signed by its issuer.",
        "RFC 6960, section 2.2",
        "https://www.rfc-editor.org/rfc/rfc6960#section-2.2",
        "a revoked certificate",
        _revoked,
    ),
    Trouble(
        "must-staple",
        "A certificate that has to be stapled comes with an OCSP response.",
        "Hellos that ask for a staple, of each kind of key, in TLS 1.3 and before it.",
        "RFC 7633, section 4.2.3.1",
        "https://www.rfc-editor.org/rfc/rfc7633#section-4.2.3.1",
        "no staple",
        _must_staple,
    ),
)
BY_ID = {trouble.id: trouble for trouble in TROUBLES}
