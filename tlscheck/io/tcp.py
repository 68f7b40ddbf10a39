"""One hello out, one reply back: the only place that opens a probe's socket."""

from __future__ import annotations

import asyncio
import errno
import socket
import struct

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
    errno.EAFNOSUPPORT: "address family not supported",
    errno.EACCES: "not permitted",
    errno.EPERM: "not permitted",
}
_PASSING = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
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
    loop = asyncio.get_running_loop()
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    sent = encode(hello, random, endpoint.sni)
    reader = flight.Reader(hello, sent) if hello.closely else wire.Reader(hello)
    try:
        sock = socket.socket(family, socket.SOCK_STREAM)
    except OSError as fault:
        return _connect_fault(fault, family)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connected = False
        try:
            async with asyncio.timeout(connect) as limit:
                await loop.sock_connect(sock, (address, endpoint.port))
                connected = True
                limit.reschedule(loop.time() + read)
                await loop.sock_sendall(sock, sent)
                while True:
                    data = await loop.sock_recv(sock, 16384)
                    if not data:
                        return reader.end(Hangup("closed"))
                    if reply := reader.feed(data):
                        return reply
        except TimeoutError:
            return reader.end(Silent("read")) if connected else Silent("connect")
        except OSError as fault:
            if connected and fault.errno in _RESET:
                return reader.end(Hangup("reset"))
            return _connect_fault(fault, family)
    finally:
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER)
        finally:
            sock.close()


def _connect_fault(fault: OSError, family: int) -> Reply:
    code = fault.errno or 0
    if code in _OWN:
        # Ports come back; a machine without an IPv6 address will not get one in a moment.
        ports = code == errno.EADDRNOTAVAIL and family == socket.AF_INET
        return OwnFault(_OWN[code], passing=ports or code in _PASSING)
    if code in _RESET:
        return Hangup("reset")
    return Unreachable(_AWAY.get(code, errno.errorcode.get(code, "no connection")))
