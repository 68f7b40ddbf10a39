"""gnutls-cli: one process a version, a suite in a version, a group in a version."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.servers.process import program
from tests.servers.profile import Server

from .answers import Answer, Answers, Pair, run

VERSIONS = ("TLSv1.0", "TLSv1.1", "TLSv1.2", "TLSv1.3")
_EXCHANGES = {  # as a suite's name says it -> as a priority string says it
    "ECDHE_ECDSA": "ECDHE-ECDSA", "ECDHE_RSA": "ECDHE-RSA", "ECDHE_PSK": "ECDHE-PSK",
    "DHE_RSA": "DHE-RSA", "DHE_DSS": "DHE-DSS", "DHE_PSK": "DHE-PSK", "RSA_PSK": "RSA-PSK",
    "RSA": "RSA", "PSK": "PSK", "DH_ANON": "ANON-DH", "ECDH_ANON": "ANON-ECDH",
    "SRP_SHA_RSA": "SRP-RSA", "SRP_SHA_DSS": "SRP-DSS", "SRP_SHA": "SRP",
    "GOSTR341112_256": "VKO-GOST-12",
}  # fmt: skip
_ODD_CIPHERS = {"28147_CNT": "GOST28147-TC26Z-CNT"}
_ODD_MACS = {"IMIT": "GOST28147-TC26Z-IMIT"}
_NAME = re.compile(
    f"TLS_(?:(?P<exchange>{'|'.join(sorted(_EXCHANGES, key=len, reverse=True))})_)?(?P<rest>.*)"
)
_GROUPS = {
    "secp192r1": "SECP192R1", "secp224r1": "SECP224R1", "secp256r1": "SECP256R1",
    "secp384r1": "SECP384R1", "secp521r1": "SECP521R1", "x25519": "X25519", "x448": "X448",
    "ffdhe2048": "FFDHE2048", "ffdhe3072": "FFDHE3072", "ffdhe4096": "FFDHE4096",
    "ffdhe6144": "FFDHE6144", "ffdhe8192": "FFDHE8192",
    "X25519MLKEM768": "X25519-MLKEM768", "SecP256r1MLKEM768": "SECP256R1-MLKEM768",
    "SecP384r1MLKEM1024": "SECP384R1-MLKEM1024",
}  # fmt: skip
# Everything that does not matter to the question, and signatures with SHA-1.
_REST = (
    "+COMP-NULL:+CTYPE-X509:+SIGN-ALL:+SIGN-RSA-SHA1:+SIGN-ECDSA-SHA1:+SIGN-DSA-SHA1"
    ":+SIGN-RSA-MD5:%VERIFY_ALLOW_SIGN_WITH_SHA1:%VERIFY_ALLOW_BROKEN:%UNSAFE_RENEGOTIATION"
)
_ALL_GROUPS = ":".join(f"+GROUP-{n}" for n in _GROUPS.values() if "MLKEM" not in n)
_ENVIRONMENT = {**os.environ, "GNUTLS_SYSTEM_PRIORITY_FILE": os.devnull}


@dataclass(frozen=True)
class Suite:
    iana: str
    code: str  # as its log spells it: "c0.2f"
    priority: str
    first: str


def ask(server: Server, certificates: Path, pool: Executor) -> Answers:
    questions = list(_questions())
    answers = pool.map(lambda question: _handshake(server, certificates, question), questions)
    return dict(zip((question.pair for question in questions), answers, strict=True))


@dataclass(frozen=True)
class _Question:
    """`needs`: words that the negotiated parameters must hold for a yes."""

    pair: Pair
    offered: Sequence[Suite]
    groups: str = _ALL_GROUPS
    needs: str = ""


def _questions() -> Iterator[_Question]:
    yield _Question(Pair("SSLv3", "version"), [s for s in suites() if s.first == "TLSv1.0"])
    for version in VERSIONS:
        modern = version == "TLSv1.3"
        known = [s for s in suites() if s.first <= version and (s.first == "TLSv1.3") == modern]
        yield _Question(Pair(version, "version"), known)
        for suite in known:
            yield _Question(Pair(version, "suite", suite.iana), [suite])
        for iana, name in _GROUPS.items():
            exchange = "TLS_DHE_" if iana.startswith("ffdhe") else "TLS_ECDHE_"
            if modern and iana not in ("secp192r1", "secp224r1"):
                offered = known
            elif version == "TLSv1.2" and "MLKEM" not in iana:
                offered = [s for s in known if s.iana.startswith(exchange) and "PSK" not in s.iana]
            else:
                continue
            pair = Pair(version, "group", iana)
            yield _Question(pair, offered, f"+GROUP-{name}", f"DHE-{name}")


def _priority(question: _Question) -> str:
    words = [word for suite in question.offered for word in suite.priority.split(":")]
    version = question.pair.version.replace("TLSv", "TLS").replace("SSLv3", "SSL3.0")
    return ":".join(("NONE", f"+VERS-{version}", *dict.fromkeys(words), question.groups, _REST))


@cache
def suites() -> tuple[Suite, ...]:
    """All that `gnutls-cli --list` knows."""
    found = []
    for line in run([program("gnutls-cli"), "--list"], _ENVIRONMENT).splitlines():
        # "TLS_RSA_NULL_SHA1                                	0x00, 0x02	TLS1.0"
        if split := re.match(r"(TLS_\w+)\s+0x(..), 0x(..)\s+TLS(1\.\d)$", line):
            name, high, low, first = split.groups()
            found.append(_suite(name, f"{high}.{low}", f"TLSv{first}"))
    return tuple(found)


def _suite(name: str, code: str, first: str) -> Suite:
    split = _NAME.fullmatch(name)
    assert split, name
    exchange, rest = split["exchange"], split["rest"]
    cipher, _, mac = rest.rpartition("_")
    if "GCM" in rest or (mac.startswith("SHA") and first == "TLSv1.3"):
        words, tail = (cipher, "AEAD"), rest
    elif "CCM" in rest or "POLY1305" in rest:
        words, tail = (rest, "AEAD"), rest if "CCM" in rest else f"{rest}_SHA256"
    else:
        words = cipher, mac
        tail = rest.removesuffix("1") if mac == "SHA1" else rest
    priority = f"+{_ODD_CIPHERS.get(words[0], words[0].replace('_', '-'))}"
    priority = priority.replace("3DES-EDE-CBC", "3DES-CBC")
    priority += f":+{_ODD_MACS.get(words[1], words[1])}"
    if exchange is None:
        return Suite(name, code, priority, first)
    head = exchange.replace("ANON", "anon")
    iana = f"TLS_{head}_WITH_{tail.replace('ARCFOUR', 'RC4')}"
    iana = iana.replace("TLS_DHE_PSK_WITH_AES_128_CCM_8", "TLS_PSK_DHE_WITH_AES_128_CCM_8")
    iana = iana.replace("TLS_DHE_PSK_WITH_AES_256_CCM_8", "TLS_PSK_DHE_WITH_AES_256_CCM_8")
    return Suite(iana, code, f"+{_EXCHANGES[exchange]}:{priority}", first)


def _handshake(server: Server, certificates: Path, question: _Question) -> Answer:
    priority = _priority(question)
    command = [
        program("gnutls-cli"), "--debug=2", "--insecure", "--verify-allow-broken",
        f"--x509cafile={certificates / 'ca.pem'}", "--sni-hostname=sts.example.com",
        f"--priority={priority}", f"--port={server.port}",
    ]  # fmt: skip
    # Without a secret to use it does not offer these. No server here has one.
    if "PSK" in priority:
        command += ["--pskusername=nobody", "--pskkey=00112233"]
    if "SRP" in priority:
        command += ["--srpusername=nobody", "--srppasswd=nothing"]
    said = run([*command, server.address], _ENVIRONMENT)
    if "Syntax error at" in said or "No or insufficient priorities" in said:
        return Answer("cannot", _telling(said))
    # Its log names each suite that it puts in the hello: one that it leaves out was not asked.
    if not any(f"Keeping ciphersuite {suite.code} " in said for suite in question.offered):
        return Answer("broken", said)
    if "- Handshake was completed" in said:
        chosen = _description(said)
        return Answer("yes" if question.needs.upper() in chosen.upper() else "no", chosen)
    return Answer("no", _telling(said)) if "***" in said else Answer("broken", said)


def _description(said: str) -> str:
    found = re.search(r"- Description: (.*)", said)
    return found[1] if found else ""


def _telling(said: str) -> str:
    starts = ("***", "Error", "Syntax error")
    return "; ".join(line for line in said.splitlines() if line.startswith(starts))
