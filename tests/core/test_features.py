"""What no server at hand does any more is told all the same, and no silence becomes a "no"."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from tests.core.test_explore import run
from tests.servers.faults import asked
from tlscheck.core import flight, registry
from tlscheck.core.eliminate import (
    Answer,
    Refused,
    Unknown,
)
from tlscheck.core.explore import (
    VersionFacts,
)
from tlscheck.core.features import Looked, look
from tlscheck.core.flight import Flight
from tlscheck.core.hello import encode
from tlscheck.core.model import Protocol
from tlscheck.core.registry import Version
from tlscheck.core.reply import Alert, Hello, Picked

NAME = "sts.us-east-1.amazonaws.com"
SUITES = ("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA",
          "TLS_DHE_RSA_WITH_AES_128_GCM_SHA256")  # fmt: skip
GCM, CBC, DHE = (registry.suite_by_name(name).code for name in SUITES)
RSA_PSS, ECDSA = 0x0804, 0x0403


def facts(*versions: Version) -> list[VersionFacts]:
    groups = ("X25519MLKEM768", "x25519")
    modern = Protocol("yes", None, ("TLS_AES_128_GCM_SHA256",), None, groups)
    old = Protocol("yes", None, SUITES, "server", groups[1:])
    return [VersionFacts(v, modern if v is Version.TLSv1_3 else old) for v in versions]


BOTH = facts(Version.TLSv1_2, Version.TLSv1_3)


def plain(hello: Hello, number: int) -> Answer:
    """A server that does all as it should, with an RSA key."""
    if 0x5600 in hello.suites:
        return Refused("alert inappropriate_fallback")
    if hello.schemes and RSA_PSS not in hello.schemes:
        return Refused("alert handshake_failure")
    if not hello.closely:
        return Picked(0x0304, hello.suites[0], hello.groups[0], retry=True)
    kinds = (23, 35, 0xFF01) + ((22,) if set(hello.suites) <= {CBC} else ())
    dhe = set(hello.suites) <= {DHE}
    return Flight(
        hello.version, hello.suites[0], 0x1D, RSA_PSS, (b"leaf", b"issuer"),
        dh_bits=2048 if dhe else None,
        random=bytes(24) + (b"DOWNGRD\x01" if hello.version is Version.TLSv1_2 else bytes(8)),
        extensions=tuple((kind, b"") for kind in kinds),
        public=number.to_bytes(2, "big"),
    )  # fmt: skip


def looked(
    known: list[VersionFacts], change: Callable[[Hello, Answer], Answer] = lambda h, a: a
) -> tuple[Looked, list[Hello]]:
    hellos: list[Hello] = []

    def answers(hello: Hello) -> Answer:
        hellos.append(hello)
        return change(hello, plain(hello, len(hellos)))

    found, _ = run(look(known), answers)
    return found, hellos  # type: ignore[return-value]


def flights(**changes: Any) -> Callable[[Hello, Answer], Answer]:
    return lambda h, a: replace(a, **changes) if isinstance(a, Flight) else a


def answer(name: str, change: Callable[[Hello, Answer], Answer]) -> str:
    said: str = looked(BOTH, change)[0].features[name]["answer"]
    return said


def test_a_server_as_it_should_be() -> None:
    found, hellos = looked(BOTH)
    assert {name: said["answer"] for name, said in found.features.items()} == {
        "compression": "no", "secure_renegotiation": "yes", "extended_master_secret": "yes",
        "encrypt_then_mac": "yes", "session_tickets": "yes", "ocsp_stapling": "no",
        "fallback_scsv": "yes", "downgrade_sentinel": "yes", "alpn": "no",
        "signature_schemes": "yes", "dh": "yes", "public_value_reuse": "no",
        "hybrid_preference": "yes",
    }  # fmt: skip
    assert [chain.versions for chain in found.chains] == [("TLSv1.2", "TLSv1.3")]
    assert len(hellos) <= 12


@pytest.mark.parametrize(
    ("name", "change", "expected"),
    [
        ("compression", flights(compression=1), "yes"),
        ("secure_renegotiation", flights(extensions=()), "no"),
        ("extended_master_secret", flights(extensions=()), "no"),
        ("session_tickets", flights(extensions=()), "no"),
        ("encrypt_then_mac", flights(extensions=()), "no"),
        ("downgrade_sentinel", flights(random=bytes(32)), "no"),
        ("downgrade_sentinel", flights(random=bytes(24) + b"DOWNGRD\x00"), "no"),
        ("public_value_reuse", flights(public=b"same"), "yes"),
        ("ocsp_stapling", flights(staple=b"response"), "yes"),
        ("alpn", flights(extensions=((16, b"\x00\x03\x02h2"),)), "yes"),
        ("fallback_scsv", lambda h, a: plain(replace(h, suites=(GCM,)), 1), "no"),
    ],
)
def test_what_hardly_any_server_does(
    name: str, change: Callable[[Hello, Answer], Answer], expected: str
) -> None:
    assert answer(name, change) == expected


def test_a_public_value_of_another_kind_is_not_the_same_one() -> None:
    """A server may use one key for both, but the same bytes of two groups are no reuse."""
    groups = iter(range(100))

    def change(hello: Hello, said: Answer) -> Answer:
        group = next(groups)
        return replace(said, group=group, public=b"same") if isinstance(said, Flight) else said

    assert answer("public_value_reuse", change) == "unknown"


@pytest.mark.parametrize(
    ("public", "answer"), [(None, "unknown"), (b"same", "yes")], ids=["none twice", "one twice"]
)
def test_a_kind_of_value_that_was_not_compared_is_no_no(public: bytes | None, answer: str) -> None:
    """DHE is offered, and fails where it is asked for."""

    def change(hello: Hello, said: Answer) -> Answer:
        if set(hello.suites) == {DHE}:
            return Unknown("read time-out")
        return replace(said, public=public) if public and isinstance(said, Flight) else said

    assert looked(BOTH, change)[0].features["public_value_reuse"] == {
        "answer": answer, "why": "DHE: fewer than two values to compare",
        "ECDHE": "yes" if public else "no", "DHE": "unknown",
    }  # fmt: skip


def test_ml_kem_costs_no_connection_more_and_a_classical_group_is_preferred() -> None:
    asked = {}
    for groups in (("X25519MLKEM768", "x25519"), ("X25519MLKEM768",), ("x25519",)):
        known = facts(Version.TLSv1_3)
        known[0] = replace(known[0], protocol=replace(known[0].protocol, groups=groups))
        found, hellos = looked(known)
        assert found.chains and found.features["alpn"]["answer"] == "no"
        assert found.features["public_value_reuse"]["DHE"] == "not_applicable"
        asked[groups] = [hello.groups for hello in hellos if hello.closely]
    both, alone, classical = asked.values()
    assert both == classical and set(both) == {(0x1D,)}
    assert set(alone) == {(0x11EC,)} and len(alone) == len(classical)


def test_a_group_that_nobody_here_can_open_is_unknown_with_the_reason() -> None:
    known = facts(Version.TLSv1_3)
    groups = ("curveSM2MLKEM768",)
    known[0] = replace(known[0], protocol=replace(known[0].protocol, groups=groups))
    found, _ = looked(known)
    assert found.chains == ()
    assert found.features["ocsp_stapling"]["answer"] == "unknown"
    assert "no group whose answer can be opened" in found.features["ocsp_stapling"]["why"]


def test_a_server_that_does_dhe_by_rfc_7919_alone_is_asked_so() -> None:
    """As OpenSSL 4 is: without its groups on offer it takes no DHE."""
    known = facts(Version.TLSv1_2)
    protocol = replace(known[0].protocol, groups=("x25519", "ffdhe2048"))

    def change(hello: Hello, said: Answer) -> Answer:
        bare = set(hello.suites) == {DHE} and 0x0100 not in hello.groups
        return Refused("alert handshake_failure") if bare else said

    found, _ = looked([replace(known[0], protocol=protocol)], change)
    assert found.features["dh"] == {"answer": "yes", "why": None, "bits": 2048, "group": "x25519"}


KINDS = {"DHE_RSA": 2048, "DHE_PSK": 1024, "DH_anon": 512}


@pytest.mark.parametrize("kinds", [("DHE_PSK",), ("DH_anon",), ("DHE_RSA", "DH_anon"), KINDS])
def test_each_kind_of_dhe_is_asked_for_its_parameters(kinds: Sequence[str]) -> None:
    """A server may sign one prime and keep another for those whom it shows no certificate."""
    names = {f"TLS_{kind}_WITH_AES_128_CBC_SHA": KINDS[kind] for kind in kinds}
    bits = {registry.suite_by_name(name).code: size for name, size in names.items()}
    known = facts(Version.TLSv1_2)
    known[0] = replace(known[0], protocol=replace(known[0].protocol, suites=tuple(names)))

    def change(hello: Hello, said: Answer) -> Answer:
        same = isinstance(said, Flight) and len({bits[suite] for suite in hello.suites}) == 1
        return replace(said, dh_bits=bits[hello.suites[0]]) if same else said  # type: ignore[arg-type, type-var]

    found, hellos = looked(known, change)
    assert found.features["dh"]["bits"] == min(bits.values())
    assert len(hellos) <= 6 + len(kinds)


def test_dhe_in_an_older_version_alone_is_looked_at() -> None:
    known = facts(Version.TLSv1_0, Version.TLSv1_2)
    newest = replace(known[1].protocol, suites=SUITES[:1])
    older = replace(known[0].protocol, suites=("TLS_DHE_RSA_WITH_AES_128_CBC_SHA",))
    known = [replace(known[0], protocol=older), replace(known[1], protocol=newest)]
    dhe = registry.suite_by_name(older.suites[0]).code

    def change(hello: Hello, said: Answer) -> Answer:
        return replace(said, dh_bits=1024) if set(hello.suites) == {dhe} else said  # type: ignore[call-arg, type-var]

    found = looked(known, change)[0].features
    assert (found["dh"]["answer"], found["dh"]["bits"]) == ("yes", 1024)


def test_a_server_that_gives_up_where_a_staple_is_asked_for_tells_the_rest() -> None:
    """As wolfSSL in lighttpd 1.4.69: nothing is said of tickets, which were asked for there too."""

    def change(hello: Hello, said: Answer) -> Answer:
        asks = any(kind == flight.STATUS_REQUEST for kind, _ in hello.more)
        return Unknown("closed") if asks else said

    found = looked(BOTH, change)[0].features
    for name in ("secure_renegotiation", "extended_master_secret", "downgrade_sentinel"):
        assert found[name]["answer"] == "yes"
    for name in ("session_tickets", "ocsp_stapling"):
        assert found[name] == {"answer": "unknown", "why": "closed"}


SILENT: list[Callable[[Hello, Answer], Answer]] = [
    lambda h, a: Unknown("read time-out"),
    lambda h, a: Refused("closed 3 times, while others were answered"),
    lambda h, a: Refused("alert handshake_failure"),
    lambda h, a: (
        replace(a, ended=Alert(80), certificates=()) if isinstance(a, Flight) and h.schemes else a
    ),
]


@pytest.mark.parametrize("change", SILENT[:3])
@pytest.mark.parametrize(
    "known", [BOTH, BOTH[:1], BOTH[1:], facts(Version.TLSv1_0, Version.TLSv1_1), []],
    ids=["both", "1.2", "1.3", "old", "none"],
)  # fmt: skip
def test_no_silence_and_no_refusal_is_a_no(
    change: Callable[[Hello, Answer], Answer], known: list[VersionFacts]
) -> None:
    found, _ = looked(known, change)
    assert found.chains == ()
    said = {name: f["answer"] for name, f in found.features.items()}
    assert set(said.values()) <= {"unknown", "not_applicable"}, said
    for feature in found.features.values():
        assert feature["answer"] != "unknown" or feature["why"]


def test_a_list_of_schemes_that_ended_in_trouble_is_not_whole() -> None:
    found, _ = looked(BOTH, SILENT[3])
    assert "internal_error" in found.features["signature_schemes"]["why"]


def test_chains_are_bounded_and_told_apart() -> None:
    count = [0]

    def change(hello: Hello, said: Answer) -> Answer:
        count[0] += 1
        chain = (count[0].to_bytes(2, "big"),)
        return replace(said, certificates=chain) if isinstance(said, Flight) else said

    found, _ = looked(BOTH, change)
    assert 2 <= len(found.chains) <= 6 and len(set(found.chains)) == len(found.chains)


def test_timestamps_of_the_handshake_are_kept_with_the_chain() -> None:
    found, _ = looked(BOTH, flights(extensions=((flight.TIMESTAMPS, b"any"),)))
    assert found.chains[0].timestamps == b"any"


@pytest.mark.parametrize(
    "raw", [b"", b"\x00", b"\x00\x06\x05\x1b[31m", b"\x00\x04\x03\xff\xfe\n", b"\x00A" + b"@x" * 40]
)  # fmt: skip
def test_alpn_of_any_bytes_is_printable_ascii(raw: bytes) -> None:
    found, _ = looked(BOTH, flights(extensions=((16, raw),)))
    picked = found.features["alpn"]["picked"]
    assert picked.isascii() and (picked == "" or picked.isprintable()) and len(picked) <= 128


def test_every_hello_is_legal() -> None:
    for known in (BOTH, facts(Version.SSLv3, Version.TLSv1_0), BOTH[1:], facts(Version.SSLv3)):
        for hello in looked(known)[1]:
            read = asked.read(encode(hello, bytes(range(64)), NAME))
            assert read is not None and len(set(read.extensions)) == len(read.extensions)
            assert len(set(read.suites)) == len(read.suites)
            if hello.version is Version.TLSv1_3:
                shareless = not hello.closely  # hybrids come without one
                assert set(read.shares) <= set(read.groups)
                assert shareless or set(read.shares) == set(read.groups)
                allowed = {0, 5, 10, 13, 16, 18, 21, 43, 50, 51}
                assert set(read.extensions) <= allowed
            elif hello.version is Version.SSLv3:
                assert not read.extensions
