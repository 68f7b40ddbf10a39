"""What a server sends, wherever it can, reaches no terminal and no report unescaped."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import AuthorityInformationAccessOID

from tests.cli.test_terminal import on_a_terminal
from tests.injection.payloads import PAYLOADS, RAW, TOGETHER
from tests.injection.sinks import (
    ascii_json,
    coloured,
    plain,
    planted,
)
from tests.injection.speakers import Authority, ByHand, Clear, Site, Speakers
from tests.injection.ways import REPORT, SEED, shown_harmlessly
from tests.injection.ways import quick as quick  # a fixture for all of them
from tlscheck.io import certificates
from tlscheck.lab.server import Factory

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
    # A line that is no HTTP is not quoted: it is headers that come through.
    assert heard > len(PAYLOADS) // 2
