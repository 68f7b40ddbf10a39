"""One exchange over a socket, on either event loop: every end that a connection may come to."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gc
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from socket import AF_INET, AF_INET6

import pytest
import uvloop

from tlscheck.core import wire
from tlscheck.core.explore import opening
from tlscheck.core.hello import RANDOM_BYTES
from tlscheck.core.model import Endpoint, Target
from tlscheck.core.registry import Version
from tlscheck.core.reply import Alert, Hangup, Hello, OwnFault, Picked, Reply, Silent, Unreachable
from tlscheck.io.tcp import exchange

LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop] | None] = {
    "asyncio": None,
    "uvloop": uvloop.new_event_loop,
}
OPENING = opening(Version.TLSv1_2)
TIMES = 30  # of what depends on who is faster

Serve = Callable[[socket.socket], None]


def record(kind: int, body: bytes) -> bytes:
    return bytes((kind, 3, 3)) + len(body).to_bytes(2, "big") + body


def message(kind: int, body: bytes) -> bytes:
    return bytes((kind,)) + len(body).to_bytes(3, "big") + body


HELLO = message(2, b"\x03\x03" + bytes(32) + b"\x00\x00\x9c\x00")  # RSA, AES-128-GCM
CERTIFICATE = message(11, b"\x00\x00\x05\x00\x00\x02ab")
FLIGHT = record(22, HELLO) + record(22, CERTIFICATE) + record(22, message(14, b""))
PICKED = Picked(0x0303, 0x9C, certificates=(b"ab",))
REFUSAL = record(21, b"\x02\x28")


@contextmanager
def served(serve: Serve, address: str = "127.0.0.1") -> Iterator[Target]:
    """A server that does `serve` with each connection, once the hello has come."""
    family = AF_INET6 if ":" in address else AF_INET

    def accept() -> None:
        while True:
            try:
                peer, _ = listener.accept()
            except OSError:
                return
            with peer, contextlib.suppress(ConnectionError):
                if peer.recv(8192):
                    serve(peer)

    with socket.create_server((address, 0), family=family) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)  # a narrow way
        thread = threading.Thread(target=accept)
        thread.start()
        try:
            yield target(listener.getsockname()[1], address)
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def target(port: int, address: str = "127.0.0.1") -> Target:
    host = "sts.example.com"
    endpoint = Endpoint("x", "sts", "custom", "r", "standard", host, port)
    return Target(endpoint, address)


def reset(peer: socket.socket) -> None:
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def replies(
    loop: str, to: Target, times: int = 1, hello: Hello = OPENING, read: float = 5.0
) -> set[Reply]:
    """What came of so many exchanges at once; no socket is left of them."""

    async def all_() -> list[Reply]:
        asked = (
            exchange(to, hello, bytes(RANDOM_BYTES), connect=5.0, read=read) for _ in range(times)
        )
        return await asyncio.gather(*asked)

    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        came = runner.run(all_())
        assert not open_to(to)
    return set(came)


def open_to(to: Target) -> list[socket.socket]:
    """The sockets that are still connected to a target."""
    left = []
    for each in gc.get_objects():
        if isinstance(each, socket.socket) and each.family in (AF_INET, AF_INET6):
            with contextlib.suppress(OSError):
                left += [each] if each.getpeername()[1] == to.endpoint.port else []
    return left


def sends(*pieces: bytes, pause: float = 0.0, end: Serve = lambda peer: None) -> Serve:
    def serve(peer: socket.socket) -> None:
        for piece in pieces:
            peer.sendall(piece)
            time.sleep(pause)
        end(peer)

    return serve


def hold(peer: socket.socket) -> None:
    """Say no more, until the other side has gone."""
    peer.settimeout(10)
    try:
        while peer.recv(1 << 16):
            pass
    except OSError:
        pass


BYTES = tuple(FLIGHT[n : n + 1] for n in range(len(FLIGHT)))
PART = FLIGHT[:-9]
ENDS: dict[str, tuple[Serve, Reply]] = {
    "flight": (sends(FLIGHT), PICKED),
    "flight, then nothing": (sends(FLIGHT, end=hold), PICKED),
    "flight, then a reset": (sends(FLIGHT, end=reset), PICKED),
    "byte by byte": (sends(*BYTES, pause=1e-4), PICKED),
    "alert": (sends(REFUSAL), Alert(40)),
    "alert and a reset": (sends(REFUSAL, end=reset), Alert(40)),
    "closed": (sends(), Hangup("closed")),
    "reset": (sends(end=reset), Hangup("reset")),
    "part, closed": (
        sends(PART),
        Picked(0x0303, 0x9C, certificates=(b"ab",), ended=Hangup("closed")),
    ),
    "part, reset at once": (
        sends(PART, end=reset),
        Picked(0x0303, 0x9C, certificates=(b"ab",), ended=Hangup("reset")),
    ),
    "part, reset soon": (
        sends(PART, pause=0.02, end=reset),
        Picked(0x0303, 0x9C, certificates=(b"ab",), ended=Hangup("reset")),
    ),
}


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("end", ENDS)
def test_how_a_connection_ends(loop: str, end: str) -> None:
    serve, reply = ENDS[end]
    with served(serve) as to:
        assert replies(loop, to, TIMES) == {reply}


@pytest.mark.parametrize("loop", LOOPS)
def test_ipv6(loop: str) -> None:
    with served(sends(FLIGHT), "::1") as to:
        assert replies(loop, to, 3) == {PICKED}


@pytest.mark.parametrize("loop", LOOPS)
def test_silence_ends_when_its_time_is_over(loop: str) -> None:
    with served(hold) as to:
        began = time.monotonic()
        assert replies(loop, to, read=0.3) == {Silent("read")}
        assert 0.3 <= time.monotonic() - began < 4
    with served(sends(PART, end=hold)) as to:
        (reply,) = replies(loop, to, read=0.3)
        assert isinstance(reply, Picked) and reply.ended == Silent("read")


@pytest.mark.parametrize("loop", LOOPS)
def test_an_answer_that_drips_is_bounded_as_a_whole(loop: str) -> None:
    with served(sends(*BYTES, pause=0.1)) as to:
        began = time.monotonic()
        (reply,) = replies(loop, to, read=0.5)
        assert isinstance(reply, Picked | Silent) and time.monotonic() - began < 5


@pytest.mark.parametrize("loop", [asyncio.SelectorEventLoop, uvloop.Loop])
def test_an_answer_that_is_there_when_the_time_is_over(
    loop: type[asyncio.AbstractEventLoop],
) -> None:
    """The loop has not told of it, as after this process was stopped for a while."""
    deaf = type("Deaf", (loop,), {"add_reader": lambda *_: None})

    async def asked(to: Target) -> Reply:
        return await exchange(to, OPENING, bytes(RANDOM_BYTES), connect=5.0, read=0.3)

    for serve, reply in (sends(FLIGHT, end=hold), PICKED), (sends(end=reset), Hangup("reset")):
        with served(serve) as to, asyncio.Runner(loop_factory=deaf) as runner:
            assert runner.run(asked(to)) == reply


@pytest.mark.parametrize("loop", LOOPS)
def test_nobody_there(loop: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        to = target(listener.getsockname()[1])
    assert replies(loop, to, 3) == {Unreachable("connection refused")}
    full = socket.socket()
    with full, socket.socket() as first, socket.socket() as second:
        full.bind(("127.0.0.1", 0))
        full.listen(0)  # one is taken in, and the next are not answered
        for each in (first, second):
            each.setblocking(False)
            each.connect_ex(full.getsockname())

        async def late() -> Reply:
            to = target(full.getsockname()[1])
            return await exchange(to, OPENING, bytes(RANDOM_BYTES), connect=0.3, read=5.0)

        with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
            assert runner.run(late()) == Silent("connect")


@pytest.mark.parametrize("loop", LOOPS)
def test_an_address_that_is_none_is_a_reply_too(loop: str) -> None:
    (reply,) = replies(loop, target(443, "256.0.0.1.invalid."))
    assert isinstance(reply, Unreachable | OwnFault)


class Narrow(socket.socket):
    """A socket that takes few bytes at once."""

    def __init__(self, *words: int, fileno: int | None = None) -> None:
        super().__init__(*words, fileno=fileno)
        self.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)


@pytest.mark.parametrize("loop", LOOPS)
def test_a_hello_longer_than_the_way_is_wide(loop: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It goes out in several pieces, as the other side takes it."""
    long = Hello(Version.TLSv1_2, OPENING.suites, OPENING.groups, more=((0xFF00, bytes(60_000)),))

    def slowly(peer: socket.socket) -> None:
        many = 0
        peer.settimeout(0.5)
        with contextlib.suppress(TimeoutError):
            while piece := peer.recv(8192):
                many += len(piece)
        assert many > 50_000
        peer.sendall(FLIGHT)

    async def asked(to: Target) -> Reply:
        with monkeypatch.context() as patch:
            patch.setattr(socket, "socket", Narrow)
            asking = exchange(to, long, bytes(RANDOM_BYTES), connect=5.0, read=5.0)
            task = asyncio.ensure_future(asking)
            await asyncio.sleep(0)
        return await task

    with served(slowly) as to, asyncio.Runner(loop_factory=LOOPS[loop]) as run:
        assert run.run(asked(to)) == PICKED


