"""The HTTPS check: one real request to a target, with its certificate verified.

Unlike a probe this finishes the handshake, so it is the check that the certificate holds and that
something speaks HTTP behind it. Every fault is translated here: what decides is `yes` or `no`,
everything else is `unknown` with the reason.
"""

from __future__ import annotations

import asyncio
import errno
import hashlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from functools import cache, lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from tlscheck.core import registry
from tlscheck.core.hello import sendable_name
from tlscheck.core.model import Answer, Target
from tlscheck.core.names import bracketed, is_for, place
from tlscheck.core.reach import EXPIRED, NO_HTTP_1
from tlscheck.io import secret, trust

if TYPE_CHECKING:
    import httpx

T = TypeVar("T")

ATTEMPTS = 3
PAUSE = 0.2  # seconds before the first repetition; twice as long before the next
MOST_HEADER = 200  # characters of a header that are kept
MOST_LOOKED_AT = 8192  # characters of it that are searched for secrets
MOST_READ = 256 << 10  # bytes up to the head of the answer, which h11 lets have 100 KiB of them

# X509_V_ERR_* of OpenSSL, where its own words are not plain.
_EXPIRED, _NOT_YET, _SELF_SIGNED = 10, 9, 18
_WRONG_NAME = (62, 64)
_UNTRUSTED = (2, 19, 20, 21)

# Alerts that mean "not with you" (RFC 8446, section 6.2). internal_error and its like do not.
_REFUSALS = frozenset(
    {
        "access_denied",
        "bad_certificate",
        "certificate_required",
        "certificate_unknown",
        "handshake_failure",
        "illegal_parameter",
        "inappropriate_fallback",
        "insufficient_security",
        "missing_extension",
        "protocol_version",
        "unknown_ca",
        "unrecognized_name",
        "unsupported_certificate",
        "unsupported_extension",
    }
)
# What OpenSSL says when what came back is not TLS at all.
_NOT_TLS = frozenset(
    {"WRONG_VERSION_NUMBER", "PACKET_LENGTH_TOO_LONG", "HTTP_REQUEST", "HTTPS_PROXY_REQUEST",
     "RECORD_LAYER_FAILURE", "INVALID_CONTENT_TYPE", "BAD_RECORD_TYPE"}
)  # fmt: skip
_OUR_ERRNOS = frozenset(
    {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS, errno.EADDRNOTAVAIL, errno.EACCES,
     errno.EPERM, errno.EAFNOSUPPORT, errno.EINVAL}
)  # fmt: skip
_RESETS = frozenset({errno.ECONNRESET, errno.EPIPE, errno.ECONNABORTED})


async def check(target: Target, *, ca_bundle: Path | None, timeout: float) -> dict[str, Any]:
    """Asks the target for `/` once and says how that went, within `timeout` seconds in all.

    Trusts `ca_bundle` (PEM) if given, else what this system trusts. Any HTTP answer is a yes. The
    keys of what comes back are those of `answer`. Raises nothing but CancelledError.
    """
    try:
        context = _context(ca_bundle, _is_delegated(target))
    except (OSError, ValueError) as error:
        source = "the CA bundle" if ca_bundle else "the system's CA certificates"
        return answer("unknown", f"{source} cannot be read, on this side: {_words(error)}")
    try:
        ask = partial(_asked, target, context)
        return await repeated(ask, answer("unknown", "timed out"), timeout)
    except Exception as error:  # a bug or an unheard-of fault must not spoil the run
        return answer("unknown", f"{type(error).__name__}, on this side: {_words(error)}")


async def repeated(
    ask: Callable[[], Awaitable[tuple[T, bool]]],
    timed_out: T,
    seconds: float,
    *,
    attempts: int = ATTEMPTS,
    first: float = 0.5,
) -> T:
    """What `ask` gives, and with it whether that may be worth repeating; `timed_out` where it gives
    nothing within `seconds` in all. `first` is the share of the time for the first attempt: where
    it is less than all of it a time-out may repeat, too."""
    clock = asyncio.get_running_loop().time
    deadline = clock() + seconds
    last = timed_out
    for attempt in range(attempts):
        left = deadline - clock()
        if left <= 0:
            break
        try:
            async with asyncio.timeout(left * first if attempt == 0 else left):
                last, again = await ask()
        except TimeoutError:
            last, again = timed_out, True
        pause = PAUSE * 2**attempt
        if not again or attempt + 1 == attempts or clock() + pause >= deadline:
            break
        await asyncio.sleep(pause)
    return last


