"""A scan of one real server, in this process, with all that `standard` looks at."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from tlscheck.core.model import Endpoint, Target, TargetReport
from tlscheck.io import chains, https, tcp
from tlscheck.scan import Limits, Resolved, World, scan


def observed(
    address: str,
    port: int,
    name: str,
    *,
    ca_bundle: Path | None = None,
    at: datetime | None = None,
    quick: bool = False,
    limits: Limits | None = None,
    more: Callable[[World], None] = lambda world: None,
) -> TargetReport:
    """The report of one target; `at` is what its certificates are judged by."""

    async def resolve(endpoint: Endpoint) -> Resolved:
        return Resolved((address,), pinned=True)

    def read(target: Target, sent: Any, answered: Any) -> tuple[dict[str, Any], ...]:
        moment = at or datetime.now(UTC)
        return chains.read(target, sent, answered, ca_bundle=ca_bundle, now=moment)

    async def main() -> TargetReport:
        endpoint = Endpoint("one", "sts", "custom", "-", "standard", name, port)
        world = World(resolve, tcp.exchange, time.monotonic, os.urandom, limits=limits or Limits())
        if not quick:
            world.certificates = read
            world.https = partial(https.check, ca_bundle=ca_bundle, timeout=10.0)
        more(world)
        (report,), _ = await scan([endpoint], world, asyncio.Event())
        return report.targets[0]

    return asyncio.run(main())
