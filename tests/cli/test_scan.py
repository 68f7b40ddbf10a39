"""The command line: results on stdout, one clear line for a fault, and the right exit status."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import jsonschema
import pytest

from tests.cli.program import run
from tlscheck.core.model import VERDICTS
from tlscheck.io import catalog, store
from tlscheck.lab import process as lab


def closed_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def test_the_lab_scan_finds_each_planted_deviation_and_no_other(tmp_path: Path) -> None:
    done = run("scan", "--lab", cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    assert done.stderr == ""
    assert all(len(line) <= 80 for line in done.stdout.splitlines())
    assert done.stdout.splitlines()[-2].startswith("95 endpoints: 6 fail, 4 inconclusive")
    (path,) = store.kept(tmp_path / "reports")
    report = json.loads(path.read_text())
    jsonschema.validate(report, store.schema())
    assert len(report["endpoints"]) == 95 and report["run"]["complete"]
    assert report["run"]["depth"] == "standard"
    verdicts: dict[str, list[str]] = {}
    for finding in report["findings"]:
        if finding["rule"] == "transit-versions":
            verdicts.setdefault(finding["verdict"], []).append(finding["endpoint"])
    assert len(verdicts["fail"]) == 3 and len(verdicts["inconclusive"]) == 4
    assert len(verdicts["pass"]) == 1 and len(verdicts["exceeds"]) == 87
    assert [e["id"] for e in report["endpoints"] if e["mixed"]] and path.stat().st_mode & 0o77 == 0
    shown = run("show", str(path), cwd=tmp_path)
    assert shown.returncode == 0 and shown.stdout.splitlines()[-1] == done.stdout.splitlines()[-1]


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (["scan", "--policy", "nope"], 2, 'unknown policy "nope"'),
        (["scan", "--region", "atlantis-1"], 2, "atlantis-1"),
        (["scan", "--endpoint", "https://user:hunter2@host/"], 2, "user name or password"),
        (["scan", "--endpoint", "host:0"], 2, "from 1 to 65535"),
        (["scan", "--endpoint", "host@example"], 2, "IP address"),
        (["scan", "--endpoint", "ho\x1b[31mst"], 2, "no host name"),
        (["scan", "--endpoints", "missing.toml"], 2, "missing.toml"),
        (["scan", "--ca-bundle", "missing.pem"], 2, "missing.pem"),
        (["scan", "--as-of", "yesterday"], 2, "YYYY-MM-DD"),
        (["scan", "-o", "/proc/none/r.json"], 5, "/proc/none/r.json"),
        (["show", "missing.json"], 2, "missing.json"),
        (["scan", "--nope"], 2, "--nope"),
    ],
)
def test_bad_input_gets_one_clear_line(
    arguments: list[str], status: int, says: str, tmp_path: Path
) -> None:
    done = run(*arguments, cwd=tmp_path)
    assert done.returncode == status, done.stderr
    assert done.stdout == "" and says in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr and "hunter2" not in done.stderr
    assert "\x1b" not in done.stderr


def test_a_closed_port_is_inconclusive_and_nothing_is_said_to_be_not_offered(
    tmp_path: Path,
) -> None:
    target = f"sts.example.com:{closed_port()}@127.0.0.1"
    done = run("scan", "--endpoint", target, "--format", "json", cwd=tmp_path, timeout=30)
    assert done.returncode == 3
    report = json.loads(done.stdout)
    jsonschema.validate(report, store.schema())
    (found,) = report["endpoints"][0]["targets"]
    assert found["reachable"] == "no" and found["why"] == "connection refused"
    assert {p["offered"] for p in found["protocols"].values()} == {"unknown"}
    assert {f["verdict"] for f in report["findings"]} == {"inconclusive"}


def test_the_shipped_schema_is_that_of_the_models(tmp_path: Path) -> None:
    done = run("schema", cwd=tmp_path)
    assert done.returncode == 0 and json.loads(done.stdout) == store.schema()


def test_few_descriptors_make_a_scan_slower_and_not_wrong(tmp_path: Path) -> None:
    rows = catalog.load(sorted(catalog.builtin_directory().glob("*.toml")))
    with lab.start(catalog.select(rows, regions=("us-*",))) as running:
        lab.write_pointers(running, tmp_path)
        done = run(
            *("scan", "--endpoints", "endpoints.toml", "--ca-bundle", "ca.pem", "-o", "r.json"),
            before=("prlimit", "--nofile=30"),
            cwd=tmp_path,
        )
        planted = {s.endpoint.id: s.deviation for s in running.stations if s.deviation}
    assert done.returncode == 1 and done.stderr == ""
    report = json.loads((tmp_path / "r.json").read_text())
    assert len(report["endpoints"]) > 20 and planted
    worst: dict[str, set[str]] = {}
    for finding in report["findings"]:
        worst.setdefault(finding["endpoint"], set()).add(finding["verdict"])
    for name, verdicts in worst.items():
        expected = planted[name].expected if name in planted else "exceeds"
        rank = [v for v in VERDICTS if v in verdicts]
        assert rank[0] == expected, (name, rank)
