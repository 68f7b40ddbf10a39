"""The registry names every code point once, and reads suites' properties off their names."""

from tls_parser.cipher_suites import CipherSuites

from tlscheck.core import iana, registry
from tlscheck.core.registry import Version


def test_no_code_point_and_no_name_stands_twice() -> None:
    for table in (iana.SUITES, iana.SSL2_SUITES, iana.GROUPS, iana.SIGNATURE_SCHEMES, iana.ALERTS):
        assert len({code for code, _ in table}) == len({name for _, name in table}) == len(table)


def test_suites_agree_with_an_independent_table() -> None:
    theirs = {
        int(s.value): s.name
        for s in CipherSuites
        if s.name.startswith("TLS_") and "SCSV" not in s.name and int(s.value) > 0
    }
    shared = {code: name for code, name in theirs.items() if code in registry.suites()}
    assert len(shared) > 300
    differ = {
        name: registry.suite_name(code)
        for code, name in shared.items()
        if registry.suite_name(code) != name
    }
    # Old spellings of the same suites.
    assert all(
        a.upper() == b.upper() or any(mark in b for mark in ("PSK", "GOST", "SM4"))
        for a, b in differ.items()
    ), differ


def test_properties_of_well_known_suites() -> None:
    def of(name: str) -> tuple[object, ...]:
        s = registry.suite_by_name(name)
        return s.key_exchange, s.authentication, s.forward_secrecy, s.aead, s.bits, s.first, s.last

    v10, v12, v13 = Version.TLSv1_0, Version.TLSv1_2, Version.TLSv1_3
    assert of("TLS_AES_128_GCM_SHA256") == ("TLS13", "TLS13", True, True, 128, v13, v13)
    assert of("TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384") == (
        "ECDHE", "RSA", True, True, 256, v12, v12,
    )  # fmt: skip
    assert of("TLS_RSA_WITH_3DES_EDE_CBC_SHA") == (
        "RSA", "RSA", False, False, 112, Version.SSLv3, v12,
    )  # fmt: skip
    assert of("TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA") == (
        "ECDHE", "ECDSA", True, False, 128, v10, v12,
    )  # fmt: skip
    assert of("TLS_PSK_WITH_AES_128_CBC_SHA256") == ("PSK", "PSK", False, False, 128, v10, v12)
    assert of("TLS_DH_anon_WITH_AES_128_CBC_SHA")[:3] == ("DHE", "NULL", True)
    assert registry.suite_by_name("TLS_RSA_EXPORT_WITH_RC4_40_MD5").bits == 40
    # RFC 9150: integrity only; RFC 9189 and RFC 9367: GOST in TLS 1.2 and in TLS 1.3.
    assert registry.suite_by_name("TLS_SHA256_SHA256").cipher == "NULL"
    gost = ("TLS_GOSTR341112_256_WITH_KUZNYECHIK_CTR_OMAC", "TLS_GOSTR341112_256_WITH_MAGMA_MGM_S")
    assert of(gost[0])[2:] == (False, False, 256, v12, v12)
    assert of(gost[1]) == ("TLS13", "TLS13", True, True, 256, v13, v13)
    assert of("TLS_ECDHE_SM4_CBC_SM3")[:3] == ("ECDHE", "SM2", True)


def test_chacha20_never_leads_a_list() -> None:
    for version in Version:
        assert "CHACHA20" not in registry.suite_name(registry.suites_of(version)[0])


def test_no_signalling_value_is_offered_as_a_suite() -> None:
    assert not {0x0000, 0x00FF, 0x5600} & {s for v in Version for s in registry.suites_of(v)}
