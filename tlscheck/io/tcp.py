"""One hello out, one reply back: the only place that opens a probe's socket."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import struct
from collections.abc import Callable

from tlscheck.core import flight, wire
from tlscheck.core.hello import encode
from tlscheck.core.model import Target
from tlscheck.core.reply import Hangup, Hello, OwnFault, Reply, Silent, Unreachable

# Faults of this machine, which say nothing about the server.
_OWN = {
    errno.EMFILE: "out of file descriptors",
    errno.ENFILE: "out of file descriptors",
    errno.EADDRNOTAVAIL: "no address or port to connect from",
    errno.ENOBUFS: "out of buffers",
    errno.ENOMEM: "out of memory",
    errno.ENOSPC: "too many sockets to watch",
    errno.EAFNOSUPPORT: "address family not supported",
    errno.EACCES: "not permitted",
    errno.EPERM: "not permitted",
}
_PASSING = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.ENOSPC)
_AWAY = {
    errno.ECONNREFUSED: "connection refused",
    errno.EHOSTUNREACH: "no route to host",
    errno.ENETUNREACH: "network unreachable",
    errno.ENETDOWN: "network down",
    errno.ETIMEDOUT: "connect time-out",
}
_RESET = (errno.ECONNRESET, errno.EPIPE, errno.ECONNABORTED)
# Close by RST: the handshake is never finished, and no TIME_WAIT is left behind.
_LINGER = struct.pack("ii", 1, 0)


async def exchange(
    target: Target, hello: Hello, random: bytes, *, connect: float, read: float
) -> Reply:
    """Ask `hello` of `target`. `connect` and `read` are seconds; `read` bounds the whole answer.
    Never raises but for cancellation."""
    address, endpoint = target.address, target.endpoint
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    sent = encode(hello, random, endpoint.sni)
    reader = flight.Reader(hello, sent) if hello.closely else wire.Reader(hello)
    try:
        sock = socket.socket(family, socket.SOCK_STREAM)
    except OSError as fault:
        return _connect_fault(fault, family)
    talk = _Talk(sock, sent, reader, read)
    try:
        talk.begin((address, endpoint.port), connect)
        return await talk.reply
    finally:
        talk.end()


class _Talk:
    """One exchange over a socket. The event loop takes its steps, and whoever waits for the reply
    is woken once: that is a good part of what an exchange costs."""

    __slots__ = ("_connected", "_limit", "_loop", "_read", "_reader", "_sent", "_sock", "reply")

    def __init__(self, sock: socket.socket, sent: bytes, reader: wire.Reader, read: float) -> None:
        self._sock, self._sent, self._reader, self._read = sock, sent, reader, read
        self._loop = asyncio.get_running_loop()
        self.reply: asyncio.Future[Reply] = self._loop.create_future()
        self._connected = False
        self._limit: asyncio.TimerHandle | None = None

    def begin(self, place: tuple[str, int], connect: float) -> None:
        """Connect, within so many seconds; all else follows."""
        self._sock.setblocking(False)
        self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            code = self._sock.connect_ex(place)
            if code not in (0, errno.EINPROGRESS):
                raise OSError(code, "")
            self._limit = self._loop.call_later(connect, self._take, self._late)
            self._loop.add_writer(self._sock, self._take, self._send)
        except OSError as fault:  # an address that is none, too
            self.reply.set_result(self._lost(fault))

    def end(self) -> None:
        """Give up the socket, whatever it is about."""
        if self._limit:
            self._limit.cancel()
            self._loop.remove_writer(self._sock)
            self._loop.remove_reader(self._sock)
        try:
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER)
        finally:
            self._sock.close()

    def _take(self, step: Callable[[], Reply | None]) -> None:
        """Take a step; what goes wrong in it is told to whoever waits, not to the event loop."""
        if self.reply.done():
            return
        try:
            if reply := step():
                self.reply.set_result(reply)
        except (BlockingIOError, InterruptedError):  # it was not ready after all
            pass
        except OSError as fault:
            self.reply.set_result(self._lost(fault))
        except Exception as bug:
            self.reply.set_exception(bug)

    def _late(self) -> Reply:
        if not self._connected:
            return Silent("connect")
        # Whoever was stopped for a while (Ctrl-Z) hears that the time is over, and then of answers.
        with contextlib.suppress(BlockingIOError):
            return self._receive()
        return self._reader.end(Silent("read"))

    def _send(self) -> Reply | None:
        if not self._connected:
            if code := self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                return self._lost(OSError(code, ""))
            self._connected = True
            assert self._limit
            self._limit.cancel()
            self._limit = self._loop.call_later(self._read, self._take, self._late)
        self._sent = self._sent[self._sock.send(self._sent) :]
        if not self._sent:
            self._loop.remove_writer(self._sock)
            self._loop.add_reader(self._sock, self._take, self._receive)
        return None

    def _receive(self) -> Reply:
        # To the last byte: uvloop tells once of a reset, together with what came before it.
        reply = None
        while reply is None:
            data = self._sock.recv(16384)
            reply = self._reader.feed(data) if data else self._reader.end(Hangup("closed"))
        return reply

    def _lost(self, fault: OSError) -> Reply:
        if fault.errno in _RESET:
            return self._reader.end(Hangup("reset"))
        return _connect_fault(fault, self._sock.family)


def _connect_fault(fault: OSError, family: int) -> Reply:
    code = fault.errno or 0
    if code in _OWN:
        # Ports come back; a machine without an IPv6 address will not get one in a moment.
        ports = code == errno.EADDRNOTAVAIL and family == socket.AF_INET
        return OwnFault(_OWN[code], passing=ports or code in _PASSING)
    if code in _RESET:
        return Hangup("reset")
    return Unreachable(_AWAY.get(code, errno.errorcode.get(code, "no connection")))
