"""The crontab line and the units start exactly the command they were made for."""

from __future__ import annotations

import getpass
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tlscheck.render.unit import MOST_CRON, Units, cron, minute, systemd

SHOW = [sys.executable, "-c", "import json, sys; print(json.dumps(sys.argv[1:]))"]
ODD = [
    "/var/lib/tls check", "50%", "%%", "%n", "it's", 'a "b"', "$HOME", "${HOME}", "$$", "`id`",
    "$(id)", "a;b", ";", "", "*", "~", "#x", "é ☃", "&", "|", ">x", "!", "-v", "{user}", "'",
    '"', "' ; \" %", "a=b", "--reports=/x y", "@", ":",
]  # fmt: skip
SERVE = ["/var/lib/tlscheck"]


# --- cron


def vixie(line: str) -> str:
    """The command that Vixie's cron hands to sh: after % comes stdin, and a backslash hides one."""
    made, escaped = "", False
    for char in line:
        if escaped:
            made = made[:-1] + char if char in "%\\" else made + char
            escaped = False
            continue
        if char == "%":
            return made
        escaped = char == "\\"
        made += char
    return made


def isc(line: str) -> str:
    """The same as ISC's cron and cronie do it: nothing but \\% is changed."""
    made, escaped = "", False
    for char in line:
        if escaped and char != "%":
            made += "\\"
        elif not escaped and char == "%":
            return made
        escaped = char == "\\"
        made += "" if escaped else char
    return made


def started(line: str, cron_: Any) -> list[str]:
    """What a crontab line starts: five fields, then the command, through sh."""
    assert line.endswith("\n") and line.count("\n") == 1
    command = cron_(line.rstrip("\n").split(" ", 5)[5])
    done = subprocess.run(
        ["/bin/sh", "-c", command], env={"HOME": "/h", "PATH": "/usr/bin:/bin"},
        capture_output=True, check=True, cwd="/",
    )  # fmt: skip
    return list(json.loads(done.stdout))


@pytest.mark.parametrize("cron_", [vixie, isc])
def test_cron_starts_the_command_as_it_was_given(cron_: Any) -> None:
    assert started(cron([*SHOW, *ODD], host="a"), cron_) == ODD


WORDS = st.text(
    st.characters(exclude_characters="\\", exclude_categories=["Cc", "Cs"])
    | st.sampled_from("%'\"$` ;&*"),
    max_size=20,
)


@settings(max_examples=20)
@given(st.lists(WORDS, max_size=5))
def test_whatever_the_words_sh_gets_them_back(words: list[str]) -> None:
    for cron_ in (vixie, isc):
        assert started(cron([*SHOW, *words], host="a"), cron_) == words


def test_a_crontab_line_is_ready() -> None:
    line = cron(["/opt/tls/tlscheck", "nightly", "--reports", "/var/lib/tlscheck"], host="h1")
    assert line == f"{minute('h1')} 4 * * * /opt/tls/tlscheck nightly --reports /var/lib/tlscheck\n"
    assert cron(["/x"], host="h1", hour=23, user="tlscheck").endswith(" 23 * * * tlscheck /x\n")


def test_machines_do_not_all_start_at_once_and_each_keeps_its_minute() -> None:
    hosts = [f"host-{n}.example.com" for n in range(600)]
    minutes = [minute(host) for host in hosts]
    assert minutes == [minute(host) for host in hosts]
    assert set(minutes) == set(range(60)) and max(map(minutes.count, range(60))) < 30
    assert minute("host.example.com") == 51  # the same on every machine and with every Python
    assert 0 <= minute("") < 60 and 0 <= minute("\udcff") < 60


