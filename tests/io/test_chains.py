"""What a report says of certificates is what servers of other hands were given."""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import certifi
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from tests.scan.real import observed
from tests.servers import gnutls, jsse, nginx, pyopenssl
from tests.servers.papers import DAY, HOST, Papers, certificate, name
from tests.servers.process import ADDRESS, program, running
from tests.servers.profile import Profile, Server
from tlscheck.core.features import Chain
from tlscheck.core.model import Endpoint, Target
from tlscheck.io import chains, ocsp, trust
from tlscheck.io.der import OID, SEQUENCE, SET, encoded

NOW = datetime.now(UTC)


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Papers:
    return Papers(tmp_path_factory.mktemp("papers"))


@contextmanager
def s_server(
    directory: Path, leaf: Path, key: Path, chain: Path | None = None, *more: str | Path
) -> Iterator[Server]:
    """openssl s_server with a leaf, its key, and what it sends after the leaf."""

    def command(port: int) -> list[str | Path]:
        words: list[str | Path] = [program("openssl"), "s_server", "-www", "-quiet"]
        words += ["-accept", f"{ADDRESS}:{port}", "-cert", leaf, "-key", key]
        words += ["-cert_chain", chain] if chain else []
        return [*words, *more]

    with running("s_server", directory, command, Profile({})) as server:
        yield server


def leaves(server: Server, papers: Papers | None, **more: Any) -> list[dict[str, Any]]:
    bundle = papers.bundle if papers else None
    name = more.pop("name", HOST)
    target = observed(server.address, server.port, name, ca_bundle=bundle, **more)
    return [entry for entry in target.certificates if entry["position"] == 0]


def served(
    papers: Papers, tmp_path: Path, leaf: x509.Certificate, chain: Sequence[x509.Certificate],
    *more: str | Path, kind: str = "ec", **how: Any,
) -> dict[str, Any]:  # fmt: skip
    """The only leaf that is found of a server with these."""
    file = papers.file("leaf", leaf)
    rest = papers.file("chain", *chain) if chain else None
    with s_server(tmp_path, file, papers.key_file(kind), rest, *more) as server:
        (found,) = leaves(server, papers, **how)
    return found


# --- one chain for each kind of key ------------------------------------------------------------


@pytest.mark.parametrize(
    ("start", "kinds"),
    [(nginx.dual, {"RSA", "EC"}), (nginx.only_1_3, {"RSA"}), (gnutls.client_order, {"RSA", "EC"}),
     (jsse.everything, {"RSA", "EC"}), (pyopenssl.hybrids, {"RSA"})],
    ids=["nginx-dual", "nginx-only-1.3", "gnutls", "jsse", "pyopenssl-hybrids"],
)  # fmt: skip
def test_there_is_a_chain_for_each_kind_of_key(start: Any, kinds: set[str], tmp_path: Path) -> None:
    with start(tmp_path) as server:
        made = tmp_path / "certificates"
        target = observed(server.address, server.port, "localhost", ca_bundle=made / "ca.pem")
    found = {e["key"]["type"]: e for e in target.certificates if e["position"] == 0}
    assert set(found) == kinds
    for kind, leaf in found.items():
        file = made / {"RSA": "rsa.pem", "EC": "ecdsa.pem"}[kind]
        first, middle = x509.load_pem_x509_certificates(file.read_bytes())
        der = first.public_bytes(serialization.Encoding.DER)
        assert leaf["fingerprint"] == hashlib.sha256(der).hexdigest()
        assert leaf["chain"]["sent"] == 2 and leaf["chain"]["in_order"]
        assert leaf["chain"]["missing"] is None and leaf["chain"]["extra"] == []
        assert leaf["trust"]["ca-bundle"] == {"answer": "yes", "why": None}
        assert leaf["trust"]["certifi"]["answer"] == "no"
        assert leaf["for_name"] == {"name": "localhost", "answer": "yes", "why": None}
        assert leaf["versions"][-1] == max(target.protocols, key=lambda v: (
            target.protocols[v].offered == "yes", v))  # fmt: skip
        assert middle.subject.rfc4514_string() == leaf["issuer"]
    assert target.https["leaf"] in {leaf["fingerprint"] for leaf in found.values()}


