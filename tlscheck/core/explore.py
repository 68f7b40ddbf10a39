"""Strategies: what to ask of one version of the protocol, to know its suites and groups. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from typing import assert_never

from tlscheck.core import registry
from tlscheck.core.eliminate import (
    GROUPS,
    SUITES,
    Answer,
    Exploration,
    Listing,
    Refused,
    Unknown,
    eliminate,
    together,
)
from tlscheck.core.model import Protocol
from tlscheck.core.registry import Version
from tlscheck.core.reply import Hello, Picked, Ssl2Picked

# How many suites a hello holds at most once a long list was refused.
SHORT_LIST = 90
SHORT_GROUPS = 12  # the same of groups
HIDDEN_AGAIN = 8  # times that a refusal is asked for again before it is said to hide suites


@dataclass(frozen=True, slots=True)
class VersionFacts:
    """What was found of one version: `protocol` in the words of the report, `notes` of what is
    odd, suites that are picked and then failed on, and what was picked although it was not
    offered (`strays`, in words)."""

    version: Version
    protocol: Protocol
    notes: tuple[str, ...] = ()
    unusable: tuple[int, ...] = ()
    strays: tuple[str, ...] = ()

    def told(self) -> tuple[str, ...]:
        """All that is odd, in words."""
        failed = (
            f"{self.version.label}: picked {registry.suite_name(code)} and then failed on it"
            for code in self.unusable
        )
        return (*self.notes, *failed)


@cache
def opening(version: Version) -> Hello:
    """The hello that offers all that exists in `version`.

    Where RFC 7919 groups are offered some servers keep DHE with primes of their own to themselves
    (section 4 there): they are in TLS 1.2 and 1.3 alone, where groups are explored.
    """
    if version <= Version.SSLv3:
        groups: tuple[int, ...] = ()
    elif version < Version.TLSv1_2:
        groups = registry.curves_of(version)
    else:
        groups = registry.groups_of(version)
    return Hello(version, registry.suites_of(version), groups)


_KNOWN_CIPHERS = (
    "AES_128_GCM", "AES_256_GCM", "CHACHA20_POLY1305", "AES_128_CBC", "AES_256_CBC", "3DES_EDE_CBC",
)  # fmt: skip


@cache
def knocks() -> tuple[Hello, ...]:
    """Hellos that hardly any server stumbles over: few suites, few extensions, nothing new.

    For a server that has answered none of the openings, to learn whether it answers at all.
    """
    usual = tuple(registry.GROUP_BY_NAME[name] for name in ("x25519", "secp256r1", "secp384r1"))

    def plain(version: Version, shares: bool = False) -> Hello:
        every = (registry.suites()[code] for code in registry.suites_of(version))
        suites = tuple(
            suite.code
            for suite in every
            if suite.cipher in _KNOWN_CIPHERS
            and suite.key_exchange in ("TLS13", "ECDHE", "RSA")
            and suite.authentication in ("TLS13", "ECDSA", "RSA")
        )
        # So few that the hello stays below the 256 bytes from which on some servers stumble.
        return Hello(version, suites, usual, shares, extensions="few")

    return (
        plain(Version.TLSv1_2),
        plain(Version.TLSv1_3, shares=True),
        plain(Version.TLSv1_0),
    )


def explore_version(version: Version, *, insist: int = 1) -> Exploration[VersionFacts]:
    """Whether `version` is offered, with its suites, their order, and its groups.

    Groups are explored in TLS 1.2 and 1.3; in older versions the list stays empty. `insist` as
    in `eliminate`.
    """
    hello = opening(version)
    # Whether it is spoken at all is asked twice as often as a suite: it is worse to miss.
    answers = yield (hello,) * (2 * insist if insist > 1 else 1)
    accepted = (a for a in answers if isinstance(a, Picked) and a.version == version)
    answer: Answer = next(accepted, answers[0])
    notes: list[str] = []
    if _may_stumble(answer) and version is not Version.SSLv2:
        hello, answer, stumbled = yield from _retry_smaller(hello, answer)
        if stumbled:
            notes.append(f"{version.label}: {stumbled}")
    match answer:
        case Refused(why=why):
            none = VersionFacts(version, Protocol("no", why))
            plain = answer.version or insist > 1
            return none if plain else (yield from hidden(none))
        case Unknown(why=why):
            return VersionFacts(version, Protocol("unknown", why))
        case Ssl2Picked(suites=kinds):
            return VersionFacts(version, _ssl2(kinds))
        case Picked():
            pass
        case _:
            assert_never(answer)
    if answer.version != version:
        other = registry.version_name(answer.version)
        strays = (_stray(version, other),) if answer.version > version else ()
        protocol = Protocol("no", f"picked {other} instead")
        return VersionFacts(version, protocol, tuple(notes), strays=strays)
    if answer.suite not in hello.suites:
        stray = _stray(version, registry.suite_name(answer.suite))
        why = stray.partition(": ")[2]
        return VersionFacts(version, Protocol("unknown", why), tuple(notes), strays=(stray,))
    lines = [_suites(hello, answer, insist)]
    # Groups that need no knowledge of the suites do not wait for it.
    if version is Version.TLSv1_3 and answer.whole:
        lines.append(_groups(hello, answer, insist))
    elif curves := _curves(hello, answer, insist):
        lines.append(curves)
    suites, *early = yield from together(lines)
    groups = early[0] if early else Listing()
    if version is Version.TLSv1_2:
        groups = yield from _groups_of(hello, suites.found, early, insist)
    elif version is Version.TLSv1_3 and suites.found and not early:
        groups = yield from _groups(hello, answer, insist)
    return _facts(version, suites, groups, notes)


def hidden(fact: VersionFacts) -> Exploration[VersionFacts]:
    """What a refusal of the whole list hides: `fact` with suites that only a part brings out.

    A server may pick a suite that it cannot use after all (its certificate's key or signature is
    not what it takes; with RFC 7919 groups offered, DHE with its own: section 4) and refuse
    without looking further. So what is left is asked by families, without those groups.
    """
    version = fact.version
    if not Version.TLSv1_0 <= version <= Version.TLSv1_2:
        return fact
    base = _bare(version)
    every = base.suites
    known = tuple(s for s in every if registry.suite_name(s) in fact.protocol.suites)
    hellos = behind(version, known)
    parts = [hello.suites for hello in hellos]
    answers = yield hellos
    taken = [
        eliminate(replace(base, suites=part), SUITES, answer)
        for part, answer in zip(parts, answers, strict=True)
        if isinstance(answer, Picked) and answer.version == version and answer.suite in part
    ]
    lost = next((a.why for a in answers if isinstance(a, Unknown)), None)
    if not taken and lost and known and not fact.protocol.why:  # nobody knows what it hides
        why = f"suites may be incomplete: {lost}"
        return replace(fact, protocol=replace(fact.protocol, why=why))
    if not taken:
        odd = next((a.why for a in answers if isinstance(a, Refused) and not a.plain), None)
        note = f"{version.label}: may have suites that need more than a hello ({odd})"
        return replace(fact, notes=(*fact.notes, note)) if odd and known else fact
    # Was it hidden, or are there two servers, and the other one refused? Then one picks it now.
    left = tuple(s for s in every if s not in known)
    yield (replace(opening(version), suites=left),) * HIDDEN_AGAIN
    found = yield from together(taken)
    usable = {code for part in found for code in part.found} | set(known)
    listed = yield from eliminate(
        replace(base, suites=tuple(s for s in every if s in usable)), SUITES
    )
    missing = tuple(s for s in every if s in usable and s not in listed.found)
    failed = {*fact.unusable, *(code for part in found for code in part.unusable)} - usable
    suites = Listing(
        listed.found + missing,
        listed.order if not missing else None,
        tuple(s for s in every if s in failed),
        tuple(code for part in found for code in part.strays),
        next((part.why for part in found if part.why), lost),
    )
    groups = Listing()
    if version is Version.TLSv1_2:
        groups = yield from _groups_of(base, listed.found or suites.found, [], 1)
    note = f"{version.label}: picks some suites only where others are not offered"
    more = _facts(version, suites, groups, [*fact.notes, note])
    if not known or not fact.protocol.why:
        return more
    why = "; ".join(dict.fromkeys(filter(None, (fact.protocol.why, more.protocol.why))))
    return replace(more, protocol=replace(more.protocol, why=why))


def _bare(version: Version) -> Hello:
    return replace(opening(version), groups=registry.curves_of(version))


@lru_cache(maxsize=1024)  # servers alike have the same behind them
def behind(version: Version, known: tuple[int, ...], most: int = 5) -> tuple[Hello, ...]:
    """The hellos that bring out what may be hidden behind the `known` suites: one for each family
    of the others; where `most` is less than that, one for those that an RSA key will do for and
    one for the rest, or one for all."""
    base = _bare(version)
    others = {s: _family(s) for s in base.suites if s not in known}
    if len(set(others.values())) > most:
        others = {s: "RSA" if most > 1 and f in _WITH_RSA else "" for s, f in others.items()}
    return tuple(
        replace(base, suites=tuple(s for s, one in others.items() if one == family))
        for family in dict.fromkeys(others.values())
    )


_WITH_RSA = ("DHE", "RSA, signing", "RSA")


def _family(code: int) -> str:
    """What a server may fail on with this suite: DHE's groups, a signature or a decryption with an
    RSA key, another key, or what it would need to know of the client."""
    suite = registry.suites()[code]
    if suite.key_exchange == "DHE" and suite.authentication != "PSK":
        return "DHE"
    if suite.key_exchange in ("SRP", "KRB5", "PSK", "ECCPWD") or suite.authentication == "PSK":
        return "shared secret"
    if suite.authentication == "RSA":
        return "RSA, signing" if suite.forward_secrecy else "RSA"
    return "other"


def _may_stumble(answer: Answer) -> bool:
    """Whether a smaller hello could fare better: some servers trip over long or new ones."""
    match answer:
        case Refused(version=version, tolerant=tolerant):
            return not version and not tolerant
        case Unknown(asked=asked):
            return asked
        case _:
            return False


def _ssl2(kinds: tuple[int, ...]) -> Protocol:
    offered = registry.suites_of(Version.SSLv2)
    names = tuple(registry.suite_name(kind) for kind in offered if kind in kinds)
    if names:
        return Protocol("yes", None, names, "client" if len(names) > 1 else None)
    return Protocol("no", "SSLv2 answered without a cipher in common")


def _chunks(items: tuple[int, ...], size: int) -> list[tuple[int, ...]]:
    return [items[i : i + size] for i in range(0, len(items), size)]


def _retry_smaller(hello: Hello, first: Answer) -> Exploration[tuple[Hello, Answer, str | None]]:
    """Before a refusal or a silence is believed: ask in short lists and with few extensions, and
    in TLS 1.3 with key shares. Returns the hello to go on with, its answer, and what was stumbled
    over.
    """
    few = replace(hello, extensions="few")
    if hello.version is Version.TLSv1_3:
        usual = tuple(g for g in hello.groups if registry.group_name(g) in ("x25519", "secp256r1"))
        smaller = [replace(hello, shares=True), replace(few, shares=True, groups=usual)]
    else:
        parts = _chunks(hello.suites, SHORT_LIST)
        smaller = [replace(few, suites=part) for part in parts]
        smaller += [replace(hello, suites=part, extensions="none") for part in parts]
    answers = yield tuple(smaller)
    what = first.why if isinstance(first, Refused | Unknown) else "no"
    for part, answer in zip(smaller, answers, strict=True):
        if isinstance(answer, Picked):
            if answer.version != hello.version:
                return hello, answer, None
            wider = replace(part, suites=hello.suites) if part.suites == hello.suites else part
            return wider, answer, f"refuses a long hello ({what}), answers a shorter one"
    for answer in answers:
        if isinstance(answer, Unknown):
            return hello, first if isinstance(first, Unknown) else answer, None
    # All that was offered has now been refused, in small hellos too.
    refusal = first if isinstance(first, Refused) else answers[0]
    return hello, refusal, None


def _suites(hello: Hello, first: Answer, insist: int) -> Exploration[Listing]:
    every = registry.suites_of(hello.version)
    if hello.suites == every:
        listing = yield from eliminate(hello, SUITES, first, insist=insist)
        if listing.why is None or not listing.found or insist > 1:
            return listing
        # An odd refusal may belong to a few suites (SRP without a user): ask in families.
        rest = tuple(s for s in every if s not in listing.found + listing.unusable)
        families: dict[str, list[int]] = {}
        for code in rest:
            families.setdefault(registry.suites()[code].key_exchange, []).append(code)
        parts = [tuple(family) for family in families.values()]
        known = list(listing.found)
    else:
        parts, known, listing = _chunks(every, SHORT_LIST), [], Listing()
    found = yield from together(
        [eliminate(replace(hello, suites=part), SUITES, insist=insist) for part in parts]
    )
    more = [code for part in found for code in part.found]
    why = next((part.why for part in found if part.why), None)
    if hello.extensions == "none" and not why:
        why = "only hellos without extensions are answered"
    if not more:
        return replace(
            listing,
            why=why,
            unusable=listing.unusable + tuple(u for part in found for u in part.unusable),
            strays=listing.strays + tuple(s for part in found for s in part.strays),
        )
    # Short lists do not tell the order between them: ask for all that was found in one.
    known = [s for s in every if s in known or s in more]
    last = yield from eliminate(replace(hello, suites=tuple(known)), SUITES, insist=insist)
    missing = tuple(s for s in known if s not in last.found + last.unusable)
    return Listing(
        last.found + missing,
        last.order if not missing else None,
        listing.unusable + last.unusable + tuple(u for part in found for u in part.unusable),
        listing.strays + tuple(s for part in found for s in part.strays),
        why,
    )


def _groups(hello: Hello, first: Answer, insist: int) -> Exploration[Listing]:
    """The groups of TLS 1.3."""
    every = registry.groups_of(hello.version)
    # The opening has offered all groups already, and its answer named the first pick.
    known = first if hello.groups == every else None
    listing = yield from eliminate(replace(hello, groups=every), GROUPS, known, insist=insist)
    if listing.found or listing.why or listing.strays:
        return listing
    # It speaks 1.3 and still refuses a list of all groups: it stumbles over long ones.
    short = [replace(hello, groups=part) for part in _chunks(every, SHORT_GROUPS)]
    found = yield from together([eliminate(part, GROUPS, insist=insist) for part in short])
    return Listing(
        tuple(g for part in found for g in part.found),
        strays=tuple(g for part in found for g in part.strays),
        why=next((part.why for part in found if part.why), None),
    )


def _curves(hello: Hello, first: Answer, insist: int) -> Exploration[Listing] | None:
    """The curves of TLS 1.2, if they can be told before the suites are known: where the answer to
    the opening has named the first."""
    if hello.version is not Version.TLSv1_2 or hello.suites != registry.suites_of(hello.version):
        return None
    table, every = registry.suites(), registry.curves_of(hello.version)
    signed = tuple(
        s for s in hello.suites
        if table[s].key_exchange == "ECDHE" and table[s].authentication in ("RSA", "ECDSA")
    )  # fmt: skip
    if not isinstance(first, Picked) or first.suite not in signed or first.group not in every:
        return None
    if hello.extensions == "none" or not first.whole or insist > 1:
        return None
    return eliminate(replace(hello, suites=signed, groups=every), GROUPS, first)


def _groups_of(
    hello: Hello, suites: tuple[int, ...], early: Sequence[Listing], insist: int
) -> Exploration[Listing]:
    """The groups of TLS 1.2 with these `suites`; `early` has its curves if they are known."""
    if not suites or hello.extensions == "none":
        return Listing()
    table = registry.suites()
    curves = tuple(s for s in suites if table[s].key_exchange == "ECDHE")
    fields = tuple(s for s in suites if table[s].key_exchange == "DHE")
    base = replace(hello, suites=curves, groups=registry.curves_of(hello.version))
    parts = []
    if curves and not early:
        parts.append(eliminate(base, GROUPS, insist=insist))
    if fields:
        dhe = replace(hello, suites=fields, groups=registry.ffdhe_groups())
        parts.append(eliminate(dhe, GROUPS, insist=insist))
    found = [*early, *(yield from together(parts))]
    if not curves and not early:
        # A DHE server that knows no RFC 7919 uses its own prime whatever is offered: no stray.
        return replace(found[0], strays=(), order=None) if found else Listing()
    own = found[0]
    signers = {table[s].authentication for s in curves}
    if "ECDSA" in signers and "RSA" not in signers:
        own = yield from _past_own_curve(base, own)
        if bare := tuple(s for s in curves if table[s].authentication == "NULL"):
            found.append((yield from eliminate(replace(base, suites=bare), GROUPS, insist=insist)))
    return Listing(
        tuple(dict.fromkeys(g for part in (own, *found[1:]) for g in part.found)),
        own.order,
        strays=own.strays,
        why=next((part.why for part in (own, *found[1:]) if part.why), None),
    )


def _past_own_curve(base: Hello, listing: Listing) -> Exploration[Listing]:
    """`listing` with the curves that an ECDSA certificate's own hides: that must be among those
    offered (RFC 8422, section 5.1), so striking it hides the others. They are offered again,
    before the ones already found."""
    if not listing.found or listing.why or listing.strays:
        return listing
    known = listing.found
    while True:
        left = tuple(g for g in base.groups if g not in known)
        (answer,) = yield (replace(base, groups=left + known),)
        if isinstance(answer, Unknown):
            return replace(listing, found=known, why=answer.why)
        taken = isinstance(answer, Picked) and answer.whole and answer.version == base.version
        group = answer.group if taken and isinstance(answer, Picked) else None
        if group is None or group not in left:
            ordered = tuple(g for g in base.groups if g in known)
            if known == listing.found:
                return listing
            return replace(listing, found=ordered, order="client")
        known += (group,)


def _stray(version: Version, name: str) -> str:
    return f"{version.label}: picked {name}, which was not offered"


def _facts(version: Version, suites: Listing, groups: Listing, notes: list[str]) -> VersionFacts:
    names = (*map(registry.suite_name, suites.strays), *map(registry.group_name, groups.strays))
    strays = tuple(_stray(version, name) for name in names)
    reasons = [
        f"{what} may be incomplete: {listing.why}"
        for what, listing in (("suites", suites), ("groups", groups))
        if listing.why
    ]
    if not suites.found and suites.unusable:
        none = Protocol("no", "every suite picked is then failed on")
        if suites.why:
            none = Protocol("unknown", suites.why)
        return VersionFacts(version, none, tuple(notes), suites.unusable, strays)
    protocol = Protocol(
        "yes",
        "; ".join(reasons) or None,
        tuple(registry.suite_name(code) for code in suites.found),
        suites.order if len(suites.found) > 1 else None,
        tuple(registry.group_name(code) for code in groups.found),
    )
    return VersionFacts(version, protocol, tuple(notes), suites.unusable, strays)


# The order matters where few may be asked at once: what is likely spoken comes first, so that
# a hello that this server accepts is known early.
VERSIONS = (
    Version.TLSv1_2,
    Version.TLSv1_3,
    Version.TLSv1_1,
    Version.TLSv1_0,
    Version.SSLv3,
    Version.SSLv2,
)
