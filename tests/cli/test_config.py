"""`tlscheck config` tells what holds and why, never a secret; and a scan does as configured."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.cli.program import report_in, run
from tlscheck.io.settings import SETTINGS

SECRET = "https://me:hunter2@hooks.example/services/T0/B0"


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No settings of whoever runs the tests."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("TLSCHECK_CONFIG", raising=False)
    for setting in SETTINGS:
        monkeypatch.delenv(setting.variable, raising=False)


def said(done: subprocess.CompletedProcess[str], status: int = 2) -> str:
    assert done.returncode == status and done.stdout == ""
    (line,) = done.stderr.splitlines()
    return line.removeprefix("tlscheck: ")


def test_it_shows_values_and_where_each_comes_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tlscheck.toml").write_text('regions = ["eu-*", "us-*"]\n[nightly]\nmetrics="m"\n')
    monkeypatch.setenv("TLSCHECK_DEPTH", "quick")
    done = run("config", cwd=tmp_path)
    assert done.returncode == 0 and done.stderr == ""
    rows = {tuple(line.split("  ")) for line in done.stdout.splitlines()}
    cells = {tuple(cell.strip() for cell in row if cell.strip()) for row in rows}
    assert ("regions", "eu-*, us-*", "tlscheck.toml:1") in cells
    assert ("nightly.metrics", "m", "tlscheck.toml:3") in cells
    assert ("depth", "quick", "TLSCHECK_DEPTH") in cells
    assert ("deadline", "60", "default") in cells
    assert done.stdout.endswith("\nRead: tlscheck.toml\n")
    document = json.loads(run("config", "--format", "json", cwd=tmp_path).stdout)
    assert document["file"] == "tlscheck.toml"
    assert [row["variable"] for row in document["settings"]] == [s.variable for s in SETTINGS]
    assert document["settings"][3] == {
        "name": "regions",
        "value": ["eu-*", "us-*"],
        "layer": "file",
        "origin": "tlscheck.toml:1",
        "variable": "TLSCHECK_REGIONS",
    }


def test_a_secret_is_only_said_to_be_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hook = tmp_path / "hook"
    hook.write_text(SECRET)
    hook.chmod(0o600)
    (tmp_path / "tlscheck.toml").write_text('[notify]\nwebhook_file = "hook"\n')
    monkeypatch.setenv("TLSCHECK_PING", SECRET)
    for form in ("table", "json"):
        done = run("config", "--format", form, cwd=tmp_path)
        assert done.returncode == 0 and done.stdout.count("(set)") == 2
        assert "hook, named by tlscheck.toml:2" in done.stdout
        for part in ("hunter2", "hooks.example", "T0"):
            assert part not in done.stdout + done.stderr
    hook.chmod(0o644)
    told = said(run("config", cwd=tmp_path))
    assert told == "tlscheck.toml:2: webhook_file: hook may be read by others; chmod 600 it"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('depht = "quick"', 'tlscheck.toml:1: unknown key "depht"; did you mean "depth"?'),
        ('\npolicies = ["aws-curent"]', 'tlscheck.toml:2: unknown policy "aws-curent"'),
        (f'[notify]\nwebhook = "{SECRET}"', "tlscheck.toml:2: webhook holds a URL with a user"),
        ('[notify]\nwebhook = "https://x/hunter2"', "tlscheck.toml:2: webhook is a secret"),
    ],
)
@pytest.mark.parametrize("command", ["config", "scan"])
def test_a_fault_is_one_line_with_its_place(
    tmp_path: Path, text: str, says: str, command: str
) -> None:
    (tmp_path / "tlscheck.toml").write_text(text)
    told = said(run(command, cwd=tmp_path))
    assert told.startswith(says)
    assert "hunter2" not in told


def test_a_wrong_variable_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TLSCHECK_POLICIES", "aws-curent")
    assert said(run("scan", cwd=tmp_path)).startswith("TLSCHECK_POLICIES: unknown policy")
    monkeypatch.setenv("TLSCHECK_DEADLINE", "0")
    assert said(run("scan", cwd=tmp_path)).startswith("TLSCHECK_DEADLINE: must be from 1 to 3600")


def test_the_file_of_defaults_is_a_file(tmp_path: Path) -> None:
    done = run("config", "--default-file", cwd=tmp_path)
    assert done.returncode == 0
    (tmp_path / "mine.toml").write_text(done.stdout)
    shown = run("config", "--config", "mine.toml", cwd=tmp_path).stdout.splitlines()
    assert shown[:-1] == run("config", cwd=tmp_path).stdout.splitlines()[:-1]
    assert shown[-1] == "Read: mine.toml"


# --- a scan does as configured; the address is one that nobody answers at

CLOSED = """\
[[endpoint]]
host = "localhost"
port = 9
addresses = ["127.0.0.1", "::1"]
region = "eu-west-1"
"""


def test_a_scan_takes_from_the_file_what_no_option_says(tmp_path: Path) -> None:
    (tmp_path / "endpoints.toml").write_text(CLOSED)
    (tmp_path / "tlscheck.toml").write_text(
        'endpoints = ["endpoints.toml"]\nregions = ["eu-*"]\npolicies = ["aws-current"]\n'
        'depth = "quick"\ndeadline = 5\nfamily = 4\nreports = "kept"\n'
    )
    assert run("scan", cwd=tmp_path).returncode == 3
    (tmp_path / "kept").rename(tmp_path / "reports")
    report = report_in(tmp_path)
    assert [one["id"] for one in report["policies"]] == ["aws-current"]
    assert report["run"]["depth"] == "quick"
    (endpoint,) = report["endpoints"]
    assert endpoint["host"] == "localhost"
    asked = {t["address"]: t["why"] for t in endpoint["targets"]}
    assert asked["::1"] == "not asked: only IPv4 was wanted"
    assert asked["127.0.0.1"] != asked["::1"]


@pytest.mark.parametrize(("flag", "other"), [("-4", "::1"), ("-6", "127.0.0.1")])
def test_an_option_goes_before_the_file(tmp_path: Path, flag: str, other: str) -> None:
    (tmp_path / "endpoints.toml").write_text(CLOSED)
    text = 'family = "none"\npolicies = ["aws-current"]\nreports = "kept"\nregions = ["zz"]\n'
    (tmp_path / "tlscheck.toml").write_text(text)
    arguments = ("--endpoints", "endpoints.toml", "--region", "eu-*", "--policy", "aws-iam-2020")
    done = run("scan", flag, *arguments, "--reports", "reports", cwd=tmp_path)
    assert done.returncode == 3, done.stderr
    assert not (tmp_path / "kept").exists()
    report = report_in(tmp_path)
    assert [one["id"] for one in report["policies"]] == ["aws-iam-2020"]
    (endpoint,) = report["endpoints"]
    unasked = [t["address"] for t in endpoint["targets"] if "not asked" in str(t["why"])]
    assert unasked == [other]


def test_a_single_endpoint_needs_no_configured_selection(tmp_path: Path) -> None:
    (tmp_path / "tlscheck.toml").write_text('endpoints = ["none.toml"]\nregions = ["eu-*"]\n')
    done = run("scan", "--endpoint", "localhost:9@127.0.0.1", "--depth", "quick", cwd=tmp_path)
    assert done.returncode == 3, done.stderr
    both = run("scan", "--endpoint", "localhost:9", "--region", "x", cwd=tmp_path)
    assert "leave out --endpoints and the filters" in said(both)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('\nservices = ["stss"]', 'no endpoint has the service "stss"; did you mean sts? '
         "(filters are also in tlscheck.toml:2)"),
        ('regions = ["eu-*"]\npartitions = ["aws-cn"]', "no endpoint passes all filters together; "
         "'tlscheck endpoints list' shows them (filters are also in tlscheck.toml:2, "
         "tlscheck.toml:1)"),
        ('depth = "quick"\nca_bundle = "no.pem"', "tlscheck.toml:2: no.pem: No such file"),
        ('endpoints = ["no.toml"]', "no.toml:1: cannot be read"),
    ],
)  # fmt: skip
def test_what_a_scan_cannot_use_is_named_with_its_place(
    tmp_path: Path, text: str, says: str
) -> None:
    (tmp_path / "tlscheck.toml").write_text(text)
    assert said(run("scan", cwd=tmp_path)).startswith(says)


def test_what_is_listed_is_what_a_scan_would_probe(tmp_path: Path) -> None:
    (tmp_path / "tlscheck.toml").write_text('regions = ["eu-west-1"]\nservices = ["sts"]\n')
    done = run("endpoints", "list", "--format", "hosts", cwd=tmp_path)
    assert done.stdout.split() == ["sts.eu-west-1.api.aws", "sts.eu-west-1.amazonaws.com"]
    other = run("endpoints", "list", "--format", "hosts", "--region", "eu-west-2", cwd=tmp_path)
    assert other.stdout.split() == ["sts.eu-west-2.api.aws", "sts.eu-west-2.amazonaws.com"]
    bare = run("endpoints", "list", "--config", "gone.toml", cwd=tmp_path)
    assert bare.returncode == 2 and "gone.toml" in bare.stderr
    (tmp_path / "tlscheck.toml").write_text('regions = ["nowhere-1"]\n')
    for command in (("endpoints", "list"), ("lab",)):
        none = run(*command, cwd=tmp_path)
        assert none.returncode == 2 and "nowhere-1" in none.stderr
