"""Two nights started at once: one of them writes, and the other ends with 4 before it is done."""

from __future__ import annotations

import contextlib
import json
import random
import re
import time
from pathlib import Path

from .kills import NAMES, Nights
from .town import STEADY, town

LONGEST = 20.0  # seconds that a loser may take


def races(place: Path, times: int, seed: int) -> str:
    """Hold so many races to what is promised; the figures."""
    chance = random.Random(seed)
    slowest, began = 0.0, time.monotonic()
    with town(place / "town", **dict.fromkeys(NAMES, STEADY)) as servers:
        (place / "e.toml").write_text(servers.data_file(NAMES))
        (place / "ca.pem").write_bytes(servers.bundle.read_bytes())
        (place / "reports").mkdir(mode=0o700)
        nights = Nights(place, servers, [])
        for _ in range(times):
            before = nights.reports()
            with contextlib.ExitStack() as stack:
                with servers.held():  # nobody is done before the loser is
                    started = time.monotonic()
                    racers = [stack.enter_context(nights.started())]
                    # What is tried is the second start at any moment of the first one's.
                    time.sleep(chance.choice([0, 0, 0.001, 0.01, 0.05]))
                    racers.append(stack.enter_context(nights.started()))
                    while all(racer.poll() is None for racer in racers):
                        assert time.monotonic() - started < LONGEST, "neither has given way"
                        time.sleep(0.002)  # between looks, until one has ended by itself
                    slowest = max(slowest, time.monotonic() - started)
                said = [racer.communicate(timeout=LONGEST) for racer in racers]
            out, err = zip(*said, strict=True)
            status = [racer.returncode for racer in racers]
            assert sorted(status) == [0, 4], (status, err)
            loser = status.index(4)
            winner = racers[1 - loser].pid
            refused = json.loads(out[loser])
            (problem,) = refused["problems"]
            # At the very first moment the winner has not yet said who it is.
            assert re.fullmatch(
                rf"another run( \(process {winner}\))? is writing to reports", problem
            )
            assert refused["status"] == 4
            assert err[loser] == f"tlscheck: {problem}\n" and err[1 - loser] == ""
            after = nights.reports()
            (new,) = after.keys() - before.keys()
            assert json.loads(out[1 - loser])["report"] == f"reports/{new}"
            assert after[new]["run"]["complete"]
    took = time.monotonic() - began
    return f"{times} races in {took:.0f} s, each won by one; the slowest loser took {slowest:.2f} s"