@pytest.mark.parametrize(
    ("command", "more", "why"),
    [
        ([], {}, "no command"),
        (["tlscheck"], {}, "not an absolute path"),
        (["./tlscheck"], {}, "not an absolute path"),
        ([""], {}, "not an absolute path"),
        (["/opt/../tlscheck"], {}, r"goes up with \.\."),
        (["/x", "a\nb"], {}, "control character"),
        (["/x", "a\x00b"], {}, "control character"),
        (["/x", "\udcff"], {}, "not UTF-8"),
        (["/x", "a\\b"], {}, "backslash"),
        (["/x", "y" * MOST_CRON], {}, "longer than"),
        (["/x"], {"hour": 24}, "hour 24"),
        (["/x"], {"user": "a b"}, "user's name"),
        (["/x"], {"user": "root\n* * * * * root id"}, "user's name"),
    ],
)
def test_what_cron_cannot_run_is_refused(
    command: list[str], more: dict[str, Any], why: str
) -> None:
    with pytest.raises(ValueError, match=why):
        cron(command, host="a", **more)


# --- systemd, by a reading of its manual that is not the writer's


def settings_of(text: str, name: str) -> list[str]:
    return [line.partition("=")[2] for line in text.splitlines() if line.startswith(f"{name}=")]


def words(text: str, escapes: str = "\\\"'") -> list[str]:
    """The words of a setting (systemd.syntax(7), Quoting)."""
    found: list[str] = []
    at = 0
    while at < len(text):
        if text[at] == " ":
            at += 1
            continue
        end = text[at] if text[at] in "\"'" else " "
        at += end != " "
        word = ""
        while at < len(text) and text[at] != end:
            if text[at] == "\\":
                at += 1
                assert text[at] in escapes, "no other escape is needed"
            word += text[at]
            at += 1
        assert end == " " or text[at : at + 2] in (end, f"{end} ")
        at += end != " "
        found.append(word)
    return found


def without_specifiers(word: str) -> str:
    assert "%" not in word.replace("%%", "")
    return word.replace("%%", "%")


def without_variables(word: str) -> str:
    assert "$" not in word.replace("$$", "")
    return word.replace("$$", "$")


def command_of(units: Units) -> list[str]:
    [line] = settings_of(units.service, "ExecStart")
    assert ";" not in line.split(" "), "a lone semicolon ends a command"
    program, *rest = [without_specifiers(word) for word in words(line)]
    return [program, *map(without_variables, rest)]


ANY = st.text(
    st.characters(exclude_categories=["Cc", "Cs"]) | st.sampled_from("\\%'\"$ ;{}"), max_size=20
)


@given(st.lists(ANY), ANY, st.lists(ANY, min_size=1))
def test_whatever_the_words_a_unit_has_them(
    rest: list[str], program: str, below: list[str]
) -> None:
    command, writes = [f"/opt/x{program}", *rest], [f"/srv/x{path}" for path in below]
    try:
        units = systemd(command, writes=writes)
    except ValueError as refused:
        assert "/tmp" in str(refused) or ".." in str(refused)
        return
    assert command_of(units) == command
    [line] = settings_of(units.service, "ReadWritePaths")
    assert [without_specifiers(word) for word in words(line)] == writes
    assert units.service.count("\n") == systemd(["/x"], writes=["/y"]).service.count("\n")


@pytest.mark.parametrize(
    ("paths", "home"),
    [
        ({}, "tmpfs"),
        ({"command": ["/home/me/.venv/bin/tlscheck", "nightly"]}, "read-only"),
        ({"command": ["/x", "--config", "/root/tlscheck.toml"]}, "read-only"),
        ({"command": ["/x", "--config=/home/me/tlscheck.toml"]}, "read-only"),
        ({"writes": ["/home/me/reports"]}, "read-only"),
        ({"reads": ["/run/user/1000/x"]}, "read-only"),
        ({"writes": ["/homestead/reports"]}, "tmpfs"),
    ],
)
def test_the_homes_are_hidden_unless_something_of_ours_is_in_one(
    paths: dict[str, Any], home: str
) -> None:
    units = systemd(**{"command": ["/x"], "writes": SERVE} | paths)
    assert settings_of(units.service, "ProtectHome") == [home]


