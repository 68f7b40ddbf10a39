"""What those who finish a handshake share: whom they trust, and what a fault came from."""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator
from pathlib import Path


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
