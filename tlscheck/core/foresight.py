"""What a server will probably be asked, and answer: questions to ask ahead of their turn. Pure.

A trail is the questions of one exploration with the answers that a server like an earlier one, or
like a usual one, would give. It saves waiting and is never an answer: what is found rests on this
server's own replies, and a reply that differs ends the trail.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

from tlscheck.core import doubt, registry
from tlscheck.core.eliminate import (
    Answer,
    Exploration,
    Refused,
    T,
    Unknown,
    together,
)
from tlscheck.core.explore import (
    VERSIONS,
    explore_version,
    hidden,
    opening,
)
from tlscheck.core.registry import Version
from tlscheck.core.wire import Alert, Hello, Picked, Reply, Ssl2Picked

Trail = tuple[tuple[Hello, Answer], ...]
"""Questions without a server name, in the order in which they are asked, and what is answered."""

_NO_VERSION = Refused("alert protocol_version", version=True)
_NO_SUITE = Refused("alert handshake_failure")


def trail_of(log: Sequence[tuple[Hello, Answer]]) -> Trail | None:
    """The trail of an exploration that is over; `None` if it met anything out of the ordinary."""
    for _, answer in log:
        match answer:
            case Picked(ended=None) | Ssl2Picked() | Refused(plain=True, times=1):
                pass
            case Unknown() | Refused() | Picked():
                return None
    return tuple((nameless(hello), answer) for hello, answer in log)


def nameless(hello: Hello) -> Hello:
    """`hello` without its server name."""
    return replace(hello, server_name=None)


def fits(expected: Answer, reply: Reply) -> bool:
    """Whether `reply` is the one that was expected, as far as the next question depends on it."""
    match expected:
        case Picked():
            return (
                isinstance(reply, Picked)
                and reply.whole
                and (reply.version, reply.suite) == (expected.version, expected.suite)
                and (expected.group is None or reply.group == expected.group)
            )
        case Refused():
            return isinstance(reply, Alert)
        case _:
            return type(reply) is type(expected)


def fitting(trails: Sequence[Trail], first: Sequence[tuple[Hello, Reply]]) -> Trail:
    """The first of `trails` on which all of the `first` replies are; empty if none is."""
    said = [(nameless(hello), reply) for hello, reply in first]
    for trail in trails:
        expected = dict(trail)
        if all(hello in expected and fits(expected[hello], reply) for hello, reply in said):
            return trail
    return ()


def rest(trail: Trail, first: Sequence[tuple[Hello, Reply]]) -> Trail:
    """What is left of `trail` after the `first` replies, in the versions where they are on it."""
    said = {nameless(hello): reply for hello, reply in first}
    off = {h.version for h, expected in trail if h in said and not fits(expected, said[h])}
    left = list[tuple[Hello, Answer]]()
    for hello, expected in trail:
        if said.pop(hello, None) is None and hello.version not in off:
            left.append((hello, expected))
    return tuple(left)


def same(log: Sequence[tuple[Hello, Answer]], trail: Trail) -> bool:
    """Whether an exploration has asked just the questions of `trail` and got the same answers."""
    return len(log) == len(trail) and {
        (nameless(hello), _told(answer)) for hello, answer in log
    } == {(hello, _told(answer)) for hello, answer in trail}


def _told(answer: Answer) -> Answer:
    """`answer` without what depends on when it was asked."""
    return replace(answer, tolerant=False) if isinstance(answer, Refused) else answer


def on_groups(hello: Hello) -> bool:
    """Whether `hello` is of those that ask for groups, not of those that ask for suites."""
    return hello.groups != opening(hello.version, None).groups


# --- servers as they are often set up ------------------------------------------------------


@dataclass(frozen=True)
class Usual:
    """A way to set up a server: suites of each version and groups, in its order or the client's."""

    suites: Mapping[Version, tuple[int, ...]]
    groups: tuple[int, ...]
    server_order: bool = True

    def answer(self, hello: Hello) -> Answer:
        """What it says to `hello`."""
        version = max((v for v in self.suites if v <= hello.version), default=None)
        if version is None or (hello.version is Version.TLSv1_3 and version != hello.version):
            return _NO_VERSION
        theirs = self.suites[version]
        group = self._choose(hello.groups, self.groups)
        table = registry.suites()
        if group is None:
            theirs = tuple(s for s in theirs if table[s].key_exchange == "RSA")
        suite = self._choose(hello.suites, theirs)
        if suite is None:
            return _NO_SUITE
        named = table[suite].key_exchange in ("ECDHE", "TLS13")
        return Picked(version, suite, group if named else None)

    def _choose(self, ours: tuple[int, ...], theirs: tuple[int, ...]) -> int | None:
        first, second = (theirs, ours) if self.server_order else (ours, theirs)
        return next((item for item in first if item in second), None)


