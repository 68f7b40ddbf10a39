"""The configuration: which layer holds, what is refused and where, and that secrets stay secret."""

from __future__ import annotations

import json
import os
import re
import tempfile
import traceback
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tlscheck.io.catalog import TIERS
from tlscheck.io.config import LAYERS, BadConfig, Effective, find, load
from tlscheck.io.secret import Secret
from tlscheck.io.settings import BY_NAME, DEFAULTS, SETTINGS, Settings, default_file

SECRET = "https://hooks.example/services/T0/B0/hunter2"


def write(directory: Path, text: str, mode: int = 0o600) -> Path:
    path = directory / "tlscheck.toml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    path.chmod(mode)
    return path


def secret_file(directory: Path, text: str = SECRET, mode: int = 0o600) -> Path:
    path = directory / "hook"
    path.write_text(f"{text}\n")
    path.chmod(mode)
    return path


def refusal(
    path: Path | None = None,
    environ: Mapping[str, str] | None = None,
    flags: Mapping[str, Any] | None = None,
) -> str:
    with pytest.raises(BadConfig) as caught:
        load(path, environ or {}, flags or {})
    said = str(caught.value)
    assert said.isprintable()
    assert "hunter2" not in said
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))
    return said.removeprefix(f"{path}:") if path else said


# --- which layer holds

WORDS = st.lists(st.from_regex(r"[a-z][a-z0-9-]{0,8}", fullmatch=True), min_size=1, max_size=3)
PATHS = st.from_regex(r"/[a-z]{1,8}(/[a-z]{1,8})?", fullmatch=True).map(Path)
URLS = st.from_regex(r"https://[a-z]{1,9}\.example/[a-z]{9}", fullmatch=True).map(Secret)
SECONDS = st.integers(10, 3000).map(lambda tenths: tenths / 10)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    **dict.fromkeys(
        ("services", "partitions", "regions", "variants", "policies"), WORDS.map(tuple)
    ),
    "tiers": st.lists(st.sampled_from(TIERS), min_size=1).map(tuple),
    "endpoints": st.lists(PATHS, min_size=1, max_size=2).map(tuple),
    "depth": st.sampled_from(["quick", "standard"]),
    "pace": st.sampled_from(["gentle", "normal", "fast"]),
    "deadline": SECONDS,
    "notify_timeout": SECONDS,
    "family": st.sampled_from([4, 6, None]),
    "nameserver": st.sampled_from(["192.0.2.53", "192.0.2.53:5353", "[2001:db8::53]:53"]),
    "keep_daily": st.integers(1, 999),
    "keep_weekly": st.integers(0, 999),
    "log_format": st.sampled_from(["text", "json"]),
    "webhook_format": st.sampled_from(["json", "slack"]),
    **dict.fromkeys(("webhook", "ping"), URLS),
    **dict.fromkeys(("reports", "ca_bundle", "metrics"), PATHS),
}
LAYERED = st.fixed_dictionaries(
    {},
    optional={
        name: st.dictionaries(st.sampled_from(LAYERS[1:]), values, min_size=1)
        for name, values in VALUES.items()
    },
)


def as_toml(value: Any) -> str:
    if value is None:
        return '"none"'
    if isinstance(value, tuple):
        return json.dumps([str(one) for one in value])
    return json.dumps(str(value) if isinstance(value, Path) else value)


def as_variable(value: Any) -> str:
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return "none" if value is None else str(value)


