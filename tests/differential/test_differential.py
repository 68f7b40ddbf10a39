"""Other clients agree with tlscheck on every healthy server, or a reason says why not."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.servers.catalogue import ALL, Start
from tlscheck.core import registry

from . import gnutls, openssl
from .answers import CANNOT, Answer, Pair
from .clients import CLIENTS, ask
from .compare import complaints, disagreements
from .reasons import REASONS, Reason

NAMES = {name for name, _ in ALL}
RC4 = Pair("TLSv1.0", "suite", "TLS_RSA_WITH_RC4_128_SHA")
OLD = Pair("TLSv1.0", "version")
REASON = Reason("it", {"a": ("TLSv1.0",)}, ("suite *RC4*",), "no", "it cannot", said="cipher")


@pytest.mark.parametrize(("name", "start"), ALL, ids=[name for name, _ in ALL])
def test_other_clients_agree_or_a_reason_says_why(name: str, start: Start, tmp_path: Path) -> None:
    with start(tmp_path) as server:
        mine, theirs = ask(server, tmp_path)
    bad = [
        complaint
        for client, answers in theirs.items()
        for complaint in complaints(name, client, disagreements(mine, answers), REASONS)
    ]
    assert not bad, "\n" + "\n".join(bad)
    # A client that agrees because it was never really asked would prove nothing.
    for client, answers in theirs.items():
        assert any(a.verdict == "yes" for a in answers.values()), client
        assert sum(a.verdict == "no" for a in answers.values()) > 200, client


def test_every_reason_is_about_a_client_and_a_server_that_exist() -> None:
    for reason in REASONS:
        assert reason.client in CLIENTS and set(reason.where) <= NAMES, reason
        assert reason.because and reason.what and all(reason.where.values()), reason


def test_clients_and_tlscheck_call_a_suite_by_the_same_name() -> None:
    codes = {suite.iana: int(suite.code.replace(".", ""), 16) for suite in gnutls.suites()}
    codes |= {iana: code for version in openssl.VERSIONS for iana, code in openssl.codes(version)}
    assert len(codes) > 200
    assert codes == {name: registry.suite_by_name(name).code for name in codes}


def found(*reasons: Reason, said: str = "no cipher in common") -> list[str]:
    mine = {OLD: Answer("yes"), RC4: Answer("yes")}
    its = {OLD: Answer("yes"), RC4: Answer("no", said)}
    return list(complaints("a", "it", disagreements(mine, its), reasons))


def test_a_disagreement_needs_exactly_one_reason() -> None:
    assert found(REASON) == []
    assert "no reasons" in one(found())
    assert "2 reasons" in one(found(REASON, REASON))
    assert "no reasons" in one(found(replace(REASON, client="another")))
    assert "no reasons" in one(found(replace(REASON, where={"b": ("TLSv1.0",)})))


@pytest.mark.parametrize(
    "idle",
    [
        replace(REASON, says="broken"),
        replace(REASON, said="time-out"),
        replace(REASON, where={"a": ("TLSv1.1",)}),
        replace(REASON, what=("suite *3DES*",)),
        replace(REASON, what=("group *", "version")),
    ],
)
def test_a_reason_must_explain_something(idle: Reason) -> None:
    assert all("nothing to explain" in complaint for complaint in found(REASON, idle))
    assert found(REASON, idle)


def test_a_reason_must_hold_for_each_version_and_pattern_that_it_names() -> None:
    wide = replace(REASON, where={"a": ("TLSv1.0", "TLSv1.2")}, what=("suite *RC4*", "version"))
    assert len(found(wide)) == 3


def test_an_answer_that_is_missing_is_no_agreement_with_a_yes() -> None:
    yes, no = {RC4: Answer("yes")}, {RC4: Answer("no")}
    for silent in ({}, {RC4: CANNOT}):
        assert [each.pair for each in disagreements(yes, silent)] == [RC4]
        assert disagreements(no, silent) == disagreements({}, silent) == []
    for wrong in (yes, {RC4: Answer("broken")}):
        assert [each.pair for each in disagreements({}, wrong)] == [RC4]


def one(items: Iterable[str]) -> str:
    (item,) = items
    return item
