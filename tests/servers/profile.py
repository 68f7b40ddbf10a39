"""What a server was configured with, in the words a report uses."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

PROTOCOLS = ("SSLv2", "SSLv3", "TLSv1.0", "TLSv1.1", "TLSv1.2", "TLSv1.3")

Order = Literal["server", "client"]


@dataclass(frozen=True)
class Version:
    """What is offered in one protocol version.

    `suites` are in the order the server prefers them when `order` is "server", else a set.
    `groups` are those that can be negotiated in TLS 1.2 (ECDHE, and RFC 7919 groups where the
    server follows the client's list for DHE) and in TLS 1.3; empty below TLS 1.2, where they are
    not stated. They are in the order the server prefers them when `group_order` is "server".
    An order of None says that there are fewer than two to choose from.
    """

    suites: tuple[str, ...]
    order: Order | None = None
    groups: tuple[str, ...] = ()
    group_order: Order | None = None

    def __post_init__(self) -> None:
        assert (self.order is None) == (len(self.suites) < 2), self
        assert (self.group_order is None) == (len(self.groups) < 2), self


@dataclass(frozen=True)
class Profile:
    """The protocol versions a server offers; a version that is absent is not offered."""

    protocols: dict[str, Version]

    def __post_init__(self) -> None:
        assert set(self.protocols) <= set(PROTOCOLS), self.protocols


def version(
    suites: Iterable[str],
    order: Order,
    groups: Iterable[str] = (),
    group_order: Order | None = None,
) -> Version:
    """A `Version` whose orders are None where there is nothing to choose from.

    The order of the groups is that of the suites unless it is given.
    """
    chosen, curves = tuple(suites), tuple(groups)
    return Version(
        chosen,
        order if len(chosen) > 1 else None,
        curves,
        (group_order or order) if len(curves) > 1 else None,
    )


@dataclass(frozen=True)
class Server:
    """A server that runs, and the truth about it."""

    name: str
    address: str
    port: int
    profile: Profile
