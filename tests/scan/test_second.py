"""A second opinion is asked last, and a disagreement is settled by a probe, whoever is right."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from tests.core.test_explore import Profile
from tests.scan import virtual
from tlscheck.core.model import Endpoint, Target, TargetReport
from tlscheck.core.registry import Version, suite_by_name
from tlscheck.core.reply import Hello, Reply, Silent
from tlscheck.scan import Resolved, World, scan
from tlscheck.scan.second import LEAST, MOST, second

A, B = "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "TLS_RSA_WITH_AES_128_GCM_SHA256"
C = "TLS_RSA_WITH_AES_256_GCM_SHA384"


def codes(*names: str) -> tuple[int, ...]:
    return tuple(suite_by_name(name).code for name in names)


def seen(
    said: dict[str, Any], serve: Any, *, waited: float = 0.0, took: float = 0.0
) -> tuple[TargetReport, list[str]]:
    order: list[str] = []

    async def dial(
        target: Target, hello: Hello, random: bytes, *, connect: float, read: float
    ) -> Reply:
        order.append("probe")
        return await serve(hello, read)  # type: ignore[no-any-return]

    async def deep(target: Target, begin: Callable[[], float]) -> dict[str, Any]:
        await asyncio.sleep(waited)
        assert LEAST <= begin() <= MOST
        order.append("deep")
        await asyncio.sleep(took)
        return {**said}

    async def resolve(endpoint: Endpoint) -> Resolved:
        return Resolved(("192.0.2.1",))

    async def main() -> TargetReport:
        loop = asyncio.get_running_loop()
        world = World(resolve, dial, loop.time, bytes, deep=deep)
        endpoint = Endpoint("e", "sts", "custom", "-", "standard", "e.example")
        (report,), _ = await scan([endpoint], world, asyncio.Event())
        return report.targets[0]

    return virtual.run(main()), order


def opinion(accepted: list[str], refused: list[str]) -> dict[str, Any]:
    theirs = {"answer": "yes", "why": None, "accepted": accepted, "refused": refused}
    return {"outcome": "yes", "why": None, "versions": {"TLSv1.2": theirs}}


X25519 = 0x1D
TWO = Profile({Version.TLSv1_2: codes(A, B)}, {Version.TLSv1_2: (X25519,)}, (), True)
THREE = Profile({Version.TLSv1_2: codes(A, B, C)}, {Version.TLSv1_2: (X25519,)}, (), True)


def test_it_is_asked_last_and_agrees() -> None:
    target, order = seen(opinion([A, B], [C]), virtual.Server(TWO))
    assert order[-1] == "deep" and order.count("deep") == 1
    assert target.deep and target.deep["compared"]["TLSv1.2"]["answer"] == "agree"
    assert "versions" not in target.deep and "mixed" not in target.features
    assert target.deep["compared"]["TLSv1.3"]["answer"] == "not comparable"


def test_where_theirs_is_wrong_a_probe_says_so_and_nothing_else_changes() -> None:
    target, order = seen(opinion([C], [A, B]), virtual.Server(TWO))
    assert target.deep
    said = target.deep["compared"]["TLSv1.2"]
    assert said["answer"] == "disagree" and (said["only_ours"], said["only_theirs"]) == (
        [A, B],
        [C],
    )
    assert said["confirmed"] == {A: "ours", B: "ours", C: "ours"}
    assert target.protocols["TLSv1.2"].suites == (A, B) and "mixed" not in target.features
    assert order[-3:] == ["probe"] * 3


def test_where_ours_is_wrong_the_report_does_not_stay_wrong() -> None:
    """A server that shows a suite only after the second opinion has been asked."""
    before, after = virtual.Server(TWO), virtual.Server(THREE)
    asked: list[bool] = []

    async def serve(hello: Hello, wait: float) -> Reply:
        alone = hello.suites == codes(C)
        asked.append(alone)
        return await (after if alone else before)(hello, wait)

    target, _ = seen(opinion([A, B, C], []), serve)
    assert target.deep and target.deep["compared"]["TLSv1.2"]["confirmed"] == {C: "theirs"}
    found = target.protocols["TLSv1.2"]
    assert C in found.suites and found.why and found.order is None
    assert target.features["mixed"] == f"TLSv1.2: {C} is refused and picked"


@pytest.mark.parametrize(
    ("waited", "took", "confirmed"), [(300.0, 20.0, "ours"), (0.0, 61.0, "nobody knows")]
)
def test_its_time_is_the_targets_but_not_its_wait_for_a_turn(
    waited: float, took: float, confirmed: str
) -> None:
    target, _ = seen(opinion([C], [A, B]), virtual.Server(TWO), waited=waited, took=took)
    assert target.deep
    assert set(target.deep["compared"]["TLSv1.2"]["confirmed"].values()) == {confirmed}


@pytest.mark.parametrize("said", [{"outcome": "unknown", "why": "killed after 60 s"}, {}])
def test_no_opinion_changes_nothing(said: dict[str, Any]) -> None:
    target, _ = seen(said, virtual.Server(TWO))
    assert target.deep == said and target.protocols["TLSv1.2"].suites == (A, B)


def test_a_silent_target_is_not_asked() -> None:
    async def serve(hello: Hello, wait: float) -> Reply:
        await asyncio.sleep(wait)
        return Silent("read")

    target, order = seen(opinion([A], []), serve)
    assert "deep" not in order
    assert target.deep and target.deep["outcome"] == "unknown"
    assert "not asked" in target.deep["why"]


@pytest.mark.parametrize(("left", "given"), [(4.0, None), (12.0, 12.0), (60.0, MOST)])
def test_it_has_no_more_time_than_the_target_has_left(left: float, given: float | None) -> None:
    asked = list[float]()

    async def ask(target: Target, begin: Callable[[], float]) -> dict[str, Any]:
        asked.append(begin())
        return {"outcome": "unknown", "why": "killed"}

    world = SimpleNamespace(clock=lambda: 0.0)
    prober: Any = SimpleNamespace(
        stopped=None, answered=True, left=left, world=world, spare=lambda seconds: None
    )
    target = Target(Endpoint("e", "sts", "custom", "-", "standard", "e.example"), "192.0.2.1")
    said, _, _ = asyncio.run(second(ask, prober, target, ()))
    assert asked == ([given] if given else [])
    assert given or "4 s are left of the target's deadline" in said["why"]
