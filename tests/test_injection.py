"""Hostile text, put into every field there is, reaches no terminal and no report unescaped.

Fields are found by walking the data, not by a list: one that is new is covered.
"""

from __future__ import annotations

import csv
import functools
import io
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import click
import pydantic
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import AuthorityInformationAccessOID
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.cli.test_terminal import on_a_terminal
from tests.injection import samples
from tests.injection.payloads import PAYLOADS, RAW, TOGETHER, arguments, file_names
from tests.injection.sinks import (
    SOUND,
    Said,
    ascii_json,
    coloured,
    complaint,
    found,
    places,
    plain,
    planted,
    renamed,
    run,
)
from tests.injection.speakers import Authority, ByHand, Clear, Site, Speakers
from tests.injection.stand_ins import no_lab, no_refresh, no_scan
from tlscheck.cli.app import app
from tlscheck.cli.scanning import judged
from tlscheck.core.model import Report
from tlscheck.io import catalog, certificates, policies, store
from tlscheck.lab.server import Factory
from tlscheck.render import endpoint as page
from tlscheck.render import json as as_json
from tlscheck.render import table

SEED = "Q7Z"  # what a payload is known by when it comes out
REPORT = samples.report()
SAMPLE = pydantic.TypeAdapter(Report).validate_python(REPORT)
OWN_FILES = sorted(catalog.builtin_directory().glob("*.toml"))
CATALOG = catalog.load(OWN_FILES)
ALL = [place for place in places(REPORT) if place]
STRINGS = [place for place in ALL if isinstance(found(REPORT, place), str)]
KEYS = [place for place in ALL if isinstance(place[-1], str)]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """One reader of reports and one catalog for all runs: they take longer than the runs."""
    monkeypatch.setattr(pydantic, "TypeAdapter", functools.cache(pydantic.TypeAdapter))
    load = catalog.load
    monkeypatch.setattr(catalog, "load", lambda p: CATALOG if p == OWN_FILES else load(p))
    monkeypatch.chdir(tmp_path)


# --- reports -----------------------------------------------------------------------------------


def show(document: Any, name: str = "r.json") -> Iterator[tuple[str, Said]]:
    """A saved report in all the ways that it can come out."""
    Path(name).write_text(json.dumps(document))
    yield "piped", run("show", name)
    yield "terminal", run("show", name, terminal=True, COLUMNS="100")
    yield "no colour", run("show", name, terminal=True, COLUMNS="70", NO_COLOR="1")
    yield "json", run("show", name, "--format", "json", terminal=True)
    for form in ("table", "json"):
        out = Path(f"out.{form}")
        out.unlink(missing_ok=True)
        said = run("show", name, "--format", form, "-o", str(out), terminal=True, COLUMNS="100")
        if said.status == 0:
            assert said.out == said.err == b""
            said = Said(0, out.read_bytes(), b"")
        yield f"file {form}", said


def shown_harmlessly(document: Any) -> str | None:
    """The table on a pipe; None when the report is refused, in one line, by every way out."""
    text: str | None = None
    refused = set()
    for sink, said in show(document):
        refused.add(said.status)
        if said.status != 0:
            complaint(said)
        elif sink == "terminal":
            coloured(said.out, 100)
        elif sink.endswith("json"):
            assert ascii_json(said.out) == document
        else:
            most = {"piped": 80, "no colour": 70, "file table": 100}[sink]
            said_text = plain(said.out, most)
            text = said_text if sink == "piped" else text
    assert len(refused) == 1
    return text


def in_full(report: Report) -> str:
    """Every endpoint in full, as text and as JSON."""
    pages = []
    for endpoint in report.endpoints:
        pages.append(plain(page.render(report, endpoint, width=80).encode(), 80))
        ascii_json(page.as_json(report, endpoint).encode())
    return "".join(pages)


