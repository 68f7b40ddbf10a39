"""openssl s_client: one process a version, a suite in a version, a group in a version."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from concurrent.futures import Executor
from functools import cache
from pathlib import Path

from tests.servers.process import program
from tests.servers.profile import Server

from .answers import Answer, Answers, Pair, run

VERSIONS = ("TLSv1.0", "TLSv1.1", "TLSv1.2", "TLSv1.3")
_SWITCHES = dict(zip(VERSIONS, ("tls1", "tls1_1", "tls1_2", "tls1_3"), strict=True))
_TLS13 = (
    "TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256"
    ":TLS_AES_128_CCM_SHA256:TLS_AES_128_CCM_8_SHA256"
)
_ALL = "ALL:COMPLEMENTOFALL:@SECLEVEL=0"
# Without a secret to use OpenSSL does not offer these. No server here has one.
_PSK = ("-psk", "00112233", "-psk_identity", "nobody")
_SRP = ("-srpuser", "nobody", "-srppass", "pass:nothing")
_CURVES = {
    "secp256r1": "P-256", "secp384r1": "P-384", "secp521r1": "P-521", "x25519": "X25519",
    "x448": "X448", "secp256k1": "secp256k1", "secp224r1": "secp224r1",
    "brainpoolP256r1": "brainpoolP256r1", "brainpoolP384r1": "brainpoolP384r1",
    "brainpoolP512r1": "brainpoolP512r1",
}  # fmt: skip
_HYBRIDS = ("X25519MLKEM768", "SecP256r1MLKEM768", "SecP384r1MLKEM1024")
_GONE = ("secp256k1", "secp224r1", "brainpoolP256r1", "brainpoolP384r1", "brainpoolP512r1")
_FINITE = ("ffdhe2048", "ffdhe3072", "ffdhe4096", "ffdhe6144", "ffdhe8192")
_ENVIRONMENT = {**os.environ, "OPENSSL_CONF": os.devnull}


def ask(server: Server, certificates: Path, pool: Executor) -> Answers:
    questions = dict(_questions())
    answers = pool.map(lambda words: _handshake(server, words), questions.values())
    return dict(zip(questions, answers, strict=True))


def _questions() -> Iterator[tuple[Pair, tuple[str, ...]]]:
    yield Pair("SSLv3", "version"), ("-ssl3", "-cipher", _ALL)
    for version in VERSIONS:
        switch = f"-{_SWITCHES[version]}"
        modern = version == "TLSv1.3"
        everything = ("-ciphersuites", _TLS13) if modern else ("-cipher", _ALL)
        yield Pair(version, "version"), (switch, *everything)
        for iana, name, _ in _suites(version):
            only = ("-ciphersuites", name) if modern else ("-cipher", f"{name}:@SECLEVEL=0")
            secret = _PSK if "PSK" in iana else _SRP if "SRP" in iana else ()
            yield Pair(version, "suite", iana), (switch, *only, *secret)
    for iana, name in _CURVES.items():
        words = ("-tls1_2", "-cipher", "kEECDH:@SECLEVEL=0", "-groups", name)
        yield Pair("TLSv1.2", "group", iana), words
    for iana in (*_CURVES, *_FINITE, *_HYBRIDS):
        if iana not in _GONE:
            words = ("-tls1_3", "-ciphersuites", _TLS13, "-groups", _CURVES.get(iana, iana))
            yield Pair("TLSv1.3", "group", iana), words


def codes(version: str) -> list[tuple[str, int]]:
    """IANA name and code point of all suites that it can offer in a version."""
    return [(iana, code) for iana, _, code in _suites(version)]


@cache
def _suites(version: str) -> tuple[tuple[str, str, int], ...]:
    """IANA name, OpenSSL's name and code point of all that it can offer in a version."""
    command = [program("openssl"), "ciphers", "-V", "-stdname", "-s", f"-{_SWITCHES[version]}"]
    if version == "TLSv1.3":
        command += ["-ciphersuites", _TLS13]
    else:
        command += ["-psk", "-srp", "-ciphersuites", "", _ALL]
    found = []
    for line in run(command, _ENVIRONMENT).splitlines():
        # "0x13,0x02 - TLS_AES_256_GCM_SHA384 - TLS_AES_256_GCM_SHA384 TLSv1.3 Kx=any ..."
        code, _, iana, _, name = line.split()[:5]
        found.append((iana, name, int(code.replace(",0x", ""), 16)))
    return tuple(found)


def _handshake(server: Server, words: tuple[str, ...]) -> Answer:
    said = run(
        [
            program("openssl"), "s_client", "-connect", f"{server.address}:{server.port}",
            "-servername", "sts.example.com", "-legacy_server_connect", "-brief",
            "-no-CAfile", "-no-CApath", "-no-CAstore", *words,
        ],
        _ENVIRONMENT,
    )  # fmt: skip
    if "CONNECTION ESTABLISHED" in said:
        return Answer("yes", _line(said, "Ciphersuite: (.*)"))
    if "Call to SSL_CONF_cmd" in said or "Unknown option" in said:
        return Answer("cannot", said)
    error = _line(said, ":error:[0-9A-F]+:(.*)")
    if "no ciphers available" in error or "no suitable key share" in error:
        return Answer("cannot", error)
    # An error of the socket is no answer of the server's.
    return Answer("no", error) if error and "errno=" not in said else Answer("broken", said)


def _line(text: str, pattern: str) -> str:
    found = re.search(pattern, text)
    return found[1] if found else ""