def test_ed25519_is_found_too(papers: Papers, tmp_path: Path) -> None:
    leaf = papers.leaf(kind="ed25519")
    found = served(papers, tmp_path, leaf, [papers.middle], kind="ed25519")
    assert found["key"]["type"] == "Ed25519" and found["trust"]["ca-bundle"]["answer"] != "no"
    assert found["versions"] == ["TLSv1.2", "TLSv1.3"]


def test_every_field_is_what_openssl_reads(papers: Papers, tmp_path: Path) -> None:
    """openssl x509 is another hand."""
    leaf = papers.leaf(kind="rsa", names=(HOST, "*.other.example.com"))
    found = served(papers, tmp_path, leaf, [papers.middle], kind="rsa")
    file = papers.file("one", leaf)

    def said(*flags: str) -> str:
        command = [program("openssl"), "x509", "-in", file, "-noout", *flags]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    assert found["fingerprint"] == (
        said("-fingerprint", "-sha256").partition("=")[2].strip().replace(":", "").lower()
    )
    serial = said("-serial").partition("=")[2].strip().lower()
    assert found["serial"].lstrip("0") == serial.lstrip("0")
    assert found["subject"] == said("-subject", "-nameopt", "rfc2253").partition("=")[2].strip()
    assert found["issuer"] == said("-issuer", "-nameopt", "rfc2253").partition("=")[2].strip()
    for field, flag in (("not_before", "-startdate"), ("not_after", "-enddate")):
        stamp = said(flag).partition("=")[2].strip()
        moment = datetime.strptime(stamp, "%b %d %H:%M:%S %Y GMT")
        assert found[field] == moment.isoformat() + "Z"
    public = said("-pubkey").encode()
    der = subprocess.run(
        [program("openssl"), "pkey", "-pubin", "-outform", "DER"],
        input=public, capture_output=True, check=True,
    ).stdout  # fmt: skip
    assert found["pin"] == base64.b64encode(hashlib.sha256(der).digest()).decode()
    assert found["key"] == {"type": "RSA", "bits": 2048}
    assert found["names"]["dns"] == [HOST, "*.other.example.com"]
    assert found["signature"]["name"] == "ecdsa-with-SHA256"
    assert found["must_staple"] is False and found["staple"] is None and found["scts"] == 0
    assert (found["days_left"], found["lifetime_days"]) == (88, 90)


# --- what may be wrong with it -----------------------------------------------------------------


def test_expired(papers: Papers, tmp_path: Path) -> None:
    leaf = papers.leaf(since=NOW - 100 * DAY, days=90)
    found = served(papers, tmp_path, leaf, [papers.middle])
    assert found["days_left"] == -11 and found["lifetime_days"] == 90
    assert found["trust"]["ca-bundle"] == {"answer": "no", "why": "has expired"}
    assert found["for_name"]["answer"] == "yes"


def test_not_yet_valid(papers: Papers, tmp_path: Path) -> None:
    found = served(papers, tmp_path, papers.leaf(since=NOW + 9 * DAY), [papers.middle])
    assert found["trust"]["ca-bundle"] == {"answer": "no", "why": "is not yet valid"}


def test_of_another_name(papers: Papers, tmp_path: Path) -> None:
    found = served(papers, tmp_path, papers.leaf(names=("a.example.com",)), [papers.middle])
    assert found["for_name"] == {
        "name": HOST, "answer": "no", "why": "none of its names is this one",
    }  # fmt: skip
    assert found["trust"]["ca-bundle"]["answer"] == "yes"  # another question


