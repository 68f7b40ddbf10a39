"""One name server's answers are told for what they are; what was not seen hides no address."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import dns.message
import dns.rcode
import dns.rrset
import pytest

from tlscheck.core.model import Endpoint
from tlscheck.io import dns as edge

HOST = "sts.internal.example.com"
Zone = Callable[[str, str], list[str] | int | bytes | None]
"""Name and type to records (`=NAME` is an alias), a response code, raw bytes, or no answer."""


@contextmanager
def serving(zone: Zone, address: str = "127.0.0.1") -> Iterator[str]:
    """A name server on loopback, over UDP; yields what --nameserver takes."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.bind((address, 0))
        sock.settimeout(0.05)
        over = threading.Event()

        def serve() -> None:
            while not over.is_set():
                try:
                    data, peer = sock.recvfrom(4096)
                except TimeoutError:
                    continue
                if (said := _answer(zone, data)) is not None:
                    sock.sendto(said, peer)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            port = sock.getsockname()[1]
            yield f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
        finally:
            over.set()
            thread.join()


def _answer(zone: Zone, data: bytes) -> bytes | None:
    query = dns.message.from_wire(data)
    (question,) = query.question
    kind = "A" if question.rdtype == 1 else "AAAA"
    said = zone(question.name.to_text(True), kind)
    if said is None or isinstance(said, bytes):
        return said
    reply = dns.message.make_response(query)
    if isinstance(said, int):
        reply.set_rcode(dns.rcode.Rcode(said))
    elif said and said[0].startswith("="):
        reply.answer.append(dns.rrset.from_text(question.name, 60, "IN", "CNAME", said[0][1:]))
    elif said:
        reply.answer.append(dns.rrset.from_text(question.name, 60, "IN", kind, *said))
    return reply.to_wire()


def looked_up(zone: Zone, timeout: float = 1.0, address: str = "127.0.0.1") -> object:
    endpoint = Endpoint("e", "sts", "aws", "r", "standard", HOST)

    async def run(nameserver: str) -> object:
        return await edge.look_up_at(edge.resolver(nameserver), endpoint, timeout)

    with serving(zone, address) as nameserver:
        return asyncio.run(run(nameserver))


BOTH = {"A": ["192.0.2.9", "192.0.2.7"], "AAAA": ["2001:db8::7"]}


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_all_addresses_come_sorted(address: str) -> None:
    found = looked_up(lambda name, kind: BOTH[kind], address=address)
    assert found == (("192.0.2.7", "192.0.2.9", "2001:db8::7"), None, None)


def test_the_whole_name_is_asked_for_and_nothing_else() -> None:
    asked: list[str] = []
    looked_up(lambda name, kind: asked.append(name) or [])  # type: ignore[func-returns-value]
    assert set(asked) == {HOST}


FAILURES = ("DNS: time-out", "DNS: server failure", "DNS: look-up failed")
NXDOMAIN, SERVFAIL, REFUSED = 3, 2, 5


@pytest.mark.parametrize(
    ("a", "aaaa", "found"),
    [
        (["192.0.2.7"], [], (("192.0.2.7",), None, None)),
        ([], ["2001:db8::7"], (("2001:db8::7",), None, None)),
        (NXDOMAIN, NXDOMAIN, ((), "DNS: name does not exist", None)),
        ([], [], ((), "DNS: no address", None)),
        (SERVFAIL, SERVFAIL, ((), "DNS: server failure", None)),
        (REFUSED, REFUSED, ((), "DNS: server failure", None)),
        # What was not seen may be an address: it is neither none nor forgotten.
        ([], None, ((), "DNS: time-out", None)),
        (["192.0.2.7"], None, (("192.0.2.7",), None, "AAAA: DNS: time-out")),
        (SERVFAIL, ["2001:db8::7"], (("2001:db8::7",), None, "A: DNS: server failure")),
        # RFC 4074, section 4.2: some say so of a type, and its absence is told all the same.
        (["192.0.2.7"], NXDOMAIN, (("192.0.2.7",), None, None)),
        (None, None, ((), "DNS: time-out", None)),
    ],
)
def test_answers_are_told_for_what_they_are(a: object, aaaa: object, found: object) -> None:
    said = {"A": a, "AAAA": aaaa}
    assert looked_up(lambda name, kind: said[kind], timeout=0.4) == found  # type: ignore[arg-type,return-value]


