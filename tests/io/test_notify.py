"""A delivery arrives, is retried where that may help, ends in time, and tells nobody its URL."""

from __future__ import annotations

import json
import logging
import os
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tlscheck.core.diff import compare
from tlscheck.io import notify
from tlscheck.io.notify import Patience, Sent, delay, ping, post, retry_after
from tlscheck.lab.authority import Authority
from tlscheck.lab.plan import Profile
from tlscheck.render import notice

QUICK = Patience(total=30.0, once=10.0, pause=0.001, attempts=4)
RUN = "1b56f0e1"
SECRET = "s3cr3t"
BODY = {"schema": "tlscheck-notice/1", "id": RUN}
Answer = tuple[int, dict[str, str]]


class Site(ThreadingHTTPServer):
    """Answers each request with the next of `answers`, the last one again and again."""

    daemon_threads = True

    def __init__(self, *answers: Answer | int, listen: bool = True) -> None:
        self.answers = [a if isinstance(a, tuple) else (a, {}) for a in answers or (200,)]
        self.seen: list[tuple[str, dict[str, str], bytes]] = []
        super().__init__(("127.0.0.1", 0), Handler, bind_and_activate=False)
        self.server_bind()
        if listen:
            self.listen()

    def listen(self) -> None:
        self.server_activate()
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    def url(self, path: str = "/hook", user: str = "", scheme: str = "http") -> str:
        return f"{scheme}://{user}127.0.0.1:{self.server_port}{path}"


class Handler(BaseHTTPRequestHandler):
    server: Site

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.seen.append((self.path, headers, body))
        nth = min(len(self.server.seen), len(self.server.answers)) - 1
        status, own = self.server.answers[nth]
        # A server that gives away all that it was told, wherever it can.
        self.send_response(status, f"{self.path} {SECRET}")
        for name, value in {"X-Echo": self.path, **own}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(f"no: {self.path} {SECRET}".encode())

    def log_message(self, format: str, *args: Any) -> None: ...


@contextmanager
def site(*answers: Answer | int, listen: bool = True) -> Iterator[Site]:
    with Site(*answers, listen=listen) as made:
        yield made
        if listen:
            made.shutdown()


def of(url: str, patience: Patience = QUICK, key: str = RUN, ca_bundle: Path | None = None) -> Sent:
    return post(url, BODY, key=key, patience=patience, ca_bundle=ca_bundle)


# --- what arrives


def test_a_body_arrives_once_as_json_with_the_runs_id() -> None:
    with site() as server:
        assert of(server.url()) == Sent("webhook", None, 1)
        [(path, headers, body)] = server.seen
    assert path == "/hook" and json.loads(body) == BODY
    assert headers["content-type"] == "application/json"
    assert headers["idempotency-key"] == RUN and headers["user-agent"] == "tlscheck"


@pytest.mark.parametrize(
    ("event", "path"),
    [("start", "/u/u-i-d/start?a=1"), ("success", "/u/u-i-d?a=1"), ("fail", "/u/u-i-d/fail?a=1")],
)
def test_pings_go_where_healthchecks_has_them(event: notify.Event, path: str) -> None:
    with site() as server:
        for url in ("/u/u-i-d?a=1", "/u/u-i-d/?a=1"):
            told = ping(server.url(url), event, "2 failed", key=RUN, patience=QUICK)
            assert told == Sent(f"{event} ping", None, 1)
        assert server.seen[0][0] == path and server.seen[0][2] == b"2 failed"
        assert server.seen[1][0] == (path if event != "success" else "/u/u-i-d/?a=1")


def test_a_pings_text_is_bounded_and_whole_characters() -> None:
    with site() as server:
        ping(server.url(), "fail", "x" + "é" * 9_000 + "\udcff", key=RUN, patience=QUICK)
        body = server.seen[0][2]
    assert len(body) == notify.MOST_BODY - 1 and body.decode() == "x" + "é" * 4999


