"""The server that a few of its replies make likely: what it takes, and in which order. Pure.

Servers are set up by defaults and by recommendations: suites of a few kinds, in an order that has
a reason. So each list is supposed to be one of those, less what the replies have shown not to be
taken, in an order that they allow. It is a guess, good for asking ahead, and never an answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
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
        first, second = (self.items, offered) if self.server_order else (offered, self.items)
        return next((i for i in first if i in second and i not in without), None)


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
    groups = {
        version: _best(list(_group_clues(log, version)), likely_groups())
        for version in spoken
        if version > Version.SSLv3
    }
    suites = dict[Version, Taste]()
    vague = False
    older = [version for version in _OLD if version in spoken]
    if older:
        clues = [clue for version in older for clue in _suite_clues(log, version)]
        found = _best(clues, likely_suites(), bare=whole)
        vague = len(frozenset[int]().union(*found.picked.values()) - _expected()) > 1
        for version in older:
            mine = registry.suites_of(version)
            suites[version] = found.left(version, _set(mine))
    newest = Version.TLSv1_3
    if newest in spoken:
        found = _best(list(_suite_clues(log, newest)), likely_suites_of_13())
        suites[newest] = found.left(newest, found.every)
    named = {version: fit.left(version, fit.every) for version, fit in groups.items()}
    return Supposed(suites, named, vague)


# --- what replies say of one list ----------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Clue:
    """In `version`, of what was `offered` this was the `choice`; `None`: nothing was taken."""

    version: Version
    offered: tuple[int, ...]
    among: frozenset[int]
    choice: int | None


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
MOST_STEPS = 1_000_000  # comparisons of an item with a clue, for one list
_CONFLICT = 10  # what a pick costs that the order does not allow; an item in vain costs 1


@dataclass(slots=True)
class _Fit:
    """How well a likely list fits the clues: the less it costs, the better."""

    taste: Taste
    picked: Mapping[Version, frozenset[int]]
    cost: int
    gone: set[int] = field(default_factory=set)  # not taken
    gone_from: set[tuple[Version, int]] = field(default_factory=set)  # not in this version

    @property
    def every(self) -> frozenset[int]:
        return _set(self.taste.items)

    def left(self, version: Version, among: frozenset[int]) -> Taste:
        """What is likely taken in `version`."""
        items = tuple(
            item
            for item in self.taste.items
            if item in among and item not in self.gone and (version, item) not in self.gone_from
        )
        return Taste(items, self.taste.server_order)


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


def _best(clues: Sequence[_Clue], likely: Iterable[Likely], *, bare: bool = False) -> _Fit:
    """The likely list that fits best. `bare`: it has nothing but what was picked."""
    picked: dict[Version, frozenset[int]] = {}
    for clue in clues:
        if clue.choice is not None:
            picked[clue.version] = picked.get(clue.version, frozenset()) | {clue.choice}
    every = frozenset[int]().union(*picked.values())
    best: _Fit | None = None
    if bare:  # they differ by their order alone
        likely = {id(each.rank): each for each in likely}.values()
    steps = 0
    for each in likely:
        if steps > MOST_STEPS:  # a server may pick whatever it likes
            break
        line = each.line(every if bare else each.items | every)
        strange = 0 if bare else len(every - each.items)  # nobody would have expected these
        fit = _Fit(Taste(line, each.rank is not None), picked, cost=strange)
        steps += _weigh(fit, clues, every, best.cost if best else None)
        if best is None or fit.cost < best.cost:
            best = fit
    assert best is not None
    if best.cost >= _CONFLICT and best.taste.server_order:
        best.taste = Taste(_mended(best.taste.items, clues, every))
    return best


def _weigh(fit: _Fit, clues: Sequence[_Clue], every: frozenset[int], most: int | None) -> int:
    """What the clues take away from a list, and what that costs, up to `most`; returns how many
    comparisons that took."""
    items, steps = fit.every, 0
    for clue in clues:
        mine = fit.picked.get(clue.version, frozenset())
        for item in fit.taste.items if fit.taste.server_order else clue.offered:
            steps += 1
            if item == clue.choice:
                break
            if item not in clue.among or item not in items or item in fit.gone:
                continue
            if item not in every:
                fit.gone.add(item)
                fit.cost += 1
            elif item not in mine:
                fit.gone_from.add((clue.version, item))
            elif clue.choice is not None:
                fit.cost += _CONFLICT
        if most is not None and fit.cost >= most:
            break
    return steps


def _mended(
    items: tuple[int, ...], clues: Sequence[_Clue], every: frozenset[int]
) -> tuple[int, ...]:
    """`items` in an order that the clues allow, as far as they agree: what was picked goes before
    what it was preferred to."""
    line = list(items)
    for clue in clues:
        if clue.choice is None:
            continue
        at = line.index(clue.choice)
        first = next((i for i in range(at) if line[i] in every & clue.among), at)
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
    return frozenset[int]().union(*(each.items for each in likely_suites()))


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
