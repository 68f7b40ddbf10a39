"""Unequal servers behind one address are flagged by the whole scan, at every pace that guesses."""

from __future__ import annotations

import asyncio
import random

import pytest

from tests.core.test_doubt import UNEQUAL
from tests.scan.virtual import ROUND_TRIP, plainly, scanned
from tlscheck.core import registry
from tlscheck.core.reply import Hello, Reply
from tlscheck.scan import Limits

SEEDS = 40


@pytest.mark.parametrize("pace", ["normal", "fast"])
@pytest.mark.parametrize("name", UNEQUAL)
def test_two_at_random_are_flagged_and_nothing_is_made_up(name: str, pace: str) -> None:
    pair, unseen = UNEQUAL[name], []
    for seed in range(SEEDS):
        chance = random.Random(seed)

        async def serve(hello: Hello, wait: float, chance: random.Random = chance) -> Reply:
            profile = pair[chance.random() < 0.5]
            await asyncio.sleep(ROUND_TRIP)
            return plainly(profile, hello)

        report = scanned(serve, Limits.of(pace, 60)).endpoint
        if not report.mixed:
            unseen.append(seed)
            continue
        for label, found in report.targets[0].protocols.items():
            version = registry.VERSION_BY_LABEL[label]
            either = {s for profile in pair for s in profile.suites.get(version, ())}
            assert set(found.suites) <= {registry.suite_name(s) for s in either}, (seed, label)
            assert found.offered != ("no" if either else "yes"), (seed, label)
    assert not unseen
