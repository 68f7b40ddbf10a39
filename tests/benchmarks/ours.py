"""tlscheck: what is run, and what it said."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from tests.servers.profile import Profile

from .peers import HOME, Pair, Word

COMMAND: tuple[Word, ...] = (sys.executable, "-m", "tlscheck")
PACES = ("gentle", "normal", "fast")


@cache
def paces() -> tuple[str, ...]:
    """Those that this tlscheck has; one without a name if it has none."""
    said = subprocess.run(
        [*map(str, COMMAND), "scan", "--help"], cwd=HOME, check=True, capture_output=True, text=True
    )
    return PACES if "--pace" in said.stdout else ("",)


def title(pace: str) -> str:
    return f"tlscheck {pace}".strip()


def command(addresses: Sequence[str], port: int, pace: str, directory: Path) -> list[Word]:
    """Scan these; the report is `directory / "report.json"`. One is given by name and address, more
    in a data file."""
    words: list[Word] = [*COMMAND, "scan", "--depth", "quick", "--format", "json"]
    words += ["-o", directory / "report.json", *(["--pace", pace] if pace else [])]
    if len(addresses) == 1:
        return [*words, "--endpoint", f"sts.example.com:{port}@{addresses[0]}"]
    data = directory / "endpoints.toml"
    data.write_text("".join(_row(n, address, port) for n, address in enumerate(addresses)))
    return [*words, "--endpoints", data]


def _row(number: int, address: str, port: int) -> str:
    row = {
        "id": f"sts:custom:r{number}:standard", "service": "sts", "partition": "custom",
        "region": f"r{number}", "variant": "standard", "host": f"sts.r{number}.example.com",
        "port": port, "addresses": [address],
    }  # fmt: skip
    return "[[endpoint]]\n" + "".join(f"{k} = {json.dumps(v)}\n" for k, v in row.items()) + "\n"


def answers(report: dict[str, Any]) -> dict[str, set[Pair]]:
    return {
        target["address"]: {
            (protocol, suite)
            for protocol, found in target["protocols"].items()
            for suite in found["suites"]
        }
        for endpoint in report["endpoints"]
        for target in endpoint["targets"]
    }


def differences(report: dict[str, Any], truth: Callable[[str], Profile]) -> list[str]:
    """Where the orders and the groups are not those of the profile, or a verdict is not."""
    found = []
    for endpoint in report["endpoints"]:
        for target in endpoint["targets"]:
            for protocol, said in target["protocols"].items():
                told = truth(target["address"]).protocols.get(protocol)
                if said["offered"] != ("yes" if told else "no"):
                    found.append(f"{protocol} offered: {said['offered']} ({said['why']})")
                elif told and said["order"] != told.order:
                    found.append(f"{protocol} order: {said['order']}")
                elif told and told.order == "server" and said["suites"] != list(told.suites):
                    found.append(f"{protocol} suites: not in the server's order")
                elif told and told.groups and set(said["groups"]) != set(told.groups):
                    found.append(f"{protocol} groups: {said['groups']}")
    return found
