"""Where results go and files come from: closed, full, given up by its reader, or a pipe."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.cli.program import TLSCHECK, run

SAMPLE = str(Path(__file__).resolve().parents[2] / "reports" / "sample.json")
PRINTING = [
    ("show", SAMPLE),
    ("show", SAMPLE, "--endpoint", "sts:aws:us-west-1:standard"),
    ("evaluate", SAMPLE),
    ("diff", SAMPLE, SAMPLE),
    ("config",),
    ("--help",),
    ("scan", "--help"),
    ("--version",),
]


def shell(redirection: str, cwd: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run(*arguments, cwd=cwd, before=("sh", "-c", f'exec "$@" {redirection}', "sh"))


@pytest.mark.parametrize("arguments", PRINTING, ids=" ".join)
@pytest.mark.parametrize(
    ("redirection", "why"), [(">&-", "it is closed"), (">/dev/full", "No space left on device")]
)
def test_a_stdout_that_takes_nothing_is_one_line_and_5(
    redirection: str, why: str, arguments: tuple[str, ...], tmp_path: Path
) -> None:
    done = shell(redirection, tmp_path, *arguments)
    assert done.stderr == f"tlscheck: cannot write to standard output: {why}\n"
    assert done.returncode == 5


@pytest.mark.parametrize("arguments", [("--help",), ("show", SAMPLE)], ids=" ".join)
def test_a_reader_who_has_gone_changes_nothing(arguments: tuple[str, ...], tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run(
            [*TLSCHECK, *arguments], cwd=tmp_path, stdout=writer, stderr=subprocess.PIPE, timeout=60
        )
    finally:
        os.close(writer)
    assert (done.returncode, done.stderr) == (0, b"")


def test_where_nobody_can_be_asked_or_told_the_status_says_it(tmp_path: Path) -> None:
    closed = shell("2>&-", tmp_path, "scan", "--endpoint", "a.example:9@127.0.0.1", "--depth",
                   "quick")  # fmt: skip
    assert closed.returncode == 3 and "1 inconclusive" in closed.stdout
    assert shell("2>/dev/full", tmp_path).returncode == 2  # nothing was asked for
    (tmp_path / "aws.toml").write_text('source = "botocore"\n[[endpoint]]\nhost = "sts.a.b"\n')
    asked = shell("<&-", tmp_path, "endpoints", "refresh", "--directory", ".")
    assert "Traceback" not in asked.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("show",), ("evaluate",), ("diff", SAMPLE), ("policies", "check"), ("endpoints", "check"),
        ("config", "--config"), ("scan", "--endpoint", "a.example@127.0.0.1", "--ca-bundle"),
    ],
    ids=" ".join,
)  # fmt: skip
def test_a_pipe_that_nobody_writes_to_holds_nobody_up(
    arguments: tuple[str, ...], tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "f.toml")
    done = run(*arguments, "./f.toml", cwd=tmp_path, timeout=60)
    assert done.returncode == 2 and done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert "f.toml" in line


def test_a_report_may_come_through_a_pipe(tmp_path: Path) -> None:
    done = subprocess.run(
        [*TLSCHECK, "show", "/dev/stdin"], cwd=tmp_path, input=Path(SAMPLE).read_bytes(),
        capture_output=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0 and b"policy aws-iam-2020" in done.stdout


def test_what_may_not_be_read_is_one_line_and_2(tmp_path: Path) -> None:
    (tmp_path / "r.json").write_bytes(Path(SAMPLE).read_bytes())
    (tmp_path / "r.json").chmod(0)
    barred = ("setpriv", "--bounding-set=-dac_override,-dac_read_search", "--")
    before = barred if os.geteuid() == 0 else ()
    done = run("show", "r.json", cwd=tmp_path, before=before)
    assert (done.returncode, done.stderr) == (2, "tlscheck: r.json: Permission denied\n")
