"""The other scanners: what is run for versions and suites, and what they said."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from tests.servers.names import suite_name
from tests.servers.process import program
from tests.servers.profile import PROTOCOLS

HOME = Path(__file__).resolve().parents[2]
CRYPTOLYZER = HOME / ".venv-cryptolyzer/bin/python"

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
Pair = tuple[str, str]  # protocol, suite
Word = str | Path

_SSLSCAN_OFF = "check-certificate compression fallback groups heartbleed renegotiation"
_SSLYZE = dict(zip(PROTOCOLS, ("sslv2", "sslv3", "tlsv1", "tlsv1_1", "tlsv1_2", "tlsv1_3"),
                   strict=True))  # fmt: skip
_SSLYZE_ANSWERS = dict(
    zip(
        (f"{name}_cipher_suites" for name in
         ("ssl_2_0", "ssl_3_0", "tls_1_0", "tls_1_1", "tls_1_2", "tls_1_3")),
        PROTOCOLS,
        strict=True,
    )
)  # fmt: skip
_TESTSSL = {"ssl2": "SSLv2", "ssl3": "SSLv3", "tls1": "TLSv1.0", "tls1_1": "TLSv1.1",
            "tls1_2": "TLSv1.2", "tls1_3": "TLSv1.3"}  # fmt: skip
_CRYPTOLYZER = {"SSL2": "SSLv2", "SSL3": "SSLv3", "TLS1": "TLSv1.0", "TLS1_1": "TLSv1.1",
                "TLS1_2": "TLSv1.2", "TLS1_3": "TLSv1.3"}  # fmt: skip


@dataclass(frozen=True)
class Peer:
    """`command(address, port, file)` asks one address and leaves what it found in the file;
    `whole(list, port, file)` asks all addresses of a list in one process, where it can;
    `answers` reads such a file: what was found, by address."""

    name: str
    find: Callable[[], Word]
    version: Callable[[], str]
    command: Callable[[str, int, Word], list[Word]]
    answers: Callable[[str], dict[str, set[Pair]]]
    whole: Callable[[Path, int, Word], list[Word]] | None = None

    def missing(self) -> bool:
        try:
            self.find()
        except FileNotFoundError:
            return True
        return False


def _said(*command: Word) -> str:
    done = subprocess.run(
        list(map(str, command)), stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    return done.stdout


def _sslscan(address: str, port: int, file: Word) -> list[Word]:
    off = [f"--no-{word}" for word in _SSLSCAN_OFF.split()]
    return [program("sslscan"), "--no-colour", *off, f"--xml={file}", f"{address}:{port}"]


def _sslscan_answers(text: str) -> dict[str, set[Pair]]:
    return {
        test.attrib["host"]: {
            (_dotted(cipher.attrib["sslversion"]), suite_name(int(cipher.attrib["id"], 16)))
            for cipher in test.iter("cipher")
        }
        for test in ElementTree.fromstring(text).iter("ssltest")
    }


def _dotted(protocol: str) -> str:
    return "TLSv1.0" if protocol == "TLSv1" else protocol


def _nmap(target: Sequence[Word], port: int, file: Word) -> list[Word]:
    return [
        program("nmap"), "-n", "-Pn", "-sT", "-p", str(port), "--script", "+ssl-enum-ciphers",
        "-oX", file, *target,
    ]  # fmt: skip


def _nmap_answers(text: str) -> dict[str, set[Pair]]:
    found = {}
    for host in ElementTree.fromstring(text).iter("host"):
        address = host.find("address")
        assert address is not None
        found[address.attrib["addr"]] = {
            (_dotted(table.attrib["key"]), (name.text or "").replace("TLS_AKE_WITH_", "TLS_"))
            for script in host.iter("script")
            for table in script.findall("table")
            for name in table.iterfind("table[@key='ciphers']/table/elem[@key='name']")
        }
    return found


def _sslyze(target: Sequence[Word], file: Word) -> list[Word]:
    asked = [f"--{name}" for name in _SSLYZE.values()]
    return [
        sys.executable, "-m", "sslyze", "--mozilla_config=disable", "--quiet", *asked,
        f"--json_out={file}", *target,
    ]  # fmt: skip


def _sslyze_answers(text: str) -> dict[str, set[Pair]]:
    found = {}
    for server in json.loads(text)["server_scan_results"]:
        asked = server["scan_result"] or {}
        found[server["server_location"]["ip_address"]] = {
            (protocol, accepted["cipher_suite"]["name"])
            for name, protocol in _SSLYZE_ANSWERS.items()
            if (result := (asked.get(name) or {}).get("result"))
            for accepted in result["accepted_cipher_suites"]
        }
    return found


def _testssl(address: str, port: int, file: Word) -> list[Word]:
    return [
        program("testssl", "testssl.sh"), "--quiet", "--color", "0", "--warnings", "off",
        "--nodns", "none", "--ip", address, "-E", "--jsonfile", file, f"localhost:{port}",
    ]  # fmt: skip


def _testssl_answers(text: str) -> dict[str, set[Pair]]:
    found: dict[str, set[Pair]] = {}
    for row in json.loads(text):
        address = row["ip"].partition("/")[2]
        if address and row["id"].startswith("cipher-"):
            protocol, _, code = row["id"].removeprefix("cipher-").rpartition("_x")
            pair = (_TESTSSL[protocol], suite_name(int(code, 16)))
            found.setdefault(address, set()).add(pair)
    return found


def _cryptolyzer(address: str, port: int, file: Word) -> list[Word]:
    return [CRYPTOLYZER, Path(__file__).parent / "cryptolyzer_.py", address, str(port), file]


def _cryptolyzer_answers(text: str) -> dict[str, set[Pair]]:
    """Its file does not name the address: it is that of the only one asked."""
    return {
        "": {
            (_CRYPTOLYZER.get(protocol, protocol), suite_name(code))
            for protocol, codes in json.loads(text).items()
            for code in codes
        }
    }


def _has_cryptolyzer() -> Word:
    if not CRYPTOLYZER.exists() or not _metadata(CRYPTOLYZER, "cryptolyzer"):
        raise FileNotFoundError(CRYPTOLYZER)
    return CRYPTOLYZER


def _metadata(python: Word, package: str) -> str:
    code = f"from importlib.metadata import version; print(version({package!r}))"
    return _said(python, "-c", code).strip()


def _has_sslyze() -> Word:
    if not _metadata(sys.executable, "sslyze"):
        raise FileNotFoundError("sslyze")
    return sys.executable


def _number(text: str, before: str = "") -> str:
    """The first version number that follows these words."""
    found = re.search(before + r"\s*\b(\d+\.[\w.]*\w)", _COLOUR.sub("", text))
    return found[found.re.groups] if found else "?"


PEERS = (
    Peer(
        "sslscan", lambda: program("sslscan"),
        lambda: _number(_said(program("sslscan"), "--version")),
        _sslscan, _sslscan_answers,
    ),
    Peer(
        "nmap", lambda: program("nmap"),
        lambda: _number(_said(program("nmap"), "--version"), "Nmap version"),
        lambda address, port, file: _nmap([address], port, file), _nmap_answers,
        lambda addresses, port, file: _nmap(["-iL", addresses], port, file),
    ),
    Peer(
        "sslyze", _has_sslyze, lambda: _metadata(sys.executable, "sslyze"),
        lambda address, port, file: _sslyze([f"{address}:{port}"], file), _sslyze_answers,
        lambda addresses, port, file: _sslyze(
            [f"{line}:{port}" for line in addresses.read_text().split()], file
        ),
    ),
    Peer(
        "testssl.sh", lambda: program("testssl", "testssl.sh"),
        lambda: _number(_said(program("testssl", "testssl.sh"), "--version"), r"testssl(\.sh)?"),
        _testssl, _testssl_answers,
    ),
    Peer(
        "cryptolyzer", _has_cryptolyzer, lambda: _metadata(CRYPTOLYZER, "cryptolyzer"),
        _cryptolyzer, _cryptolyzer_answers,
    ),
)  # fmt: skip
