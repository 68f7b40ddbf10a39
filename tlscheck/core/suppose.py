"""The server that a few of its replies make likely: what it takes, and in which order. Pure.

Servers are set up by defaults and by recommendations: suites of a few kinds, in an order that has
a reason. So each list is supposed to be one of those, less what the replies have shown not to be
taken, in an order that they allow. It is a guess, good for asking ahead, and never an answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import permutations, product

from tlscheck.core import registry
from tlscheck.core.eliminate import Answer, Refused
from tlscheck.core.registry import Suite, Version
from tlscheck.core.reply import Alert, Hello, Picked, Reply

Said = Sequence[tuple[Hello, Reply]]
"""What a server was asked and has replied."""

_NO_VERSION = Refused("alert protocol_version", version=True)
_NO_SUITE = Refused("alert handshake_failure")
_OLD = (Version.TLSv1_2, Version.TLSv1_1, Version.TLSv1_0, Version.SSLv3)  # one list serves all


@dataclass(frozen=True, slots=True)
class Taste:
    """What a server takes of a list: by its own order, or by that of the client."""

    items: tuple[int, ...] = ()
    server_order: bool = True

    def choose(self, offered: tuple[int, ...], without: frozenset[int] = frozenset()) -> int | None:
        """The code point it picks; `without` are not to be had."""
        both = _set(self.items) & _set(offered) - without
        return next((i for i in (self.items if self.server_order else offered) if i in both), None)


@dataclass(frozen=True)
class Supposed:
    """A server: its suites and groups in each version that it speaks. `vague`: it is like none
    that is known, so that little is to be expected of the guess."""

    suites: Mapping[Version, Taste]
    groups: Mapping[Version, Taste]
    vague: bool = False

    def answer(self, hello: Hello) -> Answer:
        """What it says to `hello`."""
        version = max((v for v in self.suites if v <= hello.version), default=None)
        if version is None or (hello.version is Version.TLSv1_3 and version != hello.version):
            return _NO_VERSION
        group = self.groups.get(version, Taste()).choose(hello.groups)
        lost = _curved() if group is None and version > Version.SSLv3 else frozenset()
        suite = self.suites[version].choose(hello.suites, lost)
        if suite is None:
            return _NO_SUITE
        return Picked(version, suite, group if suite in _curved() else None)


@cache
def _curved() -> frozenset[int]:
    """Suites that need a group in common."""
    every = registry.suites().values()
    return frozenset(s.code for s in every if s.key_exchange in ("ECDHE", "TLS13"))


def suppose(said: Said, *, whole: bool = False) -> Supposed:
    """The likely server behind these replies. `whole`: all suites up to TLS 1.2 that it takes are
    among its picks."""
    log = [(h, r) for h, r in said if isinstance(r, Picked | Alert)]
    spoken = {h.version for h, r in log if isinstance(r, Picked) and r.version == h.version}
    grouped = [version for version in Version if version in spoken and version > Version.SSLv3]
    fit = _best([c for v in grouped for c in _group_clues(log, v)], likely_groups())
    groups = {version: fit.left(version, _set(registry.groups_of(version))) for version in grouped}
    suites = dict[Version, Taste]()
    vague = False
    older = [version for version in _OLD if version in spoken]
    if older:
        clues = [clue for version in older for clue in _suite_clues(log, version)]
        found = _best(clues, likely_suites(), bare=whole)
        vague = len(_union(found.picked.values()) - _expected()) > 1
        for version in older:
            mine = registry.suites_of(version)
            suites[version] = found.left(version, _set(mine))
    newest = Version.TLSv1_3
    if newest in spoken:
        found = _best(list(_suite_clues(log, newest)), likely_suites_of_13())
        suites[newest] = found.left(newest, _set(found.taste.items))
    return Supposed(suites, groups, vague)


# --- what replies say of one list ----------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Clue:
    """In `version`, of what was `offered` this was the `choice`; `None`: nothing was taken."""

    version: Version
    offered: tuple[int, ...]
    among: frozenset[int]
    choice: int | None

    @property
    def before(self) -> frozenset[int]:
        """What was offered before the choice."""
        if self.choice not in self.among:
            return self.among
        return _set(self.offered[: self.offered.index(self.choice)])


def _union(sets: Iterable[frozenset[int]]) -> frozenset[int]:
    return frozenset[int]().union(*sets)


@lru_cache(maxsize=4096)
def _set(items: tuple[int, ...]) -> frozenset[int]:
    return frozenset(items)


def _picks(log: Said, version: Version) -> Iterator[tuple[Hello, Picked | None]]:
    for hello, reply in log:
        if hello.version is version:
            taken = isinstance(reply, Picked) and reply.version == version
            yield hello, reply if taken and isinstance(reply, Picked) else None


def _suite_clues(log: Said, version: Version) -> Iterator[_Clue]:
    known = {p.group for _, p in _picks(log, version) if p and p.group is not None}
    for hello, picked in _picks(log, version):
        choice = picked.suite if picked else None
        if known <= _set(hello.groups):
            yield _Clue(version, hello.suites, _set(hello.suites), choice)
        elif choice is not None:  # without a group its preference may be another
            yield _Clue(version, (choice,), frozenset({choice}), choice)


def _group_clues(log: Said, version: Version) -> Iterator[_Clue]:
    taken = {p.suite for _, p in _picks(log, version) if p and p.group is not None}
    for hello, picked in _picks(log, version):
        if picked is None and not taken & _set(hello.suites):
            continue  # it may have lacked a suite
        if picked is None or picked.group is not None:
            group = picked.group if picked else None
            yield _Clue(version, hello.groups, _set(hello.groups), group)


LAST = 1 << 16  # a rank after all others
_CONFLICT = 10  # what a pick costs that the order does not allow; an item in vain costs 1


@dataclass(frozen=True, slots=True)
class Likely:
    """A list as servers often have it: what they take, and the rank of each item in their order;
    `None` for the client's."""

    items: frozenset[int]
    rank: Mapping[int, int] | None

    @property
    def taste(self) -> Taste:
        """As a server's."""
        return Taste(self.line(self.items), self.rank is not None)

    def line(self, items: frozenset[int]) -> tuple[int, ...]:
        """`items` in its order; what nobody expected goes last, by code point."""
        rank = self.rank
        if rank is None:
            return tuple(items)
        return tuple(sorted(items, key=lambda item: rank.get(item, LAST + item)))


