"""Bytes by hand: what a server sends, taken apart, changed, and put together."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from .asked import Asked

ALERT, HANDSHAKE = 21, 22
SERVER_HELLO, CERTIFICATE, KEY_EXCHANGE, DONE = 2, 11, 12, 14
MOST_RECORD = 1 << 14
RETRY = hashlib.sha256(b"HelloRetryRequest").digest()  # RFC 8446, section 4.1.3


def vector(size: int, data: bytes) -> bytes:
    return len(data).to_bytes(size, "big") + data


def record(kind: int, body: bytes, version: int = 0x0303) -> bytes:
    return bytes([kind]) + version.to_bytes(2, "big") + vector(2, body)


def alert(code: int, level: int = 2, version: int = 0x0303) -> bytes:
    return record(ALERT, bytes([level, code]), version)


def message(kind: int, body: bytes) -> bytes:
    return bytes([kind]) + vector(3, body)


def refuses(answer: bytes) -> bool:
    """Whether an answer is an alert."""
    return answer[:1] == bytes([ALERT])


def alert_code(answer: bytes) -> int:
    return answer[6]


def records(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Type, version and body of each record."""
    while len(data) >= 5:
        end = 5 + int.from_bytes(data[3:5], "big")
        yield data[0], int.from_bytes(data[1:3], "big"), data[5:end]
        data = data[end:]


@dataclass(frozen=True)
class Flight:
    """A server's first flight: the handshake messages in clear, and the records after them."""

    version: int  # of the records
    messages: tuple[bytes, ...]
    rest: bytes = b""

    def sent(self, size: int = MOST_RECORD, together: bool = False) -> bytes:
        """In records of at most `size` bytes, a message in its own or all `together`."""
        parts = (b"".join(self.messages),) if together else self.messages
        return (
            b"".join(
                record(HANDSHAKE, part[at : at + size], self.version)
                for part in parts
                for at in range(0, len(part), size)
            )
            + self.rest
        )

    def of(self, *kinds: int) -> tuple[bytes, ...]:
        return tuple(each for each in self.messages if each[0] in kinds)

    def changed(self, change: Callable[[bytes], bytes]) -> Flight:
        """With its ServerHello's body changed."""
        first = message(SERVER_HELLO, change(self.messages[0][4:]))
        return replace(self, messages=(first, *self.messages[1:]))

    @property
    def suite(self) -> int:
        body = self.messages[0][4:]
        at = 35 + body[34]
        return int.from_bytes(body[at : at + 2], "big")


def flight(answer: bytes) -> Flight:
    """Takes an answer apart that begins with a ServerHello."""
    clear, rest = b"", b""
    version = int.from_bytes(answer[1:3], "big")
    for kind, said, body in records(answer):
        if kind == HANDSHAKE and not rest:
            clear += body
        else:
            rest += record(kind, body, said)
    messages = []
    while clear:
        end = 4 + int.from_bytes(clear[1:4], "big")
        messages.append(clear[:end])
        clear = clear[end:]
    return Flight(version, tuple(messages), rest)


def with_suite(body: bytes, suite: int) -> bytes:
    """The body of a ServerHello with another suite."""
    at = 35 + body[34]
    return body[:at] + suite.to_bytes(2, "big") + body[at + 2 :]


def server_hello(
    asked: Asked,
    version: int,
    suite: int,
    extensions: Mapping[int, bytes] | None = None,
    random: bytes = bytes(range(32)),
) -> bytes:
    body = (
        min(version, 0x0303).to_bytes(2, "big")
        + random
        + vector(1, asked.session)
        + suite.to_bytes(2, "big")
        + b"\x00"
    )
    if extensions is not None:
        encoded = (k.to_bytes(2, "big") + vector(2, data) for k, data in extensions.items())
        body += vector(2, b"".join(encoded))
    return message(SERVER_HELLO, body)


def retry(asked: Asked, suite: int, group: int) -> bytes:
    """A HelloRetryRequest in its record (RFC 8446, section 4.1.4)."""
    extensions = {43: b"\x03\x04", 51: group.to_bytes(2, "big")}
    return record(HANDSHAKE, server_hello(asked, 0x0304, suite, extensions, RETRY))


def whole_flight(asked: Asked, version: int, suite: int, chain: Iterable[bytes]) -> bytes:
    """ServerHello, Certificate, ServerHelloDone: RSA key exchange, TLS 1.2 and below."""
    certificates = message(CERTIFICATE, vector(3, b"".join(vector(3, each) for each in chain)))
    messages = (server_hello(asked, version, suite), certificates, message(DONE, b""))
    return Flight(version, messages).sent()
