"""What answers say of a server's habits, feature by feature, in the words of the report. Pure.

A refusal or a silence never becomes a "no" here, unless the refusal is the very answer that was
asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tlscheck.core import flight, registry
from tlscheck.core.eliminate import Answer, Refused, Unknown
from tlscheck.core.explore import VersionFacts
from tlscheck.core.flight import Flight
from tlscheck.core.registry import Version
from tlscheck.core.reply import Alert, Ending, Picked

DEFLATE = 1  # RFC 3749
_DOWNGRADE = {Version.TLSv1_2: b"DOWNGRD\x01"}  # RFC 8446, section 4.1.3; for older ones \x00

Asked = tuple[Answer, ...]
"""The answers to what was asked of one matter; none when there was nothing to ask."""


def flights_of(done: Mapping[str, Asked]) -> list[Flight]:
    """All flights that came, in the order of the questions."""
    return [a for asked in done.values() for a in asked if isinstance(a, Flight)]


def is_block(suite: registry.Suite) -> bool:
    """Whether a suite's cipher works in CBC mode, which encrypt-then-MAC is for."""
    return "_CBC" in suite.cipher and not suite.export


def is_hybrid(group: int) -> bool:
    """Whether a group joins a classical exchange with ML-KEM, or with what came before it."""
    name = registry.group_name(group)
    return "MLKEM" in name or "Kyber" in name


def _is(answer: str, why: str | None = None, **more: Any) -> dict[str, Any]:
    return {"answer": answer, "why": why, **more}


def _unanswered(asked: Asked, otherwise: str) -> dict[str, Any]:
    """The feature when no flight came: why not."""
    for answer in asked:
        if isinstance(answer, Unknown | Refused):
            return _is("unknown", answer.why)
        if isinstance(answer, Picked) and answer.ended is not None:
            return _is("unknown", str(answer.ended))
    return _is("not_applicable", otherwise)


def features(
    done: Mapping[str, Asked], facts: Sequence[VersionFacts], old: Version | None
) -> dict[str, Any]:
    """All features by name, of the answers that are `done`, by question; `old` is the newest
    version before TLS 1.3 that is offered."""
    spoken = {fact.version: fact for fact in facts if fact.protocol.offered == "yes"}
    flights = flights_of(done)
    # What TLS 1.2 and below say in clear is read off the answers that brought the chains.
    label = old.label if old else ""
    asked = tuple(a for name, part in done.items() if label and name.startswith(label)
                  for a in part)  # fmt: skip
    told = [a for a in asked if isinstance(a, Flight) and a.version == old]
    # Most of it every answer says, also where those were not given.
    plain = told or [a for a in flights if a.version == old]
    modern_only = "TLS 1.3 does without"
    return {
        "compression": _compression(done["compression"]),
        "secure_renegotiation": _extension(
            plain, asked, flight.RENEGOTIATION_INFO, "TLS 1.3 has no renegotiation"
        ),
        "extended_master_secret": _extension(
            plain, asked, flight.EXTENDED_MASTER_SECRET, modern_only
        ),
        "encrypt_then_mac": _encrypt_then_mac(done["compression"], old),
        "session_tickets": _tickets(told, asked),
        "ocsp_stapling": _stapling(done),
        "fallback_scsv": _fallback(done["fallback"]),
        "downgrade_sentinel": _sentinel(plain, asked, old, Version.TLSv1_3 in spoken),
        "alpn": _alpn(done["alpn"]),
        "signature_schemes": _schemes(done, plain, spoken),
        "dh": _dh(done["dhe"]),
        "public_value_reuse": _reuse(flights, spoken),
        "hybrid_preference": _hybrid(done["hybrid"], spoken),
    }


def _extension(plain: Sequence[Flight], asked: Asked, kind: int, otherwise: str) -> dict[str, Any]:
    if not plain:
        return _unanswered(asked, otherwise)
    had = [answer.extension(kind) is not None for answer in plain]
    if all(had) or not any(had):
        return _is("yes" if had[0] else "no")
    return _is("yes", "not in every answer")


def _compression(asked: Asked) -> dict[str, Any]:
    for answer in asked:
        if isinstance(answer, Flight):
            known = {0: None, DEFLATE: "DEFLATE"}
            method = known.get(answer.compression, f"0x{answer.compression:02X}")
            return _is("yes" if method else "no", method=method)
    return _unanswered(asked, "TLS 1.3 has no compression")