@pytest.mark.parametrize("place", STRINGS, ids=lambda place: ".".join(map(str, place)))
def test_no_field_of_a_report_lets_any_payload_through(place: tuple[Any, ...]) -> None:
    """Every string of a report times every payload, rendered."""
    adapter = pydantic.TypeAdapter(Report)
    for payload in PAYLOADS.values():
        document = planted(REPORT, place, SEED + payload)
        try:
            report = adapter.validate_python(document)
        except pydantic.ValidationError:
            continue  # a word of a closed list, or no Unicode: the next test is about that
        text = plain(table.render(report, colour=False, width=80).encode(), 80)
        coloured(table.render(report, colour=True, width=80).encode(), 80)
        assert found(ascii_json(as_json.render(report).encode()), place) == SEED + payload
        if place in samples.SHOWN and payload:
            assert SEED in text, "the table no longer shows this"
        text = in_full(report)
        if place in samples.IN_FULL and payload:
            assert SEED in text, "an endpoint in full no longer shows this"


@pytest.mark.parametrize("place", STRINGS, ids=lambda place: ".".join(map(str, place)))
def test_every_field_of_a_report_is_harmless_by_every_way_out(place: tuple[Any, ...]) -> None:
    for payload in (TOGETHER.encode("utf-8", "ignore").decode(), TOGETHER, PAYLOADS["long"]):
        shown_harmlessly(planted(REPORT, place, payload))


@pytest.mark.parametrize("name", PAYLOADS)
def test_a_payload_in_all_fields_at_once_is_harmless(name: str) -> None:
    document = REPORT
    for place in STRINGS:
        if place[-1] not in ("schema", "verdict", "offered", "order", "reachable"):
            document = planted(document, place, SEED + PAYLOADS[name])
    text = shown_harmlessly(document)
    assert "surrogate" in name or (text is not None and text.count(SEED) >= 8)


@pytest.mark.parametrize("place", KEYS, ids=lambda place: ".".join(map(str, place)))
def test_a_name_of_a_field_is_as_harmless_as_its_value(place: tuple[Any, ...]) -> None:
    for payload in (TOGETHER.encode("utf-8", "ignore").decode(), TOGETHER):
        for sink, said in show(renamed(REPORT, place, payload)):
            if said.status:
                complaint(said)
            elif sink.endswith("json"):
                ascii_json(said.out)
            elif sink == "terminal":
                coloured(said.out, 100)
            else:
                plain(said.out, 100)


DEEP = "[" * 700 + "]" * 700
ODD = {
    "null": "null", "true": "true", "zero": "0", "minus": "-1", "half": "0.5", "list": "[]",
    "table": "{}", "nested list": '[[["x"]]]', "nested table": '{"x": {"y": ["z"]}}', "text": '""',
    "nan": "NaN", "infinite": "-Infinity", "too large": "1e999", "long": "9" * 4000,
    "too long": "9" * 5000, "deep": DEEP, "too deep": "[" * 100_000,
}  # fmt: skip


@pytest.mark.parametrize("odd", ODD)
def test_what_is_no_text_where_text_should_be_is_no_bug(odd: str) -> None:
    """Every place of a report times values of every other kind: shown or refused, never a crash."""
    for place in ALL:
        text = json.dumps(planted(REPORT, place, "@@")).replace('"@@"', ODD[odd])
        Path("r.json").write_text(text)
        said = run("show", "r.json")
        if said.status:
            complaint(said)
        else:
            plain(said.out, 80)
            in_full(store.read(Path("r.json")))
            said = run("show", "r.json", "--format", "json")
            assert said.status == 0, (place, said.err)
            ascii_json(said.out)


NASTY = st.text(
    st.characters() | st.sampled_from("\x1b\x9b\r\b\x00\x7f\u202e\u200b\ud800\u2028漢\n\u3000")
)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.sampled_from(STRINGS), NASTY, max_size=12))
def test_any_text_in_any_fields_is_harmless(texts: dict[tuple[Any, ...], str]) -> None:
    document = REPORT
    for place, text in texts.items():
        document = planted(document, place, text)
    shown_harmlessly(document)


# --- data files --------------------------------------------------------------------------------

FILE = samples.endpoints()
FILE_STRINGS = [place for place in places(FILE) if isinstance(found(FILE, place), str)]
FILE_KEYS = [place for place in places(FILE) if place and isinstance(place[-1], str)]


