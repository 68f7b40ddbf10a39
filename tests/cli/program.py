"""The program as a user starts it, in a directory of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tlscheck.io import store

TLSCHECK = (sys.executable, "-m", "tlscheck")


def run(
    *arguments: str, cwd: Path, timeout: float = 100, before: Sequence[str] = ()
) -> subprocess.CompletedProcess[str]:
    """Run it to its end; `before` is a command that starts it (`unshare`, `prlimit`)."""
    return subprocess.run(
        [*before, *TLSCHECK, *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        cwd=cwd,
        timeout=timeout,
    )


def report_in(directory: Path) -> dict[str, Any]:
    """The one report that was kept."""
    (path,) = store.kept(directory / "reports")
    report: dict[str, Any] = json.loads(path.read_text())
    return report
