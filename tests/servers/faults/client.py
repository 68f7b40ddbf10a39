"""A small client that asks one hello and says what came: bytes, and how it ended."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass

from . import made
from .made import vector

# The usual suites; those of TLS 1.3; schemes; what else a hello of TLS 1.2 says.
SUITES = (0xC02F, 0xC030, 0xC027, 0xC028, 0xC013, 0xC014, 0x9C, 0x9D, 0x3C, 0x3D, 0x2F, 0x35, 0xFF)
ECDSA_SUITES = (0xC02B, 0xC02C, 0xFF)
SUITES_13 = (0x1301, 0x1302, 0x1303)
SCHEMES = (0x0804, 0x0805, 0x0401, 0x0501, 0x0403, 0x0201)
P256_BASE = bytes.fromhex(
    "046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"
    "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5"
)


@dataclass(frozen=True)
class Heard:
    """`end` is fin, reset, time-out (still open when the patience was over), or an errno's name."""

    data: bytes
    end: str
    seconds: float

    @property
    def alert(self) -> tuple[int, int] | None:
        """Level and code, if the answer is one alert and no more."""
        whole = len(self.data) == 7 and self.data[0] == made.ALERT
        return (self.data[5], self.data[6]) if whole else None

    @property
    def flight(self) -> made.Flight:
        return made.flight(self.data)

    @property
    def kinds(self) -> tuple[int, ...]:
        """Types of the handshake messages in clear."""
        is_flight = self.data[:1] == bytes([made.HANDSHAKE])
        return tuple(m[0] for m in self.flight.messages) if is_flight else ()

    @property
    def picked(self) -> tuple[int, int] | None:
        """Version (as negotiated) and suite."""
        if self.kinds[:1] != (made.SERVER_HELLO,):
            return None
        body = self.flight.messages[0][4:]
        newer = b"\x00\x2b\x00\x02" in body
        at = body.find(b"\x00\x2b\x00\x02") + 4
        version = int.from_bytes(body[at : at + 2] if newer else body[:2], "big")
        return version, self.flight.suite


def hello(
    version: int = 0x0303,
    suites: Sequence[int] | None = None,
    *,
    name: str | None = "fault.test",
    groups: Sequence[int] = (23, 29),
    shares: bool = False,
    extensions: bool = True,
    more: Sequence[int] = (),
    size: int = 0,
) -> bytes:
    """A ClientHello in its record. `more` are empty extensions; `size` that of the message."""
    modern = version == 0x0304
    offer = suites if suites is not None else SUITES_13 if modern else SUITES
    found: dict[int, bytes] = {}
    if name:
        found[0] = vector(2, b"\x00" + vector(2, name.encode()))
    found[10] = vector(2, _shorts(groups))
    found[11] = vector(1, b"\x00")
    if version >= 0x0303:
        found[13] = vector(2, _shorts(SCHEMES))
    if modern:
        found[43] = vector(1, b"\x03\x04")
        share = _shorts([23]) + vector(2, P256_BASE) if shares else b""
        found[51] = vector(2, share)
    found |= dict.fromkeys(more, b"")
    body = min(version, 0x0303).to_bytes(2, "big") + os.urandom(32)
    body += vector(1, os.urandom(32) if modern else b"") + vector(2, _shorts(offer)) + b"\x01\x00"
    if extensions:
        encoded = b"".join(k.to_bytes(2, "big") + vector(2, data) for k, data in found.items())
        if size:  # by a session ticket, which every server knows
            ticket = bytes(size - 4 - len(body) - 2 - len(encoded) - 4)
            encoded += b"\x00\x23" + vector(2, ticket)
        body += vector(2, encoded)
    return made.record(made.HANDSHAKE, made.message(1, body), min(version, 0x0301))


SSL2_HELLO = bytes.fromhex("801c 01 0002 0003 0000 0010 010080".replace(" ", "")) + bytes(16)


def _shorts(numbers: Sequence[int]) -> bytes:
    return b"".join(number.to_bytes(2, "big") for number in numbers)


def ask(
    address: str, port: int, said: bytes = b"", *, patience: float = 5.0, most: int = 1 << 24
) -> Heard:
    """Connects, says it, and listens for `patience` seconds or until `most` bytes came."""
    begun, data, end = time.monotonic(), bytearray(), "time-out"
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as sock:
        sock.settimeout(patience)
        try:
            sock.connect((address, port))
            sock.sendall(said)
            while len(data) < most:
                left = patience - (time.monotonic() - begun)
                if left <= 0:
                    raise TimeoutError
                sock.settimeout(left)
                piece = sock.recv(1 << 16)
                if not piece:
                    end = "fin"
                    break
                data += piece
                if data[0] == made.HANDSHAKE and _complete(bytes(data)):
                    end = "complete"
                    break
        except TimeoutError:
            end = "time-out"
        except ConnectionResetError:
            end = "reset"
        except OSError as error:
            end = os.strerror(error.errno or 0)
    return Heard(bytes(data), end, time.monotonic() - begun)


def _complete(data: bytes) -> bool:
    """A flight that ends with ServerHelloDone, or a ServerHello of TLS 1.3."""
    try:
        messages = made.flight(data).messages
    except IndexError:
        return False
    if not messages or len(messages[-1]) < 4:
        return False
    whole = len(messages[-1]) == 4 + int.from_bytes(messages[-1][1:4], "big")
    modern = b"\x00\x2b\x00\x02\x03" in messages[0]
    return whole and (messages[-1][0] == made.DONE or (modern and messages[-1][0] == 2))
