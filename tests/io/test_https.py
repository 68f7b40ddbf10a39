"""The HTTPS check: what decides is yes or no, and everything else is unknown with the reason."""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tlscheck.core.model import Endpoint, Target
from tlscheck.io import https
from tlscheck.io.https import check
from tlscheck.lab.authority import Authority
from tlscheck.lab.plan import Profile
from tlscheck.lab.process import Lab, start
from tlscheck.lab.server import Tls

NAME = "sts.xx-test-1.example.com"
TIMEOUT = 10.0
Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    rows = [
        Endpoint(f"e{nth}", "sts", "aws", f"r{nth}", "standard", f"sts.r{nth}.example.com")
        for nth in range(30)
    ]
    with start(rows) as lab:
        yield lab


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


def of_lab(lab: Lab, deviation: str | None, nth: int = 0, timeout: float = TIMEOUT) -> Any:
    found = next(s for s in lab.stations if (s.deviation.id if s.deviation else None) == deviation)
    endpoint = replace(found.endpoint, port=lab.port)
    target = Target(endpoint, found.addresses[nth], pinned=True)
    return asyncio.run(check(target, ca_bundle=lab.ca_bundle, timeout=timeout))


def of_server(
    authority: Authority,
    handler: Handler,
    context: ssl.SSLContext | None,
    *,
    address: str = "127.0.0.1",
    timeout: float = TIMEOUT,
    ca_bundle: Path | None = None,
    **changes: Any,
) -> dict[str, Any]:
    """Checks a server of the test's own that handles each connection with `handler`."""

    async def run() -> dict[str, Any]:
        server = await asyncio.start_server(handler, address, 0, ssl=context)
        async with server:
            port = server.sockets[0].getsockname()[1]
            row = Endpoint("e", "sts", "aws", "r", "standard", NAME, port)
            target = Target(replace(row, **changes), address, pinned=True)
            return await check(target, ca_bundle=ca_bundle or authority.bundle, timeout=timeout)

    return asyncio.run(run())


