"""Hostile arguments, names of files and variables never come back raw.

Parameters are found by walking the commands, not by a list: one that is new is covered.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from tests.injection import samples
from tests.injection.payloads import arguments, file_names
from tests.injection.sinks import (
    SOUND,
    Said,
    ascii_json,
    coloured,
    plain,
    run,
)
from tests.injection.stand_ins import no_lab, no_refresh, no_scan
from tests.injection.test_files import FILE, POLICY
from tests.injection.ways import REPORT
from tests.injection.ways import quick as quick  # a fixture for all of them
from tlscheck.cli.app import app


def commands(
    group: click.Group, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name), command


COMMANDS = dict(commands(app))
PARAMETERS = [(path, p) for path, command in COMMANDS.items() for p in command.params]
NEEDED = {("show",): ["r.json"], ("policies", "show"): ["aws-current"], ("explain",): ["pfs"],
          ("policies", "check"): ["./p.toml"], ("endpoints", "refresh"): ["--yes"]}  # fmt: skip


def invocations(path: tuple[str, ...], parameter: Any, value: str) -> Iterator[list[str]]:
    """The command with `value` for this parameter, and all else as it should be."""
    if isinstance(parameter, click.Argument):
        yield [*path, "--", value]
        return
    rest = NEEDED.get(path, [])
    for flag in parameter.opts:
        if parameter.is_flag:
            yield [*path, f"{flag}={value}", *rest]
        else:
            yield [*path, flag, value, *rest]


def strays(path: tuple[str, ...], value: str) -> Iterator[list[str]]:
    """The command with `value` where nothing is expected."""
    rest = NEEDED.get(path, [])
    yield [*path, *rest, "more", value]
    yield [*path, *rest, f"--{value}"]
    yield [*path, *rest, f"--help{value}"]
    yield [*path[:-1], value]
    yield [*path[:-1], f"-{value}"]


def harmless(said: Said, arguments_: list[str]) -> None:
    """Nothing raw on either stream, an exit status that is documented, no traceback."""
    assert said.status in SOUND, (arguments_, said.err[-1000:].decode())
    plain(said.err, 2_100)
    if said.out.startswith(b"{"):
        ascii_json(said.out)
    else:
        coloured(said.out, 40_000)


def prepare() -> None:
    Path("r.json").write_text(json.dumps(REPORT))
    Path("p.toml").write_text(samples.toml(POLICY))
    Path("e.toml").write_text(samples.toml(FILE))


@pytest.mark.parametrize(
    ("path", "parameter"), PARAMETERS, ids=lambda x: " ".join(x) if isinstance(x, tuple) else x.name
)
def test_no_argument_comes_back_raw(path: tuple[str, ...], parameter: Any, tmp_path: Path) -> None:
    """Every parameter of every command times every payload that an argument can hold."""
    prepare()
    with no_scan(), no_lab(tmp_path), no_refresh():
        for value in arguments():
            for arguments_ in invocations(path, parameter, value):
                harmless(run(*arguments_, terminal=True, COLUMNS="100"), arguments_)


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_no_stray_argument_comes_back_raw(path: tuple[str, ...], tmp_path: Path) -> None:
    prepare()
    with no_scan(), no_lab(tmp_path), no_refresh():
        for value in arguments():
            for arguments_ in strays(path, value):
                harmless(run(*arguments_, terminal=True, COLUMNS="100"), arguments_)


PATHS = [(path, p) for path, p in PARAMETERS if isinstance(p.type, click.Path)]
PATHS += [
    (path, p)
    for path, p in PARAMETERS
    if p.name in ("policy", "policies", "rule", "report", "names")
]
PATHS += [(("policies", "check"), COMMANDS["policies", "check"].params[0])]


@pytest.mark.parametrize(
    ("path", "parameter"), PATHS, ids=lambda x: " ".join(x) if isinstance(x, tuple) else x.name
)
@pytest.mark.parametrize("there", ["nothing", "good", "bad", "directory", "in a file"])
def test_no_file_name_comes_back_raw(
    path: tuple[str, ...], parameter: Any, there: str, tmp_path: Path
) -> None:
    """Every path that a command takes, called by every payload that a file can be called by."""
    prepare()
    good = {"show": "r.json", "evaluate": "r.json", "policies": "p.toml", "explain": "p.toml"}.get(
        path[0], "e.toml"
    )
    with no_scan(), no_lab(tmp_path), no_refresh():
        for number, name in enumerate(file_names()):
            place = Path(str(number)) / f"{name}.toml"
            place.parent.mkdir()
            if there == "directory":
                place.mkdir()
                (place / f"{name}.toml").write_bytes(Path("e.toml").read_bytes())
            elif there != "nothing":
                place.write_bytes(Path(good).read_bytes() if there == "good" else b"[x\x1b[31m")
            value = str(place / "x" if there == "in a file" else place)
            value += "/versions" if parameter.name == "rule" else ""
            (arguments_, *_) = invocations(path, parameter, value)
            harmless(run(*arguments_, terminal=True, COLUMNS="100"), arguments_)


@pytest.mark.parametrize("flag", ["--depth", "--as-of", "--policy", "--ca-bundle", "--endpoint"])
def test_a_secret_in_the_wrong_place_is_not_repeated(flag: str) -> None:
    key = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"  # as AWS's documents have it
    for value in ("https://me:hunter2@x", "me:hunter2@x", "AKIA" + "Z7" * 8, key, "1" * 12):
        said = run("scan", "--endpoint", "a.example:1@127.0.0.1", flag, value, "--ip", "none")
        assert said.status == 2 and said.err.count(b"\n") == 1
        for secret in (b"hunter2", b"AKIA", b"wJalr", b"1" * 12):
            assert secret not in said.err + said.out, said.err


# --- the environment ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["COLUMNS", "LINES", "TERM", "NO_COLOR", "FORCE_COLOR", "LANG"])
def test_no_variable_comes_back_raw_or_breaks_the_table(name: str) -> None:
    Path("r.json").write_text(json.dumps(REPORT))
    sizes = ["0", "-1", "1", "61", "1000000000000", "9" * 5000, "²", "1_0", "0x50", "1e3", "NaN"]
    for value in [*sizes, *arguments()]:
        said = run("show", "r.json", terminal=True, **{"COLUMNS": "100", name: value})
        assert said.status == 0 and said.err == b"", said.err
        plausible = name == "COLUMNS"
        coloured(said.out, 10_000 if plausible else 100)
        if name == "NO_COLOR" and value:
            plain(said.out)
