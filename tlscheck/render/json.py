"""A report as JSON text (`tlscheck-report/1`): the fields in the order of the model."""

from __future__ import annotations

import json
from dataclasses import asdict

from tlscheck.core.model import Report


def render(report: Report) -> str:
    """Indented JSON in ASCII, so that nothing a server sent reaches a terminal raw."""
    return _ascii(json.dumps(asdict(report), indent=2, ensure_ascii=True, allow_nan=False))


def compact(report: Report) -> str:
    """The same in one line, as it is kept: half as long, where there is one for each night."""
    separators = (",", ":")
    return _ascii(
        json.dumps(asdict(report), separators=separators, ensure_ascii=True, allow_nan=False)
    )


def _ascii(text: str) -> str:
    return text.replace("\x7f", "\\u007f") + "\n"  # DEL is ASCII, and a control all the same
