"""What hostile text has broken once: one test a fault."""

from __future__ import annotations

from unittest import mock

from tlscheck.render import clean


def test_a_word_of_any_length_is_broken_in_one_go() -> None:
    word = "x" * 50_000
    with mock.patch.object(clean, "wide", wraps=clean.wide) as looked:
        lines = clean.wrap(word, 80)
    assert "".join(lines) == word and {len(line) for line in lines} == {80}
    assert looked.call_count < 5 * len(word)