def _encrypt_then_mac(asked: Asked, old: Version | None) -> dict[str, Any]:
    if old is Version.SSLv3:
        return _is("not_applicable", "SSLv3 has no extensions")
    for answer in asked:
        if isinstance(answer, Flight):
            suite = registry.suites().get(answer.suite)
            if suite is None or not is_block(suite):
                return _is("not_applicable", "no CBC suite is offered")
            return _is("yes" if answer.extension(flight.ENCRYPT_THEN_MAC) is not None else "no")
    return _unanswered(asked, "TLS 1.3 has no CBC suites")


def _tickets(plain: Sequence[Flight], asked: Asked) -> dict[str, Any]:
    if not plain and not asked:
        return _is("unknown", _AFTER)
    return _extension(plain, asked, flight.SESSION_TICKET, "")


_AFTER = "TLS 1.3 gives tickets only after the handshake"


def late(features: dict[str, Any], ticket: bool | None) -> dict[str, Any]:
    """`features` with whether the HTTPS request, which ends its handshake, got a ticket in TLS 1.3
    (RFC 8446, section 4.6.1), where no older version tells; `None` where it did not get so far.
    That there was none is no "no": one may come at any time."""
    if ticket is None or features.get("session_tickets") != _is("unknown", _AFTER):
        return features
    got = _is("yes", "with the HTTPS answer, in TLS 1.3")
    none = _is("unknown", "TLS 1.3 gives tickets at any time; none came before the HTTPS answer")
    return {**features, "session_tickets": got if ticket else none}


def _stapling(done: Mapping[str, Asked]) -> dict[str, Any]:
    asked = tuple(a for name, part in done.items() if name.startswith(("TLS", "SSL")) for a in part)
    shown = [a for a in asked if isinstance(a, Flight) and a.certificates]
    if not shown:
        return _unanswered(asked, "no certificate was sent")
    return _is("yes" if any(answer.staple for answer in shown) else "no")


def _fallback(asked: Asked) -> dict[str, Any]:
    for answer in asked:
        if isinstance(answer, Refused) and "inappropriate_fallback" in answer.why:
            return _is("yes", answer.why)
        if isinstance(answer, Picked):
            return _is("no", "a fallback was answered")
    return _unanswered(asked, "one version alone is offered")


def _sentinel(
    plain: Sequence[Flight], asked: Asked, old: Version | None, modern: bool
) -> dict[str, Any]:
    if old is None:
        return _is("not_applicable", "nothing older than TLS 1.3 is offered")
    if not modern:
        return _is("not_applicable", "TLS 1.3 is not offered")
    if not plain:
        return _unanswered(asked, "no answer to read it from")
    mark = _DOWNGRADE.get(old, b"DOWNGRD\x00")
    return _is("yes" if all(answer.random.endswith(mark) for answer in plain) else "no")


def _alpn(asked: Asked) -> dict[str, Any]:
    for answer in asked:
        if isinstance(answer, Refused) and "no_application_protocol" in answer.why:
            return _is("no", answer.why, offered=["h2", "http/1.1"], picked=None)
        if isinstance(answer, Flight) and answer.sealed is None and answer.whole:
            body = answer.extension(flight.ALPN)
            if body is None:
                return _is("no", offered=["h2", "http/1.1"], picked=None)
            name = body[3:35].decode("ascii", "backslashreplace")
            text = "".join(c if " " < c <= "~" else f"\\x{ord(c):02x}" for c in name)
            return _is("yes", offered=["h2", "http/1.1"], picked=text)
    return _unanswered(asked, "not to be asked in this version")


def _schemes(
    done: Mapping[str, Asked], plain: Sequence[Flight], spoken: Mapping[Version, VersionFacts]
) -> dict[str, Any]:
    """In TLS 1.2 the schemes that were used, in 1.3 all that are accepted."""
    used = [registry.scheme_name(a.scheme) for a in plain if a.scheme is not None]
    asked = (*done.get("TLSv1.3 RSA", ()), *done.get("TLSv1.3 other", ()))
    accepted = [
        registry.scheme_name(a.scheme) for a in asked
        if isinstance(a, Flight) and a.scheme is not None
    ]  # fmt: skip
    open_ = [a.why for a in asked if isinstance(a, Unknown)] + [
        str(a.ended) for a in asked if isinstance(a, Picked) and not _is_refusal(a.ended)
    ]
    if not accepted and Version.TLSv1_3 in spoken:  # it signs with something all the same
        open_ += [a.why for a in asked if isinstance(a, Refused)]
    why = f"TLSv1.3 may be incomplete: {open_[0]}" if open_ else None
    answer = "yes" if used or accepted else "unknown"
    found = {"TLSv1.2": list(dict.fromkeys(used)), "TLSv1.3": list(dict.fromkeys(accepted))}
    if answer == "unknown" and not why:
        why = "no signature was seen"
        if not any(_signs(fact) for version, fact in spoken.items() if version >= Version.TLSv1_2):
            answer, why = "not_applicable", "no suite that signs by a scheme is offered"
    return _is(answer, why, **found)