def loaded(directory: Path, chosen: dict[str, dict[str, Any]], by_file: bool) -> Effective:
    tables: dict[str, list[str]] = {"": []}
    environ: dict[str, str] = {}
    flags: dict[str, Any] = {}
    for name, layers in chosen.items():
        setting = BY_NAME[name]
        for layer, value in layers.items():
            key, shown = setting.where[-1], value
            ending = ""
            if setting.secret:
                ending = "_file" if by_file or layer == "flag" else ""
                shown = value.reveal()
                if ending:
                    shown = directory / f"{name}-{layer}"
                    shown.write_text(f"{value.reveal()}\n")
                    shown.chmod(0o600)
            if layer == "file":
                tables.setdefault(setting.table, []).append(f"{key}{ending} = {as_toml(shown)}")
            elif layer == "environment":
                environ[f"{setting.variable}{ending.upper()}"] = as_variable(shown)
            else:
                flags[f"{name}{ending}"] = "none" if shown is None else shown
    text = "\n".join(tables.pop(""))
    text += "".join(f"\n[{table}]\n" + "\n".join(lines) for table, lines in tables.items())
    return load(write(directory, text), environ, flags)


@given(LAYERED, st.booleans())
@settings(max_examples=150)
def test_the_highest_layer_that_gives_a_value_holds(
    chosen: dict[str, dict[str, Any]], by_file: bool
) -> None:
    with tempfile.TemporaryDirectory() as directory:
        found = loaded(Path(directory), chosen, by_file)
    for field in fields(Settings):
        layers = chosen.get(field.name, {})
        highest = max(layers, key=LAYERS.index, default="default")
        wanted = layers.get(highest, getattr(DEFAULTS, field.name))
        assert getattr(found.settings, field.name) == wanted
        assert found.origins[field.name].layer == highest


def test_every_setting_is_tried_and_has_a_place_of_its_own() -> None:
    names = {field.name for field in fields(Settings)}
    assert set(VALUES) == set(BY_NAME) == names
    assert len({setting.where for setting in SETTINGS}) == len(SETTINGS)


def test_an_origin_says_the_line_the_variable_or_the_option(tmp_path: Path) -> None:
    path = write(tmp_path, '# mine\ndepth = "quick"\n\n[nightly]\nkeep_daily = 7\n')
    found = load(path, {"TLSCHECK_KEEP_WEEKLY": "3"}, {"policies": ("aws-current",), "family": 6})
    origins = {name: str(origin) for name, origin in found.origins.items()}
    assert found.file == path
    assert origins["depth"] == f"{path}:2"
    assert origins["keep_daily"] == f"{path}:5"
    assert origins["keep_weekly"] == "TLSCHECK_KEEP_WEEKLY"
    assert origins["policies"] == "--policy"
    assert origins["family"] == "-4/-6"
    assert origins["reports"] == "default"


def test_an_empty_value_takes_back_what_a_lower_layer_gives(tmp_path: Path) -> None:
    text = 'services = ["sts"]\nca_bundle = "ca.pem"\n[notify]\nwebhook_file = "missing"\n'
    environ = {"TLSCHECK_SERVICES": "", "TLSCHECK_CA_BUNDLE": "", "TLSCHECK_WEBHOOK": ""}
    assert load(write(tmp_path, text), environ, {}).settings == DEFAULTS


def test_file_names_are_relative_to_the_file_that_gives_them(tmp_path: Path) -> None:
    text = 'reports = "out"\nca_bundle = "~/ca.pem"\npolicies = ["aws-current", "p/mine.toml"]\n'
    found = load(write(tmp_path, text), {"HOME": "/home/me", "TLSCHECK_METRICS": "m.prom"}, {})
    assert found.settings.reports == tmp_path / "out"
    assert found.settings.ca_bundle == Path("/home/me/ca.pem")
    assert found.settings.policies == ("aws-current", f"{tmp_path}/p/mine.toml")
    assert found.settings.metrics == Path("m.prom")


def test_a_policy_of_ones_own_stays_a_file_name() -> None:
    flags = {"policies": ("./mine", "mine.toml", "/x/mine", "~/mine", "aws-current")}
    found = load(None, {"HOME": "/home/me"}, flags).settings.policies
    assert found == ("./mine", "mine.toml", "/x/mine", "/home/me/mine", "aws-current")


# --- which file is read