@dataclass(frozen=True, slots=True)
class _Fit:
    """The list that fits best, what was picked, and what is missing of it, by version."""

    taste: Taste
    picked: Mapping[Version, frozenset[int]]
    missing: Mapping[Version, frozenset[int]]

    def left(self, version: Version, among: frozenset[int]) -> Taste:
        """What is likely taken in `version`, of what is `among` these."""
        never = _union(self.missing.values()) - _union(self.picked.values())
        left = among - never - self.missing.get(version, frozenset())
        return Taste(tuple(i for i in self.taste.items if i in left), self.taste.server_order)


def _best(clues: Sequence[_Clue], likely: Sequence[Likely], *, bare: bool = False) -> _Fit:
    """The likely list that fits best. `bare`: it has nothing but what was picked."""
    picked = {clue.version: frozenset[int]() for clue in clues}
    for clue in clues:
        if clue.choice is not None:
            picked[clue.version] |= {clue.choice}
    every = _union(picked.values())
    if bare:  # they differ by their order alone
        likely = [Likely(every, each.rank) for each in {id(i.rank): i for i in likely}.values()]
    evidence = _Evidence(every | _union({each.items for each in likely}), clues, picked)
    orders = {id(each.rank): each for each in likely}  # many lists have the same
    against = {rank: evidence.against(each) for rank, each in orders.items()}
    never = {rank: _union(each.missing.values()) - every for rank, each in against.items()}
    costs = [
        _CONFLICT * against[id(each.rank)].conflicts
        + len(each.items & never[id(each.rank)])  # in vain
        + len(every - each.items)  # nobody would have expected these
        for each in likely
    ]
    best = likely[costs.index(min(costs))]
    line = best.line(best.items | every)
    if min(costs) >= _CONFLICT and best.rank is not None:
        line = _mended(line, clues, every)
    return _Fit(Taste(line, best.rank is not None), picked, against[id(best.rank)].missing)


@dataclass(frozen=True, slots=True)
class _Against:
    """How often an order has something before a pick that was to be had as well, and what it has
    there that was not (`missing`, by version)."""

    conflicts: int
    missing: Mapping[Version, frozenset[int]]