def test_a_common_name_is_no_name_to_anybody(papers: Papers, tmp_path: Path) -> None:
    """RFC 9525, section 6.3. Whom it is from is another question, also where it has no name."""
    bare = certificate(HOST, "Middle", names=())
    file, rest = papers.file("leaf", bare), papers.file("chain", papers.middle)
    with s_server(tmp_path, file, papers.key_file(purpose=HOST), rest) as server:
        target = observed(server.address, server.port, HOST, ca_bundle=papers.bundle)
    leaf = target.certificates[0]
    assert (target.https["outcome"], leaf["for_name"]["answer"]) == ("no", "no")
    assert target.https["why"] == f"certificate is not for {HOST}"
    assert leaf["trust"]["ca-bundle"] == {"answer": "yes", "why": None}


def test_a_dot_at_the_end_is_for_a_name_that_is_asked_for(papers: Papers, tmp_path: Path) -> None:
    leaf = papers.leaf(names=(f"{HOST}.",))
    file, rest = papers.file("leaf", leaf), papers.file("chain", papers.middle)
    with s_server(tmp_path, file, papers.key_file(), rest) as server:
        target = observed(server.address, server.port, HOST, ca_bundle=papers.bundle)
    found = target.certificates[0]
    assert (target.https["outcome"], found["for_name"]["answer"]) == ("no", "no")
    assert found["trust"]["ca-bundle"]["answer"] == "yes"


def test_of_an_issuer_that_nobody_trusts(papers: Papers, tmp_path: Path) -> None:
    other = certificate("leaf", "Nobody")
    found = served(papers, tmp_path, other, [])
    assert found["trust"]["ca-bundle"] == {
        "answer": "no", "why": "no path to an authority of this store",
    }  # fmt: skip
    assert found["chain"]["missing"] == "CN=Nobody"


def test_self_signed(papers: Papers, tmp_path: Path) -> None:
    leaf = certificate("leaf", "leaf")
    found = served(papers, tmp_path, leaf, [])
    assert found["trust"]["ca-bundle"] == {"answer": "no", "why": "is self-signed"}
    assert found["self_issued"] and found["chain"]["missing"] is None


def test_without_its_intermediate(papers: Papers, tmp_path: Path) -> None:
    found = served(papers, tmp_path, papers.leaf(), [])
    assert found["chain"]["sent"] == 1 and found["chain"]["missing"] == "CN=Middle"
    assert found["trust"]["ca-bundle"]["answer"] == "no"


def test_out_of_order_and_with_more_than_it_needs(papers: Papers, tmp_path: Path) -> None:
    stranger = certificate("Stranger", "Nobody", authority=True)
    chain = [stranger, papers.root, papers.middle]
    found = served(papers, tmp_path, papers.leaf(), chain)
    assert found["chain"]["sent"] == 4 and found["chain"]["path"] == [0, 3, 2]
    assert not found["chain"]["in_order"] and found["chain"]["extra"] == [1]
    assert found["chain"]["complete"] and found["chain"]["missing"] is None
    assert found["trust"]["ca-bundle"]["answer"] == "yes"


def test_a_root_that_another_has_signed_wants_nothing_more(papers: Papers, tmp_path: Path) -> None:
    """As Amazon's roots are sent, by an authority that no store has any more."""
    crossed = certificate("Root", "Nobody", authority=True)
    found = served(papers, tmp_path, papers.leaf(), [papers.middle, crossed])
    assert found["trust"]["ca-bundle"]["answer"] == "yes"
    assert found["chain"]["awaited"] == "CN=Nobody" and found["chain"]["missing"] is None


def test_an_intermediate_that_has_expired_is_a_no(papers: Papers, tmp_path: Path) -> None:
    late = certificate("Middle", "Root", authority=True, since=NOW - 90 * DAY, days=80)
    file, rest = papers.file("leaf", papers.leaf()), papers.file("chain", late)
    with s_server(tmp_path, file, papers.key_file(), rest) as server:
        target = observed(server.address, server.port, HOST, ca_bundle=papers.bundle)
    assert target.https["outcome"] == "no"
    assert target.https["why"] == "a certificate above its own has expired"
    trust = target.certificates[0]["trust"]["ca-bundle"]
    assert trust["answer"] == "no" and "an authority that has expired" in trust["why"]
    found = served(papers, tmp_path, papers.leaf(), [late, papers.middle])
    assert found["trust"]["ca-bundle"]["answer"] == "yes"