def test_an_address_is_not_asked_for() -> None:
    asked = edge.resolver("127.0.0.1:9")
    for host in ("192.0.2.7", "2001:db8::7"):
        endpoint = Endpoint("e", "sts", "aws", "r", "standard", host)
        assert asyncio.run(edge.look_up_at(asked, endpoint, 1.0)) == ((host,), None, None)


def test_a_failure_of_the_moment_is_asked_again() -> None:
    asked: list[str] = []

    def zone(name: str, kind: str) -> list[str] | int:
        asked.append(kind)
        return BOTH[kind] if asked.count(kind) > 1 else SERVFAIL

    assert looked_up(zone, timeout=5.0) == (("192.0.2.7", "192.0.2.9", "2001:db8::7"), None, None)
    assert len(asked) == 4


@pytest.mark.parametrize("raw", [b"", b"x", bytes(12), b"\xff" * 600])
def test_what_is_no_dns_is_no_answer(raw: bytes) -> None:
    addresses, why, _ = looked_up(lambda name, kind: raw, timeout=0.4)  # type: ignore[misc]
    assert addresses == () and why in (
        "DNS: time-out",
        "DNS: server failure",
        "DNS: look-up failed",
    )


def test_nobody_there_is_a_failure_and_no_missing_name() -> None:
    endpoint = Endpoint("e", "sts", "aws", "r", "standard", HOST)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    asked = edge.resolver(f"127.0.0.1:{port}")
    addresses, why, _ = asyncio.run(edge.look_up_at(asked, endpoint, 0.4))
    assert addresses == () and why in (
        "DNS: time-out",
        "DNS: server failure",
        "DNS: look-up failed",
    )


@pytest.mark.parametrize(
    ("text", "found"),
    [("192.0.2.53", ("192.0.2.53", 53)), ("192.0.2.53:5353", ("192.0.2.53", 5353)),
     ("2001:db8::53", ("2001:db8::53", 53)), ("[2001:db8::53]:54", ("2001:db8::53", 54)),
     ("[::1]", ("::1", 53))],
)  # fmt: skip
def test_a_name_server_is_an_address_and_a_port(text: str, found: tuple[str, int]) -> None:
    assert edge.server(text) == found


@pytest.mark.parametrize(
    "text", ["", "x", "dns.example.com", "192.0.2.53:0", "192.0.2.53:65536", "192.0.2.53:", "1.2.3",
             "fe80::1%eth0", "[::1", "[::1]:x", "192.0.2.53:53:53", "https://192.0.2.53"]
)  # fmt: skip
def test_nothing_else_is(text: str) -> None:
    with pytest.raises(ValueError):
        edge.server(text)


@pytest.mark.parametrize(
    ("zone", "found"),
    [
        ({HOST: ["=a.example.com."], "a.example.com": ["192.0.2.7"]}, (("192.0.2.7",), None, None)),
        ({HOST: ["=a.example.com."], "a.example.com": []}, ((), "DNS: no address", None)),
        ({HOST: ["=a.example.com."], "a.example.com": NXDOMAIN},
         ((), "DNS: name does not exist", None)),
        ({HOST: ["=a.example.com."], "a.example.com": None}, ((), "DNS: time-out", None)),
        ({HOST: ["=a.example.com."], "a.example.com": [f"={HOST}."]},
         ((), "DNS: more than 8 aliases, one after the other", None)),
    ],
    ids=["one", "empty", "dangling", "silent", "circle"],
)  # fmt: skip
def test_an_alias_is_followed_where_the_name_server_does_not(zone: Any, found: object) -> None:
    """One that asks no other server tells the alias alone: that is no word about addresses."""

    def said(name: str, kind: str) -> Any:
        found = zone[name]
        if kind == "AAAA" and isinstance(found, list):
            return [record for record in found if record.startswith("=")]
        return found

    assert looked_up(said, timeout=0.6) == found
