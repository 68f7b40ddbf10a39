"""A secret in a path, a flag or a variable is in nothing that is said, shown, told or kept.

Parameters are found by walking the commands, and variables by walking the settings.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.injection import samples
from tests.injection.sinks import Said, found, places, planted, run
from tests.injection.stand_ins import no_lab, no_refresh, no_scan
from tests.injection.test_arguments import PARAMETERS, PATHS, invocations, prepare, strays
from tests.injection.test_files import POLICY
from tests.injection.ways import REPORT, STRINGS
from tests.injection.ways import quick as quick  # a fixture for all of them
from tlscheck.io.secret import masked, secret_in
from tlscheck.io.settings import SETTINGS

ACCOUNT, KEY = "123456789012", "AKIA" + "Z7" * 8
SECRETS = {
    "account": ACCOUNT,
    "role": f"arn:aws:iam::{ACCOUNT}:role",
    "key id": KEY,
    "key": "wJalrXUtnFEMIaK7MDENGabPxRfiCYEXAMPLEKEY",
    "password": "me:hunter2@x",
    "address": "https://me:hunter2@x.example",
    "token": "https://hunter2@x.example",
}
PARTS = (b"123456789012", b"Z7Z7", b"hunter2", b"wJalr")


def silent(said: Said, *more: object) -> None:
    """Neither stream has any of it, and no file but those that were put there."""
    for part in PARTS:
        assert part not in said.out and part not in said.err, (more, said.out, said.err)
    assert said.status != 70, (more, said.err)


def kept_nowhere(directory: Path, *put: Path) -> None:
    for place, _, files in os.walk(directory):
        for file in map(Path(place).joinpath, files):
            data = b"" if file in put else file.read_bytes()
            assert not any(part in data for part in PARTS), file


each_parameter = pytest.mark.parametrize(
    ("path", "parameter"), PARAMETERS, ids=lambda x: " ".join(x) if isinstance(x, tuple) else x.name
)
each_path = pytest.mark.parametrize(
    ("path", "parameter"), PATHS, ids=lambda x: " ".join(x) if isinstance(x, tuple) else x.name
)
NAMES = ("account", "key id", "key", "password", "token")
each_secret = pytest.mark.parametrize("secret", [SECRETS[name] for name in NAMES], ids=NAMES)


def apart(path: tuple[str, ...], value: str) -> Iterator[list[str]]:
    """The command with `value` where nothing is expected, but not as the end of a word."""
    return (words for words in strays(path, value) if f"--help{value}" not in words)


@each_parameter
def test_a_secret_for_a_value_is_not_repeated(
    path: tuple[str, ...], parameter: Any, tmp_path: Path
) -> None:
    prepare()
    with no_scan(), no_lab(tmp_path), no_refresh():
        for secret in SECRETS.values():
            for value in (secret, f"{secret},b", "x" * 50 + f" {secret}"):
                for words in (*invocations(path, parameter, value), *apart(path, value)):
                    for more in ([], ["--json"] if path == ("nightly",) else []):
                        silent(run(*words, *more), words)


def named(parameter: Any, place: Path, good: str, there: str) -> str:
    """A name with a secret, and what is there by this name."""
    if there == "directory":
        place.mkdir(parents=True)
        (place / "x.toml").write_bytes(Path("e.toml").read_bytes())
    elif there != "nothing":
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(Path(good).read_bytes() if there == "good" else b"[x")
    return f"{place}/versions" if parameter.name == "rule" else str(place)


@each_path
@each_secret
@pytest.mark.parametrize("whole", [False, True], ids=["here", "whole"])
@pytest.mark.parametrize("there", ["nothing", "good", "bad", "directory"])
def test_a_secret_in_a_name_is_not_repeated(
    path: tuple[str, ...], parameter: Any, secret: str, there: str, whole: bool, tmp_path: Path
) -> None:
    prepare()
    good = {"show": "r.json", "evaluate": "r.json", "policies": "p.toml", "explain": "p.toml"}.get(
        path[0], "e.toml"
    )
    start = tmp_path if whole else Path()
    with no_scan(), no_lab(tmp_path), no_refresh():
        for number, place in enumerate((start / secret, start / "in" / f"{secret}.toml")):
            place = start / str(number) / place.relative_to(start)
            value = named(parameter, place, good, there)
            for words in invocations(path, parameter, value):
                for more in ([], ["--json"] if path == ("nightly",) else []):
                    silent(run(*words, *more, terminal=True, COLUMNS="200"), words)
    kept_nowhere(tmp_path)


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
@each_secret
def test_a_secret_in_a_variable_or_the_configuration_is_not_repeated(
    setting: Any, secret: str, tmp_path: Path
) -> None:
    prepare()
    name = setting.variable
    with no_scan(), no_lab(tmp_path), no_refresh():
        for variable in (name, f"{name}_FILE", f"{name}_{secret}", "TLSCHECK_CONFIG"):
            for words in (["config"], ["config", "--format", "json"], ["scan"], ["show", "r.json"]):
                for value in (secret, f"{tmp_path}/{secret}/x"):
                    silent(run(*words, **{variable: value}), variable)
        file = tmp_path / "c.toml"
        table, key = ("", *setting.where)[-2:]
        for value in (json.dumps(secret), json.dumps([f"{tmp_path}/{secret}/x.toml"]), secret):
            file.write_text(f"[{table}]\n{key} = {value}\n" if table else f"{key} = {value}\n")
            for words in (["config"], ["config", "--format", "json"], ["nightly", "--json"]):
                silent(run(*words, "--config", str(file)), file.read_text())


def everywhere(secret: str) -> dict[str, str]:
    """Where a run reads and writes, by names that all hold a secret."""
    return {
        "--config": f"{secret}/c.toml",
        "--reports": f"{secret}/reports",
        "--endpoints": f"{secret}/e.json",
        "--ca-bundle": f"{secret}/ca.pem",
        "--policy": f"./{secret}/p.toml",
        "--metrics": f"{secret}/m.prom",
    }


@pytest.fixture
def seeded(tmp_path: Path) -> Iterator[Any]:
    from tests.servers.papers import Papers

    papers = Papers(tmp_path / "papers")

    def make(secret: str) -> list[str]:
        names = everywhere(secret)
        for name in names.values():
            Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(names["--config"]).write_text('depth = "standard"\n')
        Path(names["--policy"]).write_text(samples.toml(POLICY))
        Path(names["--ca-bundle"]).write_bytes(papers.bundle.read_bytes())
        row = {"host": "a.example", "port": 9, "addresses": ["127.0.0.1"]}
        Path(names["--endpoints"]).write_text(json.dumps([row]))
        return [word for pair in names.items() for word in pair]

    yield make


def test_a_night_under_secret_names_says_and_keeps_nothing_of_them(
    seeded: Any, tmp_path: Path
) -> None:
    secret = "/".join(SECRETS[name] for name in NAMES if name != "token")
    words = seeded(secret)
    put = [tmp_path / name for name in words[1::2]]
    for more in ([], ["--json"], ["--log-format", "json"], ["--print-unit", "cron"],
                 ["--print-unit", "systemd"]):  # fmt: skip
        said = run("nightly", *words, *more)
        silent(said, more)
        assert said.status == (2 if "--print-unit" in more else 3), said
    scan = [word for word in words if word not in ("--metrics", f"{secret}/m.prom")]
    silent(run("scan", *scan))
    silent(run("scan", *scan, "-o", f"{secret}/out.json"))
    reports = ["--reports", f"{secret}/reports", "--config", f"{secret}/c.toml"]
    (last, *_) = sorted(Path(secret, "reports").glob("*.json"))
    for name in (str(last), last.stem.partition("-")[2]):
        for words in (["show", name], ["show", name, "--endpoint", "nobody"], ["evaluate", name],
                      ["diff", name, str(last)], ["diff", str(last), f"{last}x"]):  # fmt: skip
            silent(run(*words, *reports), words)
    for words in (["diff"], ["history"], ["history", "nobody"], ["show", "nothing"]):
        silent(run(*words, *reports), words)
    kept_nowhere(tmp_path, *put)


@pytest.mark.parametrize("secret", [s for s in SECRETS.values() if secret_in(s)])
def test_a_secret_in_a_policy_is_refused_and_not_repeated(secret: str) -> None:
    texts = [place for place in places(POLICY) if isinstance(found(POLICY, place), str)]
    for place in texts:
        Path("p.toml").write_text(samples.toml(planted(POLICY, place, f"x {secret}")))
        for words in (["policies", "show"], ["policies", "check"], ["scan", "--policy"]):
            with no_scan():
                silent(run(*words, "./p.toml"), place)
        silent(run("explain", "./p.toml/versions"), place)


@pytest.mark.parametrize("place", STRINGS, ids=lambda place: ".".join(map(str, place)))
def test_a_secret_in_a_report_of_others_is_not_repeated(place: tuple[Any, ...]) -> None:
    """A serial number is no secret, and may have the length of one."""
    if place[-1] == "serial":
        return
    seeded = planted(REPORT, place, " ".join(SECRETS.values()))
    Path("reports").mkdir()
    for night, document in enumerate((REPORT, seeded), 1):
        name = f"20261{night:03}T020000Z-{night:08x}.json"
        Path("reports", name).write_text(json.dumps(document))
    new, reports = f"reports/{name}", ["--reports", "reports"]
    for words in (["show", new], ["show", new, "--format", "json"], ["evaluate", new],
                  ["show", new, "--endpoint", REPORT["endpoints"][0]["id"]], ["diff"],
                  ["evaluate", new, "--format", "json"], ["diff", "--format", "json"],
                  ["history"], ["history", "--format", "json"]):  # fmt: skip
        silent(run(*words, *reports), words)


def test_a_bug_says_nothing_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    from tlscheck.io import store

    def fail(_: Path, name: str) -> None:
        raise RuntimeError(f"{name} at {SECRETS['password']}")

    monkeypatch.setattr(store, "find", fail)
    said = run("show", KEY)
    assert said.status == 70 and b"RuntimeError: *** at ***@x" in said.err
    assert not any(part in said.err for part in PARTS)


def test_a_name_without_a_secret_is_shown_as_it_is(tmp_path: Path) -> None:
    """Among them what has the length of a key or an account number."""
    prepare()
    at = f"/{'h' * 6}/Alice2/Tlscheck/Reports/"
    for name in ("202611260312", "20261126T020000Z-1b56f0e1.json", "1b56f0e1", "deadbeef0123",
                 "9" * 11, "9" * 13, "a.b@c", "Q" * 40, "e" * 40, at + "x" * (40 - len(at)),
                 "/home/alice/reports1234/20261126T020000Z-1b56f0e1.json"):  # fmt: skip
        said = run("show", f"./{name}" if name[0] != "/" else name)
        assert f"{name}: No such file".encode() in said.err, said.err


@given(
    st.datetimes(datetime(2000, 1, 1), datetime(2099, 12, 31)),
    st.sampled_from(["iam:", "sts:", "sns:eu-west-1", "ec2:us-gov-west-1"]),
    st.sampled_from(
        [":role/Admin", ":root", ":1topic", ":123456-x", ": ", "", " ", "/x", '"', "."]
    ),
)
def test_an_account_in_an_arn_is_one_whatever_it_reads_as(
    minute: datetime, service: str, rest: str
) -> None:
    """A number that might be a minute is none between the colons of an ARN."""
    account = f"{minute:%Y%m%d%H%M}"
    text = f"x arn:aws:{service}:{account}{rest}"
    if service.endswith(":") or rest.startswith(":"):
        assert account not in masked(text) and secret_in(text) == "an account number"
        assert masked(text) == text.replace(account, "***")
    for honest in (account, f"at {account}: no", f"/reports/{account}.json", f"{account}:1",
                   f"custom:{account}:8443", f"{account}T0200Z", f"max-age={account}"):  # fmt: skip
        assert masked(honest) == honest and secret_in(honest) is None


def test_the_digest_of_a_key_is_no_secret() -> None:
    """A pin with its one slash near the end has 40 letters and figures before it."""
    digests = [hashlib.sha256(b"%d" % n).digest() for n in range(20_000)]
    pins = [base64.b64encode(digest).decode() for digest in digests]
    assert any(pin.index("/") == 40 for pin in pins if pin.count("/") == 1)
    for text in (*pins, *(digest.hex() for digest in digests)):
        assert masked(text) == text
    assert masked(pins[0][:40]) == "***" == masked(f"={pins[0][:40]}")[1:]
