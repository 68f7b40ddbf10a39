"""sslyze, mended in the process of `sslyzed` so that it says nothing that it has not heard.

What it takes for an answer although it was a silence or a reset is made a fault, and so becomes
unknown: where it says "no" after a time-out, it is given an exception that it does not expect. And
what it says without asking is asked: Heartbleed, CCS injection and the extended master secret where
TLS 1.3 is spoken, too.
"""

from __future__ import annotations

import threading
import time
import types
from collections import Counter
from collections.abc import Callable
from typing import Any

# What sslyze says of a handshake that ended without an alert. An older server than TLS knows none.
CLOSED, RESET = "Server interrupted the TLS handshake", "Server rejected the connection"
_DECRYPTION_FAILED = 21


class _Never(Exception):
    """Nobody raises it: what stands in its place is no longer caught."""


class NothingOlder(Exception):
    """sslyze could agree on no version before TLS 1.3."""


def mend(until: float) -> None:
    """Mends sslyze, which is to be done at `until` (of the system's monotonic clock)."""
    _strict()
    _asking()
    _telling()
    _until(until)


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
                raise NothingOlder
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
                heard.hung_up = fault.error_message in (CLOSED, RESET)
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
