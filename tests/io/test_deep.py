"""sslyze as a second opinion: its word is ours, its silence is unknown, and it never stays."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from nassl._nassl import OpenSSLError
from sslyze import ScanCommandAttemptStatusEnum, ScanCommandErrorReasonEnum
from sslyze.errors import ServerRejectedTlsHandshake
from sslyze.server_setting import ServerNetworkLocation

from tests.scan.real import observed
from tests.scan.test_features import s_server, weak_dh_flags
from tests.servers import fronts, gnutls, jsse, nginx, openssl
from tests.servers.profile import Server
from tlscheck.core import conduct
from tlscheck.core.model import Endpoint, EndpointReport, Target, TargetReport
from tlscheck.io import deep, sslyze_words
from tlscheck.scan import World

SECONDS = 60.0
HOLES = ("heartbleed", "ccs_injection")


NOWHERE = ServerNetworkLocation("localhost", 1, ip_address="127.0.0.1")


def asked(address: str, port: int, seconds: float = SECONDS) -> dict[str, Any]:
    target = Target(Endpoint("e", "sts", "aws", "r", "standard", "localhost", port), address)
    return asyncio.run(deep.ask(target, seconds=seconds))


def seen(server: Server) -> TargetReport:
    def more(world: World) -> None:
        world.deep = lambda target, begin: deep.ask(target, begin())

    return observed(server.address, server.port, "localhost", more=more)


def troubles(target: TargetReport) -> list[str]:
    report = EndpointReport("e", "sts", "aws", "r", "standard", "h", 1, False, (target,))
    return [finding.rule for finding in conduct.findings(report)]


@pytest.mark.parametrize("start", [nginx.dual, nginx.only_1_3, openssl.client_order])
def test_a_healthy_server_raises_nothing_and_both_agree(start: Any, tmp_path: Path) -> None:
    with start(tmp_path) as server:
        target = seen(server)
    assert target.deep and target.deep["outcome"] == "yes", target.deep
    assert {said["answer"] for said in target.deep["compared"].values()} == {"agree"}
    assert troubles(target) == []
    for name in (*HOLES, "robot", "client_renegotiation", "compression"):
        allowed = ("no", "not_applicable") if name in HOLES else ("no", "unknown")
        assert target.deep[name]["answer"] in allowed, target.deep[name]
    leaves = {c["fingerprint"] for c in target.certificates if c["position"] == 0}
    theirs = {d["fingerprint"] for d in target.deep["certificates"]["deployments"]}
    assert theirs <= leaves and theirs


def test_old_holes_are_looked_for_where_an_old_version_is_offered(tmp_path: Path) -> None:
    with openssl.client_order(tmp_path) as server:
        found = asked(server.address, server.port)
    assert found["robot"]["answer"] == "no" and found["extended_master_secret"]["answer"] == "yes"
    for name in HOLES:
        assert found[name] == {"answer": "no", "why": None}
    with nginx.only_1_3(tmp_path / "modern") as server:
        found = asked(server.address, server.port)
    why = "nothing older than TLS 1.3 is offered"
    for name in HOLES:
        assert found[name] == {"answer": "not_applicable", "why": why}
    for name in ("secure_renegotiation", "extended_master_secret", "fallback_scsv"):
        assert found[name]["answer"] == "not_applicable", found[name]
    assert found["ticket_resumption"]["answer"] == "unknown"  # it is not tried there


def test_the_extended_master_secret_is_asked_for_where_tls_13_is_on_offer(tmp_path: Path) -> None:
    """sslyze takes it for granted then."""
    with gnutls.serve(
        tmp_path, "gnutls", "NORMAL:-CIPHER-ALL:+AES-128-GCM:%NO_SESSION_HASH", {}
    ) as server:
        found = asked(server.address, server.port)
    assert found["extended_master_secret"] == {"answer": "no", "why": None}


@pytest.mark.parametrize("start", [nginx.modern, gnutls.client_order, jsse.everything])
def test_a_healthy_server_of_tls_13_and_older_is_asked_for_old_holes(
    start: Any, tmp_path: Path
) -> None:
    with start(tmp_path) as server:
        assert {"TLSv1.2", "TLSv1.3"} <= set(server.profile.protocols)
        found = asked(server.address, server.port)
    for name in HOLES:
        assert found[name] == {"answer": "no", "why": None}
    if start is jsse.everything:  # it gives a new ticket each time
        assert found["ticket_resumption"] == {"answer": "yes", "why": "fully supported"}


@pytest.mark.parametrize(
    ("hole", "name", "rule"),
    [(fronts.heartbleed, "heartbleed", "heartbleed"),
     (fronts.early_ccs, "ccs_injection", "ccs-injection")],
)  # fmt: skip
@pytest.mark.parametrize("start", [nginx.modern, nginx.twelve])
def test_an_old_hole_is_found_although_tls_13_is_on_offer(
    hole: fronts.Hole, name: str, rule: str, start: Any, tmp_path: Path
) -> None:
    with start(tmp_path) as server, fronts.before(server, hole, fronts.unnamed) as front:
        target = seen(front)
    assert target.protocols["TLSv1.3"].offered == ("yes" if start is nginx.modern else "no")
    assert target.deep and target.deep[name] == {"answer": "yes", "why": None}
    (other,) = set(HOLES) - {name}
    assert target.deep[other] == {"answer": "no", "why": None}
    assert troubles(target) == [rule]


def test_a_refusal_before_the_question_is_no_answer_to_it(tmp_path: Path) -> None:
    """sslyze asks with the one suite that it has found before, and takes an alert for a "no"."""
    with (
        nginx.modern(tmp_path) as server,
        fronts.before(server, fronts.heartbleed, fronts.narrow) as front,
    ):
        found = asked(front.address, front.port)
    for name in HOLES:
        assert found[name]["answer"] == "unknown"
        assert "ended before the ServerHelloDone" in found[name]["why"]


def test_a_server_that_wants_a_certificate_is_told_about_all_the_same(tmp_path: Path) -> None:
    """It has one client at a time: a connection that is left open would be its last."""
    with s_server(tmp_path, "-Verify", "1", "-verify_return_error") as server:
        found = asked(server.address, server.port)
    versions = {label: said["answer"] for label, said in found["versions"].items()}
    assert {v for v, answer in versions.items() if answer == "yes"} == {"TLSv1.2", "TLSv1.3"}
    assert "unknown" not in versions.values()
    for name in (*HOLES, "compression"):
        assert found[name] == {"answer": "no", "why": None}
    assert found["robot"]["why"] == "client certificate needed"


def resets(client: socket.socket) -> None:
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def closes(client: socket.socket) -> None:
    client.recv(1 << 16)


def keeps_silent(client: socket.socket) -> None:
    while client.recv(1 << 16):
        pass


@pytest.mark.parametrize("further", [closes, resets])
def test_one_who_has_had_enough_has_refused_nothing(further: Any, tmp_path: Path) -> None:
    with (
        nginx.modern(tmp_path) as server,
        fronts.limited(server, 8, further) as front,
    ):
        found = asked(front.address, front.port)
    assert found["outcome"] == "yes"
    for label in ("TLSv1.0", "TLSv1.1", "TLSv1.2", "TLSv1.3"):
        assert found["versions"][label]["answer"] == "unknown", label
        assert not found["versions"][label].get("refused")
    for name in ("curves", "ticket_resumption"):
        assert found[name]["answer"] == "unknown", (name, found[name])
    assert found["early_data"]["answer"] != "not_applicable"


def test_what_is_known_when_time_is_up_is_told(
    tmp_path: Path, children: list[asyncio.subprocess.Process]
) -> None:
    with (
        nginx.modern(tmp_path) as server,
        fronts.limited(server, 60, keeps_silent) as front,
    ):
        found = asked(front.address, front.port, seconds=6.0)
    assert found["outcome"] == "yes" and found["heartbleed"] == {"answer": "no", "why": None}
    assert found["curves"] == {
        "answer": "unknown", "why": "not asked to the end, time was up"
    }  # fmt: skip
    (child,) = children
    assert gone(child)


def test_a_weak_dh_group_is_found(tmp_path: Path) -> None:
    with s_server(tmp_path, *weak_dh_flags(tmp_path)) as server:
        target = seen(server)
    assert troubles(target) == ["weak-dh"]
    assert target.deep and target.deep["compared"]["TLSv1.2"]["answer"] != "disagree"


# --- the child never stays ---------------------------------------------------------------------


@contextmanager
def accepting(answer: bytes | None) -> Iterator[int]:
    """A server that accepts, and then says nothing, or `answer` again and again."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        listener.settimeout(0.05)
        over, held = threading.Event(), list[socket.socket]()

        def serve() -> None:
            while not over.is_set():
                try:
                    connection, _ = listener.accept()
                except TimeoutError:
                    continue
                held.append(connection)
                if answer:
                    try:
                        connection.sendall(answer * 200)
                    except OSError:
                        continue

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            over.set()
            thread.join()
            for connection in held:
                connection.close()


