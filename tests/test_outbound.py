"""The scanner talks to its targets, and to nothing and nobody else.

The real command line runs with an audit hook in it and in its children, on loopback, with proxies,
credentials, certificates and redirects that all lead to a trap.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.x509.oid import AuthorityInformationAccessOID

from tests.injection.speakers import Authority, Clear, Site, Speakers
from tests.outbound.watch import SECRET, Process, Watched, tempting, watch
from tlscheck.io import catalog

HOST = "sts.target.example.com"
METADATA = "169.254.169.254"
TRAP = "127.99.0.1"
REPORT = r"reports/(\.\d{8}T\d{6}Z-[0-9a-f]{8}\.json\.\w+|\d{8}T\d{6}Z-[0-9a-f]{8}\.json)"


class Trap(Clear):
    """Writes down that somebody came."""

    def __init__(self, came: list[bytes]) -> None:
        super().__init__(b"HTTP/1.1 200 OK\r\n\r\n")
        self._came = came

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._came.append(b"")

    def on_data(self, data: bytes) -> None:
        self._came.append(data)
        super().on_data(data)


@contextmanager
def trapped() -> Iterator[tuple[str, list[bytes]]]:
    """Where the trap is (address and port), and what fell into it."""
    came: list[bytes] = []
    speakers = Speakers("127.99")
    assert speakers.add(partial(Trap, came)) == TRAP
    with speakers.serving() as port:
        yield f"{TRAP}:{port}", came


def work(tmp_path: Path) -> Path:
    place = tmp_path / "work"
    place.mkdir()
    return place


def files(directory: Path) -> set[str]:
    return {str(p.relative_to(directory)) for p in directory.rglob("*") if p.is_file()}


def only_its_report(process: Process, cwd: Path, *, removed: str = "-") -> None:
    """Nothing was written but the report, by way of a temporary name, and what checks for room;
    what begins with `removed` may have been removed."""
    written = {p.removeprefix(f"{cwd}/") for p in process.written if not p.startswith(removed)}
    # Beside the report: the lock, the journal that goes when the report is there, and what a file
    # is called until it is whole, each by its name in the reports directory.
    own = re.compile(
        rf"reports|/dev/null|{re.escape(str(cwd))}|reports/\.lock|(reports/)?\.journal-[0-9a-f]+\.jsonl"
        rf"|(reports/)?\.tlscheck-[0-9a-f]{{16}}\.tmp|{REPORT}|{REPORT.removeprefix('reports/')}"
    )
    assert {path for path in written if not own.fullmatch(path)} == set()
    assert files(cwd) >= {"reports/.lock"}
    (kept,) = files(cwd) - {"reports/.lock"}
    assert re.fullmatch(REPORT, kept)


def no_process(process: Process) -> None:
    started = {n for n in process.names if n.startswith(("subprocess.", "pty.", "os.posix_spawn"))}
    assert not started | (process.names & {"os.fork", "os.forkpty", "os.exec", "os.system"})


def names_asked(process: Process) -> list[str]:
    """Every look-up, by whatever call."""
    others = [n for n in process.names if n.startswith("socket.get")]
    assert not others, others
    return [name for (name,) in process.of("look-up")]


def at(addresses: Iterable[str], port: int) -> set[tuple[str, int]]:
    """What a scan of these may connect to: their port, and port 80 of the same addresses."""
    return {(address, each) for address in addresses for each in (port, 80)}


def nothing_secret(requests: list[bytes]) -> None:
    """Requests are for `/`, with the headers that are known and no others."""
    for request in requests:
        first, *lines = request.decode("ascii").rstrip("\r\n").split("\r\n")
        assert first == "GET / HTTP/1.1"
        assert {line.partition(":")[0].lower() for line in lines} <= {
            "host", "user-agent", "accept", "connection",
        }  # fmt: skip
        assert SECRET not in request.decode() and "AKIA" not in request.decode()


def report_of(done: Watched, cwd: Path) -> dict[str, Any]:
    assert done.err == "" and done.status in (0, 1, 3), done.err
    (path,) = (cwd / "reports").glob("*.json")
    report: dict[str, Any] = json.loads(path.read_text())
    return report


# --- one target --------------------------------------------------------------------------------


def leading_to(trap: str) -> list[x509.ExtensionType]:
    """Extensions of a certificate that name places to fetch from."""
    url = x509.UniformResourceIdentifier(f"http://{trap}/x")
    access = [
        x509.AccessDescription(AuthorityInformationAccessOID.OCSP, url),
        x509.AccessDescription(AuthorityInformationAccessOID.CA_ISSUERS, url),
    ]
    point = x509.DistributionPoint([url], None, None, None)
    return [
        x509.AuthorityInformationAccess(access),
        x509.CRLDistributionPoints([point]),
        x509.FreshestCRL([point]),
        x509.TLSFeature([x509.TLSFeatureType.status_request]),  # a staple is a must
    ]


@pytest.mark.parametrize("trusted", [True, False])
@pytest.mark.parametrize("address", ["127.98.0.1", "::1"])
def test_only_the_target_is_spoken_to(address: str, trusted: bool, tmp_path: Path) -> None:
    """Whatever certificate, proxies, credentials and a name server that changes its mind say."""
    cwd, seen = work(tmp_path), list[bytes]()
    ours, theirs = (tmp_path / name for name in ("ours", "theirs"))
    for place in (ours, theirs):
        place.mkdir()
    authority, other = Authority(ours, "ours"), Authority(theirs, "theirs")
    with trapped() as (trap, came):
        context = authority.context(HOST, more=leading_to(trap))
        speakers = Speakers("127.98")
        speakers.made.append((address, partial(Site, context, b"HTTP/1.1 200 OK\r\n\r\n", seen)))
        with speakers.serving() as port:
            answers = [[address], [TRAP], [METADATA]]  # a rebinding name
            bundle, system = (authority, other) if trusted else (other, authority)
            done = watch(
                "scan", "--endpoint", f"{HOST}:{port}", "--ca-bundle", str(bundle.bundle),
                cwd=cwd, names={HOST: answers},
                environment={**tempting(tmp_path, trap, [HOST]),
                             "SSL_CERT_FILE": str(system.bundle),
                             "REQUESTS_CA_BUNDLE": str(system.bundle)},
            )  # fmt: skip
        assert came == []
    assert done.process.connected == at([address], port) and done.process.bound == set()
    assert names_asked(done.process) == [HOST]
    only_its_report(done.process, cwd)
    no_process(done.process)
    assert done.children == () and not (tmp_path / "secrets").exists()
    (target,) = report_of(done, cwd)["endpoints"][0]["targets"]
    assert target["address"] == address and target["protocols"]["TLSv1.3"]["offered"] == "yes"
    # The bundle is what is trusted, and not what the environment would add to it.
    assert target["https"]["outcome"] == ("yes" if trusted else "no")
    assert bool(seen) is trusted
    nothing_secret(seen)


# --- what a server would have a client do ------------------------------------------------------


def temptations(trap: str) -> Iterator[bytes]:
    """Answers that lead elsewhere; `trap` is an address and a port."""
    places = (
        f"http://{trap}/", f"https://{trap}/", f"//{trap}/", f"http://me:{SECRET}@{trap}/",
        f"http://{METADATA}/latest/meta-data/", f"http://[::ffff:{METADATA}]/", "http://localhost/",
        "https://rebound.example.com/", "/again", "file:///etc/passwd", "gopher://x/",
    )  # fmt: skip
    codes = (301, 302, 303, 307, 308)
    for number, place in enumerate(places):
        code = codes[number % len(codes)]
        yield f"HTTP/1.1 {code} x\r\nLocation: {place}\r\nSet-Cookie: a=b\r\n\r\n".encode()
    for code in codes:
        yield f"HTTP/1.1 {code} x\r\nLocation: http://{trap}/{code}\r\n\r\n".encode()
    for head in (
        f"200 OK\r\nRefresh: 0; url=http://{trap}/",
        f'200 OK\r\nAlt-Svc: h2="{trap}"; ma=9, h3="{trap}"; ma=9\r\nStrict-Transport-Security: x',
        f"200 OK\r\nLink: <http://{trap}/a.css>; rel=preload, <//{trap}>; rel=preconnect",
        f"200 OK\r\nContent-Location: http://{trap}/\r\nContent-Type: text/html\r\n\r\n"
        f'<meta http-equiv=refresh content="0; url=http://{trap}/"><img src=http://{trap}/>',
        f"103 Early Hints\r\nLink: <http://{trap}/a>; rel=preload\r\n\r\nHTTP/1.1 204 x",
        "401 x\r\nWWW-Authenticate: Basic realm=a, Negotiate, Digest realm=a, nonce=b",
        "407 x\r\nProxy-Authenticate: Basic realm=a",
        f"421 x\r\nLocation: http://{trap}/",
        f"305 Use Proxy\r\nLocation: http://{trap}/",
    ):
        yield f"HTTP/1.1 {head}\r\n\r\n".encode()


def test_no_answer_leads_anywhere_else(tmp_path: Path) -> None:
    cwd, seen = work(tmp_path), list[bytes]()
    authority = Authority(tmp_path, "ours")
    speakers = Speakers("127.97")
    hosts: dict[str, str] = {}
    with trapped() as (trap, came):
        for number, answer in enumerate(temptations(trap)):
            host = f"h{number}.example.com"
            hosts[host] = speakers.add(partial(Site, authority.context(host), answer, seen))
        with speakers.serving() as port:
            rows = [{"host": host, "port": port} for host in hosts]
            (tmp_path / "e.json").write_text(json.dumps(rows))
            done = watch(
                "scan", "--endpoints", "../e.json", "--ca-bundle", str(authority.bundle), cwd=cwd,
                names={host: [[address], [TRAP]] for host, address in hosts.items()},
                environment=tempting(tmp_path, trap, [*hosts, "rebound.example.com"]),
            )  # fmt: skip
        assert came == []
    assert done.process.connected == at(hosts.values(), port)
    assert sorted(names_asked(done.process)) == sorted(hosts)
    only_its_report(done.process, cwd)
    no_process(done.process)
    report = report_of(done, cwd)
    outcomes = [e["targets"][0]["https"]["outcome"] for e in report["endpoints"]]
    assert outcomes == ["yes"] * len(hosts)
    assert len(seen) == len(hosts)  # each was asked once, whatever it answered
    nothing_secret(seen)


def test_every_address_of_a_name_is_spoken_to_and_its_name_asked_for_once(tmp_path: Path) -> None:
    cwd, seen = work(tmp_path), list[bytes]()
    authority = Authority(tmp_path, "ours")
    speakers = Speakers("127.96")
    site = partial(Site, authority.context(HOST), b"HTTP/1.1 200 OK\r\n\r\n", seen)
    addresses = [speakers.add(site) for _ in range(3)]
    with speakers.serving() as port:
        done = watch(
            "scan", "--endpoint", f"{HOST}:{port}", "--ca-bundle", str(authority.bundle), cwd=cwd,
            names={HOST: [addresses, [TRAP]]},
        )  # fmt: skip
    assert done.process.connected == at(addresses, port)
    assert names_asked(done.process) == [HOST] and len(seen) == 3


def test_a_pinned_address_needs_no_name(tmp_path: Path) -> None:
    cwd, seen = work(tmp_path), list[bytes]()
    authority = Authority(tmp_path, "ours")
    speakers = Speakers("127.95")
    site = partial(Site, authority.context(HOST), b"HTTP/1.1 200 OK\r\n\r\n", seen)
    address = speakers.add(site)
    with speakers.serving() as port:
        done = watch(
            "scan", "--endpoint", f"{HOST}:{port}@{address}", "--depth", "quick", cwd=cwd,
            names={HOST: [[TRAP]]},
        )  # fmt: skip
    assert done.process.connected == {(address, port)}
    assert names_asked(done.process) == [] and seen == []  # quick asks no HTTP


def test_the_second_opinion_speaks_to_the_target_alone(tmp_path: Path) -> None:
    """sslyze, in its child, with the same temptations: one port of one address, and no name."""
    cwd, seen = work(tmp_path), list[bytes]()
    authority = Authority(tmp_path, "ours")
    with trapped() as (trap, came):
        context = authority.context(HOST, more=leading_to(trap))
        answer = f"HTTP/1.1 302 x\r\nLocation: https://{HOST}:%d/again\r\n\r\n"
        speakers = Speakers("127.94")
        address = speakers.add(partial(Site, context, answer.encode(), seen))
        with speakers.serving() as port:
            done = watch(
                "scan", "--endpoint", f"{HOST}:{port}@{address}", "--depth", "deep",
                "--ca-bundle", str(authority.bundle), cwd=cwd,
                names={address: [[address]]}, environment=tempting(tmp_path, trap, [HOST]),
            )  # fmt: skip
        assert came == []
    (target,) = report_of(done, cwd)["endpoints"][0]["targets"]
    assert target["deep"]["outcome"] == "yes", target["deep"]
    (child, *others) = done.children
    assert child.connected == {(address, port)} and child.bound == set()
    assert set(names_asked(child)) == {address} and others == []  # an address is no name
    assert {p for p in child.written if p != "/dev/null"} == set()
    assert not (tmp_path / "secrets").exists()
    assert all(SECRET not in request.decode("latin-1") for request in seen)
    assert {request.split(b" ")[1] for request in seen} == {b"/"}  # no redirect is followed


# --- the lab -----------------------------------------------------------------------------------


def test_the_lab_is_all_that_a_scan_of_it_starts_and_speaks_to(tmp_path: Path) -> None:
    cwd, temporary = work(tmp_path), tmp_path / "temporary"
    temporary.mkdir()
    with trapped() as (trap, came):
        done = watch(
            "scan", "--lab", "--region", "us-west-1", "--service", "sts", cwd=cwd,
            environment={**tempting(tmp_path, trap, []), "TMPDIR": str(temporary)},
        )  # fmt: skip
        assert came == []
    report = report_of(done, cwd)
    targets = {(t["address"], e["port"]) for e in report["endpoints"] for t in e["targets"]}
    assert done.process.connected == targets | {(address, 80) for address, _ in targets}
    assert names_asked(done.process) == [] and done.process.bound == set()
    only_its_report(done.process, cwd, removed=f"{temporary}/tlscheck-lab-")
    ((program, arguments, *_),) = done.process.of("subprocess.Popen")
    assert Path(program).name.startswith("python")
    assert arguments[1:] == ["-P", "-m", "tlscheck.lab", "--ignore-sigint"]
    (lab,) = done.children
    no_process(lab)
    assert names_asked(lab) == [] and not lab.of("socket.connect", "socket.sendto")
    assert lab.bound == {address for address, _ in targets}
    # Its own files are removed by name, relative to the directory that they are in.
    own = re.compile(rf"{re.escape(str(temporary))}/.*|(ca|leaf-key|leaf-\d+)\.pem")
    assert [path for path in lab.written if not own.fullmatch(path)] == []
    assert files(temporary) == set() and not (tmp_path / "secrets").exists()


# --- commands that have no target --------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [("endpoints", "list"), ("endpoints", "check"), ("policies", "show", "aws-current"),
     ("policies", "list"), ("explain", "pfs"), ("schema",), ("--help",), ("show", "sample.json"),
     ("endpoints", "refresh")],
    ids=" ".join,
)  # fmt: skip
def test_commands_without_a_target_touch_nothing(
    arguments: tuple[str, ...], tmp_path: Path
) -> None:
    cwd = work(tmp_path)
    sample = catalog.builtin_directory().parent / "reports" / "sample.json"
    (cwd / "sample.json").write_bytes(sample.read_bytes())
    with trapped() as (trap, came):
        done = watch(*arguments, cwd=cwd, environment=tempting(tmp_path, trap, ["x"]))
        assert came == []
    assert done.status == 0 and done.err == ""
    assert done.process.connected == set() and names_asked(done.process) == []
    assert done.process.written <= {"/dev/null"} and files(cwd) == {"sample.json"}
    no_process(done.process)
    assert done.children == ()
