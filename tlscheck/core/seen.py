"""What is compared of certificates, HTTP, features and what sslyze says: only what stays as it is
while nothing changes, however often it is looked at. Pure.

Each function gives, by topic, the values in a fixed order and whether all was seen. Reports come in
as plain data, and one from elsewhere may hold anything.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

Seen = dict[str, tuple[tuple[str, ...], bool]]
Targets = Sequence[Mapping[str, Any]]

CERTIFICATE, RENEWED = "certificate", "certificate serial"
FOR_NAME, TRUSTED = "certificate for its name", "certificate trusted by"
OF_CERTIFICATE = (CERTIFICATE, FOR_NAME, TRUSTED)

FEATURES = (
    "compression", "secure_renegotiation", "extended_master_secret", "encrypt_then_mac",
    "session_tickets", "ocsp_stapling", "fallback_scsv", "downgrade_sentinel", "alpn",
    "signature_schemes", "dh", "hybrid_preference",
)  # fmt: skip
"""The features that are compared. Whether a DH value is used twice depends on the moment."""

DEEP = (
    "heartbleed", "ccs_injection", "robot", "client_renegotiation", "compression", "early_data",
)  # fmt: skip
"""What is compared of sslyze's answers: what nothing else tells. Whether a session is resumed
depends on the moment, too, where many servers share one address."""
DEEP_TRUST = "deep trust"
VULNERABLE = frozenset(("feature compression", *(f"deep {n}" for n in DEEP if n != "early_data")))
"""The topics of which a "yes" is a server that can be attacked."""


def certificates(targets: Targets) -> Seen:
    """What a renewal leaves as it was (whose, for whom, by whom, trusted by whom), and what it
    brings. Of the issuer the organization counts: authorities change their intermediates."""
    leaves = [c for t in targets for c in t["certificates"] if _is_leaf(c)]
    whole = bool(targets) and all(t["certificates"] for t in targets)
    names = [_answer(leaf.get("for_name")) for leaf in leaves]
    trust = [answer for leaf in leaves for answer in _trusting(leaf.get("trust"))]
    return {
        CERTIFICATE: (_sorted(map(_lasting, leaves)), whole),
        RENEWED: (_sorted(map(_renewed, leaves)), whole),
        FOR_NAME: (_known(names), whole and None not in names),
        TRUSTED: (_known(trust), whole and None not in trust),
    }


def _known(values: Sequence[str | None]) -> tuple[str, ...]:
    return _sorted(value for value in values if value is not None)


def _is_leaf(certificate: Any) -> bool:
    return isinstance(certificate, dict) and certificate.get("position", 0) == 0


def _sorted(values: Any) -> tuple[str, ...]:
    return tuple(sorted(set(values)))


def _lasting(leaf: Mapping[str, Any]) -> str:
    parts = {
        "subject": leaf.get("subject"),
        "issuer": _organization(leaf.get("issuer")),
        "key": _words(leaf.get("key")),
        "names": _names(leaf.get("names")),
        "missing": _chain(leaf, "missing"),
        "in order": None if _chain(leaf, "in_order") is not False else "no",
    }
    return ", ".join(f"{name} {value}" for name, value in parts.items() if value is not None)


def _organization(issuer: Any) -> str | None:
    if not isinstance(issuer, str):
        return None
    found = re.search(r"(?:^|,)O=((?:\\.|[^,\\])*)", issuer)
    return found[1] if found else issuer


def _words(value: Any) -> str | None:
    if isinstance(value, dict):
        return " ".join(str(part) for part in value.values())
    return None if value is None else str(value)


def _names(names: Any) -> str | None:
    if not isinstance(names, dict):
        return None if names is None else str(names)
    kinds = (names.get(kind) for kind in ("dns", "ip"))
    return " ".join(sorted(str(each) for kind in kinds if isinstance(kind, list) for each in kind))


def _answer(said: Any) -> str | None:
    answer = said.get("answer") if isinstance(said, dict) else None
    return answer if isinstance(answer, str) and answer != "unknown" else None


def _trusting(trust: Any) -> list[str | None]:
    """What each store says of it; `None` for one that does not know."""
    said = trust if isinstance(trust, dict) else {"": None}
    answers = {store: _answer(each) for store, each in said.items()}
    return [answer and f"{store} {answer}" for store, answer in answers.items()]


def _chain(leaf: Mapping[str, Any], part: str) -> Any:
    chain = leaf.get("chain")
    return chain.get(part) if isinstance(chain, dict) else None


def _renewed(leaf: Mapping[str, Any]) -> str:
    parts = ("serial", "not_after", "fingerprint")
    return ", ".join(f"{part} {leaf[part]}" for part in parts if part in leaf)


def http(targets: Targets) -> Seen:
    """What answers in clear, on port 80."""
    said = [t.get("http") or {} for t in targets]
    known = [s for s in said if s.get("outcome", "unknown") != "unknown"]
    values = _sorted(
        f"{s['outcome']} to {s['location']}" if s.get("location") else str(s["outcome"])
        for s in known
    )
    return {"http": (values, bool(said) and len(known) == len(said))}


def features(targets: Targets) -> Seen:
    """What the server does, feature by feature; one that has no place there has no value."""
    return {f"feature {name}": _feature(targets, name) for name in FEATURES}


def _feature(targets: Targets, name: str) -> tuple[tuple[str, ...], bool]:
    values: list[str] = []
    whole = bool(targets)
    for target in targets:
        said = target["features"].get(name)
        answer = _answer(said)
        if answer is None:
            whole = False
        elif answer != "not_applicable":
            values += _details(name, said, answer)
            whole = whole and not (name == "signature_schemes" and said.get("why"))
    return _sorted(values), whole


def deep(targets: Targets) -> Seen:
    """What sslyze says of the server; and which of its stores trust the certificates it is sent,
    whatever these are: they are renewed."""
    held = [t.get("deep") for t in targets]
    said = [each if isinstance(each, dict) else {} for each in held]
    found: Seen = {}
    for name in DEEP:
        answers = [_answer(each.get(name)) for each in said]
        values = _sorted(a for a in answers if a not in (None, "not_applicable"))
        found[f"deep {name}"] = values, bool(said) and None not in answers
    trust = [answer for each in said for answer in _deployed(each.get("certificates"))]
    found[DEEP_TRUST] = _known(trust), bool(said) and None not in trust
    return found


def _deployed(said: Any) -> list[str | None]:
    """What each of sslyze's stores says of each certificate; `None` where that is not known."""
    held = said.get("deployments") if _answer(said) == "yes" else None
    if not isinstance(held, list) or not held:
        return [None]
    stores = [each.get("trusted") if isinstance(each, dict) else None for each in held]
    return [
        f"{store} {'yes' if trusted is True else 'no'}" if isinstance(trusted, bool) else None
        for each in stores
        for store, trusted in (each if isinstance(each, dict) else {"": None}).items()
    ]


def _details(name: str, said: Mapping[str, Any], answer: str) -> list[str]:
    if name == "signature_schemes":
        accepted = said.get("TLSv1.3")
        return [str(each) for each in accepted] if isinstance(accepted, list) else []
    detail = {"dh": "bits", "alpn": "picked", "hybrid_preference": "picked"}.get(name)
    value = said.get(detail) if detail else None
    return [answer if value is None else f"{answer} ({value})"]
