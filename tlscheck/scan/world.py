"""What a scan needs from outside: network, clock, randomness, and the limits it keeps to."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from tlscheck.core.features import Chain
from tlscheck.core.model import Endpoint, EndpointReport, Target
from tlscheck.core.reply import Hello, Reply


class Dial(Protocol):
    """Asks one hello of a target: `io.tcp.exchange`."""

    def __call__(
        self, target: Target, hello: Hello, random: bytes, *, connect: float, read: float
    ) -> Awaitable[Reply]: ...


@dataclass(frozen=True, slots=True)
class Resolved:
    """What a look-up gave: addresses, or why there are none. `skipped` are those not to be asked,
    with why."""

    addresses: tuple[str, ...] = ()
    why: str | None = None
    pinned: bool = False
    skipped: tuple[tuple[str, str], ...] = ()
    unseen: tuple[str, ...] = ()  # why there may be more addresses, which nobody could see


Check = Callable[[Target], Awaitable[dict[str, Any]]]
"""One more observation of a target, ready for the report."""

Deep = Callable[[Target, Callable[[], float]], Awaitable[dict[str, Any]]]
"""A second opinion of a target. What it is given is called when its turn has come, and says how
many seconds it has."""

Read = Callable[[Target, tuple[Chain, ...], dict[str, Any]], tuple[dict[str, Any], ...]]
"""Chains, and what the HTTPS check has said, to the report's `certificates`."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of a run. Times are seconds."""

    at_once: int = 1200  # connections of the whole run
    per_target: int = 12  # connections to one address
    guess: bool = True  # ask ahead what a server's first replies make likely
    again: bool = True  # ask again what nothing speaks against
    early: bool = False  # of a server that has said nothing yet, too
    connect: float = 5.0
    read: float = 5.0
    patience: float = 31.0  # the longest read, for a server that answers other hellos
    deadline: float = 60.0  # of one target, from its first connection on
    budget: int = 1500  # connections to one target
    features: int = 13  # of these, for features; a healthy target takes no more

    @classmethod
    def of(cls, pace: str, deadline: float) -> Limits:
        """Those of a pace: "gentle" spends the fewest connections, "normal" and "fast" less time.
        What is found is the same."""
        many = {"gentle": 2, "normal": 12, "fast": 32}[pace]
        gentle, fast = pace == "gentle", pace == "fast"
        return cls(
            per_target=many, guess=not gentle, again=not gentle, early=fast, deadline=deadline
        )


@dataclass(slots=True)
class World:
    """All that a scan needs from outside."""

    resolve: Callable[[Endpoint], Awaitable[Resolved]]
    dial: Dial
    clock: Callable[[], float]
    random: Callable[[int], bytes]
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    https: Check | None = None
    http: Check | None = None
    certificates: Read | None = None  # without it no features are asked for
    deep: Deep | None = None
    limits: Limits = field(default_factory=Limits)
    progress: Callable[[int, int, int], None] = lambda done, total, connections: None
    finished: Callable[[EndpointReport], None] = lambda report: None  # not told when interrupted
