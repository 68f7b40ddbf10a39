"""Each field of a certificate is read on its own, and a bad one costs nothing but itself."""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import certifi
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

from tests.fuzz import giants, mutate, oracle, samples
from tests.fuzz.giants import der, extension, with_extensions, with_field
from tlscheck.io.certificates import chain, read

ROOT = samples.name((NameOID.COMMON_NAME, "Root"))
MIDDLE = samples.name((NameOID.COMMON_NAME, "Middle"))
LEAF = samples.name((NameOID.COMMON_NAME, "a.example"))


def made(subject: x509.Name, issuer: x509.Name) -> bytes:
    return samples.build("p256", subject=subject, issuer=issuer, extensions=[])


def names(*items: bytes) -> bytes:
    return with_extensions(extension("551d11", der(0x30, *items)))


def subject(value: bytes) -> bytes:
    return with_field(5, der(0x30, der(0x31, der(0x30, b"\x06\x03\x55\x04\x03", value))))


def test_importing_it_does_not_import_cryptography() -> None:
    program = "import sys, tlscheck.io.certificates; sys.exit('cryptography' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


@pytest.mark.parametrize("kind", samples.TRUTH)
def test_a_good_certificate_is_read_whole(kind: str) -> None:
    data = samples.certificates()[kind]
    whole = x509.load_der_x509_certificate(data)
    spki = whole.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    key, bits, curve, name, digest = samples.TRUTH[kind]
    found = read(data)
    assert found == {
        "fingerprint": hashlib.sha256(data).hexdigest(),
        "size": len(data),
        "version": 3,
        "serial": "7a00b1",
        "signature": {
            "oid": whole.signature_algorithm_oid.dotted_string,
            "name": name,
            "hash": digest,
        },
        "issuer": "CN=Root,O=Throw-away",
        "not_before": "2026-01-02T03:04:05Z",
        "not_after": "2051-01-02T03:04:05Z",
        "subject": "CN=a.example,CN=Tāmaki \x1b[31m,2.5.4.5=7,"
        'OU=\\#1+O=Ao\\, \\"Tea\\" \\+ Co\\\\,C=NZ',
        "common_names": ["Tāmaki \x1b[31m", "a.example"],
        "key": {"type": key, "bits": bits} | ({"curve": curve} if curve else {}),
        "pin": base64.b64encode(hashlib.sha256(spki).digest()).decode(),
        "names": {
            "dns": ["a.example", "*.b.example"],
            "ip": ["192.0.2.7", "2001:db8::7"],
            "others": [
                {"kind": "email", "value": "tea@a.example"},
                {"kind": "uri", "value": "spiffe://a.example/tea"},
                {"kind": "directory", "value": "CN=Root,O=Throw-away"},
                {"kind": "oid", "value": "1.2.3.4"},
                {"kind": "other", "value": "1.3.6.1.4.1.311.20.2.3"},
            ],
            "more": 0,
        },
        "basic_constraints": {"ca": False, "path_length": None},
        "key_usage": ["digitalSignature", "keyEncipherment", "keyAgreement", "decipherOnly"],
        "extended_key_usage": ["serverAuth", "1.3.6.1.5.5.7.3.17"],
        "must_staple": True,
        "scts": 3,
        "urls": {"ocsp": 1, "ca_issuers": 2, "crl": 2},
        "problems": {},
    }
    assert oracle.contradictions(data, found) == []
    assert not any("example/" in text and "http" in text for text in _strings(found))


@pytest.mark.filterwarnings("ignore:.*serial number")
def test_every_root_that_browsers_trust_is_read_whole() -> None:
    for whole in x509.load_pem_x509_certificates(Path(certifi.where()).read_bytes()):
        data = whole.public_bytes(Encoding.DER)
        found = read(data)
        assert found["problems"] == {}
        assert oracle.contradictions(data, found) == []
        assert found["key"]["bits"] and found["signature"]["name"] and found["signature"]["hash"]


def _strings(value: Any) -> list[str]:
    match value:
        case str():
            return [value]
        case dict():
            return [text for item in value.items() for one in item for text in _strings(one)]
        case list():
            return [text for item in value for text in _strings(item)]
        case _:
            return []


def test_what_is_not_there_is_told_from_what_cannot_be_read() -> None:
    found = read(samples.certificates()["bare"])
    assert found["problems"] == {}
    assert found["names"] == {"dns": [], "ip": [], "others": [], "more": 0}
    assert found["basic_constraints"] is found["key_usage"] is found["extended_key_usage"] is None
    assert (found["must_staple"], found["scts"]) == (False, 0)
    assert found["urls"] == {"ocsp": 0, "ca_issuers": 0, "crl": 0}
    authority = read(samples.certificates()["authority"])
    assert authority["basic_constraints"] == {"ca": True, "path_length": 1}


