"""A report as Prometheus text, for the node exporter's textfile collector.

Version 0.0.4 of the text format. Samples carry no timestamps: the collector refuses a file with
one. A sample that is there twice, or a label it cannot read, would cost the whole file, so rows are
put together by their cleaned labels. https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

from tlscheck.core.model import VERDICTS, EndpointReport, Report, Verdict, worst
from tlscheck.render.clean import clean

MODE = 0o644  # of the file: the exporter is another user

Labels = tuple[tuple[str, str], ...]
Samples = Mapping[Labels, float]

_HELP = {
    "tlscheck_last_success_time_seconds": "When the last complete run finished (Unix time).",
    "tlscheck_last_run_time_seconds": "When the last run finished, complete or not (Unix time).",
    "tlscheck_last_run_complete": "Whether the last run was complete (1) or interrupted (0).",
    "tlscheck_connections": "TCP connections that the last run made.",
    "tlscheck_endpoints": "Endpoints in the last report.",
    "tlscheck_findings": "Findings of the last report, by policy and verdict.",
    "tlscheck_endpoint_verdict": "1 for the worst verdict of an endpoint under a policy.",
    "tlscheck_certificate_days_left": (
        "Days from the end of the last run until the first of an endpoint's own certificates"
        " expires."
    ),
}


def render(report: Report, last_success: str | None) -> str:
    """All metrics of `report`. `last_success` is when the last complete run before it finished
    (UTC, RFC 3339), `None` if there was none; it is not looked at when `report` is complete."""
    success = report.run.finished if report.run.complete else last_success
    samples: dict[str, Samples] = {
        "tlscheck_last_success_time_seconds": {} if success is None else {(): _unix(success)},
        "tlscheck_last_run_time_seconds": {(): _unix(report.run.finished)},
        "tlscheck_last_run_complete": {(): report.run.complete},
        "tlscheck_connections": {(): report.run.connections},
        "tlscheck_endpoints": {(): len(report.endpoints)},
        "tlscheck_findings": _findings(report),
        "tlscheck_endpoint_verdict": _verdicts(report),
        "tlscheck_certificate_days_left": _days_left(report),
    }
    return "".join(line + "\n" for name, own in samples.items() for line in _lines(name, own))


def _lines(name: str, samples: Samples) -> Iterator[str]:
    if not samples:
        return
    yield f"# HELP {name} {_HELP[name]}"
    yield f"# TYPE {name} gauge"
    for labels, value in samples.items():
        inside = ",".join(f'{label}="{_escaped(text)}"' for label, text in labels)
        yield f"{name}{f'{{{inside}}}' if inside else ''} {_number(value)}"


_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n"})


def _escaped(text: str) -> str:
    return text.translate(_ESCAPES)


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(round(value, 3))


def _labels(**labels: str) -> Labels:
    return tuple((name, clean(text)) for name, text in labels.items())


def _findings(report: Report) -> Samples:
    """Every verdict of every policy, those that nothing got as well: a series must not vanish."""
    found = Counter({_labels(policy=p.id, verdict=v): 0 for p in report.policies for v in VERDICTS})
    found.update(_labels(policy=f.policy, verdict=f.verdict) for f in report.findings)
    return {
        labels: found[labels]
        for labels in sorted(found, key=lambda own: (own[0], VERDICTS.index(_verdict(own))))
    }


def _verdict(labels: Labels) -> Verdict:
    return next(verdict for verdict in VERDICTS if ("verdict", verdict) in labels)


def _verdicts(report: Report) -> Samples:
    by_endpoint: dict[Labels, list[Verdict]] = {}
    for finding in report.findings:
        key = _labels(endpoint=finding.endpoint, policy=finding.policy)
        by_endpoint.setdefault(key, []).append(finding.verdict)
    return {(*key, ("verdict", worst(tuple(by_endpoint[key])))): 1.0 for key in sorted(by_endpoint)}


def _days_left(report: Report) -> Samples:
    soonest: dict[Labels, datetime] = {}
    for endpoint in report.endpoints:
        key = _labels(endpoint=endpoint.id)
        for end in _ends(endpoint):
            soonest[key] = min(end, soonest.get(key, end))
    until = _time(report.run.finished)
    return {key: (soonest[key] - until).total_seconds() / 86400 for key in sorted(soonest)}


def _ends(endpoint: EndpointReport) -> Iterator[datetime]:
    """When the leaf certificates end; one whose end could not be read says nothing."""
    for target in endpoint.targets:
        for certificate in target.certificates:
            end = certificate.get("not_after")
            if certificate.get("position", 0) == 0 and isinstance(end, str):
                try:
                    yield _time(end)
                except ValueError:
                    continue


def _time(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _unix(text: str) -> float:
    return _time(text).timestamp()
