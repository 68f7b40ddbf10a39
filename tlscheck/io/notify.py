"""Words to the outside: a webhook, and pings as healthchecks services take them.

The URL is the secret that lets one in. So every fault is put into words of our own here, with a
table: no message, header or body of the other side and no text of an exception gets further, and
the loggers of the HTTP library are silent meanwhile. What could not be delivered is a result,
never an exception: it must not spoil a run.
"""

from __future__ import annotations

import asyncio
import errno
import json
import logging
import os
import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit, urlunsplit

from tlscheck.io import trust

if TYPE_CHECKING:
    import httpx

Event = Literal["start", "success", "fail"]
MOST_BODY = 10_000  # bytes of a ping's text


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to go on, in seconds: `total` for everything, `once` for one attempt; `pause`
    before the second attempt, and twice as long before every next one."""

    total: float = 60.0
    once: float = 10.0
    pause: float = 1.0
    attempts: int = 5


@dataclass(frozen=True, slots=True)
class Sent:
    """How a delivery went: `why` is one line that names no URL, `None` when it arrived."""

    what: str
    why: str | None
    attempts: int

    @property
    def ok(self) -> bool:
        """Whether the other side has taken it."""
        return self.why is None


def post(
    url: str,
    body: Mapping[str, Any],
    *,
    key: str,
    patience: Patience = Patience(),
    ca_bundle: Path | None = None,
) -> Sent:
    """Posts `body` as JSON. `key` (the run's id) lets a receiver drop what it has had: a time-out
    after it was taken is told again. Not to be called within an event loop."""
    content = json.dumps(body, ensure_ascii=True, allow_nan=False).encode()
    return _send("webhook", url, content, "application/json", key, patience, ca_bundle)


def ping(
    url: str,
    event: Event,
    text: str = "",
    *,
    key: str,
    patience: Patience = Patience(total=20.0, once=5.0, attempts=3),
    ca_bundle: Path | None = None,
) -> Sent:
    """Posts `text` to `url` on success, to `url`/start and `url`/fail otherwise."""
    content = text.encode("utf-8", "replace")[:MOST_BODY].decode("utf-8", "ignore").encode()
    kind = "text/plain; charset=utf-8"
    try:
        where = _of_event(url.strip(), event)
    except ValueError:  # its text quotes the URL
        return Sent(f"{event} ping", f"{event} ping: {_NO_URL}", 0)
    return _send(f"{event} ping", where, content, kind, key, patience, ca_bundle)


def _of_event(url: str, event: Event) -> str:
    if event == "success":
        return url
    parts = urlsplit(url)
    return urlunsplit(parts._replace(path=f"{parts.path.rstrip('/')}/{event}"))


# --- one delivery --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Failed:
    """Why an attempt failed, whether another may do better, and when the other side wants it."""

    why: str
    again: bool
    wanted: float | None = None


_NO_URL = "what is configured is no http or https URL"


def _send(
    what: str,
    url: str,
    content: bytes,
    kind: str,
    key: str,
    patience: Patience,
    ca_bundle: Path | None,
) -> Sent:
    headers = {
        "Content-Type": kind,
        "User-Agent": "tlscheck",
        "Idempotency-Key": "".join(c for c in key if "!" <= c <= "~"),
        "Connection": "close",
    }
    attempts = 0

    async def deliver() -> str | None:
        nonlocal attempts
        import httpx

        asyncio.get_running_loop().set_default_executor(_Daemons())
        last = "timed out"
        clock = asyncio.get_running_loop().time
        end = clock() + patience.total
        request = httpx.Request("POST", _checked(url), headers=headers, content=content)
        context = _context(ca_bundle)
        while attempts < patience.attempts and (left := end - clock()) > 0:
            attempts += 1
            failed = await _attempt(request, context, min(left, patience.once))
            if failed is None:
                return None
            last = failed.why
            pause = delay(attempts, failed.wanted, patience)
            if not failed.again or attempts == patience.attempts:
                return last
            if clock() + pause >= end:
                asks = f", and asks to wait {pause:.0f} s" if failed.wanted is not None else ""
                return f"{last}{asks}"
            await asyncio.sleep(pause)
        return last

    try:
        with _hushed():
            why = asyncio.run(deliver())
    except Exception as error:
        why = _fault(error).why
    count = f" ({attempts} attempts)" if attempts > 1 else ""
    return Sent(what, None if why is None else f"{what}: {why}{count}", attempts)


def delay(attempt: int, wanted: float | None, patience: Patience) -> float:
    """Seconds to wait after `attempt` (from 1): as the other side wanted, never less than usual."""
    return max(patience.pause * 2.0 ** (attempt - 1), wanted or 0.0)


async def _attempt(
    request: httpx.Request, context: ssl.SSLContext, seconds: float
) -> _Failed | None:
    import httpx

    try:
        async with (
            asyncio.timeout(seconds),
            httpx.AsyncClient(verify=context, trust_env=False, timeout=None) as client,
        ):
            # The head says all that is asked: the body is not read.
            response = await client.send(request, stream=True, follow_redirects=False)
            try:
                return _judged(response)
            finally:
                await response.aclose()
    except Exception as error:
        return _fault(error)


def _judged(response: httpx.Response) -> _Failed | None:
    status = response.status_code
    if 200 <= status < 300:
        return None
    phrase = HTTPStatus(status).phrase if status in set(HTTPStatus) else ""
    said = f"HTTP status {status} {phrase}".rstrip()
    if 300 <= status < 400:
        return _Failed(f"{said}: redirects are not followed", again=False)
    again = status == HTTPStatus.TOO_MANY_REQUESTS or status >= 500
    wanted = retry_after(response.headers.get("retry-after", ""), datetime.now(UTC))
    return _Failed(said, again, wanted if again else None)


def retry_after(value: str, now: datetime) -> float | None:
    """Seconds that a Retry-After header (RFC 9110, section 10.2.3) asks for; `None`: nothing."""
    value = value.strip()
    if re.fullmatch(r"[0-9]+", value):
        return float(value[:12])  # 12 digits are forever as well
    try:
        moment = parsedate_to_datetime(value)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return max(0.0, (moment - now).total_seconds())
    except (ValueError, TypeError, OverflowError):
        return None


def _checked(url: str) -> str:
    """The URL, or ValueError: `http:`, `https:`, with a host."""
    parts = urlsplit(url.strip())
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError
    return url.strip()


class _Daemons(ThreadPoolExecutor):
    """Look-ups of names in daemon threads: one that hangs delays neither us nor the program's end.

    The threads of a common executor are waited for, whatever time limit the asker has set.
    """

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()

        def work() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                result = fn(*args, **kwargs)
            except BaseException as error:
                future.set_exception(error)
            else:
                future.set_result(result)

        threading.Thread(target=work, daemon=True).start()
        return future


@contextmanager
def _hushed() -> Iterator[None]:
    """No log line of the HTTP library, at whatever level: its lines have the URL."""
    loggers = [logging.getLogger(name) for name in ("httpx", "httpcore")]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.CRITICAL + 1)
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _context(ca_bundle: Path | None) -> ssl.SSLContext:
    """Python's defaults, without the environment's SSLKEYLOGFILE; the system's authorities."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # CERT_REQUIRED, check_hostname, TLS 1.2
    try:
        trust.load(context, ca_bundle)
    except (OSError, ValueError) as error:
        raise _NoAuthorities from error
    return context


# --- faults --------------------------------------------------------------------------------


class _NoAuthorities(Exception):
    pass


# X509_V_ERR_* of OpenSSL, whose own words can have the host's name.
_DISTRUST = {
    2: "its issuer is not trusted", 9: "it is not yet valid", 10: "it has expired",
    18: "it is self-signed", 19: "its issuer is not trusted", 20: "its issuer is not trusted",
    21: "its issuer is not trusted", 62: "it is for another name", 64: "it is for another name",
}  # fmt: skip


def _fault(error: Exception) -> _Failed:
    """What `error` means, and whether another attempt may do better. The innermost cause decides.

    Only types and numbers are looked at: a text may have the URL in it.
    """
    for cause in trust.causes(error):
        match cause:
            case ssl.SSLCertVerificationError():
                said = _DISTRUST.get(cause.verify_code, f"OpenSSL's error {cause.verify_code}")
                return _Failed(f"the certificate is not accepted: {said}", again=False)
            case ssl.SSLWantReadError() | ssl.SSLWantWriteError():
                continue  # no fault: how TLS in memory asks for more bytes
            case ssl.SSLError():
                return _Failed("the TLS handshake or connection failed", again=True)
            case socket.gaierror():
                return _Failed("the host's name could not be resolved", again=True)
            case ConnectionRefusedError():
                return _Failed("connection refused", again=True)
            case ConnectionError():
                return _Failed("connection reset", again=True)
            case TimeoutError():
                return _Failed("timed out", again=True)
            case OSError() if cause.errno in errno.errorcode:
                return _Failed(os.strerror(cause.errno or 0).lower(), again=True)
    return _own_fault(error)


def _own_fault(error: Exception) -> _Failed:
    import httpx

    match error:
        case _NoAuthorities():
            return _Failed("the CA certificates cannot be read, on this side", again=False)
        case httpx.InvalidURL() | httpx.UnsupportedProtocol() | ValueError():
            return _Failed(_NO_URL, again=False)
        case httpx.RemoteProtocolError():
            return _Failed("what came back is no HTTP answer", again=True)
        case httpx.TransportError():
            return _Failed("the connection failed", again=True)
        case _:
            return _Failed(f"{type(error).__name__}, on this side", again=False)
