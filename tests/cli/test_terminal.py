"""On a terminal there are colours and progress; in a pipe there is neither."""

from __future__ import annotations

import os
import pty
import re
import selectors
import subprocess
from pathlib import Path

from tests.cli.program import TLSCHECK, run

SCAN = ("scan", "--lab", "--region", "us-west-1", "--service", "sts")


def on_a_terminal(*arguments: str, cwd: Path, **environment: str) -> tuple[str, str]:
    """stdout and stderr, each a terminal of its own."""
    ours, theirs = zip(*(pty.openpty() for _ in range(2)), strict=True)
    process = subprocess.Popen(
        [*TLSCHECK, *arguments], stdin=subprocess.DEVNULL, stdout=theirs[0], stderr=theirs[1],
        cwd=cwd, env={**os.environ, "TERM": "xterm", **environment},
    )  # fmt: skip
    for end in theirs:
        os.close(end)
    said = {end: b"" for end in ours}
    with selectors.DefaultSelector() as selector:
        for end in ours:
            selector.register(end, selectors.EVENT_READ)
        while selector.get_map():
            for key, _ in selector.select(60):
                try:
                    piece = os.read(key.fd, 4096)
                except OSError:  # how a pty says that nobody is there any more
                    piece = b""
                said[key.fd] += piece
                if not piece:
                    selector.unregister(key.fd)
                    os.close(key.fd)
    process.wait(60)
    return said[ours[0]].decode(), said[ours[1]].decode()


def test_progress_counts_on_a_terminal_and_leaves_no_trace_of_itself_in_results(
    tmp_path: Path,
) -> None:
    out, err = on_a_terminal(*SCAN, cwd=tmp_path)
    assert re.search(r"\d/4\x1b\[0m endpoints, \d+ connections, left", err)
    assert "scanning" not in out and "4 endpoints: 1 fail, 1 inconclusive, 2 exceeds" in out


def test_colours_say_nothing_that_a_word_does_not(tmp_path: Path) -> None:
    out, _ = on_a_terminal(*SCAN, cwd=tmp_path)
    words = set(re.findall(r"\x1b\[\d+m(.*?)\x1b\[0m", out))
    assert words == {"fail", "inconclusive", "exceeds"}
    plain, _ = on_a_terminal(*SCAN, cwd=tmp_path, NO_COLOR="1")
    assert "\x1b" not in plain
    piped = run(*SCAN, cwd=tmp_path)
    assert "\x1b" not in piped.stdout and piped.stderr == ""
