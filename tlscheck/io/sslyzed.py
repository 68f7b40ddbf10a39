"""The child process of `deep`: sslyze asks one target, and its results come out in our words.

`python -P -m tlscheck.io.sslyzed`, with a JSON object on stdin: `host`, `address`, `port`, `name`,
`seconds`, `until` (of the system's monotonic clock), `memory` (bytes), `timeout` (seconds, of one
read). Stdin stays open: who closes it, or dies, ends this process. On stdout comes one JSON object,
at `until` with what is known by then; nothing is fetched, no redirect followed.

What sslyze takes for an answer although it was a silence or a reset is made a fault here, so that
it becomes unknown: where it says "no" after a time-out, it is given an exception that it does not
expect. And what it says without asking is asked: Heartbleed, CCS injection and the extended master
secret where TLS 1.3 is spoken, too.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import threading
import time
import types
from collections import Counter
from collections.abc import Callable
from typing import Any

from tlscheck.io.secret import masked

_VERSIONS = {
    "SSLv2": "ssl_2_0_cipher_suites",
    "SSLv3": "ssl_3_0_cipher_suites",
    "TLSv1.0": "tls_1_0_cipher_suites",
    "TLSv1.1": "tls_1_1_cipher_suites",
    "TLSv1.2": "tls_1_2_cipher_suites",
    "TLSv1.3": "tls_1_3_cipher_suites",
}
_LONG = (
    "certificate_info",
    "robot",
    "session_resumption",
    *reversed(_VERSIONS.values()),
    "elliptic_curves",
)
# What sslyze says of a handshake that ended without an alert. An older server than TLS knows none.
_CLOSED, _RESET = "Server interrupted the TLS handshake", "Server rejected the connection"
_CURVES = {"X25519": "x25519", "X448": "x448", "prime256v1": "secp256r1", "prime192v1": "secp192r1"}
_DECRYPTION_FAILED = 21


class _Never(Exception):
    """Nobody raises it: what stands in its place is no longer caught."""


class _NothingOlder(Exception):
    """sslyze could agree on no version before TLS 1.3."""


def _said(answer: str, why: str | None = None, **more: Any) -> dict[str, Any]:
    return {"answer": answer, "why": why, **more}


def _put(module: Any, name: str, what: Any) -> None:
    """Puts `what` in the place of a module's `name`. Raises AttributeError where there is none: an
    sslyze that is built otherwise is better not asked."""
    getattr(module, name)
    setattr(module, name, what)


def _strict() -> None:
    """Takes from sslyze what it catches too much of, and that it follows redirects."""
    from sslyze.plugins import (
        compression_plugin,
        early_data_plugin,
        elliptic_curves_plugin,
        fallback_scsv_plugin,
        heartbleed_plugin,
        http_headers_plugin,
        openssl_ccs_injection_plugin,
        session_renegotiation_plugin,
    )
    from sslyze.plugins.session_resumption import (
        _resumption_with_id,
        _resumption_with_ticket,
    )

    rejected = "ServerRejectedTlsHandshake"
    closed = types.SimpleNamespace(error=ConnectionError, timeout=_Never)
    for module, names in (
        (compression_plugin, (rejected,)),
        (early_data_plugin, ("TlsHandshakeTimedOut", "socket", rejected)),
        (elliptic_curves_plugin, ("TlsHandshakeTimedOut",)),
        (fallback_scsv_plugin, ("TlsHandshakeTimedOut", rejected)),
        (heartbleed_plugin, ("socket",)),
        (openssl_ccs_injection_plugin, ("socket",)),
        (session_renegotiation_plugin, ("socket", rejected)),
        (_resumption_with_id, (rejected,)),
    ):
        for name in names:
            _put(module, name, closed if name == "socket" else _Never)
    _put(http_headers_plugin, "_detect_http_redirection", lambda **_: None)
    _put(_resumption_with_ticket, "_extract_tls_session_ticket", _resumable)


def _resumable(session: Any) -> str:
    """What is the same of a session with a ticket, and of one that resumes it: its key. A server
    may give a new ticket each time. Raises IndexError where there is no ticket."""
    text: str = session.as_text()
    text.split("TLS session ticket:")[1]
    return text.split("Master-Key:")[1].splitlines()[0]


def _asking() -> None:
    """Lets sslyze try the extended master secret, Heartbleed and CCS injection in the newest
    version before TLS 1.3 where that is on offer, and the last two with the server's name, as all
    else. It takes any end of these for a "no": one before the ServerHelloDone, and so before the
    question, becomes a fault, and so does one without an alert after an early ChangeCipherSpec, for
    the alert alone tells who took it.

    What follows that ChangeCipherSpec are two bytes, which a server that took it finds too short
    for a block or for a MAC, and says so. Enough bytes for all suites make it say bad_record_mac;
    decryption_failed shows a server that deciphers, too."""
    import contextlib
    import dataclasses
    import functools

    from sslyze import TlsVersionEnum, server_connectivity
    from sslyze.plugins import ems_extension_plugin, heartbleed_plugin, openssl_ccs_injection_plugin
    from tls_parser.alert_protocol import TlsAlertRecord
    from tls_parser.application_data_protocol import TlsApplicationDataRecord
    from tls_parser.handshake_protocol import TlsHandshakeRecord, TlsHandshakeTypeByte
    from tls_parser.parser import TlsRecordParser

    heard = threading.local()  # sslyze asks a question in one thread
    one = threading.Lock()

    class Listening:
        """A `TlsRecordParser` that notes whether a ServerHelloDone came, and the last alert."""

        @staticmethod
        def parse_bytes(raw: bytes) -> Any:
            record, size = TlsRecordParser.parse_bytes(raw)
            if isinstance(record, TlsHandshakeRecord):
                kinds = (message.handshake_type for message in record.subprotocol_messages)
                heard.done |= TlsHandshakeTypeByte.SERVER_DONE in kinds
            if isinstance(record, TlsAlertRecord):
                heard.alert = record.alert_description
            return record, size

    class Enough:
        """A `TlsApplicationDataRecord` of four blocks, of whatever cipher."""

        @staticmethod
        def from_parameters(tls_version: Any, application_data: bytes) -> Any:
            return TlsApplicationDataRecord.from_parameters(tls_version, bytes(64))

    class Named(server_connectivity.ServerConnectivityInfo):
        """Always sends the server's name."""

        def get_preconfigured_tls_connection(self, *words: Any, **more: Any) -> Any:
            more.pop("should_enable_server_name_indication", None)
            return super().get_preconfigured_tls_connection(*words, **more)

    @functools.cache
    def older(location: Any, network: Any) -> Any:
        for name in ("TLS_1_2", "TLS_1_1", "TLS_1_0", "SSL_3_0"):
            with contextlib.suppress(server_connectivity._TlsVersionNotSupported):
                return server_connectivity._detect_support_for_tls_1_2_or_below(
                    location, network, TlsVersionEnum[name]
                )
        return None

    def probed_before(info: Any) -> Any:
        """What sslyze has found out to connect with, but for TLS 1.3."""
        probed = info.tls_probing_result
        if probed.highest_tls_version_supported is TlsVersionEnum.TLS_1_3:
            with one:
                found = older(info.server_location, info.network_configuration)
            if found is None:
                raise _NothingOlder
            probed = dataclasses.replace(
                probed,
                highest_tls_version_supported=found.tls_version_supported,
                cipher_suite_supported=found.cipher_suite_supported,
            )
        return probed

    def asked(test: Callable[[Any], bool], alert: bool, info: Any) -> bool:
        probed = probed_before(info)
        heard.done, heard.alert = False, None
        named = Named(info.server_location, info.network_configuration, probed)
        if test(named):
            return True
        if not heard.done:
            raise ConnectionError("ended before the ServerHelloDone")
        if alert and heard.alert is None:
            raise ConnectionError("ended without an alert")
        return alert and heard.alert == _DECRYPTION_FAILED

    def extended(test: Callable[[Any], bool], info: Any) -> bool:
        return test(dataclasses.replace(info, tls_probing_result=probed_before(info)))

    test = ems_extension_plugin._test_ems
    _put(ems_extension_plugin, "_test_ems", functools.partial(extended, test))
    for module, name, alert in (
        (heartbleed_plugin, "_test_heartbleed", False),
        (openssl_ccs_injection_plugin, "_test_for_ccs_injection", True),
    ):
        _put(module, name, functools.partial(asked, getattr(module, name), alert))
        _put(module, "TlsRecordParser", Listening)
    _put(openssl_ccs_injection_plugin, "TlsApplicationDataRecord", Enough)


