"""Kept reports -> nights for the history, read fast: a year of them is read in seconds.

Hardly anything changes from night to night, so an endpoint that says what it said the night
before is not looked at again. Reports are checked lightly here: `store.read` is the strict one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from tlscheck.core.diff import endpoint_facts, verdict_fact
from tlscheck.core.history import Facts, Night
from tlscheck.io.disk import read, words

MOST_BYTES = 64 << 20

_Judged = tuple[str, str, bool]
"""The topic of a verdict, the verdict, and whether there was something to look at."""


class _Bad(Exception):
    pass


def nights(paths: Iterable[Path], bad: Callable[[str], None]) -> Iterator[Night]:
    """The nights of these reports, in their order; `bad` is told of each that cannot be read."""
    said: dict[str, tuple[Any, tuple[_Judged, ...], Facts]] = {}
    for path in paths:
        try:
            report = _read(path)
            verdicts = _verdicts(report)
            night: dict[str, Facts] = {}
            for endpoint in map(_lasting, report["endpoints"]):
                name = endpoint["id"]
                own = tuple(verdicts.get(name, ()))
                before = said.get(name)
                if before is None or before[1] != own or not _same(before[0], endpoint):
                    facts = endpoint_facts(endpoint) | {
                        topic: verdict_fact(verdict, looked=looked)
                        for topic, verdict, looked in own
                    }
                    said[name] = before = endpoint, own, facts
                night[name] = before[2]
            started = str(report["run"]["started"])
        except (KeyError, TypeError, AttributeError, _Bad) as fault:
            why = str(fault) if isinstance(fault, _Bad) else "not a report of tlscheck"
            bad(f"{path}: {why}; left out")
            continue
        yield Night(started, night)


def _read(path: Path) -> dict[str, Any]:
    from pydantic_core import from_json  # twice as fast as json

    try:
        data = read(path, MOST_BYTES)
        if len(data) > MOST_BYTES:
            raise _Bad(f"larger than {MOST_BYTES >> 20} MB")
        report = from_json(data, allow_inf_nan=False)
    except OSError as fault:
        raise _Bad(words(fault)) from fault
    except ValueError as fault:
        raise _Bad("not JSON") from fault
    if not isinstance(report, dict) or report.get("schema") != "tlscheck-report/1":
        raise _Bad("not a report of tlscheck")
    return report


def _verdicts(report: Mapping[str, Any]) -> dict[str, list[_Judged]]:
    found: dict[str, list[_Judged]] = {}
    for finding in report["findings"]:
        topic = f"verdict {finding['policy']}/{finding['rule']}"
        it = topic, finding["verdict"], bool(finding["saw"])
        found.setdefault(finding["endpoint"], []).append(it)
    return found


_SAID = ("protocols", "http", "features", "deep", "certificates")
_PASSING = ("days_left", "staple")  # of a certificate: other each night while nothing changes


def _lasting(endpoint: dict[str, Any]) -> dict[str, Any]:
    """`endpoint` without what only passes; no fact rests on it."""
    for target in endpoint["targets"]:
        for certificate in target["certificates"]:
            for part in _PASSING if isinstance(certificate, dict) else ():
                certificate.pop(part, None)
    return endpoint


def _same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two reports of an endpoint say the same, whatever number of connections it took."""
    if len(one["targets"]) != len(other["targets"]) or one["mixed"] != other["mixed"]:
        return False
    if (one["host"], one["port"]) != (other["host"], other["port"]):
        return False
    return all(
        all(a[part] == b[part] for part in _SAID)
        and a["https"].get("outcome") == b["https"].get("outcome")
        for a, b in zip(one["targets"], other["targets"], strict=True)
    )