def test_what_is_not_looked_at_is_not_missing(papers: Papers) -> None:
    """An issuer after more certificates than are read."""
    der = serialization.Encoding.DER
    stranger = certificate("Stranger", "Nobody", authority=True).public_bytes(der)
    sent = (papers.leaf().public_bytes(der), *[stranger] * 20, papers.middle.public_bytes(der))
    target = Target(Endpoint("e", "sts", "custom", "-", "standard", HOST), "127.0.0.1")
    chain = Chain(sent, ("TLSv1.2",))
    leaf = chains.read(target, [chain], {}, ca_bundle=papers.bundle, now=NOW)[0]
    assert leaf["chain"]["missing"] is None
    assert leaf["trust"]["ca-bundle"] == {
        "answer": "unknown", "why": "16 of 22 certificates were looked at",
    }  # fmt: skip


def told(papers: Papers, *sent: bytes, https: dict[str, Any] | None = None) -> dict[str, Any]:
    """What is told of the leaf of a chain, without a server."""
    target = Target(Endpoint("e", "sts", "custom", "-", "standard", HOST), "127.0.0.1")
    chain = Chain(sent, ("TLSv1.2",))
    return chains.read(target, [chain], https or {}, ca_bundle=papers.bundle, now=NOW)[0]


def der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.DER)


def test_a_name_is_found_among_more_than_a_report_lists(papers: Papers) -> None:
    names = tuple(f"host-{nth}.example.com" for nth in range(300))
    found = told(papers, der(papers.leaf(names=(*names, HOST))), der(papers.middle))
    assert found["names"]["more"] == 201 and found["for_name"]["answer"] == "yes"
    found = told(papers, der(papers.leaf(names=names)), der(papers.middle))
    assert found["for_name"]["answer"] == "no"


def test_an_issuer_that_a_store_has_is_not_missing_to_who_cannot_be_read_whole(
    papers: Papers,
) -> None:
    """A leaf that ends in a leap second, which nobody reads."""
    good = der(certificate("leaf", "Root"))
    at = good.index(b"Z", good.index(b"Z\x17") + 1)
    found = told(papers, good[: at - 2] + b"60" + good[at:])
    assert "not_after" in found["problems"]
    assert found["chain"]["awaited"] == "CN=Root" and found["chain"]["missing"] is None


def test_a_long_path_leads_into_no_store_that_it_does_not_lead_into(papers: Papers) -> None:
    path = [certificate("Deep 0", "Root", authority=True)]
    for nth in range(1, 12):
        path.append(certificate(f"Deep {nth}", f"Deep {nth - 1}", authority=True))
    leaf = certificate("leaf", "Deep 11")
    found = told(papers, *map(der, (leaf, *reversed(path))))
    assert found["trust"]["certifi"]["answer"] == "no"
    assert found["trust"]["ca-bundle"]["answer"] in ("yes", "unknown")


def test_what_openssl_does_not_take_is_not_said_to_be_trusted(
    papers: Papers, tmp_path: Path
) -> None:
    """An intermediate as a stranger signed it goes before the one that leads to an authority:
    some look for another path then, and OpenSSL does not."""
    crossed = certificate("Middle", "Nobody", authority=True)
    file, rest = papers.file("leaf", papers.leaf()), papers.file("chain", crossed, papers.middle)
    with s_server(tmp_path, file, papers.key_file(), rest) as server:
        target = observed(server.address, server.port, HOST, ca_bundle=papers.bundle)
    assert target.https["outcome"] == "no"
    trust = target.certificates[0]["trust"]["ca-bundle"]
    assert trust["answer"] == "unknown" and "OpenSSL does not take it" in trust["why"]