def _telling() -> None:
    """Tells a refusal of a curve, which is an alert, from a hang-up; and closes each connection
    whose handshake comes to nothing. sslyze leaves that of its HTTP request open: a server that
    asks for a certificate, and has one client at a time, waits on it."""
    from sslyze.connection_helpers.tls_connection import SslConnection
    from sslyze.errors import ServerRejectedTlsHandshake
    from sslyze.plugins import elliptic_curves_plugin

    heard = threading.local()
    connect, test = SslConnection.connect, elliptic_curves_plugin._test_curve

    def connected(self: Any, *words: Any, **more: Any) -> None:
        try:
            connect(self, *words, **more)
        except BaseException as fault:
            if isinstance(fault, ServerRejectedTlsHandshake):
                heard.hung_up = fault.error_message in (_CLOSED, _RESET)
            if opened := self.ssl_client.get_underlying_socket():
                opened.close()
            raise

    def tested(*words: Any) -> Any:
        heard.hung_up = False
        found = test(*words)
        if heard.hung_up:
            raise ConnectionError("ended without an alert")
        return found

    _put(SslConnection, "connect", connected)
    _put(elliptic_curves_plugin, "_test_curve", tested)


def _until(moment: float) -> None:
    """Lets sslyze be done at this moment: what it has not asked to the end is a fault then, for
    some of its questions are no answer."""
    from sslyze.scanner import _mass_scanner as scanner
    from sslyze.scanner._jobs_worker_thread import CompletedScanJob

    late = TimeoutError("not asked to the end, time was up")
    prepare = scanner._generate_scan_jobs_for_server_scan
    conclude = scanner._generate_result_for_completed_server_scan
    wanted = Counter[Any]()

    def prepared(**more: Any) -> Any:
        jobs, faults = prepare(**more)
        wanted.update({command: len(each) for command, each in jobs.items()})
        return jobs, faults

    def is_over(scan: Any) -> bool:
        done = len(scan.completed_scan_jobs) == scan.queued_scan_jobs_count
        return done or time.monotonic() >= moment

    def concluded(scan: Any) -> Any:
        done = Counter(job.for_scan_command for job in scan.completed_scan_jobs)
        scan.completed_scan_jobs.extend(
            CompletedScanJob(scan.server_scan_request.uuid, command, None, late)
            for command in (wanted - done).elements()
        )
        return conclude(scan)

    _put(scanner, "_generate_scan_jobs_for_server_scan", prepared)
    _put(scanner, "_generate_result_for_completed_server_scan", concluded)
    _put(scanner._OngoingServerScan, "is_completed", property(is_over))