def test_a_serial_number_is_told_as_it_is() -> None:
    assert read(with_field(1, b"\x02\x01\x05"))["serial"] == "05"
    assert read(with_field(1, b"\x02\x02\x00\x80"))["serial"] == "80"
    assert read(with_field(1, b"\x02\x01\xfe"))["serial"] == "-02"
    assert read(with_field(1, b"\x02\x01\x00"))["serial"] == "00"
    long = read(with_field(1, der(2, b"\x55" * 70)))
    assert long["serial"] == "55" * 64 and long["problems"]["serial"] == "the first 64 of 70 bytes"


EXTENSIONS = {
    "names": "551d11",
    "basic_constraints": "551d13",
    "extended_key_usage": "551d25",
    "key_usage": "551d0f",
    "must_staple": "2b06010505070118",
    "scts": "2b06010401d679020402",
}
BAD: dict[str, Callable[[], bytes]] = {
    "version": lambda: with_field(0, der(0xA0, b"\x02\x01\x09")),
    "serial": lambda: with_field(1, b"\x02\x00"),
    "signature": lambda: with_field(2, der(0x30, b"\x05\x00")),
    "issuer": lambda: with_field(3, der(0x30, b"\x31\x00")),
    "not_before": lambda: with_field(4, der(0x30, der(0x17, b"x"), der(0x18, b"20510102030405Z"))),
    "not_after": lambda: with_field(
        4, der(0x30, der(0x17, b"260102030405Z"), der(0x18, b"20510230030405Z"))
    ),
    "urls": lambda: _with_bad("551d1f"),
    **{
        field: lambda oid=oid: _with_bad(oid)  # type: ignore[misc]
        for field, oid in EXTENSIONS.items()
    },
}


def _with_bad(oid: str) -> bytes:
    """A sample with the value of one extension replaced by what it cannot be."""
    (root,) = mutate.parse(samples.certificates()["p256"])
    for node in root.all():
        if node.inside and node.inside[0].tag == 6 and node.inside[0].body == bytes.fromhex(oid):
            node.inside[-1] = mutate.Node(4, b"\x05\x01\x00")
    return root.encode()


@pytest.mark.parametrize("field", BAD)
def test_a_bad_field_is_absent_and_the_rest_is_there(field: str) -> None:
    good, found = read(samples.certificates()["p256"]), read(BAD[field]())
    assert field not in found and found["problems"][field]
    others = set(good) - {field, "fingerprint", "size", "problems", "signature"}
    assert {name: found.get(name) for name in others} == {name: good[name] for name in others}
    assert set(found["problems"]) <= {field, "certificate", "signature"}


def test_a_name_without_a_string_keeps_its_bytes() -> None:
    found = read(with_field(5, der(0x30, b"\x31\x00")))
    assert "subject" not in found and found["subject_der"] == "30023100"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (der(0x0C, b"a\x1b[0m\r\n\x00"), "CN=a\x1b[0m\r\n\\00"),
        (der(0x0C, "\u202eabc".encode()), "CN=\u202eabc"),
        (der(0x1E, "tea ☕".encode("utf-16-be")), "CN=tea ☕"),
        (der(0x0C, b"\xff"), "CN=#0c01ff"),
        (der(0x0C, b"\xed\xa0\x80"), "CN=#0c03eda080"),  # a lone surrogate
        (der(0x1E, b"\xd8\x00"), "CN=#1e02d800"),
        (der(0x05), "CN=#0500"),
        (der(0x30, b"\x05\x00"), "CN=#30020500"),
    ],
)
def test_strings_stay_as_they_are_and_what_is_none_is_hex(value: bytes, text: str) -> None:
    found = read(subject(value))
    assert found["subject"] == text
    text.encode()
    assert bool(found["common_names"]) == ("#" not in text)
    assert ("common_names" in found["problems"]) == ("#" in text)


def test_one_bad_name_does_not_lose_the_others() -> None:
    found = read(names(b"\x82\x01a", b"\x82\x01\xff", b"\x87\x03abc", b"\xa5\x00", b"\x82\x01b"))
    assert found["names"] == {"dns": ["a", "b"], "ip": [], "others": [], "more": 3}
    assert found["problems"]["names"] == "one is left out: malformed (InvalidValue)"


def test_a_list_of_names_that_breaks_off_is_said_to() -> None:
    found = read(names(b"\x82\x01a", b"\x82\x7fb"))
    assert found["names"]["dns"] == ["a"]
    assert found["problems"]["names"] == "the list breaks off: runs past the end"