def test_a_path_that_the_web_would_not_take_is_unknown_and_no_no(
    papers: Papers, tmp_path: Path
) -> None:
    """An intermediate that may not sign: a path, and yet none that holds."""
    false = certificate("False", "Root", authority=False)
    leaf = certificate("leaf", "False")
    found = served(papers, tmp_path, leaf, [false])
    trust = found["trust"]["ca-bundle"]
    assert trust["answer"] == "unknown" and "a path is there, but may not hold" in trust["why"]


_OTHER_KEY = x509.AuthorityKeyIdentifier(bytes(20), None, None)
_OTHER_SERIAL = x509.AuthorityKeyIdentifier(None, [x509.DirectoryName(name("Root"))], 7)


@pytest.mark.parametrize(
    ("more", "answer"),
    [({}, "yes"), ({"bare": True}, "yes"), ({"issuer_key": _OTHER_KEY}, "unknown"),
     ({"issuer_key": _OTHER_SERIAL}, "unknown")],
)  # fmt: skip
def test_who_says_nothing_of_its_issuer_s_key_is_trusted_and_who_is_wrong_may_not_be(
    more: dict[str, Any], answer: str, tmp_path: Path
) -> None:
    """OpenSSL refuses the wrong ones; others do not look."""
    root = certificate("Root", "Root", authority=True, bare=True)
    leaf = certificate("leaf", "Root", **more)
    pem, der = serialization.Encoding.PEM, serialization.Encoding.DER
    for file, each in (("root.pem", root), ("leaf.pem", leaf)):
        (tmp_path / file).write_bytes(each.public_bytes(pem))
    words = [program("openssl"), "verify", "-CAfile", tmp_path / "root.pem", tmp_path / "leaf.pem"]
    theirs = subprocess.run(words, capture_output=True, check=False)
    assert (theirs.returncode == 0) == (answer == "yes"), theirs.stderr
    target = Target(Endpoint("e", "sts", "aws", "r", "standard", HOST), ADDRESS)
    chain = Chain((leaf.public_bytes(der),), ("TLSv1.2",))
    (found,) = chains.read(target, [chain], {}, ca_bundle=tmp_path / "root.pem", now=NOW)
    assert found["trust"]["ca-bundle"]["answer"] == answer


# --- staples -----------------------------------------------------------------------------------


@pytest.mark.parametrize("flags", [("-tls1_2",), ("-tls1_3",)], ids=["1.2", "1.3"])
@pytest.mark.parametrize("revoked", [False, True])
def test_a_staple_is_read(papers: Papers, tmp_path: Path, flags: tuple[str], revoked: bool) -> None:
    feature = x509.TLSFeature([x509.TLSFeatureType.status_request])
    leaf = papers.leaf(more=(feature,))
    staple = papers.staple(leaf, revoked=revoked)
    found = served(papers, tmp_path, leaf, [papers.middle], "-status_file", staple, *flags)
    assert found["must_staple"] is True
    assert found["staple"]["status"] == ("revoked" if revoked else "good")
    assert found["staple"]["age_hours"] == 48 and found["staple"]["why"] is None
    assert (found["staple"]["about_leaf"], found["staple"]["signed"]) == ("yes", "yes")
    assert bool(found["staple"]["revoked"]) is revoked


def test_a_staple_is_held_against_an_issuer_that_a_store_has(papers: Papers) -> None:
    """A private authority that signs leaves itself, and that no server sends."""
    leaf, store = papers.leaf(), papers.file("store", papers.middle)
    target = Target(Endpoint("e", "sts", "custom", "-", "standard", HOST), "127.0.0.1")
    for by, answer in (("Middle", "yes"), ("Nobody", "no")):
        chain = Chain((der(leaf),), ("TLSv1.2",), papers.staple(leaf, by=by).read_bytes())
        (found,) = chains.read(target, [chain], {}, ca_bundle=store, now=NOW)
        assert (found["staple"]["about_leaf"], found["staple"]["signed"]) == ("yes", answer)