def _long(command: Any) -> int:
    """How late a command is best asked: those of a few connections first, then newer versions."""
    return _LONG.index(command.value) + 1 if command.value in _LONG else 0


def _scanned(asked: dict[str, Any]) -> Any:
    import sslyze

    scanner = sslyze.Scanner(per_server_concurrent_connections_limit=3)
    scanner.queue_scans(
        [
            sslyze.ServerScanRequest(
                sslyze.ServerNetworkLocation(
                    hostname=asked["host"], port=asked["port"], ip_address=asked["address"]
                ),
                sslyze.ServerNetworkConfiguration(
                    tls_server_name_indication=asked["name"], network_timeout=asked["timeout"]
                ),
                # Any collection will do, and a set has no order.
                scan_commands=sorted(sslyze.ScanCommand, key=_long),  # type: ignore[arg-type]
            )
        ]
    )
    return next(iter(scanner.get_results()))  # what comes after it waits for all threads


def _report(result: Any) -> dict[str, Any]:
    import sslyze

    tool = f"sslyze {sslyze.__version__.__version__}"
    if result.scan_result is None:
        trace = result.connectivity_error_trace
        return {"outcome": "unknown", "why": _short(trace) or "no connection", "tool": tool}
    found = result.scan_result

    def told(name: str, tell: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
        attempt = getattr(found, name)
        if attempt.status != sslyze.ScanCommandAttemptStatusEnum.COMPLETED:
            return _said("unknown", _reason(attempt))
        return tell(attempt.result)

    versions = {label: told(name, _suites) for label, name in _VERSIONS.items()}

    def hole(name: str, tell: Callable[[Any], bool]) -> dict[str, Any]:
        """What versions before TLS 1.3 alone can have."""
        trace = getattr(found, name).error_trace
        if trace is None or trace.exc_type is not _NothingOlder:
            return told(name, lambda result: _said(_word(tell(result))))
        old = (said["answer"] for label, said in versions.items() if label != "TLSv1.3")
        if all(answer == "no" for answer in old):
            return _said("not_applicable", "nothing older than TLS 1.3 is offered")
        return _said("unknown", _reason(getattr(found, name)))

    spoken = {label: said["answer"] for label, said in versions.items() if label != "SSLv2"}
    modern = spoken["TLSv1.3"] == "yes"
    nothing_older = modern and all(a == "no" for v, a in spoken.items() if v != "TLSv1.3")

    def older(
        name: str, tell: Callable[[Any], dict[str, Any]], otherwise: str = "not_applicable"
    ) -> dict[str, Any]:
        """What TLS 1.3 does without, or always has."""
        if nothing_older:
            return _said(otherwise, "nothing older than TLS 1.3 is offered")
        return told(name, tell)

    def fallback() -> dict[str, Any]:
        if sorted(spoken.values()) == ["no"] * (len(spoken) - 1) + ["yes"]:
            return _said("not_applicable", "sslyze agrees on one version alone")
        return told("tls_fallback_scsv", lambda r: _said(_word(r.supports_fallback_scsv)))

    def early_data() -> dict[str, Any]:
        if spoken["TLSv1.3"] == "no":
            return _said("not_applicable", "sslyze agrees on no TLS 1.3")
        return told("tls_1_3_early_data", lambda r: _said(_word(r.supports_early_data)))

    def curves() -> dict[str, Any]:
        said = told("elliptic_curves", _curves)
        if said["answer"] != "no":
            return said
        # One who wants a client's certificate refuses each of them in the end, and a hang-up at the
        # start is taken for a server without ECDHE.
        taken = (name for each in versions.values() for name in each.get("accepted", ()))
        if modern or any("_ECDHE_" in name for name in taken):
            return {**said, **_said("unknown", "refused with each curve, and yet has ECDHE")}
        if any(each["answer"] == "unknown" or each.get("silent") for each in versions.values()):
            return {**said, **_said("unknown", "not all of its suites are known")}
        return said

    def tickets() -> dict[str, Any]:
        if nothing_older:
            return _said("unknown", "sslyze does not try it in TLS 1.3")
        return told("session_resumption", lambda r: _resumed(r.tls_ticket_resumption_result.value))

    return {
        "outcome": "yes",
        "why": None,
        "tool": tool,
        "heartbleed": hole("heartbleed", lambda r: r.is_vulnerable_to_heartbleed),
        "ccs_injection": hole("openssl_ccs_injection", lambda r: r.is_vulnerable_to_ccs_injection),
        "robot": told("robot", lambda r: _robot(r.robot_result.value)),
        "client_renegotiation": older(
            "session_renegotiation",
            lambda r: _said(
                _word(r.is_vulnerable_to_client_renegotiation_dos),
                None,
                times=r.client_renegotiations_success_count,
            ),
            "no",
        ),
        "secure_renegotiation": older(
            "session_renegotiation", lambda r: _said(_word(r.supports_secure_renegotiation))
        ),
        "compression": older(
            "tls_compression", lambda r: _said(_word(r.supports_compression)), "no"
        ),
        "early_data": early_data(),
        "session_id_resumption": older(
            "session_resumption", lambda r: _resumed(r.session_id_resumption_result.value)
        ),
        "ticket_resumption": tickets(),
        "extended_master_secret": older(
            "tls_extended_master_secret", lambda r: _said(_word(r.supports_ems_extension))
        ),
        "fallback_scsv": fallback(),
        "strict_transport_security": told("http_headers", _hsts),
        "curves": curves(),
        "certificates": told("certificate_info", _deployments),
        "versions": versions,
    }


def _reason(attempt: Any) -> str:
    """Why an attempt has no result. What was made a fault here is no bug of sslyze."""
    trace, why = attempt.error_trace, _short(attempt.error_trace)
    if trace is not None and trace.exc_type is _NothingOlder:
        return "sslyze could agree on no version before TLS 1.3"
    if trace is not None and issubclass(trace.exc_type, OSError) and why:
        return why.partition(": ")[2] or why
    reason = attempt.error_reason.value if attempt.error_reason else "not done"
    return f"{reason.lower().replace('_', ' ')}{f': {why}' if why else ''}"


def _word(answer: bool) -> str:
    return "yes" if answer else "no"


def _robot(result: str) -> dict[str, Any]:
    said = result.lower().replace("_", " ")
    if result.startswith("VULNERABLE"):
        return _said("yes", said)
    if result.startswith("NOT_VULNERABLE"):
        return _said("no", said)
    return _said("unknown", said)


def _resumed(result: str) -> dict[str, Any]:
    known = {"FULLY_SUPPORTED": "yes", "PARTIALLY_SUPPORTED": "yes", "NOT_SUPPORTED": "no"}
    answer = known.get(result, "not_applicable")
    return _said(answer, None if answer == "no" else result.lower().replace("_", " "))


def _hsts(result: Any) -> dict[str, Any]:
    if result.http_error_trace:
        return _said("unknown", _short(result.http_error_trace))
    header = result.strict_transport_security_header
    return _said("yes", f"max-age {header.max_age}") if header else _said("no")


def _curves(result: Any) -> dict[str, Any]:
    def names(curves: Any) -> list[str]:
        return sorted(_CURVES.get(curve.name, curve.name) for curve in curves or ())

    return _said(
        _word(result.supports_ecdh_key_exchange),
        accepted=names(result.supported_curves),
        rejected=names(result.rejected_curves),
    )


def _deployments(result: Any) -> dict[str, Any]:
    """Fingerprints and whom it found to trust them; everything else is in `certificates`."""
    import hashlib

    from cryptography.hazmat.primitives.serialization import Encoding

    found = []
    for each in result.certificate_deployments:
        leaf = each.received_certificate_chain[0].public_bytes(Encoding.DER)
        trusted = {
            validation.trust_store.name[:40]: validation.was_validation_successful
            for validation in each.path_validation_results
        }
        found.append({"fingerprint": hashlib.sha256(leaf).hexdigest(), "trusted": trusted})
    found.sort(key=lambda one: str(one["fingerprint"]))
    return _said("yes" if found else "unknown", deployments=found)


def _suites(result: Any) -> dict[str, Any]:
    accepted = [each.cipher_suite.name for each in result.accepted_cipher_suites]
    refused, silent = list[str](), list[str]()
    # It calls a suite rejected where the server was silent or hung up, too. At SSL 2.0 that is how
    # servers refuse.
    unsaid = (_RESET,) if result.tls_version_used.name == "SSL_2_0" else (_CLOSED, _RESET)
    for each in result.rejected_cipher_suites:
        said = each.error_message
        where = silent if said in unsaid or "timed out" in said.lower() else refused
        where.append(each.cipher_suite.name)
    answer = "yes" if accepted else "unknown" if silent else "no"
    why = f"{len(silent)} of its suites met a time-out or a hang-up" if silent else None
    return _said(
        answer, why, accepted=sorted(accepted), refused=sorted(refused), silent=sorted(silent)
    )


def _short(trace: Any) -> str:
    """The last line of a traceback, in ASCII."""
    if trace is None:
        return ""
    *_, last = list(trace.format_exception_only()) or [""]
    return masked(str(last).strip())[:200].encode("ascii", "backslashreplace").decode()


def main() -> None:
    asked = json.loads(sys.stdin.readline())
    memory, seconds = int(asked["memory"]), int(asked["seconds"]) + 1
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    out = os.fdopen(os.dup(1), "w")  # whatever else is printed goes nowhere
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)

    def watch() -> None:
        sys.stdin.read()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
    _strict()
    _asking()
    _telling()
    _until(asked["until"])
    json.dump(_report(_scanned(asked)), out)
    out.flush()
    os._exit(0)  # its threads may still wait for a server


if __name__ == "__main__":
    main()
