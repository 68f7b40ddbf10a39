"""A report as a table for terminals: one line an endpoint, worst first, then the reasons."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from tabulate import tabulate

from tlscheck.core.model import (
    VERDICTS,
    EndpointReport,
    Finding,
    Protocol,
    Report,
    TargetReport,
    Verdict,
    worst,
)
from tlscheck.core.names import place
from tlscheck.render.clean import clean, columns, cut, cut_middle, wide, wrap

_HEADERS = ("verdict", "endpoint", "versions", "note")
_GAP = 2  # what tabulate puts between the columns of a plain table

_COLOURS: dict[Verdict, str] = {
    "fail": "\x1b[31m",
    "inconclusive": "\x1b[35m",
    "warn": "\x1b[33m",
    "exceeds": "\x1b[36m",
    "pass": "\x1b[32m",
    "waived": "\x1b[2m",
    "not_applicable": "\x1b[2m",
}
_PLAIN = "\x1b[0m"

_QUIET: tuple[Verdict, ...] = ("exceeds", "pass", "not_applicable")  # with no note of their own

# What a note leaves out, so that the telling word comes first.
_SHORTER = (
    ("TLSv1.", "1."),
    (" is offered", " offered"),
    (" is required and not offered", " missing"),
    ("certificate has ", ""),
    ("certificate is ", ""),
    ("SSLv2, SSLv3, 1.0, 1.1, 1.2, 1.3 unknown: ", ""),
)

_SHORT = {
    "SSLv2": "ssl2",
    "SSLv3": "ssl3",
    "TLSv1.0": "1.0",
    "TLSv1.1": "1.1",
    "TLSv1.2": "1.2",
    "TLSv1.3": "1.3",
}


@dataclass(frozen=True, slots=True)
class _Row:
    verdict: Verdict
    id: str
    host: str
    versions: str
    note: str


def render(report: Report, *, colour: bool, width: int = 80, path: str | None = None) -> str:
    """The table, the reasons and the sum; no line takes more than `width` columns.

    `path` is the file that the report was written to, to be named. Ends with newline.
    """
    findings: dict[str, list[Finding]] = {}
    for finding in report.findings:
        findings.setdefault(finding.endpoint, []).append(finding)
    names = _names(report)
    rows = sorted(
        (_row(each, findings.get(each.id, ()), names[each.id]) for each in report.endpoints),
        key=lambda row: (VERDICTS.index(row.verdict), row.id),
    )
    parts = [
        _table(rows, width, colour),
        _legend(rows),
        _reasons(report, names, width, colour),
        _mixed(report, names, width),
        _notes(report, names, width),
        wrap(f"Report: {clean(path)}", width) if path is not None else [],
        _sum(report, rows, width),
    ]
    return "\n\n".join("\n".join(part) for part in parts if part) + "\n"


def _names(report: Report) -> dict[str, str]:
    """What endpoints are called, by id: host and port."""
    # A port that all share says nothing in a line; a lone endpoint shows its own.
    ports = {endpoint.port for endpoint in report.endpoints}
    common = ports.pop() if len(ports) == 1 and len(report.endpoints) > 1 else 443
    hosts = {each.id: (clean(each.host), each.port) for each in report.endpoints}
    return {
        name: host if port == common else place(host, port) for name, (host, port) in hosts.items()
    }


def _row(endpoint: EndpointReport, own: Sequence[Finding], host: str) -> _Row:
    verdict = worst(tuple(finding.verdict for finding in own))
    addresses = [target.address for target in endpoint.targets]
    return _Row(verdict, endpoint.id, host, _versions(endpoint), _note(verdict, own, addresses))


def _note(verdict: Verdict, own: Sequence[Finding], addresses: Sequence[str]) -> str:
    """Why, as short as it goes; in full it stands below the table."""
    if not own:
        return "no rule was held against it"
    if verdict in _QUIET:
        return ""
    why = next(finding.because for finding in own if finding.verdict == verdict)
    for address in addresses:
        why = why.removeprefix(f"{address}: ")
    for long, short in _SHORTER:
        why = why.replace(long, short)
    return clean(why)


def _versions(endpoint: EndpointReport) -> str:
    """`1.2 1.3`; `1.0?` is not known, `1.1*` is offered on some addresses only; `?` is nothing.

    What may have been at an address that nobody saw is no version: the note tells of it."""
    probed = [target for target in endpoint.targets if target.protocols]
    asked = [target for target in probed if target.address] or probed
    said = [(short, _answers(asked, version)) for version, short in _SHORT.items()]
    if all(answers <= {"unknown"} for _, answers in said):
        return "?"
    shown = [
        short + ("*" if "no" in answers else "") if "yes" in answers else short + "?"
        for short, answers in said
        if answers - {"no"}
    ]
    return " ".join(shown) or "none"


def _answers(targets: Sequence[TargetReport], version: str) -> set[str]:
    missing = Protocol(offered="unknown")
    return {target.protocols.get(version, missing).offered for target in targets}


# --- the table


def _table(rows: Sequence[_Row], width: int, colour: bool) -> list[str]:
    cells = [(row.verdict, row.host, row.versions, row.note) for row in rows]
    natural = [max(map(columns, column)) for column in zip(_HEADERS, *cells, strict=True)]
    verdict, host, versions, note = _fitted(natural, width)
    fitted = [
        (cut(a, verdict), cut_middle(b, host), cut(c, versions), cut(d, note))
        for a, b, c, d in [_HEADERS, *cells]
    ]
    rule = tuple("-" * column for column in (verdict, host, versions, note))
    lines = [cut(line, width) for line in _laid_out([fitted[0], rule, *fitted[1:]])]
    if not colour:
        return lines
    return lines[:2] + [
        _coloured(line, row.verdict, min(verdict, width))
        for line, row in zip(lines[2:], rows, strict=True)
    ]


def _fitted(natural: Sequence[int], width: int) -> list[int]:
    """Column widths whose sum fits: the note gives way first, then a part of the host, versions,
    the rest of the host, the verdict."""
    least = ((3, 14), (1, 32), (2, 8), (1, 12), (3, 0), (0, 4))
    fitted = list(natural)
    over = sum(fitted) + _GAP * (len(fitted) - 1) - width
    for column, floor in least:
        give = max(0, min(over, fitted[column] - floor))
        fitted[column] -= give
        over -= give
    return fitted


def _laid_out(cells: Sequence[Sequence[str]]) -> list[str]:
    """The cells as lines. tabulate counts characters, so a wide one goes in as two stand-ins."""
    seen: dict[str, str] = {}

    def stand_in(char: str) -> str:
        # Private characters: `clean` has left none, and they count as one column each.
        return seen.setdefault(char, chr(0xF0000 + len(seen)) + "\U0010fffd")

    def narrow(cell: str) -> str:
        return "".join(stand_in(char) if wide(char) else char for char in cell)

    text = tabulate(
        [[narrow(cell) for cell in row] for row in cells], tablefmt="plain", disable_numparse=True
    )
    back = {ord(pair[0]): char for char, pair in seen.items()} | {0x10FFFD: ""}
    return [line.rstrip() for line in text.translate(back).split("\n")]


def _coloured(line: str, verdict: Verdict, width: int) -> str:
    word = line[:width].split(" ")[0]
    return f"{_COLOURS[verdict]}{word}{_PLAIN}{line[len(word) :]}"


def _legend(rows: Sequence[_Row]) -> list[str]:
    return ["* not on every address"] if any("*" in row.versions for row in rows) else []


# --- below the table


def _reasons(report: Report, names: Mapping[str, str], width: int, colour: bool) -> list[str]:
    """Every verdict but the good ones in full: one block a reason, with the rules and the hosts
    that share it. What exceeds is counted only."""
    shared: dict[tuple[Verdict, str], dict[str, list[str]]] = {}
    for finding in report.findings:
        host = names.get(finding.endpoint, clean(finding.endpoint))
        rules = shared.setdefault((finding.verdict, finding.because), {})
        rules.setdefault(host, []).append(f"{finding.policy}/{finding.rule}")
    lines: list[str] = []
    for verdict in ("fail", "inconclusive", "warn", "exceeds"):
        for (found, because), by_host in shared.items():
            if found != verdict:
                continue
            blocks: dict[str, list[str]] = {}
            for host, broken in by_host.items():
                blocks.setdefault(", ".join(dict.fromkeys(broken)), []).append(host)
            for rule, those in blocks.items():
                first, *more = wrap(f"{verdict} {clean(rule)}: {clean(because)}", width, rest="  ")
                lines += [_coloured(first, found, len(found)) if colour else first, *more]
                counted = verdict == "exceeds" and len(those) > 3
                who = f"{len(those)} endpoints" if counted else ", ".join(those)
                lines += wrap(who, width, "    ", "    ")
    return [*wrap("Reasons:", width), *lines] if lines else []


def _mixed(report: Report, names: Mapping[str, str], width: int) -> list[str]:
    """Who has what, where the addresses of an endpoint differ or one contradicts itself."""
    lines: list[str] = []
    for endpoint in report.endpoints:
        if not endpoint.mixed:
            continue
        lines += wrap(f"mixed {names[endpoint.id]}", width)
        same = {_versions(replace(endpoint, targets=(t,))) for t in endpoint.targets}
        for target in endpoint.targets:
            said = _versions(replace(endpoint, targets=(target,)))
            if len(same) == 1:  # then it is the lists that differ
                said += f"; {_lists(target)}"
            if isinstance(why := target.features.get("mixed"), str):
                said += f"; unequal servers at this address: {why}"
            lines += wrap(f"{clean(target.address)}: {clean(said)}", width, "    ", "      ")
    return [*wrap("Unequal servers:", width), *lines] if lines else []


def _lists(target: TargetReport) -> str:
    offered = ((v, p) for v, p in target.protocols.items() if p.offered == "yes")
    return "; ".join(
        f"{v}: {len(p.suites)} suites ({p.order or 'no'} order), {len(p.groups)} groups"
        for v, p in offered
    )


def _notes(report: Report, names: Mapping[str, str], width: int) -> list[str]:
    """What servers did that no rule is about, with all hosts that did it."""
    who: dict[str, list[str]] = {}
    for endpoint in report.endpoints:
        for target in endpoint.targets:
            notes = target.features.get("notes") or ()
            for note in notes if isinstance(notes, list | tuple) else (notes,):
                who.setdefault(str(note), []).append(names[endpoint.id])
    lines = [
        line
        for note, hosts in who.items()
        for line in (
            *wrap(clean(note), width, rest="  "),
            *wrap(", ".join(dict.fromkeys(hosts)), width, "    ", "    "),
        )
    ]
    return [*wrap("Noticed:", width), *lines] if lines else []


def _sum(report: Report, rows: Sequence[_Row], width: int) -> list[str]:
    counts = Counter(row.verdict for row in rows)
    number = len(rows)
    said = ", ".join(f"{counts[verdict]} {verdict}" for verdict in VERDICTS if counts[verdict])
    total = f"{number} endpoint{'' if number == 1 else 's'}" + (f": {said}" if said else "")
    used = ", ".join(f"{use.id}, as of {use.as_of}" for use in report.policies)
    judged = f"policy {used}" if used else "no policy"
    cut_short = "" if report.run.complete else "; not complete"
    how = clean(f"({judged}; {report.run.connections} connections{cut_short})")
    whole = f"{total} {how}"
    return [whole] if columns(whole) <= width else wrap(total, width) + wrap(how, width)