def _codes(*names: str) -> tuple[int, ...]:
    return tuple(registry.suite_by_name(f"TLS_{name}").code for name in names)


def _signed(authentication: str, *ciphers: str) -> tuple[int, ...]:
    return _codes(*(f"ECDHE_{authentication}_WITH_{cipher}" for cipher in ciphers))


_AES128 = ("AES_128_GCM_SHA256", "AES_128_CBC_SHA256", "AES_128_CBC_SHA")
_AES256 = ("AES_256_GCM_SHA384", "AES_256_CBC_SHA384", "AES_256_CBC_SHA")
_AEAD = ("AES_128_GCM_SHA256", "AES_256_GCM_SHA384", "CHACHA20_POLY1305_SHA256")
_KEYED = _codes(
    "RSA_WITH_AES_128_GCM_SHA256", "RSA_WITH_AES_128_CBC_SHA256", "RSA_WITH_AES_128_CBC_SHA",
    "RSA_WITH_AES_256_GCM_SHA384", "RSA_WITH_AES_256_CBC_SHA256", "RSA_WITH_AES_256_CBC_SHA",
)  # fmt: skip
_STRONG_FIRST = ("AES_256_GCM_SHA384", "CHACHA20_POLY1305_SHA256", "AES_128_GCM_SHA256")
# Orders of ciphers that OpenSSL, Mozilla and many an administrator have chosen.
_ORDERS = (
    ("AES_256_GCM", "CHACHA20_POLY1305", "AES_128_GCM", "AES_256_CBC-2", "AES_128_CBC-2",
     "AES_256_CBC", "AES_128_CBC"),
    ("AES_256_GCM", "AES_128_GCM", "AES_256_CBC-2", "AES_128_CBC-2", "AES_256_CBC", "AES_128_CBC"),
    ("AES_128_GCM", "AES_256_GCM", "AES_128_CBC-2", "AES_256_CBC-2", "AES_128_CBC", "AES_256_CBC"),
    ("AES_128_GCM", "AES_256_GCM", "CHACHA20_POLY1305", "AES_128_CBC-2", "AES_128_CBC",
     "AES_256_CBC-2", "AES_256_CBC"),
    ("AES_256_GCM", "AES_256_CBC-2", "AES_256_CBC", "AES_128_GCM", "AES_128_CBC-2", "AES_128_CBC"),
)  # fmt: skip
_HASHES = {"ECDHE_RSA": {"AES_128": "SHA256", "AES_256": "SHA384"}, "RSA": {}}
_DHE = ("DHE_RSA_WITH_AES_128_GCM_SHA256", "DHE_RSA_WITH_AES_256_GCM_SHA384")


def _named(*groups: str) -> tuple[int, ...]:
    return tuple(registry.GROUP_BY_NAME[name] for name in groups)


_P256 = _named("secp256r1", "secp384r1", "secp521r1")
_X25519 = _named("x25519", "secp256r1", "secp384r1", "secp521r1")
_OPENSSL = _named("x25519", "secp256r1", "x448", "secp521r1", "secp384r1")


