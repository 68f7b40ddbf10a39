"""What is remembered from night to night: the last sight of every topic (`tlscheck-state/1`). Pure.

Of two reports alone, neither tells what changed behind a night without sight: from seen to unseen
is no change, and neither is the way back. So a night is held against the last sight of each topic,
however old it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from tlscheck.core.diff import (
    Document,
    Fact,
    Key,
    Side,
    View,
    asked_alike,
    between,
    changes,
    depth_of,
    diff,
    settled,
    view,
)
from tlscheck.core.model import Depth, PolicyUse, Tool


@dataclass(frozen=True, slots=True)
class Row:
    """An endpoint of the last report."""

    id: str
    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Sight:
    """The last sight of a topic of an endpoint: its fact, and whether the last report had it too
    (`seen`), or it is from a night before."""

    endpoint: str
    topic: str
    values: tuple[str, ...]
    whole: bool
    seen: bool


@dataclass(frozen=True, slots=True)
class Memory:
    """How the last report was made, and what is known as of it."""

    schema: Literal["tlscheck-state/1"]
    run: Side
    tool: Tool
    policies: tuple[PolicyUse, ...]
    endpoints: tuple[Row, ...]
    sights: tuple[Sight, ...]
    depth: Depth | None = None


def remember(
    report: Mapping[str, Any], before: Memory | None = None, now: View | None = None
) -> Memory:
    """What is known as of `report` (`tlscheck-report/1`), given what was known `before`; `now` is
    its view, where that is there already."""
    known = _known(before) if before else {}
    run, tool = report["run"], report["tool"]
    facts = view(report) if now is None else now
    return Memory(
        schema="tlscheck-state/1",
        run=Side(run["id"], run["started"], run["complete"]),
        tool=Tool(tool["name"], tool["version"]),
        policies=tuple(PolicyUse(p["id"], p["as_of"]) for p in report["policies"]),
        endpoints=tuple(Row(e["id"], e["host"], e["port"]) for e in report["endpoints"]),
        sights=tuple(_sight(key, known.get(key), fact) for key, fact in facts.items()),
        depth=depth_of(report),
    )


def _sight(key: Key, old: Fact | None, new: Fact) -> Sight:
    fact = settled(key[1], old, new)
    return Sight(*key, fact.values, fact.whole, new.whole)


def since(memory: Memory, report: Mapping[str, Any], now: View | None = None) -> Document:
    """What changed since: of the servers against their last sight, of sight against the last
    report. `now` is the report's view, where that is there already."""
    known, now = _known(memory), view(report) if now is None else now
    unseen = {(s.endpoint, s.topic) for s in memory.sights if not s.seen}
    last = {key: Fact(f.values, f.whole and key not in unseen) for key, f in known.items()}
    found = [c for c in changes(diff(known, now)) if c.weight != "sight"]
    seen_or_not = asked_alike(diff(last, now), memory.depth, depth_of(report))
    found += [c for c in changes(seen_or_not) if c.weight == "sight"]
    made = {
        "run": {"id": memory.run.run, "started": memory.run.started,
                "complete": memory.run.complete, "depth": memory.depth},
        "tool": asdict(memory.tool),
        "policies": [asdict(policy) for policy in memory.policies],
        "endpoints": [asdict(row) for row in memory.endpoints],
    }  # fmt: skip
    return between(made, report, found)


def _known(memory: Memory) -> dict[Key, Fact]:
    return {(s.endpoint, s.topic): Fact(s.values, s.whole) for s in memory.sights}