@pytest.fixture
def children(monkeypatch: pytest.MonkeyPatch) -> list[asyncio.subprocess.Process]:
    """All children that were started."""
    made: list[asyncio.subprocess.Process] = []
    create = asyncio.create_subprocess_exec

    async def noted(*words: Any, **more: Any) -> asyncio.subprocess.Process:
        made.append(await create(*words, **more))
        return made[-1]

    monkeypatch.setattr(asyncio, "create_subprocess_exec", noted)
    return made


def gone(child: asyncio.subprocess.Process) -> bool:
    if child.returncode is None:
        return False
    try:
        os.kill(child.pid, 0)
    except ProcessLookupError:
        return True
    return False


@pytest.mark.parametrize("answer", [None, b"\x16\x03\x03\x00\x02\x02", b"HTTP/1.1 200 OK\r\n\r\n"])
def test_a_server_that_holds_it_up_does_not_hold_us_up(
    answer: bytes | None, children: list[asyncio.subprocess.Process]
) -> None:
    with accepting(answer) as port:
        begun = time.monotonic()
        found = asked("127.0.0.1", port, seconds=3.0)
    assert time.monotonic() - begun < 6 and found["outcome"] == "unknown" and found["why"]
    (child,) = children
    assert gone(child)


def test_a_port_that_is_closed_is_told(children: list[asyncio.subprocess.Process]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    found = asked("127.0.0.1", port)
    assert found["outcome"] == "unknown" and found["why"] == "Server rejected the connection"


def _alive(group: int) -> bool:
    """Whether a process of this group runs; one that nobody has waited for yet does not."""
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, pgrp = path.read_text().rpartition(")")[2].split()[:3]
        except OSError:
            continue
        if int(pgrp) == group and state != "Z":
            return True
    return False


CHILDREN = {
    "no JSON": ("print('x' * 100)", "ended without an answer (status 0)"),
    "other JSON": ("print('[1]')", "ended without an answer (status 0)"),
    "a lie": ("print('{\"outcome\": \"maybe\"}')", "ended without an answer (status 0)"),
    "deep JSON": ("print('[' * 100000)", "ended without an answer (status 0)"),
    "a failure": ("raise SystemExit(3)", "ended without an answer (status 3)"),
    "a signal": ("import os; os.kill(os.getpid(), 11)", "ended by signal 11"),
    "too much": ("import sys\nwhile True: sys.stdout.write('x' * 65536)", "said more than 1 MB"),
    "a hang": ("import time; time.sleep(99)", "killed after 1 s"),
    "deaf": ("import signal, time\nfor s in range(1, 30):\n  try: signal.signal(s, 1)\n"
             "  except OSError: pass\ntime.sleep(99)", "killed after 1 s"),
    "a fork": ("import os, time\nif os.fork() == 0: time.sleep(99)\ntime.sleep(99)",
               "killed after 1 s"),
}  # fmt: skip


@pytest.mark.parametrize("kind", CHILDREN)
def test_whatever_the_child_does_is_an_answer_with_a_reason(
    kind: str, monkeypatch: pytest.MonkeyPatch, children: list[asyncio.subprocess.Process]
) -> None:
    code, why = CHILDREN[kind]
    monkeypatch.setattr(deep, "COMMAND", ("-c", code))
    found = asked("127.0.0.1", 1, seconds=1.0)
    assert found == {"outcome": "unknown", "why": why, "tool": "sslyze"}
    (child,) = children
    assert gone(child)
    assert not _alive(child.pid)  # nor anything that it had started


def test_memory_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deep, "MOST_MEMORY", 64 << 20)
    found = asked("127.0.0.1", 1)
    assert found["outcome"] == "unknown" and found["why"].startswith("ended")