def test_the_file_is_the_named_one_or_here_or_at_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, here = tmp_path / "home", tmp_path / "here"
    (home / ".config/tlscheck").mkdir(parents=True)
    here.mkdir()
    monkeypatch.chdir(here)
    environ = {"HOME": str(home)}
    assert find(None, {}) is None and find(None, environ) is None
    at_home = home / ".config/tlscheck/tlscheck.toml"
    at_home.touch()
    assert find(None, environ) == at_home
    Path("tlscheck.toml").touch()
    assert find(None, environ) == Path("tlscheck.toml")
    environ["TLSCHECK_CONFIG"] = "other.toml"
    assert find(None, environ) == Path("other.toml")
    assert find(Path("mine.toml"), environ) == Path("mine.toml")
    assert "No such file" in refusal(Path("mine.toml"))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_file_here_that_another_user_has_put_here_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    os.chown(write(tmp_path, ""), 12345, 12345)
    with pytest.raises(BadConfig, match="belongs to another user; remove it, or say --config"):
        find(None, {})


# --- what is refused

FAULTS = [
    ('polices = ["x"]', 1, 'unknown key "polices"; did you mean "policies"?'),
    ("[nightly]\nkeep_dayly = 3", 2, 'did you mean "keep_daily"?'),
    ("[nightli]\n", 1, 'did you mean "nightly"?'),
    ("[nightly]\n\ndepth = 'quick'", 3, "here; move it before the first [table]"),
    ("keep_daily = 3", 1, "here; move it into the table [nightly]"),
    ("notify_timeout = 3", 1, 'unknown key "notify_timeout"'),
    ('nightly = "x"', 1, "nightly must be a table; write [nightly]"),
    ('"hunter2 or so" = 1', 1, "unknown key (not repeated)"),
    ('depth = "hunter2"', 1, "depth must be quick, standard or deep"),
    ('depth = "quik"', 1, "did you mean quick?"),
    ("depth = 3", 1, "depth must be quick, standard or deep"),
    ("depth = ['quick']", 1, "depth must be quick, standard or deep"),
    ("deadline = '60'", 1, "deadline must be a number of seconds from 1 to 3600, without quotes"),
    ("deadline = 0", 1, "deadline must be from 1 to 3600 seconds"),
    ("deadline = nan", 1, "deadline must be from 1 to 3600 seconds"),
    ("deadline = true", 1, "deadline must be a number"),
    ("family = '4'", 1, 'family must be 4, 6 or "none"'),
    ("family = true", 1, 'family must be 4, 6 or "none"'),
    ("services = 'sts'", 1, 'services must be a list of strings; write ["..."]'),
    ("services = [\n 'sts',\n 3,\n]", 3, "services must be a string"),
    ("services = ['sts', '']", 1, "services must not be empty"),
    ("tiers = [\n 'documented',\n 'alais',\n]", 3, "did you mean alias?"),
    ("policies = []", 1, "policies must name at least one"),
    ("endpoints = [\n'a.toml', '\\u0000'.toml]", 2, "is not valid TOML"),
    ('endpoints = ["a.toml",\n "\\u0007.toml"]', 2, "endpoints holds a control character"),
    ("reports = ''", 1, "reports must not be empty"),
    ("reports = '~other/x'", 1, "reports begins with ~"),
    ("ca_bundle = 3", 1, "ca_bundle must be a string"),
    ("[nightly]\nkeep_daily = 0", 2, "keep_daily must be a whole number from 1 to"),
    ("[nightly]\nkeep_weekly = 1.5", 2, "keep_weekly must be a whole number from 0 to"),
    ("[nightly]\nlog_format = 'xml'", 2, "log_format must be text or json"),
    ("[notify]\nwebhook_format = 'slak'", 2, "did you mean slack?"),
    ("[notify]\ntimeout = 0.5", 2, "timeout must be from 1 to 300 seconds"),
    ("[notify]\nwebhook = 'ftp://x/hunter2'", 2, "webhook must be an http or https address"),
    ("[notify]\nwebhook = 'https://x:hunter2/'", 2, "webhook must be an http or https address"),
    ("[notify]\nping = 3", 2, "ping must be an http or https address"),
    (f"[notify]\nping_file = '{SECRET}'", 2, "ping_file must not be an address"),
    (f"endpoints = [\n'{SECRET}']", 2, "endpoints must not be an address"),
    (f"ca_bundle = '{SECRET}'", 1, "ca_bundle must not be an address"),
    ("[notify]\nping_file = 'hunter2'", 2, "ping_file: the file it names cannot be read (No such"),
    ("[notify]\nwebhook_file = '.'", 2, "webhook_file: the file it names cannot be read (Is a d"),
    ("[notify]\nwebhook_file = '/dev/null'", 2, "does not name a regular file"),
    ("[notify]\nwebhook = ''\nwebhook_file = ''", 3, "not be given together with webhook; remove"),
    ("[notify]\nwebhook_file = ''\nwebhook = ''", 3, "not be given together with webhook_file"),
    ("[notify]\nwebhook = 'https://me:hunter2@x/'", 2, "give webhook_file"),
    (
        "[notify]\nping = 'https://x/123456789012'",
        2,
        "ping holds an account number; give ping_file",
    ),
    ("reports = 'https://me:hunter2@x/'", 1, "reports holds a URL with a user name or password"),
    ("policies = ['x',\n'123456789012']", 2, "policies holds an account number"),
    ("[nightly]\nkeep_daily = 123456789012", 2, "keep_daily holds an account number"),
    ("\n123456789012 = 1", 2, "unknown key (not repeated)"),
    ("depth = 'quick'\n# AKIA" + "Z7" * 8, 2, "a comment holds an access key id"),
    ("depth = 'quick'\ndepth = 'quick'", 2, "is not valid TOML"),
    ("depth = hunter2", 1, "is not valid TOML: Invalid value"),
    ("x = " + "[" * 900 + "]" * 900, 1, ""),
]


