"""`python -m tests.truth.nearly`: how often servers that are nearly equal are told apart.

Two servers behind one address, taken at random, that differ by one thing: simulated, in virtual
time, alone and beside neighbours like one of the two. What is false is a version that one of them
speaks and that is said not to be offered, or a list that is said to be whole and is not.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, replace

from tests.core.test_doubt import OLD, TLS13, server
from tests.core.test_explore import Profile
from tests.scan.test_paces import USUAL_ORDER
from tests.scan.virtual import Serve, Server, scanned_together
from tlscheck.core import registry
from tlscheck.core.model import EndpointReport
from tlscheck.core.registry import Version
from tlscheck.scan import Limits

SSL3, MAIN, NEW = Version.SSLv3, Version.TLSv1_2, Version.TLSv1_3
TOGETHER = 5  # unequal servers in one scan, beside nine that are equal


def one(*versions: Version, suites: tuple[int, ...] = USUAL_ORDER) -> Profile:
    """A server of these versions, with one curve."""
    return replace(server(suites, versions), curves=dict.fromkeys(versions, (23,)), fields=())


OLDEST, MODERN = one(*OLD), one(MAIN, NEW)
PAIRS = {
    "TLS 1.3, beside TLS 1.2": (one(MAIN), MODERN),
    "TLS 1.3, beside TLS 1.0 to 1.2": (OLDEST, one(*OLD, NEW)),
    "TLS 1.0 and 1.1": (MODERN, one(*OLD, NEW)),
    "TLS 1.1": (MODERN, one(*OLD[1:], NEW)),
    "SSLv3": (OLDEST, one(SSL3, *OLD)),
    "the first suite": (MODERN, one(MAIN, NEW, suites=USUAL_ORDER[1:])),
    "a suite in the middle": (MODERN, one(MAIN, NEW, suites=USUAL_ORDER[:5] + USUAL_ORDER[6:])),
    "the last suite": (MODERN, one(MAIN, NEW, suites=USUAL_ORDER[:-1])),
    "a suite of TLS 1.3": (MODERN, replace(MODERN, suites=MODERN.suites | {NEW: TLS13[:-1]})),
    "a group": (MODERN, replace(MODERN, curves=dict.fromkeys(MODERN.curves, (23, 24)))),
    "the order of six suites": (
        MODERN, one(MAIN, NEW, suites=USUAL_ORDER[5::-1] + USUAL_ORDER[6:])
    ),
}  # fmt: skip
Pair = tuple[Profile, Profile]


@dataclass(slots=True)
class Count:
    """Scans of unequal servers, those told apart, and those with a false verdict."""

    scans: int = 0
    mixed: int = 0
    false: int = 0

    def add(self, report: EndpointReport, pair: Pair) -> None:
        self.scans += 1
        self.mixed += report.mixed
        self.false += any(_false(report, pair))

    def __str__(self) -> str:
        return f"{self.mixed} of {self.scans}, {self.false} false"


def _false(report: EndpointReport, pair: Pair) -> Iterator[bool]:
    (target,) = report.targets
    for version in (SSL3, *OLD, NEW):
        said = target.protocols[version.label]
        every = {suite for one in pair for suite in one.suites.get(version, ())}
        groups = {group for one in pair for group in one.curves.get(version, ())}
        if said.offered == "no":
            yield bool(every)
        elif said.offered == "yes" and said.why is None and not report.mixed:
            yield not {registry.suite_name(suite) for suite in every} <= set(said.suites)
            if version >= MAIN:
                yield not {registry.group_name(group) for group in groups} <= set(said.groups)


def _unequal(pair: Pair, seed: int) -> Serve:
    return Server(pair[0], seed, other=pair[1])


def alone(name: str, runs: int) -> Count:
    """`runs` scans of one unequal pair, quick, with nothing beside it."""
    count = Count()
    for run in range(runs):
        (report,), _ = scanned_together([_unequal(PAIRS[name], run)])
        count.add(report, PAIRS[name])
    return count


def beside(name: str, runs: int, *, features: bool) -> Count:
    """`TOGETHER` times as many, each beside nine servers like one of the two."""
    count, pair, limits = Count(), PAIRS[name], Limits.of("normal", 60)
    for run in range(runs):
        odd = [_unequal(pair, TOGETHER * run + n) for n in range(TOGETHER)]
        equal: list[Serve] = [Server(pair[run % 2]) for _ in range(9)]
        reports, _ = scanned_together([*equal, *odd], limits, features=features)
        for report in reports[9:]:
            count.add(report, pair)
    return count


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.truth.nearly", description=__doc__)
    parser.add_argument("--runs", type=int, default=40, help="of each pair (default 40)")
    runs = parser.parse_args().runs
    print("| what differs | alone, quick | beside neighbours, quick | the same, standard |")
    print("|---|--:|--:|--:|")
    sums = [Count(), Count(), Count()]
    for name in PAIRS:
        row = [alone(name, runs), beside(name, runs, features=False),
               beside(name, runs, features=True)]  # fmt: skip
        for total, count in zip(sums, row, strict=True):
            total.scans += count.scans
            total.mixed += count.mixed
            total.false += count.false
        print(f"| {name} | " + " | ".join(map(str, row)) + " |", flush=True)
    print("| all | " + " | ".join(map(str, sums)) + " |")


if __name__ == "__main__":
    main()
