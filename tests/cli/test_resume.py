"""Killed at any moment, out of space at any write: nothing is lost, and nothing is asked twice."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import re
import signal
import socket
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tests.cli.program import TLSCHECK, run
from tlscheck.io import catalog, store
from tlscheck.lab import process as lab
from tlscheck.lab.process import Lab

SCAN = ("scan", "--endpoints", "e.toml", "--ca-bundle", "ca.pem", "--depth", "quick")
SCHEMA = store.schema()
GOING_ON = re.compile(
    r"tlscheck: going on with run (\S+) of (\S+): (\d+) of 6 endpoints are done\n"
)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Lab, Path]]:
    """A lab, and a directory with `e.toml`: six endpoints of it that answer as they should."""
    place = tmp_path_factory.mktemp("lab")
    rows = catalog.load(sorted(catalog.builtin_directory().glob("*.toml")))
    with lab.start(catalog.select(rows, regions=("us-*",))) as running:
        lab.write_pointers(running, place)
        good = [s.endpoint.id for s in running.stations if s.deviation is None][:6]
        head, *tables = (place / "endpoints.toml").read_text().split("\n[[endpoint]]\n")
        kept = [table for table in tables if any(f'"{name}"' in table for name in good)]
        (place / "e.toml").write_text("\n[[endpoint]]\n".join([head, *kept]))
        yield running, place


@pytest.fixture
def here(small: tuple[Lab, Path], tmp_path: Path) -> Path:
    """A directory to scan in, with the report of another night in its reports."""
    for name in ("e.toml", "ca.pem"):
        (tmp_path / name).write_bytes((small[1] / name).read_bytes())
    assert run(*SCAN, cwd=tmp_path).returncode == 0
    return tmp_path


def reports(directory: Path) -> dict[str, dict[str, Any]]:
    """The reports of a directory, each held to the schema."""
    found = {p.name: json.loads(p.read_bytes()) for p in store.kept(directory / "reports")}
    for report in found.values():
        jsonschema.validate(report, SCHEMA)
    return found


def journals(directory: Path) -> list[list[dict[str, Any]]]:
    """The whole lines of each journal, read independently of the program."""
    found = []
    for path in sorted((directory / "reports").glob(".journal-*.jsonl")):
        *lines, _ = path.read_text().split("\n")
        found.append([json.loads(line) for line in lines])
    return found


def start(directory: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*TLSCHECK, *arguments], cwd=directory, text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip


def until_finished(enough: int, process: subprocess.Popen[str], directory: Path) -> None:
    """Wait for so many endpoints in the journal that a run writes, or for its end."""
    while process.poll() is None:
        for path in directory.glob("reports/.journal-*.jsonl"):
            with contextlib.suppress(FileNotFoundError):
                if path.read_bytes().count(b"\n") > enough:
                    return


def only_whole(directory: Path) -> None:
    """Nothing is there but the lock, reports, and at most one journal."""
    names = (
        {p.name for p in (directory / "reports").iterdir()} - {".lock"} - set(reports(directory))
    )
    assert all(re.fullmatch(r"\.journal-[0-9a-f]+\.jsonl", name) for name in names), names


# --- kills -----------------------------------------------------------------------------------


def test_killed_at_random_moments_the_next_run_goes_on(
    here: Path, pytestconfig: pytest.Config
) -> None:
    seed = int(os.environ.get("TLSCHECK_SEED", "4"))
    chance = random.Random(seed)
    began = time.monotonic()
    assert run(*SCAN, "--resume", cwd=here).returncode == 0
    longest = time.monotonic() - began
    kills: int = pytestconfig.getoption("--kills")
    points: Counter[str] = Counter()
    while points.total() < kills:
        process = start(here, *SCAN, "--resume")
        # Endpoints are finished close together: most moments are counted from one of them.
        enough = chance.randrange(-3, 7)
        if enough >= 0:
            until_finished(enough, process, here)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(chance.uniform(0, 0.02 if enough >= 0 else longest))
        process.kill()
        assert process.communicate()[1] == "", (seed, points)
        if process.returncode == -signal.SIGKILL:  # and it had not ended before
            points[the_next_run_goes_on(here)] += 1
        for path in store.kept(here / "reports")[:-2]:
            path.unlink()
    took = time.monotonic() - began
    print(f"\n{kills} kills in {took:.0f} s, a run takes {longest:.2f} s: {sorted(points.items())}")
    assert len(points) > 2


def the_next_run_goes_on(directory: Path) -> str:
    """Holds a directory in which a run was killed, and the run after it, to what is promised; how
    far the killed run had come."""
    before, left = reports(directory), journals(directory)
    done = run(*SCAN, "--resume", cwd=directory)
    assert done.returncode == 0, done.stderr
    only_whole(directory)
    assert not journals(directory)
    (report,) = (r for name, r in reports(directory).items() if name not in before)
    assert report["run"]["complete"] and len(report["endpoints"]) == 6
    if not left or left[0][0]["run"] in {other["run"]["id"] for other in before.values()}:
        assert done.stderr == ""
        return "report there" if left else "no journal"
    [[head, *finished]] = left
    going_on = GOING_ON.fullmatch(done.stderr)
    assert going_on and going_on.groups() == (head["run"], head["started"], str(len(finished)))
    assert (report["run"]["id"], report["run"]["started"]) == (head["run"], head["started"])
    known = {endpoint["id"]: endpoint for endpoint in report["endpoints"]}
    assert all(known[endpoint["id"]] == endpoint for endpoint in finished)
    assert len({endpoint["id"] for endpoint in finished}) == len(finished)
    return f"{len(finished)} of 6"


MARK = "127.0.0.2"  # no scan comes from there


class Gates:
    """A port before each address of the lab, that counts who comes; the last lets nobody through
    until it is opened."""

    def __init__(self, targets: Sequence[tuple[str, int]]) -> None:
        self.came: list[list[str]] = [[] for _ in targets]  # from which addresses
        self.ports: list[int] = []
        self._news = threading.Condition()
        self._loop = asyncio.new_event_loop()
        self._opened = asyncio.Event()
        ready = threading.Event()
        self._thread = threading.Thread(target=self._serve, args=(targets, ready))
        self._thread.start()
        ready.wait()

    def _serve(self, targets: Sequence[tuple[str, int]], ready: threading.Event) -> None:
        async def open_all() -> None:
            for nth, target in enumerate(targets):
                server = await asyncio.start_server(self._gate(nth, *target), "127.0.0.1", 0)
                self.ports.append(server.sockets[0].getsockname()[1])

        self._loop.run_until_complete(open_all())
        ready.set()
        self._loop.run_forever()

    def _gate(self, nth: int, host: str, port: int) -> Any:
        async def through(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with self._news:
                self.came[nth].append(writer.get_extra_info("peername")[0])
                self._news.notify()
            with contextlib.suppress(asyncio.CancelledError):
                if nth == len(self.came) - 1:
                    await self._opened.wait()
                await forward(reader, writer)

        async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            inner, outer = await asyncio.open_connection(host, port)

            async def pipe(source: asyncio.StreamReader, to: asyncio.StreamWriter) -> None:
                with contextlib.suppress(ConnectionError):
                    while piece := await source.read(1 << 14):
                        to.write(piece)
                        await to.drain()
                to.close()

            await asyncio.gather(pipe(reader, outer), pipe(inner, writer))

        return through

    def counts(self) -> list[int]:
        """How many have come by now: whoever knocks last is let in last."""
        counts = []
        for port, came in zip(self.ports, self.came, strict=True):
            mark = socket.create_connection(("127.0.0.1", port), source_address=(MARK, 0))
            with mark, self._news:
                assert self._news.wait_for(lambda came=came: MARK in came, 60)
                came.remove(MARK)
                counts.append(len(came))
        return counts

    def open(self) -> None:
        """Let everybody through."""
        self._loop.call_soon_threadsafe(self._opened.set)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.close()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_no_finished_endpoint_hears_of_the_next_run(
    number: signal.Signals, small: tuple[Lab, Path], tmp_path: Path
) -> None:
    good = [s for s in small[0].stations if s.deviation is None][:6]
    gates = Gates([(station.addresses[0], small[0].port) for station in good])
    try:
        single = [
            f"--endpoint={s.endpoint.host}:{port}@127.0.0.1"
            for s, port in zip(good, gates.ports, strict=True)
        ]
        arguments = ("scan", "--depth", "quick", "--resume", *single)
        heard: dict[str, int] = {}
        for enough in range(1, 6):
            process = start(tmp_path, *arguments)
            until_finished(enough, process, tmp_path)
            process.send_signal(number)
            process.communicate()
            (finished,) = journals(tmp_path)
            counts = dict(zip(gates.ports, gates.counts(), strict=True))
            for endpoint in finished[1:]:
                now = counts[endpoint["port"]]
                assert heard.setdefault(endpoint["id"], now) == now
        assert len(heard) == 5
        gates.open()
        assert run(*arguments, cwd=tmp_path).returncode == 0
        assert not journals(tmp_path)
        counts = dict(zip(gates.ports, gates.counts(), strict=True))
    finally:
        gates.close()
    (report,) = reports(tmp_path).values()
    assert report["run"]["complete"] and len(report["endpoints"]) == 6
    for endpoint in report["endpoints"]:
        now = counts[endpoint["port"]]
        assert heard.get(endpoint["id"], now) == now >= endpoint["targets"][0]["connections"]


# --- no room ---------------------------------------------------------------------------------


def one_clear_line(status: int, err: str, why: str, directory: Path) -> None:
    assert status == 5, err
    (line,) = err.splitlines()
    assert re.fullmatch(rf"tlscheck: cannot write reports/\S+: {why}(; --resume goes on .*)?", line)


@pytest.mark.parametrize("most", [0, 1, 300, 1000, 2000, 4000, 8000])
def test_a_limit_on_file_sizes_is_one_clear_error(most: int, here: Path) -> None:
    before = {p.name: p.read_bytes() for p in store.kept(here / "reports")}
    done = run(*SCAN, cwd=here, before=("prlimit", f"--fsize={most}"))
    one_clear_line(done.returncode, done.stderr, "File too large", here)
    assert {p.name: p.read_bytes() for p in store.kept(here / "reports")} == before
    only_whole(here)
    learned = journals(here)
    assert bool(learned) is (most >= 1000)
    again = run(*SCAN, "--resume", cwd=here)
    assert again.returncode == 0 and len(reports(here)) == len(before) + 1
    done_before = len(learned[0]) - 1 if learned else 0
    assert (f"{done_before} of 6 endpoints are done" in again.stderr) is bool(learned)
    assert most < 8000 or done_before > 2


# In a mount namespace of its own: reports is a tmpfs with the options $2, made ready by $1.
NO_ROOM = """
set -e
mv reports before; mkdir reports
mount -t tmpfs -o mode=700,$2 none reports
cp -p before/* before/.lock reports/
eval "$1"
set +e
shift 2
"$@"
status=$?
set -e
cp -a reports/. after/
umount reports
exit $status
"""


def in_a_small_place(
    here: Path, prepare: str, options: str, command: Sequence[str] = SCAN
) -> subprocess.CompletedProcess[str]:
    (here / "after").mkdir()
    inside = ("unshare", "--map-root-user", "--mount", "sh", "-c", NO_ROOM, "sh")
    return run(*command, cwd=here, before=(*inside, prepare, options))


FILL = "dd if=/dev/zero of=reports/fill bs=4096 2>/dev/null || true; truncate -s -{} reports/fill"


@pytest.mark.parametrize("pages", [0, 1, 2, 3, 4, 6, 7, 20])
def test_a_full_disk_is_one_clear_error(pages: int, here: Path) -> None:
    before = {p.name: p.read_bytes() for p in store.kept(here / "reports")}
    done = in_a_small_place(here, FILL.format(pages * 4096), "size=256k")
    after = {p.name: p.read_bytes() for p in (here / "after").iterdir()}
    kept = {name: data for name, data in after.items() if store.NAME.fullmatch(name)}
    assert not [name for name in after if name.endswith(".tmp")], after.keys()
    if pages >= 6:  # a report in one line has room
        assert done.returncode == 0 and done.stderr == "" and len(kept) == 2
        return
    one_clear_line(done.returncode, done.stderr, "No space left on device", here)
    assert kept == before
    assert any(name.startswith(".journal") for name in after) is (pages > 0)


@pytest.mark.parametrize(
    ("prepare", "options", "why"),
    [
        ("i=0; while touch reports/$i; do i=$((i+1)); done 2>/dev/null", "nr_inodes=9",
         "No space left on device"),
        ("mount -o remount,ro reports", "size=256k", "Read-only file system"),
    ],
)  # fmt: skip
def test_no_new_file_is_one_clear_error(prepare: str, options: str, why: str, here: Path) -> None:
    before = {p.name: p.read_bytes() for p in store.kept(here / "reports")}
    done = in_a_small_place(here, prepare, options)
    one_clear_line(done.returncode, done.stderr, why, here)
    after = {p.name: p.read_bytes() for p in (here / "after").iterdir()}
    assert {n: data for n, data in after.items() if store.NAME.fullmatch(n)} == before


def test_an_output_file_keeps_what_it_was(here: Path) -> None:
    (here / "o.json").write_text("old")
    done = run(*SCAN, "-o", "o.json", cwd=here, before=("prlimit", "--fsize=5000"))
    assert done.returncode == 5 and done.stderr == "tlscheck: cannot write o.json: File too large\n"
    assert (here / "o.json").read_text() == "old"
    assert not list(here.glob(".tlscheck-*"))


# --- another run -----------------------------------------------------------------------------


def test_a_second_run_is_told_who_is_writing_and_ends_at_once(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        endpoint = f"--endpoint=sts.mute.example:{listener.getsockname()[1]}@127.0.0.1"
        process = start(tmp_path, "scan", endpoint)
        listener.settimeout(60)
        with listener.accept()[0]:
            done = run("scan", endpoint, cwd=tmp_path)
            assert done.returncode == 4 and done.stdout == ""
            assert done.stderr == (
                f"tlscheck: another run (process {process.pid}) is writing to reports\n"
            )
            process.kill()
            process.communicate()
    assert len(journals(tmp_path)) == 1


@pytest.mark.parametrize("umask", ["000", "077"])
def test_nobody_else_can_read_what_a_run_keeps(umask: str, small: tuple[Lab, Path]) -> None:
    place = small[1]
    name = f"deep/{umask}"
    done = run(
        *SCAN, "--reports", name, cwd=place, before=("sh", "-c", f'umask {umask}; exec "$@"', "sh")
    )
    assert done.returncode == 0
    assert (place / "deep").stat().st_mode & 0o777 == (place / name).stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in (place / name).iterdir()} == {0o600}


def test_an_answer_to_a_signal_is_not_a_finished_endpoint(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        endpoint = f"--endpoint=sts.mute.example:{listener.getsockname()[1]}@127.0.0.1"
        process = start(tmp_path, "scan", endpoint)
        listener.settimeout(60)
        with listener.accept()[0]:
            process.send_signal(signal.SIGTERM)
            process.communicate()
    (cut,) = reports(tmp_path).values()
    assert cut["run"]["complete"] is False
    [[head]] = journals(tmp_path)
    assert head["run"] == cut["run"]["id"]
    done = run("scan", "--resume", endpoint, cwd=tmp_path)  # now nobody listens
    assert done.returncode == 3 and "0 of 1 endpoints are done" in done.stderr
    (whole,) = reports(tmp_path).values()  # in the place of the one that was cut
    assert whole["run"]["complete"] and whole["run"]["id"] == head["run"]


def test_resume_and_an_output_file_exclude_each_other(tmp_path: Path) -> None:
    done = run("scan", "--resume", "-o", "r.json", cwd=tmp_path)
    assert done.returncode == 2 and "leave out -o" in done.stderr


def test_there_is_no_going_on_with_a_lab(tmp_path: Path) -> None:
    done = run("scan", "--lab", "--resume", cwd=tmp_path)
    assert done.returncode == 2 and done.stdout == "" and len(done.stderr.splitlines()) == 1
    assert "each --lab is another one" in done.stderr and not list(tmp_path.iterdir())
