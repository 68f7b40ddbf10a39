"""A report as JSON text (`tlscheck-report/1`): the fields in the order of the model."""

from __future__ import annotations

import json
from dataclasses import asdict

from tlscheck.core.model import Report


def render(report: Report) -> str:
    """Indented JSON in ASCII, so that nothing a server sent reaches a terminal raw."""
    text = json.dumps(asdict(report), indent=2, ensure_ascii=True, allow_nan=False)
    return text.replace("\x7f", "\\u007f") + "\n"  # DEL is ASCII, and a control all the same
