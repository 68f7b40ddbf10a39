"""The codec reads what real stacks send, whole and byte by byte, and never trips over rubbish."""

import hashlib
import ssl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tlscheck.core import messages, registry
from tlscheck.core.hello import encode, sendable_name
from tlscheck.core.registry import Version
from tlscheck.core.reply import Alert, Garbage, Hangup, Hello, Picked, Reply, Silent, Ssl2Picked
from tlscheck.core.wire import Reader

RANDOM = bytes(range(64))
HELLO12 = Hello(
    Version.TLSv1_2, registry.suites_of(Version.TLSv1_2), registry.curves_of(Version.TLSv1_2)
)


def record(kind: int, body: bytes, version: int = 0x0303) -> bytes:
    return bytes([kind]) + version.to_bytes(2, "big") + len(body).to_bytes(2, "big") + body


def message(kind: int, body: bytes) -> bytes:
    return bytes([kind]) + len(body).to_bytes(3, "big") + body


def server_hello(version: int, suite: int, extensions: bytes = b"", random: bytes = b"r" * 32):
    tail = len(extensions).to_bytes(2, "big") + extensions if extensions else b""
    body = version.to_bytes(2, "big") + random + b"\0" + suite.to_bytes(2, "big") + b"\0" + tail
    return message(2, body)


def ext(kind: int, body: bytes) -> bytes:
    return kind.to_bytes(2, "big") + len(body).to_bytes(2, "big") + body


def read(data: bytes, hello: Hello = HELLO12, step: int | None = None) -> Reply:
    reader = Reader(hello)
    for at in range(0, len(data), step or max(1, len(data))):
        if reply := reader.feed(data[at : at + (step or len(data))]):
            return reply
    return reader.end(Hangup("closed"))


def flight12(suite: int = 0xC02F) -> bytes:
    key_exchange = b"\x03\x00\x17" + b"\x41" + b"p" * 65 + b"\x04\x01" + b"\x00\x02ss"
    return b"".join(
        (
            server_hello(0x0303, suite, ext(0xFF01, b"\0")),
            message(11, b"\x00\x00\x06\x00\x00\x03abc"),
            message(12, key_exchange),
            message(14, b""),
        )
    )


@pytest.mark.parametrize("step", [None, 1, 2, 7])
@pytest.mark.parametrize("split", [1, 3, 50, 1 << 14])
def test_a_first_flight_reads_the_same_however_it_is_cut(step: int | None, split: int) -> None:
    flight = flight12()
    data = b"".join(record(22, flight[i : i + split]) for i in range(0, len(flight), split))
    assert read(data, step=step) == Picked(0x0303, 0xC02F, 0x0017, 0x0401, (b"abc",))


def test_a_retry_request_names_version_suite_and_group() -> None:
    random = hashlib.sha256(b"HelloRetryRequest").digest()
    extensions = ext(43, b"\x03\x04") + ext(51, b"\x11\xec")
    data = record(22, server_hello(0x0303, 0x1301, extensions, random))
    assert read(data) == Picked(0x0304, 0x1301, 0x11EC, retry=True)


@pytest.mark.parametrize(
    ("tail", "why"),
    [
        (record(21, b"\x02\x50"), "alert internal_error"),
        (b"", "closed"),
        (record(22, b"\x0c\x00\x00\x03\x03\x00\x17"), "ServerKeyExchange: length of public point"),
        (record(23, b"x"), "application data"),
    ],
)
def test_a_flight_that_breaks_off_is_picked_but_not_whole(tail: bytes, why: str) -> None:
    reply = read(record(22, server_hello(0x0303, 0xC02F)) + tail)
    assert isinstance(reply, Picked) and not reply.whole and reply.suite == 0xC02F
    assert why in str(reply.ended)


def test_alerts_refuse_and_warnings_do_not() -> None:
    assert read(record(21, b"\x02\x28")) == Alert(40)
    assert read(record(21, b"\x01\x00")) == Alert(0)
    assert isinstance(read(record(21, b"\x01\x70") + record(22, flight12())), Picked)
    assert isinstance(read(record(21, b"\x01\x70") * 100), Garbage)
    # A refusal sent as a warning: no more comes, and the level means nothing (RFC 8446, 6.2).
    assert read(record(21, b"\x01\x28")) == Alert(40)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "HTTP"),
        (b"SSH-2.0-x\r\n", "SSH"),
        (b"\x00" * 100, "0x00"),
        (record(22, b"\x02\x00\x00\x02\x03\x03"), "ServerHello: random is short"),
        (record(22, server_hello(0x0303, 0xC02F)[:4] + b"\x03"), "closed"),
        (record(22, message(2, server_hello(0x0303, 5)[4:] + b"x")), "extensions is short"),
        (b"\x16\x03\x03\xff\xff", "record of 65535 bytes"),
        (record(22, b"\x0b\xff\xff\xff"), "handshake message of 16777215 bytes"),
        (record(22, b"\0\0\0\0" * 100), "HelloRequests"),
        (record(22, flight12(), version=0x0203), "record version"),
    ],
)
def test_what_breaks_the_rules_is_named(data: bytes, why: str) -> None:
    reply = read(data)
    assert why in str(reply), reply
    assert not isinstance(reply, Picked)