@pytest.mark.parametrize(("text", "line", "said"), FAULTS)
def test_a_fault_is_one_line_with_its_place(
    tmp_path: Path, text: str, line: int, said: str
) -> None:
    found, _, what = refusal(write(tmp_path, text)).partition(": ")
    assert said in what
    assert int(found) == line


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "tlscheck.toml"
    path.write_bytes(b'depth = "quick"\n\xff')
    assert refusal(path).startswith("2: is not UTF-8")
    assert "Is a directory" in refusal(tmp_path)


@pytest.mark.parametrize(
    ("variable", "text", "said"),
    [
        ("TLSCHECK_DEPTH", "hunter2", "must be quick, standard or deep"),
        ("TLSCHECK_DEPTH", "", "must be quick, standard or deep"),
        ("TLSCHECK_DEADLINE", "soon", "must be a number of seconds"),
        ("TLSCHECK_DEADLINE", "1e9", "must be a number of seconds"),
        ("TLSCHECK_DEADLINE", "9999", "must be from 1 to 3600 seconds"),
        ("TLSCHECK_FAMILY", "5", "must be 4, 6"),
        ("TLSCHECK_KEEP_DAILY", "-1", "must be a whole number from 1"),
        ("TLSCHECK_KEEP_DAILY", "9" * 5000, "must be a whole number from 1"),
        ("TLSCHECK_SERVICES", "sts,,iam", "must not be empty"),
        ("TLSCHECK_TIERS", "documented,custm", "did you mean custom?"),
        ("TLSCHECK_POLICIES", "", "must name at least one"),
        ("TLSCHECK_REPORTS", "", "must not be empty"),
        ("TLSCHECK_METRICS", "~/x", "begins with ~"),
        ("TLSCHECK_WEBHOOK", "hunter2", "must be an http or https address"),
        ("TLSCHECK_WEBHOOK", "https://[hunter2/", "must be an http or https address"),
        ("TLSCHECK_PING", "http://x/ hunter2", "must be an http or https address"),
        ("TLSCHECK_PING_FILE", SECRET, "must not be an address"),
        ("TLSCHECK_REGIONS", SECRET, "must not be an address"),
        ("TLSCHECK_PING_FILE", "hunter2", "ping_file: the file it names cannot be read"),
        ("TLSCHECK_POLICES", "hunter2", "unknown variable; did you mean TLSCHECK_POLICIES?"),
        ("TLSCHECK_zz\x1b", "hunter2", "unknown variable; unset it"),
    ],
)
def test_a_wrong_variable_is_named(variable: str, text: str, said: str) -> None:
    what = refusal(environ={variable: text})
    assert said in what
    assert what.startswith("TLSCHECK_..." if "\x1b" in variable else f"{variable}: ")


