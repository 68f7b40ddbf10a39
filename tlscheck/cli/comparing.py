"""The commands that work on saved reports: diff, evaluate."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tlscheck.cli.output import deliver, fail, warn
from tlscheck.core.diff import PRESENT

if TYPE_CHECKING:
    from tlscheck.core.history import Facts

REPORTS = Path("reports")


@click.command()
@click.argument("old", required=False)
@click.argument("new", required=False)
@click.option(
    "--reports",
    type=click.Path(path_type=Path),
    default=REPORTS,
    show_default=True,
    help="Directory in which runs are looked up.",
)
@click.option(
    "--format", "form", type=click.Choice(["table", "markdown", "json"]), default="table",
    show_default=True,
)  # fmt: skip
@click.option("-o", "--output", type=click.Path(path_type=Path), metavar="FILE")
def diff(old: str | None, new: str | None, reports: Path, form: str, output: Path | None) -> None:
    """What changed from OLD to NEW: files, run ids or dates; the last two by default.

    Exit status 0: no change (but perhaps sight lost or regained), 1: changes, 2: trouble.
    """
    from tlscheck.core.diff import compare
    from tlscheck.io import store
    from tlscheck.render import diff as rendering

    if old and not new:
        fail("give both OLD and NEW, or neither for the last two")
    try:
        pair = [store.find(reports, name) for name in (old, new) if name] or store.kept(reports)
        if len(pair) < 2:
            fail(f"{reports} holds fewer than two reports; give OLD and NEW")
        document = compare(*(store.data(path) for path in pair[-2:]))
    except store.BadReport as fault:
        fail(str(fault))
    render = {"table": rendering.render, "markdown": rendering.markdown, "json": rendering.as_json}
    deliver(render[form](document), output)
    sys.exit(1 if document.changed else 0)


@click.command()
@click.argument("reports", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--policy", "policies", multiple=True, metavar="P", help="Policy id or file; repeats."
)
@click.option("--as-of", metavar="DATE", help="Judge for this date (YYYY-MM-DD).  [default: today]")
@click.option(
    "--format", "form", type=click.Choice(["table", "json"]), default="table", show_default=True
)
@click.option("-o", "--output", type=click.Path(path_type=Path), metavar="FILE")
def evaluate(
    reports: tuple[Path, ...], policies: tuple[str, ...], as_of: str | None, form: str,
    output: Path | None,
) -> None:  # fmt: skip
    """Judge saved observations again, by another policy or for another date, without scanning."""
    from tlscheck.cli.app import DEFAULT_POLICY, day_of, policy_named, rendered, status_of
    from tlscheck.cli.scanning import judged
    from tlscheck.io import store

    if output and len(reports) > 1:
        fail("-o takes one report; leave it out, or evaluate one at a time")
    chosen = [policy_named(name) for name in dict.fromkeys(policies or (DEFAULT_POLICY,))]
    day = day_of(as_of)
    worst = 0
    for path in reports:
        try:
            saved = store.read(path)
        except store.BadReport as fault:
            fail(str(fault))
        again = judged(saved, chosen, day)
        deliver(rendered(again, form, output is None and sys.stdout.isatty()), output)
        status = status_of(again)
        worst = 1 if 1 in (worst, status) else max(worst, status)
    sys.exit(worst)


@click.command()
@click.argument("endpoint", required=False)
@click.option(
    "--reports", type=click.Path(path_type=Path), default=REPORTS, show_default=True,
    help="Directory of the reports.",
)  # fmt: skip
@click.option(
    "--confirm", type=click.IntRange(1, 100), default=1, show_default=True, metavar="N",
    help="A change counts after N nights that agree on it.",
)  # fmt: skip
@click.option(
    "--format", "form", type=click.Choice(["table", "json"]), default="table", show_default=True
)
@click.option("-o", "--output", type=click.Path(path_type=Path), metavar="FILE")
def history(
    endpoint: str | None, reports: Path, confirm: int, form: str, output: Path | None
) -> None:
    """What changed on which night; of ENDPOINT (id or host) also since when each fact holds."""
    from tlscheck.core.history import follow
    from tlscheck.io import nights, store
    from tlscheck.render import history as rendering

    try:
        paths = store.kept(reports)
    except store.BadReport as fault:
        fail(str(fault))
    if not paths:
        fail(f"{reports} holds no report")
    seen = list(nights.nights(paths, warn))
    name = None
    if endpoint:
        known = {i: f for night in seen for i, f in night.endpoints.items()}
        name = _endpoint_id(endpoint, known)
    found = follow(seen, confirm=confirm, only=name)
    render = {"table": rendering.render, "json": rendering.as_json}[form]
    deliver(render(found, name), output)


def _endpoint_id(text: str, known: Mapping[str, Facts]) -> str:
    if text in known:
        return text
    hosts = [i for i, facts in known.items() if facts[PRESENT].values[0].partition(":")[0] == text]
    if len(hosts) != 1:
        near = difflib.get_close_matches(text, list(known), n=3, cutoff=0.5)
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        fail(f"no report has an endpoint with the id or host {text}{hint}")
    return hosts[0]