def test_an_extension_that_is_there_twice_is_not_guessed_at() -> None:
    one = extension("551d13", b"\x30\x00")
    found = read(with_extensions(one, extension("551d13", b"\x30\x03\x01\x01\xff")))
    assert "basic_constraints" not in found
    assert found["problems"]["basic_constraints"] == "extension is there 2 times"


def test_behind_a_broken_extension_nothing_is_said_to_be_absent() -> None:
    whole = extension("551d13", b"\x30\x00")
    for broken in (b"\x30\x00", b"\x05\x00", b"\x30\x7f\x06"):
        found = read(with_extensions(whole, broken))
        assert found["basic_constraints"] == {"ca": False, "path_length": None}
        assert "names" not in found and "must_staple" not in found
        assert found["problems"]["names"].startswith("not reached")


def test_fields_that_are_hidden_by_the_frame_are_not_said_to_be_absent() -> None:
    data = samples.certificates()["p256"]
    (root,) = mutate.parse(data)
    assert root.inside and root.inside[0].inside
    root.inside[0].inside[7].tag = 0xA4
    found = read(root.encode())
    assert found["subject"] and found["pin"]
    assert "names" not in found and found["problems"]["names"].startswith("not reached")


@pytest.mark.parametrize("size", [0, 1, 2, 5, 100, 200, 400, 700])
def test_a_cut_certificate_gives_what_is_left(size: int) -> None:
    data = samples.certificates()["p256"][:size]
    found, good = read(data), read(samples.certificates()["p256"])
    assert found["fingerprint"] == hashlib.sha256(data).hexdigest()
    assert found["problems"]["certificate"]
    known = set(found) & set(good) - {"fingerprint", "size", "problems"}
    assert {name: found[name] for name in known} == {name: good[name] for name in known}
    assert ("serial" in known) == (size >= 100) and ("pin" in known) == (size >= 400)


def test_bytes_after_its_end_are_told_and_hide_nothing() -> None:
    data = samples.certificates()["rsa"]
    found = read(data + b"\0" * 3)
    assert found["problems"] == {"certificate": "3 bytes after its end"}
    assert found["pin"] == read(data)["pin"] and found["fingerprint"] != read(data)["fingerprint"]


def test_what_cryptography_refuses_is_said_although_it_can_be_read() -> None:
    data = bytearray(samples.certificates()["p256"])
    at = data.index(b"\x02\x03\x7a\x00\xb1")
    (root,) = mutate.parse(bytes(data))
    assert root.inside and root.inside[0].inside and at
    fields = root.inside[0].inside
    fields[0] = mutate.Node(0xA0, b"\x02\x81\x01\x02")  # a length that is longer than it need be
    found = read(root.encode())
    assert found["version"] == 3 and found["subject"]
    assert found["problems"] == {"certificate": "malformed (InvalidLength)"}


def test_signatures_that_differ_inside_and_outside_are_told() -> None:
    data = with_field(2, b"\x30\x05\x06\x03\x2b\x65\x70")
    found = read(data)
    assert found["signature"]["name"] == "Ed25519"
    assert found["problems"] == {"signature": "differs inside and outside"}


@pytest.mark.parametrize(
    ("spki", "key"),
    [
        ("300806032a030403010000", {"type": "1.2.3.4"}),
        ("300a300506032b65700301 00", {"type": "Ed25519"}),
        (
            "3019301306072a8648ce3d020106082a8648ce3d03010b 0302000 4",
            {"type": "EC", "curve": "1.2.840.10045.3.1.11"},
        ),
        ("3012300d06092a864886f70d01010105000301 00", {"type": "RSA"}),
        ("3012300d06092a864886f70d01010a05000301 00", {"type": "RSA-PSS"}),
    ],
)
def test_a_key_that_cannot_be_had_still_says_of_what_kind_it_is(spki: str, key: Any) -> None:
    data = bytes.fromhex(spki.replace(" ", ""))
    if spki.startswith("3008"):
        data = der(0x30, der(0x30, b"\x06\x03\x2a\x03\x04"), der(0x03, b"\x00\x00"))
    found = read(with_field(6, data))
    assert found["key"] == key and found["problems"]["key"].startswith("size: ")
    assert found["pin"] == base64.b64encode(hashlib.sha256(data).digest()).decode()


def test_an_rsa_pss_key_has_its_size() -> None:
    pss = "30 0b 06 09 2a864886f70d01010a"
    whole = x509.load_der_x509_certificate(samples.certificates()["rsa"]).public_key()
    bits = der(0x03, b"\x00" + whole.public_bytes(Encoding.DER, PublicFormat.PKCS1))
    found = read(with_field(6, der(0x30, bytes.fromhex(pss), bits)))
    assert found["key"] == {"type": "RSA-PSS", "bits": 2048}


