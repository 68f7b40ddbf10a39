"""Two opinions are compared where both have one, and nowhere else."""

from __future__ import annotations

from typing import Any

import pytest

from tlscheck.core import registry
from tlscheck.core.eliminate import (
    Refused,
    Unknown,
)
from tlscheck.core.hello import encode
from tlscheck.core.model import Protocol
from tlscheck.core.opinion import Disagreement, compare, questions, settled
from tlscheck.core.registry import Version
from tlscheck.core.reply import Alert, Picked, Ssl2Picked

A, B, C = (
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "TLS_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_DHE_RSA_WITH_AES_128_GCM_SHA256",
)  # fmt: skip
OURS = Protocol("yes", None, (A, B), "server")


def theirs(accepted: list[str], refused: list[str], **more: Any) -> dict[str, Any]:
    return {"answer": "yes", "why": None, "accepted": accepted, "refused": refused, **more}


@pytest.mark.parametrize(
    ("ours", "said", "answer", "disputed"),
    [
        (OURS, theirs([A, B], [C]), "agree", []),
        (OURS, theirs([A], [C]), "agree", []),  # B cannot be offered by theirs
        (OURS, theirs([A, C], [B]), "disagree", [(B, True), (C, False)]),
        (OURS, theirs([], [A, B, C]), "disagree", [(A, True), (B, True)]),
        (Protocol("no", "alert"), theirs([], [A, B]), "agree", []),
        (Protocol("no", "alert"), theirs([A], [B]), "disagree", [(A, False)]),
        (Protocol("unknown", "reset"), theirs([A], [B]), "not comparable", []),
        # Of a list that may not be whole, what it lacks is no disagreement.
        (Protocol("yes", "reset", (A,)), theirs([A, C], [B]), "agree", []),
        (Protocol("yes", "reset", (A,)), theirs([C], [A]), "disagree", [(A, True)]),
        (OURS, theirs([], [], silent=[A]), "not comparable", []),
        (OURS, {}, "not comparable", []),
        (OURS, theirs([1], {"x": 2}), "not comparable", []),  # type: ignore[list-item,arg-type]
    ],
)  # fmt: skip
def test_they_agree_disagree_or_cannot_be_compared(
    ours: Protocol, said: dict[str, Any], answer: str, disputed: list[tuple[str, bool]]
) -> None:
    compared, found = compare({"TLSv1.2": ours}, {"TLSv1.2": said})
    assert compared["TLSv1.2"]["answer"] == answer
    assert [(each.suite, each.ours) for each in found] == disputed


@pytest.mark.parametrize("odd", [None, 1, "x", [], [1]])
def test_what_is_no_answer_is_not_compared(odd: Any) -> None:
    compared, found = compare({"TLSv1.2": OURS}, {"TLSv1.2": odd})
    assert (compared["TLSv1.2"]["answer"], found) == ("not comparable", ())


def test_a_server_of_ml_kem_alone_is_beyond_sslyze() -> None:
    """Its OpenSSL offers no such group, and is refused for that."""
    suites = ("TLS_AES_128_GCM_SHA256",)
    theirs = {"TLSv1.3": {"answer": "no", "accepted": [], "refused": list(suites)}}
    for groups, answer in ((("X25519MLKEM768",), "not comparable"), (("x25519",), "disagree")):
        ours = {"TLSv1.3": Protocol("yes", None, suites, None, groups)}
        assert compare(ours, theirs)[0]["TLSv1.3"]["answer"] == answer


@pytest.mark.parametrize(
    ("label", "suite"),
    [("TLSv1.2", A), ("TLSv1.0", "TLS_RSA_WITH_AES_128_CBC_SHA"),
     ("TLSv1.3", "TLS_AES_128_GCM_SHA256"), ("SSLv3", "TLS_RSA_WITH_AES_128_CBC_SHA"),
     ("SSLv2", registry.suite_name(registry.suites_of(Version.SSLv2)[0]))],
)  # fmt: skip
def test_a_disagreement_is_asked_alone(label: str, suite: str) -> None:
    (hello,) = questions(Disagreement(label, suite, True))
    assert [registry.suite_name(code) for code in hello.suites] == [suite]
    assert encode(hello, bytes(64))
    assert questions(Disagreement(label, "TLS_OF_NO_ONE", True)) == ()


def test_one_answer_settles_it_or_leaves_it_open() -> None:
    (hello,) = questions(Disagreement("TLSv1.2", A, True))
    code = hello.suites[0]
    for answer, expected in (
        (Picked(0x0303, code), True),
        (Picked(0x0303, code, ended=Alert(80)), False),
        (Picked(0x0302, code), False),
        (Picked(0x0303, code + 1), None),
        (Refused("alert handshake_failure"), False),
        (Unknown("time-out"), None),
        (Ssl2Picked((1,)), False),
    ):
        assert settled([(hello, answer)]) is expected, answer


def test_dhe_is_offered_if_it_is_with_the_groups_of_rfc_7919_or_without() -> None:
    disputed = Disagreement("TLSv1.2", "TLS_DHE_RSA_WITH_AES_128_GCM_SHA256", True)
    bare, full = questions(disputed)
    assert not set(registry.ffdhe_groups()) & set(bare.groups)
    assert set(registry.ffdhe_groups()) <= set(full.groups)
    picked, refused = Picked(0x0303, bare.suites[0]), Refused("alert handshake_failure")
    assert settled([(bare, refused), (full, picked)]) is True
    assert settled([(bare, refused), (full, refused)]) is False
    assert settled([(bare, refused), (full, Unknown("time-out"))]) is None
