"""The lab's own process: `python -m tlscheck.lab`, started by `tlscheck.lab.process.start`.

The first line of stdin is the plan, as JSON; one JSON line on stdout says when it is ready, or
why not. It ends when stdin does, so it never outlives who started it.
"""

from __future__ import annotations

import signal
import sys

if "--ignore-sigint" in sys.argv[1:]:  # before anything that takes time
    signal.signal(signal.SIGINT, signal.SIG_IGN)

import asyncio
import contextlib
import json
import os
import resource
import shutil
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

from tlscheck.lab import server
from tlscheck.lab.authority import Authority
from tlscheck.lab.plan import BY_ID, NORMAL, Profile

MOST_PLAN = 1 << 25  # bytes
PARENT_EVERY = 1.0  # seconds between looks at whether the parent still lives
OUR_FDS = 4096


def main() -> int:
    """Serves until stdin ends; the exit status is 0 unless the lab could not start."""
    parent = os.getppid()
    directory = Path(tempfile.mkdtemp(prefix="tlscheck-lab-"))  # mode 0700
    try:
        plan = json.loads(sys.stdin.buffer.readline(MOST_PLAN))
        asyncio.run(_serve(plan, directory, parent))
    except (OSError, ValueError, OverflowError, LookupError, TypeError) as error:
        _say({"error": _line(error)})
        return 1
    except KeyboardInterrupt:
        pass
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    return 0


async def _serve(plan: dict[str, Any], directory: Path, parent: int) -> None:
    loop = asyncio.get_running_loop()
    over = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, over.set)
    loop.add_signal_handler(signal.SIGHUP, over.set)

    def on_stdin() -> None:
        if not os.read(0, 1 << 12):
            loop.remove_reader(0)
            over.set()

    def on_time() -> None:
        # A forked sibling can hold our stdin open after the parent was killed.
        if os.getppid() != parent:
            over.set()
        loop.call_later(PARENT_EVERY, on_time)

    loop.add_reader(0, on_stdin)
    on_time()
    stations = plan["stations"]
    addresses = list(dict.fromkeys(a for station in stations for a in station["addresses"]))
    _raise_limit(len(addresses) + OUR_FDS)
    port, sockets = server.bind(addresses, plan["port"])
    authority = Authority(directory)
    async with await server.serve(sockets, _factories(stations, authority)):
        _say(
            {
                "port": port,
                "ca": str(authority.bundle),
                "stations": {station["id"]: station["addresses"] for station in stations},
            }
        )
        await over.wait()


def _factories(stations: list[dict[str, Any]], authority: Authority) -> dict[str, server.Factory]:
    """What answers on each address; an address whose port is to be closed has no entry."""
    names: dict[str, list[str]] = {}
    profiles: dict[str, Profile] = {}
    for station in stations:
        planted = station["deviation"]
        behaviour = BY_ID[planted].profiles if planted else (NORMAL,)
        for address, profile in zip(station["addresses"], behaviour, strict=True):
            names.setdefault(address, []).extend(station["names"])
            profiles[address] = profile
    factories: dict[str, server.Factory] = {}
    for address, profile in profiles.items():
        match profile.manner:
            case "tls":
                context = authority.context(names[address], profile)
                factories[address] = partial(server.Tls, context)
            case "reset":
                factories[address] = server.Reset
            case "silent":
                factories[address] = server.Silent
            case "plain":
                factories[address] = server.Plain
            case "closed":
                pass
    return factories


def _raise_limit(wanted: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def _line(error: Exception) -> str:
    """One line that says what went wrong."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return f"{type(error).__name__}: {error}".splitlines()[0]


def _say(message: dict[str, Any]) -> None:
    with contextlib.suppress(BrokenPipeError):
        print(json.dumps(message), flush=True)


if __name__ == "__main__":
    sys.exit(main())
