"""The nouns of tlscheck: endpoints, what was observed of them, and what was judged.

Pure data. `Report` and everything below it has the shape of the file format
`tlscheck-report/1`; changing a field name here changes that format.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

Answer = Literal["yes", "no", "unknown"]
Order = Literal["server", "client"]
Depth = Literal["quick", "standard", "deep"]
"""How much a run asks, the least first; each asks all that the one before does."""
Verdict = Literal["pass", "exceeds", "warn", "fail", "inconclusive", "not_applicable", "waived"]

# Worst first: how a set of verdicts is ranked when one line must stand for them all.
VERDICTS: tuple[Verdict, ...] = (
    "fail",
    "inconclusive",
    "warn",
    "exceeds",
    "pass",
    "waived",
    "not_applicable",
)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A row of the data files: one host name and port that serves STS or IAM.

    `addresses` pins the targets (no DNS is asked when it is not empty), `server_name` is the
    name sent in the hello and `verify_name` the one its certificate must carry, both `host`
    when not given. `alias_of` is the id of the canonical row of the same host.
    """

    id: str
    service: str
    partition: str
    region: str
    variant: str
    host: str
    port: int = 443
    tier: str = "custom"
    opt_in: Answer = "unknown"
    ip: Literal["ipv4", "dualstack", "ipv6"] = "ipv4"
    description: str = ""
    addresses: tuple[str, ...] = ()
    server_name: str | None = None
    verify_name: str | None = None
    alias_of: str | None = None
    deprecated: bool = False
    documented: Answer = "unknown"
    documented_in: tuple[str, ...] = ()
    signing_region: str | None = None
    serves_regions: tuple[str, ...] = ()
    note: str = ""

    @property
    def sni(self) -> str:
        """The name to send in the hello."""
        return self.server_name or self.host


@dataclass(frozen=True, slots=True)
class Target:
    """One address of an endpoint, the unit that is probed."""

    endpoint: Endpoint
    address: str
    pinned: bool = False


@dataclass(frozen=True, slots=True)
class Protocol:
    """What one protocol version of one target turned out to be.

    `why` says how a `no` was learned and why an `unknown` is one; beside a `yes` it says what
    of the lists could not be learned (`None`: they are complete). `suites` and `groups` are
    IANA names, in the server's order where it has one, else in the registry's.
    """

    offered: Answer
    why: str | None = None
    suites: tuple[str, ...] = ()
    order: Order | None = None
    groups: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TargetReport:
    """All observations of one target. `reachable` is about TCP on the endpoint's port."""

    address: str
    reachable: Answer
    why: str | None
    connections: int
    protocols: dict[str, Protocol] = field(default_factory=dict)
    certificates: tuple[dict[str, Any], ...] = ()
    https: dict[str, Any] = field(default_factory=dict)
    http: dict[str, Any] = field(default_factory=dict)
    features: dict[str, Any] = field(default_factory=dict)
    deep: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class EndpointReport:
    """One endpoint with the reports of its targets; `mixed` when they differ."""

    id: str
    service: str
    partition: str
    region: str
    variant: str
    host: str
    port: int
    mixed: bool
    targets: tuple[TargetReport, ...]


@dataclass(frozen=True, slots=True)
class Finding:
    """One rule held against one endpoint."""

    endpoint: str
    policy: str
    rule: str
    verdict: Verdict
    saw: str
    because: str


@dataclass(frozen=True, slots=True)
class Tool:
    """The program that made a report."""

    name: str
    version: str


@dataclass(frozen=True, slots=True)
class Run:
    """How a report was made. Times are UTC, RFC 3339; `complete` is false when interrupted;
    reports from before `depth` was recorded do not have it."""

    # A run that was cut short and gone on with is one run: `id` and `started` are those of its
    # first start, so that nothing was seen before `started` or after `finished`; `connections` are
    # all that the report rests on, whichever start made them.
    id: str
    started: str
    finished: str
    complete: bool
    connections: int
    depth: Depth | None = None


@dataclass(frozen=True, slots=True)
class PolicyUse:
    """A policy that a report was judged by, and the date it was judged for (ISO 8601)."""

    id: str
    as_of: str


@dataclass(frozen=True, slots=True)
class Report:
    """One run: observations, findings, and how they were made (`tlscheck-report/1`)."""

    schema: Literal["tlscheck-report/1"]
    tool: Tool
    run: Run
    policies: tuple[PolicyUse, ...]
    endpoints: tuple[EndpointReport, ...]
    findings: tuple[Finding, ...]
    summary: dict[Verdict, int]


def worst(verdicts: tuple[Verdict, ...]) -> Verdict:
    """The verdict that stands for all of `verdicts`; `not_applicable` when there are none."""
    return min(verdicts, key=VERDICTS.index, default="not_applicable")