@pytest.mark.parametrize(
    ("command", "more", "why"),
    [
        ([], {}, "no command"),
        (["tlscheck"], {}, "not an absolute path"),
        (["/x", "a\nExecStartPre=/bin/id"], {}, "control character"),
        (["/x"], {"writes": []}, "write somewhere"),
        (["/x"], {"writes": ["reports"]}, "not an absolute path"),
        (["/x"], {"writes": ["-/reports"]}, "not an absolute path"),
        (["/x"], {"writes": ["/a\nUser=root"]}, "control character"),
        (["/x"], {"writes": ["/tmp/reports"]}, "/tmp and /var/tmp of its own"),
        (["/var/tmp/x"], {}, "/tmp and /var/tmp of its own"),
        (["/x", "--reports=/tmp/x"], {}, "/tmp and /var/tmp of its own"),
        (["/x"], {"reads": ["x"]}, "not an absolute path"),
        (["/x"], {"memory": "1G\nUser=root"}, "amount of memory"),
        (["/x"], {"user": "me;"}, "user's name"),
        (["/x"], {"hour": -1}, "hour -1"),
    ],
)
def test_what_systemd_cannot_run_is_refused(
    command: list[str], more: dict[str, Any], why: str
) -> None:
    with pytest.raises(ValueError, match=why):
        systemd(command, **{"writes": SERVE} | more)


def test_a_missed_night_is_made_up_for_and_not_by_all_at_once() -> None:
    timer = systemd(["/x"], writes=SERVE, hour=3).timer
    assert settings_of(timer, "OnCalendar") == ["*-*-* 03:00:00 UTC"]
    assert settings_of(timer, "Persistent") == ["true"]
    assert settings_of(timer, "RandomizedDelaySec") == ["1h"]


# --- systemd itself

needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed"
)
MANAGER = Path("/usr/lib/systemd/systemd")
HARD_COMMAND = ["/usr/bin/env", *[word for word in ODD if word], "", 'back\\slash "\\"', "\\n"]
HARD_WRITES = ["/srv/50% of 'it'", '/srv/"q" $HOME \\n {user}', "/srv/é"]


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory that another user can read, too."""
    with tempfile.TemporaryDirectory() as made:
        os.chmod(made, 0o755)
        yield Path(made)


def placed(place: Path, units: Units) -> list[str]:
    for end, text in (("service", units.service), ("timer", units.timer)):
        (place / f"tlscheck.{end}").write_text(text)
    return [str(place / "tlscheck.service"), str(place / "tlscheck.timer")]


@needs_systemd
@pytest.mark.parametrize("user", [None, getpass.getuser()])
def test_systemd_has_nothing_to_say_against_the_units(place: Path, user: str | None) -> None:
    units = systemd(HARD_COMMAND, writes=HARD_WRITES, user=user)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *placed(place, units)],
        capture_output=True, text=True,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@needs_systemd
def test_systemd_finds_the_service_well_guarded(place: Path) -> None:
    files = placed(place, systemd(HARD_COMMAND, writes=HARD_WRITES, user="tlscheck"))
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=30", "--no-pager", files[0]],
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-500:]


@needs_systemd
@pytest.mark.skipif(not MANAGER.exists(), reason="no service manager to ask")
def test_systemd_reads_the_command_and_paths_that_were_meant(place: Path) -> None:
    placed(place, systemd(HARD_COMMAND, writes=HARD_WRITES))
    for target in ("basic", "shutdown"):  # what every service rests on: none but these are read
        (place / f"{target}.target").write_text("[Unit]\n")
    runtime = place / "run"
    runtime.mkdir()
    other: dict[str, Any] = {}
    if os.geteuid() == 0:  # which it refuses to be a user's manager for
        shutil.chown(runtime, "nobody")
        other = {"user": "nobody", "extra_groups": []}
    done = subprocess.run(
        [str(MANAGER), "--test", "--user", "--unit=tlscheck.service"], cwd="/", timeout=60,
        env={"XDG_RUNTIME_DIR": str(runtime), "SYSTEMD_UNIT_PATH": str(place), "HOME": "/",
             "SYSTEMD_LOG_TARGET": "console"},
        capture_output=True, text=True, **other,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    lines = [line.strip() for line in done.stdout.splitlines()]
    [line] = [one for one in lines if one.startswith("Command Line: ")]
    program, *rest = words(line.removeprefix("Command Line: "), '"\\`$')
    assert [program, *map(without_variables, rest)] == HARD_COMMAND
    assert f"ReadWritePaths: {' '.join(HARD_WRITES)}" in lines