def _ordered(ciphers: Sequence[str]) -> tuple[int, ...]:
    """The suites with these ciphers, forward secrecy first; "-2" is CBC with a SHA-2."""
    names = []
    for exchange, hashes in _HASHES.items():
        for cipher in ciphers:
            size = cipher[:7]
            if cipher.endswith("GCM"):
                names.append(f"{exchange}_WITH_{cipher}_{'SHA384' if '256' in size else 'SHA256'}")
            elif cipher.endswith("-2"):
                names.append(f"{exchange}_WITH_{cipher[:-2]}_{hashes.get(size, 'SHA256')}")
            elif cipher.endswith("CBC"):
                names.append(f"{exchange}_WITH_{cipher}_SHA")
            elif hashes:
                names.append(f"{exchange}_WITH_{cipher}_SHA256")
    return _codes(*names)


def _spoken(
    suites: tuple[int, ...], oldest: Version, newer: tuple[str, ...]
) -> Mapping[Version, tuple[int, ...]]:
    table = registry.suites()
    spoken = {
        version: tuple(s for s in suites if table[s].first <= version)
        for version in (Version.TLSv1_0, Version.TLSv1_1, Version.TLSv1_2)
        if version >= oldest
    }
    return spoken | ({Version.TLSv1_3: _codes(*newer)} if newer else {})


@cache
def usual() -> tuple[Usual, ...]:
    """Load balancers of AWS by their security policies, with an RSA certificate; then web servers
    by Mozilla's recommendation, and as OpenSSL has them when left alone.

    Each has rather too much than too little: where a server has less, nothing is asked in vain.
    """
    old, new = (Version.TLSv1_0, Version.TLSv1_1, Version.TLSv1_2), Version.TLSv1_2
    balanced = (
        (_signed("RSA", *_AES128, *_AES256) + _KEYED, old),
        (_signed("RSA", _AES128[0], _AES256[0]), (new,)),
        (_signed("RSA", *_AES128[:2], *_AES256[:2]), (new,)),
        *((_ordered(ciphers), old) for ciphers in _ORDERS),
    )
    found = [
        Usual(_spoken(suites, oldest, newer), groups)
        for groups in (_P256, _X25519)
        for suites, versions in balanced
        for newer in ((), _STRONG_FIRST, _AEAD)
        for oldest in versions
    ]
    web = _signed("RSA", *_STRONG_FIRST) + _codes(*_DHE)
    for groups in (_X25519, _OPENSSL):
        found.append(Usual(_spoken(web, new, _STRONG_FIRST), groups, server_order=False))
    return tuple(found)


@cache
def _trail(number: int) -> Trail:
    """All that one of the usual servers is asked, and answers."""
    server, log = usual()[number], list[tuple[Hello, Answer]]()

    def drive(exploration: Exploration[T]) -> T:
        try:
            hellos = next(exploration)
            while True:
                answers = tuple(map(server.answer, hellos))
                log.extend(zip(hellos, answers, strict=True))
                hellos = exploration.send(answers)
        except StopIteration as stop:
            value: T = stop.value
            return value

    facts = drive(together([explore_version(version, None) for version in VERSIONS]))
    older = [f for f in facts if f.protocol.offered == "yes" and f.version < Version.TLSv1_3]
    drive(hidden(max(older, key=lambda fact: fact.version), None))
    return (*log, *((hello, server.answer(hello)) for hello in doubt.doubts(log)))


Said = Sequence[tuple[Hello, Reply]]


def likely(said: Said) -> Trail:
    """The trail of the usual server that fits the replies to the openings best; empty if none
    does."""
    mine = [(nameless(hello), reply) for hello, reply in said]

    def fit(server: Usual) -> int:
        answers = [(server.answer(hello), reply) for hello, reply in mine]
        good = [answer for answer, reply in answers if fits(answer, reply)]
        return len(good) if any(isinstance(answer, Picked) for answer in good) else 0

    servers = usual()
    best = max(range(len(servers)), key=lambda number: fit(servers[number]))
    return _trail(best) if fit(servers[best]) else ()


def otherwise(said: Said, version: Version) -> Trail:
    """What is left of the trail of a usual server whose answers in `version` were these so far."""
    mine = {nameless(hello): reply for hello, reply in said if hello.version is version}
    for number, server in enumerate(usual()):
        if version in server.suites and all(
            fits(server.answer(hello), reply) for hello, reply in mine.items()
        ):
            steps = _trail(number)
            return tuple((h, a) for h, a in steps if h.version is version and h not in mine)
    return ()
