"""What answers in clear is told as it was; silence is neither closed nor open."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import socket
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.io.test_https import Handler, good, of_server, saying
from tests.servers import nginx
from tests.servers.process import ADDRESS, free_port
from tlscheck.core.model import Endpoint, Target
from tlscheck.io import http, https
from tlscheck.lab.authority import Authority

TARGET = Target(Endpoint("e", "sts", "aws", "r", "standard", "sts.example.com"), ADDRESS)


def asked(handler: Handler, timeout: float = 10.0, **changes: Any) -> dict[str, Any]:
    async def run() -> dict[str, Any]:
        async with await asyncio.start_server(handler, ADDRESS, 0) as server:
            port = server.sockets[0].getsockname()[1]
            target = replace(TARGET, endpoint=replace(TARGET.endpoint, **changes))
            return await http.check(target, timeout=timeout, port=port)

    return asyncio.run(run())


def test_a_closed_port_is_closed() -> None:
    found = asyncio.run(http.check(TARGET, timeout=5.0, port=free_port()))
    assert found == {**http.answer("closed", "connection refused")}


@pytest.mark.parametrize(
    ("location", "secure"),
    [("https://sts.example.com/", True), ("HTTPS://x", True), ("http://x/", False), ("/y", False),
     ("https://[x", False)],
)  # fmt: skip
def test_a_redirect_says_where_to_and_is_not_followed(location: str, secure: bool) -> None:
    seen: list[bytes] = []
    answer = f"HTTP/1.1 301 Moved\r\nServer: me\r\nLocation: {location}\r\n\r\n".encode()
    found = asked(saying(answer, seen))
    assert (found["outcome"], found["status"], found["server"]) == ("redirect", 301, "me")
    assert (found["location"], found["secure"]) == (location, secure)
    (request,) = seen
    assert request.startswith(b"GET / HTTP/1.1\r\n")


@pytest.mark.parametrize("goals", [("https://x/", "http://x/"), ("http://x/", "https://x/")])
def test_a_redirect_to_two_places_is_as_secure_as_the_worse(goals: tuple[str, str]) -> None:
    """Which one is followed is the client's choice."""
    fields = "".join(f"Location: {goal}\r\n" for goal in goals)
    found = asked(saying(f"HTTP/1.1 301 Moved\r\n{fields}\r\n".encode()))
    assert (found["outcome"], found["secure"]) == ("redirect", False)


def test_what_a_redirect_tells_the_one_who_asked_is_left_out() -> None:
    answer = b"HTTP/1.1 302 x\r\nLocation: https://me:hunter2@x/y?X-Amz-Signature=1f#z\r\n\r\n"
    found = asked(saying(answer))
    assert (found["location"], found["secure"]) == ("https://***@x/y?***", True)


@pytest.mark.parametrize("host", ["::1", "192.0.2.1", "sts.example.com"])
def test_a_host_is_asked_for_as_a_url_has_it(host: str) -> None:
    """RFC 9110, section 7.2: an IPv6 address in brackets."""
    seen: list[bytes] = []
    asked(saying(b"HTTP/1.1 200 x\r\n\r\n", seen), host=host)
    shown = f"[{host}]" if ":" in host else host
    assert b"\r\nhost: " + shown.encode() + b":" in seen[0].lower()


