"""What answers on port 80, in clear: nothing, a redirect, or more than that.

One GET, whose answer leads nowhere: a redirect's goal is kept as text and never followed, and of
an answer only the head is read.
"""

from __future__ import annotations

import re
import ssl
from functools import cache, partial
from typing import Any, Literal
from urllib.parse import urlsplit

from tlscheck.core.model import Target
from tlscheck.io import https

PORT = 80
_REDIRECTS = (300, 301, 302, 303, 307, 308)  # RFC 9110, section 15.4: those that have a Location
Outcome = Literal["closed", "redirect", "answer", "unknown"]


async def check(target: Target, *, timeout: float, port: int = PORT) -> dict[str, Any]:
    """Asks the target for `/` on `port`, within `timeout` seconds. Raises nothing but
    CancelledError; the keys are those of `answer`."""
    silence = answer("unknown", "timed out")
    # What may be a fault of the moment is asked again once; a silence, which is usual, is not.
    ask = partial(_asked, target, port)
    return await https.repeated(ask, silence, timeout, attempts=2, first=1.0)


async def _asked(target: Target, port: int) -> tuple[dict[str, Any], bool]:
    try:
        async with https.requested(target, "http", port, _no_tls()) as (response, _):
            location = _where(response.headers.get("location"))
            redirects = response.status_code in _REDIRECTS and location is not None
            return answer(
                "redirect" if redirects else "answer",
                status=response.status_code,
                location=location,
                secure=all(map(_is_secure, response.headers.get_list("location"))),
                server=https.header(response, "server"),
            ), False
    except Exception as error:  # a bug or an unheard-of fault must not spoil the run
        said, again = https.translate(error, target)
        if said["why"] == "connection refused":
            return answer("closed", said["why"]), False
        return answer("unknown", said["why"]), again


def answer(
    outcome: Outcome,
    why: str | None = None,
    *,
    status: int | None = None,
    location: str | None = None,
    secure: bool = False,
    server: str | None = None,
) -> dict[str, Any]:
    """The report's `http` of a target: all its keys, `None` where nothing was learned.

    `closed`: the connection was refused. `redirect`: `location` says where to (its query is left
    out), and `secure` whether that is https; all of it, where there is more than one. `answer`:
    anything else that is HTTP, so in clear.
    """
    return {
        "outcome": outcome,
        "why": why,
        "status": status,
        "location": location,
        "secure": secure if outcome == "redirect" else None,
        "server": server,
    }


def _where(location: str | None) -> str | None:
    """Without its query, which may be for the one who asked alone."""
    return https.shown(re.sub(r"[?#].*", "?***", location)) if location else None


def _is_secure(location: str) -> bool:
    try:
        return urlsplit(location).scheme == "https"
    except ValueError:
        return False


@cache
def _no_tls() -> ssl.SSLContext:
    """Nothing is trusted, and no TLS is spoken: httpx would load authorities for itself."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
