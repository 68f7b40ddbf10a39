"""How many signed certificate timestamps came with a certificate, by each of the three ways there
are: RFC 6962, section 3.3. Whether a log has signed them is not asked."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

from tlscheck.io import ocsp
from tlscheck.io.der import (
    OCTETS,
    OID,
    SEQUENCE,
    Parts,
    Unreadable,
    content,
    encoded,
    extension_value,
    translated,
)
from tlscheck.io.extensions import TIMESTAMPS

_STAPLED = encoded(OID, bytes.fromhex("2b06010401d679020405"))


def read(leaf: bytes, handshake: bytes, staple: bytes) -> tuple[dict[str, Any], dict[str, str]]:
    """Of a certificate (DER), the extension of the handshake that came with it and an OCSP response
    (DER), empty where there was none. Never raises.

    - `handshake_scts`, `staple_scts`: how many there are; `None` where that cannot be read, and
      then it is among the problems, which come back too
    - `distinct_scts`: how many different ones came by any way; `None` where one cannot be read
    """
    ways: dict[str, Callable[[], list[Any]]] = {
        "scts": lambda: _embedded(leaf),
        "handshake_scts": lambda: _listed(encoded(OCTETS, handshake)) if handshake else [],
        "staple_scts": lambda: _stapled(staple, leaf) if staple else [],
    }
    found: dict[str, list[Any] | None] = {}
    problems: dict[str, str] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, way in ways.items():
            try:
                with translated():
                    found[name] = way()
            except Unreadable as fault:
                found[name] = None
                problems[name] = str(fault)
    counts: dict[str, Any] = {
        name: None if (stamps := found[name]) is None else len(stamps)
        for name in ("handshake_scts", "staple_scts")
    }
    every = [stamps for stamps in found.values() if stamps is not None]
    counts["distinct_scts"] = len(set().union(*every)) if len(every) == len(found) else None
    return counts, problems


def _embedded(leaf: bytes) -> list[Any]:
    extension = Parts.of(leaf).extension(TIMESTAMPS)
    return [] if extension is None else list(extension_value(extension))


def _stapled(staple: bytes, leaf: bytes) -> list[Any]:
    extension = ocsp.extension(staple, leaf, _STAPLED)
    return [] if extension is None else _listed(content(extension))


def _listed(value: bytes) -> list[Any]:
    """A SignedCertificateTimestampList: it looks the same whichever way it comes, and cryptography
    reads it where certificates have it."""
    return list(extension_value(encoded(SEQUENCE, TIMESTAMPS, encoded(OCTETS, value))))
