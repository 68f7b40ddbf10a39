"""Strategies: generators that yield hellos to be asked at once and are sent the answers.

They know no socket, time, retry or pace: whoever drives them settles each hello into an `Answer`
first. An `Unknown` ends a line of questions with what was learned so far, never with a "no".
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar, assert_never

from tlscheck.core import registry
from tlscheck.core.model import Order, Protocol
from tlscheck.core.registry import Version
from tlscheck.core.wire import Hello, Picked, Ssl2Picked

T = TypeVar("T")

# How many suites a hello holds at most once a long list was refused.
SHORT_LIST = 90


@dataclass(frozen=True, slots=True)
class Refused:
    """The server decided against a hello. `plain`: in the words made for it (an alert that says
    that nothing offered will do), or by hanging up again and again while others were served.
    `version`: the alert was about the protocol version itself."""

    why: str
    plain: bool = True
    version: bool = False


@dataclass(frozen=True, slots=True)
class Unknown:
    """Nothing could be learned, and why."""

    why: str


Answer = Picked | Ssl2Picked | Refused | Unknown
Exploration = Generator[tuple[Hello, ...], tuple[Answer, ...], T]


def together(parts: Sequence[Exploration[T]]) -> Exploration[tuple[T, ...]]:
    """Run explorations side by side: what they ask next is asked at once."""
    done: dict[int, T] = {}
    asked: dict[int, tuple[Hello, ...]] = {}
    for index, part in enumerate(parts):
        try:
            asked[index] = next(part)
        except StopIteration as stop:
            done[index] = stop.value
    while asked:
        answers = yield tuple(hello for hellos in asked.values() for hello in hellos)
        at, going = 0, {}
        for index, hellos in asked.items():
            mine = answers[at : at + len(hellos)]
            at += len(hellos)
            try:
                going[index] = parts[index].send(mine)
            except StopIteration as stop:
                done[index] = stop.value
        asked = going
    return tuple(done[index] for index in range(len(parts)))


@dataclass(frozen=True, slots=True)
class Listing:
    """What elimination found: code points accepted, in the server's order where `order` is
    "server", else in that of the registry; those picked but then failed on; picks that were
    never offered; and why the list may not be complete."""

    found: tuple[int, ...] = ()
    order: Order | None = None
    unusable: tuple[int, ...] = ()
    strays: tuple[int, ...] = ()
    why: str | None = None


@dataclass(frozen=True, slots=True)
class _Field:
    """Which list of a hello is explored, and where a pick names its choice."""

    offered: Callable[[Hello], tuple[int, ...]]
    offer: Callable[[Hello, tuple[int, ...]], Hello]
    picked: Callable[[Picked], int | None]


SUITES = _Field(lambda h: h.suites, lambda h, s: replace(h, suites=s), lambda p: p.suite)
GROUPS = _Field(lambda h: h.groups, lambda h, g: replace(h, groups=g), lambda p: p.group)

_CHACHA = frozenset(s.code for s in registry.suites().values() if "CHACHA20" in s.name)


def _arranged(items: Sequence[int], backwards: bool) -> tuple[int, ...]:
    """`items` forwards or backwards, but with no ChaCha20 at the head where that can be helped:
    some servers put theirs first when the client does (and would seem to have no order)."""
    line = list(reversed(items)) if backwards else list(items)
    head = next((i for i, item in enumerate(line) if item not in _CHACHA), 0)
    return tuple(line[head : head + 1] + line[:head] + line[head + 1 :])


def eliminate(base: Hello, field: _Field, first: Answer | None = None) -> Exploration[Listing]:
    """Offer everything, strike what is picked, go on until refused: accepted + 1 connections,
    and one more where the order is not yet plain. `first` is the answer to `base`, if known.

    Every other list is offered backwards, so that a server without an order of its own gives
    itself away by following ours.
    """
    every = field.offered(base)
    left, picks, log = every, list[int](), list[tuple[tuple[int, ...], int]]()
    unusable, strays, why = set[int](), list[int](), None
    while left:
        offer = every if first is not None else _arranged(left, backwards=len(log) % 2 == 1)
        if first is not None:
            answer, first = first, None
        else:
            (answer,) = yield (field.offer(base, offer),)
        if isinstance(answer, Unknown):
            why = answer.why
            break
        if not isinstance(answer, Picked) or answer.version != base.version:
            # Only among suites can an odd refusal belong to some and hide the others (`_suites`).
            odd = isinstance(answer, Refused) and not answer.plain and field is SUITES and picks
            why = answer.why if odd and isinstance(answer, Refused) else None
            break
        choice = field.picked(answer)
        if choice is None or choice not in left:
            strays += [] if choice is None else [choice]
            break
        log.append((offer, choice))
        picks.append(choice)
        if not answer.whole:
            unusable.add(choice)
        left = tuple(item for item in left if item != choice)
    order = yield from _order(base, field, picks, log)
    found = tuple(picks) if order == "server" else tuple(i for i in every if i in picks)
    return Listing(
        tuple(i for i in found if i not in unusable),
        order,
        tuple(i for i in found if i in unusable),
        tuple(strays),
        why,
    )


def _order(
    base: Hello, field: _Field, picks: list[int], log: list[tuple[tuple[int, ...], int]]
) -> Exploration[Order | None]:
    """Whose order the picks follow; asks once more only where they could follow either."""
    if len(picks) < 2:
        return None
    known = set(picks)
    if any(choice != next(i for i in offer if i in known) for offer, choice in log):
        return "server"
    last = _arranged(picks, backwards=True)
    if last[0] == picks[0]:  # one suite and ChaCha20: there is no other way to ask
        last = tuple(reversed(picks))
    (answer,) = yield (field.offer(base, last),)
    if isinstance(answer, Picked) and answer.version == base.version:
        choice = field.picked(answer)
        if choice == picks[0]:
            return "server"
        if choice == last[0]:
            return "client"
    return None


# --- one version ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class VersionFacts:
    """What was found of one version, before it is put into the words of the report."""

    version: Version
    protocol: Protocol
    notes: tuple[str, ...] = ()
    unusable: tuple[int, ...] = ()


def opening(version: Version, server_name: str | None) -> Hello:
    """The hello that offers all that exists in `version`."""
    groups = () if version <= Version.SSLv3 else registry.groups_of(version)
    return Hello(version, registry.suites_of(version), groups, server_name)


def explore_version(version: Version, server_name: str | None) -> Exploration[VersionFacts]:
    """Whether `version` is offered, with its suites, their order, and its groups.

    Groups are explored in TLS 1.2 and 1.3; in older versions the list stays empty.
    """
    hello = opening(version, server_name)
    (answer,) = yield (hello,)
    notes: list[str] = []
    if isinstance(answer, Refused) and not answer.version and version is not Version.SSLv2:
        hello, answer, stumbled = yield from _retry_smaller(hello, answer)
        if stumbled:
            notes.append(f"{version.label}: {stumbled}")
    match answer:
        case Refused(why=why):
            return VersionFacts(version, Protocol("no", why))
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
        if answer.version > version:
            notes.append(f"{version.label}: picked {other}, which was not offered")
        return VersionFacts(version, Protocol("no", f"picked {other} instead"), tuple(notes))
    if answer.suite not in hello.suites:
        why = f"picked {registry.suite_name(answer.suite)}, which was not offered"
        notes.append(f"{version.label}: {why}")
        return VersionFacts(version, Protocol("unknown", why), tuple(notes))
    suites = yield from _suites(hello, answer)
    groups = yield from _groups(hello, suites.found)
    return _facts(version, suites, groups, notes)


def _ssl2(kinds: tuple[int, ...]) -> Protocol:
    offered = registry.suites_of(Version.SSLv2)
    names = tuple(registry.suite_name(kind) for kind in offered if kind in kinds)
    if names:
        return Protocol("yes", None, names, "client" if len(names) > 1 else None)
    return Protocol("no", "SSLv2 answered without a cipher in common")


def _chunks(items: tuple[int, ...]) -> list[tuple[int, ...]]:
    return [items[i : i + SHORT_LIST] for i in range(0, len(items), SHORT_LIST)]


def _retry_smaller(hello: Hello, refusal: Refused) -> Exploration[tuple[Hello, Answer, str | None]]:
    """Before a refusal is believed: ask in short lists and with few extensions, then, in TLS
    1.3, with key shares. Returns the hello to go on with, its answer, and what was stumbled over.
    """
    bare = replace(hello, bare=True)
    if hello.version is Version.TLSv1_3:
        usual = tuple(g for g in hello.groups if registry.group_name(g) in ("x25519", "secp256r1"))
        smaller = [replace(hello, shares=True), replace(bare, shares=True, groups=usual)]
    else:
        smaller = [replace(bare, suites=part) for part in _chunks(hello.suites)]
    answers = yield tuple(smaller)
    for part, answer in zip(smaller, answers, strict=True):
        if isinstance(answer, Picked):
            if answer.version != hello.version:
                return hello, answer, None
            wider = replace(part, suites=hello.suites) if part.suites == hello.suites else part
            return wider, answer, f"refuses a long hello ({refusal.why}), answers a shorter one"
    for answer in answers:
        if isinstance(answer, Unknown):
            return hello, answer, None
    return hello, refusal, None


def _suites(hello: Hello, first: Answer) -> Exploration[Listing]:
    every = registry.suites_of(hello.version)
    if hello.suites == every:
        listing = yield from eliminate(hello, SUITES, first)
        if listing.why is None or not listing.found:
            return listing
        # An odd refusal may belong to a few suites (SRP without a user): ask in families.
        rest = tuple(s for s in every if s not in listing.found + listing.unusable)
        families: dict[str, list[int]] = {}
        for code in rest:
            families.setdefault(registry.suites()[code].key_exchange, []).append(code)
        parts = [tuple(family) for family in families.values()]
        known = list(listing.found)
    else:
        parts, known, listing = _chunks(every), [], Listing()
    found = yield from together([eliminate(replace(hello, suites=part), SUITES) for part in parts])
    more = [code for part in found for code in part.found]
    why = next((part.why for part in found if part.why), None)
    if not more:
        return replace(listing, why=why)
    # Short lists do not tell the order between them: ask for all that was found in one.
    known = [s for s in every if s in known or s in more]
    last = yield from eliminate(replace(hello, suites=tuple(known)), SUITES)
    missing = tuple(s for s in known if s not in last.found + last.unusable)
    return Listing(
        last.found + missing,
        last.order if not missing else None,
        listing.unusable + tuple(u for part in found for u in part.unusable),
        listing.strays + tuple(s for part in found for s in part.strays),
        why,
    )


def _groups(hello: Hello, suites: tuple[int, ...]) -> Exploration[Listing]:
    if not suites or hello.version < Version.TLSv1_2:
        return Listing()
    if hello.version is Version.TLSv1_3:
        base = replace(hello, suites=suites, groups=registry.groups_of(hello.version))
        return (yield from eliminate(base, GROUPS))
    table = registry.suites()
    curves = tuple(s for s in suites if table[s].key_exchange == "ECDHE")
    fields = tuple(s for s in suites if table[s].key_exchange == "DHE")
    parts = []
    if curves:
        parts.append(
            _curves(replace(hello, suites=curves, groups=registry.curves_of(hello.version)))
        )
    if fields:
        parts.append(
            eliminate(replace(hello, suites=fields, groups=registry.ffdhe_groups()), GROUPS)
        )
    found = yield from together(parts)
    curve_order = found[0].order if curves else None
    return Listing(
        tuple(g for part in found for g in part.found),
        curve_order,
        # A DHE server that knows no RFC 7919 uses its own prime whatever is offered: no stray.
        strays=found[0].strays if curves else (),
        why=next((part.why for part in found if part.why), None),
    )


def _curves(base: Hello) -> Exploration[Listing]:
    listing = yield from eliminate(base, GROUPS)
    authentications = {registry.suites()[s].authentication for s in base.suites}
    if authentications != {"ECDSA"} or not listing.found or listing.why or listing.strays:
        return listing
    # An ECDSA certificate's own curve must be among those offered (RFC 8422, section 5.1), so
    # striking it hides the others: offer them again, before the ones already found.
    known = listing.found
    while True:
        left = tuple(g for g in base.groups if g not in known)
        (answer,) = yield (replace(base, groups=left + known),)
        if isinstance(answer, Unknown):
            return replace(listing, found=known, why=answer.why)
        if not isinstance(answer, Picked) or answer.group not in left:
            ordered = tuple(g for g in base.groups if g in known)
            if known == listing.found:
                return listing
            return replace(listing, found=ordered, order="client")
        known += (answer.group,)


def _facts(version: Version, suites: Listing, groups: Listing, notes: list[str]) -> VersionFacts:
    for stray in suites.strays:
        notes.append(f"{version.label}: picked {registry.suite_name(stray)}, which was not offered")
    for stray in groups.strays:
        notes.append(f"{version.label}: picked {registry.group_name(stray)}, which was not offered")
    for suite in suites.unusable:
        notes.append(f"{version.label}: picked {registry.suite_name(suite)} and then failed on it")
    reasons = [
        f"{what} may be incomplete: {listing.why}"
        for what, listing in (("suites", suites), ("groups", groups))
        if listing.why
    ]
    if not suites.found and suites.unusable:
        return VersionFacts(
            version, Protocol("no", "every suite picked is then failed on"), tuple(notes)
        )
    protocol = Protocol(
        "yes",
        "; ".join(reasons) or None,
        tuple(registry.suite_name(code) for code in suites.found),
        suites.order if len(suites.found) > 1 else None,
        tuple(registry.group_name(code) for code in groups.found),
    )
    return VersionFacts(version, protocol, tuple(notes), suites.unusable)


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


def explore(server_name: str | None) -> Exploration[tuple[VersionFacts, ...]]:
    """All versions of one target, side by side, in the order of their age."""
    facts = yield from together([explore_version(v, server_name) for v in VERSIONS])
    return tuple(sorted(facts, key=lambda fact: fact.version))
