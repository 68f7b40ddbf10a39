"""kill -9 at random moments of nights: nothing is lost, nothing asked twice, and all is told."""

from __future__ import annotations

import contextlib
import json
import random
import re
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema

from tests.cli.program import TLSCHECK, run
from tests.cli.test_nightly import configured, listener
from tlscheck.io import state, store

from .town import STEADY, Manner, Town, town

NAMES = [f"e{nth}" for nth in range(6)]
CHANGED = Manner(lowest="TLSv1.1")
NIGHT = ("nightly", "--endpoints", "e.toml", "--ca-bundle", "ca.pem", "--depth", "quick",
         "--metrics", "out/tlscheck.prom", "--json")  # fmt: skip
GOING_ON = re.compile(
    r"tlscheck: going on with run (\S+) of (\S+): (\d+) of 6 endpoints are done\n"
)
LEFT = re.compile(r"\.lock|\.state\.json|\.journal-[0-9a-f]+\.jsonl|\.tlscheck-[0-9a-f]{16}\.tmp")
SCHEMA = store.schema()
LONGEST = 60.0  # seconds that a night may take


class Nights:
    """A directory where one night follows the other, and who listens to what they tell."""

    def __init__(self, place: Path, servers: Town, heard: list[tuple[str, Any]]) -> None:
        self.place, self.servers, self._heard = place, servers, heard
        self.truth = dict.fromkeys(NAMES, False)  # whether it offers TLS 1.1
        self.told = dict(self.truth)
        self.twice = 0  # notices that came again, with the same id
        self._ids: set[str] = set()

    def change(self, name: str) -> None:
        """From now on this server speaks TLS 1.1, or does no more."""
        self.truth[name] = not self.truth[name]
        self.servers.behave(**{name: CHANGED if self.truth[name] else STEADY})

    def listen(self) -> None:
        """Take in what has come, as who drops a notice that was there before."""
        while self._heard:
            path, body = self._heard.pop(0)
            if not path.endswith("/hook"):
                continue
            notice = json.loads(body)
            if notice["id"] in self._ids:
                self.twice += 1
                continue
            self._ids.add(notice["id"])
            for change in (*notice["broke"], *notice["healed"], *notice["changed"]):
                now = {"TLSv1.1 now offered": True, "TLSv1.1 no longer offered": False}
                offered = now[change["says"]]
                assert self.told[change["endpoint"]] is not offered, "told twice"
                self.told[change["endpoint"]] = offered

    @contextlib.contextmanager
    def started(self) -> Iterator[subprocess.Popen[str]]:
        """A night in a process of its own, which is over at the end of this, whatever comes."""
        process = subprocess.Popen(
            [*TLSCHECK, *NIGHT], cwd=self.place, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        with process:
            try:
                yield process
            finally:
                process.kill()

    def reports(self) -> dict[str, dict[str, Any]]:
        """All that is there, each file held to what it must be."""
        found: dict[str, dict[str, Any]] = {}
        for path in (self.place / "reports").iterdir():
            assert path.stat().st_mode & 0o777 == 0o600, path
            if LEFT.fullmatch(path.name):
                continue
            found[path.name] = json.loads(path.read_bytes())
            jsonschema.validate(found[path.name], SCHEMA)
            store.read(path)
        state.read(self.place / "reports")
        metrics = self.place / "out" / "tlscheck.prom"
        if metrics.exists():
            text = metrics.read_text()
            assert text.endswith("\n") and "\ntlscheck_endpoints 6\n" in text
        return found

    def journals(self) -> list[list[dict[str, Any]]]:
        """The whole lines of each journal, read independently of the program."""
        found = []
        for path in (self.place / "reports").glob(".journal-*.jsonl"):
            *lines, _ = path.read_text().split("\n")
            found.append([json.loads(line) for line in lines])
        return found

    def whole_night(self) -> None:
        """The night after: it goes on from the journal and asks nobody again who is done, and
        then everything has been told."""
        before, left, came = self.reports(), self.journals(), self.servers.came()
        done = run(*NIGHT, cwd=self.place)
        assert done.returncode == 0, (done.returncode, done.stderr)
        result = json.loads(done.stdout)
        assert result["complete"] and result["status"] == 0 and result["problems"] == []
        after = self.reports()
        (name,) = after.keys() - before.keys()
        report = after[name]
        assert report["run"]["complete"] and [e["id"] for e in report["endpoints"]] == NAMES
        assert {p.name for p in (self.place / "reports").iterdir()} == {
            ".lock", ".state.json", *after,
        }  # fmt: skip
        kept = {other["run"]["id"] for other in before.values()}
        if left and left[0][0]["run"] not in kept:
            [[head, *finished]] = left
            going_on = GOING_ON.fullmatch(done.stderr)
            assert going_on, done.stderr
            assert going_on.groups() == (head["run"], head["started"], str(len(finished)))
            assert report["run"]["id"] == head["run"]
            now = self.servers.came()
            known = {endpoint["id"]: endpoint for endpoint in report["endpoints"]}
            for endpoint in finished:
                assert now[endpoint["id"]] == came[endpoint["id"]], "asked again"
                assert known[endpoint["id"]] == endpoint
        else:
            assert done.stderr == ""
        self.listen()
        assert self.told == self.truth


def kills(place: Path, times: int, seed: int) -> str:
    """Kill so many nights, and hold each and the one after it to what is promised; the figures."""
    chance = random.Random(seed)
    points: Counter[str] = Counter()
    with (
        town(place / "town", **dict.fromkeys(NAMES, STEADY)) as servers,
        listener([]) as (url, heard),
    ):
        (place / "e.toml").write_text(servers.data_file(NAMES))
        (place / "ca.pem").write_bytes(servers.bundle.read_bytes())
        configured(place, "[notify]", f'webhook = "{url}/hook"', f'ping = "{url}/ping"')
        (place / "reports").mkdir(mode=0o700)
        nights = Nights(place, servers, heard)
        nights.whole_night()
        began = time.monotonic()
        nights.whole_night()
        longest = time.monotonic() - began
        try:
            for _ in range(10 * times):  # some end before they can be killed
                if points.total() == times:
                    break
                if chance.random() < 0.5:
                    nights.change(chance.choice(NAMES))
                _one(nights, chance, longest, points)
            assert points.total() == times
        except AssertionError as fault:
            fault.add_note(f"seed {seed}, after {dict(points)}")
            raise
        took = time.monotonic() - began
    parts = ", ".join(f"{count} {point}" for point, count in sorted(points.items()))
    return (
        f"{times} kills in {took:.0f} s, a night takes {longest:.1f} s: {parts}; "
        f"{nights.twice} notices came twice, with the same id"
    )


def _one(nights: Nights, chance: random.Random, longest: float, points: Counter[str]) -> None:
    before = nights.reports()
    how = chance.choice(["time", "time", "journal", "report", "hook"])
    enough = chance.randrange(7)
    with nights.started() as process:
        if how == "journal":
            _until(process, lambda: any(len(lines) > enough for lines in nights.journals()))
        elif how == "report":
            _until(process, lambda: len(list(nights.place.glob("reports/2*.json"))) > len(before))
        elif how == "hook":
            _until(process, lambda: any(path.endswith("/hook") for path, _ in nights._heard))
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(chance.uniform(0, longest if how == "time" else 0.02))
        process.kill()
        _, err = process.communicate()
    assert "Traceback" not in err, err
    if process.returncode == -signal.SIGKILL:  # and it had not ended before
        after = nights.reports()
        assert any(report["run"]["complete"] for report in after.values())
        remembered = state.read(nights.place / "reports")
        assert remembered
        left = nights.journals()
        if after.keys() - before.keys():
            new = after[max(after.keys() - before.keys())]["run"]["id"]
            points["after all was told" if remembered.run.run == new else "report kept"] += 1
        else:
            points[f"{len(left[0]) - 1} of 6" if left else "no journal"] += 1
    nights.whole_night()


def _until(process: subprocess.Popen[str], happened: Callable[[], bool]) -> None:
    ends = time.monotonic() + LONGEST
    while process.poll() is None:
        if time.monotonic() > ends:
            raise AssertionError(f"a night took more than {LONGEST:g} s")
        time.sleep(0.002)
        with contextlib.suppress(FileNotFoundError, ValueError):
            if happened():
                return
