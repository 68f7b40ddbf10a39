"""Each fault does on the wire what it says, and the truths about them hold together."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.servers import check
from tests.servers.profile import PROTOCOLS, Server

from . import asked, client, made, process, registry
from .client import Heard, ask, hello
from .registry import ALL, BY_NAME

REFUSED = hello(0x0301)  # by those that begin with TLS 1.2
TLS13 = hello(0x0304)
LONG = hello(suites=(*client.SUITES[:-1], *range(0x0100, 0x0180)))
PICKED = (0x0303, 0xC02F)
CHAIN = (2, 11, 12, 14)


@pytest.fixture(scope="module")
def servers() -> Iterator[process.Faults]:
    with process.start(seed=7) as running:
        yield running


class To:
    """Asks one fault."""

    def __init__(self, servers: process.Faults, name: str) -> None:
        self._servers, self._name = servers, name

    def __call__(
        self, said: bytes | None = None, patience: float = 5.0, site: int = 0, most: int = 1 << 24
    ) -> Heard:
        address = self._servers.addresses[self._name][site]
        own = hello(name=BY_NAME[self._name].host)
        return ask(
            address, self._servers.port, own if said is None else said, patience=patience, most=most
        )

    def many(self, times: int, patience: float = 5.0) -> list[Heard]:
        return [self(patience=patience) for _ in range(times)]


def healthy(to: To) -> None:
    assert to().picked == PICKED and to().kinds == CHAIN
    assert (to(REFUSED).alert is not None) == (to._name == "healthy-modern")
    assert (to(TLS13).alert is not None) == (to._name == "healthy-old")
    assert to(client.SSL2_HELLO).alert == (2, 70)


def share(end: str, least: int, most: int, times: int = 100, patience: float = 5.0) -> Check:
    def check(to: To) -> None:
        heard = to.many(times, patience)
        assert least <= sum(h.end == end and not h.alert for h in heard) <= most
        assert any(h.picked == PICKED for h in heard)

    return check


def busy(code: int) -> Check:
    def check(to: To) -> None:
        heard = to.many(100)
        assert 3 <= sum(h.alert == (2, code) for h in heard) <= 20
        assert any(h.picked == PICKED for h in heard)

    return check


def long_enough(end: str) -> float:
    """Seconds: a silence is waited for in vain, and what comes may come late on a busy machine."""
    return 0.4 if end == "time-out" else 10.0


def only(end: str, data: bytes = b"") -> Check:
    """Nothing, or these bytes, whatever is asked."""

    def check(to: To) -> None:
        for said in (hello(), TLS13, client.SSL2_HELLO):
            heard = to(said, patience=long_enough(end))
            assert (heard.data, heard.end) == (data, end)

    return check


def endless(pattern: bytes) -> Check:
    """Bytes of a pattern, more than a client would ever want."""

    def check(to: To) -> None:
        heard = to(patience=30, most=30_000)
        assert len(heard.data) >= 30_000 and re.fullmatch(pattern, heard.data[:8000], re.DOTALL)

    return check


def alert(code: int, level: int = 2, version: int = 0x0303) -> Check:
    """Refusals, of a version and of all suites, are this alert; what is spoken is spoken."""

    def check(to: To) -> None:
        for said in (REFUSED, hello(suites=(0x0005,)), client.SSL2_HELLO):
            assert to(said).data == made.alert(code, level, version)
        assert to().picked == PICKED and to(TLS13).picked == (0x0304, 0x1302)

    return check


def refuses(end: str) -> Check:
    """The same without a word."""

    def check(to: To) -> None:
        for said in (REFUSED, hello(suites=(0x0005,)), client.SSL2_HELLO):
            heard = to(said, patience=long_enough(end))
            assert (heard.data, heard.end) == (b"", end)
        assert to().picked == PICKED and to(TLS13).picked == (0x0304, 0x1302)

    return check


def stumbles(over: bytes, fine: bytes, wanted: Callable[[Heard], bool]) -> Check:
    def check(to: To) -> None:
        assert wanted(to(over, patience=1.5))
        assert to(fine).picked

    return check


def looks(said: bytes, wanted: Callable[[Heard], bool], patience: float = 5.0) -> Check:
    """One hello whose answer has a property."""
    return lambda to: _hold(wanted(to(said, patience)))


def _hold(holds: bool) -> None:
    assert holds


def after(times: int, end: str, again: bool = False) -> Check:
    """So many connections are served, and the next is not."""

    def check(to: To) -> None:
        assert all(h.picked for h in to.many(times))
        assert all(h.end == end and not h.data for h in to.many(3, patience=long_enough(end)))
        if again:  # until the ban is over
            assert any(to().picked for _ in range(2_000_000))

    return check


def over_a_second(end: str) -> Check:
    def check(to: To) -> None:
        for _ in range(5):  # a machine that is very busy may not get over the limit at once
            with ThreadPoolExecutor(16) as pool:
                heard = list(pool.map(lambda _: to(patience=1.0), range(60)))
            assert sum(bool(h.picked) for h in heard) >= 20
            if any(h.end == end and not h.data for h in heard):
                return
        raise AssertionError("300 connections and no limit")

    return check


def two_at_once(to: To) -> None:
    import socket

    place = (to._servers.addresses[to._name][0], to._servers.port)
    with socket.create_connection(place), socket.create_connection(place):
        assert to().end == "reset"
    assert any(to().picked for _ in range(1000))


def deaf(to: To) -> None:
    with ThreadPoolExecutor(16) as pool:
        heard = list(pool.map(lambda _: to(), range(32)))
    assert all(h.picked for h in heard) and max(h.seconds for h in heard) > 1.5


def backends(said: bytes, one: tuple[int, int], other: tuple[int, int] | None) -> Check:
    def check(to: To) -> None:
        assert {to(said).picked for _ in range(40)} == {one, other}

    return check


def families(to: To) -> None:
    assert to(TLS13).picked and to(REFUSED).alert
    assert to(TLS13, site=1).alert and to(REFUSED, site=1).picked


def one_silent(to: To) -> None:
    assert to(site=1, patience=0.4).data == b"" and to().picked


def other_names(to: To) -> None:
    assert to().picked == PICKED
    for name in (None, "other.test"):
        assert to(hello(name=name)).alert == (2, 112)


def curve(to: To) -> None:
    good = to(hello(suites=client.ECDSA_SUITES, groups=(29, 23)))
    assert good.picked == (0x0303, 0xC02B) and good.flight.of(12)[0][4:7] == b"\x03\x00\x1d"
    assert to(hello(suites=client.ECDSA_SUITES, groups=(29,))).alert == (2, 40)


def lost(to: To) -> None:
    heard = [to(REFUSED) for _ in range(60)]
    assert {h.alert for h in heard} == {None, (2, 70)} and all(h.end == "reset" for h in heard)


def blinded(to: To) -> None:
    heard = to(REFUSED, patience=30)
    assert (heard.data, heard.end) == (b"", "fin") and 9.9 < heard.seconds < 25
    assert to().picked == PICKED


def chain(size: int) -> Check:
    return looks(hello(), lambda h: h.kinds == CHAIN and len(h.data) > size, patience=60.0)


def strays(to: To) -> None:
    for said in (hello(), TLS13, hello(suites=(0x002F,))):
        picked = to(said).picked
        assert picked and picked[1] not in asked.read(said).suites  # type: ignore[union-attr]


def fails_on_ecdhe(end: str, data: bytes) -> Check:
    def check(to: To) -> None:
        heard = to()
        assert heard.kinds == (2, 11) and heard.end == end and heard.data.endswith(data)
        assert to(hello(suites=(0x9C,))).kinds == (2, 11, 14)

    return check


def lacks(kinds: tuple[int, ...], end: str) -> Check:
    def check(to: To) -> None:
        heard = to(patience=1.5)
        assert (heard.kinds, heard.end) == (kinds, end)

    return check


def retry_for(groups: tuple[int, ...], group: bytes) -> Check:
    said = hello(0x0304, groups=groups, shares=True)
    return looks(
        said, lambda h: made.RETRY in h.data and h.data.endswith(b"\x00\x33\x00\x02" + group)
    )


def silent(to: To) -> None:
    assert to(patience=0.6).data == b""


def records_say(version: bytes) -> Check:
    return looks(hello(), lambda h: h.data[1:3] == version)


Check = Callable[[To], None]
_UNKNOWN = hello(more=(21,))
_EXTENDED_13 = hello(0x0304, more=(27,))
_MIDDLE = hello(size=300)

CHECKS: dict[str, Check] = {
    "healthy-modern": healthy,
    "healthy-old": healthy,
    "healthy-every": healthy,
    "reset-1": share("reset", 0, 8),
    "reset-10": share("reset", 3, 20),
    "reset-30": share("reset", 18, 45),
    "reset-accept-10": share("reset", 3, 20),
    "close-10": share("fin", 3, 20),
    "truncated-10": share("reset", 3, 20),
    "silent-5": share("time-out", 1, 8, times=50, patience=1.0),
    "silent-30": share("time-out", 7, 25, times=50, patience=1.0),
    "busy-alert-80-10": busy(80),
    "busy-alert-40-10": busy(40),
    "reset-accept": only("reset"),
    "reset-hello": only("reset"),
    "tarpit": only("time-out"),
    "fin-only": only("fin"),
    "fin-hello": only("fin"),
    "port-closed": only("Connection refused"),
    "connect-time-out": only("time-out"),
    "unroutable": only("Network is unreachable"),
    "endless-hello-request": endless(rb"(\x16\x03\x03\x00\x04\x00\x00\x00\x00)+.{0,8}"),
    "endless-zeros": endless(rb"\x00+"),
    "endless-text": endless(rb"Lorem ipsum.*"),
    "endless-warnings": endless(rb"(\x15\x03\x03\x00\x02\x01\x70)+.{0,6}"),
    "endless-empty-records": endless(rb"(\x16\x03\x03\x00\x00)+.{0,4}"),
    "announces-16mb": endless(rb"\x16\x03\x03..\x02\xff\xff\xff.*"),
    "http": looks(hello(), lambda h: h.data.startswith(b"HTTP/1.1 400") and h.end == "fin"),
    "ssh": looks(b"", lambda h: h.data.startswith(b"SSH-2.0")),
    "smtp": looks(b"", lambda h: h.data.startswith(b"220 ") and h.end == "time-out", 1.5),
    "alert-112-always": only("fin", made.alert(112)),
    "byte-a-second": looks(hello(), lambda h: len(h.data) in (2, 3), 2.5),
    "slow-2": looks(hello(), lambda h: h.picked == PICKED and h.seconds > 1.9),
    "slow-6": silent,
    "blinded": blinded,
    "silent-refusal": refuses("time-out"),
    "rate-limit-20": over_a_second("reset"),
    "rate-limit-20-silent": over_a_second("time-out"),
    "two-at-once": two_at_once,
    "deaf-2s": deaf,
    "ban-after-25": after(25, "reset"),
    "ban-silent-after-25": after(25, "time-out"),
    "ban-3s-after-25": after(25, "reset", again=True),
    "first-12-only": after(12, "fin"),
    **{f"refusal-alert-{code}": alert(code) for code in registry.REFUSAL_ALERTS},
    "refusal-close": refuses("fin"),
    "refusal-reset": refuses("reset"),
    "refusal-close-notify": alert(0, level=1),
    "refusal-warning-level": looks(REFUSED, lambda h: h.alert == (1, 70)),
    "refusal-record-0300": looks(REFUSED, lambda h: h.data == made.alert(70, version=0x0300)),
    "refusal-alert-lost": lost,
    "alert-112-other-names": other_names,
    "warning-112": looks(hello(), lambda h: h.data.startswith(made.alert(112, 1) + b"\x16")),
    "over-120-suites": stumbles(LONG, hello(), lambda h: h.alert == (2, 40)),
    "over-120-suites-reset": stumbles(LONG, hello(), lambda h: h.end == "reset"),
    "length-256-511-hang": stumbles(_MIDDLE, hello(size=512), lambda h: h.end == "time-out"),
    "length-256-511-alert": stumbles(_MIDDLE, hello(size=255), lambda h: h.alert == (2, 47)),
    "unknown-extensions": stumbles(_UNKNOWN, TLS13, lambda h: h.alert == (2, 47)),
    "unknown-extensions-close": stumbles(_EXTENDED_13, hello(), lambda h: h.end == "fin"),
    "extensions-in-1.0": stumbles(
        REFUSED, hello(0x0301, extensions=False), lambda h: h.alert == (2, 40)
    ),
    "tls13-intolerant": stumbles(TLS13, hello(), lambda h: h.alert == (2, 70)),
    "tls13-intolerant-close": stumbles(TLS13, hello(), lambda h: h.end == "fin" and not h.data),
    "tls13-hang": stumbles(TLS13, hello(), lambda h: h.end == "time-out"),
    "tls12-intolerant": stumbles(hello(0x0302), REFUSED, lambda h: h.end == "fin" and not h.data),
    "ecdsa-curve": curve,
    "ecdsa-curve-client": curve,
    "records-of-1": looks(
        hello(), lambda h: h.kinds == CHAIN and all(len(b) == 1 for *_, b in made.records(h.data))
    ),
    "segments-of-1": looks(hello(), lambda h: h.kinds == CHAIN),
    "one-record": looks(hello(), lambda h: h.kinds == CHAIN and len([*made.records(h.data)]) == 1),
    "chain-200k": chain(180_000),
    "chain-5mb": chain(4_500_000),
    "announces-16mb-certificate": endless(rb"\x16\x03\x03.{6}\x03\x03.*\x0b\xff\xff\xff.*"),
    "stray-suite": strays,
    "default-suite": looks(hello(suites=(0x0005,)), lambda h: h.picked == (0x0303, 0x002F)),
    "newer-version": looks(REFUSED, lambda h: h.picked == (0x0303, 0x002F)),
    "version-0305": looks(hello(), lambda h: h.picked is not None and h.picked[0] == 0x0305),
    "always-tls10": looks(TLS13, lambda h: h.picked == (0x0301, 0x002F)),
    "record-version-0300": records_say(b"\x03\x00"),
    "record-version-0304": records_say(b"\x03\x04"),
    "record-version-0505": records_say(b"\x05\x05"),
    "trailing-bytes": looks(hello(), lambda h: h.flight.messages[0].endswith(bytes(4))),
    "retry-stray-group": retry_for((23, 24, 25), b"\x00\x1e"),
    "retry-twice": retry_for((23,), b"\x00\x17"),
    "picked-then-alert": fails_on_ecdhe("fin", made.alert(80)),
    "picked-then-close": fails_on_ecdhe("fin", b""),
    "picked-then-reset": fails_on_ecdhe("reset", b""),
    "picked-never-usable": lacks((2, 11), "fin"),
    "no-certificate": lacks((2, 12, 14), "complete"),
    "no-done-close": lacks((2, 11, 12), "fin"),
    "no-done-silent": lacks((2, 11, 12), "time-out"),
    "backends-suites-random": backends(hello(), PICKED, (0x0303, 0x9C)),
    "backends-suites-alternating": backends(hello(), PICKED, (0x0303, 0x9C)),
    "backends-versions-random": backends(TLS13, (0x0304, 0x1302), None),
    "backends-versions-alternating": backends(TLS13, (0x0304, 0x1302), None),
    "families-differ": families,
    "one-of-two-silent": one_silent,
}  # fmt: skip
BY_NAME_ONLY = {"dns-failure", "dns-time-out", "dns-empty"}  # faults of the look-up


def test_every_fault_does_on_the_wire_what_it_says(servers: process.Faults) -> None:
    assert set(CHECKS) | BY_NAME_ONLY == set(BY_NAME)
    with ThreadPoolExecutor(12) as pool:  # some of them take their time
        done = {name: pool.submit(check, To(servers, name)) for name, check in CHECKS.items()}
    assert {name: repr(it.exception()) for name, it in done.items() if it.exception()} == {}


def test_a_seed_repeats(servers: process.Faults) -> None:
    to = To(servers, "reset-30")
    runs = []
    for seed in (1, 1, 2):
        servers.again(seed)
        runs.append([heard.end for heard in to.many(40)])
    assert runs[0] == runs[1] != runs[2]


@pytest.mark.parametrize("name", ["healthy-modern", "healthy-old", "healthy-every", "records-of-1",
                                  "segments-of-1", "one-record", "warning-112", "always-tls10",
                                  "tls13-intolerant"])  # fmt: skip
def test_other_clients_agree_with_the_truth(servers: process.Faults, name: str) -> None:
    (truth,) = BY_NAME[name].sites[0].backends
    server = Server(name, servers.addresses[name][0], servers.port, truth)
    assert check.disagreements(server) == []


def test_there_are_thirty_and_more_and_no_name_twice() -> None:
    assert len(BY_NAME) == len(ALL) >= 30
    assert len({fault.says for fault in ALL}) >= 60
    assert all(re.fullmatch(r"[a-z0-9.-]+", fault.name) and fault.says for fault in ALL)


def test_the_truths_are_consistent() -> None:
    for fault in ALL:
        undecidable = [site.undecidable for site in fault.sites]
        assert (fault.expect == "unknown") == all(u == set(PROTOCOLS) for u in undecidable)
        assert (fault.expect == "exact-or-unknown") == bool(fault.because), fault.name
        unequal = len({repr(site.backends) for site in fault.sites if site.backends}) > 1
        assert (unequal or any(len(s.backends) > 1 for s in fault.sites)) == (fault.mixed is True)
        assert set(fault.tolerated) <= set(PROTOCOLS)


def test_the_servers_are_gone_after_the_block() -> None:
    with process.start([BY_NAME["healthy-modern"]]) as running:
        place = running.addresses["healthy-modern"][0], running.port
        assert ask(*place, hello()).picked
    assert running.process.returncode == 0
    assert ask(*place, hello()).end == "Connection refused"