def test_a_name_and_password_in_the_url_are_sent_as_such() -> None:
    with site() as server:
        assert of(server.url(user="me:pass@")).ok
        assert server.seen[0][1]["authorization"] == "Basic bWU6cGFzcw=="


def test_a_key_cannot_add_a_header() -> None:
    with site() as server:
        assert of(server.url(), key="a\r\nX-Evil: 1\x00é").ok
        headers = server.seen[0][1]
    assert headers["idempotency-key"] == "aX-Evil:1" and "x-evil" not in headers


def night(nth: int, offered: str, verdict: str = "pass", serial: str = "1") -> dict[str, Any]:
    protocols = {
        "TLSv1.1": {"offered": offered, "why": None, "suites": [], "order": None, "groups": []}
    }
    target = {
        "address": "192.0.2.1", "protocols": protocols, "features": {}, "https": {},
        "certificates": [{"subject": "CN=a", "serial": serial}],
    }  # fmt: skip
    row = {"id": "a", "host": "a.example", "port": 443, "mixed": False, "targets": [target]}
    return {
        "tool": {"name": "tlscheck", "version": "1"},
        "run": {"id": f"{nth:08x}", "started": f"2026-11-{nth:02}T02:00:00Z", "complete": True},
        "policies": [],
        "endpoints": [row],
        "findings": [
            {"endpoint": "a", "policy": "p", "rule": "r", "verdict": verdict, "saw": "nothing"}
        ],
    }


def test_each_change_is_told_once_and_quiet_nights_tell_nothing() -> None:
    nights = [
        night(1, "yes"), night(2, "yes"), night(3, "no"), night(4, "no", serial="2"),
        night(5, "no", "fail", "2"), night(6, "unknown", "inconclusive", "2"),
    ]  # fmt: skip
    with site(503, 200) as server:
        for old, new in pairwise(nights):
            document = compare(old, new)
            if notice.worth_telling(document):
                payload = notice.generic(document, {"pass": 1})
                assert post(server.url(), payload, key=document.new.run, patience=QUICK).ok
        bodies = [json.loads(body) for _, _, body in server.seen]
    assert [body["new"]["run"] for body in bodies] == ["00000003", "00000003", "00000005"]
    assert bodies[0] == bodies[1]  # the one that got a 503, again
    assert [change["says"] for change in bodies[0]["changed"]] == ["TLSv1.1 no longer offered"]
    assert [change["says"] for change in bodies[2]["broke"]] == ["p/r: pass -> fail"]


# --- what is tried again


@pytest.mark.parametrize("status", [500, 502, 503, 429])
def test_what_may_pass_is_tried_again(status: int) -> None:
    with site(status, status, 204) as server:
        assert of(server.url()) == Sent("webhook", None, 3)
        assert len({body for _, _, body in server.seen}) == 1
        assert {headers["idempotency-key"] for _, headers, _ in server.seen} == {RUN}


def test_it_ends_after_the_last_attempt() -> None:
    with site(500) as server:
        why = "webhook: HTTP status 500 Internal Server Error (4 attempts)"
        assert of(server.url()) == Sent("webhook", why, 4)
        assert len(server.seen) == 4


@pytest.mark.parametrize("status", [400, 401, 403, 404, 408, 410, 422, 499])
def test_our_own_fault_is_not_tried_again(status: int) -> None:
    with site(status) as server:
        sent = of(server.url())
        assert not sent.ok and str(status) in str(sent.why) and len(server.seen) == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_is_followed(status: int) -> None:
    with site() as other, site((status, {"Location": other.url()})) as server:
        sent = of(server.url())
        assert str(sent.why).endswith("redirects are not followed")
        assert len(server.seen) == 1 and other.seen == []


def test_a_refused_connection_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    with site(listen=False) as server:

        def listen_after_the_second(attempt: int, *_: Any) -> float:
            if attempt == 2:
                server.listen()
            return 0.0

        monkeypatch.setattr(notify, "delay", listen_after_the_second)
        assert of(server.url()) == Sent("webhook", None, 3)
        server.shutdown()
        assert len(server.seen) == 1