@pytest.mark.parametrize("loop", LOOPS)
def test_what_goes_wrong_in_reading_is_no_silence(
    loop: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(wire.Reader, "feed", fail)
    with served(sends(FLIGHT)) as to, pytest.raises(RuntimeError, match="a bug"):
        replies(loop, to)


@pytest.mark.parametrize("loop", LOOPS)
def test_who_gives_up_leaves_nothing(loop: str) -> None:
    async def given_up(to: Target) -> None:
        for wait in (0.0, 0.001, 0.01, 0.05):
            asking = asyncio.ensure_future(
                exchange(to, OPENING, bytes(RANDOM_BYTES), connect=5.0, read=5.0)
            )
            await asyncio.sleep(wait)
            asking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asking

    with served(hold) as to, asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        runner.run(given_up(to))
        assert not open_to(to)


@pytest.mark.parametrize("loop", LOOPS)
def test_without_a_descriptor_it_is_our_own_fault(
    loop: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(*_: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    async def without() -> Reply:
        with monkeypatch.context() as patch:
            patch.setattr(socket, "socket", none)
            return await exchange(target(1), OPENING, bytes(RANDOM_BYTES), connect=1.0, read=1.0)

    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        assert runner.run(without()) == OwnFault("out of file descriptors", passing=True)


@pytest.mark.parametrize("watch", ["add_writer", "add_reader"])
@pytest.mark.parametrize("loop", [asyncio.SelectorEventLoop, uvloop.Loop])
def test_a_socket_that_cannot_be_watched_is_our_own_fault(
    loop: type[asyncio.AbstractEventLoop], watch: str
) -> None:
    """The kernel watches so many for each user and no more (epoll's max_user_watches)."""

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    async def asked(to: Target) -> Reply:
        return await exchange(to, OPENING, bytes(RANDOM_BYTES), connect=5.0, read=5.0)

    with served(hold) as to, asyncio.Runner(loop_factory=type("Full", (loop,), {watch: full})) as r:
        assert r.run(asked(to)) == OwnFault("too many sockets to watch", passing=True)
        assert not open_to(to)
