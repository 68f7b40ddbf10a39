"""The servers: one asyncio protocol a connection, TLS in memory, no task and no thread for any.

Nearly every client reads the first flight and leaves, so a connection must cost little more than
the signature in it.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import ssl
import struct
from collections.abc import Callable, Mapping, Sequence
from typing import cast

MOST_SECONDS = 10.0  # that a connection may last
MOST_SILENT_SECONDS = 60.0  # longer than a patient client waits
MOST_BYTES = 1 << 16  # that a connection may send
BACKLOG = 512
PORT_TRIES = 8

_BODY = b"See https://aws.amazon.com/iam\n"
ANSWER = (
    b"HTTP/1.1 302 Found\r\n"
    b"Server: tlscheck-lab\r\n"
    b"Location: https://aws.amazon.com/iam\r\n"
    b"Content-Type: text/plain\r\n"
    b"Content-Length: %d\r\n"
    b"Connection: close\r\n\r\n%b" % (len(_BODY), _BODY)
)
PLAIN_ANSWER = (
    b"HTTP/1.1 400 Bad Request\r\n"
    b"Server: tlscheck-lab\r\n"
    b"Content-Length: 0\r\n"
    b"Connection: close\r\n\r\n"
)
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER: on, zero seconds


class Connection(asyncio.Protocol):
    """One client, for `seconds` and `MOST_BYTES` at most; reads and ignores."""

    seconds = MOST_SECONDS
    _transport: asyncio.Transport
    _clock: asyncio.TimerHandle

    def __init__(self) -> None:
        self._received = 0
        self._over = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        loop = asyncio.get_running_loop()
        self._clock = loop.call_later(self.seconds, self._transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        self._clock.cancel()

    def data_received(self, data: bytes) -> None:
        self._received += len(data)
        if self._received > MOST_BYTES:
            self._transport.abort()
        elif not self._over:
            self.on_data(data)

    def finish(self) -> None:
        """Says no more and leaves the closing to the client.

        Closing with bytes unread would be a reset, which can overtake an alert.
        """
        self._over = True
        if not self._transport.is_closing():
            with contextlib.suppress(OSError):  # a client that has reset is gone already
                self._transport.write_eof()

    def on_data(self, data: bytes) -> None:
        """What the client sent, while its bounds hold."""


class Silent(Connection):
    """Accepts, reads, and never answers."""

    seconds = MOST_SILENT_SECONDS


class Reset(Connection):
    """Resets as soon as the client has said something."""

    def on_data(self, data: bytes) -> None:
        sock = self._transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self._over = True
        self._transport.abort()


class Plain(Connection):
    """Answers whatever comes with HTTP in clear."""

    def on_data(self, data: bytes) -> None:
        self._transport.write(PLAIN_ANSWER)
        self.finish()


class Tls(Connection):
    """A TLS handshake and, for who finishes it, one HTTP answer."""

    def __init__(self, context: ssl.SSLContext) -> None:
        super().__init__()
        self._in = ssl.MemoryBIO()
        self._out = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._in, self._out, server_side=True)
        self._shaken = False
        self._request = b""

    def on_data(self, data: bytes) -> None:
        self._in.write(data)
        try:
            if not self._shaken:
                self._tls.do_handshake()
                self._shaken = True
            over = self._read_request()
        except ssl.SSLWantReadError:
            over = False
        except ssl.SSLError:  # the alert, if there is one, waits in _out
            over = True
        if self._out.pending:
            self._transport.write(self._out.read())
        if over:
            self.finish()

    def _read_request(self) -> bool:
        """Whether the connection is over: request answered, or closed by the client."""
        while b"\r\n\r\n" not in self._request:
            piece = self._tls.read(1 << 14)
            if not piece:
                return True
            self._request += piece
        self._tls.write(ANSWER)
        with contextlib.suppress(ssl.SSLWantReadError):
            self._tls.unwrap()  # sends close_notify and does not wait for the client's
        return True


Factory = Callable[[], Connection]


def bind(addresses: Sequence[str], port: int) -> tuple[int, dict[str, socket.socket]]:
    """Sockets on the same port of every address; port 0 finds one that is free on all of them.

    Raises OSError when an address does not exist here or the port is taken.
    """
    for left in reversed(range(PORT_TRIES)):
        number = port or _free_port()
        bound: dict[str, socket.socket] = {}
        try:
            for address in addresses:
                bound[address] = sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
                if port:  # may have been used a minute ago
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                sock.bind((address, number))
                # Only now for a port found free: two labs could both bind it before they listen.
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            return number, bound
        except OSError as error:
            for sock in bound.values():
                sock.close()
            if port or not left or error.errno != errno.EADDRINUSE:
                raise OSError(error.errno, _because(error, address, number)) from error
    raise AssertionError("unreachable")


def _because(error: OSError, address: str, port: int) -> str:
    match error.errno:
        case errno.EADDRNOTAVAIL:
            return f"this system has no loopback address {address}"
        case errno.EADDRINUSE:
            return f"port {port} is taken on {address}"
        case _:
            return f"{address} port {port}: {error.strerror}"


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind(("", 0))  # every address at once
        return int(probe.getsockname()[1])


async def serve(
    sockets: Mapping[str, socket.socket], factories: Mapping[str, Factory]
) -> contextlib.AsyncExitStack:
    """Listens on every address that has a factory; closing what it returns stops them all.

    An address without a factory stays bound and closed: connections to it are refused, and
    nobody else can take its port.
    """
    loop = asyncio.get_running_loop()
    stack = contextlib.AsyncExitStack()
    for address, sock in sockets.items():
        stack.callback(sock.close)
        if address in factories:
            server = await loop.create_server(factories[address], sock=sock, backlog=BACKLOG)
            stack.callback(server.close)
    return stack
