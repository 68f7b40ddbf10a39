"""Timestamps are counted however they came, each once, and what cannot be read is unknown."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509 import ocsp

from tests.io.test_chains import served
from tests.servers.papers import Papers, key
from tlscheck.io import timestamps
from tlscheck.io.der import OCTETS, OID, SEQUENCE, encoded, inside, items

DER = serialization.Encoding.DER
EMBEDDED = x509.ObjectIdentifier("1.3.6.1.4.1.11129.2.4.2")
STAPLED = encoded(OID, bytes.fromhex("2b06010401d679020405"))
NOW = datetime.now(UTC).replace(microsecond=0)


def listed(*logs: int) -> bytes:
    """A list of one timestamp of each log, as TLS has it; their signatures are made up."""
    stamps = [b"\0" + bytes([log]) * 32 + bytes(8) + b"\0\0\x04\x03\0\x04sign" for log in logs]
    body = b"".join(len(stamp).to_bytes(2, "big") + stamp for stamp in stamps)
    return len(body).to_bytes(2, "big") + body


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Papers:
    return Papers(tmp_path_factory.mktemp("papers"))


def leaf_with(papers: Papers, *logs: int) -> x509.Certificate:
    value = encoded(OCTETS, listed(*logs))
    return papers.leaf(more=(x509.UnrecognizedExtension(EMBEDDED, value),) if logs else ())


def stapled(
    papers: Papers, leaf: x509.Certificate, value: bytes, *, before: int = 0, revoked: bool = False
) -> bytes:
    """An OCSP response about `leaf`, after answers about `before` others, with a list of timestamps
    (DER). No builder makes one, so it is put into what a builder made, and signed by nobody."""
    whole = ocsp.OCSPResponseBuilder().add_response(
        leaf, papers.middle, hashes.SHA1(),
        ocsp.OCSPCertStatus.REVOKED if revoked else ocsp.OCSPCertStatus.GOOD,
        NOW, NOW + timedelta(days=5), NOW if revoked else None, None,
    ).responder_id(ocsp.OCSPResponderEncoding.HASH, papers.middle).sign(
        key("ec", "Middle"), hashes.SHA256()
    )  # fmt: skip
    *head, answers = (item.whole for item in items(inside(whole.tbs_response_bytes, SEQUENCE)))
    said = inside(answers, SEQUENCE, SEQUENCE)
    extension = encoded(SEQUENCE, STAPLED, encoded(OCTETS, value))
    mine = said + encoded(0xA1, encoded(SEQUENCE, extension))
    serial = leaf.serial_number.to_bytes(20, "big").lstrip(b"\0")
    others = [said.replace(serial, bytes([n + 1]) * len(serial)) for n in range(before)]
    every = [encoded(SEQUENCE, each) for each in (*others, mine)]
    data = encoded(SEQUENCE, *head, encoded(SEQUENCE, *every))
    algorithm = encoded(SEQUENCE, encoded(OID, bytes.fromhex("2a8648ce3d040302")))
    basic = encoded(SEQUENCE, data, algorithm, encoded(0x03, b"\0sign"))
    kind = encoded(OID, bytes.fromhex("2b0601050507300101"))
    answered = encoded(0xA0, encoded(SEQUENCE, kind, encoded(OCTETS, basic)))
    return encoded(SEQUENCE, encoded(0x0A, b"\0"), answered)


@pytest.mark.parametrize("before", [0, 2])
@pytest.mark.parametrize("revoked", [False, True])
def test_those_in_a_staple_count_whatever_stands_before_them(
    papers: Papers, before: int, revoked: bool
) -> None:
    leaf = leaf_with(papers, 1)
    staple = stapled(papers, leaf, encoded(OCTETS, listed(2, 3)), before=before, revoked=revoked)
    counts, problems = timestamps.read(leaf.public_bytes(DER), b"", staple)
    assert counts == {"handshake_scts": 0, "staple_scts": 2, "distinct_scts": 3}
    assert problems == {}


def test_one_that_came_by_several_ways_counts_once(papers: Papers) -> None:
    leaf = leaf_with(papers, 1, 2)
    staple = stapled(papers, leaf, encoded(OCTETS, listed(3, 4)))
    counts, _ = timestamps.read(leaf.public_bytes(DER), listed(2, 3), staple)
    assert counts == {"handshake_scts": 2, "staple_scts": 2, "distinct_scts": 4}


def test_those_of_another_certificate_are_not_this_one_s(papers: Papers) -> None:
    staple = stapled(papers, papers.leaf(), encoded(OCTETS, listed(1)))
    counts, problems = timestamps.read(leaf_with(papers, 1).public_bytes(DER), b"", staple)
    assert counts == {"handshake_scts": 0, "staple_scts": 0, "distinct_scts": 1} and not problems


@pytest.mark.parametrize(
    "body",
    [b"\0", b"\0\0", b"\0\x05\0\x02ab\0", b"\xff\xff", b"\0\x04\0\x02ab", listed(1)[:-1],
     listed(*range(250), *range(250))],
)  # fmt: skip
def test_a_list_that_cannot_be_read_is_unknown_and_no_zero(papers: Papers, body: bytes) -> None:
    leaf = leaf_with(papers, 1)
    staple = stapled(papers, leaf, encoded(OCTETS, body))
    counts, problems = timestamps.read(leaf.public_bytes(DER), body, staple)
    if body == b"\0\0":  # an empty one is a list
        assert counts["handshake_scts"] == counts["staple_scts"] == 0
        return
    assert counts == {"handshake_scts": None, "staple_scts": None, "distinct_scts": None}
    assert problems.keys() == {"handshake_scts", "staple_scts"} and all(problems.values())


def test_no_byte_of_a_staple_or_a_certificate_is_a_crash(papers: Papers) -> None:
    leaf = leaf_with(papers, 1)
    whole = leaf.public_bytes(DER)
    staple = stapled(papers, leaf, encoded(OCTETS, listed(2)), before=1)
    for at in range(len(staple)):
        for bad in (staple[:at], staple[:at] + bytes([staple[at] ^ 0xFF]) + staple[at + 1 :]):
            counts, problems = timestamps.read(whole, b"", bad)
            assert (counts["staple_scts"] is None) == ("staple_scts" in problems)
    for at in range(len(whole)):
        timestamps.read(whole[:at] + b"\xff" + whole[at + 1 :], b"", staple)


def test_a_server_that_staples_them_has_them_counted(papers: Papers, tmp_path: Path) -> None:
    leaf = leaf_with(papers, 1)
    file = tmp_path / "staple.der"
    file.write_bytes(stapled(papers, leaf, encoded(OCTETS, listed(2))))
    found = served(papers, tmp_path, leaf, [papers.middle], "-status_file", file)
    assert [found[f"{way}scts"] for way in ("", "handshake_", "staple_", "distinct_")] == [
        1, 0, 1, 2,
    ]  # fmt: skip
