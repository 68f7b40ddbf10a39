"""One run at a time writes to a reports directory, and no dead one is in the way."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tlscheck.io import lock

HOLDER = """
import sys
from pathlib import Path
from tlscheck.io import lock
try:
    with lock.held(Path(sys.argv[1])):
        print("held", flush=True)
        sys.stdin.read()
except lock.Held as fault:
    print(fault, flush=True)
"""


@contextmanager
def others(directory: Path, count: int) -> Iterator[list[tuple[subprocess.Popen[str], str]]]:
    """Processes that try at once to hold the lock, until they are ended; and what each says."""
    with contextlib.ExitStack() as stack:
        processes = [
            stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-c", HOLDER, str(directory)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                )
            )
            for _ in range(count)
        ]
        yield [(one, one.stdout.readline().rstrip("\n")) for one in processes if one.stdout]
        for one in processes:
            one.kill()


@contextmanager
def another(directory: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    with others(directory, 1) as [one]:
        yield one


def test_the_second_is_told_at_once_who_holds_which_directory(tmp_path: Path) -> None:
    with another(tmp_path) as (process, said):
        assert said == "held"
        with pytest.raises(lock.Held) as caught, lock.held(tmp_path):
            pass
        assert str(caught.value) == f"another run (process {process.pid}) is writing to {tmp_path}"
        with another(tmp_path) as (_, told):
            assert told == str(caught.value)


def test_a_killed_holder_is_not_in_the_way(tmp_path: Path) -> None:
    with another(tmp_path) as (process, said):
        assert said == "held"
        process.kill()
        process.wait()
        with lock.held(tmp_path):
            assert (tmp_path / ".lock").read_text() == f"{os.getpid()}\n"


def test_its_file_stays_the_same_for_good(tmp_path: Path) -> None:
    seen = set()
    for _ in range(3):
        with lock.held(tmp_path):
            pass
        seen.add((tmp_path / ".lock").stat().st_ino)
    assert len(seen) == 1


@pytest.mark.parametrize("text", ["", "0", "-1", "x", "99999999999999999999999", "4194305"])
def test_a_process_that_cannot_be_is_not_named(text: str, tmp_path: Path) -> None:
    with another(tmp_path) as (_, said):
        assert said == "held"
        (tmp_path / ".lock").write_text(text)
        with pytest.raises(lock.Held, match=r"^another run is writing to "), lock.held(tmp_path):
            pass


def test_of_some_that_come_at_once_one_holds_it(tmp_path: Path) -> None:
    for nth in range(10):
        with others(tmp_path, 4) as tried:
            assert sorted(said == "held" for _, said in tried) == [False] * 3 + [True], nth
