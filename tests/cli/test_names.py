"""Private names: an address of one's own, a name server of one's own, a name to verify."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.cli.program import TLSCHECK, run
from tests.io.test_chains import s_server
from tests.io.test_dns import serving
from tests.servers import nginx
from tests.servers.papers import HOST, Papers
from tests.servers.process import ADDRESS, program
from tlscheck.cli.selection import parse_endpoint
from tlscheck.io import catalog

VPCE = "vpce-0a1b2c3d4e5f-6g7h8i9j.sts.us-east-1.vpce.amazonaws.com"


def scanned(tmp_path: Path, *arguments: str | Path) -> tuple[int, dict[str, Any] | None, str]:
    out = tmp_path / "r.json"
    done = subprocess.run(
        [*TLSCHECK, "scan", "-o", out, *arguments],
        capture_output=True, text=True, timeout=100, cwd=tmp_path,
    )  # fmt: skip
    report = json.loads(out.read_text()) if out.exists() else None
    return done.returncode, report, done.stderr


def test_the_host_of_a_vpc_endpoint_says_which_service_it_is() -> None:
    assert parse_endpoint(VPCE).service == "sts"
    assert parse_endpoint("iam.amazonaws.com").service == "iam"
    assert parse_endpoint("example.com").service == "other"


def test_resolve_pins_the_addresses_of_a_name(tmp_path: Path) -> None:
    with nginx.modern(tmp_path) as server:
        status, report, err = scanned(
            tmp_path, "--endpoint", f"{VPCE}:{server.port}", "--depth", "quick",
            "--resolve", f"{VPCE.upper()}.={server.address}",
        )  # fmt: skip
    assert status == 0 and report, err
    (target,) = report["endpoints"][0]["targets"]
    assert target["address"] == server.address and target["features"]["pinned"]
    assert target["protocols"]["TLSv1.3"]["offered"] == "yes"


@pytest.mark.parametrize(
    ("resolve", "says"),
    [("other.example.com=192.0.2.1", "no endpoint of this scan has that host"),
     ("sts.example.com", "give NAME=ADDRESS"), ("sts.example.com=x", "must be an IP address"),
     ("sts.example.com=fe80::1%lo", "must be an IP address"), ("=192.0.2.1", "give NAME=ADDRESS")],
)  # fmt: skip
def test_a_wrong_resolve_is_wrong_usage(resolve: str, says: str, tmp_path: Path) -> None:
    status, report, err = scanned(tmp_path, "--endpoint", "sts.example.com", "--resolve", resolve)
    assert (status, report) == (2, None) and says in err


def test_a_name_server_of_ones_own_is_asked(tmp_path: Path) -> None:
    """Split horizon: a name that no other name server knows."""
    host = "sts.private.example.com"
    with nginx.modern(tmp_path) as server:
        zone = {"A": [server.address], "AAAA": []}
        with serving(lambda name, kind: zone[kind] if name == host else 3) as nameserver:
            status, report, err = scanned(
                tmp_path, "--endpoint", f"{host}:{server.port}", "--endpoint",
                f"iam.private.example.com:{server.port}", "--depth", "quick",
                "--nameserver", nameserver,
            )  # fmt: skip
    assert status == 3 and report, err
    known, unknown = (e["targets"][0] for e in report["endpoints"])
    assert known["address"] == server.address
    assert known["protocols"]["TLSv1.2"]["offered"] == "yes"
    assert (unknown["address"], unknown["why"]) == ("", "DNS: name does not exist")


def test_a_family_that_was_not_seen_stands_in_the_report(tmp_path: Path) -> None:
    with nginx.modern(tmp_path) as server:

        def zone(name: str, kind: str) -> list[str] | int:
            return [server.address] if kind == "A" else 2

        with serving(zone) as nameserver:
            _, report, err = scanned(
                tmp_path, "--endpoint", f"sts.x.example.com:{server.port}", "--depth", "quick",
                "--nameserver", nameserver,
            )  # fmt: skip
    assert report, err
    unseen, seen = report["endpoints"][0]["targets"]
    assert seen["address"] == server.address
    assert (unseen["address"], unseen["why"]) == ("", "AAAA: DNS: server failure")


@pytest.mark.parametrize("value", ["x", "dns.example.com", "192.0.2.53:0", ""])
def test_a_wrong_name_server_is_wrong_usage(value: str, tmp_path: Path) -> None:
    """So is none at all, as of a variable that is not set: the system's may see another world."""
    status, report, err = scanned(
        tmp_path, "--endpoint", "sts.example.com:1@127.0.0.1", "--nameserver", value
    )
    assert (status, report) == (2, None)
    assert "--nameserver" in err and err.count("\n") == 1


