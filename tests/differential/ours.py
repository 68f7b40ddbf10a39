"""The report of tlscheck's own command line, as answers: what it does not list is a no."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.servers.profile import Server

from .answers import Answer, Answers, Pair


def scan(server: Server, directory: Path) -> Answers:
    output = directory / "report.json"
    target = f"sts.example.com:{server.port}@{server.address}"
    done = subprocess.run(
        [sys.executable, "-m", "tlscheck", "scan", "--endpoint", target, "--depth", "quick",
         "-o", output],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode in (0, 1), done.stderr
    ((target_,),) = (e["targets"] for e in json.loads(output.read_text())["endpoints"])
    found: Answers = {}
    for version, protocol in target_["protocols"].items():
        assert protocol["offered"] in ("yes", "no"), (version, protocol)
        assert protocol["offered"] == "no" or protocol["why"] is None, (version, protocol)
        found[Pair(version, "version")] = Answer(protocol["offered"], protocol["why"] or "")
        for kind, names in (("suite", protocol["suites"]), ("group", protocol["groups"])):
            found |= {Pair(version, kind, name): Answer("yes") for name in names}
    return found
