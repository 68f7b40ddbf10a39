"""What those who finish a handshake share: whom they trust, and what a fault came from."""

from __future__ import annotations

import os
import re
import ssl
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from tlscheck.io.der import Unreadable, translated

if TYPE_CHECKING:
    from cryptography import x509


def load(context: ssl.SSLContext, ca_bundle: Path | None) -> None:
    """Trust the authorities of `ca_bundle` (PEM), else this system's, else certifi's.

    Raises OSError and ValueError.
    """
    if ca_bundle is not None:
        context.load_verify_locations(cafile=ca_bundle)
    elif _system_has_authorities():
        context.load_default_certs()
    else:
        import certifi

        context.load_verify_locations(cafile=certifi.where())


def _system_has_authorities() -> bool:
    paths = ssl.get_default_verify_paths()
    if paths.cafile and Path(paths.cafile).stat().st_size:
        return True
    return bool(paths.capath and os.listdir(paths.capath))


def causes(error: BaseException) -> Iterator[BaseException]:
    """`error` and what it came from, innermost first."""
    chain: list[BaseException] = []
    at: BaseException | None = error
    while at is not None and at not in chain:
        chain.append(at)
        if isinstance(at, BaseExceptionGroup):
            at = at.exceptions[0]
        else:
            at = at.__cause__ or at.__context__
    return reversed(chain)


@dataclass(frozen=True, slots=True)
class Store:
    """The authorities of one store: `ca-bundle`, `system` or `certifi`."""

    name: str
    authorities: tuple[x509.Certificate, ...]


@lru_cache(maxsize=4)
def stores(ca_bundle: Path | None) -> tuple[Store, ...]:
    """Every store there is on this machine, the one that is trusted (`load`) first. One that cannot
    be read, and a certificate in it that cannot, is left out."""
    import certifi

    paths = ssl.get_default_verify_paths()
    places = {
        "ca-bundle": [ca_bundle] if ca_bundle else [],
        "system": _files(paths.cafile, paths.capath),
        "certifi": [Path(certifi.where())],
    }
    found = (Store(name, tuple(_authorities(files))) for name, files in places.items())
    return tuple(store for store in found if store.authorities)


def _files(cafile: str | None, capath: str | None) -> list[Path]:
    """OpenSSL looks into both; where there is one file of all, it is quicker to read."""
    if cafile and Path(cafile).is_file() and Path(cafile).stat().st_size:
        return [Path(cafile)]
    return sorted(Path(capath).glob("*.[0-9]")) if capath else []


_PEM = re.compile(
    rb"-----BEGIN ((?:X509 )?CERTIFICATE)-----.*?-----END \1-----", re.DOTALL
)  # OpenSSL reads either


_OPENSSLS_OWN = re.compile(rb"^-----BEGIN TRUSTED CERTIFICATE-----", re.MULTILINE)


def openssls_own(bundle: bytes) -> int | None:
    """The line of a bundle (PEM) where the first certificate stands in a form that OpenSSL alone
    reads: with the uses that it is trusted for, or is not."""
    found = _OPENSSLS_OWN.search(bundle)
    return bundle.count(b"\n", 0, found.start()) + 1 if found else None


def _authorities(files: list[Path]) -> Iterator[x509.Certificate]:
    seen = set[bytes]()
    for file in files:
        try:
            text = file.read_bytes()
        except OSError:
            continue
        for found in map(_authority, _PEM.finditer(text)):
            if found is not None and found[0] not in seen:
                seen.add(found[0])
                yield found[1]


def _authority(pem: re.Match[bytes]) -> tuple[bytes, x509.Certificate] | None:
    """A certificate with its fingerprint; `None` when it cannot be read."""
    from cryptography import x509
    from cryptography.hazmat.primitives.hashes import SHA256

    try:
        with translated(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = x509.load_pem_x509_certificate(pem[0])
            return found.fingerprint(SHA256()), found
    except Unreadable:
        return None