def _signs(fact: VersionFacts) -> bool:
    """Whether a version has suites whose key exchange the server signs."""
    return any(
        suite.forward_secrecy and suite.authentication in ("RSA", "ECDSA", "DSS", "TLS13")
        for suite in _suites(fact)
    )


def _suites(fact: VersionFacts) -> list[registry.Suite]:
    return [suite for name in fact.protocol.suites if (suite := registry.known_suite(name))]


def _is_refusal(ended: Ending | None) -> bool:
    """Whether a flight came to its end, or to one that says that nothing offered would do."""
    return ended is None or ended == Alert(40)  # handshake_failure


def _dh(asked: Asked) -> dict[str, Any]:
    flights = [a for a in asked if isinstance(a, Flight) and a.dh_bits]
    if not flights:
        return _unanswered(asked, "no DHE suite is offered")
    least = min(flights, key=lambda flight: flight.dh_bits or 0)
    group = registry.group_name(least.group) if least.group else None
    return _is("yes", bits=least.dh_bits, group=group)


def _reuse(flights: Sequence[Flight], spoken: Mapping[Version, VersionFacts]) -> dict[str, Any]:
    """Whether a server used one DH or ECDH value twice: what differs once may be kept for longer
    than these few connections took, so a "no" is about these, and of each kind that is offered."""
    said: dict[tuple[str, int | None], list[bytes]] = {}
    for answer in flights:
        suite = registry.suites().get(answer.suite)
        if answer.public and suite:
            finite = suite.key_exchange == "DHE" or answer.group in registry.ffdhe_groups()
            kind = "DHE" if finite else "ECDHE"
            said.setdefault((kind, answer.group), []).append(answer.public)
    offered = {kind for fact in spoken.values() for kind in _ephemeral(fact)}
    found = dict[str, str]()
    for kind in ("ECDHE", "DHE"):
        lists = [values for (k, _), values in said.items() if k == kind and len(values) > 1]
        twice = any(len(set(values)) < len(values) for values in lists)
        none = "unknown" if kind in offered else "not_applicable"
        found[kind] = none if not lists else "yes" if twice else "no"
    words = ("yes", "unknown", "no", "not_applicable")
    whole = next(word for word in words if word in found.values())
    few = " and ".join(kind for kind, word in found.items() if word == "unknown")
    why = f"{few}: fewer than two values to compare" if few else None
    if whole == "not_applicable":
        why = "no suite with forward secrecy is offered"
    return _is(whole, why, **found)


def _ephemeral(fact: VersionFacts) -> Iterator[str]:
    """The kinds of key exchange with values made for it that a version has; in TLS 1.3 the groups
    tell."""
    for suite in _suites(fact):
        if suite.key_exchange in ("ECDHE", "DHE"):
            yield suite.key_exchange
    if fact.version is Version.TLSv1_3:
        for name in fact.protocol.groups:
            yield "DHE" if name.startswith("ffdhe") else "ECDHE"


def _hybrid(asked: Asked, spoken: Mapping[Version, VersionFacts]) -> dict[str, Any]:
    """What is chosen where classical shares stand beside a hybrid group without one: "yes" is
    the hybrid, at the price of a HelloRetryRequest."""
    for answer in asked:
        if isinstance(answer, Picked) and answer.group is not None:
            name = registry.group_name(answer.group)
            hybrid = is_hybrid(answer.group)
            return _is("yes" if hybrid else "no", picked=name, retry=answer.retry)
    modern = spoken.get(Version.TLSv1_3)
    if modern and modern.protocol.why:
        return _unanswered(asked, f"groups are not known whole: {modern.protocol.why}")
    return _unanswered(asked, "no hybrid group beside a classical one")