def test_nobody_there_is_one_line() -> None:
    with site(listen=False) as server:
        why = "webhook: connection refused (4 attempts)"
        assert of(server.url()) == Sent("webhook", why, 4)


@contextmanager
def raw(
    handle: Callable[[socket.socket, threading.Event], None],
) -> Iterator[tuple[str, list[int]]]:
    """A server that hands each connection to `handle`, and an event that says: enough."""
    enough = threading.Event()
    count: list[int] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.05)

        def serve() -> None:
            while not enough.is_set():
                try:
                    connection, _ = listener.accept()
                except OSError:
                    continue
                count.append(1)
                with connection:
                    connection.settimeout(5)
                    try:
                        handle(connection, enough)
                    except OSError:
                        continue

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/{SECRET}", count
        enough.set()
        thread.join(10)


def hear(connection: socket.socket) -> None:
    """Reads a whole request: what is left unread turns a close into a reset."""
    with connection.makefile("rb") as file:
        length = 0
        while (line := file.readline()).strip():
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        file.read(length)


def reset(connection: socket.socket, _: threading.Event) -> None:
    hear(connection)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")


def close(connection: socket.socket, _: threading.Event) -> None:
    hear(connection)


def babble(connection: socket.socket, _: threading.Event) -> None:
    hear(connection)
    connection.sendall(b"220 smtp.example " + SECRET.encode() + b"\r\n\r\n")


@pytest.mark.parametrize(
    ("handle", "why"),
    [
        (reset, "connection reset"),
        (close, "what came back is no HTTP answer"),
        (babble, "what came back is no HTTP answer"),
    ],
)
def test_a_broken_connection_is_tried_again(handle: Any, why: str) -> None:
    with raw(handle) as (url, count):
        assert of(url) == Sent("webhook", f"webhook: {why} (4 attempts)", 4)
        assert len(count) == 4


# --- how long it takes


SHORT = Patience(total=0.6, once=0.15, pause=0.01, attempts=50)


def drip(connection: socket.socket, enough: threading.Event) -> None:
    hear(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\nX: ")
    while not enough.wait(0.02):
        connection.sendall(b"x")


def endless(connection: socket.socket, enough: threading.Event) -> None:
    while not enough.is_set():
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")


@pytest.mark.parametrize("handle", [lambda _, enough: enough.wait(5), drip, endless])
def test_a_server_that_never_ends_is_left_in_time(handle: Any) -> None:
    with raw(handle) as (url, _):
        began = time.monotonic()
        sent = of(url, SHORT)
        assert time.monotonic() - began < 5
    assert not sent.ok and SECRET not in str(sent)


def test_a_body_without_end_is_not_read() -> None:
    def handle(connection: socket.socket, enough: threading.Event) -> None:
        hear(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while not enough.is_set():
            connection.sendall(b"x" * 4096)

    with raw(handle) as (url, _):
        assert of(url).ok


def test_a_look_up_that_hangs_delays_neither_the_result_nor_the_end_of_the_program() -> None:
    program = (
        "import socket, threading\n"
        "socket.getaddrinfo = lambda *a, **k: threading.Event().wait()\n"
        "from tlscheck.io.notify import post, Patience\n"
        "sent = post('http://hook.invalid/x', {}, key='1', patience=Patience(0.3, 0.1, 0.01))\n"
        "print(sent.why)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=30
    )
    assert done.stdout.startswith("webhook: timed out"), done
    assert done.returncode == 0 and done.stderr == ""


def test_retry_after_is_honoured_within_what_is_left() -> None:
    with site((429, {"Retry-After": "0"}), (503, {"Retry-After": "nonsense"}), 200) as server:
        assert of(server.url()) == Sent("webhook", None, 3)
    with site((429, {"Retry-After": "86400"})) as server:
        sent = of(server.url())
        asks = "webhook: HTTP status 429 Too Many Requests, and asks to wait 86400 s"
        assert sent == Sent("webhook", asks, 1)


def test_waits_double_and_the_other_side_can_make_them_longer() -> None:
    patience = Patience(pause=1.0)
    assert [delay(n, None, patience) for n in (1, 2, 3, 4)] == [1, 2, 4, 8]
    assert [delay(2, wanted, patience) for wanted in (0.0, 2.5, 30.0)] == [2, 2.5, 30]


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120), (" 7 ", 7), ("0", 0), ("9" * 5000, 999_999_999_999),
        ("Tue, 24 Nov 2026 02:01:30 GMT", 90), ("Tue, 24 Nov 2026 01:00:00 GMT", 0),
        ("Tue, 24 Nov 2026 02:01:30 -0000", 90),
        ("", None), ("-5", None), ("1.5", None), ("soon", None), ("١٢", None),
        ("Tue, 99 Nov 2026 02:01:30 GMT", None),
    ],
)  # fmt: skip
def test_retry_after_in_seconds_or_as_a_date(value: str, seconds: float | None) -> None:
    assert retry_after(value, datetime(2026, 11, 24, 2, tzinfo=UTC)) == seconds


