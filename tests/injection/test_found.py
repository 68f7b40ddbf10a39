"""What hostile text has broken once: one test a fault."""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import certifi
import pytest

from tests.cli.program import TLSCHECK
from tests.injection import samples
from tests.injection.payloads import TOGETHER, file_names
from tests.injection.sinks import SOUND, Stream, ascii_json, complaint, plain, planted, run
from tests.injection.speakers import Authority, Site, Speakers
from tests.injection.stand_ins import no_lab, no_scan
from tlscheck.cli import app, scanning
from tlscheck.core.model import Endpoint, Target
from tlscheck.io import https, policies, refresh
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
    [
        *(f"a.example:{port}" for port in ("1" * 5000, "0" * 5000, 65536, 0, "²", "+1", "1_0")),
        *("fe80::1%\udc9b", "[fe80::1%x]:443", "[::1]:" + "9" * 99, "::1%\udcff", "a@::1%\udcff"),
        *(f"a@fe80::1%{ESCAPES}", f"[fe80::1%{ESCAPES}]", f"a@{ESCAPES}", f"{ESCAPES}:443"),
    ],
)
def test_an_endpoint_that_is_none_is_refused(endpoint: str) -> None:
    complaint(run("scan", "--endpoint", endpoint))


def test_where_the_lab_is_found_is_told_harmlessly(tmp_path: Path) -> None:
    for name in (*file_names(), "; rm -rf $HOME", "two words", "$(id)`id`"):
        with no_lab(tmp_path):
            said = run("lab", "--directory", str(tmp_path / name), terminal=True)
        assert said.status == 0 and said.err == b""
        # Nothing but words: it is there to be pasted into a shell.
        program, scan, *rest = shlex.split(plain(said.out).split("\n\n")[1])
        assert (program, scan, len(rest)) == ("tlscheck", "scan", 4)


def test_a_question_repeats_no_directory_raw(tmp_path: Path) -> None:
    place = tmp_path / ESCAPES
    place.mkdir()
    (place / "a.toml").write_text('[source]\nname = "me"\n')
    plan = refresh.Plan(f"1{ESCAPES}", (), (), (), (), 0)
    with (
        mock.patch.object(refresh, "plan", return_value=plan),
        mock.patch.object(refresh.Plan, "empty", False),
    ):
        said = run("endpoints", "refresh", "--directory", str(place), terminal=True, answer="n\n")
    assert said.status == 0 and "Write" in plain(said.err) and plain(said.out)


def test_a_directory_that_cannot_be_is_refused() -> None:
    complaint(run("endpoints", "refresh", "--directory", "x" * 5000))


def test_the_list_of_policies_is_harmless(tmp_path: Path) -> None:
    text = TOGETHER.encode("utf-8", "ignore").decode()
    (tmp_path / "mine-1.toml").write_text(samples.toml(samples.policy() | {"title": text}))
    with mock.patch.object(policies, "_DIRECTORY", tmp_path):
        assert plain(run("policies", "list", terminal=True).out).startswith("mine-1\n    \\x1b")


@pytest.mark.parametrize("size", ["²", "9" * 5000, "9" * 12, "-1", "0", ESCAPES, "1_0", "\udc9b"])
def test_progress_does_not_take_the_environment_at_its_word(
    size: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stderr = Stream("backslashreplace", terminal=True)
    monkeypatch.setattr(sys, "stderr", stderr)
    for name in ("COLUMNS", "LINES"):
        monkeypatch.setenv(name, size)
    monkeypatch.setenv("TERM", "xterm")
    progress = scanning._Progress(3)
    with progress:
        progress.update(1, 3, 40)
    said = stderr.bytes.getvalue()
    assert b"1/3" in said and len(said) < 5_000


def test_no_secrets_of_connections_are_written_where_the_environment_says(
    tmp_path: Path,
) -> None:
    secrets, bundle = tmp_path / "secrets", tmp_path / "ca.pem"
    for text in ("", certifi.contents()):
        bundle.write_text(text)
        with no_scan(), mock.patch.dict(os.environ, {"SSLKEYLOGFILE": str(secrets)}):
            said = run("scan", "--ca-bundle", str(bundle), "-o", str(tmp_path / "r.json"))
        assert said.status == (1 if text else 2)
        assert not secrets.exists()


@pytest.mark.parametrize("text", ["漢" * 500, "漢字 " * 200, "x" * 9999, ESCAPES * 99])
def test_a_policy_of_any_text_keeps_to_its_width(text: str, tmp_path: Path) -> None:
    path = tmp_path / "p.toml"
    strings = ("title", "publisher", "version", "supersedes")
    document = samples.policy() | dict.fromkeys(strings, text) | {"notes": [text]}
    document["rule"][0] |= {"text": text, "id": "x" * 999}
    document["rule"][0]["applies_to"] = {"services": [text, "b"]}
    document["rule"][2]["params"] = {"ipv4_only": [text, "b"]}
    path.write_text(samples.toml(document))
    said = run("policies", "show", str(path))
    assert said.status == 0, said.err
    plain(said.out, 96)
    said = run("explain", f"{path}/{'x' * 999}")
    assert said.status == 0, said.err
    plain(said.out, 96)


def asked(answer: bytes, tmp_path: Path, *, raw: bytes = b"", name: str = "a.example") -> Any:
    """The HTTPS check of a server that says `answer`, with `raw` among its certificate's names."""
    authority = Authority(tmp_path, "a root")
    speakers = Speakers("127.84")
    address = speakers.add(partial(Site, authority.context("a.example", "x", raw), answer))
    with speakers.serving() as port:
        row = Endpoint("e", "sts", "aws", "r", "standard", name, port, verify_name="a.example")
        target = Target(row, address, pinned=True)
        return asyncio.run(https.check(target, ca_bundle=authority.bundle, timeout=10))


@pytest.mark.parametrize(
    "location",
    [b"\x1b[31m", b"http://[", b"http://a:99999999/", b"\xff\xfe", b"http://xn--\x7f/", b"//", b""],
)
def test_where_a_redirect_leads_is_nobodys_fault(location: bytes, tmp_path: Path) -> None:
    found = asked(b"HTTP/1.1 302 Found\r\nLocation: %b\r\n\r\n" % location, tmp_path)
    assert (found["outcome"], found["status"]) == ("yes", 302)


def test_names_that_cannot_be_read_are_the_servers_fault(tmp_path: Path) -> None:
    found = asked(b"HTTP/1.1 204 x\r\n\r\n", tmp_path, raw=b"\x9b31m", name="other.example")
    assert found["outcome"] == "unknown"
    assert found["why"] == "certificate's names cannot be read, is it for a.example?"


def test_a_policy_without_an_end_is_not_read_to_its_end() -> None:
    for command in (("policies", "check"), ("policies", "show"), ("scan", "--policy")):
        assert "larger" in complaint(run(*command, "/dev/zero"))