async def _asked(target: Target, context: ssl.SSLContext) -> tuple[dict[str, Any], bool]:
    port = target.endpoint.port
    try:
        async with requested(target, "https", port, context) as (response, seconds):
            return _answered(response, target, seconds), False
    except Exception as error:
        return translate(error, target)


@asynccontextmanager
async def requested(
    target: Target, scheme: str, port: int, context: ssl.SSLContext
) -> AsyncIterator[tuple[httpx.Response, float]]:
    """One GET for `/` at the target's address: the head of what came, its body unread, and the
    seconds from the request to it. Raises what httpx does, what `trust.causes` finds in it,
    `_Endless` and `_Framed`."""
    import httpx

    endpoint = target.endpoint
    usual = {"https": 443, "http": 80}[scheme]
    host = bracketed(endpoint.host) if port == usual else place(endpoint.host, port)
    opened: list[Any] = []
    clock = asyncio.get_running_loop().time
    times: dict[str, float] = {}

    async def trace(event: str, info: Mapping[str, Any]) -> None:
        times[event] = clock()
        if event == "connection.connect_tcp.complete":
            opened.append(info["return_value"])
        if event in ("connection.connect_tcp.complete", "connection.start_tls.complete"):
            _bound(info["return_value"])

    request = httpx.Request(
        "GET",
        f"{scheme}://{place(target.address, port)}/",
        headers={
            "Host": host,
            "User-Agent": "tlscheck",
            "Accept": "*/*",
            "Connection": "close",
        },
        extensions={
            "sni_hostname": sendable_name(endpoint.sni) or endpoint.sni,
            "trace": trace,
        },
    )
    try:
        # No client: one parses where a redirect leads to, followed or not, and fails on what is no
        # URL; a transport knows no redirects, cookies, credentials or proxies.
        async with httpx.AsyncHTTPTransport(verify=context, trust_env=False) as transport:
            response = await transport.handle_async_request(request)
            try:
                # The body is not read: the head says all that is asked.
                asked = times.get("http11.send_request_headers.started", clock())
                yield response, clock() - asked
            finally:
                await response.aclose()
    finally:
        # httpcore leaves the socket open when it is cancelled within a handshake.
        for stream in opened:
            await stream.aclose()


class _Endless(Exception):
    """What came is no answer yet, and too much. A head too long is refused by h11 before."""


class _Framed(Exception):
    """What came is HTTP/2, which nobody asked for."""


# A server of HTTP/2 begins with a SETTINGS frame: RFC 9113, sections 3.4 and 4.1. Its length is
# before this, that of a frame with few settings.
_SETTINGS = b"\x04\0\0\0\0\0"  # the type, no flag, the connection itself


def _bound(stream: Any) -> None:
    """Lets a stream of httpcore give no more than `MOST_READ` bytes: it has no limit for interim
    answers (RFC 9110, section 15.2), each of which is skipped. And none that begin with a frame of
    HTTP/2."""
    read, left = stream.read, MOST_READ

    async def bounded(most: int, timeout: float | None = None) -> bytes:
        nonlocal left
        data: bytes = await read(most, timeout=timeout)
        if left == MOST_READ and data[:2] == b"\0\0" and data[3:9] == _SETTINGS:
            raise _Framed
        left -= len(data)
        if left < 0:
            raise _Endless
        return data

    stream.read = bounded


def header(response: httpx.Response, name: str) -> str | None:
    """A header as it was sent, at most `MOST_HEADER` characters, printable and without secrets."""
    value = response.headers.get(name)
    return shown(value) if value else None


def _answered(response: httpx.Response, target: Target, seconds: float) -> dict[str, Any]:
    tls = response.extensions["network_stream"].get_extra_info("ssl_object")
    name = _verified_name(target)
    if _is_delegated(target):
        try:
            names = tls.getpeercert()
        except (ValueError, ssl.SSLError):  # Python reads all of them or none
            return answer("unknown", f"certificate's names cannot be read, is it for {name}?")
        if not is_for(name, *_alternatives(names)):
            return answer("no", f"certificate is not for {name}")
    cipher = tls.cipher()
    leaf = tls.getpeercert(binary_form=True)
    session = tls.session if tls.version() == "TLSv1.3" else None
    return answer(
        "yes",
        status=response.status_code,
        version=_LABELS.get(str(tls.version()), tls.version()),
        suite=_iana_names().get(cipher[0], cipher[0]) if cipher else None,
        alpn=printable(tls.selected_alpn_protocol() or "") or None,
        server=header(response, "server"),
        strict_transport_security=header(response, "strict-transport-security"),
        first_byte_ms=round(seconds * 1000),
        leaf=hashlib.sha256(leaf).hexdigest() if leaf else None,
        ticket=session.has_ticket if session else None,
    )