# --- what the environment says, and who is trusted


def test_proxies_and_netrc_of_the_environment_are_not_used(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password pass\n")
    netrc.chmod(0o600)
    with site() as proxy, site() as server:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url(""))
            monkeypatch.setenv(name.lower(), proxy.url(""))
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.setenv("NETRC", str(netrc))
        assert of(server.url()).ok
        assert len(server.seen) == 1 and proxy.seen == []
        assert "authorization" not in server.seen[0][1]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


def over_tls(authority: Authority, server: Site, profile: Profile) -> None:
    context = authority.context(("127.0.0.1",), profile)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.listen()


def test_a_trusted_certificate_is_accepted(authority: Authority) -> None:
    with site(listen=False) as server:
        over_tls(authority, server, Profile())
        assert of(server.url(scheme="https"), ca_bundle=authority.bundle).ok
        server.shutdown()


@pytest.mark.parametrize(
    ("certificate", "why"),
    [
        ("expired", "it has expired"),
        ("self-signed", "it is self-signed"),
        ("wrong-name", "it is for another name"),
    ],
)
def test_no_other_certificate_is(authority: Authority, certificate: Any, why: str) -> None:
    with site(listen=False) as server:
        over_tls(authority, server, Profile(certificate=certificate))
        sent = of(server.url(scheme="https"), ca_bundle=authority.bundle)
        server.shutdown()
        assert sent == Sent("webhook", f"webhook: the certificate is not accepted: {why}", 1)
        assert server.seen == []


def test_an_authority_of_nobodys_is_not_trusted(authority: Authority) -> None:
    with site(listen=False) as server:
        over_tls(authority, server, Profile())
        sent = of(server.url(scheme="https"))
        server.shutdown()
        assert "its issuer is not trusted" in str(sent.why) and server.seen == []


def test_a_bundle_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    sent = of("https://127.0.0.1:1/", ca_bundle=tmp_path / "none.pem")
    assert not sent.ok and sent.attempts == 0


# --- the secret


SOON = Patience(total=0.5, once=0.2, pause=0.001, attempts=2)


def tell(url: str, patience: Patience = QUICK) -> list[Sent]:
    keys: dict[str, Any] = {"key": RUN, "patience": patience}
    return [
        post(url, BODY, **keys),
        ping(url, "start", "text", **keys),
        ping(url, "fail", "text", **keys),
        ping(url, "success", "text", **keys),
    ]


