"""JSSE, the TLS of OpenJDK: Server.java, run from its source."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from . import certificates
from .names import RSA_SIX, TLS13, TWELVE, old
from .process import ADDRESS, program, running
from .profile import Order, Profile, Server, version

_SOURCE = Path(__file__).with_name("Server.java")
_JAVA_NAMES = {"TLSv1.0": "TLSv1"}
# What OpenJDK turns off for everybody is turned on again, for this process alone.
_SECURITY = "jdk.tls.disabledAlgorithms=\njdk.tls.legacyAlgorithms=\n"


@contextmanager
def serve(
    directory: Path,
    name: str,
    protocols: Sequence[str],
    suites: Sequence[str],
    groups: Sequence[str],
    order: Order,
    keys: Sequence[str] = ("rsa",),
) -> Iterator[Server]:
    """`suites` holds those of all versions: JSSE has one list of them."""
    made = certificates.make(directory / "certificates")
    security = directory / "java.security"
    security.write_text(_SECURITY)

    def command(port: int) -> list[str | Path]:
        words: list[str | Path] = [program("java"), "-XX:TieredStopAtLevel=1", "-Xshare:auto"]
        words += [f"-Djava.security.properties={security}"]
        words += [f"-Djdk.tls.namedGroups={','.join(groups)}", _SOURCE, ADDRESS, str(port)]
        words += [",".join(_JAVA_NAMES.get(p, p) for p in protocols), ",".join(suites), order]
        return [*words, made.directory, ",".join(keys)]

    modern = [suite for suite in suites if "_WITH_" not in suite]
    classic = [suite for suite in suites if "_WITH_" in suite]
    profile = {}
    for protocol in protocols:  # the group is always the client's choice
        if protocol == "TLSv1.3":
            profile[protocol] = version(modern, order, groups, "client")
        elif protocol == "TLSv1.2":
            used = groups if any("DHE_" in suite for suite in classic) else ()
            profile[protocol] = version(classic, order, used, "client")
        else:  # ECDHE even in SSL 3.0
            profile[protocol] = version(old(classic), order)
    with running(name, directory, command, Profile(profile)) as server:
        yield server


def everything(directory: Path) -> AbstractContextManager[Server]:
    """SSL 3.0 to TLS 1.3 with RC4, 3DES and DHE, in the server's order."""
    suites = (
        *TLS13,
        "TLS_DHE_RSA_WITH_AES_256_GCM_SHA384",
        "TLS_DHE_RSA_WITH_AES_128_CBC_SHA",
        "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
        *TWELVE,
        "TLS_RSA_WITH_3DES_EDE_CBC_SHA",
        "TLS_RSA_WITH_RC4_128_SHA",
        "TLS_RSA_WITH_RC4_128_MD5",
    )
    protocols = ("SSLv3", "TLSv1.0", "TLSv1.1", "TLSv1.2", "TLSv1.3")
    groups = ("x25519", "secp256r1", "x448", "ffdhe3072", "ffdhe2048")
    keys = ("rsa", "ecdsa")
    return serve(directory, "jsse-everything", protocols, suites, groups, "server", keys)


def client_order(directory: Path) -> AbstractContextManager[Server]:
    """TLS 1.1 and 1.2 without forward secrecy, in the client's order."""
    groups = ("secp256r1",)
    protocols = ("TLSv1.1", "TLSv1.2")
    return serve(directory, "jsse-client-order", protocols, RSA_SIX, groups, "client")
