"""Data with every field filled, for payloads to be put into."""

from __future__ import annotations

import copy
import json
from typing import Any

from tlscheck.core.model import Endpoint

EVERY = ("SSLv2", "SSLv3", "TLSv1.0", "TLSv1.1", "TLSv1.2", "TLSv1.3")


def report() -> dict[str, Any]:
    """A `tlscheck-report/1` with something at every place that the format has, and then some."""
    return copy.deepcopy(_REPORT)


_LEAF: dict[str, Any] = {
    "position": 0, "fingerprint": "aa", "serial": "01", "subject": "CN=leaf", "issuer": "CN=ca,O=x",
    "not_before": "2026-11-24T02:00:00Z", "not_after": "2027-11-24T02:00:00Z", "days_left": 365,
    "lifetime_days": 365, "pin": "bb", "key": {"type": "EC", "bits": 256, "curve": "secp256r1"},
    "signature": {"oid": "1.2", "name": "ecdsa-with-SHA256", "hash": "sha256"}, "scts": 2,
    "names": {"dns": ["a"], "ip": ["192.0.2.1"], "others": [], "more": 0}, "must_staple": True,
    "problems": {"key_usage": "malformed"}, "versions": ["TLSv1.3"], "handshake_scts": 0,
    "staple_scts": 1, "distinct_scts": 3,
    "for_name": {"name": "a", "answer": "no", "why": "w"},
    "trust": {"system": {"answer": "yes", "why": "w"}},
    "staple": {"status": "good", "why": "w", "age_hours": 3, "about_leaf": "yes", "signed": "no"},
    "chain": {"sent": 2, "in_order": True, "extra": [1], "missing": "CN=m"},
}  # fmt: skip


def _target(address: str, offered: str) -> dict[str, Any]:
    protocol = {
        "offered": offered, "why": "a why", "suites": ["TLS_AES_128_GCM_SHA256"],
        "order": "server", "groups": ["x25519"],
    }  # fmt: skip
    return {
        "address": address,
        "reachable": "yes",
        "why": "target why",
        "connections": 9,
        "protocols": {version: dict(protocol) for version in EVERY},
        "certificates": [_LEAF, {"subject": "CN=a", "names": ["a", "b"], "issuer": {"O": ["b"]}}],
        "https": {
            "outcome": "yes", "why": "w", "status": 200, "version": "TLSv1.3",
            "suite": "TLS_AES_128_GCM_SHA256", "group": "x25519", "alpn": "h2", "server": "nginx",
            "strict_transport_security": "max-age=9", "first_byte_ms": 3, "leaf": "aa",
        },
        "http": {
            "outcome": "redirect", "why": "w", "location": "http://a/", "status": 301,
            "secure": False, "server": "x", "headers": [["server", "x"]],
        },
        "features": {
            "notes": ["TLSv1.2: a note", "another"],
            "unoffered": ["TLSv1.2: picked 0x1A1A"],
            "mixed": "TLSv1.2: picked and refused",
            "unsteady": ["TLSv1.2"],
            "skipped": "because",
            "pinned": True,
            "alpn": {"answer": "yes", "why": "w", "offered": ["h2"], "picked": "h2"},
            "signature_schemes": {"answer": "yes", "why": None, "TLSv1.2": ["rsa_pss_rsae_sha256"]},
        },
        "deep": {
            "outcome": "yes", "why": "w", "heartbleed": {"answer": "no", "why": "w"},
            "compared": {"TLSv1.2": {"answer": "disagree", "why": "w", "theirs": ["x"]}},
        },
    }  # fmt: skip


def _bare(address: str) -> dict[str, Any]:
    """A second target, unlike the first: every field once is enough for payloads."""
    protocol = {"offered": "unknown", "why": "a why", "suites": [], "order": None, "groups": []}
    return {
        "address": address, "reachable": "unknown", "why": "w", "connections": 1,
        "protocols": {"TLSv1.2": protocol}, "certificates": [], "https": {}, "http": {},
        "features": {"notes": ["TLSv1.2: a note"]}, "deep": None,
    }  # fmt: skip


_FINDING = {
    "endpoint": "sts:aws:us-east-1:standard", "policy": "aws-iam-2020", "rule": "pfs",
    "verdict": "fail", "saw": "nothing", "because": "no reason",
}  # fmt: skip
_REPORT: dict[str, Any] = {
    "schema": "tlscheck-report/1",
    "tool": {"name": "tlscheck", "version": "0.1.0"},
    "run": {
        "id": "a1b2c3d4", "started": "2026-11-24T02:00:00Z", "finished": "2026-11-24T02:01:00Z",
        "complete": True, "connections": 18, "depth": "standard",
    },
    "policies": [{"id": "aws-iam-2020", "as_of": "2026-11-24"}],
    "endpoints": [
        {
            "id": "sts:aws:us-east-1:standard", "service": "sts", "partition": "aws",
            "region": "us-east-1", "variant": "standard", "host": "sts.us-east-1.amazonaws.com",
            "port": 443, "mixed": True,
            "targets": [_target("192.0.2.7", "yes"), _bare("2001:db8::7")],
        }
    ],
    "findings": [_FINDING, {**_FINDING, "endpoint": "of none", "verdict": "warn"}],
    "summary": dict.fromkeys(
        ("pass", "exceeds", "warn", "fail", "inconclusive", "not_applicable", "waived"), 1
    ),
}  # fmt: skip

