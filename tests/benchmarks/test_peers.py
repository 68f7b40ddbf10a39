"""What the other scanners say is read right, from a few lines of each; and the goals are judged."""

from __future__ import annotations

import json

import pytest

from .goals import Found, table
from .peers import PEERS
from .runs import Row, Sample

AES = "TLS_RSA_WITH_AES_128_CBC_SHA"
NEW = "TLS_AES_128_GCM_SHA256"
FOUND = {("TLSv1.0", AES), ("TLSv1.3", NEW)}

SAID = {
    "sslscan": (
        '<?xml version="1.0"?><document><ssltest host="127.1.0.1" port="9">'
        '<protocol type="tls" version="1.0" enabled="1" />'
        '<cipher status="preferred" sslversion="TLSv1.3" cipher="x" id="0x1301" />'
        '<cipher status="accepted" sslversion="TLSv1.0" cipher="AES128-SHA" id="0x002F" />'
        "</ssltest></document>"
    ),
    "nmap": (
        '<?xml version="1.0"?><nmaprun><host><address addr="127.1.0.1" addrtype="ipv4"/><ports>'
        '<port><script id="ssl-enum-ciphers" output="x">'
        '<table key="TLSv1.0"><table key="ciphers"><table>'
        f'<elem key="name">{AES}</elem><elem key="strength">A</elem></table></table>'
        '<table key="compressors"><elem>NULL</elem></table></table>'
        '<table key="TLSv1.3"><table key="ciphers"><table>'
        '<elem key="name">TLS_AKE_WITH_AES_128_GCM_SHA256</elem></table></table></table>'
        "</script></port></ports></host></nmaprun>"
    ),
    "sslyze": json.dumps(
        {
            "server_scan_results": [
                {
                    "server_location": {"ip_address": "127.1.0.1"},
                    "scan_result": {
                        "ssl_2_0_cipher_suites": {"result": {"accepted_cipher_suites": []}},
                        "ssl_3_0_cipher_suites": {"result": None},
                        "tls_1_0_cipher_suites": {
                            "result": {"accepted_cipher_suites": [{"cipher_suite": {"name": AES}}]}
                        },
                        "tls_1_3_cipher_suites": {
                            "result": {"accepted_cipher_suites": [{"cipher_suite": {"name": NEW}}]}
                        },
                    },
                }
            ]
        }
    ),
    "testssl.sh": json.dumps(
        [
            {"id": "engine_problem", "ip": "/", "finding": "none"},
            {"id": "cipher-tls1_x2f", "ip": "localhost/127.1.0.1", "finding": "x"},
            {"id": "cipher-tls1_3_x1301", "ip": "localhost/127.1.0.1", "finding": "x"},
        ]
    ),
    "cryptolyzer": json.dumps({"TLS1": [0x2F], "TLS1_3": [0x1301]}),
}


@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.name)
def test_what_a_peer_found_is_read(peer) -> None:  # type: ignore[no-untyped-def]
    address = "" if peer.name == "cryptolyzer" else "127.1.0.1"
    assert peer.answers(SAID[peer.name]) == {address: FOUND}


def row(tool: str, wall: float, connections: int = 40, missed: int = 0) -> Row:
    sample = Sample(wall, 0.1, 1, False, connections, 40.0, 40, 2, 4.0, 4.0, 0.0, missed, 0, ())
    return Row(tool, (sample,))


def test_a_goal_is_reached_or_not_by_the_figures() -> None:
    rows = [row("tlscheck normal", 1.0), row("sslscan", 5.5), row("nmap", 9.0)]
    said = table(Found(start=0.1, compared={("twelve", 40): rows}))
    assert "5.5 times (sslscan), 40 connections | yes" in said and "**no**" not in said
    said = table(Found(compared={("twelve", 40): [row("tlscheck", 1.0, 51), rows[1]]}))
    assert "51 connections | **no**" in said
    said = table(Found(compared={("modern", 150): [row("tlscheck", 6.0, missed=1), rows[1]]}))
    assert "1 missed" in said and "modern, 150 ms: no peer is faster | 0.9 times" in said
    assert said.count("**no**") == 2