def as_toml(document: dict[str, Any]) -> bytes:
    return samples.toml(document).encode("utf-8", "surrogatepass")


def as_json_file(document: dict[str, Any]) -> bytes:
    return json.dumps(document).encode()


def as_csv(document: dict[str, Any]) -> bytes:
    rows = document.get("endpoint", [])
    names = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, names)
    writer.writeheader()
    for row in rows:
        writer.writerow({k: ";".join(v) if isinstance(v, list) else v for k, v in row.items()})
    return text.getvalue().encode("utf-8", "surrogatepass")


KINDS = {"toml": as_toml, "json": as_json_file, "csv": as_csv}


def listed_harmlessly(path: str) -> bool:
    """By every way that an endpoint file comes out; whether it was taken at all."""
    ways = [run("endpoints", "list", "--endpoints", path, "--format", "json", terminal=True)]
    if ways[0].status:
        complaint(ways[0])
        return False
    ways.append(run("endpoints", "check", path, terminal=True))
    ways.append(run("endpoints", "list", "--endpoints", path))
    ways.append(run("endpoints", "list", "--endpoints", path, "--format", "hosts"))
    for said in ways:
        assert said.status == 0 and said.err == b"" and plain(said.out)
    ascii_json(ways[0].out)
    return True


def write_kinds(document: dict[str, Any]) -> Iterator[str]:
    for kind, written in KINDS.items():
        path = Path(f"e.{kind}")
        path.write_bytes(written(document))
        yield str(path)


@pytest.mark.parametrize("place", FILE_STRINGS, ids=lambda place: ".".join(map(str, place)))
def test_no_field_of_an_endpoint_file_lets_any_payload_through(place: tuple[Any, ...]) -> None:
    taken = 0
    seen = set()  # a CSV file has no source
    for payload in PAYLOADS.values():
        for path in write_kinds(planted(FILE, place, payload)):
            if (data := Path(path).read_bytes()) not in seen:
                taken += listed_harmlessly(path)
                seen.add(data)
    free = ("description", "note", "name", "version", "made")
    assert bool(taken) or place[-1] not in free, "harmless for want of words"


@pytest.mark.parametrize("place", FILE_KEYS, ids=lambda place: ".".join(map(str, place)))
def test_a_name_in_an_endpoint_file_is_repeated_harmlessly(place: tuple[Any, ...]) -> None:
    for payload in (TOGETHER, TOGETHER.encode("utf-8", "ignore").decode(), PAYLOADS["long"]):
        for path in write_kinds(renamed(FILE, place, payload)):
            listed_harmlessly(path)


def test_what_a_file_says_is_what_the_list_says() -> None:
    """JSON comes out as it went in, in ASCII."""
    for payload in PAYLOADS.values():
        document = planted(FILE, ("endpoint", 0, "note"), payload)
        Path("e.json").write_text(json.dumps(document))
        said = run("endpoints", "list", "--endpoints", "e.json", "--format", "json")
        if said.status == 0:
            assert ascii_json(said.out)[0]["note"] == payload


def test_lines_that_are_no_file_at_all_are_repeated_harmlessly() -> None:
    for payload in [*PAYLOADS.values(), TOGETHER]:
        for kind in ("toml", "json", "csv"):
            for text in (
                payload,
                f"# {payload}\nx",
                f"[{payload}]",
                f'x = "{payload}"',
                f'{{"{payload}": 1}}',
            ):
                Path(f"e.{kind}").write_bytes(text.encode("utf-8", "surrogatepass"))
                listed_harmlessly(f"e.{kind}")
                if kind == "toml":
                    policy_harmlessly(f"./e.{kind}")


# --- policies ----------------------------------------------------------------------------------

POLICY = samples.policy()
POLICY_STRINGS = [p for p in places(POLICY) if isinstance(found(POLICY, p), str)]
POLICY_KEYS = [place for place in places(POLICY) if place and isinstance(place[-1], str)]


