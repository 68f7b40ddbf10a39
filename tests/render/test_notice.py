"""A notice says what broke, healed or changed, within bounds, and acts on nobody."""

from __future__ import annotations

import json
import unicodedata

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tlscheck.core.diff import Change, Document, Side, Weight
from tlscheck.core.model import VERDICTS, Verdict
from tlscheck.io import store
from tlscheck.render.notice import (
    MOST_CHANGES,
    MOST_TEXT,
    MOST_WORDS,
    TELLING,
    Notice,
    chat,
    generic,
    identity,
    worth_telling,
)

SCHEMA = store.schema(Notice, "tlscheck-notice/1")
OLD = Side("0a", "2026-11-23T02:00:00Z", True)
NEW = Side("0b", "2026-11-24T02:00:00Z", True)
SUMMARY: dict[Verdict, int] = {"pass": 93, "fail": 2}
WEIGHTS: tuple[Weight, ...] = ("broke", "healed", "changed", "routine", "sight")


def document(*changes: Change, circumstances: tuple[str, ...] = (), new: Side = NEW) -> Document:
    return Document("tlscheck-diff/1", OLD, new, circumstances, changes)


def change(weight: Weight, says: str = "TLSv1.0 now offered", endpoint: str = "sts:a") -> Change:
    return Change(endpoint, "TLSv1.0", weight, says)


NASTY = st.text(
    st.one_of(st.characters(), st.sampled_from("<>&@`\\*_~!#|[]()\n\r\x1b\u202e\udcff:")),
    max_size=400,
)
CHANGES = st.builds(Change, NASTY, NASTY, st.sampled_from(WEIGHTS), NASTY)
SIDES = st.builds(Side, NASTY, NASTY, st.booleans())
DOCUMENTS = st.builds(
    Document,
    st.just("tlscheck-diff/1"),
    SIDES,
    SIDES,
    st.lists(NASTY, max_size=30).map(tuple),
    st.lists(CHANGES, max_size=80).map(tuple),
)


@pytest.mark.parametrize(
    ("weight", "worth"), list(zip(WEIGHTS, (True, True, True, False, False), strict=True))
)
def test_routine_and_sight_are_not_worth_a_notice(weight: Weight, worth: bool) -> None:
    assert worth_telling(document(change(weight))) is worth
    assert worth_telling(document(change("sight"), change(weight), change("routine"))) is worth


def test_no_change_and_other_circumstances_are_not_worth_a_notice() -> None:
    assert not worth_telling(document(circumstances=("tool: 0.1.0 -> 0.2.0",)))


def test_what_came_to_the_catalog_is_worth_one() -> None:
    assert worth_telling(document(Change("a", "catalog", "changed", "added to the catalog")))


def test_the_generic_notice_says_it_all() -> None:
    said = document(
        change("broke", "p/r: pass -> fail"),
        change("changed"),
        change("routine"),
        change("sight"),
        circumstances=("tool: 0.1.0 -> 0.2.0",),
    )
    told = json.loads(json.dumps(generic(said, SUMMARY)))
    jsonschema.validate(told, SCHEMA)
    assert told == {
        "schema": "tlscheck-notice/1",
        "id": identity(said),
        "old": {"run": "0a", "started": "2026-11-23T02:00:00Z", "complete": True},
        "new": {"run": "0b", "started": "2026-11-24T02:00:00Z", "complete": True},
        "circumstances": ["tool: 0.1.0 -> 0.2.0"],
        "summary": dict.fromkeys(VERDICTS, 0) | SUMMARY,
        "counts": {"broke": 1, "healed": 0, "changed": 1, "routine": 1, "sight": 1},
        "broke": [{"endpoint": "sts:a", "topic": "TLSv1.0", "says": "p/r: pass -> fail"}],
        "healed": [],
        "changed": [{"endpoint": "sts:a", "topic": "TLSv1.0", "says": "TLSv1.0 now offered"}],
        "more": 0,
    }


def test_the_chat_says_the_same_in_lines() -> None:
    said = document(change("broke", "p/r: pass -> fail"), change("changed"), change("sight"))
    assert chat(said, SUMMARY)["text"].splitlines() == [
        "tlscheck: 1 broke, 1 changed, 1 sight",
        "2026-11-23T02:00:00Z -&gt; 2026-11-24T02:00:00Z (run 0b)",
        "now: 2 fail, 93 pass",
        "```",
        "broke: sts:a: p/r: pass -&gt; fail",
        "changed: sts:a: TLSv1.0 now offered",
        "```",
    ]