def test_lists_and_strings_are_bounded_and_say_so() -> None:
    found = read(names(*[der(0x82, b"a" * 600)] * 500))
    assert len(found["names"]["dns"]) == 100 and found["names"]["more"] == 400
    assert set(found["names"]["dns"]) == {"a" * 512 + "…"}
    found = read(giants.GIANTS["many attributes"]())
    assert found["subject"].count("CN=a") == len(found["common_names"]) == 64
    assert found["problems"]["subject"] == "the first 64 attributes"
    found = read(subject(der(0x0C, b"\\" * 700)))
    assert found["subject"] == "CN=…"
    assert read(bytes(600_000))["problems"] == {"certificate": "larger than 524288 bytes"}


def test_a_path_length_without_measure_is_none() -> None:
    value = der(0x30, b"\x01\x01\xff\x02\x08\x7f" + b"\xff" * 7)
    found = read(with_extensions(extension("551d13", value)))
    assert found["problems"]["basic_constraints"] == "path length is larger than 65535"


def test_a_panic_of_the_library_is_a_problem_of_the_field(monkeypatch: pytest.MonkeyPatch) -> None:
    class PanicException(BaseException):
        pass

    def panic(data: bytes) -> None:
        raise PanicException("called `Result::unwrap()` \udcff")

    good = samples.certificates()["rsa"]
    monkeypatch.setattr(x509, "load_der_x509_certificate", panic)
    found = read(good)
    assert found["serial"] == "7a00b1" and found["pin"]
    assert found["problems"]["not_before"].startswith("PanicException: called")
    json.dumps(found).encode()


def test_an_interrupt_is_none_of_the_certificates_problems(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(data: bytes) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(x509, "load_der_x509_certificate", interrupt)
    with pytest.raises(KeyboardInterrupt):
        read(samples.certificates()["rsa"])


# --- chains


def facts(*ders: bytes) -> dict[str, Any]:
    found: dict[str, Any] = chain(ders)[0]["chain"]
    return found


LEAF_, MIDDLE_, ROOT_ = made(LEAF, MIDDLE), made(MIDDLE, ROOT), made(ROOT, ROOT)
OTHER_ = made(samples.name((NameOID.COMMON_NAME, "Other")), ROOT)


def test_a_chain_in_order_is_said_to_be() -> None:
    found = chain([LEAF_, MIDDLE_, ROOT_])
    assert [one["position"] for one in found] == [0, 1, 2]
    assert [one["issued_by_next"] for one in found] == [True, True, None]
    assert [one["self_issued"] for one in found] == [False, False, True]
    assert found[0]["chain"] == {
        "sent": 3, "read": 3, "path": [0, 1, 2], "in_order": True, "extra": [],
        "complete": True, "awaited": None,
    }  # fmt: skip
    assert "chain" not in found[1]
    json.dumps(found)


def test_disorder_what_is_extra_and_what_is_missing_are_facts() -> None:
    assert facts(LEAF_, MIDDLE_) | {"awaited": "CN=Root", "complete": False} == facts(
        LEAF_, MIDDLE_
    )
    backwards = facts(LEAF_, ROOT_, MIDDLE_)
    assert (backwards["path"], backwards["in_order"]) == ([0, 2, 1], False)
    assert chain([LEAF_, ROOT_, MIDDLE_])[0]["issued_by_next"] is False
    extra = facts(LEAF_, OTHER_, MIDDLE_, ROOT_)
    assert (extra["path"], extra["extra"], extra["in_order"]) == ([0, 2, 3], [1], False)
    missing = facts(LEAF_, ROOT_)
    assert (missing["path"], missing["extra"], missing["awaited"]) == ([0], [1], "CN=Middle")
    twice = facts(LEAF_, MIDDLE_, MIDDLE_)
    assert (twice["path"], twice["extra"], twice["in_order"]) == ([0, 1], [2], True)


def test_a_leaf_that_issued_itself_is_a_path_of_its_own() -> None:
    assert facts(ROOT_) == {
        "sent": 1, "read": 1, "path": [0], "in_order": True, "extra": [],
        "complete": True, "awaited": None,
    }  # fmt: skip


def test_issuers_in_a_circle_end() -> None:
    one, other = made(LEAF, MIDDLE), made(MIDDLE, LEAF)
    assert facts(one, other)["path"] == [0, 1]
    assert facts(one, other)["complete"] is False


def test_a_chain_of_anything_is_bounded_and_never_raises() -> None:
    assert chain([]) == []
    found = chain([b""] * 100_000)
    assert len(found) == 16
    assert found[0]["chain"]["sent"] == 100_000 and found[0]["chain"]["read"] == 16
    assert found[0]["self_issued"] is found[0]["issued_by_next"] is None
    assert facts(b"\x30", LEAF_)["awaited"] is None
