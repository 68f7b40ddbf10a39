"""A year of nights of the whole catalog, with changes planted: each is found on its night."""

from __future__ import annotations

import copy
import json
import os
import random
import subprocess
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pydantic_core import from_json

from tests.cli.program import TLSCHECK
from tlscheck.io import catalog

NIGHTS = 365
FIRST = datetime(2025, 11, 25, 2, tzinfo=UTC)
SAMPLE = Path(__file__).resolve().parents[2] / "reports" / "sample.json"
NORMAL = "sts:aws:us-west-1:standard"  # in the sample
MOST_BYTES, MOST_SECONDS, TRIES = 300e6, 3.0, 3
MOST_TIMES = 4.0  # as long as reading the same reports, on a machine that is slow: 2.5 as a rule
MOST_WALL = 120.0  # seconds, on a machine that does other things

Protocols = dict[str, dict[str, Any]]


def _offers_11(told: Protocols) -> None:
    told["TLSv1.1"] |= {"offered": "yes", "suites": told["TLSv1.2"]["suites"][2:3]}


def _loses_a_suite(told: Protocols) -> None:
    told["TLSv1.2"]["suites"].pop()


def _loses_13(told: Protocols) -> None:
    told["TLSv1.3"] |= {"offered": "no", "why": "alert", "suites": [], "order": None, "groups": []}


def _gains_a_group(told: Protocols) -> None:
    told["TLSv1.3"]["groups"].append("X25519MLKEM768")


PLANTS: dict[str, Callable[[Protocols], None]] = {
    "TLSv1.1 now offered": _offers_11,
    "TLSv1.2 suites: -": _loses_a_suite,
    "TLSv1.3 no longer offered": _loses_13,
    "TLSv1.3 groups: +X25519MLKEM768": _gains_a_group,
}


def year(place: Path, seed: int) -> str:
    """Plant forty changes in a year, and hold its history to them; the figures."""
    chance = random.Random(seed)
    reports = place / "reports"
    reports.mkdir(mode=0o700)
    planted = _write(reports, chance)
    size = sum(path.stat().st_size for path in reports.iterdir())
    assert size < MOST_BYTES, size
    for _ in range(TRIES):  # what else the machine does may fall on one of the two
        least = _read(reports)
        out, wall, spent = _history(place)
        if spent < max(MOST_SECONDS, MOST_TIMES * least):
            break
    assert spent < max(MOST_SECONDS, MOST_TIMES * least), (spent, least)
    found = json.loads(out)
    named = [(e["night"], e["change"]["endpoint"], e["change"]["says"]) for e in found["events"]]
    assert found["nights"] == NIGHTS and len(named) == len(planted)
    for (night, name, says), plant in zip(named, sorted(planted), strict=True):
        assert (night, name) == plant[:2] and says.startswith(plant[2]), (says, plant)
    return (
        f"{NIGHTS} nights, {size / 1e6:.0f} MB; {len(named)} changes, each on its night, "
        f"in {wall:.1f} s ({spent:.1f} s of work)"
    )


def _read(reports: Path) -> float:
    """Seconds of work to read all reports as JSON: how fast this machine is at the moment."""
    began = time.process_time()
    for path in reports.iterdir():
        from_json(path.read_bytes())
    return time.process_time() - began


def _history(place: Path) -> tuple[bytes, float, float]:
    """What `tlscheck history` says of the reports there, in how many seconds, and of work."""
    began = time.monotonic()
    child = subprocess.Popen([*TLSCHECK, "history", "--format", "json"], cwd=place,
                             stdout=subprocess.PIPE)  # fmt: skip
    assert child.stdout
    timer = threading.Timer(MOST_WALL, child.kill)
    timer.start()
    out = child.stdout.read()
    _, status, used = os.wait4(child.pid, 0)
    timer.cancel()
    child.returncode = os.waitstatus_to_exitcode(status)
    assert child.returncode == 0
    return out, time.monotonic() - began, used.ru_utime + used.ru_stime


def _write(reports: Path, chance: random.Random) -> list[tuple[str, str, str]]:
    """The reports of a year; night, endpoint and first words of each change in it."""
    report = json.loads(SAMPLE.read_text())
    normal = next(e for e in report["endpoints"] if e["id"] == NORMAL)
    rows = catalog.select(catalog.load(sorted(catalog.builtin_directory().glob("*.toml"))))
    report["findings"], report["run"]["id"] = [], "@RUN@"
    report["run"]["started"] = report["run"]["finished"] = "@WHEN@"
    report["endpoints"] = [
        copy.deepcopy(normal) | {"id": row.id, "host": row.host, "region": row.region}
        for row in rows
    ]
    chosen = chance.sample(range(len(rows)), 40)
    nights = {at: chance.randrange(1, NIGHTS) for at in chosen}
    planted, text, same = [], "", False
    for nth in range(NIGHTS):
        when = FIRST + timedelta(days=nth)
        today = [at for at in chosen if nights[at] == nth]
        for at in today:
            endpoint = report["endpoints"][at]
            says, plant = chance.choice(list(PLANTS.items()))
            plant(endpoint["targets"][0]["protocols"])
            planted.append((f"{when:%Y-%m-%dT%H:%M:%SZ}", endpoint["id"], says))
        blind = chance.sample(sorted(set(range(len(rows))) - set(today)), 3) if nth % 5 == 0 else []
        if today or blind or not same:
            text = json.dumps(_unseen(report, blind), separators=(",", ":"))
            same = not blind
        name = f"{when:%Y%m%dT%H%M%SZ}-{nth:08x}.json"
        dated = text.replace("@RUN@", f"{nth:08x}").replace("@WHEN@", f"{when:%Y-%m-%dT%H:%M:%SZ}")
        (reports / name).write_text(dated)
    return planted


def _unseen(report: dict[str, Any], blind: list[int]) -> dict[str, Any]:
    """The report of a night that has not seen these endpoints."""
    seen = report | {"endpoints": list(report["endpoints"])}
    for at in blind:
        endpoint = copy.deepcopy(report["endpoints"][at])
        for told in endpoint["targets"][0]["protocols"].values():
            told |= {"offered": "unknown", "why": "time-out", "suites": [], "order": None,
                     "groups": []}  # fmt: skip
        seen["endpoints"][at] = endpoint
    return seen