class _Evidence:
    """What clues, of which these were `picked`, say against an order of `items`.

    There are hundreds of them, and a server may pick whatever it likes. For that to take no time a
    set of items is a number here, with a bit for each.
    """

    def __init__(
        self,
        items: frozenset[int],
        clues: Sequence[_Clue],
        picked: Mapping[Version, frozenset[int]],
    ) -> None:
        self._items = items
        self._bit = {item: 1 << place for place, item in enumerate(items)}
        self._clues = [(clue, self._number(clue.among)) for clue in clues]
        self._picked = {version: self._number(mine) for version, mine in picked.items()}

    def _number(self, items: frozenset[int]) -> int:
        return sum(self._bit[item] for item in items & self._items)

    def _set(self, number: int) -> frozenset[int]:
        return frozenset(item for item, bit in self._bit.items() if bit & number)

    def against(self, order: Likely) -> _Against:
        """What they say against it, whatever is listed in it."""
        before, so_far = dict[int | None, int](), 0
        for item in order.line(self._items):
            before[item] = so_far
            so_far |= self._bit[item]
        before[None] = so_far
        conflicts, passed = 0, dict.fromkeys(self._picked, 0)
        for clue, among in self._clues:
            by_client = order.rank is None
            first = self._number(clue.before) if by_client else among & before[clue.choice]
            passed[clue.version] |= first
            if clue.choice is not None:
                conflicts += (first & self._picked[clue.version]).bit_count()
        missing = {v: self._set(first & ~self._picked[v]) for v, first in passed.items()}
        return _Against(conflicts, missing)


def _mended(
    items: tuple[int, ...], clues: Sequence[_Clue], every: frozenset[int]
) -> tuple[int, ...]:
    """`items` in an order that the clues allow, as far as they agree: what was picked goes before
    what it was preferred to."""
    line = list(items)
    for clue in clues:
        if clue.choice is None:
            continue
        at, others = line.index(clue.choice), every & clue.among
        first = next((i for i in range(at) if line[i] in others), at)
        line.insert(first, line.pop(at))
    return tuple(line)


# --- lists as they are often set up --------------------------------------------------------

Key = Callable[[Suite], tuple[int, ...]]

# Orders of ciphers that AWS, Mozilla, OpenSSL and many an administrator have chosen: kinds, the
# first first. "-2" is CBC with a SHA-2.
_ORDERS = (
    "AES_128_GCM AES_128_CBC-2 AES_128_CBC AES_256_GCM AES_256_CBC-2 AES_256_CBC CHACHA20",
    "AES_256_GCM CHACHA20 AES_128_GCM AES_256_CBC-2 AES_128_CBC-2 AES_256_CBC AES_128_CBC",
    "AES_128_GCM AES_256_GCM AES_128_CBC-2 AES_256_CBC-2 AES_128_CBC AES_256_CBC CHACHA20",
    "AES_128_GCM AES_256_GCM CHACHA20 AES_128_CBC-2 AES_128_CBC AES_256_CBC-2 AES_256_CBC",
    "AES_256_GCM AES_256_CBC-2 AES_256_CBC AES_128_GCM AES_128_CBC-2 AES_128_CBC CHACHA20",
    "AES_256_GCM AES_128_GCM CHACHA20 AES_256_CBC-2 AES_256_CBC AES_128_CBC-2 AES_128_CBC",
    "CHACHA20 AES_256_GCM AES_128_GCM AES_256_CBC-2 AES_128_CBC-2 AES_256_CBC AES_128_CBC",
)  # fmt: skip
_EXCHANGES = ("TLS13", "ECDHE", "DHE", "RSA")
_AUTHENTICATIONS = ("TLS13", "ECDSA", "RSA", "DSS")


def _kind(suite: Suite) -> str:
    if suite.cipher.endswith("CBC"):
        return suite.cipher + ("-2" if suite.mac in ("SHA256", "SHA384") else "")
    return "CHACHA20" if "CHACHA20" in suite.cipher else suite.cipher


def _place(what: str, places: Sequence[str]) -> int:
    return places.index(what) if what in places else len(places)