def test_a_staple_about_another_by_another_says_so(papers: Papers, tmp_path: Path) -> None:
    staple = papers.staple(papers.leaf(), by="Nobody")
    found = served(papers, tmp_path, papers.leaf(), [papers.middle], "-status_file", staple)
    assert (found["staple"]["about_leaf"], found["staple"]["signed"]) == ("no", "no")


def test_a_staple_of_another_time_says_so(papers: Papers) -> None:
    leaf = papers.leaf()
    response = papers.staple(leaf).read_bytes()
    der = leaf.public_bytes(serialization.Encoding.DER)
    middle = papers.middle.public_bytes(serialization.Encoding.DER)
    late = ocsp.read(response, der, middle, now=NOW + 9 * DAY)
    early = ocsp.read(response, der, middle, now=NOW - 9 * DAY)
    assert (
        late
        and late["status"] == "good"
        and late["why"] == f"out of date since {late['next_update']}"
    )
    assert early and early["why"] == f"out of date: begins {early['this_update']}"


def test_a_staple_about_the_same_number_of_another_issuer_is_of_another(papers: Papers) -> None:
    leaf, der = papers.leaf(), serialization.Encoding.DER
    other = certificate("Middle", "Root", authority=True, kind="rsa").public_bytes(der)
    found = ocsp.read(papers.staple(leaf).read_bytes(), leaf.public_bytes(der), other, now=NOW)
    assert found and found["about_leaf"] == "no"


@pytest.mark.parametrize("response", [b"\x30", b"x" * 100, b"\x30\x03\x0a\x01\x03"])
def test_what_is_no_staple_is_told_and_nothing_more(papers: Papers, response: bytes) -> None:
    der = papers.leaf().public_bytes(serialization.Encoding.DER)
    found = ocsp.read(response, der, None, now=NOW)
    assert found and found["status"] is None and found["why"]
    assert ocsp.read(b"", der, None, now=NOW) is None


def test_the_clock_is_an_argument(papers: Papers, tmp_path: Path) -> None:
    later = NOW + timedelta(days=1000)
    found = served(papers, tmp_path, papers.leaf(), [papers.middle], at=later)
    assert found["days_left"] in (-911, -912)


def _bad(**parts: bytes) -> bytes:
    """A blank certificate with these parts in it."""
    blank = {"issuer": encoded(SEQUENCE), "time": encoded(0x17, b"700101000000Z")} | parts
    algorithm = encoded(SEQUENCE, encoded(OID, b"\x2b\x65\x70"))
    tbs = encoded(
        SEQUENCE, b"\xa0\x03\x02\x01\x02", b"\x02\x01\x01", algorithm, blank["issuer"],
        encoded(SEQUENCE, blank["time"], blank["time"]), encoded(SEQUENCE),
        encoded(SEQUENCE, algorithm, encoded(0x03, bytes(33))),
    )  # fmt: skip
    return encoded(SEQUENCE, tbs, algorithm, encoded(0x03, b"\0"))


def _common_name(tag: int, value: bytes) -> bytes:
    name = encoded(SEQUENCE, encoded(OID, b"\x55\x04\x03"), encoded(tag, value))
    return encoded(SEQUENCE, encoded(SET, name))


HOSTILE = {
    "a name that is no UTF-8": _bad(issuer=_common_name(0x0C, b"\xff\xfe")),
    "a name that is a number": _bad(issuer=_common_name(0x02, b"\x01")),
    "a name that is bits": _bad(issuer=_common_name(0x03, b"\0\x01")),
    "an empty name in a name": _bad(issuer=encoded(SEQUENCE, encoded(SET))),
    "the year 0": _bad(time=encoded(0x18, b"00000101000000Z")),
    "a country of three letters": _bad(
        issuer=encoded(SEQUENCE, encoded(SET, encoded(SEQUENCE, b"\x06\x03\x55\x04\x06",
                                                      encoded(0x13, b"USA"))))
    ),
}  # fmt: skip


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("kind", HOSTILE)
def test_what_cannot_be_read_late_costs_itself_alone(kind: str) -> None:
    target = Target(Endpoint("e", "sts", "custom", "-", "standard", "e.example"), "127.0.0.1")
    chain = Chain((HOSTILE[kind],), ("TLSv1.2",))
    (leaf,) = chains.read(target, [chain], {}, ca_bundle=None, now=NOW)
    assert leaf["fingerprint"] and leaf["versions"] == ["TLSv1.2"]
    assert {said["answer"] for said in leaf["trust"].values()} <= {"no", "unknown"}


