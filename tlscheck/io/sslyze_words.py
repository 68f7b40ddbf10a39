"""What sslyze has found, in the words of a report's `deep`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tlscheck.io.secret import masked
from tlscheck.io.sslyze_mended import CLOSED, RESET, NothingOlder

VERSIONS = {
    "SSLv2": "ssl_2_0_cipher_suites",
    "SSLv3": "ssl_3_0_cipher_suites",
    "TLSv1.0": "tls_1_0_cipher_suites",
    "TLSv1.1": "tls_1_1_cipher_suites",
    "TLSv1.2": "tls_1_2_cipher_suites",
    "TLSv1.3": "tls_1_3_cipher_suites",
}
_OPENSSL = "sslyze's OpenSSL: "
_CURVES = {"X25519": "x25519", "X448": "x448", "prime256v1": "secp256r1", "prime192v1": "secp192r1"}


def report(result: Any) -> dict[str, Any]:
    """All of a scan's result, ready for JSON; of what came to nothing the reason."""
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

    versions = {label: told(name, _suites) for label, name in VERSIONS.items()}

    def hole(name: str, tell: Callable[[Any], bool]) -> dict[str, Any]:
        """What versions before TLS 1.3 alone can have."""
        trace = getattr(found, name).error_trace
        if trace is None or trace.exc_type is not NothingOlder:
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


def _said(answer: str, why: str | None = None, **more: Any) -> dict[str, Any]:
    return {"answer": answer, "why": why, **more}


def _reason(attempt: Any) -> str:
    """Why an attempt has no result. What was made a fault here is no bug of sslyze."""
    trace, why = attempt.error_trace, _short(attempt.error_trace)
    if trace is not None and trace.exc_type is NothingOlder:
        return "sslyze could agree on no version before TLS 1.3"
    if trace is not None and issubclass(trace.exc_type, OSError) and why:
        return why.partition(": ")[2] or why
    reason = attempt.error_reason.value if attempt.error_reason else "not done"
    plain = reason.lower().replace("_", " ")
    if reason == "CLIENT_CERTIFICATE_NEEDED":  # which is all that it says besides
        return plain
    if trace is not None and (_of_server(trace) or why.startswith(_OPENSSL)):
        return why
    return f"{plain}{f': {why}' if why else ''}"


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
    unsaid = (RESET,) if result.tls_version_used.name == "SSL_2_0" else (CLOSED, RESET)
    for each in result.rejected_cipher_suites:
        said = each.error_message
        where = silent if said in unsaid or "timed out" in said.lower() else refused
        where.append(each.cipher_suite.name)
    answer = "yes" if accepted else "unknown" if silent else "no"
    why = f"{len(silent)} of its suites met a time-out or a hang-up" if silent else None
    return _said(
        answer, why, accepted=sorted(accepted), refused=sorted(refused), silent=sorted(silent)
    )


def _of_server(trace: Any) -> bool:
    """Whether a fault is of the server or the way to it; sslyze may call it a bug of its own."""
    from sslyze.errors import ConnectionToServerFailed

    return issubclass(trace.exc_type, ConnectionToServerFailed)


def _short(trace: Any) -> str:
    """What a traceback comes to, in a line of ASCII: what sslyze says of a server without the names
    of its classes, and of OpenSSL's errors the first."""
    if trace is None:
        return ""
    *_, last = list(trace.format_exception_only()) or [""]
    name, _, said = str(last).strip().partition("\n")[0].partition(": ")
    if name.startswith("sslyze.") and " -> " in said:
        text = said.partition(' -> "')[2].removesuffix('".').strip()
    elif name.startswith("nassl.") and said.startswith("error:"):
        text = f"{_OPENSSL}{said.rpartition(':')[2]}"
    else:
        text = f"{name}: {said}" if said else name
    return masked(text)[:200].encode("ascii", "backslashreplace").decode()
