"""Real servers that say hostile things: in certificates, in HTTP, in ALPN, and in clear."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.name import _ASN1Type
from cryptography.x509.oid import NameOID

from tests.servers.faults import asked, made
from tests.servers.faults.asked import NotAHello
from tlscheck.lab import server

_DAY = timedelta(days=1)
_SAN = x509.ObjectIdentifier("2.5.29.17")
_FIELDS = (NameOID.COMMON_NAME, NameOID.ORGANIZATION_NAME, NameOID.LOCALITY_NAME)


class Authority:
    """Issues certificates with any text in their names, and any bytes in their alternatives."""

    def __init__(self, directory: Path, text: str) -> None:
        self.directory = directory
        self.bundle = directory / "ca.pem"
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._leaf_key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name(text)
        self._count = 0
        root = self._builder(self._name, self._key).add_extension(
            x509.BasicConstraints(ca=True, path_length=0), critical=True
        )
        self.bundle.write_bytes(_pem(root.sign(self._key, hashes.SHA256())))

    def certificate(
        self, host: str, text: str = "", raw: bytes = b"", more: Sequence[x509.ExtensionType] = ()
    ) -> x509.Certificate:
        """For `host`; `text` is in the subject, `raw` in alternative names of three kinds."""
        names = _der(0x82, host.encode())
        names += b"".join(_der(tag, raw) for tag in (0x82, 0x81, 0x86) if raw)  # DNS, mail, URI
        san = x509.UnrecognizedExtension(_SAN, _der(0x30, names))
        builder = self._builder(_name(text), self._leaf_key).add_extension(san, critical=False)
        for extension in more:
            builder = builder.add_extension(extension, critical=False)
        return builder.sign(self._key, hashes.SHA256())

    def context(
        self, host: str, text: str = "", raw: bytes = b"", more: Sequence[x509.ExtensionType] = ()
    ) -> ssl.SSLContext:
        """For a server that shows such a certificate."""
        certificate = self.certificate(host, text, raw, more)
        self._count += 1
        path = self.directory / f"{self._count}.pem"
        path.write_bytes(_pem(certificate) + _secret(self._leaf_key))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.num_tickets = 0
        context.load_cert_chain(path)
        return context

    def _builder(
        self, subject: x509.Name, key: ec.EllipticCurvePrivateKey
    ) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _DAY)
            .not_valid_after(now + _DAY)
        )


def _name(text: str) -> x509.Name:
    with warnings.catch_warnings():  # it is longer than it may be, and meant to be
        warnings.simplefilter("ignore", UserWarning)
        return x509.Name(
            x509.NameAttribute(field_, text or "x", _ASN1Type.UTF8String, _validate=False)
            for field_ in _FIELDS
        )


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _secret(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _der(tag: int, body: bytes) -> bytes:
    size = len(body)
    if size < 0x80:
        return bytes([tag, size]) + body
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + body


# --- what answers


class Site(server.Tls):
    """TLS, and `answer` to a request; what was asked is kept in `requests`."""

    def __init__(
        self, context: ssl.SSLContext, answer: bytes, requests: list[bytes] | None = None
    ) -> None:
        super().__init__(context)
        self._answer = answer
        self._requests = requests

    def _read_request(self) -> bool:
        while b"\r\n\r\n" not in self._request:
            piece = self._tls.read(1 << 14)
            if not piece:
                return True
            self._request += piece
        if self._requests is not None:
            self._requests.append(self._request)
        self._tls.write(self._answer)
        with contextlib.suppress(ssl.SSLWantReadError):
            self._tls.unwrap()
        return True


class Clear(server.Connection):
    """Says `answer` in clear to whatever comes."""

    def __init__(self, answer: bytes) -> None:
        super().__init__()
        self._answer = answer

    def on_data(self, data: bytes) -> None:
        self._transport.write(self._answer)
        self.finish()


class ByHand(server.Connection):
    """A first flight of TLS 1.2 and below with `raw` for ALPN and for certificate."""

    def __init__(self, raw: bytes) -> None:
        super().__init__()
        self._raw = raw
        self._heard = b""

    def on_data(self, data: bytes) -> None:
        self._heard += data
        try:
            hello = asked.read(self._heard)
        except NotAHello:
            hello = asked.Asked(b"", ssl2=True)
        if hello is None:
            return
        version = min(hello.version, 0x0303)
        suite = next((s for s in hello.suites if s in (0x009C, 0x002F, 0x0035)), None)
        if suite is None or version < 0x0301:
            self._transport.write(made.alert(40))
        else:
            alpn = made.vector(2, made.vector(1, self._raw[:255]))
            chain = made.vector(3, made.vector(3, self._raw) * 2)
            messages = (
                made.server_hello(hello, version, suite, {16: alpn, 0xFF01: b"\0"}),
                made.message(made.CERTIFICATE, chain),
                made.message(made.DONE, b""),
            )
            self._transport.write(made.Flight(version, messages).sent())
        self.finish()


@dataclass
class Speakers:
    """Servers on loopback addresses of their own that share a port, while the block lasts."""

    prefix: str
    made: list[tuple[str, server.Factory]] = field(default_factory=list)
    port: int = 0

    def add(self, factory: server.Factory) -> str:
        """The address on which it will answer."""
        number = len(self.made)
        address = f"{self.prefix}.{number // 200}.{1 + number % 200}"
        self.made.append((address, factory))
        return address

    @contextlib.contextmanager
    def serving(self) -> Iterator[int]:
        """Serve from a thread; the port."""
        ready, over = threading.Event(), asyncio.Event()
        loops: list[asyncio.AbstractEventLoop] = []

        async def serve() -> None:
            loops.append(asyncio.get_running_loop())
            self.port, sockets = _bound([address for address, _ in self.made])
            async with await server.serve(sockets, dict(self.made)):
                ready.set()
                await over.wait()

        thread = threading.Thread(target=_quietly, args=(serve, ready))
        thread.start()
        try:
            assert ready.wait(30) and self.port
            yield self.port
        finally:
            with contextlib.suppress(RuntimeError):  # it could not start
                loops[0].call_soon_threadsafe(over.set)
            thread.join(30)


def _bound(addresses: Sequence[str]) -> tuple[int, dict[str, socket.socket]]:
    if ":" not in addresses[0]:
        return server.bind(addresses, 0)
    (address,) = addresses
    listener = socket.socket(socket.AF_INET6)
    listener.bind((address, 0))
    return listener.getsockname()[1], {address: listener}


def _quietly(serve: Callable[[], object], ready: threading.Event) -> None:
    try:
        asyncio.run(serve())  # type: ignore[arg-type]
    finally:
        ready.set()
