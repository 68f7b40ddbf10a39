"""The commands that work on saved reports: show, diff, evaluate, history."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tlscheck.cli import configuring
from tlscheck.cli.output import FAILED, PATH, deliver, fail, on_terminal, warn
from tlscheck.cli.showing import in_full, rendered
from tlscheck.io.secret import masked
from tlscheck.io.settings import DEFAULTS

if TYPE_CHECKING:
    from tlscheck.core.history import Facts
    from tlscheck.core.model import Report


def _options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that say where reports are kept."""
    reports = click.option(
        "--reports", type=PATH, default=DEFAULTS.reports, show_default=True,
        help="Directory in which runs are looked up.",
    )  # fmt: skip
    return reports(configuring.option(command))


def _found(directory: Path, name: str) -> Report:
    """The report that `name` names: a file, a run id, or a date."""
    from tlscheck.io import store

    try:
        return store.read(store.find(directory, name))
    except store.BadReport as fault:
        fail(str(fault))


@click.command()
@click.argument("report")
@_options
@click.option("--endpoint", metavar="ID", help="One endpoint in full, by its id or host.")
@click.option(
    "--format", "form", type=click.Choice(["table", "json"]), default="table", show_default=True
)
@click.option("-o", "--output", type=PATH, metavar="FILE")
@click.pass_context
def show(
    context: click.Context, /, report: str, endpoint: str | None, form: str, output: Path | None,
    **_: Any,
) -> None:  # fmt: skip
    """A saved report (a file, a run id, or a date), in any format."""
    saved = _found(configuring.effective(context).settings.reports, report)
    if endpoint is not None:
        deliver(in_full(saved, endpoint, form, report), output)
        return
    deliver(rendered(saved, form, output is None and on_terminal(sys.stdout)), output)


@click.command()
@click.argument("old", required=False)
@click.argument("new", required=False)
@_options
@click.option(
    "--format", "form", type=click.Choice(["table", "markdown", "json"]), default="table",
    show_default=True,
)  # fmt: skip
@click.option("-o", "--output", type=PATH, metavar="FILE")
@click.pass_context
def diff(
    context: click.Context, /, old: str | None, new: str | None, form: str, output: Path | None,
    **_: Any,
) -> None:  # fmt: skip
    """What changed from OLD to NEW: files, run ids or dates; the last two by default.

    Exit status 0: no change (but perhaps sight lost or regained), 1: changes, 2: trouble.
    """
    from tlscheck.core.diff import compare
    from tlscheck.io import store
    from tlscheck.render import diff as rendering

    reports = configuring.effective(context).settings.reports
    if old is not None and new is None:
        fail("give both OLD and NEW, or neither for the last two")
    try:
        pair = [store.find(reports, name) for name in (old, new) if name is not None] or store.kept(
            reports
        )
        if len(pair) < 2:
            fail(f"{reports} holds fewer than two reports; give OLD and NEW")
        document = compare(*(store.data(path) for path in pair[-2:]))
    except store.BadReport as fault:
        fail(str(fault))
    render = {"table": rendering.render, "markdown": rendering.markdown, "json": rendering.as_json}
    deliver(render[form](document), output)
    sys.exit(1 if document.changed else 0)


@click.command()
@click.argument("names", nargs=-1, required=True, metavar="REPORT...")
@_options
@click.option(
    "--policy", "policies", multiple=True, metavar="P", help="Policy id or file; repeats."
)
@click.option("--as-of", metavar="DATE", help="Judge for this date (YYYY-MM-DD).  [default: today]")
@click.option(
    "--format", "form", type=click.Choice(["table", "json"]), default="table", show_default=True
)
@click.option("-o", "--output", type=PATH, metavar="FILE")
@click.pass_context
def evaluate(
    context: click.Context, /, names: tuple[str, ...], as_of: str | None, form: str,
    output: Path | None, **_: Any,
) -> None:  # fmt: skip
    """Judge saved observations again, by another policy or for another date, without scanning.

    Each REPORT is a file, a run id, or a date.
    """
    from tlscheck.cli.app import day_of, status_of
    from tlscheck.cli.scanning import judged

    if output and len(names) > 1:
        fail("-o takes one report; leave it out, or evaluate one at a time")
    found = configuring.effective(context)
    chosen = configuring.policies(found)
    day = day_of(as_of)
    worst = 0
    for name in names:
        again = judged(_found(found.settings.reports, name), chosen, day)
        deliver(rendered(again, form, output is None and on_terminal(sys.stdout)), output)
        status = status_of(again)
        worst = FAILED if FAILED in (worst, status) else max(worst, status)
    sys.exit(worst)


@click.command()
@click.argument("endpoint", required=False)
@_options
@click.option(
    "--confirm", type=click.IntRange(1, 100), default=1, show_default=True, metavar="N",
    help="A change counts after N nights that agree on it.",
)  # fmt: skip
@click.option(
    "--format", "form", type=click.Choice(["table", "json"]), default="table", show_default=True
)
@click.option("-o", "--output", type=PATH, metavar="FILE")
@click.pass_context
def history(
    context: click.Context, /, endpoint: str | None, confirm: int, form: str, output: Path | None,
    **_: Any,
) -> None:  # fmt: skip
    """What changed on which night; of ENDPOINT (id or host) also since when each fact holds."""
    from tlscheck.core.history import follow
    from tlscheck.io import nights, store
    from tlscheck.render import history as rendering

    reports = configuring.effective(context).settings.reports
    try:
        paths = store.kept(reports)
    except store.BadReport as fault:
        fail(str(fault))
    if not paths:
        fail(f"{reports} holds no report")
    seen = list(nights.nights(paths, warn))
    if not seen:
        fail(f"{reports} holds no report that can be read")
    name = None
    if endpoint is not None:
        known = {i: f for night in seen for i, f in night.endpoints.items()}
        name = _endpoint_id(endpoint, known)
    found = follow(seen, confirm=confirm, only=name)
    render = {"table": rendering.render, "json": rendering.as_json}[form]
    once = cache(masked)  # of so many lines that most are alike
    lines = render(found, name).splitlines(keepends=True)
    deliver("".join(map(once, lines)), output)  # whoever wrote these reports


def _endpoint_id(text: str, known: Mapping[str, Facts]) -> str:
    from tlscheck.core.diff import PRESENT
    from tlscheck.core.names import calls

    if text in known:
        return text
    places = {i: facts[PRESENT].values[0].rpartition(":") for i, facts in known.items()}
    hosts = [i for i, (host, _, port) in places.items() if calls(text, host.strip("[]"), port)]
    if len(hosts) > 1:
        fail(f"{len(hosts)} endpoints have the host {text}; give an id: {', '.join(sorted(hosts))}")
    if not hosts:
        near = difflib.get_close_matches(text, list(known), n=3, cutoff=0.5)
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        fail(f"no report has an endpoint with the id or host {text}{hint}")
    return hosts[0]