def saying(answer: bytes, seen: list[bytes] | None = None) -> Handler:
    """Reads once, says `answer`, closes."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        data = await reader.read(1 << 14)
        if seen is not None:
            seen.append(data)
        writer.write(answer)
        writer.close()

    return handler


def good(authority: Authority, *names: str, **profile: Any) -> ssl.SSLContext:
    return authority.context(names or (NAME,), Profile(**profile))


OK = b"HTTP/1.1 204 No Content\r\n\r\n"


# --- what decides ----------------------------------------------------------------------------


def test_any_http_answer_is_a_yes(lab: Lab) -> None:
    found = of_lab(lab, None)
    assert 0 <= found.pop("first_byte_ms") < 1000 * TIMEOUT
    assert len(bytes.fromhex(found.pop("leaf"))) == 32
    rest = {k: v for k, v in https.answer("yes").items() if k in found}
    assert found == {
        **rest,
        "status": 302,
        "version": "TLSv1.3",
        "suite": "TLS_AES_256_GCM_SHA384",
        "server": "tlscheck-lab",
        "ticket": False,
    }


def test_an_old_version_is_no_reason_for_a_no(lab: Lab) -> None:
    found = of_lab(lab, "only-tls11")
    assert (found["outcome"], found["version"]) == ("yes", "TLSv1.1")
    assert found["suite"] == "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA"


@pytest.mark.parametrize(
    ("deviation", "why"),
    [
        ("expired-certificate", "certificate has expired"),
        ("self-signed", "certificate is self-signed"),
        ("wrong-name", "certificate is not for sts.r"),
    ],
)
def test_a_bad_certificate_is_a_no(lab: Lab, deviation: str, why: str) -> None:
    found = of_lab(lab, deviation)
    assert found["outcome"] == "no"
    assert found["why"].startswith(why)


def test_an_issuer_that_is_not_trusted_is_a_no(lab: Lab, authority: Authority) -> None:
    found = of_server(authority, saying(OK), good(authority), ca_bundle=lab.ca_bundle)
    assert (found["outcome"], found["why"]) == ("no", "certificate's issuer is not trusted")


def test_without_a_bundle_the_systems_trust_decides(authority: Authority) -> None:
    async def run() -> dict[str, Any]:
        server = await asyncio.start_server(saying(OK), "127.0.0.1", 0, ssl=good(authority))
        async with server:
            port = server.sockets[0].getsockname()[1]
            row = Endpoint("e", "sts", "aws", "r", "standard", NAME, port)
            return await check(Target(row, "127.0.0.1"), ca_bundle=None, timeout=TIMEOUT)

    assert asyncio.run(run())["why"] == "certificate's issuer is not trusted"


@pytest.mark.parametrize(
    ("code", "outcome", "why"),
    [
        (40, "no", "alert handshake_failure"),
        (70, "no", "alert protocol_version"),
        (112, "no", "alert unrecognized_name"),
        (
            120,
            "unknown",
            "alert no_application_protocol: refuses HTTP/1.1, and nothing else was offered",
        ),
        (80, "unknown", "alert internal_error"),
    ],
)
def test_only_an_alert_that_refuses_is_a_no(
    authority: Authority, code: int, outcome: str, why: str
) -> None:
    found = of_server(authority, saying(b"\x15\x03\x03\x00\x02\x02" + bytes([code])), None)
    assert (found["outcome"], found["why"]) == (outcome, why)


@pytest.mark.parametrize(
    ("version", "why"),
    [("TLSv1.2", "alert handshake_failure"), ("TLSv1.3", "alert certificate_required")],
)
def test_a_server_that_wants_a_client_certificate_is_a_no(
    authority: Authority, version: str, why: str
) -> None:
    context = good(authority, lowest=version, highest=version)
    context.verify_mode = ssl.CERT_REQUIRED

    async def run() -> dict[str, Any]:
        # asyncio's own TLS servers drop the alert on the way out.
        loop = asyncio.get_running_loop()
        async with await loop.create_server(lambda: Tls(context), "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            row = Endpoint("e", "sts", "aws", "r", "standard", NAME, port)
            target = Target(row, "127.0.0.1")
            return await check(target, ca_bundle=authority.bundle, timeout=TIMEOUT)

    found = asyncio.run(run())
    assert (found["outcome"], found["why"]) == ("no", why)


# --- the request -----------------------------------------------------------------------------


def test_the_request_names_the_host_and_the_hello_the_server_name(authority: Authority) -> None:
    seen: list[bytes] = []
    names: list[str | None] = []
    context = good(authority, "other.example.com")
    context.sni_callback = lambda tls, name, _: names.append(name)
    found = of_server(authority, saying(OK, seen), context, server_name="other.example.com")
    assert (found["outcome"], found["status"]) == ("yes", 204)
    assert names == ["other.example.com"]
    assert seen[0].startswith(b"GET / HTTP/1.1\r\n")
    assert f"host: {NAME}:".encode() in seen[0].lower()


@pytest.mark.parametrize(
    ("issued", "outcome"),
    [("vpce.example.com", "yes"), ("*.example.com", "yes"), (NAME, "no"), ("*.com", "no")],
)
def test_the_name_to_verify_may_differ_from_the_name_sent(
    authority: Authority, issued: str, outcome: str
) -> None:
    found = of_server(
        authority, saying(OK), good(authority, issued), verify_name="vpce.example.com"
    )
    assert found["outcome"] == outcome
    if outcome == "no":
        assert found["why"] == "certificate is not for vpce.example.com"


def test_ipv6_addresses_work(authority: Authority) -> None:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        pytest.skip("no IPv6 on this system")
    found = of_server(authority, saying(OK), good(authority), address="::1")
    assert found["outcome"] == "yes"


def test_redirects_are_not_followed_and_the_body_is_not_read(authority: Authority) -> None:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1 << 14)
        writer.write(b"HTTP/1.1 301 Moved\r\nLocation: /\r\nContent-Length: 999999999\r\n\r\n")
        await writer.drain()
        assert not await reader.read()  # the client leaves without waiting for the body
        writer.close()

    assert of_server(authority, handler, good(authority))["status"] == 301


@pytest.mark.parametrize("name", ["Server", "Strict-Transport-Security"])
def test_a_header_is_bounded_and_printable(authority: Authority, name: str) -> None:
    answer = b"HTTP/1.1 200 OK\r\n%b: \xc2\x9b" % name.encode() + b"x" * 5000 + b"\r\n\r\n"
    found = of_server(authority, saying(answer), good(authority))
    value = found[name.lower().replace("-", "_")]
    assert value.isprintable()
    assert len(value) == https.MOST_HEADER and value.endswith("...")


def test_a_line_of_the_answer_is_not_quoted_in_the_reason(authority: Authority) -> None:
    answer = b"HTTP/1.1 200 OK\r\nCookie : hunter2\r\n\r\n"
    found = of_server(authority, saying(answer), good(authority))
    assert found["why"] == "what answered is not HTTP: illegal header line"


def test_a_secret_in_a_header_is_masked(authority: Authority) -> None:
    key = "AKIA" + "Z7" * 8
    answer = f"HTTP/1.1 200 OK\r\nServer: of {key} at //me:hunter2@x, 123456789012\r\n\r\n"
    found = of_server(authority, saying(answer.encode()), good(authority))
    assert found["server"] == "of *** at //***@x, ***"


@pytest.mark.parametrize("settings", [b"", b"\0\x03\0\0\0\x64"])
def test_frames_of_http_2_are_told_to_be_such(authority: Authority, settings: bytes) -> None:
    """Some servers speak it whatever was negotiated."""
    frames = bytes((0, 0, len(settings), 4, 0, 0, 0, 0, 0)) + settings
    found = of_server(authority, saying(frames), good(authority))
    why = "speaks HTTP/2 only, which this check does not: answers 1.1 with frames"
    assert (found["outcome"], found["why"]) == ("unknown", why)
    for other in (frames[:8], b"x" + frames, OK[:-2] + b"\r\n" + frames):
        assert "HTTP/2" not in str(of_server(authority, saying(other), good(authority))["why"])


def test_alpn_and_hsts_are_told_as_sent(authority: Authority) -> None:
    context = good(authority)
    context.set_alpn_protocols(["h2", "http/1.1"])
    answer = b"HTTP/1.1 200 OK\r\nStrict-Transport-Security: max-age=9; preload\r\n\r\n"
    found = of_server(authority, saying(answer), context)
    assert found["alpn"] == "http/1.1"
    assert found["strict_transport_security"] == "max-age=9; preload"


def test_the_environments_proxy_is_not_asked(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    assert of_server(authority, saying(OK), good(authority))["outcome"] == "yes"


# --- what does not decide --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("deviation", "timeout", "why"),
    [
        ("resets", TIMEOUT, "connection reset"),
        ("silent", 0.4, "timed out"),
        ("port-closed", TIMEOUT, "connection refused"),
        ("not-tls", TIMEOUT, "what answered is not TLS"),
    ],
)
def test_silence_is_never_an_answer(lab: Lab, deviation: str, timeout: float, why: str) -> None:
    assert of_lab(lab, deviation, timeout=timeout) == https.answer("unknown", why)
    assert set(https.answer("unknown", why).values()) == {"unknown", why, None}


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"", "closed without an HTTP answer"),
        (b"SSH-2.0-x\r\n\r\n", "what answered is not HTTP"),
        (b"\0\0\0\7\0\0\0\0\0", "what answered is not HTTP: illegal status line"),
        (b"HTTP/1.1 101 x\r\nUpgrade: x\r\n\r\n", "switched to another protocol, which nobody"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 300_000, "what answered is not HTTP"),
    ],
)
def test_tls_without_http_is_unknown(authority: Authority, answer: bytes, why: str) -> None:
    found = of_server(authority, saying(answer), good(authority))
    assert found["outcome"] == "unknown"
    assert found["why"].startswith(why)


def test_a_close_in_the_handshake_is_unknown(authority: Authority) -> None:
    found = of_server(authority, saying(b""), None)
    assert (found["outcome"], found["why"]) == ("unknown", "closed without an answer")


@pytest.mark.parametrize("drip", [b"H", b"HTTP/1.1 100 Continue\r\n\r\n"])
def test_a_server_that_drips_is_left_at_the_deadline(authority: Authority, drip: bytes) -> None:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                writer.write(drip)
                await writer.drain()
                await asyncio.wait_for(reader.read(1 << 14), 0.01)
        except TimeoutError:
            await handler(reader, writer)
        except OSError:
            writer.close()

    found = of_server(authority, handler, good(authority), timeout=0.4)
    assert found["outcome"] == "unknown"


def test_a_reset_that_passes_is_asked_again(authority: Authority) -> None:
    turns = iter((True, False))

    async def run() -> dict[str, Any]:
        context = good(authority)

        async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            if next(turns):
                sock = writer.get_extra_info("socket")
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                writer.transport.abort()
            else:
                await writer.start_tls(context)
                await saying(OK)(reader, writer)

        server = await asyncio.start_server(handler, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            row = Endpoint("e", "sts", "aws", "r", "standard", NAME, port)
            target = Target(row, "127.0.0.1")
            return await check(target, ca_bundle=authority.bundle, timeout=TIMEOUT)

    assert asyncio.run(run())["outcome"] == "yes"


def test_a_fault_of_our_side_says_so(
    lab: Lab, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_more(*args: object, **kwargs: object) -> socket.socket:
        raise OSError(errno.EMFILE, "Too many open files")

    async def run() -> dict[str, Any]:
        monkeypatch.setattr(socket, "socket", no_more)
        target = Target(lab.endpoints[0], lab.endpoints[0].addresses[0])
        return await check(target, ca_bundle=lab.ca_bundle, timeout=TIMEOUT)

    found = asyncio.run(run())
    assert (found["outcome"], found["why"]) == ("unknown", "Too many open files, on this side")


@pytest.mark.parametrize("content", [None, b"", b"not a certificate"])
def test_a_bundle_that_cannot_be_read_is_our_side(
    lab: Lab, tmp_path: Path, content: bytes | None
) -> None:
    bundle = tmp_path / "ca.pem"
    if content is not None:
        bundle.write_bytes(content)
    target = Target(lab.endpoints[0], lab.endpoints[0].addresses[0])
    found = asyncio.run(check(target, ca_bundle=bundle, timeout=TIMEOUT))
    assert found["outcome"] == "unknown"
    assert found["why"].startswith("the CA bundle cannot be read, on this side: ")


@pytest.mark.parametrize("address", ["not an address", "", "::1%nowhere", "127.0.0.1:x"])
def test_nothing_is_raised_for_an_address_that_is_none(lab: Lab, address: str) -> None:
    target = Target(replace(lab.endpoints[0]), address)
    found = asyncio.run(check(target, ca_bundle=lab.ca_bundle, timeout=TIMEOUT))
    assert (found["outcome"], bool(found["why"])) == ("unknown", True)


@pytest.mark.parametrize("name", ["a" * 300, "ü.example", "..", "a\nb"])
def test_nothing_is_raised_for_a_name_that_is_none(lab: Lab, name: str) -> None:
    target = Target(replace(lab.endpoints[0], host=name), lab.endpoints[0].addresses[0])
    found = asyncio.run(check(target, ca_bundle=lab.ca_bundle, timeout=TIMEOUT))
    assert (found["outcome"], bool(found["why"])) in (("unknown", True), ("no", True))


def test_a_cancelled_check_is_cancelled(lab: Lab) -> None:
    found = next(s for s in lab.stations if s.deviation and s.deviation.id == "silent")
    target = Target(replace(found.endpoint, port=lab.port), found.addresses[0])

    async def run() -> None:
        task = asyncio.create_task(check(target, ca_bundle=lab.ca_bundle, timeout=TIMEOUT))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(run())
