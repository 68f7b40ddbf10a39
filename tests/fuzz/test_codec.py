"""What real servers say is read, whole and in pieces, and so is what is left of it mutated."""

from __future__ import annotations

import tracemalloc
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.test_wire import message, record, server_hello
from tlscheck.core import wire
from tlscheck.core.registry import Version
from tlscheck.core.reply import Alert, Hangup, Hello, Picked

from . import corpus, hold
from .mutate import mutated

MEGABYTES = 8  # that one answer may take, whatever it sends


@pytest.mark.parametrize("flow", corpus.flows(), ids=lambda f: f"{f.server}-{f.version.label}")
def test_what_a_real_server_says_decides(flow: corpus.Flow) -> None:
    reply = hold.codec(flow.version, flow.data, Random(1))
    assert isinstance(reply, Alert) or (isinstance(reply, Picked) and reply.whole), reply


def test_the_corpus_has_every_stack_and_every_kind_of_answer() -> None:
    flows = corpus.flows()
    stacks = {flow.server.partition("-")[0] for flow in flows}
    assert {"openssl", "gnutls", "nss", "jsse", "tlslite", "nginx"} <= stacks
    replies = [(f, hold.codec(f.version, f.data, Random(1))) for f in flows]
    picked = [(f, r) for f, r in replies if isinstance(r, Picked)]
    assert {Version(r.version) for _, r in picked} == set(Version) - {Version.SSLv2}
    assert any(r.retry for _, r in picked) and any(r.dh_bits for _, r in picked)
    assert {f.version for f, r in replies if isinstance(r, Alert)} == set(Version)
    assert sum(len(flow.data) for flow in flows) < 300_000


@pytest.mark.parametrize("seed", range(5))
def test_a_thousand_mutated_flows_hold(seed: int) -> None:
    chance, flows = Random(seed), corpus.flows()
    for nth in range(1000):
        data = mutated(chance.choice(flows).data, chance)
        version = chance.choice(list(Version))
        try:
            hold.codec(version, data, chance)
        except BaseException as fault:
            fault.add_note(f"seed {seed}, mutation {nth}, {version.label}: {data.hex()}")
            raise


@settings(max_examples=500)
@given(st.binary(max_size=300), st.sampled_from(list(Version)), st.integers(0, 2**32))
def test_any_bytes_give_a_reply_and_the_same_one_in_pieces(
    data: bytes, version: Version, seed: int
) -> None:
    hold.codec(version, data, Random(seed))
    hold.codec(version, b"\x16\x03\x03\x00\x80" + data, Random(seed))


HELLO = server_hello(0x0303, 0x002F)
ENDLESS = {
    "HelloRequests": record(22, message(0, b"")),
    "warnings": record(21, b"\x01\x70"),
    "empty records": record(22, b""),
    "empty alerts": record(21, b""),
    "a certificate": record(22, message(11, b"\0\0\0")),
    "one byte a record": record(22, b"\x0b"),
    "a message without an end": record(22, b"\x0b\x07\xff\xff" + bytes(16000)),
    "certificates of no length": record(22, b"\x0b\0\x3f\xfc\0\x3f\xf9" + bytes(0x3FF9)),
    "half a record": b"\x16\x03\x03\x48\0" + bytes(0x4800),
    "zeros": bytes(1000),
    "SSLv2": b"\xff\xff\x04" + bytes(0x7FFE),
}


@pytest.mark.parametrize("started", [False, True])
@pytest.mark.parametrize("what", ENDLESS)
def test_what_has_no_end_is_given_one(what: str, started: bool) -> None:
    """Fed as a socket gives it, ten times as much as may be read."""
    version = Version.SSLv2 if what == "SSLv2" else Version.TLSv1_2
    endless = (ENDLESS[what] * (16384 // len(ENDLESS[what]) + 1))[:16384]
    reader, sent = wire.Reader(Hello(version, ())), 0
    tracemalloc.start()
    try:
        reader.feed(record(22, HELLO) if started else b"")
        while reader.reply is None and sent < 10 * wire.MOST_BYTES:
            reader.feed(endless)
            sent += len(endless)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert reader.end(Hangup("closed")) is not None
    assert sent <= wire.MOST_BYTES + 2 * len(endless)
    assert most < MEGABYTES << 20