def test_silence_and_hangup_stay_what_they_are() -> None:
    assert Reader(HELLO12).end(Silent("read")) == Silent("read")
    assert Reader(HELLO12).end(Hangup("reset")) == Hangup("reset")


def test_ssl2_server_hello_lists_the_common_kinds() -> None:
    body = b"\x04\x00\x01\x00\x02\x00\x03\x00\x06\x00\x01cer\x07\x00\xc0\x01\x00\x80i"
    data = (0x8000 | len(body)).to_bytes(2, "big") + body
    hello = Hello(Version.SSLv2, registry.suites_of(Version.SSLv2))
    for step in (None, 1):
        assert read(data, hello, step) == Ssl2Picked((0x0700C0, 0x010080), b"cer")
    assert read(b"\x80\x03\x00\x00\x01", hello) == Alert(40)
    assert read(record(21, b"\x02\x46"), hello) == Alert(70)


def test_rfc7919_primes_are_recognised() -> None:
    primes = messages._ffdhe_primes()
    assert sorted(p.bit_length() for p in primes) == [2048, 3072, 4096, 6144, 8192]
    assert all(p % 2**64 == 2**64 - 1 and p >> (p.bit_length() - 64) == 2**64 - 1 for p in primes)
    # The first words after the leading ones of ffdhe2048, as RFC 7919, appendix A.1 prints them.
    ffdhe2048 = next(p for p, group in primes.items() if group == 0x0100)
    assert f"{ffdhe2048:X}".startswith("FFFFFFFFFFFFFFFFADF85458A2BB4A9AAFDC5620273D3CF1")
    assert f"{ffdhe2048:X}".endswith("886B423861285C97FFFFFFFFFFFFFFFF")


@given(st.binary(max_size=400), st.sampled_from(list(Version)), st.integers(1, 50))
def test_any_bytes_give_a_reply_and_the_same_one_in_pieces(
    data: bytes, version: Version, step: int
) -> None:
    hello = Hello(version, registry.suites_of(version))
    assert type(read(data, hello)) is type(read(data, hello, step))


@given(st.data())
def test_a_mutated_flight_never_raises(data: st.DataObject) -> None:
    flight = bytearray(record(22, flight12()))
    for _ in range(data.draw(st.integers(1, 6))):
        flight[data.draw(st.integers(0, len(flight) - 1))] = data.draw(st.integers(0, 255))
    reply = read(bytes(flight), step=data.draw(st.integers(1, 40)))
    assert isinstance(reply, Picked | Alert | Hangup | Garbage)


@pytest.mark.parametrize("version", list(Version))
@pytest.mark.parametrize("count", [1, 20, 60, 90, 100, 500])
def test_no_hello_has_a_length_that_servers_stumble_over(version: Version, count: int) -> None:
    name = "sts.us-east-1.amazonaws.com"
    hello = Hello(version, registry.suites_of(version)[:count], registry.groups_of(version))
    data = encode(hello, RANDOM, name)
    if version not in (Version.SSLv2, Version.SSLv3):
        assert not 256 <= len(data) - 5 <= 511
        assert int.from_bytes(data[3:5], "big") == len(data) - 5
        assert int.from_bytes(data[6:9], "big") == len(data) - 9


@pytest.mark.parametrize("name", ["192.0.2.1", "2001:db8::1", "[2001:db8::1]", "", None])
def test_no_ip_literal_is_sent_as_server_name(name: str | None) -> None:
    assert sendable_name(name) is None


@pytest.mark.parametrize("version", [Version.TLSv1_2, Version.TLSv1_3])
def test_openssl_answers_our_hello(version: Version, tmp_path) -> None:
    """Our bytes go into a real OpenSSL and its bytes come back, with no socket between."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers("ALL:aNULL:@SECLEVEL=0")
    hello = Hello(version, registry.suites_of(version), registry.groups_of(version))
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = context.wrap_bio(incoming, outgoing, server_side=True)
    incoming.write(encode(hello, RANDOM, "a.example"))
    try:
        server.do_handshake()
    except ssl.SSLWantReadError:
        reply = read(outgoing.read(), hello)
        assert isinstance(reply, Picked) and reply.version == version and reply.whole
    except ssl.SSLError:
        # No certificate: 1.3 answers by refusing, anonymous suites are for 1.2 only.
        assert isinstance(read(outgoing.read(), hello), Alert)
        assert version is Version.TLSv1_3
