"""Real servers behind a front of our own, which does what no server at hand does any more.

A front hands on what is said, but for one thing. A hole of the old days stands in the way of a
hello without TLS 1.3 alone: whoever asks for the newest version sees nothing of it.
"""

from __future__ import annotations

import contextlib
import itertools
import socket
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace

from .faults import asked, made
from .process import ADDRESS
from .profile import Profile, Server

CHANGE_CIPHER_SPEC, APPLICATION_DATA, HEARTBEAT = 20, 23, 24
BAD_RECORD_MAC, HANDSHAKE_FAILURE = 20, 40
_DONE = made.message(made.DONE, b"")
SECONDS = 10.0  # of one read

Hole = Callable[[int, bytes], bytes | None]
"""What is answered to a record (type, body) of the client's; `None` where it is handed on."""


def heartbleed(kind: int, body: bytes) -> bytes | None:
    """CVE-2014-0160: as much is said as was asked for, whatever came. Of the memory that it would
    come from the client's own words are the most."""
    if kind != HEARTBEAT:
        return None
    size = int.from_bytes(body[1:3], "big")
    said = (body[3:] + b"\x01" * size)[: min(size, 0x3FF0)]
    return made.record(HEARTBEAT, b"\x02" + made.vector(2, said))


def early_ccs(kind: int, body: bytes) -> bytes | None:
    """CVE-2014-0224: a ChangeCipherSpec is taken before there is a key, so that what comes next
    is taken for sealed, and found to be sealed badly."""
    if kind == CHANGE_CIPHER_SPEC:
        return b""
    return made.alert(BAD_RECORD_MAC) if kind == APPLICATION_DATA else None


def nobody(hello: asked.Asked) -> bool:
    return False


def unnamed(hello: asked.Asked) -> bool:
    """One without a server name."""
    return hello.name is None


def narrow(hello: asked.Asked) -> bool:
    """One of an old version, of a suite or two."""
    return _is_old(hello) and len(hello.suites) < 4


def before(
    server: Server, hole: Hole, refused: Callable[[asked.Asked], bool] = nobody
) -> AbstractContextManager[Server]:
    """A front before `server`, with a hole. A hello that is `refused` meets an alert."""

    def handle(client: socket.socket) -> None:
        heard, hello = _hello(client)
        if refused(hello):
            client.sendall(made.alert(HANDSHAKE_FAILURE))
            return
        with _behind(server) as behind:
            if _is_old(hello):
                _with_hole(client, behind, heard, hole)
            else:
                behind.sendall(heard)
                _both_ways(client, behind)

    return _listening(server, handle)


def divided(modern: Server, old: Server) -> AbstractContextManager[Server]:
    """A front that hands hellos of TLS 1.3 to one server and all others to another."""

    def handle(client: socket.socket) -> None:
        heard, hello = _hello(client)
        with _behind(modern if hello.version > 0x0303 else old) as behind:
            behind.sendall(heard)
            _both_ways(client, behind)

    both = Profile({**old.profile.protocols, "TLSv1.3": modern.profile.protocols["TLSv1.3"]})
    return _listening(Server(f"{modern.name}-{old.name}", ADDRESS, 0, both), handle)


def limited(
    server: Server, most: int, further: Callable[[socket.socket], object]
) -> AbstractContextManager[Server]:
    """A front that hands on so many connections, and does to the others what `further` does."""
    taken = itertools.count()

    def handle(client: socket.socket) -> None:
        if next(taken) >= most:
            further(client)
            return
        with _behind(server) as behind:
            _both_ways(client, behind)

    return _listening(server, handle)


@contextmanager
def _listening(server: Server, handle: Callable[[socket.socket], None]) -> Iterator[Server]:
    """In the name of `server`, while the block lasts."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.settimeout(SECONDS)
            with contextlib.suppress(OSError, asked.NotAHello):
                handle(self.request)

    class Listener(socketserver.ThreadingTCPServer):
        daemon_threads = True
        request_queue_size = 100

    with Listener((ADDRESS, 0), Handler) as listener:
        thread = threading.Thread(target=listener.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield replace(server, address=ADDRESS, port=listener.server_address[1])
        finally:
            listener.shutdown()
            thread.join()


def _behind(server: Server) -> socket.socket:
    return socket.create_connection((server.address, server.port), timeout=SECONDS)


def _is_old(hello: asked.Asked) -> bool:
    return 0x0300 <= hello.version <= 0x0303


def _hello(client: socket.socket) -> tuple[bytes, asked.Asked]:
    """What the client has said so far, and the hello in it."""
    heard = b""
    while (hello := asked.read(heard)) is None:
        piece = client.recv(1 << 16)
        if not piece:
            raise ConnectionAbortedError
        heard += piece
    return heard, hello


def _with_hole(client: socket.socket, behind: socket.socket, heard: bytes, hole: Hole) -> None:
    size = 5 + int.from_bytes(heard[3:5], "big")  # of a hello in one record
    early = heard[size:]
    behind.sendall(heard[:size])
    answer = b""
    # To its end, or to an alert, or to where a session that is resumed becomes sealed.
    while not answer.endswith(_DONE) and all(r[0] == made.HANDSHAKE for r in made.records(answer)):
        piece = behind.recv(1 << 16)
        if not piece:
            break
        answer += piece
    client.sendall(answer)
    while True:
        while len(early) < 5 or len(early) < 5 + int.from_bytes(early[3:5], "big"):
            piece = client.recv(1 << 16)
            if not piece:
                return
            early += piece
        ((kind, version, body), *_) = made.records(early)
        early = early[5 + len(body) :]
        said = hole(kind, body)
        if said is None:  # nothing for the hole: the rest is between these two
            behind.sendall(made.record(kind, body, version) + early)
            _both_ways(client, behind)
            return
        client.sendall(said)


def _both_ways(client: socket.socket, behind: socket.socket) -> None:
    def hand_on(one: socket.socket, other: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while piece := one.recv(1 << 16):
                other.sendall(piece)
        with contextlib.suppress(OSError):
            other.shutdown(socket.SHUT_WR)

    back = threading.Thread(target=hand_on, args=(behind, client))
    back.start()
    hand_on(client, behind)
    back.join()
