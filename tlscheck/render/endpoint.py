"""One endpoint of a report in full: what was seen at each address, and what the rules say to it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from tlscheck.core import registry
from tlscheck.core.model import (
    VERDICTS,
    EndpointReport,
    Finding,
    Protocol,
    Report,
    TargetReport,
)
from tlscheck.core.names import place
from tlscheck.render.clean import clean, columns, wrap

_LABEL = 13  # columns of a label
_TIMES = ("first_byte_ms",)  # what differs between two equal servers


def render(report: Report, endpoint: EndpointReport, *, width: int = 80) -> str:
    """The endpoint, its addresses (equal ones together) and its findings, worst first; no line
    takes more than `width` columns. Ends with newline."""
    page = _Page(max(width, 20))
    page.line(endpoint.id)
    what = ", ".join((endpoint.service, endpoint.partition, endpoint.region, endpoint.variant))
    page.line(f"{place(endpoint.host, endpoint.port)} ({what})")
    if endpoint.mixed:
        page.line("mixed: its servers are unequal, see below")
    for targets in _alike(endpoint.targets):
        page.gap()
        _target(page, targets)
    page.gap()
    _findings(page, [f for f in report.findings if f.endpoint == endpoint.id])
    run = report.run
    page.gap()
    page.line(f"Run {run.id}, {run.started}" + ("" if run.complete else "; not complete"))
    return "\n".join(page.lines) + "\n"


def as_json(report: Report, endpoint: EndpointReport) -> str:
    """The endpoint and its findings as JSON in ASCII."""
    own = [asdict(f) for f in report.findings if f.endpoint == endpoint.id]
    text = json.dumps({"endpoint": asdict(endpoint), "findings": own}, indent=2, allow_nan=False)
    return text.replace("\x7f", "\\u007f") + "\n"


class _Page:
    """Lines of a width, from texts that may hold anything."""

    def __init__(self, width: int) -> None:
        self.width = width
        self.lines: list[str] = []

    def line(self, text: Any, indent: int = 0) -> None:
        lead = " " * indent
        self.lines += wrap(clean(_text(text)), self.width, lead, lead + "  ")

    def field(self, label: str, text: Any, indent: int = 2, room: int = _LABEL) -> None:
        """A label, and a text that goes on below itself."""
        lead = " " * indent + clean(label)
        lead += " " * max(1, indent + room - columns(lead))
        self.lines += wrap(clean(_text(text)), self.width, lead, " " * (indent + room))

    def gap(self) -> None:
        if self.lines and self.lines[-1]:
            self.lines.append("")


def _text(value: Any) -> str:
    """A report from elsewhere may hold anything where text should be."""
    if isinstance(value, str):
        return value
    return "-" if value is None else json.dumps(value, ensure_ascii=True, default=str)


def _table(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _joined(values: Any, between: str = " ") -> str:
    return between.join(map(_text, values)) if isinstance(values, list | tuple) else _text(values)


def _alike(targets: Iterable[TargetReport]) -> list[list[TargetReport]]:
    """Targets of which the same is reported, in order."""
    groups: list[tuple[TargetReport, list[TargetReport]]] = []
    for target in targets:
        https = {k: v for k, v in target.https.items() if k not in _TIMES}
        bare = replace(target, address="", connections=0, https=https)
        known = next((group for first, group in groups if first == bare), None)
        if known is None:
            groups.append((bare, [target]))
        else:
            known.append(target)
    return [group for _, group in groups]


def _target(page: _Page, targets: Sequence[TargetReport]) -> None:
    target = targets[0]
    word = "Address" if len(targets) == 1 else "Addresses"
    page.line(f"{word} {', '.join(t.address or '-' for t in targets)}")
    state = {"yes": "answers", "no": "not reachable"}.get(target.reachable, target.reachable)
    spent = sum(t.connections for t in targets)
    page.line(f"{state}{_because(target.why)}; {spent} connections", indent=2)
    for version, protocol in sorted(target.protocols.items(), key=_newest):
        _protocol(page, version, protocol)
    for certificate in target.certificates:
        if _table(certificate).get("position", 0) == 0:
            page.gap()
            _certificate(page, certificate)
    if target.https or target.http:
        page.gap()
        _requests(page, target)
    if target.features:
        page.gap()
        _features(page, target.features)
    if target.deep:
        page.gap()
        _deep(page, target.deep)


def _because(why: Any) -> str:
    return f": {_text(why)}" if why else ""


def _newest(item: tuple[str, Protocol]) -> tuple[int, str]:
    return -registry.VERSION_BY_LABEL.get(item[0], 0), item[0]


def _protocol(page: _Page, version: str, protocol: Protocol) -> None:
    if protocol.offered != "yes":
        page.field(version, f"{protocol.offered}{_because(protocol.why)}")
        return
    order = {"server": "in the server's order", "client": "in the client's order"}
    said = order.get(protocol.order or "", "")
    page.field(version, "yes" + (f", {said}" if said else "") + _because(protocol.why))
    for name in protocol.suites:
        marks = _marks(name)
        room = page.width - columns(marks) - 2
        text = clean(name)
        if columns(text) + 6 <= room:
            text += " " * (room - columns(text) - 6)
            page.lines.append(f"      {text}  {marks}".rstrip())
        else:
            page.line(f"{name}  {marks}", indent=6)
    if protocol.groups:
        page.field("groups", _joined(protocol.groups), indent=6, room=8)


def _marks(name: str) -> str:
    """Forward secrecy and AEAD, of a suite that is known."""
    suite = registry.known_suite(name)
    if suite is None:
        return "       "
    return f"{'FS' if suite.forward_secrecy else '--'} {'AEAD' if suite.aead else '----'}"


# --- a certificate


def _certificate(page: _Page, leaf: Mapping[str, Any]) -> None:
    key = _table(leaf.get("key"))
    kind = f"{_text(key.get('type'))} {_text(key.get('curve') or key.get('bits'))}"
    page.line(f"Certificate, {kind} ({_joined(leaf.get('versions', []), ', ')})", indent=2)
    names = _table(leaf.get("names"))
    said = [_joined(names[k]) for k in ("dns", "ip") if names.get(k)]
    more = names.get("more")
    rows = {
        "subject": leaf.get("subject"),
        "names": " ".join(said) + (f" and {_text(more)} more" if more else "") or "none",
        "issuer": leaf.get("issuer"),
        "serial": leaf.get("serial"),
        "valid": _validity(leaf),
        "signature": _table(leaf.get("signature")).get("name"),
        "SHA-256": leaf.get("fingerprint"),
        "pin": leaf.get("pin"),
        "for name": _answered(leaf.get("for_name")),
        "trusted by": _trust(leaf.get("trust")),
        "chain": _chain(_table(leaf.get("chain"))),
        "staple": _staple(leaf),
        "timestamps": _timestamps(leaf),
    }
    for label, value in rows.items():
        page.field(label, value, indent=4, room=12)
    for name, why in _table(leaf.get("problems")).items():
        page.field("not read", f"{_text(name)}: {_text(why)}", indent=4, room=12)


def _validity(leaf: Mapping[str, Any]) -> str:
    dates = f"{_text(leaf.get('not_before'))} to {_text(leaf.get('not_after'))}"
    left, whole = leaf.get("days_left"), leaf.get("lifetime_days")
    if not isinstance(left, int):
        return dates
    if isinstance(whole, int) and left > whole:
        return f"{dates}; for {whole} days, and not yet"
    ended = f"ended {-left} days ago" if left < 0 else f"{left} days left"
    return f"{dates}; {ended} of {_text(whole)}"


def _answered(said: Any) -> str:
    table = _table(said)
    answer = _text(table.get("answer")).replace("_", " ")
    return f"{answer}{_because(table.get('why'))}"


def _trust(trust: Any) -> str:
    stores = [f"{_text(store)} {_answered(said)}" for store, said in _table(trust).items()]
    return "; ".join(stores) or "no store on this machine"


def _chain(chain: Mapping[str, Any]) -> str:
    said = [f"{_text(chain.get('sent'))} sent"]
    said.append("in order" if chain.get("in_order") else "out of order")
    if extra := chain.get("extra"):
        said.append(f"not needed: {_joined(extra, ', ')}")
    if missing := chain.get("missing"):
        said.append(f"missing: {_text(missing)}")
    return ", ".join(said)


def _timestamps(leaf: Mapping[str, Any]) -> str:
    ways = {"scts": "in it", "handshake_scts": "in the handshake", "staple_scts": "in the staple"}
    said = ", ".join(f"{_text(leaf.get(name))} {way}" for name, way in ways.items())
    return f"{said}; {_text(leaf.get('distinct_scts'))} different"


def _staple(leaf: Mapping[str, Any]) -> str:
    must = " (it must be stapled)" if leaf.get("must_staple") else ""
    staple = _table(leaf.get("staple"))
    if not staple:
        return f"none{must}"
    status, age = staple.get("status"), staple.get("age_hours")
    if status is None:
        return f"says nothing{_because(staple.get('why'))}{must}"
    said = f"{_text(status)}{_because(staple.get('why'))}"
    said += f", since {_text(staple['revoked'])}" if staple.get("revoked") else ""
    said += f", {age} hours old" if isinstance(age, int) and age >= 0 else ""
    about, signed = staple.get("about_leaf"), staple.get("signed")
    return f"{said}; about this one: {_text(about)}, signed by its issuer: {_text(signed)}{must}"


# --- requests, features


def _requests(page: _Page, target: TargetReport) -> None:
    https, http = target.https, target.http
    if https:
        said = [f"{_text(https.get('outcome'))}{_because(https.get('why'))}"]
        said += [f"status {_text(https['status'])}"] if https.get("status") is not None else []
        parts = ("version", "suite", "group", "alpn")
        said += [_text(https[part]) for part in parts if https.get(part)]
        if https.get("first_byte_ms") is not None:
            said.append(f"first byte after {_text(https['first_byte_ms'])} ms")
        page.field("HTTPS", ", ".join(said))
        for label, part in (("Server", "server"), ("HSTS", "strict_transport_security")):
            if https.get(part):
                page.field("", f"{label}: {_text(https[part])}")
    if http:
        said = [f"{_text(http.get('outcome'))}{_because(http.get('why'))}"]
        said += [f"status {_text(http['status'])}"] if http.get("status") is not None else []
        said += [f"to {_text(http['location'])}"] if http.get("location") else []
        page.field("HTTP, 80", ", ".join(said))


_DETAILS = ("method", "picked", "bits", "group", "TLSv1.2", "TLSv1.3", "ECDHE", "DHE")
_PROSE = ("notes", "unoffered", "mixed", "unsteady", "skipped")


def _features(page: _Page, features: Mapping[str, Any]) -> None:
    page.line("Features", indent=2)
    for name, said in features.items():
        if isinstance(said, dict) and "answer" in said:
            details = [
                f"{part} {_joined(said[part])}"
                for part in _DETAILS
                if said.get(part) not in (None, [])
            ]
            answer = _text(said["answer"]).replace("_", " ")
            text = "; ".join([f"{answer}{_because(said.get('why'))}", *details])
            page.field(name.replace("_", " "), text, indent=4, room=24)
        elif name in _PROSE:
            page.field(name, _joined(said, "; "), indent=4, room=24)
        elif name != "pinned":
            page.field(name, said, indent=4, room=24)


_RIGHT = {"ours": "we are right", "theirs": "sslyze is right"}


def _deep(page: _Page, deep: Mapping[str, Any]) -> None:
    page.line("Second opinion, of sslyze", indent=2)
    for name, said in deep.items():
        if isinstance(said, dict) and "answer" in said:
            page.field(name.replace("_", " "), _answered(said), indent=4, room=27)
        elif isinstance(said, dict):
            for inner, each in said.items():
                label = f"{name} {inner}".replace("_", " ")
                page.field(label, _answered(each) if isinstance(each, dict) and "answer" in each
                           else each, indent=4, room=27)  # fmt: skip
                for suite, right in _table(_table(each).get("confirmed")).items():
                    page.line(f"{_text(suite)}: {_RIGHT.get(_text(right), 'open')}", indent=6)
        elif said not in (None, [], ""):
            page.field(name.replace("_", " "), _joined(said, "; "), indent=4, room=27)


def _findings(page: _Page, findings: Sequence[Finding]) -> None:
    if not findings:
        page.line("No rule was held against it.")
        return
    page.line("Findings")
    for finding in sorted(findings, key=lambda f: VERDICTS.index(f.verdict)):
        rule = f"{finding.policy}/{finding.rule}"
        page.line(f"{finding.verdict} {rule}: {finding.because}", indent=2)
        if finding.saw:
            page.line(f"saw: {finding.saw}", indent=4)