def test_an_interrupted_run_is_said_to_be_one() -> None:
    assert "(run 0b, not complete)" in chat(document(new=Side("0b", "t", False)), SUMMARY)["text"]


def test_what_broke_is_listed_before_all_else_and_the_rest_is_counted() -> None:
    many = [change("changed", f"c{n}") for n in range(200)]
    broke = [change("broke", f"b{n}") for n in range(MOST_CHANGES - 1)]
    told = generic(document(*many, *broke), SUMMARY)
    assert len(told["broke"]) == MOST_CHANGES - 1 and len(told["changed"]) == 1
    assert told["more"] == 199 and told["counts"]["changed"] == 200
    text = chat(document(*many, change("broke", "worst")), SUMMARY, most=5)["text"]
    assert text.splitlines()[4] == "broke: sts:a: worst" and text.endswith("\nand 196 more")


@pytest.mark.parametrize("char", "x<")
def test_many_long_words_make_one_message_that_is_taken_whole(char: str) -> None:
    long = char * 1000
    many = [change("changed", long, endpoint=f"{n}" * 1000) for n in range(100)]
    text = chat(document(*many, new=Side(long, long, False)), SUMMARY)["text"]
    listed = text.count("changed: ")
    assert len(text) <= MOST_TEXT and listed > 0
    assert text.endswith(f"\n```\nand {100 - listed} more")


@pytest.mark.parametrize(
    "says",
    ["<!channel>", "<!here|here>", "<@U123>", "@channel", "@here @all", "<http://x|click>", "`",
     "```\n<!everyone>\n```", "&lt;!channel&gt;", "\n\n@everyone"],
)  # fmt: skip
def test_nothing_a_server_says_mentions_or_links(says: str) -> None:
    text = chat(document(change("changed", says, endpoint=says)), SUMMARY)["text"]
    body = text.replace("&amp;", "").replace("&lt;", "").replace("&gt;", "")
    assert not set("<>&@") & set(body)
    assert text.count("```") == 2 and text.count("`") == 6
    assert len(text.splitlines()) == 6


@given(DOCUMENTS, st.dictionaries(st.sampled_from(VERDICTS), st.integers(0, 10**6)))
def test_whatever_it_is_given_a_chat_stays_small_and_inert(
    said: Document, summary: dict[Verdict, int]
) -> None:
    text = chat(said, summary)["text"]
    assert len(text) <= MOST_TEXT
    body = text.replace("&amp;", "").replace("&lt;", "").replace("&gt;", "")
    assert not set("<>&@") & set(body) and text.count("`") in (0, 6)
    assert {unicodedata.category(c) for c in text if c != "\n"}.isdisjoint({"Cc", "Cf", "Cs"})
    listed = text.split("```")[1].strip("\n").count("\n") + 1 if "```" in text else 0
    left = int(text.rpartition("\nand ")[2].split(" ")[0]) if text.endswith(" more") else 0
    assert listed + left == sum(c.weight in TELLING for c in said.changes)


@given(DOCUMENTS, st.integers(0, 60))
def test_whatever_it_is_given_a_notice_stays_small_and_counts_what_it_left_out(
    said: Document, most: int
) -> None:
    told = generic(said, {}, most)
    listed = [c for weight in TELLING for c in told[weight]]
    telling = [c for c in said.changes if c.weight in TELLING]
    assert len(listed) == min(most, len(telling)) and len(listed) + told["more"] == len(telling)
    assert all(len(words) <= MOST_WORDS for c in listed for words in c.values())
    text = json.dumps(told, allow_nan=False)
    assert len(text) < 12 * MOST_WORDS * (3 * most + 20)
    text.encode("ascii")
    json.dumps(told, ensure_ascii=False).encode()  # no half of a surrogate pair in it


@given(DOCUMENTS)
def test_what_is_worth_telling_is_told(said: Document) -> None:
    told = generic(said, {})
    assert worth_telling(said) == any(told[weight] for weight in TELLING)
