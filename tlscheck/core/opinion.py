"""Two opinions of one target: where ours and sslyze's agree, where not, and who is right. Pure.

Only what both have asked is compared: what sslyze's OpenSSL cannot offer, what timed out on it and
what we could not learn is not comparable.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tlscheck.core import registry
from tlscheck.core.eliminate import (
    Answer,
    Refused,
)
from tlscheck.core.model import Protocol
from tlscheck.core.registry import VERSION_BY_LABEL, Version
from tlscheck.core.reply import Hello, Picked, Ssl2Picked

MOST_CONFIRMED = 12  # disagreements that are asked once more, of one target


@dataclass(frozen=True, slots=True)
class Disagreement:
    """A suite of a version that one has found accepted and the other refused."""

    version: str
    suite: str
    ours: bool


def compare(
    protocols: Mapping[str, Protocol], versions: Mapping[str, Any]
) -> tuple[dict[str, dict[str, Any]], tuple[Disagreement, ...]]:
    """By version `answer` (agree, disagree, not comparable), `why`, and lists of suites:
    `only_ours`, `only_theirs`, `not_compared`; and all disagreements."""
    compared: dict[str, dict[str, Any]] = {}
    disputed: list[Disagreement] = []
    for label, ours in protocols.items():
        theirs = versions.get(label)
        said, found = _one(label, ours, theirs if isinstance(theirs, dict) else {})
        compared[label] = said
        disputed += found
    return compared, tuple(disputed)


def _names(theirs: Mapping[str, Any], part: str) -> set[str]:
    held = theirs.get(part)
    return {each for each in held if isinstance(each, str)} if isinstance(held, list) else set()


def _one(
    label: str, ours: Protocol, theirs: Mapping[str, Any]
) -> tuple[dict[str, Any], list[Disagreement]]:
    accepted, refused = _names(theirs, "accepted"), _names(theirs, "refused")
    if not accepted | refused:
        return _said("not comparable", f"sslyze: {theirs.get('why') or 'no answer'}"), []
    if ours.offered == "unknown":
        return _said("not comparable", f"unknown to us: {ours.why}"), []
    if (
        label == "TLSv1.3"
        and ours.groups
        and not accepted
        and not registry.OPENSSL_CURVES & set(ours.groups)
    ):
        return _said("not comparable", "it has no group that sslyze's OpenSSL offers"), []
    mine = set(ours.suites)
    whole = ours.offered == "no" or ours.why is None
    only_theirs = sorted(accepted - mine) if whole else []
    only_ours = sorted(mine & refused)
    left_out = sorted(mine - accepted - refused) + sorted(() if whole else accepted - mine)
    disputed = [Disagreement(label, name, True) for name in only_ours]
    disputed += [Disagreement(label, name, False) for name in only_theirs]
    compared = accepted | refused if whole else (accepted | refused) & mine
    answer = "disagree" if disputed else "agree" if compared else "not comparable"
    left = f"{len(left_out)} suites are" if len(left_out) > 1 else "1 suite is"
    why = f"{left} not comparable" if left_out else None
    return _said(answer, why, only_ours, only_theirs, left_out), disputed


def _said(
    answer: str,
    why: str | None,
    only_ours: Sequence[str] = (),
    only_theirs: Sequence[str] = (),
    not_compared: Sequence[str] = (),
) -> dict[str, Any]:
    return {
        "answer": answer,
        "why": why,
        "only_ours": list(only_ours),
        "only_theirs": list(only_theirs),
        "not_compared": list(not_compared),
    }


def questions(disputed: Disagreement) -> tuple[Hello, ...]:
    """The hellos that ask for this suite alone; none where it has no code point. DHE is asked for
    twice: some servers do it with the groups of RFC 7919 alone, some only where none is offered."""
    version = VERSION_BY_LABEL[disputed.version]
    codes = {registry.suite_name(code): code for code in registry.suites_of(version)}
    if disputed.suite not in codes:
        return ()
    if version <= Version.SSLv3:
        ways: list[tuple[int, ...]] = [()]
    elif version is Version.TLSv1_3:
        ways = [registry.groups_of(version)]
    else:
        ways = [registry.curves_of(version)]
        if registry.suites()[codes[disputed.suite]].key_exchange == "DHE":
            ways.append(registry.groups_of(version))
    return tuple(Hello(version, (codes[disputed.suite],), way) for way in ways)


def settled(told: Sequence[tuple[Hello, Answer]]) -> bool | None:
    """Whether the suite of `questions` is offered after all, in one of these ways; `None` where
    that is still open."""
    found = {_settled(hello, answer) for hello, answer in told}
    return True if True in found else None if None in found or not found else False


def _settled(hello: Hello, answer: Answer) -> bool | None:
    if isinstance(answer, Ssl2Picked):
        return hello.suites[0] in answer.suites
    if isinstance(answer, Picked):
        if answer.version != hello.version:
            return False
        return answer.whole if answer.suite == hello.suites[0] else None
    return False if isinstance(answer, Refused) else None
