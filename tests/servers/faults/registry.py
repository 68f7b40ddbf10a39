"""Every fault by name: what the server does, what is true of it, what a scanner must conclude."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from ..profile import PROTOCOLS, Profile, version
from . import behaviour as b
from . import made
from .behaviour import ends, real, refusing, speaks
from .connection import Behaviour, Finish, Hold, Reset
from .real import (
    ECDSA,
    ECDSA_CLIENT,
    EVERY,
    HUGE,
    LONG,
    MODERN,
    OLD,
    ONLY_10,
    ONLY_12,
    STATIC,
    STATIC_12,
    Base,
)

Expect = Literal["exact", "unknown", "exact-or-unknown"]
# Besides a behaviour: nobody listens; the queue is full, so that no connection is made; the
# address has no route.
Absent = Literal["closed", "full", "unroutable"]
Resolves = Literal["pinned", "addresses", "failure", "time-out", "empty"]

ALL_VERSIONS = frozenset(PROTOCOLS)
UNROUTABLE = "127.255.255.255"  # a broadcast address: the kernel says ENETUNREACH by itself
LOOPBACK6 = "::1"


@dataclass(frozen=True)
class Site:
    """One address. `backends` are the servers behind it, each with what it negotiates; none
    where nobody can know. About the versions in `open` nobody can know either: a yes or a no is
    false. When not `whole`, no list has an end to be seen: one claimed to be whole is false.
    """

    behave: Behaviour | Absent
    backends: tuple[Profile, ...] = ()
    open: frozenset[str] = frozenset()
    whole: bool = True
    address: str | None = None

    @property
    def undecidable(self) -> frozenset[str]:
        return self.open if self.backends else ALL_VERSIONS


@dataclass(frozen=True)
class Fault:
    """One switch. `says` is what a scanner must conclude, in one line.

    `expect` holds for the versions that are decidable: "exact" (everything found, nothing left
    open but a `spare` share of the pairs), "unknown" (nothing is decidable), "exact-or-unknown"
    (two readings are legitimate, `because`). `mixed` must be reported, must not be, or (None)
    may be. Each of `words` (regular expressions) must occur in what the report says of the
    endpoint. Pairs count as inconclusive only when patience can learn them (`counted`).
    """

    name: str
    says: str
    sites: tuple[Site, ...]
    expect: Expect = "exact"
    because: str = ""
    mixed: bool | None = False
    words: tuple[str, ...] = ()
    spare: float = 0.0
    counted: bool = True
    resolves: Resolves = "pinned"
    tolerated: Mapping[str, str] = field(default_factory=dict)  # version -> why unknown is fine

    @property
    def host(self) -> str:
        return f"{self.name}.fault.test"

    @property
    def healthy(self) -> bool:
        return self.name.startswith("healthy-")


def _known(
    name: str,
    says: str,
    base: Base,
    behave: Behaviour,
    *,
    truth: Profile | None = None,
    open: frozenset[str] = frozenset(),
    whole: bool = True,
    **rest: object,
) -> Fault:
    """A fault of one address with one server behind it, `base` unless `truth` says otherwise."""
    site = Site(behave, (truth or base.profile,), open, whole)
    return Fault(name, says, (site,), **rest)  # type: ignore[arg-type]


def _unknown(name: str, says: str, behave: Behaviour | Absent, **rest: object) -> Fault:
    """A fault of which nothing can be learned: every yes and every no is false."""
    return Fault(name, says, (Site(behave),), "unknown", **rest)  # type: ignore[arg-type]


_NOTHING = Profile({})
_OLD_OF_MODERN = frozenset({"SSLv2", "SSLv3", "TLSv1.0", "TLSv1.1"})
_NOBODY = "nobody can finish a handshake, so 'no' is true; that it spoke TLS makes 'unknown' fair"

_HEALTHY = (
    _known("healthy-modern", "TLS 1.2 and 1.3, exactly", MODERN, real(MODERN)),
    _known("healthy-old", "TLS 1.0 to 1.2, exactly", OLD, real(OLD)),
    _known("healthy-every", "TLS 1.0 to 1.3, exactly", EVERY, real(EVERY)),
)

_RANDOM = (
    *(
        _known(
            f"reset-{percent}",
            f"the truth: {percent} % of connections are reset after the hello, at random",
            EVERY,
            real(EVERY, hello=b.chance(percent / 100, Reset)),
            spare=0.01 if percent == 30 else 0.0,
        )
        for percent in (1, 10, 30)
    ),
    _known("reset-accept-10", "the truth: 10 % are reset at accept, at random", EVERY,
           real(EVERY, accept=b.chance(0.1, Reset))),
    _known("close-10", "the truth: 10 % are closed without an alert, at random", EVERY,
           real(EVERY, hello=b.chance(0.1, Finish))),
    _known("truncated-10", "the truth: 10 % of flights are cut in the middle, at random", EVERY,
           real(EVERY, answer=b.truncated(0.1))),
    _known("silent-5", "the truth: 5 % of hellos get no answer, at random", EVERY,
           real(EVERY, hello=b.chance(0.05, Hold))),
    _known("silent-30", "the truth, or unknown: 30 % get no answer, at random", EVERY,
           real(EVERY, hello=b.chance(0.3, Hold)), expect="exact-or-unknown",
           because="each silence costs a read time-out, and the deadline may come first"),
    _known("busy-alert-80-10", "the truth: 10 % get internal_error, at random", EVERY,
           real(EVERY, hello=b.chance_of(0.1, made.alert(80)))),
    _known("busy-alert-40-10", "no false no: 10 % get handshake_failure, at random", EVERY,
           real(EVERY, hello=b.chance_of(0.1, made.alert(40))), expect="exact-or-unknown",
           mixed=None, counted=False,
           because="a server that says no to what it accepts contradicts itself: mixed or unknown"),
)  # fmt: skip

_NEVER = (
    _unknown("reset-accept", "unknown: every connection is reset at once",
             ends(Reset, at_once=True)),
    _unknown("reset-hello", "unknown: every hello is reset", ends(Reset)),
    _unknown("tarpit", "unknown: accepts and never says a byte", ends(Hold)),
    _unknown("fin-only", "unknown: closes at accept", ends(Finish, at_once=True)),
    _unknown("fin-hello", "unknown: closes after every hello", ends(Finish)),
    _unknown("port-closed", "unknown, connection refused", "closed", words=("refused",)),
    _unknown("connect-time-out", "unknown: no connection is ever made", "full"),
    _unknown("unroutable", "unknown: network unreachable", "unroutable",
             words=("unreachable|route",)),
    _unknown("endless-hello-request", "unknown: HelloRequests without an end",
             speaks(made.record(22, made.message(0, b"")) * 50, every=0.02)),
    _unknown("endless-zeros", "unknown: zero bytes without an end",
             speaks(bytes(8192), every=0.01)),
    _unknown("endless-text", "unknown: plain text without an end",
             speaks(b"Lorem ipsum dolor sit amet. " * 300, every=0.01)),
    _unknown("endless-warnings", "unknown: warning alerts without an end",
             speaks(made.alert(112, 1) * 50, every=0.02)),
    _unknown("endless-empty-records", "unknown: empty handshake records without an end",
             speaks(made.record(22, b"") * 50, every=0.02)),
    _unknown("announces-16mb", "unknown: a ServerHello of 16 MB is announced",
             b.announcing(made.SERVER_HELLO, 0xFFFFFF)),
    _unknown("http", "unknown: HTTP on the port", words=("HTTP",),
             behave=speaks(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")),
    _unknown("ssh", "unknown: an SSH banner", words=("SSH",),
             behave=speaks(b"SSH-2.0-OpenSSH_9.6\r\n", first=True)),
    _unknown("smtp", "unknown: an SMTP banner, and then it waits", words=("SMTP",),
             behave=speaks(b"220 mail.fault.test ESMTP\r\n", first=True, end=Hold)),
    _unknown("alert-112-always", "unknown: unrecognized_name to every name",
             real(MODERN, hello=lambda c, asked: made.alert(112)),
             words=("unrecognized_name|112",)),
)  # fmt: skip

_SLOW = (
    _known("byte-a-second", "the truth, or unknown: one byte a second", MODERN,
           real(MODERN, answer=b.byte_a_second), expect="exact-or-unknown", counted=False,
           because="an alert is whole after 7 s, a flight never within a deadline"),
    _known("slow-2", "the truth: every answer takes 2 s", MODERN,
           real(MODERN, answer=b.delay(2.0))),
    _known("slow-6", "the truth, or unknown: every answer takes 6 s", MODERN,
           real(MODERN, answer=b.delay(6.0)), expect="exact-or-unknown",
           because="some 20 answers one after the other take longer than the deadline"),
    _known("blinded", "the truth, or unknown: closes without an alert 10 to 12 s after a refusal",
           MODERN, real(MODERN, answer=refusing(b.blinded)), expect="exact-or-unknown",
           because="every confirmation takes 10 s, and the deadline may come first"),
    _known("silent-refusal", "yes where it answers; unknown where it is silent", MODERN,
           real(MODERN, answer=refusing(Hold)), open=_OLD_OF_MODERN, whole=False, counted=False,
           expect="exact-or-unknown", because="no list has an end: the last answer is silence"),
)  # fmt: skip

_LIMITS = (
    _known("rate-limit-20", "the truth: more than 20 connections a second are reset", EVERY,
           real(EVERY, accept=b.bucket(20, Reset))),
    _known("rate-limit-20-silent", "the truth, or unknown: over 20 a second get silence", EVERY,
           real(EVERY, accept=b.bucket(20, Hold)), expect="exact-or-unknown",
           because="each silence costs a read time-out, and the deadline may come first"),
    _known("two-at-once", "the truth: more than two connections at once are reset", EVERY,
           real(EVERY, accept=b.at_once(2))),
    _known("deaf-2s", "the truth: stops accepting for 2 s after every 15 connections", EVERY,
           real(EVERY, accept=b.deaf(15, 2.0))),
    _known("ban-after-25", "what was learned before; then unknown: reset for good", EVERY,
           real(EVERY, accept=b.ban(25, Reset)), expect="exact-or-unknown", counted=False,
           because="what needs more than 25 connections cannot be learned"),
    _known("ban-silent-after-25", "what was learned before; then unknown: silent for good", EVERY,
           real(EVERY, accept=b.ban(25, Hold)), expect="exact-or-unknown", counted=False,
           because="what needs more than 25 connections cannot be learned"),
    _known("ban-3s-after-25", "the truth: reset for 3 s after every 25 connections", EVERY,
           real(EVERY, accept=b.ban(25, Reset, 3.0))),
    _known("first-12-only", "what was learned before; then unknown: closed for good", EVERY,
           real(EVERY, accept=b.ban(12, Finish)), expect="exact-or-unknown", counted=False,
           because="what needs more than 12 connections cannot be learned"),
)  # fmt: skip

REFUSAL_ALERTS = (10, 22, 40, 47, 50, 60, 70, 71, 80, 86, 90, 109, 115)
_REFUSALS = (
    *(
        _known(f"refusal-alert-{code}", f"the truth: every refusal is alert {code}", MODERN,
               real(MODERN, answer=refusing(made.alert(code))))
        for code in REFUSAL_ALERTS
    ),
    _known("refusal-close", "the truth: every refusal is a close without an alert", MODERN,
           real(MODERN, answer=refusing(Finish))),
    _known("refusal-reset", "the truth: every refusal is a reset", MODERN,
           real(MODERN, answer=refusing(Reset))),
    _known("refusal-close-notify", "the truth: every refusal is a close_notify", MODERN,
           real(MODERN, answer=refusing(made.alert(0, level=1)))),
    _known("refusal-warning-level", "the truth: every refusal's alert has the level of a warning",
           MODERN, real(MODERN, answer=refusing(b.warning_level))),
    _known("refusal-record-0300", "the truth: alerts come in records of version 0x0300", MODERN,
           real(MODERN, answer=refusing(b.old_alert_record))),
    _known("refusal-alert-lost", "the truth: a RST follows each alert, and half of them are lost",
           MODERN, real(MODERN, answer=refusing(b.reset_after_alert))),
    _known("alert-112-other-names", "the truth: unrecognized_name but to its own name", MODERN,
           real(MODERN, hello=b.own_name_only(112)),
           tolerated=dict.fromkeys(("SSLv2", "SSLv3"), "has no server name to say: the alert is "
                                   "about the name, not the version")),
    _known("warning-112", "the truth: a warning comes before each ServerHello", EVERY,
           real(EVERY, answer=b.warning_first)),
)  # fmt: skip

_SMALLER = r"smaller|shorter|short|fewer|long hello|intoleran|stumbl|without"
_INTOLERANT = (
    _known("over-120-suites", "the truth, and that long lists are refused (alert 40)", EVERY,
           real(EVERY, hello=b.unless(b.few_suites, made.alert(40))), words=(_SMALLER,)),
    _known("over-120-suites-reset", "the truth, and that long lists are reset", EVERY,
           real(EVERY, hello=b.unless(b.few_suites, Reset)), words=(_SMALLER,)),
    _known("length-256-511-hang", "the truth: hangs on hellos of 256 to 511 bytes", EVERY,
           real(EVERY, hello=b.unless(b.not_of_middle_length, Hold))),
    _known("length-256-511-alert", "the truth: refuses hellos of 256 to 511 bytes", EVERY,
           real(EVERY, hello=b.unless(b.not_of_middle_length, made.alert(47)))),
    _known("unknown-extensions", "the truth: alert 47 to extensions it does not know", EVERY,
           real(EVERY, hello=b.unless(b.known_extensions, made.alert(47)))),
    _known("unknown-extensions-close", "the truth: closes on extensions it does not know", EVERY,
           real(EVERY, hello=b.unless(b.known_extensions, Finish))),
    _known("extensions-in-1.0", "TLS 1.0 only without any extension (alert 40): yes, list open",
           EVERY, real(EVERY, hello=b.unless(b.plain_if_old, made.alert(40))),
           words=("extension|smaller|bare",),
           expect="exact-or-unknown",
           because="without extensions nobody can name a curve: its ECDHE suites are out of reach"),
    _known("tls13-intolerant", "TLS 1.2 alone: alert 70 to supported_versions", ONLY_12,
           real(ONLY_12, hello=b.unless(b.no_versions, made.alert(70)))),
    _known("tls13-intolerant-close", "TLS 1.2 alone: closes on supported_versions", ONLY_12,
           real(ONLY_12, hello=b.unless(b.no_versions, Finish))),
    _known("tls13-hang", "TLS 1.2 alone; of TLS 1.3 unknown: hangs on supported_versions", ONLY_12,
           real(ONLY_12, hello=b.unless(b.no_versions, Hold)), open=frozenset({"TLSv1.3"})),
    _known("tls12-intolerant", "TLS 1.0 alone: closes on any newer hello", ONLY_10,
           real(ONLY_10, hello=b.unless(b.at_most_10, Finish))),
    _known("ecdsa-curve", "the truth: the certificate's own curve must be offered, and is liked",
           ECDSA, real(ECDSA)),
    _known("ecdsa-curve-client", "the truth: the certificate's own curve must be offered",
           ECDSA_CLIENT, real(ECDSA_CLIENT)),
)  # fmt: skip

_SPLITS = (
    _known("records-of-1", "the truth: the flight comes in records of one byte", EVERY,
           real(EVERY, answer=b.on_flights(b.one_byte_records))),
    _known("segments-of-1", "the truth: the flight comes in segments of one byte", EVERY,
           real(EVERY, answer=b.one_byte_segments)),
    _known("one-record", "the truth: the whole flight is in one record", EVERY,
           real(EVERY, answer=b.in_clear(b.one_record))),
    _known("chain-200k", "the truth: a chain of 200 KB", LONG, real(LONG)),
    _known("chain-5mb", "the truth, or unknown: a chain of 5 MB", HUGE, real(HUGE),
           expect="exact-or-unknown", counted=False,
           because="a bound on memory may stop the reading; it must not be read as a no"),
    _known("announces-16mb-certificate", "unknown below TLS 1.3: announces a Certificate of 16 MB",
           EVERY, b.announcing(made.CERTIFICATE, 0xFFFFFF),
           open=frozenset({"TLSv1.0", "TLSv1.1", "TLSv1.2"})),
)  # fmt: skip

_RECORD_VERSION = "TLS 1.3 receivers must ignore this version (RFC 8446, 5.1), strict ones stop"
_PSEUDO = "RFC 8446 lets no client go on, so nobody negotiates it; it names version and suite"

_LIES = (
    _known("stray-suite", "never yes: the suite it picks was not offered", MODERN,
           real(MODERN, answer=b.on_flights(b.stray_suite)), truth=_NOTHING, counted=False,
           expect="exact-or-unknown", because=_NOBODY, words=("not offered",)),
    _known("default-suite", "the truth, and that it picks what was not offered", MODERN,
           real(MODERN, answer=refusing(b.default_suite)), expect="exact-or-unknown",
           because="its refusal is a pick of what was not offered: decisive, or a reason to doubt",
           words=("not offered",), counted=False),
    _known("newer-version", "the truth, and that it picks TLS 1.2 for those who cannot", MODERN,
           real(MODERN, hello=b.newer_version), words=("not offered|instead",)),
    _known("version-0305", "never yes: the version it picks does not exist", MODERN,
           real(MODERN, answer=b.on_flights(b.version_0305)), truth=_NOTHING, counted=False,
           expect="exact-or-unknown", because=_NOBODY, words=("0x0305",)),
    _known("always-tls10", "TLS 1.0 alone, whatever is asked", ONLY_10,
           real(ONLY_10, hello=b.only_tls10)),
    *(
        _known(f"record-version-{code:04x}", f"the truth, or unknown: records say 0x{code:04X}",
               MODERN, real(MODERN, answer=b.record_version(code)), counted=False,
               expect="exact-or-unknown", because=_RECORD_VERSION)
        for code in (0x0300, 0x0304, 0x0505)
    ),
    _known("trailing-bytes", "unknown where it answers: its ServerHello has bytes left over",
           MODERN, real(MODERN, answer=b.on_flights(b.trailing)), words=("trailing|left over",),
           open=frozenset({"TLSv1.2", "TLSv1.3"}), counted=False),
    _known("retry-stray-group", "no group: the retry request names one that was not offered",
           MODERN, real(MODERN, answer=b.on_flights(b.stray_group)), counted=False,
           truth=Profile({**MODERN.profile.protocols, "TLSv1.3": version(
               MODERN.profile.protocols["TLSv1.3"].suites, "server")}),
           expect="exact-or-unknown", because=_PSEUDO, words=("not offered",)),
    _known("retry-twice", "what the retry request says: every hello gets one", MODERN,
           real(MODERN, answer=b.on_flights(b.always_retry))),
    _known("picked-then-alert", "the RSA suites; ECDHE is picked and fails (alert 80)", STATIC_12,
           real(ONLY_12, answer=b.then(Finish, b.failing("TLS_ECDHE", made.alert(80)))),
           words=("fail|usable",)),
    _known("picked-then-close", "the RSA suites; ECDHE is picked and fails (close)", STATIC_12,
           real(ONLY_12, answer=b.then(Finish, b.failing("TLS_ECDHE", b""))),
           words=("fail|usable",)),
    _known("picked-then-reset", "the RSA suites; ECDHE is picked and fails (reset)", STATIC_12,
           real(ONLY_12, answer=b.then(Reset, b.failing("TLS_ECDHE", b""))),
           words=("fail|usable",)),
    _known("picked-never-usable", "never yes in TLS 1.2: each suite is picked and fails", ONLY_12,
           real(ONLY_12, answer=b.then(Finish, b.failing("TLS_", made.alert(80)))), truth=_NOTHING,
           expect="exact-or-unknown", because=_NOBODY, counted=False, words=("fail|usable",)),
    _known("no-certificate", "never yes in TLS 1.2: the Certificate is missing", ONLY_12,
           real(ONLY_12, answer=b.in_clear(b.without(made.CERTIFICATE))), truth=_NOTHING,
           expect="exact-or-unknown", because=_NOBODY, counted=False),
    _known("no-done-close", "never yes in TLS 1.2: closes before ServerHelloDone", ONLY_12,
           real(ONLY_12, answer=b.then(Finish, b.in_clear(b.without(made.DONE)))), truth=_NOTHING,
           expect="exact-or-unknown", because=_NOBODY, counted=False),
    _known("no-done-silent", "unknown in TLS 1.2: silent before ServerHelloDone", ONLY_12,
           real(ONLY_12, answer=b.then(Hold, b.in_clear(b.without(made.DONE)))), truth=_NOTHING,
           open=frozenset({"TLSv1.2"}), counted=False),
)  # fmt: skip


def _two(one: Base, other: Base) -> tuple[Profile, ...]:
    return (one.profile, other.profile)


_MIXED = (
    *(
        Fault(f"backends-{what}-{how}", f"mixed: two back ends, {words}, {how}",
              (Site(real(choose(MODERN, other)), _two(MODERN, other)),),
              "exact-or-unknown", "one of the two, or both, as long as mixed is said", True,
              counted=False)
        for what, words, other in (
            ("suites", "one without ECDHE", STATIC),
            ("versions", "one of which speaks TLS 1.0 to 1.2", OLD),
        )
        for how, choose in (("random", b.either), ("alternating", b.in_turn))
    ),
    Fault("families-differ", "mixed: IPv4 speaks TLS 1.2 and 1.3, IPv6 TLS 1.0 to 1.2",
          (Site(real(MODERN), (MODERN.profile,)),
           Site(real(OLD), (OLD.profile,), address=LOOPBACK6)),
          mixed=True, resolves="addresses"),
    Fault("one-of-two-silent", "the truth of one address; unknown of the other",
          (Site(real(MODERN), (MODERN.profile,)), Site(ends(Hold))),
          mixed=None, resolves="addresses"),
)  # fmt: skip

_NAMES = (
    _unknown("dns-failure", "unknown: the name has no address", "closed", resolves="failure",
             words=("DNS|resol|name",)),
    _unknown("dns-time-out", "unknown: the name server does not answer", "closed",
             resolves="time-out", words=("DNS|resol",)),
    _unknown("dns-empty", "unknown: the name server's answer is empty", "closed", resolves="empty",
             words=("DNS|address",)),
)  # fmt: skip

ALL: tuple[Fault, ...] = (
    _HEALTHY + _RANDOM + _NEVER + _SLOW + _LIMITS + _REFUSALS + _INTOLERANT + _SPLITS + _LIES
    + _MIXED + _NAMES
)  # fmt: skip
BY_NAME = {fault.name: fault for fault in ALL}
# What a hostile server must not spoil: nine healthy ones beside it.
COMPANIONS: tuple[Fault, ...] = tuple(
    replace(fault, name=f"{fault.name}-{nth}") for nth in (1, 2, 3) for fault in _HEALTHY
)


def chosen(names: Sequence[str] = ()) -> tuple[Fault, ...]:
    """The faults of these names, all without any; raises KeyError for one that is none."""
    known = BY_NAME | {fault.name: fault for fault in COMPANIONS}
    return tuple(known[name] for name in names) if names else ALL


def addresses(faults: Sequence[Fault]) -> dict[str, tuple[str, ...]]:
    """Fault name -> the address of each of its sites, always the same for the same fault."""
    found, at = {}, 0
    for fault in ALL + COMPANIONS:
        mine = []
        for site in fault.sites:
            fixed = UNROUTABLE if site.behave == "unroutable" else site.address
            mine.append(fixed or f"127.91.{1 + at // 200}.{1 + at % 200}")
            at += 1
        found[fault.name] = tuple(mine)
    return {fault.name: found[fault.name] for fault in faults}
