"""All clients by name, and one server asked by all of them."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path

from tests.servers.profile import Server

from . import gnutls, openssl, ours, sslyze_
from .answers import Answers

PARALLEL = 4  # handshakes with one server at once

CLIENTS: dict[str, Callable[[Server, Path, Executor], Answers]] = {
    "openssl": openssl.ask,
    "gnutls": gnutls.ask,
    "sslyze": sslyze_.ask,
}


def ask(server: Server, directory: Path) -> tuple[Answers, dict[str, Answers]]:
    """What tlscheck says of a server that `catalogue` started in `directory`, and what each
    client says."""
    mine = ours.scan(server, directory)
    with ThreadPoolExecutor(PARALLEL) as pool:
        theirs = {n: ask(server, directory / "certificates", pool) for n, ask in CLIENTS.items()}
    return mine, theirs
