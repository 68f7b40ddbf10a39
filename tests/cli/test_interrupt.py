"""Interrupted, a scan keeps what it has learned, says that there is more, and leaves at once."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import jsonschema
import pytest

from tests.cli.program import TLSCHECK, report_in
from tests.servers import nginx
from tlscheck.io import store


@contextmanager
def mute(enough: int) -> Iterator[tuple[int, threading.Event]]:
    """A port that takes connections and never answers; the event says that `enough` have come."""
    came = threading.Event()
    held: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def take() -> None:
            while True:
                try:
                    held.append(listener.accept()[0])
                except OSError:
                    return
                if len(held) >= enough:
                    came.set()

        thread = threading.Thread(target=take)
        thread.start()
        try:
            yield listener.getsockname()[1], came
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()
            for one in held:
                one.close()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_what_was_learned_is_reported(number: signal.Signals, tmp_path: Path) -> None:
    # The ninth connection comes after the first time-outs: by then the other server is done with.
    with nginx.modern(tmp_path / "nginx") as server, mute(9) as (port, came):
        process = subprocess.Popen(
            [*TLSCHECK, "scan", f"--endpoint=sts.good.example:{server.port}@127.0.0.1",
             f"--endpoint=sts.mute.example:{port}@127.0.0.1"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path,
        )  # fmt: skip
        assert came.wait(60)
        sent = time.monotonic()
        process.send_signal(number)
        out, err = process.communicate(timeout=30)
        assert time.monotonic() - sent < 3
    assert process.returncode == 128 + number
    assert (
        err == "tlscheck: interrupted; the report is marked incomplete; --resume goes on with it\n"
    )
    assert "not complete)" in out
    report = report_in(tmp_path)
    jsonschema.validate(report, store.schema())
    assert report["run"]["complete"] is False
    hosts = {e["host"]: e["targets"][0] for e in report["endpoints"]}
    good, silent = hosts["sts.good.example"], hosts["sts.mute.example"]
    assert good["protocols"]["TLSv1.2"]["offered"] == "yes" and len(good["protocols"]) == 6
    assert len(good["protocols"]["TLSv1.2"]["suites"]) == 3
    assert {p["offered"] for p in silent["protocols"].values()} == {"unknown"}
    assert {p["why"] for p in silent["protocols"].values()} == {"interrupted"}
    by_host = {f["endpoint"]: f["verdict"] for f in report["findings"] if f["rule"] == "pfs"}
    assert sorted(by_host.values()) == ["inconclusive", "pass"]


def test_the_second_signal_does_not_wait(tmp_path: Path) -> None:
    with mute(1) as (port, came):
        process = subprocess.Popen(
            [*TLSCHECK, "scan", f"--endpoint=sts.mute.example:{port}@127.0.0.1"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=tmp_path,
        )  # fmt: skip
        assert came.wait(60)
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) in (130, 143)


# Interrupts itself when it first imports a module, or ends.
_SELF = """
import signal, sys

where, inside = sys.argv[1], sys.argv[2] == "inside"

def interrupt():
    signal.raise_signal(signal.SIGINT)

class Member:
    def __set_name__(self, owner, name):
        interrupt()

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == where:
            sys.meta_path.remove(self)
            type("Made", (), {"member": Member()}) if inside else interrupt()

sys.meta_path.insert(0, Finder())
sys.argv[:] = ["tlscheck", *sys.argv[3:]]
from tlscheck.cli import main
try:
    main()
finally:
    if where == "end":
        interrupt()
"""


@pytest.mark.parametrize("inside", ["plain", "inside"], ids=["", "a class"])
@pytest.mark.parametrize(
    ("where", "words"),
    [("click", ["--version"]), ("tlscheck.cli.app", ["--version"]), ("end", ["--version"]),
     ("tlscheck.io.settings", ["show", "x"]), ("tlscheck.io.disk", ["show", "x"]),
     ("end", ["show", "x"]), ("tlscheck.cli.scanning", ["scan", "--endpoint=x@127.0.0.1"]),
     ("httpx", ["scan", "--endpoint=x:1@127.0.0.1"])],
)  # fmt: skip
def test_an_interrupt_is_no_bug_whenever_it_comes(
    where: str, words: list[str], inside: str, tmp_path: Path
) -> None:
    """Python makes a RuntimeError of one that comes while a class is made."""
    done = subprocess.run(
        [sys.executable, "-c", _SELF, where, inside, *words],
        cwd=tmp_path, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode in (-signal.SIGINT, 130), done
    assert "Traceback" not in done.stderr and "bug" not in done.stderr, done.stderr


def test_an_interrupt_that_is_ignored_stays_so(tmp_path: Path) -> None:
    """As a shell starts what runs in its background."""
    done = subprocess.run(
        [sys.executable, "-c", _SELF, "tlscheck.cli.app", "plain", "--version"],
        cwd=tmp_path, capture_output=True, text=True, timeout=60,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
    )  # fmt: skip
    assert done.returncode == 0 and done.stdout.startswith("tlscheck "), done