def test_two_ways_of_one_secret_are_refused_in_the_environment_too(tmp_path: Path) -> None:
    file = str(secret_file(tmp_path))
    what = refusal(environ={"TLSCHECK_WEBHOOK": SECRET, "TLSCHECK_WEBHOOK_FILE": file})
    assert what.startswith("TLSCHECK_WEBHOOK_FILE: must not be given together with webhook;")


def test_an_option_is_checked_too() -> None:
    assert refusal(flags={"depth": "x"}).startswith("--depth: must be quick, standard or deep")
    assert "a command line; give --ping-file" in refusal(flags={"ping": SECRET})


def test_a_layer_is_checked_also_where_it_is_overridden(tmp_path: Path) -> None:
    path = write(tmp_path, "deadline = 0")
    assert refusal(path, {"TLSCHECK_DEADLINE": "9"}, {"deadline": 9.0}).startswith("1: deadline")


# --- secrets


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o644, 0o660, 0o777])
def test_what_others_may_read_or_write_gives_no_secret(tmp_path: Path, mode: int) -> None:
    hook = secret_file(tmp_path, mode=mode)
    path = write(tmp_path, f'[notify]\nwebhook_file = "{hook}"\n')
    assert refusal(path) == f"2: webhook_file: {hook} may be read by others; chmod 600 it"
    assert "may be read by others" in refusal(environ={"TLSCHECK_PING_FILE": str(hook)})
    path = write(tmp_path, f'[notify]\nping = "{SECRET}"\n', mode)
    said = "2: ping is a secret and others may read this file; chmod 600 it, or give ping_file"
    assert refusal(path) == said
    assert refusal(path, {"TLSCHECK_PING": ""}) == said


@pytest.mark.parametrize("mode", [0o600, 0o400])
def test_what_only_the_owner_may_read_gives_a_secret(tmp_path: Path, mode: int) -> None:
    hook = secret_file(tmp_path, mode=mode)
    path = write(tmp_path, f'[notify]\nwebhook_file = "hook"\nping = "{SECRET}"\n', mode)
    found = load(path, {}, {})
    assert found.settings.webhook == found.settings.ping == Secret(SECRET)
    assert str(found.origins["webhook"]) == f"{hook}, named by {path}:2"


@pytest.mark.parametrize("text", ["", "two\nlines hunter2", "hunter2", "\xe9hunter2", "x" * 9000])
def test_a_file_that_holds_no_address_gives_no_secret(tmp_path: Path, text: str) -> None:
    hook = secret_file(tmp_path, text)
    assert str(hook) in refusal(environ={"TLSCHECK_WEBHOOK_FILE": str(hook)})


def test_a_pipe_gives_no_secret_and_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    said = refusal(environ={"TLSCHECK_WEBHOOK_FILE": str(tmp_path / "pipe")})
    assert "does not name a regular file" in said


def test_a_password_in_an_address_may_come_from_a_file_or_the_environment(tmp_path: Path) -> None:
    address = "https://me:hunter2@hooks.example/123456789012"
    hook = secret_file(tmp_path, address)
    environ = {"TLSCHECK_WEBHOOK": address, "TLSCHECK_PING_FILE": str(hook)}
    found = load(None, environ, {}).settings
    assert found.webhook == found.ping == Secret(address)