@pytest.mark.parametrize(
    ("user", "path"),
    [("", f"/?{SECRET}"), (f"{SECRET}1:{SECRET}2@", f"/%00{SECRET}/{SECRET}/?token={SECRET}")],
)
@pytest.mark.parametrize(
    "answer",
    [200, 204, 302, 400, 404, 429, 500, 599, "refused", "reset", "babble", "hang", "tls"],
)
def test_a_secret_in_the_url_is_told_to_its_server_alone(
    user: str,
    path: str,
    answer: int | str,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PYTHONASYNCIODEBUG", "1")
    caplog.set_level(logging.DEBUG)
    caught: list[BaseException] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda seen: caught.append(seen.exc_value))
    handlers = {"reset": reset, "babble": babble, "hang": lambda _, enough: enough.wait(5)}
    bodies: list[bytes] = []
    if isinstance(answer, int):
        with site((answer, {"Location": f"http://{SECRET}.example/{SECRET}"})) as server:
            sent = tell(server.url(path, user))
            bodies = [body for _, _, body in server.seen]
            assert bodies and all(SECRET in str(seen) for seen in server.seen)
    elif answer == "refused":
        with site(listen=False) as server:
            sent = tell(server.url(path, user))
    elif answer == "tls":  # spoken to a server that has none
        with site() as server:
            sent = tell(server.url(path, user, "https"))
    else:
        with raw(handlers[answer]) as (url, _):
            where = url.replace(f"/{SECRET}", path).replace("//", f"//{user}", 1)
            sent = tell(where, SOON if answer == "hang" else QUICK)
    assert all(one.ok == (answer in (200, 204)) for one in sent)
    printed = capfd.readouterr()
    told = [*map(repr, sent), *map(repr, caught), printed.out, printed.err, caplog.text]
    assert not [one for one in (*told, *map(repr, bodies)) if SECRET in one]


@pytest.mark.parametrize(
    "url",
    [
        f"{SECRET}", f"ftp://{SECRET}@h/{SECRET}", f"file:///{SECRET}", f"https://[{SECRET}/",
        f"https:///{SECRET}", f"http://127.0.0.1:{SECRET}/", f"http://127.0.0.1:99999/{SECRET}",
        f"http://127.0.0.1/{SECRET}\x00", f"http://127.0.0.1/{SECRET}\nx", f"http://ｅx℀/{SECRET}",
        f"http://{SECRET}\udcff/", f"http://{'a' * 70}.{SECRET}.invalid/", "", f"//{SECRET}",
        f"http://127.0.0.1:1/{'x' * 70_000}{SECRET}", f"http://[::1%{SECRET}]:1/",
    ],
)  # fmt: skip
def test_what_is_no_url_is_said_without_it(
    url: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nowhere(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, f"no {SECRET}")

    caplog.set_level(logging.DEBUG)
    if "127.0.0.1" not in url:
        monkeypatch.setattr(socket, "getaddrinfo", nowhere)
    for sent in tell(url):
        assert not sent.ok and sent.why and "\n" not in sent.why
        assert SECRET not in repr(sent)
    assert SECRET not in caplog.text


def test_the_librarys_loggers_are_as_they_were() -> None:
    before = [logging.getLogger(name).level for name in ("httpx", "httpcore")]
    with site(500) as server:
        of(server.url())
    assert [logging.getLogger(name).level for name in ("httpx", "httpcore")] == before


def test_white_space_around_a_url_from_a_file_is_no_part_of_it() -> None:
    with site() as server:
        assert of(f" {server.url()}\n").ok
        assert ping(f"{server.url()}\n", "start", key=RUN, patience=QUICK).ok
        assert [path for path, _, _ in server.seen] == ["/hook", "/hook/start"]


def test_tls_keys_are_logged_for_nobody(
    authority: Authority, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "keys"))
    with site(listen=False) as server:
        over_tls(authority, server, Profile())
        assert of(server.url(scheme="https"), ca_bundle=authority.bundle).ok
        server.shutdown()
    assert not os.path.exists(tmp_path / "keys")
    assert notify._context(authority.bundle).verify_mode is ssl.CERT_REQUIRED


@pytest.mark.parametrize("fault", [RuntimeError, ValueError, OSError, KeyError, ssl.SSLError])
def test_a_fault_of_our_own_is_told_by_its_kind_alone(
    fault: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    import httpx

    async def send(*_: Any, **__: Any) -> Any:
        raise fault(f"http://{SECRET}/")

    monkeypatch.setattr(httpx.AsyncClient, "send", send)
    for sent in tell(f"http://127.0.0.1/{SECRET}"):
        assert not sent.ok and SECRET not in repr(sent)
