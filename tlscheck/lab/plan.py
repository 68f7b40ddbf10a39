"""Which stand-in answers where, and which of them misbehaves how. Pure data.

Most stations speak TLS as AWS documents it today. A few, always the same ones for the same
catalog, carry a planted deviation: what a scan must find, and the verdict it must come to.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from tlscheck.core.model import Endpoint, Verdict

Manner = Literal["tls", "reset", "silent", "closed", "plain"]
Certificate = Literal["good", "wrong-name", "expired", "self-signed"]
Version = Literal["TLSv1.0", "TLSv1.1", "TLSv1.2", "TLSv1.3"]


@dataclass(frozen=True, slots=True)
class Profile:
    """How one address behaves: `tls` within [`lowest`, `highest`], or not at all."""

    manner: Manner = "tls"
    lowest: Version = "TLSv1.2"
    highest: Version = "TLSv1.3"
    certificate: Certificate = "good"


@dataclass(frozen=True, slots=True)
class Deviation:
    """A planted deviation; `expected` is the worst verdict under the policy `aws-iam-2020`.

    `profiles` holds one entry for every address the station answers on.
    """

    id: str
    description: str
    expected: Verdict
    profiles: tuple[Profile, ...]


@dataclass(frozen=True, slots=True)
class Station:
    """One endpoint's stand-in: its loopback addresses and what was planted there, if anything."""

    endpoint: Endpoint
    addresses: tuple[str, ...]
    deviation: Deviation | None = None

    @property
    def profiles(self) -> tuple[Profile, ...]:
        """How each of `addresses` behaves, in the same order."""
        return self.deviation.profiles if self.deviation else (NORMAL,)


NORMAL = Profile()
"""As AWS documents it today: TLS 1.2 and 1.3."""

NORMAL_EXPECTED: Verdict = "exceeds"
"""What `aws-iam-2020` says of a normal station: TLS 1.3 on offer, TLS 1.1 no longer."""

TLS10_OFFERED = Deviation(
    "tls10-offered",
    "offers TLS 1.0 beside TLS 1.1, 1.2 and 1.3",
    "fail",
    (Profile(lowest="TLSv1.0"),),
)
RESETS = Deviation(
    "resets",
    "resets every connection after the hello",
    "inconclusive",
    (Profile("reset"),),
)
ONLY_TLS11 = Deviation(
    "only-tls11",
    "offers TLS 1.1 and nothing else",
    "fail",
    (Profile(lowest="TLSv1.1", highest="TLSv1.1"),),
)
EXPIRED = Deviation(
    "expired-certificate",
    "shows a certificate that has expired",
    "fail",
    (Profile(certificate="expired"),),
)
ADDRESSES_DIFFER = Deviation(
    "addresses-differ",
    "has two addresses, and one of them also offers TLS 1.0 and 1.1",
    "fail",
    (NORMAL, Profile(lowest="TLSv1.0")),
)
SILENT = Deviation(
    "silent",
    "accepts connections and never answers",
    "inconclusive",
    (Profile("silent"),),
)
WRONG_NAME = Deviation(
    "wrong-name",
    "shows a certificate that is for another name",
    "fail",
    (Profile(certificate="wrong-name"),),
)
AS_DOCUMENTED_2020 = Deviation(
    "as-documented-2020",
    "offers TLS 1.1 and 1.2, exactly as documented in 2020",
    "pass",
    (Profile(lowest="TLSv1.1", highest="TLSv1.2"),),
)
PORT_CLOSED = Deviation(
    "port-closed",
    "refuses connections",
    "inconclusive",
    (Profile("closed"),),
)
NOT_TLS = Deviation(
    "not-tls",
    "answers plain HTTP where TLS is expected",
    "inconclusive",
    (Profile("plain"),),
)
SELF_SIGNED = Deviation(
    "self-signed",
    "shows a certificate that no authority has signed",
    "fail",
    (Profile(certificate="self-signed"),),
)

# The most telling first: a small catalog gets only the first few.
DEVIATIONS: tuple[Deviation, ...] = (
    TLS10_OFFERED,
    RESETS,
    ONLY_TLS11,
    EXPIRED,
    ADDRESSES_DIFFER,
    SILENT,
    WRONG_NAME,
    AS_DOCUMENTED_2020,
    PORT_CLOSED,
    NOT_TLS,
    SELF_SIGNED,
)
BY_ID = {deviation.id: deviation for deviation in DEVIATIONS}

_A_ROW = 250  # addresses used of every 127.0.x.0/24
MOST_ADDRESSES = 250 * _A_ROW


def plan(endpoints: Sequence[Endpoint]) -> tuple[Station, ...]:
    """A station for every endpoint, in the order given; the same input gives the same plan.

    Rows of one host (aliases) share its addresses. Deviations are spread evenly over the hosts
    in sorted order, and at least half of the hosts stay normal. Raises ValueError when there
    are more hosts than loopback addresses.
    """
    hosts = sorted({endpoint.host.lower() for endpoint in endpoints})
    count = min(len(DEVIATIONS), len(hosts) // 2)
    planted = {
        hosts[(2 * nth + 1) * len(hosts) // (2 * count)]: DEVIATIONS[nth] for nth in range(count)
    }
    if len(hosts) + len(DEVIATIONS) > MOST_ADDRESSES:
        raise ValueError(f"{len(hosts)} hosts are more than the lab has addresses for")
    addresses: dict[str, tuple[str, ...]] = {}
    used = 0
    for host in hosts:
        needed = len(planted[host].profiles) if host in planted else 1
        addresses[host] = tuple(_address(used + nth) for nth in range(needed))
        used += needed
    return tuple(
        Station(endpoint, addresses[endpoint.host.lower()], planted.get(endpoint.host.lower()))
        for endpoint in endpoints
    )


def moved(station: Station, port: int) -> Endpoint:
    """The catalog's row with its addresses and port replaced by those of the stand-in."""
    return replace(station.endpoint, addresses=station.addresses, port=port)


def _address(nth: int) -> str:
    return f"127.0.{1 + nth // _A_ROW}.{1 + nth % _A_ROW}"