def interim(many: int | None) -> Handler:
    """So many interim answers (`None`: without end), and then the answer."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1 << 14)
        with contextlib.suppress(OSError):
            for _ in itertools.repeat(None) if many is None else range(many):
                writer.write(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n")
                await writer.drain()
            writer.write(b"HTTP/1.1 200 x\r\n\r\n")
        writer.close()

    return handler


def test_interim_answers_without_end_are_no_answer_and_soon_over(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    authority = Authority(tmp_path_factory.mktemp("ca"))
    why = "interim answers (1xx) alone, more than 256 KiB of them"
    clear = asked(interim(None), timeout=60.0)
    tls = of_server(authority, interim(None), good(authority), timeout=60.0)
    assert (clear["outcome"], clear["why"]) == (tls["outcome"], tls["why"]) == ("unknown", why)


def test_a_hundred_interim_answers_are_skipped() -> None:
    assert asked(interim(100))["status"] == 200


def test_a_head_as_long_as_it_may_be_is_read_beside_what_follows() -> None:
    fields = b"".join(b"x%d: %s\r\n" % (n, b"y" * 9000) for n in range(10))
    answer = b"HTTP/1.1 200 x\r\n" + fields + b"\r\n" + b"z" * 500_000
    assert asked(saying(answer))["status"] == 200


def test_not_modified_leads_nowhere() -> None:
    found = asked(saying(b"HTTP/1.1 304 x\r\nLocation: https://x/\r\n\r\n"))
    assert found["outcome"] == "answer"


@pytest.mark.parametrize("status", [200, 301, 400, 403, 500])
def test_an_answer_in_clear_is_one(status: int) -> None:
    found = asked(saying(f"HTTP/1.1 {status} x\r\n\r\n".encode()))
    assert (found["outcome"], found["status"], found["why"]) == ("answer", status, None)


def test_nginx_answers_in_clear_and_redirects(tmp_path: Path) -> None:
    """A server of another hand: its HTTPS port answers 400 to HTTP, in clear."""
    with nginx.modern(tmp_path) as server:
        found = asyncio.run(http.check(TARGET, timeout=5.0, port=server.port))
    assert (found["outcome"], found["status"]) == ("answer", 400)
    assert found["server"].startswith("nginx")


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()
    writer.close()


async def dripping(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n")
    while not reader.at_eof():
        writer.write(b"X: y\r\n")
        try:
            await asyncio.wait_for(reader.read(100), 0.01)
        except TimeoutError:
            continue


@pytest.mark.parametrize(
    ("handler", "why"),
    [(silent, "timed out"), (dripping, "timed out"), (saying(b""), "closed without an HTTP answer"),
     (saying(b"220 mail\r\n\r\n"), "what answered is not HTTP"),
     (saying(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 300_000), "what answered is not HTTP")],
    ids=["silent", "dripping", "closing", "mail", "endless head"],
)  # fmt: skip
def test_what_is_no_answer_is_unknown(handler: Handler, why: str) -> None:
    found = asked(handler, timeout=0.5)
    assert found["outcome"] == "unknown" and found["why"].startswith(why)


@pytest.mark.parametrize(("answers", "times"), [(False, 1), (True, 2)])
def test_what_hangs_up_is_asked_once_more_and_silence_is_not(answers: bool, times: int) -> None:
    came = []

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        came.append(writer)
        if answers:
            writer.close()
        else:
            await silent(reader, writer)

    asked(handler, timeout=5.0 if answers else 0.5)
    assert len(came) == times


def test_a_body_is_never_read() -> None:
    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 999999999999\r\n\r\n")
        with pytest.raises((ConnectionError, TimeoutError)):
            async with asyncio.timeout(20):
                while True:
                    writer.write(b"x" * 65536)
                    await writer.drain()

    found = asked(endless)
    assert (found["outcome"], found["status"]) == ("answer", 200)


def test_headers_are_bounded_and_printable() -> None:
    answer = b"HTTP/1.1 302 x\r\nLocation: https://\xc2\x9b" + b"y" * 5000 + b"\r\n\r\n"
    found = asked(saying(answer))
    assert found["location"].isprintable() and len(found["location"]) == https.MOST_HEADER


def test_an_address_that_drops_everything_is_unknown_and_not_closed() -> None:
    """A full backlog: connections neither come about nor are refused."""
    with socket.socket() as listener:
        listener.bind((ADDRESS, 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        with socket.create_connection((ADDRESS, port)):
            found = asyncio.run(http.check(TARGET, timeout=0.5, port=port))
    assert (found["outcome"], found["why"]) == ("unknown", "timed out")