def policy_harmlessly(path: str, number: int = 0) -> bool:
    """By every way that a policy comes out, findings and the rule of this number included;
    whether it was taken at all."""
    ways = [run("policies", "check", path, terminal=True)]
    if ways[0].status:
        complaint(ways[0])
        return False
    policy = policies.load(path)
    ways.append(run("policies", "show", path, terminal=True))
    ways.append(run("explain", f"{path}/{policy.rules[number].id}", terminal=True))
    assert all(said.status == 0 and said.err == b"" and plain(said.out) for said in ways)
    report = judged(SAMPLE, [policy], date(2026, 11, 24))
    plain(table.render(report, colour=False, width=80).encode(), 80)
    coloured(table.render(report, colour=True, width=80).encode(), 80)
    ascii_json(as_json.render(report).encode())
    return True


@pytest.mark.parametrize("place", POLICY_STRINGS, ids=lambda place: ".".join(map(str, place)))
def test_no_field_of_a_policy_lets_any_payload_through(place: tuple[Any, ...]) -> None:
    taken = 0
    for payload in PAYLOADS.values():
        Path("p.toml").write_bytes(as_toml(planted(POLICY, place, payload)))
        taken += policy_harmlessly("./p.toml", place[1] if place[0] == "rule" else 0)
    free = ("title", "publisher", "version", "supersedes", "text", "document", "section")
    assert bool(taken) or place[-1] not in free


@pytest.mark.parametrize("place", POLICY_KEYS, ids=lambda place: ".".join(map(str, place)))
def test_a_name_in_a_policy_is_repeated_harmlessly(place: tuple[Any, ...]) -> None:
    for payload in (TOGETHER, TOGETHER.encode("utf-8", "ignore").decode(), PAYLOADS["long"]):
        Path("p.toml").write_bytes(as_toml(renamed(POLICY, place, payload)))
        policy_harmlessly("./p.toml")


# --- the command line --------------------------------------------------------------------------


def commands(
    group: click.Group, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name), command


COMMANDS = dict(commands(app))
PARAMETERS = [(path, p) for path, command in COMMANDS.items() for p in command.params]
NEEDED = {("show",): ["r.json"], ("policies", "show"): ["aws-current"], ("explain",): ["pfs"],
          ("policies", "check"): ["./p.toml"], ("endpoints", "refresh"): ["--yes"]}  # fmt: skip


def invocations(path: tuple[str, ...], parameter: Any, value: str) -> Iterator[list[str]]:
    """The command with `value` for this parameter, and all else as it should be."""
    if isinstance(parameter, click.Argument):
        yield [*path, "--", value]
        return
    rest = NEEDED.get(path, [])
    for flag in parameter.opts:
        if parameter.is_flag:
            yield [*path, f"{flag}={value}", *rest]
        else:
            yield [*path, flag, value, *rest]


def strays(path: tuple[str, ...], value: str) -> Iterator[list[str]]:
    """The command with `value` where nothing is expected."""
    rest = NEEDED.get(path, [])
    yield [*path, *rest, "more", value]
    yield [*path, *rest, f"--{value}"]
    yield [*path, *rest, f"--help{value}"]
    yield [*path[:-1], value]
    yield [*path[:-1], f"-{value}"]


def harmless(said: Said, arguments_: list[str]) -> None:
    """Nothing raw on either stream, an exit status that is documented, no traceback."""
    assert said.status in SOUND, (arguments_, said.err[-1000:].decode())
    plain(said.err, 2_100)
    if said.out.startswith(b"{"):
        ascii_json(said.out)
    else:
        coloured(said.out, 40_000)


def prepare() -> None:
    Path("r.json").write_text(json.dumps(REPORT))
    Path("p.toml").write_text(samples.toml(POLICY))
    Path("e.toml").write_text(samples.toml(FILE))


@pytest.mark.parametrize(
    ("path", "parameter"), PARAMETERS, ids=lambda x: " ".join(x) if isinstance(x, tuple) else x.name
)
def test_no_argument_comes_back_raw(path: tuple[str, ...], parameter: Any, tmp_path: Path) -> None:
    """Every parameter of every command times every payload that an argument can hold."""
    prepare()
    with no_scan(), no_lab(tmp_path), no_refresh():
        for value in arguments():
            for arguments_ in invocations(path, parameter, value):
                harmless(run(*arguments_, terminal=True, COLUMNS="100"), arguments_)


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_no_stray_argument_comes_back_raw(path: tuple[str, ...], tmp_path: Path) -> None:
    prepare()
    with no_scan(), no_lab(tmp_path), no_refresh():
        for value in arguments():
            for arguments_ in strays(path, value):
                harmless(run(*arguments_, terminal=True, COLUMNS="100"), arguments_)


