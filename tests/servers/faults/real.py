"""The real engine: OpenSSL by Python's ssl, over memory, in a few configurations."""

from __future__ import annotations

import base64
import re
import ssl
import warnings
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from .. import certificates
from ..names import ECDHE_ECDSA_SIX, RSA_SIX, TLS13, TWELVE, old, openssl_suites
from ..profile import Order, Profile, version

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
_VERSIONS = {
    "TLSv1.0": ssl.TLSVersion.TLSv1,
    "TLSv1.1": ssl.TLSVersion.TLSv1_1,
    "TLSv1.2": ssl.TLSVersion.TLSv1_2,
    "TLSv1.3": ssl.TLSVersion.TLSv1_3,
}
# What OpenSSL 3.0 negotiates when it is not told otherwise, in its order.
DEFAULT_CURVES = ("x25519", "secp256r1", "x448", "secp521r1", "secp384r1")


@dataclass(frozen=True)
class Base:
    """A configuration of the real engine. `suites` and `curves` are in its order of preference;
    `groups` are those that a client can get, if they are not all the `curves`."""

    lowest: str
    highest: str
    suites: tuple[str, ...] = TWELVE
    curves: tuple[str, ...] = ("secp256r1",)
    order: Order = "server"
    certificate: str = "rsa"
    groups: tuple[str, ...] = ()
    padding: int = 0  # bytes that the certificate chain is longer by

    @property
    def profile(self) -> Profile:
        names = tuple(_VERSIONS)
        spoken = names[names.index(self.lowest) : names.index(self.highest) + 1]
        groups = self.groups or self.curves
        found = {}
        for name in spoken:
            if name == "TLSv1.3":
                found[name] = version(TLS13, self.order, groups)
            elif name == "TLSv1.2":
                ephemeral = any("ECDHE" in suite for suite in self.suites)
                found[name] = version(self.suites, self.order, groups if ephemeral else ())
            else:
                found[name] = version(old(self.suites), self.order)
        return Profile(found)


MODERN = Base("TLSv1.2", "TLSv1.3")
EVERY = Base("TLSv1.0", "TLSv1.3")
OLD = Base("TLSv1.0", "TLSv1.2")
ONLY_10 = Base("TLSv1.0", "TLSv1.0")
ONLY_12 = Base("TLSv1.2", "TLSv1.2")
STATIC = Base("TLSv1.2", "TLSv1.3", RSA_SIX)
STATIC_12 = Base("TLSv1.2", "TLSv1.2", RSA_SIX)
# The certificate's curve, P-256, must be offered, and is then better liked than all but X25519:
# no client gets another one, unless the client's order counts.
ECDSA = Base("TLSv1.2", "TLSv1.2", ECDHE_ECDSA_SIX, DEFAULT_CURVES, "server", "ecdsa",
             DEFAULT_CURVES[:2])  # fmt: skip
ECDSA_CLIENT = Base("TLSv1.2", "TLSv1.2", ECDHE_ECDSA_SIX, DEFAULT_CURVES, "client", "ecdsa")
LONG = Base("TLSv1.0", "TLSv1.3", padding=200_000)
HUGE = Base("TLSv1.0", "TLSv1.3", padding=5_000_000)
BASES = (MODERN, EVERY, OLD, ONLY_10, ONLY_12, STATIC, ECDSA, ECDSA_CLIENT, LONG, HUGE)


class Engine:
    """Makes servers in memory. `directory` is where the certificates are written."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._made = certificates.make(directory, ("fault.test", "*.fault.test"))
        self._contexts: dict[Base, ssl.SSLContext] = {}

    @property
    def chain(self) -> tuple[bytes, ...]:
        """The RSA certificate's chain, in DER."""
        pem = self._made.chain("rsa").read_text()
        blocks = re.findall(r"-----BEGIN CERTIFICATE-----(.*?)-----END", pem, re.DOTALL)
        return tuple(base64.b64decode(block) for block in blocks)

    def prepare(self, base: Base) -> None:
        """Makes what takes time now rather than at the first connection."""
        if base not in self._contexts:
            self._contexts[base] = self._context(base)

    def server(self, base: Base) -> Server:
        self.prepare(base)
        return Server(self._contexts[base])

    def _context(self, base: Base) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            context.minimum_version = _VERSIONS[base.lowest]
            context.maximum_version = _VERSIONS[base.highest]
        context.set_ciphers(openssl_suites(base.suites) + ":@SECLEVEL=0")
        if base.order == "server":
            context.options |= ssl.OP_CIPHER_SERVER_PREFERENCE
        else:  # Python sets it by itself
            context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
        if base.curves == ("secp256r1",):
            context.set_ecdh_curve("prime256v1")
        chain = self._made.chain(base.certificate)
        if base.padding:
            longer = self._directory / f"{base.certificate}-{base.padding}.pem"
            longer.write_bytes(chain.read_bytes() + _padding(base.padding))
            chain = longer
        context.load_cert_chain(chain, self._made.key(base.certificate))
        return context


class Server:
    """One connection's server, over memory."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._in, self._out, server_side=True)
        self._shaken = False
        self.over = False

    def feed(self, data: bytes) -> bytes:
        """What the server answers to the next bytes; `over` says whether it is done."""
        self._in.write(data)
        try:
            if not self._shaken:
                self._tls.do_handshake()
                self._shaken = True
            if not self._tls.read(1 << 14):
                self.over = True
            else:
                self._tls.write(ANSWER)
                self.over = True
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError:  # the alert, if there is one, waits in _out
            self.over = True
        return self._out.read()


@cache
def _padding(size: int) -> bytes:
    """Certificates of about `size` bytes in all, of 50 KB each."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Padding")])
    now = datetime.now(UTC)
    filler = x509.UnrecognizedExtension(
        x509.ObjectIdentifier("2.16.840.1.113730.1.13"), b"\x04\x82\xc3\x50" + bytes(50_000)
    )
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=30))
        .add_extension(filler, critical=False)
        .sign(key, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM) * max(1, round(size / 50_000))
