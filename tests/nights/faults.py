"""The disk fails at each call of a night in turn, or has no room: one clear line, and exit 5."""

from __future__ import annotations

import errno
import json
import os
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.cli.program import run

from .kills import NAMES, NIGHT, Nights
from .town import STEADY, town

FIRST = 2  # the call before reads the endpoints
NUMBERS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO)
LINE = re.compile(
    r"tlscheck: cannot write (in )?\S+: [^;]+(; the next run goes on with what was learned)?\n"
)


@contextmanager
def place_for_nights(place: Path) -> Iterator[Nights]:
    """A directory with one good night in it."""
    with town(place / "town", **dict.fromkeys(NAMES, STEADY)) as servers:
        (place / "e.toml").write_text(servers.data_file(NAMES))
        (place / "ca.pem").write_bytes(servers.bundle.read_bytes())
        (place / "reports").mkdir(mode=0o700)
        nights = Nights(place, servers, [])
        nights.whole_night()
        yield nights


def faults(place: Path) -> str:
    """Every errno at every call; the figures."""
    began = time.monotonic()
    count: Counter[int] = Counter()
    with place_for_nights(place) as nights:
        calls = len(fault_at(nights, 1 << 30, errno.ENOSPC)[1])
        for number in NUMBERS:
            for at in range(FIRST, calls + 1):
                count[fault_at(nights, at, number)[0]] += 1
                nights.whole_night()
    took = time.monotonic() - began
    return (
        f"{calls + 1 - FIRST} calls, each failing in {len(NUMBERS)} ways, in {took:.0f} s: "
        f"{count[5]} times exit 5 with one line, {count[0]} times the night was whole"
    )


def fault_at(nights: Nights, at: int, number: int) -> tuple[int, list[str]]:
    """A night whose call `at` fails: its exit status, and the calls it made. The old state is
    intact after 5, and all is there after 0."""
    before = {name: (nights.place / "reports" / name).read_bytes() for name in nights.reports()}
    made = nights.place / "made.json"
    done = subprocess.run(
        [sys.executable, "-m", "tests.nights.faulty", str(at), str(number), str(made), *NIGHT],
        cwd=nights.place, capture_output=True, text=True, timeout=100,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    calls: list[str] = json.loads(made.read_text())
    where = (at, calls[at - 1 : at], done.stderr)
    result = json.loads(done.stdout)
    assert result["status"] == done.returncode and done.returncode in (0, 5), where
    after = nights.reports()
    new = after.keys() - before.keys()
    if done.returncode == 5:
        assert LINE.fullmatch(done.stderr) and os.strerror(number) in done.stderr, where
        assert len(result["problems"]) == 1, where
        if not new:
            assert {n: (nights.place / "reports" / n).read_bytes() for n in after} == before
    else:
        (name,) = new
        assert after[name]["run"]["complete"], where
        assert len(done.stderr.splitlines()) <= 1, where
    return done.returncode, calls


def no_room(nights: Nights, limits: Iterable[int]) -> list[int]:
    """Nights that may write files up to so many bytes; their exit statuses."""
    found = []
    for most in limits:
        before = {n: (nights.place / "reports" / n).read_bytes() for n in nights.reports()}
        done = run(*NIGHT, cwd=nights.place, before=("prlimit", f"--fsize={most}"))
        found.append(done.returncode)
        assert json.loads(done.stdout)["status"] == done.returncode
        if done.returncode == 5:
            assert LINE.fullmatch(done.stderr), (most, done.stderr)
        after = {n: (nights.place / "reports" / n).read_bytes() for n in nights.reports()}
        assert after == before or (after.keys() - before.keys()), most
        nights.whole_night()
    return found