def answer(
    outcome: Answer,
    why: str | None = None,
    *,
    status: int | None = None,
    version: str | None = None,
    suite: str | None = None,
    alpn: str | None = None,
    server: str | None = None,
    strict_transport_security: str | None = None,
    first_byte_ms: int | None = None,
    leaf: str | None = None,
    ticket: bool | None = None,
) -> dict[str, Any]:
    """The report's `https` of a target, and `ticket`: all keys, `None` where nothing was learned.

    `outcome` is yes, no or unknown, `status` HTTP's, `suite` an IANA name; `alpn`, `server` and
    `strict_transport_security` are as sent, `first_byte_ms` the milliseconds from the request to
    the head of the answer, `leaf` the SHA-256 of the certificate that was verified. `group` is not
    told by Python's ssl: it is known only where the server has but one. `ticket`, whether one came
    by then in TLS 1.3, is for `features`, and not in the report. What looks like a secret in a
    header is masked.
    """
    return {
        "outcome": outcome,
        "why": why,
        "status": status,
        "version": version,
        "suite": suite,
        "group": None,
        "alpn": alpn,
        "server": server,
        "strict_transport_security": strict_transport_security,
        "first_byte_ms": first_byte_ms,
        "leaf": leaf,
        "ticket": ticket,
    }


_LABELS = {"TLSv1": "TLSv1.0"}  # where Python's ssl has another word than we


def _verified_name(target: Target) -> str:
    return target.endpoint.verify_name or target.endpoint.sni


def _alternatives(certificate: Mapping[str, Any] | None) -> tuple[list[str], list[str]]:
    """The alternative names of a verified certificate: of DNS, and IP addresses."""
    names = (certificate or {}).get("subjectAltName", ())
    kinds = ("DNS", "IP Address")
    dns, addresses = ([value for kind, value in names if kind == k] for k in kinds)
    return dns, addresses


def _is_delegated(target: Target) -> bool:
    """Whether the name to verify is not the name sent: then OpenSSL cannot compare it for us."""
    return _verified_name(target) != target.endpoint.sni


# --- trust ---------------------------------------------------------------------------------


@lru_cache(maxsize=16)
def _context(ca_bundle: Path | None, delegated: bool) -> ssl.SSLContext:
    """Takes every version and suite that authenticates the server, and verifies strictly.

    Which versions an endpoint may speak is not this check's question: refusing one here would
    make it a `no` for the wrong reason.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # CERT_REQUIRED, check_hostname
    context.check_hostname = not delegated
    context.hostname_checks_common_name = False  # RFC 9525, section 6.3: alternative names alone
    # TLS 1.0 and 1.1 sign with MD5 and SHA-1, which OpenSSL 3 allows at level 0 only.
    context.set_ciphers("ALL:!aNULL:!eNULL:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED  # TLS 1.0: SSLv3 stays off
    context.options |= getattr(ssl, "OP_LEGACY_SERVER_CONNECT", 0x4)  # Python names it from 3.12
    trust.load(context, ca_bundle)
    return context


@cache
def _iana_names() -> Mapping[str, str]:
    """OpenSSL's suite names -> IANA's."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_ciphers("ALL:@SECLEVEL=0")
    return {
        suite["name"]: registry.suite_name(suite["id"] & 0xFFFF) for suite in context.get_ciphers()
    }


# --- faults --------------------------------------------------------------------------------