def test_one_bad_authority_hides_no_other(tmp_path: Path) -> None:
    der = HOSTILE["the year 0"].replace(b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x03")
    bad = base64.encodebytes(der)  # of a version that does not exist
    bundle = tmp_path / "bundle.pem"
    known = Path(certifi.where()).read_bytes()
    good = known.replace(b" CERTIFICATE", b" X509 CERTIFICATE")
    bundle.write_bytes(
        b"-----BEGIN CERTIFICATE-----\n" + bad + b"-----END CERTIFICATE-----\n" + good
    )
    stores = {store.name: len(store.authorities) for store in trust.stores(bundle)}
    assert stores["ca-bundle"] == stores["certifi"] > 50


# --- secrets -----------------------------------------------------------------------------------


def test_a_secret_in_a_name_is_masked_and_the_true_names_decide(tmp_path: Path) -> None:
    account, key, host = "123456789012", "AKIA" + "Z7" * 8, f"123456789012.{HOST}"
    root, middle = f"Root {account}", f"me:hunter2@{HOST}"
    uri = f"https://me:hunter2@{HOST}/"
    long = f"https://{HOST}/{'-' * (500 - 9 - len(HOST))}{key}"  # its cut goes through the key
    names = (host, *map(x509.UniformResourceIdentifier, (uri, long)))
    leaf = certificate(key, middle, names=names, serial=0x123456789012)
    above = certificate(middle, root, authority=True)
    trusted = certificate(root, root, authority=True)
    pem = serialization.Encoding.PEM
    (tmp_path / "root.pem").write_bytes(trusted.public_bytes(pem))

    def seen(*sent: x509.Certificate) -> list[dict[str, Any]]:
        ders = tuple(each.public_bytes(serialization.Encoding.DER) for each in sent)
        target = Target(Endpoint("e", "sts", "aws", "r", "standard", host), ADDRESS)
        chain = Chain(ders, ("TLSv1.2",))
        return list(chains.read(target, [chain], {}, ca_bundle=tmp_path / "root.pem", now=NOW))

    found = seen(leaf, above)
    first, second = found
    text = json.dumps([{n: v for n, v in e.items() if n not in ("for_name", "serial")}
                       for e in [*found, *seen(leaf)]])  # fmt: skip
    for part in (account, "Z7Z7", "hunter2"):
        assert part not in text
    assert (first["subject"], first["issuer"], second["issuer"]) == (
        "CN=***", f"CN=***@{HOST}", "CN=Root ***",
    )  # fmt: skip
    assert first["common_names"] == ["***"] and first["names"]["dns"] == [f"***.{HOST}"]
    assert first["names"]["others"][0] == {"kind": "uri", "value": f"https://***@{HOST}/"}
    assert first["for_name"] == {"name": host, "answer": "yes", "why": None}
    assert first["trust"]["ca-bundle"] == {"answer": "yes", "why": None}
    assert first["chain"]["path"] == [0, 1] and first["chain"]["missing"] is None
    (alone,) = seen(leaf)
    assert alone["chain"]["missing"] == f"CN=***@{HOST}"
    assert first["serial"] == account  # it looks like an account's number, and is none
    der = leaf.public_bytes(serialization.Encoding.DER)
    assert first["fingerprint"] == hashlib.sha256(der).hexdigest()