def test_cancelled_it_takes_the_child_along(children: list[asyncio.subprocess.Process]) -> None:
    async def run(port: int) -> None:
        target = Target(Endpoint("e", "sts", "aws", "r", "standard", "h", port), "127.0.0.1")
        task = asyncio.ensure_future(deep.ask(target, seconds=60))
        while not children:
            await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.wait((task,))
        assert task.cancelled()

    with accepting(None) as port:
        asyncio.run(run(port))
    assert gone(children[0])


def test_nothing_secret_is_handed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_SECRET_ACCESS_KEY", "https_proxy", "ALL_PROXY", "SSLKEYLOGFILE"):
        monkeypatch.setenv(name, "hunter2")
    assert "hunter2" not in deep._environment().values()


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (OpenSSLError("error:0609E09C:digital envelope routines:PKEY_SET_TYPE:unsupported algorithm"
                      "\nerror:140900EF:SSL routines:GET_SERVER_CERTIFICATE:unable to find"),
         "sslyze's OpenSSL: unsupported algorithm"),
        (ServerRejectedTlsHandshake(NOWHERE, None, "TLS alert: x"), "TLS alert: x"),
        (OSError("Could not read() - peer closed"), "OSError: Could not read() - peer closed"),
        (ValueError(), "ValueError"),
    ],
)  # fmt: skip
def test_why_it_has_no_answer_is_one_line_of_plain_words(fault: Exception, says: str) -> None:
    """Without names of classes, and line breaks that would be shown as such."""
    trace = traceback.TracebackException.from_exception(fault)
    said = sslyze_words.report(SimpleNamespace(scan_result=None, connectivity_error_trace=trace))
    assert said["why"] == says


def test_a_hang_up_is_no_bug_of_sslyze() -> None:
    """It calls whatever it does not expect one."""
    fault = ServerRejectedTlsHandshake(NOWHERE, None, "Server rejected the connection")
    attempt = SimpleNamespace(
        status=ScanCommandAttemptStatusEnum.ERROR,
        error_reason=ScanCommandErrorReasonEnum.BUG_IN_SSLYZE,
        error_trace=traceback.TracebackException.from_exception(fault),
    )

    class Failed:
        def __getattr__(self, name: str) -> Any:
            return attempt

    said = sslyze_words.report(SimpleNamespace(scan_result=Failed()))
    assert said["robot"] == {"answer": "unknown", "why": "Server rejected the connection"}