def translate(error: Exception, target: Target) -> tuple[dict[str, Any], bool]:
    """What `error` means, and whether asking again may teach more. The innermost cause decides."""
    for cause in trust.causes(error):
        match cause:
            case ssl.SSLCertVerificationError():
                return answer("no", _distrust(cause, target)), False
            case ssl.SSLWantReadError() | ssl.SSLWantWriteError():
                continue  # no fault: how TLS in memory asks for more bytes
            case ssl.SSLEOFError() | ssl.SSLZeroReturnError():
                return answer("unknown", "closed without an answer"), True
            case ssl.SSLError():
                return answer(*_tls_fault(cause)), False
            case OSError() if cause.errno in _OUR_ERRNOS:
                return answer("unknown", f"{_words(cause)}, on this side"), False
            case OSError() if cause.errno in _RESETS or isinstance(cause, ConnectionResetError):
                return answer("unknown", "connection reset"), True
            case ConnectionRefusedError():
                return answer("unknown", "connection refused"), False
            case OSError() if cause.errno == errno.ETIMEDOUT:
                return answer("unknown", "timed out"), True
            case OSError() if cause.errno:
                return answer("unknown", _words(cause)), False
            case TimeoutError():
                return answer("unknown", "timed out"), True
    why, again = _http_fault(error)
    return answer("unknown", why), again


def _http_fault(error: Exception) -> tuple[str, bool]:
    import httpx

    match error:
        case _Framed():
            return "speaks HTTP/2 only, which this check does not: answers 1.1 with frames", False
        case _Endless():
            return f"interim answers (1xx) alone, more than {MOST_READ >> 10} KiB of them", False
        case httpx.RemoteProtocolError() if "disconnected" in str(error):
            return "closed without an HTTP answer", True
        case httpx.RemoteProtocolError() if "too long" in str(error):
            return "what answered is not HTTP, or its head is too long", False
        case httpx.RemoteProtocolError() if "_SWITCH_" in str(error):  # an answer 101
            return "switched to another protocol, which nobody asked for", False
        case httpx.RemoteProtocolError() if "request line" in str(error):  # whoever wrote it
            return "what answered is not HTTP: illegal status line", False
        case httpx.RemoteProtocolError():
            # Without the line in question, which may hold anything.
            return f"what answered is not HTTP: {_words(error).partition(': ')[0]}", False
        case httpx.NetworkError():
            return f"connection failed ({_words(error) or type(error).__name__})", True
        case _:
            return f"{type(error).__name__}, on this side: {_words(error)}", False


def _distrust(error: ssl.SSLCertVerificationError, target: Target) -> str:
    code = error.verify_code
    if code in _WRONG_NAME:
        return f"certificate is not for {_verified_name(target)}"
    if code in _UNTRUSTED:
        return "certificate's issuer is not trusted"
    plain = {
        _EXPIRED: EXPIRED,
        _NOT_YET: "certificate is not yet valid",
        _SELF_SIGNED: "certificate is self-signed",
    }
    return plain.get(code) or f"certificate is not valid: {error.verify_message}"


def _tls_fault(error: ssl.SSLError) -> tuple[Answer, str]:
    reason = error.reason or _unnamed(error)
    alert = _alert_of(reason)
    if alert == "no_application_protocol":  # other HTTP than what was asked for may be spoken
        return "unknown", f"{NO_HTTP_1}: refuses HTTP/1.1, and nothing else was offered"
    if alert in _REFUSALS:
        return "no", f"alert {alert}"
    if alert:
        return "unknown", f"alert {alert}"
    if reason in _NOT_TLS:
        return "unknown", "what answered is not TLS"
    return "unknown", f"handshake failed: {reason.replace('_', ' ').lower() or _words(error)}"


@cache
def _alerts() -> frozenset[str]:
    return frozenset(registry.alert_name(code) for code in range(256))


def _unnamed(error: ssl.SSLError) -> str:
    """A reason that Python has no name for, from OpenSSL's words:
    `[SSL] tlsv1 alert no application protocol (_ssl.c:1006)`."""
    words = str(error).removeprefix("[SSL] ").partition(" (_ssl.c")[0]
    return words.replace(" ", "_").upper()


def _alert_of(reason: str) -> str | None:
    """The alert behind a reason of OpenSSL, such as TLSV1_ALERT_PROTOCOL_VERSION."""
    family, _, rest = reason.partition("_")
    name = rest.removeprefix("ALERT_").lower()
    received = family in ("SSLV3", "TLSV1", "TLSV13")
    return name if received and name in _alerts() else None


def _words(error: BaseException) -> str:
    said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return shown(said)


def shown(text: str) -> str:
    """`text` as it was sent, without secrets; three dots where it was cut."""
    whole = secret.masked(text[:MOST_LOOKED_AT])
    return printable(whole if len(whole) <= MOST_HEADER else whole[: MOST_HEADER - 3] + "...")


def printable(text: str) -> str:
    """`text`, cut, with a question mark for what would not be seen."""
    return "".join(c if c.isprintable() else "?" for c in text[:MOST_HEADER])