def _keys(order: str) -> tuple[Key, ...]:
    """How suites are put into a line by an order of ciphers: each key exchange by itself, with
    certificates of either kind apart or in turn; or each cipher by itself, with what has no
    forward secrecy last or not."""
    kinds = order.split()

    def by(suite: Suite) -> tuple[int, int, int]:
        return (
            _place(_kind(suite), kinds),
            _place(suite.key_exchange, _EXCHANGES),
            _place(suite.authentication, _AUTHENTICATIONS),
        )

    def apart(suite: Suite) -> tuple[int, ...]:
        cipher, exchange, authentication = by(suite)
        return exchange, authentication, cipher

    def in_turn(suite: Suite) -> tuple[int, ...]:
        cipher, exchange, authentication = by(suite)
        return exchange, cipher, authentication

    def secret_first(suite: Suite) -> tuple[int, ...]:
        cipher, exchange, authentication = by(suite)
        return not suite.forward_secrecy, cipher, exchange, authentication

    return apart, in_turn, secret_first, by


def _ranked(suites: Sequence[Suite], key: Key) -> Mapping[int, int]:
    line = sorted(suites, key=lambda suite: (*key(suite), -suite.bits))
    return {suite.code: place for place, suite in enumerate(line)}


def _of(exchanges: str, ciphers: str) -> frozenset[int]:
    """Suites with these."""
    return frozenset(
        suite.code
        for suite in registry.suites().values()
        if suite.key_exchange in exchanges.split() and _kind(suite) in ciphers.split()
    )


def _with(authentications: str) -> frozenset[int]:
    every = registry.suites().values()
    return frozenset(s.code for s in every if s.authentication in authentications.split())


_AES = "AES_128_GCM AES_256_GCM AES_128_CBC AES_256_CBC AES_128_CBC-2 AES_256_CBC-2"


@cache
def likely_suites() -> tuple[Likely, ...]:
    """Up to TLS 1.2: the more usual first. Rather too much than too little: what a server lacks
    before its pick is known to be lacking, what it has besides comes as a surprise."""
    modern = _of("ECDHE", "AES_128_GCM AES_256_GCM CHACHA20")
    usual = _of("ECDHE RSA", _AES)
    kinds = (
        usual,
        modern | usual,
        modern,
        modern | _of("DHE", "AES_128_GCM AES_256_GCM"),
        modern | usual | _of("DHE", _AES + " CHACHA20"),
        _of("ECDHE DHE RSA", _AES + " CHACHA20 CAMELLIA_128_CBC CAMELLIA_256_CBC 3DES_EDE_CBC"),
    )
    certificates = [_with(keys) for keys in ("RSA", "RSA ECDSA", "ECDSA")]
    sets = [kind & held for held, kind in product(certificates, kinds)]
    expected = frozenset[int]().union(*sets)
    known = [suite for suite in registry.suites().values() if suite.code in expected]
    ranks = [_ranked(known, key) for order in _ORDERS for key in _keys(order)]
    ranks.append({})  # by code point
    theirs = [Likely(items, rank) for items, rank in product(sets, ranks)]
    return (*theirs, *(Likely(items, None) for items in sets))


@cache
def _expected() -> frozenset[int]:
    return _union(each.items for each in likely_suites())


@cache
def likely_suites_of_13() -> tuple[Likely, ...]:
    three = [code for code, suite in registry.suites().items() if suite.first == Version.TLSv1_3]
    three, rest = three[:3], three[3:]
    ranks = [
        {code: place for place, code in enumerate((*order, *rest))} for order in permutations(three)
    ]
    return tuple(Likely(frozenset(three), rank) for rank in (*ranks, None))


@cache
def likely_groups() -> tuple[Likely, ...]:
    orders = (
        "secp256r1 secp384r1 secp521r1",
        "x25519 secp256r1 secp384r1 secp521r1",
        "secp256r1 x25519 secp384r1 secp521r1",
        "x25519 secp256r1 x448 secp521r1 secp384r1 ffdhe2048 ffdhe3072 ffdhe4096 ffdhe6144"
        " ffdhe8192",
        "X25519MLKEM768 x25519 secp256r1 x448 secp384r1 secp521r1 ffdhe2048 ffdhe3072",
        "X25519MLKEM768 SecP256r1MLKEM768 SecP384r1MLKEM1024 x25519 secp256r1 secp384r1 secp521r1",
        "secp521r1 secp384r1 secp256r1 x25519",
    )
    found = []
    for order in orders:
        items = [registry.GROUP_BY_NAME[name] for name in order.split()]
        line = (*items, *(g for g in registry.GROUPS if g not in items))
        rank = {code: place for place, code in enumerate(line)}
        found += [Likely(frozenset(items), rank), Likely(frozenset(items), None)]
    return tuple(found)
