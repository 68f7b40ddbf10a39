"""What a client asked: its ClientHello, read independently of the scanner's codec."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

MOST_BYTES = 1 << 16


class NotAHello(ValueError):
    """The client's first bytes are no ClientHello."""


@dataclass(frozen=True)
class Asked:
    """One ClientHello. `size` is that of the handshake message with its header, in bytes.

    Of an SSL 2.0 hello only `raw` and `ssl2` are filled in.
    """

    raw: bytes
    ssl2: bool = False
    record: int = 0
    size: int = 0
    legacy: int = 0
    session: bytes = b""
    suites: tuple[int, ...] = ()
    extensions: Mapping[int, bytes] = field(default_factory=dict)

    @property
    def versions(self) -> tuple[int, ...]:
        """Those in supported_versions (RFC 8446, 4.2.1), else the one in the old place."""
        body = self.extensions.get(43)
        return tuple(_numbers(body[1:])) if body else (self.legacy,)

    @property
    def version(self) -> int:
        """The highest version asked for."""
        return 0x0002 if self.ssl2 else max(self.versions)

    @property
    def name(self) -> str | None:
        """The server name (RFC 6066, section 3)."""
        body = self.extensions.get(0, b"")
        return body[5 : 5 + int.from_bytes(body[3:5], "big")].decode("latin-1") if body else None

    @property
    def groups(self) -> tuple[int, ...]:
        return tuple(_numbers(self.extensions.get(10, b"")[2:]))

    @property
    def shares(self) -> tuple[int, ...]:
        """The groups that a key share was sent for (RFC 8446, section 4.2.8)."""
        body, found = self.extensions.get(51, b"")[2:], []
        while len(body) >= 4:
            found.append(int.from_bytes(body[:2], "big"))
            body = body[4 + int.from_bytes(body[2:4], "big") :]
        return tuple(found)


def _numbers(data: bytes) -> Iterator[int]:
    return (int.from_bytes(data[i : i + 2], "big") for i in range(0, len(data) - 1, 2))


def read(data: bytes) -> Asked | None:
    """The ClientHello at the start of `data`; None while it is not all there."""
    if len(data) > MOST_BYTES:
        raise NotAHello("too long")
    if not data:
        return None
    if data[0] & 0x80:
        whole = len(data) >= 2 and len(data) >= 2 + (int.from_bytes(data[:2], "big") & 0x7FFF)
        return Asked(data, ssl2=True) if whole else None
    message = b""
    at = 0
    while len(data) >= at + 5:
        if data[at] != 22:
            raise NotAHello(f"record of type {data[at]}")
        end = at + 5 + int.from_bytes(data[at + 3 : at + 5], "big")
        message += data[at + 5 : end]
        if len(message) >= 4 and len(message) >= 4 + int.from_bytes(message[1:4], "big"):
            return _client_hello(data, message)
        at = end
    return None


def _client_hello(raw: bytes, message: bytes) -> Asked:
    if message[0] != 1:
        raise NotAHello(f"handshake message {message[0]}")
    size = 4 + int.from_bytes(message[1:4], "big")
    body = message[4:size]
    session, rest = _vector(body[34:], 1)
    suites, rest = _vector(rest, 2)
    _, rest = _vector(rest, 1)  # compression
    block = _vector(rest, 2)[0] if rest else b""
    extensions = {}
    while len(block) >= 4:
        extensions[int.from_bytes(block[:2], "big")], left = _vector(block[2:], 2)
        block = left
    return Asked(
        raw,
        record=int.from_bytes(raw[1:3], "big"),
        size=size,
        legacy=int.from_bytes(body[:2], "big"),
        session=session,
        suites=tuple(_numbers(suites)),
        extensions=extensions,
    )


def _vector(data: bytes, size: int) -> tuple[bytes, bytes]:
    """What a length of `size` bytes announces, and what follows it."""
    end = size + int.from_bytes(data[:size], "big")
    if len(data) < end or len(data) < size:
        raise NotAHello("a vector is short")
    return data[size:end], data[end:]
