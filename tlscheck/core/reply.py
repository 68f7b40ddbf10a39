"""What one connection asks, and all that can come of it. No I/O."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from tlscheck.core import registry
from tlscheck.core.registry import Version


@dataclass(frozen=True, slots=True)
class Hello:
    """What one connection asks: a version, with the suites and groups offered in it.

    `suites` and `groups` are IANA code points in the client's order. `shares` adds key shares
    to a TLS 1.3 hello (without them a server answers with a HelloRetryRequest). `extensions` is
    "few" for those alone that the question needs, and "none" (below TLS 1.3) for none at all, for
    servers that stumble over them. `schemes` are the signature schemes instead of all, `more` are
    extensions besides (type and body). `closely`: the whole first flight is to be read, that of
    TLS 1.3 too (`flight`).
    """

    version: Version
    suites: tuple[int, ...]
    groups: tuple[int, ...] = ()
    shares: bool = False
    extensions: Literal["all", "few", "none"] = "all"
    schemes: tuple[int, ...] = ()
    compressions: tuple[int, ...] = (0,)
    more: tuple[tuple[int, bytes], ...] = ()
    closely: bool = False
    _hash: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # Hellos are looked up for each exchange, and most differ in how much they offer.
        lists = len(self.suites), self.suites[:1], self.suites[-1:], len(self.groups)
        object.__setattr__(self, "_hash", hash((self.version, lists, self.extensions)))

    def __hash__(self) -> int:
        return self._hash


@dataclass(frozen=True, slots=True)
class Picked:
    """A ServerHello (or HelloRetryRequest, `retry`): what the server chose.

    `ended` is what cut the first flight of TLS 1.2 and below short of its ServerHelloDone, `None`
    when nothing did. `dh_bits` is the size of the prime of a DHE key exchange.
    """

    version: int
    suite: int
    group: int | None = None
    scheme: int | None = None
    certificates: tuple[bytes, ...] = ()
    retry: bool = False
    ended: Ending | None = None
    dh_bits: int | None = None

    @property
    def whole(self) -> bool:
        """Whether the flight came to its end."""
        return self.ended is None


@dataclass(frozen=True, slots=True)
class Ssl2Picked:
    """An SSLv2 SERVER-HELLO: every cipher kind that server and hello have in common."""

    suites: tuple[int, ...]
    certificate: bytes = b""


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert that ended the connection; `code` is the description (RFC 8446, section 6)."""

    code: int

    def __str__(self) -> str:
        return f"alert {registry.alert_name(self.code)}"


@dataclass(frozen=True, slots=True)
class Hangup:
    """The peer ended the connection with neither an alert nor an answer: `reset` or `closed`."""

    how: str

    def __str__(self) -> str:
        return self.how


@dataclass(frozen=True, slots=True)
class Silent:
    """A deadline passed at this `stage`: `connect` or `read`."""

    stage: str

    def __str__(self) -> str:
        return f"{self.stage} time-out"


@dataclass(frozen=True, slots=True)
class Unreachable:
    """No connection was made, and why: refused, no route."""

    why: str

    def __str__(self) -> str:
        return self.why


@dataclass(frozen=True, slots=True)
class OwnFault:
    """This side could not ask: no descriptor, no port. Says nothing about the server. `passing`:
    it may be able to in a moment."""

    why: str
    passing: bool = False

    def __str__(self) -> str:
        return f"{self.why}, on this side"


@dataclass(frozen=True, slots=True)
class Garbage:
    """Bytes that are no TLS, or TLS that breaks its own rules; `why` names the fault."""

    why: str

    def __str__(self) -> str:
        return self.why


Ending = Alert | Hangup | Silent | Garbage
Reply = Picked | Ssl2Picked | Alert | Hangup | Silent | Unreachable | OwnFault | Garbage
