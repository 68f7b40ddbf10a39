"""A run of the real command line, watched, with an environment that tempts it."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.cli.program import TLSCHECK

HOOK = Path(__file__).parent / "hook"
ROOT = Path(__file__).resolve().parents[2]
SECRET = "hunter2"
PROXIES = ("http", "https", "all", "ftp", "socks", "socks5", "ws", "wss")


@dataclass(frozen=True)
class Process:
    """What one process did: (event, arguments...), in order."""

    events: tuple[tuple[Any, ...], ...]

    def of(self, *names: str) -> list[tuple[Any, ...]]:
        return [tuple(event[1:]) for event in self.events if event[0] in names]

    @property
    def names(self) -> set[str]:
        return {event[0] for event in self.events}

    @property
    def connected(self) -> set[tuple[str, int]]:
        """Addresses and ports, of connections and of datagrams."""
        sent = self.of("socket.connect", "socket.sendto", "socket.sendmsg")
        return {(where[0], where[1]) for _, where, *_ in sent}

    @property
    def bound(self) -> set[str]:
        """Addresses that were listened on, or tried for being there."""
        return {where[0] for _, where in self.of("socket.bind")} - {""}

    @property
    def written(self) -> set[str]:
        """Paths that were opened for writing, made, renamed or removed."""
        paths: set[str] = set()
        for event, *arguments in self.events:
            if event == "write" or event.startswith(("os.", "shutil.")):
                paths.update(str(a) for a in arguments if isinstance(a, str))
        return paths


@dataclass(frozen=True)
class Watched:
    """A run that has ended: its own process first, then its children."""

    status: int
    out: str
    err: str
    process: Process
    children: tuple[Process, ...]


def tempting(directory: Path, trap: str, hosts: Sequence[str]) -> dict[str, str]:
    """An environment in which proxies, credentials and files of secrets are offered."""
    home = directory / "home"
    home.mkdir(exist_ok=True)
    lines = [f"machine {host} login me password {SECRET}\n" for host in hosts]
    netrc = "".join(lines) + f"default login me password {SECRET}\n"
    for name in (".netrc", "_netrc"):
        (home / name).write_text(netrc)
        (home / name).chmod(0o600)
    proxies = {f"{kind}_proxy": f"http://me:{SECRET}@{trap}" for kind in PROXIES}
    return {
        **proxies,
        **{name.upper(): url for name, url in proxies.items()},
        "NETRC": str(home / ".netrc"),
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home),
        "SSLKEYLOGFILE": str(directory / "secrets"),
        "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
        "AWS_SECRET_ACCESS_KEY": SECRET,
    }


def watch(
    *arguments: str,
    cwd: Path,
    names: Mapping[str, Sequence[Sequence[str]]] | None = None,
    environment: Mapping[str, str] | None = None,
    timeout: float = 100,
) -> Watched:
    """Run `tlscheck ARGUMENTS` to its end. Files go below `cwd` and TMPDIR, both watched."""
    logs = cwd.parent / f"{cwd.name}.logs"
    logs.mkdir()
    kept = {k: v for k, v in os.environ.items() if k in ("PATH", "LANG", "LC_ALL")}
    process = subprocess.Popen(
        [*TLSCHECK, *arguments],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        cwd=cwd,
        env={
            **kept, "PYTHONPATH": f"{HOOK}{os.pathsep}{ROOT}", "PYTHONDONTWRITEBYTECODE": "1",
            "WATCH": str(logs), "NAMES": json.dumps(names or {}), **(environment or {}),
        },
    )  # fmt: skip
    try:
        out, err = process.communicate(timeout=timeout)
    finally:
        process.kill()
    by_pid = {int(path.name): _read(path) for path in logs.iterdir()}
    own = by_pid.pop(process.pid)
    return Watched(process.returncode, out, err, own, tuple(by_pid.values()))


def _read(path: Path) -> Process:
    lines = path.read_text().splitlines()
    return Process(tuple(tuple(json.loads(line)) for line in lines))
