"""What is asked of a server besides its picks: certificates, extensions and habits that count.

Strategies like those of `explore`, for a target whose versions are known. Each costs a connection
or two, offers only what this server has accepted, and is read closely (`flight`). A refusal or a
silence never becomes a "no" here, unless the refusal is the very answer that was asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from tlscheck.core import flight, registry, shares
from tlscheck.core.eliminate import (
    Answer,
    Exploration,
    Unknown,
    together,
)
from tlscheck.core.explore import VersionFacts
from tlscheck.core.flight import Flight
from tlscheck.core.habits import DEFLATE, Asked, features, flights_of, is_block, is_hybrid
from tlscheck.core.registry import Version
from tlscheck.core.reply import Hello

MOST_CHAINS = 6  # of one target
_FALLBACK_SCSV = 0x5600  # RFC 7507

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
# TLS 1.3 signs no handshake with these, but some servers look for them to see who can do RSA.
_OLD_RSA = (0x0401, 0x0501, 0x0601)
_OTHERS = tuple(s for s in _SIGNED if not registry.scheme_name(s).startswith("rsa") and s != 0x0203)


@dataclass(frozen=True, slots=True)
class Chain:
    """A certificate chain as a server sent it (DER, leaf first), the versions it came in, the
    newest staple that came with it (an OCSP response, DER), and the newest list of timestamps in
    the handshake (RFC 6962, section 3.3), empty where there was none."""

    certificates: tuple[bytes, ...]
    versions: tuple[str, ...]
    staple: bytes = b""
    timestamps: bytes = b""


@dataclass(frozen=True, slots=True)
class Looked:
    """What was found: features by name, in the words of the report, and the chains."""

    features: dict[str, Any] = field(default_factory=dict)
    chains: tuple[Chain, ...] = ()


def look(facts: Sequence[VersionFacts]) -> Exploration[Looked]:
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
    asker = _Asker(suites, groups)
    parts = {
        **asker.chains(old, Version.TLSv1_3 in spoken),
        "compression": asker.compression(old),
        "fallback": asker.fallback(sorted(spoken)),
        "alpn": asker.alpn(max(spoken)),
        "hybrid": asker.hybrid(),
        "dhe": asker.dhe(),
    }
    done = dict(zip(parts, (yield from together(list(parts.values()))), strict=True))
    return Looked(features(done, facts, old), _chains(done))


def _codes(names: Iterable[str]) -> tuple[int, ...]:
    return tuple(suite.code for name in names if (suite := registry.known_suite(name)))


def _groups(names: Iterable[str]) -> tuple[int, ...]:
    return tuple(registry.GROUP_BY_NAME[name] for name in names if name in registry.GROUP_BY_NAME)


@dataclass(frozen=True, slots=True)
class _Asker:
    """Makes the questions for one target, of what it accepts."""

    suites: Mapping[Version, tuple[int, ...]]
    groups: Mapping[Version, tuple[int, ...]]

    def _old(self, version: Version, suites: tuple[int, ...], **more: Any) -> Hello:
        groups: tuple[int, ...] = ()
        if version > Version.SSLv3:
            groups = registry.curves_of(version) + self._fields()
        return Hello(version, suites, groups, closely=True, **more)

    def _fields(self) -> tuple[int, ...]:
        """The groups of RFC 7919 that this server has: it may do DHE with nothing else."""
        found = {group for groups in self.groups.values() for group in groups}
        return tuple(group for group in registry.ffdhe_groups() if group in found)

    def _modern(self, **more: Any) -> Hello | None:
        """A hello of TLS 1.3 with a share of the group that this server likes best of those
        whose answer can be opened; `None` when there is none."""
        group = shares.best(self.groups[Version.TLSv1_3])
        if group is None:
            return None
        return Hello(
            Version.TLSv1_3, self.suites[Version.TLSv1_3], (group,),
            shares=True, closely=True, **more,
        )  # fmt: skip

    def chains(self, old: Version | None, modern: bool) -> dict[str, Exploration[Asked]]:
        """One question for each kind of key, of TLS 1.3 and of the newest version before it; one
        without, where no suite has any, for what else the answer says."""
        parts: dict[str, Exploration[Asked]] = {}
        if modern:
            parts["TLSv1.3 RSA"] = self._by_scheme(_RSA, _OLD_RSA)
            parts["TLSv1.3 other"] = self._by_scheme(_OTHERS)
        if old is not None:
            kinds: dict[str, list[int]] = {}
            for code in self.suites[old]:
                kinds.setdefault(registry.suites()[code].authentication, []).append(code)
            keys = {kind: kinds[kind] for kind in ("RSA", "ECDSA", "DSS") if kind in kinds}
            for kind, mine in (keys or kinds).items():
                hello = self._old(old, _signing(mine), more=(_OCSP, _SCTS, _TICKET))
                parts[f"{old.label} {kind}"] = _once(hello)
        return parts

    def _by_scheme(
        self, schemes: tuple[int, ...], beside: tuple[int, ...] = ()
    ) -> Exploration[Asked]:
        """Strikes the scheme that the server signed with, until it refuses; `beside` stay."""
        found: list[Answer] = []
        while schemes:
            hello = self._modern(schemes=schemes + beside, more=(_OCSP, _SCTS, _SIGNED_WITH))
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
        blocks = tuple(s for s in self.suites[old] if is_block(table[s]))
        return _once(self._old(old, blocks or self.suites[old], compressions=(DEFLATE, 0)))

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
        return _once(self._old(newest, _signing(self.suites[newest]), more=(_ALPN,)))

    def hybrid(self) -> Exploration[Asked]:
        """Hybrid groups without a share, beside classical ones with theirs."""
        groups = self.groups.get(Version.TLSv1_3, ())
        shared = tuple(g for g in groups if g in shares.of(False))
        hybrids = tuple(g for g in groups if is_hybrid(g))
        if not shared or not hybrids:
            return _nothing()
        suites = self.suites[Version.TLSv1_3]
        hello = Hello(Version.TLSv1_3, suites, hybrids + shared, shares=True, more=())
        return _once(hello)

    def dhe(self) -> Exploration[Asked]:
        """The suites of DHE in the newest version that has any; those that are signed, keyed and
        anonymous apart, for each may have parameters of its own. Where there are none, what TLS 1.3
        has of it, twice."""
        for version in sorted(self.suites, reverse=True):
            if kinds := _fields(self.suites[version]):
                # Twice, for the value may be the same; once as those ask who know no RFC 7919.
                first, *others = (self._old(version, mine) for mine in kinds)
                bare = tuple(g for g in first.groups if g not in registry.ffdhe_groups())
                return _once(replace(first, groups=bare), first, *others)
        if group := shares.best(self._fields()):
            modern = Version.TLSv1_3
            hello = Hello(modern, self.suites[modern], (group,), shares=True, closely=True)
            return _once(hello, hello)
        return _nothing()


def _once(*hellos: Hello) -> Exploration[Asked]:
    return (yield hellos)


def _nothing() -> Exploration[Asked]:
    yield from ()
    return ()


def _signing(suites: Sequence[int]) -> tuple[int, ...]:
    """Those of `suites` with a value that the server makes and signs, where there are any: it shows
    more of itself then, and might like others better."""
    table = registry.suites()
    return tuple(s for s in suites if table[s].forward_secrecy) or tuple(suites)


def _fields(suites: Sequence[int]) -> list[tuple[int, ...]]:
    """The suites of DHE among these, by who signs the parameters: a certificate's key (RFC 5246,
    section 7.4.3), or nobody, with a shared secret (RFC 4279, section 3) or without."""
    table = registry.suites()
    kinds: dict[str, list[int]] = {"signed": []}
    for suite in (table[code] for code in suites):
        if suite.key_exchange == "DHE":
            unsigned = suite.authentication in ("PSK", "NULL")
            kind = suite.authentication if unsigned else "signed"
            kinds.setdefault(kind, []).append(suite.code)
    return [tuple(mine) for mine in kinds.values() if mine]


# --- chains -----------------------------------------------------------------------------------


def _chains(done: Mapping[str, Asked]) -> tuple[Chain, ...]:
    """The different chains that came, in the order of the questions."""
    found: dict[tuple[bytes, ...], Chain] = {}
    for answer in flights_of(done):
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
            answer.extension(flight.TIMESTAMPS) or (before.timestamps if before else b""),
        )
    return tuple(found.values())
