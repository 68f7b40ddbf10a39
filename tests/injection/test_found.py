"""What hostile text has broken once: one test a fault."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from unittest import mock

import pytest

from tests.cli.program import TLSCHECK
from tests.injection import samples
from tests.injection.sinks import SOUND, ascii_json, complaint, plain, planted, run
from tlscheck.cli import app
from tlscheck.render import clean


def test_a_word_of_any_length_is_broken_in_one_go() -> None:
    word = "x" * 50_000
    with mock.patch.object(clean, "wide", wraps=clean.wide) as looked:
        lines = clean.wrap(word, 80)
    assert "".join(lines) == word and {len(line) for line in lines} == {80}
    assert looked.call_count < 5 * len(word)


FEATURES = ("endpoints", 0, "targets", 0, "features")


@pytest.mark.parametrize("notes", [None, 7, True, "a note", {"a": 1}, [None, ["a"]]])
def test_notes_that_are_no_list_are_shown_as_they_are(notes: object, tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    path.write_text(json.dumps(planted(samples.report(), (*FEATURES, "notes"), notes)))
    said = run("show", str(path))
    assert said.status == 0, said.err
    assert plain(said.out, 80).count("a note") == (1 + (notes == "a note"))
    assert ascii_json(run("show", str(path), "--format", "json").out)


@pytest.mark.parametrize(
    ("value", "says"),
    [("NaN", "not JSON"), ("-Infinity", "not JSON"), ("1e999", "not JSON"),
     ("[" * 600 + "]" * 600, "nested"), ("[" * 99_000 + "]" * 99_000, "not JSON")],
)  # fmt: skip
def test_what_could_not_be_written_again_is_not_read(value: str, says: str, tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    text = json.dumps(planted(samples.report(), (*FEATURES, "alpn"), "@@"))
    path.write_text(text.replace('"@@"', value))
    for form in ("table", "json"):
        assert says in complaint(run("show", str(path), "--format", form))


ESCAPES = "\x1b[31m\x9b2J\u202e\r"


@pytest.mark.parametrize(
    "arguments",
    [("scan", ESCAPES), ("scan", f"--{ESCAPES}"), (ESCAPES,), ("show", "--format", ESCAPES, "x"),
     ("scan", "--deadline", ESCAPES), ("policies", ESCAPES), ("explain", "a", ESCAPES)],
)  # fmt: skip
def test_wrong_usage_is_one_line_and_repeats_nothing_raw(arguments: tuple[str, ...]) -> None:
    said = run(*arguments, terminal=True)
    assert "--help" in complaint(said) or "--deadline" in complaint(said)


def test_the_name_we_are_started_by_is_not_repeated() -> None:
    with mock.patch("click.core._detect_program_name", return_value=ESCAPES):
        for arguments in ((), ("--help",), ("scan", "--help"), ("--version",)):
            said = run(*arguments, terminal=True)
            assert said.status in SOUND and plain(said.out + said.err)


def test_a_message_is_bounded_whatever_it_quotes() -> None:
    for text in ("x" * 100_000, "漢" * 30_000, "\x1b" * 100_000):
        complaint(run("explain", text))
        complaint(run("scan", "--policy", text))


def test_a_bug_is_told_without_what_it_would_do_to_the_terminal() -> None:
    def bug(*_: object, **__: object) -> None:
        raise RuntimeError(f"first{ESCAPES}\nsecond")

    with mock.patch.object(app.app, "main", bug):
        said = run("scan", terminal=True)
    assert said.status == 70
    assert plain(said.err).endswith("please report it with the lines above\n")


def test_interrupted_at_a_question_is_a_signal_and_no_failed_rule() -> None:
    with mock.patch.object(app.app, "invoke", side_effect=KeyboardInterrupt):
        assert run("endpoints", "refresh").status == 130


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_a_locale_with_few_letters_is_no_bug(encoding: str, tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    place = ("endpoints", 0, "host")
    path.write_text(json.dumps(planted(samples.report(), place, "漢\x9b" * 30)))
    done = subprocess.run(
        [*TLSCHECK, "show", path], capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": encoding},
    )  # fmt: skip
    assert done.returncode == 0 and done.stderr == b""
    assert not set(done.stdout) & {*range(10), *range(11, 32), 127} and b"\\x9b" in done.stdout
    assert encoding == "utf-8" or done.stdout.isascii()


@pytest.mark.parametrize("form", ["table", "json"])
def test_who_stops_reading_is_no_failed_rule(form: str, tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    path.write_text(json.dumps(samples.report()))
    ours, theirs = os.pipe()
    os.close(ours)
    done = subprocess.run(
        [*TLSCHECK, "show", path, "--format", form], stdout=theirs, stderr=subprocess.PIPE
    )
    os.close(theirs)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize(
    "endpoint",
    ["a.example:" + "1" * 5000, "a.example:65536", "a.example:0", "a.example:" + "0" * 5000, "[::1]:" + "9" * 99,
     f"a.example@fe80::1%{ESCAPES}", "a.example@fe80::1%\udc9b", "fe80::1%\udc9b", "[fe80::1%x]:443",
     f"[fe80::1%{ESCAPES}]", f"a.example@{ESCAPES}", f"{ESCAPES}:443", "::1%\udcff"],
)  # fmt: skip
def test_an_endpoint_that_is_none_is_refused(endpoint: str) -> None:
    complaint(run("scan", "--endpoint", endpoint))
