"""Elimination: offer a list, strike what is picked, go on until it is refused. Pure.

An exploration is a generator that yields hellos to be asked at once and is sent the answers. It
knows no socket, time, retry or pace: whoever drives it settles each hello into an `Answer` first.
An `Unknown` ends a line of questions with what was learned so far, never with a "no".
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TypeVar

from tlscheck.core import registry
from tlscheck.core.model import Order
from tlscheck.core.reply import Hello, Picked, Ssl2Picked

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Refused:
    """The server decided against a hello. `plain`: in the words made for it (an alert that says
    that nothing offered will do), or by hanging up again and again while others were served.
    `version`: the alert was about the protocol version itself. `tolerant`: this server has
    answered another hello that offered at least as much. `times`: so many replies said so."""

    why: str
    plain: bool = True
    version: bool = False
    tolerant: bool = False
    times: int = 1


@dataclass(frozen=True, slots=True)
class Unknown:
    """Nothing could be learned, and why. `asked`: the server was, and gave no answer."""

    why: str
    asked: bool = False


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
class Field:
    """Which list of a hello is explored, and where a pick names its choice."""

    offered: Callable[[Hello], tuple[int, ...]]
    offer: Callable[[Hello, tuple[int, ...]], Hello]
    picked: Callable[[Picked], int | None]


SUITES = Field(lambda h: h.suites, lambda h, s: replace(h, suites=s), lambda p: p.suite)
GROUPS = Field(lambda h: h.groups, lambda h, g: replace(h, groups=g), lambda p: p.group)

# Some servers change their order of AES-GCM and ChaCha20 with the head of the client's list:
# OpenSSL where ChaCha20 leads it, Go where none of these does.
LEADERS = tuple(
    suite.code
    for suite in registry.suites().values()
    if suite.cipher in ("AES_128_GCM", "AES_256_GCM")
    and suite.name.endswith(("_SHA256", "_SHA384"))
    and (suite.key_exchange, suite.authentication)
    in (("TLS13", "TLS13"), ("ECDHE", "RSA"), ("ECDHE", "ECDSA"))
)
_CHACHA = frozenset(s.code for s in registry.suites().values() if "CHACHA20" in s.name)
# Servers pass over what they do not know: what else may lead is what most of them do.
_USUAL = frozenset(
    suite.code
    for suite in registry.suites().values()
    if suite.cipher.startswith("AES_")
    and "ASCON" not in suite.name
    and suite.key_exchange in ("TLS13", "ECDHE", "DHE", "RSA")
    and suite.authentication in ("TLS13", "RSA", "ECDSA")
)
_HEADS = (frozenset(LEADERS), _USUAL)


@lru_cache(maxsize=2048)  # servers alike are asked the same: their lists are one
def _arranged(items: tuple[int, ...], backwards: bool) -> tuple[int, ...]:
    """`items` forwards or backwards, headed by one of `LEADERS` where there is one, else by no
    ChaCha20 where that can be helped: so the server's order stays the same throughout."""
    line = list(reversed(items)) if backwards else list(items)
    heads = (item for kind in _HEADS for item in line if item in kind)
    first = next(heads, None) or next((item for item in line if item not in _CHACHA), line[0])
    line.remove(first)
    return (first, *line)


@lru_cache(maxsize=2048)
def _without(items: tuple[int, ...], gone: tuple[int, ...]) -> tuple[int, ...]:
    for item in gone:
        at = items.index(item)
        items = items[:at] + items[at + 1 :]
    return items


def eliminate(
    base: Hello, field: Field, first: Answer | None = None, *, insist: int = 1
) -> Exploration[Listing]:
    """Offer everything, strike what is picked, go on until refused: accepted + 1 connections,
    and one more where the order is not yet plain. `first` is the answer to `base`, if known.

    Every other list is offered backwards, so that a server without an order of its own gives
    itself away by following ours. With `insist` each list is asked that often at once: where
    unequal servers share an address, one of them may pick what another refuses.
    """
    every = field.offered(base)
    left, picks, log = every, list[int](), list[tuple[tuple[int, ...], int]]()
    unusable, strays, why = set[int](), list[int](), None
    while left:
        offer = every if first is not None else _arranged(left, backwards=len(log) % 2 == 1)
        if first is not None:
            answers: tuple[Answer, ...] = (first,)
            first = None
        else:
            answers = yield (field.offer(base, offer),) * insist
        taken = [a for a in answers if isinstance(a, Picked) and a.version == base.version]
        if not taken:
            why = _cause(answers, bool(picks) and field is SUITES)
            break
        chosen = dict.fromkeys(c for a in taken if (c := field.picked(a)) is not None)
        fresh = [choice for choice in chosen if choice in left]
        strays += [choice for choice in chosen if choice not in left]
        if not fresh:
            break
        log.append((offer, fresh[0]))
        picks += fresh
        usable = {field.picked(a) for a in taken if a.whole}
        unusable |= set(fresh) - usable
        left = _without(left, tuple(fresh))
    order = None if insist > 1 else (yield from _order(base, field, picks, log))
    found = tuple(picks) if order == "server" else tuple(i for i in every if i in picks)
    return Listing(
        tuple(i for i in found if i not in unusable),
        order,
        tuple(i for i in found if i in unusable),
        tuple(strays),
        why,
    )


def _cause(answers: tuple[Answer, ...], among: bool) -> str | None:
    """Why a list that ended with `answers` may not be whole; `None` when it is.

    Only `among` suites can an odd refusal belong to some and hide the others (`_suites`).
    """
    for answer in answers:
        if isinstance(answer, Unknown) or (
            among and isinstance(answer, Refused) and not answer.plain
        ):
            return answer.why
    return None


def _order(
    base: Hello, field: Field, picks: list[int], log: list[tuple[tuple[int, ...], int]]
) -> Exploration[Order | None]:
    """Whose order the picks follow; asks once more only where they could follow either."""
    if len(picks) < 2:
        return None
    known = set(picks)
    if any(choice != next(i for i in offer if i in known) for offer, choice in log):
        return "server"
    last = _arranged(tuple(picks), backwards=True)
    head: tuple[int, ...] = ()
    if last[0] == picks[0]:
        last = tuple(reversed(picks))
        # A leader that this server does not have goes before them, and is no choice for it.
        spare = (s for s in field.offered(base) if s in LEADERS and s not in known)
        head = tuple(spare)[:1] if last[0] not in LEADERS else ()
    (answer,) = yield (field.offer(base, head + last),)
    if isinstance(answer, Picked) and answer.version == base.version:
        choice = field.picked(answer)
        if choice == picks[0]:
            return "server"
        if choice == last[0]:
            return "client"
    return None
