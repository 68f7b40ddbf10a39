"""A report as text, the whole of it or one endpoint."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from tlscheck.cli.output import fail, on_terminal
from tlscheck.core.names import calls
from tlscheck.io.secret import masked, secret_in

if TYPE_CHECKING:
    from tlscheck.core.model import EndpointReport, Report

FORMATS = ("table", "json")


def rendered(report: Report, form: str, colour: bool, path: str | None = None) -> str:
    """A report in one of `FORMATS`; `path` is the file that it was written to."""
    if form == "json":
        from tlscheck.render import json as as_json

        return as_json.render(report)
    from tlscheck.render import table

    colour = colour and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    named = None if path is None else masked(path)
    text = table.render(report, colour=colour, width=_width(), path=named)
    return text if text.endswith("\n") else text + "\n"


def _width() -> int:
    if not on_terminal(sys.stdout):
        return 80
    import shutil

    return max(60, shutil.get_terminal_size((80, 24)).columns)


def in_full(report: Report, wanted: str, form: str, where: str) -> str:
    """The endpoint with this id, else all of this host (or host and port), in one of `FORMATS`; at
    least one, or the end. `where` is what the report was called."""
    from tlscheck.render import endpoint as page

    pages = [
        page.as_json(report, one) if form == "json" else page.render(report, one, width=_width())
        for one in _chosen(report, wanted, where)
    ]
    return "\n".join(pages)


def _chosen(report: Report, wanted: str, where: str) -> list[EndpointReport]:
    found = [e for e in report.endpoints if e.id == wanted]
    found = found or [e for e in report.endpoints if calls(wanted, e.host, e.port)]
    if not found:
        import difflib

        if kind := secret_in(wanted):
            fail(f"--endpoint holds {kind}; give an id or a host and nothing secret")
        known = [name for e in report.endpoints for name in (e.id, e.host)]
        near = difflib.get_close_matches(wanted[:300], known, 1)
        hint = f"; did you mean {near[0]}?" if near else ""
        fail(f"--endpoint {wanted}: is not in {where}{hint}")
    return found