PATHS = [(path, p) for path, p in PARAMETERS if isinstance(p.type, click.Path)]
PATHS += [
    (path, p)
    for path, p in PARAMETERS
    if p.name in ("policy", "policies", "rule", "report", "names")
]
PATHS += [(("policies", "check"), COMMANDS["policies", "check"].params[0])]


@pytest.mark.parametrize(
    ("path", "parameter"), PATHS, ids=lambda x: " ".join(x) if isinstance(x, tuple) else x.name
)
@pytest.mark.parametrize("there", ["nothing", "good", "bad", "directory", "in a file"])
def test_no_file_name_comes_back_raw(
    path: tuple[str, ...], parameter: Any, there: str, tmp_path: Path
) -> None:
    """Every path that a command takes, called by every payload that a file can be called by."""
    prepare()
    good = {"show": "r.json", "evaluate": "r.json", "policies": "p.toml", "explain": "p.toml"}.get(
        path[0], "e.toml"
    )
    with no_scan(), no_lab(tmp_path), no_refresh():
        for number, name in enumerate(file_names()):
            place = Path(str(number)) / f"{name}.toml"
            place.parent.mkdir()
            if there == "directory":
                place.mkdir()
                (place / f"{name}.toml").write_bytes(Path("e.toml").read_bytes())
            elif there != "nothing":
                place.write_bytes(Path(good).read_bytes() if there == "good" else b"[x\x1b[31m")
            value = str(place / "x" if there == "in a file" else place)
            value += "/versions" if parameter.name == "rule" else ""
            (arguments_, *_) = invocations(path, parameter, value)
            harmless(run(*arguments_, terminal=True, COLUMNS="100"), arguments_)


# --- the environment ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["COLUMNS", "LINES", "TERM", "NO_COLOR", "FORCE_COLOR", "LANG"])
def test_no_variable_comes_back_raw_or_breaks_the_table(name: str) -> None:
    Path("r.json").write_text(json.dumps(REPORT))
    sizes = ["0", "-1", "1", "61", "1000000000000", "9" * 5000, "²", "1_0", "0x50", "1e3", "NaN"]
    for value in [*sizes, *arguments()]:
        said = run("show", "r.json", terminal=True, **{"COLUMNS": "100", name: value})
        assert said.status == 0 and said.err == b"", said.err
        plausible = name == "COLUMNS"
        coloured(said.out, 10_000 if plausible else 100)
        if name == "NO_COLOR" and value:
            plain(said.out)


# --- servers -----------------------------------------------------------------------------------

OTHER = "sni.example.com"  # sent where the certificate is held against another name


@dataclass(frozen=True)
class Station:
    """A server that says a payload somewhere, and the row that scans it."""

    name: str
    host: str
    address: str
    server_name: str
    raw: bytes

    def row(self, port: int) -> dict[str, Any]:
        return {"host": self.host, "port": port, "addresses": [self.address],
                "server_name": self.server_name, "verify_name": self.host}  # fmt: skip


def wire(text: str) -> bytes:
    return (SEED + text).encode("utf-8", "surrogatepass")


