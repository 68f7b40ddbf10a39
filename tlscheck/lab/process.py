"""Starting the lab as a child process, and stopping it."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tlscheck.core.model import Endpoint
from tlscheck.lab.plan import Station, moved, plan

START_SECONDS = 60.0
STOP_SECONDS = 5.0


class LabError(Exception):
    """The lab could not start; the message is one line for the user."""


class Lab:
    """A running lab. Close it, or use it as a context manager."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        port: int,
        ca_bundle: Path,
        stations: Sequence[Station],
    ) -> None:
        self._process = process
        self.port = port
        self.ca_bundle = ca_bundle
        self.stations = tuple(stations)
        self.endpoints: tuple[Endpoint, ...] = tuple(moved(station, port) for station in stations)

    @property
    def pid(self) -> int:
        """The process id of the lab's child process."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the child process still lives."""
        return self._process.poll() is None

    def close(self) -> None:
        """Stops the child process and removes its files. May be called again."""
        _stop(self._process)
        shutil.rmtree(self.ca_bundle.parent, ignore_errors=True)  # if it had to be killed

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def start(endpoints: Sequence[Endpoint], *, port: int = 0) -> Lab:
    """Starts stand-ins for `endpoints`; `port` 0 takes one that is free on all addresses.

    Raises LabError when it cannot.
    """
    try:
        stations = plan(endpoints)
    except ValueError as error:
        raise LabError(f"the lab cannot start: {error}") from None
    try:
        process = _spawn()
    except OSError as error:
        raise LabError(f"the lab cannot start: {error.strerror or error}") from None
    try:
        ready = _ask(process, {"port": port, "stations": [_as_json(s) for s in stations]})
        if "error" in ready:
            raise LabError(f"the lab cannot start: {ready['error']}")
        return Lab(process, ready["port"], Path(ready["ca"]), stations)
    except BaseException:
        _stop(process)
        raise


def write_pointers(lab: Lab, directory: Path) -> None:
    """Writes `endpoints.toml` and `ca.pem` into `directory` for a scan from another terminal."""
    directory.mkdir(parents=True, exist_ok=True)
    head = "# The endpoints of a running lab. They are gone when it stops.\n"
    rows = "".join(_as_toml(endpoint) for endpoint in lab.endpoints)
    _replace(directory / "ca.pem", lab.ca_bundle.read_bytes())
    _replace(directory / "endpoints.toml", (head + rows).encode())


def _spawn() -> subprocess.Popen[bytes]:
    # -P: a directory named tlscheck where the user stands must not be what is run.
    home = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join(filter(None, (os.environ.get("PYTHONPATH"), home)))
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "tlscheck.lab", "--ignore-sigint"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        bufsize=0,
        env={**os.environ, "PYTHONPATH": path},
        process_group=0,  # Ctrl-C in the terminal is the parent's, from the first moment on
    )


def _ask(process: subprocess.Popen[bytes], message: dict[str, Any]) -> dict[str, Any]:
    """Sends the plan and waits for the line that says ready, or why not."""
    assert process.stdin and process.stdout
    deadline = time.monotonic() + START_SECONDS
    data = memoryview(json.dumps(message).encode() + b"\n")
    with contextlib.suppress(BrokenPipeError):
        while data:
            data = data[process.stdin.write(data) :]
    answer = b""
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while not answer.endswith(b"\n"):
            if not selector.select(max(0.0, deadline - time.monotonic())):
                raise LabError(f"the lab did not start within {START_SECONDS:.0f} s")
            piece = os.read(process.stdout.fileno(), 1 << 16)
            if not piece:
                raise LabError("the lab's process ended before it was ready")
            answer += piece
    ready = json.loads(answer)
    assert isinstance(ready, dict)
    return ready


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Asks by closing stdin, then by signal, then does not ask."""
    if process.stdin:
        process.stdin.close()
    for insist in (process.terminate, process.kill):
        try:
            process.wait(STOP_SECONDS)
            break
        except subprocess.TimeoutExpired:
            insist()
    process.wait()
    if process.stdout:
        process.stdout.close()


def _as_json(station: Station) -> dict[str, Any]:
    endpoint = station.endpoint
    return {
        "id": endpoint.id,
        "names": [endpoint.host, endpoint.verify_name or endpoint.sni],
        "addresses": station.addresses,
        "deviation": station.deviation.id if station.deviation else None,
    }


def _as_toml(endpoint: Endpoint) -> str:
    row: dict[str, Any] = {
        "id": endpoint.id,
        "service": endpoint.service,
        "partition": endpoint.partition,
        "region": endpoint.region,
        "variant": endpoint.variant,
        "host": endpoint.host,
        "port": endpoint.port,
        "addresses": list(endpoint.addresses),
        "tier": "custom",
        "server_name": endpoint.server_name,
        "verify_name": endpoint.verify_name,
    }
    # JSON's strings, integers and lists of strings are TOML's too.
    lines = (
        f"{key} = {json.dumps(value, ensure_ascii=False)}\n"
        for key, value in row.items()
        if value is not None
    )
    return "\n[[endpoint]]\n" + "".join(lines)


def _replace(path: Path, data: bytes) -> None:
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        aside.write_bytes(data)
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
