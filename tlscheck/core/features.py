"""What a server does besides picking: its certificates, and the extensions and habits that count.

Strategies like those of `explore`, for a target whose versions are known. Each costs a connection
or two, offers only what this server has accepted, and is read closely (`flight`). A refusal or a
silence never becomes a "no" here, unless the refusal is the very answer that was asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tlscheck.core import flight, registry, shares, wire
from tlscheck.core.eliminate import (
    Answer,
    Exploration,
    Refused,
    Unknown,
    together,
)
from tlscheck.core.explore import (
    VersionFacts,
)
from tlscheck.core.flight import Flight
from tlscheck.core.registry import Version
from tlscheck.core.wire import Hello, Picked

MOST_CHAINS = 6  # of one target
_FALLBACK_SCSV = 0x5600  # RFC 7507
_DEFLATE = 1  # RFC 3749
_DOWNGRADE = {Version.TLSv1_2: b"DOWNGRD\x01"}  # RFC 8446, section 4.1.3; for older ones \x00

_OCSP = (flight.STATUS_REQUEST, b"\x01\0\0\0\0")  # RFC 6066, section 8
_SCTS = (flight.TIMESTAMPS, b"")  # RFC 6962, section 3.3.1
_TICKET = (flight.SESSION_TICKET, b"")  # RFC 5077, section 3.2
_ALPN = (flight.ALPN, b"\x00\x0c\x02h2\x08http/1.1")  # RFC 7301, section 3.1

# What a certificate may be signed with, whatever its own key signs (RFC 8446, section 4.2.3).
_SIGNED = tuple(s for s in registry.SIGNATURE_SCHEMES if s & 0xFF != 2 and s >> 8 != 3)
_SIGNED_WITH = (50, (2 * len(_SIGNED)).to_bytes(2, "big") + b"".join(
    code.to_bytes(2, "big") for code in _SIGNED
))  # fmt: skip
_RSA = tuple(s for s in _SIGNED if registry.scheme_name(s).startswith("rsa_pss"))
_OTHERS = tuple(s for s in _SIGNED if not registry.scheme_name(s).startswith("rsa") and s != 0x0203)


@dataclass(frozen=True, slots=True)
class Chain:
    """A certificate chain as a server sent it (DER, leaf first), the versions it came in, the
    newest staple that came with it (an OCSP response, DER), and timestamps in the handshake."""

    certificates: tuple[bytes, ...]
    versions: tuple[str, ...]
    staple: bytes = b""
    timestamps: int = 0


@dataclass(frozen=True, slots=True)
class Looked:
    """What was found: features by name, in the words of the report, and the chains."""

    features: dict[str, Any] = field(default_factory=dict)
    chains: tuple[Chain, ...] = ()


def look(facts: Sequence[VersionFacts], server_name: str | None) -> Exploration[Looked]:
    """All features of a target whose versions are `facts`. Asks for certificates first, so that
    these are seen even where not all may be asked."""
    spoken = {
        fact.version: fact.protocol
        for fact in facts
        if fact.protocol.offered == "yes" and fact.version >= Version.SSLv3
    }
    if not spoken:
        return Looked()
    suites = {version: _codes(protocol.suites) for version, protocol in spoken.items()}
    groups = {version: _groups(protocol.groups) for version, protocol in spoken.items()}
    old = max((v for v in spoken if v < Version.TLSv1_3), default=None)
    asker = _Asker(server_name, suites, groups)
    parts = {
        **asker.chains(old, Version.TLSv1_3 in spoken),
        "compression": asker.compression(old),
        "fallback": asker.fallback(sorted(spoken)),
        "alpn": asker.alpn(max(spoken)),
        "hybrid": asker.hybrid(),
        "dhe": asker.dhe(old),
    }
    done = dict(zip(parts, (yield from together(list(parts.values()))), strict=True))
    return Looked(_features(done, facts, old), _chains(done))


def _codes(names: Iterable[str]) -> tuple[int, ...]:
    return tuple(suite.code for name in names if (suite := registry.known_suite(name)))


def _groups(names: Iterable[str]) -> tuple[int, ...]:
    return tuple(registry.GROUP_BY_NAME[name] for name in names if name in registry.GROUP_BY_NAME)


Asked = tuple[Answer, ...]
"""The answers to what was asked of one matter; none when there was nothing to ask."""


@dataclass(frozen=True, slots=True)
class _Asker:
    """Makes the questions for one target, of what it accepts."""

    server_name: str | None
    suites: Mapping[Version, tuple[int, ...]]
    groups: Mapping[Version, tuple[int, ...]]

    def _old(self, version: Version, suites: tuple[int, ...], **more: Any) -> Hello:
        curves = registry.curves_of(version) if version > Version.SSLv3 else ()
        return Hello(version, suites, curves, self.server_name, closely=True, **more)

    def _modern(self, **more: Any) -> Hello | None:
        """A hello of TLS 1.3 with a share of the group that this server likes best of those
        whose answer can be opened; `None` when there is none."""
        group = shares.best(self.groups[Version.TLSv1_3])
        if group is None:
            return None
        return Hello(
            Version.TLSv1_3, self.suites[Version.TLSv1_3], (group,), self.server_name,
            shares=True, closely=True, **more,
        )  # fmt: skip

    def chains(self, old: Version | None, modern: bool) -> dict[str, Exploration[Asked]]:
        """One question for each kind of key, of TLS 1.3 and of the newest version before it."""
        parts: dict[str, Exploration[Asked]] = {}
        if modern:
            parts["TLSv1.3 RSA"] = self._by_scheme(_RSA)
            parts["TLSv1.3 other"] = self._by_scheme(_OTHERS)
        if old is not None:
            table = registry.suites()
            for kind in ("RSA", "ECDSA", "DSS"):
                mine = tuple(s for s in self.suites[old] if table[s].authentication == kind)
                if mine:
                    more = (_OCSP, _SCTS, _TICKET)
                    parts[f"{old.label} {kind}"] = _once(self._old(old, mine, more=more))
        return parts

    def _by_scheme(self, schemes: tuple[int, ...]) -> Exploration[Asked]:
        """Strikes the scheme that the server signed with, until it refuses."""
        found: list[Answer] = []
        while schemes:
            hello = self._modern(schemes=schemes, more=(_OCSP, _SCTS, _SIGNED_WITH))
            if hello is None:
                why = "accepts no group whose answer can be opened"
                return (*found, Unknown(why))
            (answer,) = yield (hello,)
            found.append(answer)
            if not isinstance(answer, Flight) or answer.scheme not in schemes:
                break
            schemes = tuple(s for s in schemes if s != answer.scheme)
        return tuple(found)

    def compression(self, old: Version | None) -> Exploration[Asked]:
        """Offers compression, of CBC suites alone where there are any: only with them would
        encrypt-then-MAC be agreed on."""
        if old is None:
            return _nothing()
        table = registry.suites()
        blocks = tuple(s for s in self.suites[old] if _is_block(table[s]))
        return _once(self._old(old, blocks or self.suites[old], compressions=(_DEFLATE, 0)))

    def fallback(self, spoken: Sequence[Version]) -> Exploration[Asked]:
        """A hello of the version before the newest, that says it is a fallback."""
        if len(spoken) < 2:
            return _nothing()
        version = spoken[-2]
        return _once(self._old(version, (*self.suites[version], _FALLBACK_SCSV)))

    def alpn(self, newest: Version) -> Exploration[Asked]:
        if newest is Version.TLSv1_3:
            hello = self._modern(more=(_ALPN,))
            return _once(hello) if hello else _nothing()
        if newest is Version.SSLv3:  # has no extensions
            return _nothing()
        return _once(self._old(newest, self.suites[newest], more=(_ALPN,)))

    def hybrid(self) -> Exploration[Asked]:
        """Hybrid groups without a share, beside classical ones with theirs."""
        groups = self.groups.get(Version.TLSv1_3, ())
        shared = tuple(g for g in groups if g in shares.of(False))
        hybrids = tuple(g for g in groups if _is_hybrid(g))
        if not shared or not hybrids:
            return _nothing()
        suites = self.suites[Version.TLSv1_3]
        hello = Hello(
            Version.TLSv1_3, suites, hybrids + shared, self.server_name, shares=True, more=()
        )
        return _once(hello)

    def dhe(self, old: Version | None) -> Exploration[Asked]:
        table = registry.suites()
        mine = tuple(s for s in self.suites[old] if _is_dhe(table[s])) if old else ()
        if old is None or not mine:
            return _nothing()
        hello = self._old(old, mine)
        return _once(hello, hello)


def _once(*hellos: Hello) -> Exploration[Asked]:
    return (yield hellos)


def _nothing() -> Exploration[Asked]:
    yield from ()
    return ()


def _is_block(suite: registry.Suite) -> bool:
    return "_CBC" in suite.cipher and not suite.export


def _is_dhe(suite: registry.Suite) -> bool:
    return suite.key_exchange == "DHE" and suite.authentication in ("RSA", "DSS")


def _is_hybrid(group: int) -> bool:
    name = registry.group_name(group)
    return "MLKEM" in name or "Kyber" in name


# --- chains -----------------------------------------------------------------------------------


def _chains(done: Mapping[str, Asked]) -> tuple[Chain, ...]:
    """The different chains that came, in the order of the questions."""
    found: dict[tuple[bytes, ...], Chain] = {}
    for answer in _flights(done):
        if not answer.certificates:
            continue
        before = found.get(answer.certificates)
        if before is None and len(found) == MOST_CHAINS:
            continue
        versions = (*(before.versions if before else ()), registry.version_name(answer.version))
        found[answer.certificates] = Chain(
            answer.certificates,
            tuple(sorted(dict.fromkeys(versions))),
            answer.staple or (before.staple if before else b""),
            max(_timestamps(answer), before.timestamps if before else 0),
        )
    return tuple(found.values())


def _flights(done: Mapping[str, Asked]) -> list[Flight]:
    return [a for asked in done.values() for a in asked if isinstance(a, Flight)]


def _timestamps(answer: Flight) -> int:
    """How many signed certificate timestamps came in the handshake: RFC 6962, section 3.3."""
    body = answer.extension(flight.TIMESTAMPS)
    if body is None:
        return 0
    count = 0
    try:
        inner = wire.Cursor(wire.Cursor(body, "timestamps").vector(2, "list"), "timestamps")
        while inner.left():
            inner.vector(2, "timestamp")
            count += 1
    except wire.Malformed:
        return 0
    return count


# --- features ---------------------------------------------------------------------------------


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


def _features(
    done: Mapping[str, Asked], facts: Sequence[VersionFacts], old: Version | None
) -> dict[str, Any]:
    spoken = {fact.version: fact for fact in facts if fact.protocol.offered == "yes"}
    flights = _flights(done)
    # What TLS 1.2 and below say in clear is read off the answers that brought the chains.
    label = old.label if old else ""
    asked = tuple(a for name, part in done.items() if label and name.startswith(label)
                  for a in part)  # fmt: skip
    plain = [a for a in asked if isinstance(a, Flight) and a.version == old]
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
        "session_tickets": _tickets(plain, asked),
        "ocsp_stapling": _stapling(done),
        "fallback_scsv": _fallback(done["fallback"]),
        "downgrade_sentinel": _sentinel(plain, asked, old, Version.TLSv1_3 in spoken),
        "alpn": _alpn(done["alpn"]),
        "signature_schemes": _schemes(done, plain),
        "dh": _dh(done["dhe"]),
        "public_value_reuse": _reuse(flights),
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
            known = {0: None, _DEFLATE: "DEFLATE"}
            method = known.get(answer.compression, f"0x{answer.compression:02X}")
            return _is("yes" if method else "no", method=method)
    return _unanswered(asked, "TLS 1.3 has no compression")


def _encrypt_then_mac(asked: Asked, old: Version | None) -> dict[str, Any]:
    if old is Version.SSLv3:
        return _is("not_applicable", "SSLv3 has no extensions")
    for answer in asked:
        if isinstance(answer, Flight):
            suite = registry.suites().get(answer.suite)
            if suite is None or not _is_block(suite):
                return _is("not_applicable", "no CBC suite is offered")
            return _is("yes" if answer.extension(flight.ENCRYPT_THEN_MAC) is not None else "no")
    return _unanswered(asked, "TLS 1.3 has no CBC suites")


def _tickets(plain: Sequence[Flight], asked: Asked) -> dict[str, Any]:
    if not plain and not asked:
        return _is("unknown", "TLS 1.3 gives tickets only after the handshake")
    return _extension(plain, asked, flight.SESSION_TICKET, "")


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


def _schemes(done: Mapping[str, Asked], plain: Sequence[Flight]) -> dict[str, Any]:
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
    why = f"TLSv1.3 may be incomplete: {open_[0]}" if open_ else None
    answer = "yes" if used or accepted else "unknown"
    found = {"TLSv1.2": list(dict.fromkeys(used)), "TLSv1.3": list(dict.fromkeys(accepted))}
    if answer == "unknown" and not why:
        why = "no signature was seen"
    return _is(answer, why, **found)


def _is_refusal(ended: wire.Ending | None) -> bool:
    """Whether a flight came to its end, or to one that says that nothing offered would do."""
    return ended is None or ended == wire.Alert(40)  # handshake_failure


def _dh(asked: Asked) -> dict[str, Any]:
    flights = [a for a in asked if isinstance(a, Flight) and a.dh_bits]
    if not flights:
        return _unanswered(asked, "no DHE suite is offered")
    bits = min(a.dh_bits for a in flights if a.dh_bits)
    group = flights[0].group
    return _is("yes", bits=bits, group=registry.group_name(group) if group else None)


def _reuse(flights: Sequence[Flight]) -> dict[str, Any]:
    """Whether a server used one DH or ECDH value twice: what differs once may be kept for longer
    than these few connections took, so a "no" is about these."""
    said: dict[tuple[str, int | None], list[bytes]] = {}
    for answer in flights:
        suite = registry.suites().get(answer.suite)
        if answer.public and suite:
            finite = suite.key_exchange == "DHE" or answer.group in registry.ffdhe_groups()
            kind = "DHE" if finite else "ECDHE"
            said.setdefault((kind, answer.group), []).append(answer.public)
    found = {}
    for kind in ("ECDHE", "DHE"):
        lists = [values for (k, _), values in said.items() if k == kind and len(values) > 1]
        twice = any(len(set(values)) < len(values) for values in lists)
        found[kind] = "unknown" if not lists else "yes" if twice else "no"
    answers = set(found.values())
    whole = next((word for word in ("yes", "no") if word in answers), "unknown")
    why = "fewer than two values to compare" if whole == "unknown" else None
    return _is(whole, why, **found)


def _hybrid(asked: Asked, spoken: Mapping[Version, VersionFacts]) -> dict[str, Any]:
    """What is chosen where classical shares stand beside a hybrid group without one: "yes" is
    the hybrid, at the price of a HelloRetryRequest."""
    for answer in asked:
        if isinstance(answer, Picked) and answer.group is not None:
            name = registry.group_name(answer.group)
            hybrid = _is_hybrid(answer.group)
            return _is("yes" if hybrid else "no", picked=name, retry=answer.retry)
    modern = spoken.get(Version.TLSv1_3)
    if modern and modern.protocol.why:
        return _unanswered(asked, f"groups are not known whole: {modern.protocol.why}")
    return _unanswered(asked, "no hybrid group beside a classical one")