_ONE = ("endpoints", 0, "targets", 0)
SHOWN = {
    ("policies", 0, "id"),
    ("policies", 0, "as_of"),
    ("endpoints", 0, "host"),
    ("endpoints", 0, "targets", 0, "address"),
    ("endpoints", 0, "targets", 0, "features", "mixed"),
    ("endpoints", 0, "targets", 0, "features", "notes", 0),
    ("findings", 0, "policy"),
    ("findings", 0, "rule"),
    ("findings", 0, "because"),
    ("findings", 1, "endpoint"),
}
"""The places of a report that a table shows."""

IN_FULL = {
    (*_ONE, "certificates", 0, *place)
    for place in (
        ("subject",), ("issuer",), ("serial",), ("not_after",), ("fingerprint",), ("pin",),
        ("key", "type"), ("key", "curve"), ("signature", "name"), ("names", "dns", 0),
        ("names", "ip", 0), ("problems", "key_usage"), ("versions", 0), ("for_name", "why"),
        ("trust", "system", "why"), ("staple", "status"), ("chain", "missing"),
    )
} | {
    (*_ONE, *place)
    for place in (
        ("address",), ("why",), ("protocols", "TLSv1.2", "suites", 0),
        ("protocols", "TLSv1.2", "groups", 0), ("https", "why"), ("https", "server"),
        ("https", "strict_transport_security"), ("https", "alpn"), ("http", "location"),
        ("http", "why"), ("features", "alpn", "picked"), ("features", "alpn", "why"),
        ("features", "signature_schemes", "TLSv1.2", 0), ("features", "notes", 0),
        ("features", "mixed"), ("deep", "heartbleed", "why"), ("deep", "why"),
        ("deep", "compared", "TLSv1.2", "why"),
    )
} | {("endpoints", 0, "host"), ("findings", 0, "because"), ("run", "id")}  # fmt: skip
"""The places that one endpoint in full shows besides."""

# --- data files

ROW: dict[str, Any] = {
    "id": "sts:mine:one:standard",
    "service": "sts",
    "partition": "mine",
    "region": "one",
    "variant": "standard",
    "host": "sts.one.example.com",
    "port": 443,
    "tier": "custom",
    "opt_in": "unknown",
    "ip": "ipv4",
    "description": "a description",
    "addresses": ["127.0.0.1"],
    "server_name": "sni.one.example.com",
    "verify_name": "cert.one.example.com",
    "deprecated": False,
    "documented": "yes",
    "documented_in": ["a document"],
    "signing_region": "one",
    "serves_regions": ["two"],
    "note": "a note",
}
SOURCE = {"name": "me", "version": "1", "made": "today", "partition": "mine"}
assert set(ROW) == set(Endpoint.__dataclass_fields__) - {"alias_of"}


def endpoints() -> dict[str, Any]:
    """An endpoint file with every field; the second row is an alias of the first."""
    alias = {"host": ROW["host"], "id": "two", "alias_of": ROW["id"], "tier": "alias"}
    return copy.deepcopy({"source": SOURCE, "endpoint": [ROW, alias]})


# --- policies


def policy() -> dict[str, Any]:
    """A policy file with every field, and a rule for each check with free names in it."""
    citation = {
        "document": "a book", "section": "1", "url": "https://example.com/1", "verified": "primary",
    }  # fmt: skip
    rule = {
        "id": "versions", "check": "versions", "text": "A text.", "level": "MUST",
        "severity": "high", "citation": citation,
        "applies_to": {"services": ["sts", "other"], "variants": ["standard"]},
        "params": {"required": ["TLSv1.3"], "forbidden": ["SSLv2"]},
    }  # fmt: skip
    return copy.deepcopy(
        {
            "id": "mine-1", "title": "Mine", "publisher": "me", "version": "1",
            "published": "2026-11-24", "status": "current", "supersedes": "mine-0",
            "url": "https://example.com/", "notes": ["a note", "another"],
            "rule": [
                rule,
                rule | {"id": "groups", "check": "groups", "params": {"forbidden": ["x25519"]},
                        "applies_to": {"partitions": ["aws"]}},
                rule | {"id": "dns", "check": "dns", "params": {"ipv4_only": ["a.example"]}},
            ],
        }
    )  # fmt: skip


# --- TOML

_DATES = ("published",)


def toml(tree: dict[str, Any]) -> str:
    """`tree` as TOML, all tables but the outermost inline."""
    return "".join(f"{_key(k)} = {_value(k, v)}\n" for k, v in tree.items())


def _key(text: str) -> str:
    return text if text.isascii() and text.isalpha() else _string(text)


def _value(key: str, value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_key(k)} = {_value(k, v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_value("", v) for v in value) + "]"
    if isinstance(value, str) and not (key in _DATES and value[:4].isdecimal()):
        return _string(value)
    return value if isinstance(value, str) else json.dumps(value)


def _string(text: str) -> str:
    return '"' + "".join(_escape(c) for c in text) + '"'


def _escape(char: str) -> str:
    if " " <= char <= "~" and char not in '"\\':
        return char
    return f"\\U{ord(char):08x}"
