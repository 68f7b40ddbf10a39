"""A night after a night: quiet where nothing changed, told once where something did."""

from __future__ import annotations

import http.server
import json
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tests.cli.program import TLSCHECK, run
from tests.cli.test_interrupt import mute
from tests.servers import nginx
from tests.servers.profile import Server
from tlscheck.io import store

ROOT = Path(__file__).resolve().parents[2]
SECRET = "s3cr3t-path"
QUICK = ("nightly", "--endpoints", "one.toml", "--depth", "quick")


@contextmanager
def listener(answers: list[int]) -> Iterator[tuple[str, list[tuple[str, Any]]]]:
    """A webhook and ping receiver that answers with these statuses, then with 200."""
    came: list[tuple[str, Any]] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"] or 0))
            came.append((self.path, body.decode()))
            self.send_response(answers.pop(0) if answers else 200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *words: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/{SECRET}", came
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def one(server: Server, place: Path) -> None:
    """The data file of one endpoint, which answers as this server does."""
    (place / "one.toml").write_text(
        '[[endpoint]]\nid = "one"\nhost = "sts.example.com"\n'
        f'port = {server.port}\naddresses = ["{server.address}"]\n'
    )


def configured(place: Path, *lines: str) -> None:
    file = place / "tlscheck.toml"
    file.write_text("\n".join(lines))
    file.chmod(0o600)


def test_a_change_is_told_once_and_quiet_nights_say_nothing(tmp_path: Path) -> None:
    with listener([500]) as (url, came):
        configured(tmp_path, "[notify]", f'webhook = "{url}/hook"', f'ping = "{url}/ping"',
                   "[nightly]", 'metrics = "out/tlscheck.prom"')  # fmt: skip
        with nginx.modern(tmp_path / "a") as server:
            one(server, tmp_path)
            first = run(*QUICK, cwd=tmp_path)
            again = run(*QUICK, cwd=tmp_path)
        for quiet in (first, again):
            assert (quiet.returncode, quiet.stdout, quiet.stderr) == (0, "", "")
        assert not [path for path, _ in came if path.endswith("/hook")]
        with nginx.twelve(tmp_path / "b") as server:
            one(server, tmp_path)
            changed = run(*QUICK, cwd=tmp_path)
            after = run(*QUICK, cwd=tmp_path)
    assert changed.returncode == 1 and changed.stderr == ""
    assert "TLSv1.0 now offered" in changed.stdout
    assert "aws-iam-2020/transit-versions: exceeds -> fail" in changed.stdout
    assert (after.returncode, after.stdout) == (1, "")
    hooks = [json.loads(body) for path, body in came if path.endswith("/hook")]
    assert len(hooks) == 1 and hooks[0]["broke"]
    jsonschema.validate(hooks[0], json.loads(run("schema", "notice", cwd=tmp_path).stdout))
    pings = [path.rpartition("/ping")[2] for path, _ in came if "/ping" in path]
    # The very first was answered with 500, and sent again.
    assert pings == ["/start", "/start", "", *["/start", ""] * 3]
    assert "tlscheck_last_run_complete 1" in (tmp_path / "out/tlscheck.prom").read_text()
    kept = store.kept(tmp_path / "reports")
    assert len(kept) < 3  # of one day the last is kept, and another of the same second
    everything = "".join(path.read_text() for path in kept) + changed.stdout + json.dumps(hooks)
    assert SECRET not in everything


def test_who_cannot_be_told_changes_no_status_and_no_secret_is_said(tmp_path: Path) -> None:
    gone = f"http://127.0.0.1:9/{SECRET}"
    configured(tmp_path, "[notify]", f'ping = "{gone}"', "timeout = 1")
    with nginx.modern(tmp_path / "a") as server:
        one(server, tmp_path)
        done = run(*QUICK, "--json", "--log-format", "json", cwd=tmp_path)
    assert done.returncode == 0
    result = json.loads(done.stdout)
    assert result["complete"] and result["status"] == 0 and len(result["problems"]) == 2
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert [line["level"] for line in lines] == ["warning", "warning"]
    assert SECRET not in done.stdout + done.stderr


def test_a_second_run_ends_at_once_with_4_and_the_first_is_kept_when_it_is_ended(
    tmp_path: Path,
) -> None:
    with mute(1) as (port, came):
        (tmp_path / "one.toml").write_text(
            '[[endpoint]]\nid = "one"\nhost = "sts.example.com"\n'
            f'port = {port}\naddresses = ["127.0.0.1"]\n'
        )
        first = subprocess.Popen([*TLSCHECK, *QUICK], cwd=tmp_path, text=True,
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE)  # fmt: skip
        assert came.wait(60)
        for _ in range(3):
            second = run(*QUICK, cwd=tmp_path)
            assert second.returncode == 4 and second.stdout == ""
            (line,) = second.stderr.splitlines()
            assert "another run" in line and str(first.pid) in line
        first.send_signal(signal.SIGTERM)
        out, err = first.communicate(timeout=30)
    assert first.returncode == 128 + signal.SIGTERM and out == "" and "interrupted" in err
    (path,) = store.kept(tmp_path / "reports")
    assert store.read(path).run.complete is False


@pytest.mark.parametrize(
    ("kind", "parts"),
    [
        ("cron", ["* * *", "nightly", "--reports"]),
        ("systemd", ["OnCalendar=", "Persistent=true", "RandomizedDelaySec=", "NoNewPrivileges="]),
    ],
)
def test_a_unit_is_printed_ready_to_use(kind: str, parts: list[str]) -> None:
    done = run("nightly", "--print-unit", kind, "--reports", "/var/lib/tlscheck", cwd=Path("/var"))
    if kind == "systemd" and str(ROOT).startswith(("/tmp/", "/var/tmp/")):
        # PrivateTmp would hide the program itself: that is said, and nothing printed.
        assert done.returncode == 2 and "a /tmp and /var/tmp of its own" in done.stderr
        return
    assert done.returncode == 0, done.stderr
    for part in parts:
        assert part in done.stdout


def test_a_report_that_cannot_be_written_is_5_and_the_ping_fails(tmp_path: Path) -> None:
    with listener([]) as (url, came):
        configured(tmp_path, "[notify]", f'ping = "{url}/ping"')
        with nginx.modern(tmp_path / "a") as server:
            one(server, tmp_path)
            assert run(*QUICK, cwd=tmp_path).returncode == 0
            kept = store.kept(tmp_path / "reports")
            full = run(*QUICK, cwd=tmp_path, before=("prlimit", "--fsize=100"))
    assert full.returncode == 5
    assert store.kept(tmp_path / "reports") == kept
    assert came[-1][0].endswith("/ping/fail")
