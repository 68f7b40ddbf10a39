"""`python -m tests.nights kills|races|faults|planted|year`: the long way, with figures."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from . import faults, kills, planted, races, year


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.nights", description=__doc__)
    parser.add_argument("what", choices=("kills", "races", "faults", "planted", "year"))
    parser.add_argument("--times", type=int, help="kills, 200 by default; races, 100; planted, 1")
    parser.add_argument("--seed", type=int, default=4)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        if given.what == "kills":
            print(kills.kills(place, given.times or 200, given.seed))
        elif given.what == "races":
            print(races.races(place, given.times or 100, given.seed))
        elif given.what == "faults":
            print(faults.faults(place))
        elif given.what == "year":
            print(year.year(place, given.seed))
        else:
            return _planted(place, given.times or 1)
    return 0


def _planted(place: Path, times: int) -> int:
    wrong = 0
    for nth in range(times):
        for resets in (0.0, 0.3):
            for depth in ("quick", "standard"):
                here = place / f"{nth}-{resets}-{depth}"
                here.mkdir()
                found = planted.two_nights(here, resets=resets, depth=depth, only=planted.PLANTS)
                said = found or [f"the {len(planted.PLANTS)} plants, and nothing else"]
                print(f"{resets:.0%} resets, {depth}:", *said, sep="\n  ", flush=True)
                wrong += len(found)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
