"""Features are what servers of other hands were told to do, and cost few connections."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256

from tests.scan.real import observed
from tests.servers import (
    certificates,
    gnutls,
    haproxy,
    jsse,
    nginx,
    nss,
    old,
    openssl,
    pyopenssl,
    tlslite,
)
from tests.servers.names import ECDHE_ECDSA_SIX, ECDHE_RSA_SIX
from tests.servers.process import ADDRESS, program, running
from tests.servers.profile import Profile, Server
from tlscheck.core.model import TargetReport

MOST = 13  # connections; with HTTPS and HTTP, 15


@contextmanager
def s_server(directory: Path, *flags: str | Path) -> Iterator[Server]:
    made = certificates.make(directory / "certificates")

    def command(port: int) -> list[str | Path]:
        words: list[str | Path] = [program("openssl"), "s_server", "-www", "-quiet"]
        words += ["-accept", f"{ADDRESS}:{port}", "-cert", made.chain("rsa")]
        return [*words, "-key", made.key("rsa"), *flags]

    with running("s_server", directory, command, Profile({})) as server:
        yield server


def features(server: Server) -> dict[str, Any]:
    found = observed(server.address, server.port, "localhost").features
    return {name: said for name, said in found.items() if isinstance(said, dict)}


def of(directory: Path, *flags: str | Path) -> dict[str, Any]:
    with s_server(directory, *flags) as server:
        return features(server)


def answers(found: dict[str, Any]) -> dict[str, str]:
    return {name: said["answer"] for name, said in found.items()}


def test_openssl_as_it_comes(tmp_path: Path) -> None:
    found = of(tmp_path)
    assert answers(found) == {
        "compression": "no",
        "secure_renegotiation": "yes",
        "extended_master_secret": "yes",
        "encrypt_then_mac": "yes",
        "session_tickets": "yes",
        "ocsp_stapling": "no",
        "fallback_scsv": "yes",
        "downgrade_sentinel": "yes",
        "alpn": "no",
        "signature_schemes": "yes",
        "dh": "yes",
        "public_value_reuse": "no",
        "hybrid_preference": "not_applicable",
    }
    assert found["signature_schemes"]["TLSv1.3"] == [
        "rsa_pss_rsae_sha256", "rsa_pss_rsae_sha384", "rsa_pss_rsae_sha512",
    ]  # fmt: skip
    assert found["signature_schemes"]["why"] is None


def test_openssl_without_its_extensions(tmp_path: Path) -> None:
    found = of(tmp_path, "-no_etm", "-no_ticket", "-alpn", "http/1.1", "-no_dhe")
    assert found["encrypt_then_mac"]["answer"] == "no"
    assert found["session_tickets"]["answer"] == "no"
    assert (found["alpn"]["answer"], found["alpn"]["picked"]) == ("yes", "http/1.1")
    assert found["dh"] == {"answer": "not_applicable", "why": "no DHE suite is offered"}


def test_a_server_of_http_2_alone_is_told_to_be_one(tmp_path: Path) -> None:
    made = certificates.make(tmp_path / "certificates")
    script = tmp_path / "serve.js"
    script.write_text(
        "const [key, cert] = process.argv.slice(2, 4).map((f) => require('fs').readFileSync(f));"
        "const made = require('http2').createSecureServer({key, cert, allowHTTP1: false});"
        "made.on('sessionError', () => {}).listen(+process.argv[4], '127.0.0.1');"
    )

    def command(port: int) -> list[str | Path]:
        return [program("node"), script, made.key("rsa"), made.chain("rsa"), str(port)]

    with running("node", tmp_path, command, Profile({})) as server:
        found = observed(server.address, server.port, "localhost", ca_bundle=made.ca)
    assert found.features["alpn"]["picked"] == "h2"
    assert found.https["outcome"] == "unknown"
    assert found.https["why"].startswith("speaks HTTP/2 only, which this check does not: picks h2")


@pytest.mark.parametrize("name", ["h2", "spdy/3"])
def test_alpn_that_is_refused_is_told_from_none(tmp_path: Path, name: str) -> None:
    """s_server goes on without; nginx says no_application_protocol. Neither has what we offer."""
    found = of(tmp_path, "-alpn", name)["alpn"]
    assert (found["answer"], found["picked"]) == (("yes", "h2") if name == "h2" else ("no", None))


def test_one_version_alone(tmp_path: Path) -> None:
    found = of(tmp_path, "-tls1_2")
    for name in ("fallback_scsv", "downgrade_sentinel", "hybrid_preference"):
        assert found[name]["answer"] == "not_applicable", found[name]


def test_who_looks_for_old_schemes_to_know_who_can_do_rsa_shows_its_rsa_chain(
    tmp_path: Path,
) -> None:
    """HAProxy, of two certificates, does so in TLS 1.3, too."""
    suites, groups = ECDHE_ECDSA_SIX + ECDHE_RSA_SIX, ("x25519", "secp256r1")
    with haproxy.serve(
        tmp_path, "dual", "TLSv1.3", "TLSv1.3", suites, groups, "server", kinds=("rsa", "ecdsa")
    ) as server:
        found = observed(server.address, server.port, "localhost")
    leaves = [entry for entry in found.certificates if entry["position"] == 0]
    assert {leaf["key"]["type"] for leaf in leaves} == {"RSA", "EC"}
    schemes = found.features["signature_schemes"]["TLSv1.3"]
    assert {"rsa_pss_rsae_sha256", "ecdsa_secp256r1_sha256"} <= set(schemes)


def test_what_a_server_can_sign_is_seen_where_it_likes_not_to(tmp_path: Path) -> None:
    """It likes suites best for which the client makes the secret, and signs nothing."""
    suites = "AES128-SHA:AES256-GCM-SHA384:ECDHE-RSA-AES128-GCM-SHA256"
    found = of(tmp_path, "-tls1_2", "-serverpref", "-cipher", suites)
    assert found["signature_schemes"]["TLSv1.2"] == ["rsa_pss_rsae_sha256"]
    assert found["public_value_reuse"]["ECDHE"] == "no"


def test_a_server_of_suites_that_python_cannot_offer_is_not_said_to_refuse_https(
    tmp_path: Path,
) -> None:
    suites = "TLS_AES_128_CCM_8_SHA256:TLS_AES_128_CCM_SHA256"
    with s_server(tmp_path, "-tls1_3", "-ciphersuites", suites) as server:
        found = observed(server.address, server.port, "localhost").https
    assert found["outcome"] == "unknown"
    assert "takes nothing but TLS_AES_128_CCM_8_SHA256 or TLS_AES_128_CCM_SHA256" in found["why"]


def test_nothing_is_said_to_sign_where_nothing_does(tmp_path: Path) -> None:
    """RSA key exchange alone: no signature, and no value that might be used twice."""
    found = of(tmp_path, "-tls1_2", "-cipher", "AES128-SHA")
    for name in ("signature_schemes", "public_value_reuse", "dh"):
        assert found[name]["answer"] == "not_applicable", found[name]


def test_a_server_without_a_certificate_has_habits_too(tmp_path: Path) -> None:
    found = of(tmp_path, "-tls1_2", "-nocert", "-psk", "1a2b", "-cipher", "PSK")
    said = answers(found)
    for name in ("secure_renegotiation", "extended_master_secret", "session_tickets"):
        assert said[name] == "yes", found[name]
    assert said["ocsp_stapling"] == "not_applicable"


@pytest.mark.parametrize(
    ("switch", "answer"), [("", "yes"), (":%DISABLE_SAFE_RENEGOTIATION", "no")]
)
def test_secure_renegotiation_and_none(switch: str, answer: str, tmp_path: Path) -> None:
    with gnutls.serve(tmp_path, "gnutls", f"NORMAL:-VERS-TLS1.3{switch}", {}) as server:
        assert features(server)["secure_renegotiation"] == {"answer": answer, "why": None}


def weak_dh_flags(directory: Path) -> tuple[str | Path, ...]:
    suite = "DHE-RSA-AES128-SHA256:@SECLEVEL=0"
    return "-dhparam", old.weak_dh(directory), "-tls1_2", "-cipher", suite


def test_the_size_of_a_weak_dh_parameter(tmp_path: Path) -> None:
    found = of(tmp_path, *weak_dh_flags(tmp_path))
    assert found["dh"] == {"answer": "yes", "why": None, "bits": 1024, "group": None}
    assert found["public_value_reuse"]["DHE"] == "no"


@pytest.mark.parametrize("suites", ["DHE-PSK-AES128-GCM-SHA256", "ADH"])
def test_the_size_of_a_parameter_that_nobody_signs(suites: str, tmp_path: Path) -> None:
    weak = "-dhparam", old.weak_dh(tmp_path)
    flags = "-tls1_2", "-nocert", "-psk", "1a2b", "-cipher", f"{suites}:@SECLEVEL=0"
    found = of(tmp_path, *weak, *flags)
    assert found["dh"] == {"answer": "yes", "why": None, "bits": 1024, "group": None}
    assert found["public_value_reuse"]["DHE"] == "no"


def test_values_of_finite_fields_in_tls_1_3_alone_are_compared(tmp_path: Path) -> None:
    with s_server(tmp_path, "-cipher", "ECDHE") as server:
        quick = observed(server.address, server.port, "localhost", quick=True)
        target = observed(server.address, server.port, "localhost")
    assert "ffdhe2048" in target.protocols["TLSv1.3"].groups
    reuse = {"answer": "no", "why": None, "ECDHE": "no", "DHE": "no"}
    assert target.features["public_value_reuse"] == reuse
    assert target.features["dh"]["answer"] == "not_applicable"
    assert target.connections - quick.connections <= MOST


@pytest.mark.parametrize("kind", ["DHE-PSK", "ANON-DH"])
def test_the_group_of_a_parameter_that_nobody_signs(kind: str, tmp_path: Path) -> None:
    priority = f"NORMAL:-VERS-ALL:+VERS-TLS1.2:-KX-ALL:+{kind}"
    keys = tmp_path / "keys"
    keys.write_text("somebody:1a2b3c4d\n")

    def command(port: int) -> list[str | Path]:
        words: list[str | Path] = [program("gnutls-serv"), "--quiet", f"--port={port}"]
        return [*words, f"--pskpasswd={keys}", f"--priority={priority}"]

    with running("gnutls", tmp_path, command, Profile({})) as server:
        found = features(server)
    assert found["dh"] == {"answer": "yes", "why": None, "bits": 2048, "group": "ffdhe2048"}
    assert found["public_value_reuse"]["DHE"] == "no"


@pytest.mark.parametrize(
    ("groups", "answer", "picked", "retry"),
    [("X25519MLKEM768:x25519", "no", "x25519", False),
     ("X25519MLKEM768/x25519", "yes", "X25519MLKEM768", True),
     ("x25519/X25519MLKEM768", "no", "x25519", False)],
)  # fmt: skip
def test_who_can_do_ml_kem_is_told_from_who_prefers_it(
    groups: str, answer: str, picked: str, retry: bool, tmp_path: Path
) -> None:
    """OpenSSL 3.5: groups of one tuple are equally good, those before a slash are worth a retry."""
    suites = ECDHE_RSA_SIX[:1]
    with pyopenssl.serve(tmp_path, "preference", "TLSv1.3", suites, (groups,), "server") as server:
        target = observed(server.address, server.port, "localhost")
    assert "X25519MLKEM768" in target.protocols["TLSv1.3"].groups
    found = target.features["hybrid_preference"]
    assert (found["answer"], found["picked"], found["retry"]) == (answer, picked, retry)


@pytest.mark.parametrize(
    "group",
    ["MLKEM512", "MLKEM768", "MLKEM1024", "X25519MLKEM768", "SecP256r1MLKEM768",
     "SecP384r1MLKEM1024", "ffdhe2048", "ffdhe3072"],
)  # fmt: skip
def test_a_server_of_one_group_shows_its_chain(group: str, tmp_path: Path) -> None:
    """OpenSSL 3.5, TLS 1.3 and this group alone."""
    suites = ECDHE_RSA_SIX[:1]
    with pyopenssl.serve(tmp_path, "one-group", "TLSv1.3", suites, (group,), "server") as server:
        target = observed(server.address, server.port, "localhost")
    assert target.protocols["TLSv1.3"].groups == (group,)
    pem = certificates.make(tmp_path / "certificates").chain("rsa").read_bytes()
    chain = [c.fingerprint(SHA256()).hex() for c in x509.load_pem_x509_certificates(pem)]
    assert [entry["fingerprint"] for entry in target.certificates] == chain
    assert target.certificates[0]["versions"] == ["TLSv1.3"]
    if "MLKEM" in group:  # refused or not, it depends on this machine's OpenSSL
        assert target.https["outcome"] != "no" or "not trusted" in target.https["why"]
    found = target.features
    assert set(_silent(target)) <= {"session_tickets"}, found
    assert found["signature_schemes"]["TLSv1.3"][0].startswith("rsa_pss")
    kind = "DHE" if group.startswith("ffdhe") else "ECDHE"
    reused = "unknown" if group.startswith("ML") else "no"  # of ML-KEM nothing can be
    assert found["public_value_reuse"][kind] == reused


OTHERS = {
    "nginx": (nginx.dual, {"alpn": "yes", "encrypt_then_mac": "yes", "downgrade_sentinel": "yes",
                           "fallback_scsv": "yes", "dh": "not_applicable"}),
    "gnutls": (gnutls.wide, {"session_tickets": "no", "encrypt_then_mac": "yes", "dh": "yes",
                             "downgrade_sentinel": "yes", "fallback_scsv": "yes"}),
    # No JSSE has the fallback SCSV; none has encrypt-then-MAC.
    "jsse": (jsse.everything, {"fallback_scsv": "no", "encrypt_then_mac": "no",
                               "extended_master_secret": "yes", "downgrade_sentinel": "yes"}),
    "nss": (nss.modern, {"session_tickets": "no", "extended_master_secret": "yes",
                         "downgrade_sentinel": "yes", "encrypt_then_mac": "not_applicable"}),
    "tlslite": (tlslite.ssl3, {"encrypt_then_mac": "yes", "session_tickets": "no"}),
    "openssl": (openssl.everything, {"alpn": "no", "dh": "yes"}),
}  # fmt: skip


@pytest.mark.parametrize("name", OTHERS)
def test_other_hands_and_what_it_costs(name: str, tmp_path: Path) -> None:
    start, truth = OTHERS[name]
    with start(tmp_path) as server:
        for _ in range(3):  # on a busy machine something may have to be asked twice
            quick = observed(server.address, server.port, "localhost", quick=True)
            target = observed(server.address, server.port, "localhost")
            if target.connections - quick.connections <= MOST:
                break
    found = target.features
    assert {feature: found[feature]["answer"] for feature in truth} == truth, found
    assert found["compression"]["answer"] == "no"
    assert found["secure_renegotiation"]["answer"] == "yes"
    assert target.protocols == quick.protocols
    assert set(_silent(target)) <= set(), found
    assert target.connections - quick.connections <= MOST


def _silent(target: TargetReport) -> Sequence[str]:
    """Features of which a healthy server's answer is unknown."""
    return [
        name for name, said in target.features.items()
        if isinstance(said, dict) and said["answer"] == "unknown"
        and name not in ("signature_schemes", "public_value_reuse")
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("flags", "said"),
    [(("-tls1_3",), {"answer": "yes", "why": "with the HTTPS answer, in TLS 1.3"}),
     (("-tls1_3", "-num_tickets", "0"), {"answer": "unknown", "why": "TLS 1.3 gives tickets at any"
      " time; none came before the HTTPS answer"}),
     (("-num_tickets", "0"), {"answer": "yes", "why": None})],
    ids=["1.3", "1.3 without", "1.2 tells"],
)  # fmt: skip
def test_a_ticket_of_tls_1_3_is_seen_in_the_https_request(
    tmp_path: Path, flags: Sequence[str], said: dict[str, Any]
) -> None:
    made = certificates.make(tmp_path / "certificates")
    with s_server(tmp_path, "-cert_chain", made.chain("rsa"), *flags) as server:
        found = observed(server.address, server.port, "localhost", ca_bundle=made.ca)
        assert found.https["outcome"] == "yes" and "ticket" not in found.https
        assert found.features["session_tickets"] == said
        distrusted = observed(server.address, server.port, "localhost")
    assert distrusted.https["outcome"] == "no"
    if "-tls1_3" in flags:
        why = "TLS 1.3 gives tickets only after the handshake"
        assert distrusted.features["session_tickets"] == {"answer": "unknown", "why": why}
