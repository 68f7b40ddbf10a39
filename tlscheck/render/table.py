"""A report as a table for terminals: one line an endpoint, worst first, then the reasons."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

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
    # A port that all share says nothing in a line; a lone endpoint shows its own.
    ports = {endpoint.port for endpoint in report.endpoints}
    common = ports.pop() if len(ports) == 1 and len(report.endpoints) > 1 else 443
    rows = sorted(
        (_row(endpoint, findings.get(endpoint.id, ()), common) for endpoint in report.endpoints),
        key=lambda row: (VERDICTS.index(row.verdict), row.id),
    )
    parts = [
        _table(rows, width, colour),
        _legend(rows),
        _reasons(report, width, colour),
        wrap(f"Report: {clean(path)}", width) if path is not None else [],
        _sum(report, rows, width),
    ]
    return "\n\n".join("\n".join(part) for part in parts if part) + "\n"


def _row(endpoint: EndpointReport, own: Sequence[Finding], common: int) -> _Row:
    verdict = worst(tuple(finding.verdict for finding in own))
    note = next((f.because for f in own if f.verdict == verdict), "no rule was held against it")
    port = "" if endpoint.port == common else f":{endpoint.port}"
    return _Row(verdict, endpoint.id, clean(endpoint.host) + port, _versions(endpoint), clean(note))


def _versions(endpoint: EndpointReport) -> str:
    """`1.2 1.3`; `1.0?` is not known, `1.1*` is offered on some addresses only."""
    asked = [target for target in endpoint.targets if target.protocols]
    said = ((short, _answers(asked, version)) for version, short in _SHORT.items())
    shown = [
        short + ("*" if "no" in answers else "") if "yes" in answers else short + "?"
        for short, answers in said
        if answers - {"no"}
    ]
    return " ".join(shown) or ("none" if asked else "?")


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
    """Column widths whose sum fits: the note gives way first, then versions, host, verdict."""
    least = {3: 12, 2: 8, 1: 12, 0: 4}
    fitted = list(natural)
    over = sum(fitted) + _GAP * (len(fitted) - 1) - width
    for column, floor in least.items():
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


def _reasons(report: Report, width: int, colour: bool) -> list[str]:
    """Every fail and inconclusive in full, one block a reason with all hosts that share it."""
    hosts = {endpoint.id: clean(endpoint.host) for endpoint in report.endpoints}
    groups: dict[tuple[Verdict, str, str], list[str]] = {}
    for verdict in ("fail", "inconclusive"):
        for finding in report.findings:
            if finding.verdict == verdict:
                key = (finding.verdict, f"{finding.policy}/{finding.rule}", finding.because)
                groups.setdefault(key, []).append(
                    hosts.get(finding.endpoint, clean(finding.endpoint))
                )
    lines = wrap("Failures and unknowns:", width) if groups else []
    for (kind, rule, because), names in groups.items():
        first, *more = wrap(f"{kind} {clean(rule)}: {clean(because)}", width, rest="  ")
        lines += [_coloured(first, kind, len(kind)) if colour else first, *more]
        lines += wrap(", ".join(dict.fromkeys(names)), width, "    ", "    ")
    return lines


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