def stations(speakers: Speakers, authority: Authority) -> Iterator[Station]:
    texts = {name: text for name, text in PAYLOADS.items() if text}
    raws = {name: wire(text) for name, text in texts.items()}
    raws |= {f"raw {number}": SEED.encode() + raw for number, raw in enumerate(RAW)}
    some = [*raws][:: max(1, len(raws) // 12)]

    def station(name: str, raw: bytes, factory: Factory, sni: str | None = None) -> Station:
        host = f"h{len(speakers.made)}.example.com"
        return Station(name, host, speakers.add(factory), sni or host, raw)

    def site(raw: bytes, answer: bytes, text: str = "x") -> Factory:
        host = f"h{len(speakers.made)}.example.com"
        return partial(Site, authority.context(host, text, raw), answer)

    for name, raw in raws.items():
        head = raw.translate(None, b"\r\n\0\v\f")  # with these it is no HTTP at all
        answer = b"".join(
            b"%b: %b\r\n" % (field, head)
            for field in (b"Server", b"Location", b"Alt-Svc", b"Set-Cookie", b"X-" + b"A")
        )
        text = texts.get(name, "x").encode("utf-8", "ignore").decode()
        answer = b"HTTP/1.1 301 Moved\r\n" + answer + b"\r\n"
        sni = OTHER if len(speakers.made) % 2 else None
        yield station(f"header {name}", raw, site(raw, answer, text), sni)
    for name in some:
        raw = raws[name]
        yield station(f"reason {name}", raw, site(b"x", b"HTTP/1.1 200 %b\r\n\r\n" % raw))
        yield station(f"no http {name}", raw, site(b"x", raw + b"\r\n\r\n"))
        yield station(f"field {name}", raw, site(b"x", b"HTTP/1.1 200 OK\r\n%b: x\r\n\r\n" % raw))
        yield station(f"in clear {name}", raw, partial(Clear, raw))
        yield station(f"by hand {name}", raw, partial(ByHand, raw))


def _is_utf8(raw: bytes) -> bool:
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True


def test_what_is_read_of_a_certificate_is_harmless_in_a_report(tmp_path: Path) -> None:
    cases = [(text, wire(text)) for text in PAYLOADS.values()]
    cases += [("x", SEED.encode() + raw) for raw in RAW]
    for text, raw in cases:
        text = SEED + text.encode("utf-8", "ignore").decode()
        authority = Authority(tmp_path, text)
        url = x509.UniformResourceIdentifier("http://a.example/x")
        access = x509.AccessDescription(AuthorityInformationAccessOID.OCSP, url)
        more = [x509.AuthorityInformationAccess([access])]
        shown = authority.certificate("a.example", text, raw, more)
        chain = certificates.chain([shown.public_bytes(serialization.Encoding.DER)])
        # Alternative names are ASCII (RFC 5280, section 4.2.1.6); others are left out, and said so.
        for field in ("subject", "issuer", *(["names"] if raw.isascii() else [])):
            assert SEED in json.dumps(chain[0][field]), chain[0]["problems"]
        place = ("endpoints", 0, "targets", 0, "certificates")
        assert shown_harmlessly(planted(REPORT, place, chain))


def test_nothing_that_a_server_says_reaches_the_terminal_raw(tmp_path: Path) -> None:
    """One scan of them all, on a terminal: table, progress and report."""
    speakers = Speakers("127.83")
    authority = Authority(tmp_path, TOGETHER.encode("utf-8", "ignore").decode())
    all_ = {station.host: station for station in stations(speakers, authority)}
    with speakers.serving() as port:
        rows = [station.row(port) for station in all_.values()]
        Path("e.json").write_text(json.dumps(rows))
        out, err = on_a_terminal(
            "scan", "--endpoints", "e.json", "--ca-bundle", str(authority.bundle),
            "--reports", "kept", cwd=tmp_path, COLUMNS="100",
        )  # fmt: skip
    coloured(out.replace("\r\n", "\n").encode(), 100)
    assert SEED not in err
    plain(re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\r\n|\r", "", err).encode())
    (path,) = Path("kept").glob("*.json")
    report = ascii_json(path.read_bytes())
    assert len(report["endpoints"]) == len(all_)
    heard = 0
    for endpoint in report["endpoints"]:
        (target,) = endpoint["targets"]
        station, https = all_[endpoint["host"]], target["https"]
        if "names cannot be read" in (https["why"] or ""):
            assert station.server_name == OTHER and not _is_utf8(station.raw)
        elif station.name.startswith("header"):
            # Odd bytes in a certificate or a header cost no observation.
            assert https["outcome"] == "yes", (station, https)
            assert target["protocols"]["TLSv1.2"]["offered"] == "yes"
            assert https["server"] and https["server"].isprintable()
        heard += SEED in json.dumps(https)
    assert heard > len(PAYLOADS)