def test_a_file_gives_the_name_to_send_and_the_name_to_verify(tmp_path: Path) -> None:
    with nginx.modern(tmp_path) as server:
        row = {
            "host": VPCE, "port": server.port, "addresses": [server.address],
            "server_name": "sts.sni.example.com", "verify_name": "localhost",
        }  # fmt: skip
        (tmp_path / "e.json").write_text(json.dumps([row]))
        status, report, err = scanned(
            tmp_path, "--endpoints", "e.json", "--ca-bundle", tmp_path / "certificates" / "ca.pem"
        )
    assert status == 0 and report, err
    (target,) = report["endpoints"][0]["targets"]
    assert target["https"]["outcome"] == "yes", target["https"]
    leaf = target["certificates"][0]
    assert leaf["for_name"] == {"name": "localhost", "answer": "yes", "why": None}
    assert leaf["trust"]["ca-bundle"]["answer"] == "yes"


@pytest.mark.parametrize("flags", [(), ("-addtrust", "serverAuth"), ("-addreject", "serverAuth")])
def test_a_bundle_in_openssl_s_own_form_is_refused_and_mended_as_told(
    flags: tuple[str, ...], tmp_path: Path
) -> None:
    papers = Papers(tmp_path / "papers")

    def openssl(old: Path, new: Path, *more: str) -> None:
        subprocess.run([program("openssl"), "x509", "-in", old, "-out", new, *more], check=True)

    own, plain, both = (tmp_path / f"{name}.pem" for name in ("own", "plain", "both"))
    openssl(papers.bundle, own, "-trustout", *flags)
    before = papers.file("middle", papers.middle).read_bytes()
    both.write_bytes(before + own.read_bytes())
    line = before.count(b"\n") + 1
    for bundle, place in ((own, f"{own}:1: "), (both, f"{both}:{line}: ")):
        status, report, err = scanned(tmp_path, "--endpoint", "a@127.0.0.1", "--ca-bundle", bundle)
        assert (status, report, err.count("\n")) == (2, None, 1), err
        assert place in err and "openssl x509 -in OLD -out NEW" in err
    openssl(own, plain)
    file, rest = papers.file("leaf", papers.leaf()), papers.file("chain", papers.middle)
    with s_server(tmp_path, file, papers.key_file(), rest) as server:
        _, report, err = scanned(
            tmp_path, "--endpoint", f"{HOST}:{server.port}@{ADDRESS}", "--ca-bundle", plain
        )
    assert report, err
    (target,) = report["endpoints"][0]["targets"]
    assert target["https"]["outcome"] == "yes"
    assert target["certificates"][0]["trust"]["ca-bundle"]["answer"] == "yes"


@pytest.mark.parametrize("text", ["[::1]", "::1", "[0:0::0001]", "[::1]:443"])
def test_an_ipv6_address_is_called_by_one_name(text: str, tmp_path: Path) -> None:
    """That of RFC 3986, section 3.2.2, on the command line as in a file."""
    found = parse_endpoint(f"{text}@127.0.0.1")
    assert (found.id, found.host, found.port) == ("custom:[::1]:443", "::1", 443)
    (tmp_path / "e.json").write_text(json.dumps([{"host": text.removesuffix(":443")}]))
    (row,) = catalog.load([tmp_path / "e.json"])
    assert (row.id, row.host) == (found.id, found.host)


def test_an_endpoint_is_found_by_what_is_printed_of_it(tmp_path: Path) -> None:
    scan = ("scan", "--depth", "quick", "--endpoint", "[::1]:1@127.0.0.1", "--endpoint",
            "[::1]:2@127.0.0.1", "--endpoint", "A.example:3@127.0.0.1")  # fmt: skip
    printed = [run(*scan, cwd=tmp_path) for _ in range(2)][-1].stdout
    day = next((tmp_path / "reports").glob("*.json")).name[:8]
    last = f"{day[:4]}-{day[4:6]}-{day[6:]}"
    for name, id_ in (("[::1]:1", "custom:[::1]:1"), ("[::1]:2", "custom:[::1]:2"),
                      ("a.example:3", "custom:a.example:3")):  # fmt: skip
        assert f" {name} " in printed
        for text in (name, id_, name.upper()):
            page = run("show", last, "--endpoint", text, cwd=tmp_path)
            assert page.stdout.splitlines()[:2] == [id_, f"{name} ({_WHAT})"], page
            told = run("history", text, cwd=tmp_path)
            assert told.returncode == 0 and id_ in told.stdout, told
            assert f" catalog: {name}\n" in told.stdout
    both = run("show", last, "--endpoint", "::1", cwd=tmp_path).stdout
    assert "custom:[::1]:1\n" in both and "custom:[::1]:2\n" in both
    assert "2 endpoints have the host" in run("history", "[::1]", cwd=tmp_path).stderr
    same = run("diff", cwd=tmp_path)
    assert same.returncode == 0, same


_WHAT = "other, custom, -, standard"