def test_a_ping_address_may_end_in_twelve_digits(tmp_path: Path) -> None:
    address = "https://hc-ping.com/0b1f8a52-3c4d-4e5f-8a6b-123456789012"
    found = load(write(tmp_path, f'[notify]\nping = "{address}"\n'), {}, {})
    assert found.settings.ping == Secret(address)


def test_a_secret_shows_in_nothing_that_is_made_of_settings() -> None:
    found = load(None, {"TLSCHECK_WEBHOOK": SECRET, "TLSCHECK_PING": SECRET}, {})
    assert found.settings.webhook is not None and found.settings.webhook.reveal() == SECRET
    shown = [repr(found), str(found.settings), f"{found.settings.webhook}", str(asdict(found))]
    assert all("hunter2" not in text and "(set)" in text for text in shown)
    with pytest.raises(TypeError):
        json.dumps(asdict(found.settings)["webhook"])


@given(st.text(min_size=1), st.sampled_from(sorted(BY_NAME)), st.booleans())
@settings(max_examples=200)
def test_no_fault_repeats_a_value(text: str, name: str, in_file: bool) -> None:
    setting = BY_NAME[name]
    token = f"hunter2{text}hunter2".replace("\0", "")
    token = token.encode("utf-8", "replace").decode()
    with tempfile.TemporaryDirectory() as directory:
        path = None
        environ = {setting.variable: token}
        if in_file:
            line = f"{setting.where[-1]} = {json.dumps(token, ensure_ascii=True)}"
            line = re.sub(r"\\u(d[89ab]..)\\u(d[c-f]..)", "?", line).replace("\x7f", "?")
            path = write(Path(directory), f"[{setting.table}]\n{line}" if setting.table else line)
            environ = {}
        try:
            load(path, environ, {})
        except BadConfig as fault:
            assert "hunter2" not in "".join(traceback.format_exception(fault))
            assert str(fault).isprintable()


KEYS = [key for setting in SETTINGS for key in setting.where]
MARKS = [
    "\n",
    " = ",
    "\n",
    " = ",
    "[",
    "]",
    "{",
    "}",
    ",",
    ".",
    "#",
    '"',
    "'",
    '"""',
    "\0",
    "\u202e",
]
BITS = ['"https://x.example/"', '"/x/y"', '"none"', "nan", "true", "1979-05-27", "4", "7.5"]
PIECES = st.sampled_from([*KEYS, "webhook_file", "ping_file", *MARKS, *BITS])


@given(st.one_of(st.binary(), st.lists(PIECES).map("".join).map(str.encode)), st.booleans())
@settings(max_examples=300)
def test_any_bytes_are_settings_or_one_line(data: bytes, tight: bool) -> None:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "x.toml")
        path.write_bytes(data)
        path.chmod(0o600 if tight else 0o644)
        try:
            assert load(path, {}, {}).settings.reports
        except BadConfig as fault:
            line, _, what = str(fault).removeprefix(f"{path}:").partition(": ")
            assert what and str(fault).isprintable()
            assert 1 <= int(line) <= data.count(b"\n") + 1


# --- the file of defaults


def test_the_file_of_defaults_loads_as_the_defaults(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = load(write(tmp_path, default_file(), 0o644), {}, {})
    assert found.settings == DEFAULTS
    assert {origin.layer for origin in found.origins.values()} == {"default"}
    monkeypatch.chdir(tmp_path)
    write(tmp_path, re.sub(r"(?m)^#(?=\w)", "", default_file()), 0o644)
    found = load(find(None, {}), {}, {})
    assert found.settings == DEFAULTS
    assert {origin.layer for origin in found.origins.values()} == {"file"}


def test_the_file_of_defaults_names_every_setting_and_variable() -> None:
    text = default_file()
    assert all(len(line) <= 100 for line in text.splitlines())
    for setting in SETTINGS:
        assert re.search(rf"(?m)^#{setting.where[-1]}(_file)? = ", text)
        assert re.search(rf"(?m)^# {setting.variable}( or _FILE)?$", text)
