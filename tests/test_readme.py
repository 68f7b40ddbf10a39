"""What the README shows is what happens: its commands are run, its output is compared."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

from tlscheck.io import store

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
SHOWN = re.findall(r"```console\n\$ (.*?)\n(.*?)```", README, re.DOTALL)
PATH = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"


def pattern(shown: str) -> re.Pattern[str]:
    """A shown output as a pattern: a line `...` stands for lines, inside a line for anything."""
    lines = [
        r"(?:.*\n)*?" if line == "..." else re.escape(line).replace(r"\.\.\.", ".*") + r"\n"
        for line in shown.splitlines()
    ]
    return re.compile("".join(lines))


@pytest.mark.parametrize(("command", "output"), SHOWN, ids=[command for command, _ in SHOWN])
def test_a_shown_command_prints_what_is_shown(command: str, output: str, tmp_path: Path) -> None:
    done = subprocess.run(
        shlex.split(command),
        cwd=tmp_path, env={**os.environ, "PATH": PATH}, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.stderr == ""
    assert pattern(output).fullmatch(done.stdout), done.stdout
    assert done.returncode == (1 if "--lab" in command else 0)


def test_make_demo_needs_nothing_but_a_clone(tmp_path: Path) -> None:
    """As on a fresh machine: a clone, one command, a report of all endpoints."""
    clone = tmp_path / "clone"
    tracked = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    for name in tracked.rstrip("\0").split("\0"):
        if (ROOT / name).is_file():
            (clone / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, clone / name)
    done = subprocess.run(
        ["make", "demo"], cwd=clone, capture_output=True, text=True, timeout=500,
        env={k: v for k, v in os.environ.items() if k not in ("VIRTUAL_ENV", "PYTHONPATH")},
    )  # fmt: skip
    assert done.returncode == 2, done.stderr  # make's own status for a recipe that failed
    assert "Error 1" in done.stderr
    lines = done.stdout.splitlines()
    assert "95 endpoints: 6 fail, 4 inconclusive, 84 exceeds, 1 pass" in lines
    (named,) = re.findall(r"^Report: (\S+)$", done.stdout, re.MULTILINE)
    assert (clone / named).is_file()
    assert set(SETUP) <= {"make demo", ".venv/bin/tlscheck scan"}
    assert (clone / ".venv/bin/tlscheck").is_file()


def test_the_sample_report_is_one() -> None:
    sample = json.loads((ROOT / "reports" / "sample.json").read_text(encoding="utf-8"))
    jsonschema.validate(sample, store.schema())
    assert sample["findings"] and store.read(ROOT / "reports" / "sample.json")


SETUP = re.findall(r"^    (make demo|\.venv/bin/tlscheck scan)$", README, re.MULTILINE)
TABLE = dict(re.findall(r"^\| (\d+) \| (.*?) \|$", README, re.MULTILINE))


def test_both_commands_and_every_exit_status_are_in_it() -> None:
    assert SETUP == ["make demo", ".venv/bin/tlscheck scan"]
    assert set(TABLE) == {"0", "1", "2", "3", "4", "5", "70"}
