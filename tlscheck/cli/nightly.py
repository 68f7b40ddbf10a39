"""The nightly run, as cron calls it: lock, scan, keep, compare, tell, prune.

State is the reports themselves: the last complete one is what the next is compared with, so it
moves only when a run has succeeded. What cannot be told or pruned is said, and changes nothing.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tlscheck.cli import configuring, selection
from tlscheck.cli.output import UNWRITABLE, deliver, fail, warn
from tlscheck.io.settings import DEFAULTS, DEPTHS, LONGEST_DEADLINE, PACES

if TYPE_CHECKING:
    from tlscheck.cli.scanning import Done
    from tlscheck.core.diff import Document
    from tlscheck.core.model import Report
    from tlscheck.io.config import Effective
    from tlscheck.io.notify import Sent
    from tlscheck.io.settings import Settings

RESUME_HOURS = 12.0


@dataclass(slots=True)
class Night:
    """What one run came to."""

    status: int = 0
    report: str | None = None
    changed: int = 0
    problems: list[str] = field(default_factory=list)


@click.command()
@selection.options
@click.option("--policy", "policies", multiple=True, metavar="P", help="As for scan; repeats.")
@click.option("--depth", type=click.Choice(DEPTHS), default=DEFAULTS.depth, show_default=True)
@click.option("--pace", type=click.Choice(PACES), default=DEFAULTS.pace, show_default=True)
@click.option("--lab", "use_lab", is_flag=True, help="Scan stand-ins on loopback, for a trial.")
@click.option("--ca-bundle", type=click.Path(path_type=Path), help="As for scan.")
@click.option("-4", "--ipv4", "family", flag_value=4, type=int, help="Ask IPv4 addresses only.")
@click.option("-6", "--ipv6", "family", flag_value=6, type=int, help="Ask IPv6 addresses only.")
@click.option(
    "--deadline", type=click.FloatRange(1, LONGEST_DEADLINE), default=DEFAULTS.deadline,
    show_default=True, help="Seconds for one address.",
)  # fmt: skip
@click.option("--reports", type=click.Path(path_type=Path), default=DEFAULTS.reports,
              show_default=True, help="Directory in which the reports are kept.")  # fmt: skip
@click.option("--metrics", type=click.Path(path_type=Path), metavar="FILE",
              help="Prometheus text file to write (*.prom).")  # fmt: skip
@click.option("--keep-daily", type=click.IntRange(1), default=DEFAULTS.keep_daily,
              show_default=True, metavar="N", help="The last report of each day.")  # fmt: skip
@click.option("--keep-weekly", type=click.IntRange(0), default=DEFAULTS.keep_weekly,
              show_default=True, metavar="M", help="The last of each week.")  # fmt: skip
@click.option("--log-format", type=click.Choice(["text", "json"]), default=DEFAULTS.log_format,
              show_default=True, help="Of what is said on stderr.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="One line of result, whatever happened.")
@click.option("--print-unit", type=click.Choice(["cron", "systemd"]),
              help="Print a crontab line, or a service and a timer, for this.")  # fmt: skip
@configuring.option
@click.pass_context
def nightly(
    context: click.Context, /, use_lab: bool, as_json: bool, print_unit: str | None, **given: Any
) -> None:
    """Scan, keep the report, tell what changed since the last night, prune: what cron calls.

    Says nothing unless something broke, healed or changed, or something went wrong.
    """
    found = configuring.effective(context)
    if print_unit:
        deliver(_unit(print_unit, found), None)
        return
    from tlscheck.cli import keeping
    from tlscheck.cli.app import check_bundle, endpoints_of

    said = _Log(found.settings.log_format)
    endpoints = endpoints_of(found, (), given)
    check_bundle(found)
    chosen = configuring.policies(found)
    night = Night()
    with contextlib.ExitStack() as stack:
        keeper = stack.enter_context(keeping.locked(found.settings.reports))
        key = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        _note(_ping(found.settings, "start", "", key), night, said)
        try:
            done, document = _run(stack, keeper, found, endpoints, chosen, use_lab, night)
        except SystemExit as end:  # told already; whoever waits for the ping is told too
            _note(_ping(found.settings, "fail", f"exit status {end.code}", key), night, said)
            raise
        _after(found.settings, done, document, night, said)
    _say(done, document, night, as_json)
    sys.exit(night.status)


def _run(
    stack: contextlib.ExitStack, keeper: Any, found: Effective, endpoints: Any, chosen: Any,
    use_lab: bool, night: Night,
) -> tuple[Done, Document | None]:  # fmt: skip
    """The scan, kept, and what changed since the last complete report."""
    from tlscheck.cli import scanning
    from tlscheck.cli.app import lab_or_not, status_of
    from tlscheck.core.diff import compare
    from tlscheck.io import store
    from tlscheck.scan import Limits

    settings = found.settings
    before = _last_good(settings.reports)
    today = datetime.now(UTC).date()
    with lab_or_not(use_lab, endpoints, settings.ca_bundle) as (targets, bundle):
        job = scanning.Job(
            targets, tuple(chosen), today, settings.depth, bundle,
            Limits.of(settings.pace, settings.deadline), settings.family,
        )  # fmt: skip
        journal = stack.enter_context(keeper.journal(job, resume=True, hours=RESUME_HOURS))
        done = scanning.run(job, journal)
    path, why = keeper.keep(done)
    if path is None:
        fail(str(why), UNWRITABLE)
    night.report = path
    night.status = 128 + done.signal if done.signal else status_of(done.report)
    if before is None or not done.report.run.complete:
        return done, None
    return done, compare(store.data(before), asdict(done.report))


def _last_good(reports: Path) -> Path | None:
    """The newest report of a complete run."""
    from tlscheck.io import store

    for path in reversed(store.kept(reports)):
        try:
            if store.read(path).run.complete:
                return path
        except store.BadReport as fault:
            warn(f"{fault}; left out")
    return None


def _after(
    settings: Settings, done: Done, document: Document | None, night: Night, said: _Log
) -> None:
    """Tell and tidy up; nothing here changes the result."""
    from tlscheck.io import prune, store
    from tlscheck.render import metrics, notice

    report = done.report
    key = report.run.id
    if document is not None and notice.worth_telling(document):
        night.changed = sum(c.weight in notice.TELLING for c in document.changes)
        _note(_webhook(settings, document, report, key), night, said)
    if settings.metrics is not None:
        good = _last_good(settings.reports)
        last = store.read(good).run.finished if good else None
        try:
            store.write(settings.metrics, metrics.render(report, last), mode=metrics.MODE)
        except store.CannotWrite as fault:
            night.problems.append(str(fault))
            said.problem(str(fault))
    good = _last_good(settings.reports)
    pruned = prune.prune(
        settings.reports, keep_daily=settings.keep_daily, keep_weekly=settings.keep_weekly,
        good=good.name if good else None,
    )  # fmt: skip
    for problem in pruned.problems:
        night.problems.append(problem)
        said.problem(problem)
    how = "success" if report.run.complete else "fail"
    counts = ", ".join(f"{n} {verdict}" for verdict, n in report.summary.items() if n)
    _note(_ping(settings, how, counts, key), night, said)


def _webhook(settings: Settings, document: Document, report: Report, key: str) -> Sent | None:
    if settings.webhook is None:
        return None
    from tlscheck.io import notify
    from tlscheck.render import notice

    make = notice.chat if settings.webhook_format == "slack" else notice.generic
    body = make(document, report.summary)
    patience = notify.Patience(once=settings.notify_timeout)
    return notify.post(settings.webhook.reveal(), body, key=key, patience=patience)


def _ping(settings: Settings, event: Any, text: str, key: str) -> Sent | None:
    if settings.ping is None:
        return None
    from tlscheck.io import notify

    patience = notify.Patience(total=20.0, once=min(5.0, settings.notify_timeout), attempts=3)
    return notify.ping(settings.ping.reveal(), event, text, key=key, patience=patience)


def _note(sent: Sent | None, night: Night, said: _Log) -> None:
    if sent is not None and sent.why is not None:
        night.problems.append(sent.why)
        said.problem(sent.why)


class _Log:
    """What goes wrong on the way, on stderr: a line of text or of JSON each."""

    def __init__(self, form: str) -> None:
        self._json = form == "json"

    def problem(self, text: str) -> None:
        if not self._json:
            warn(text)
            return
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        line = json.dumps({"time": now, "level": "warning", "message": text}, ensure_ascii=True)
        print(line, file=sys.stderr)


def _say(done: Done, document: Document | None, night: Night, as_json: bool) -> None:
    """One line of JSON; or what changed, and nothing where nothing did."""
    from tlscheck.render import diff as rendering
    from tlscheck.render import notice

    report = done.report
    if as_json:
        result = {
            "run": report.run.id, "started": report.run.started, "finished": report.run.finished,
            "complete": report.run.complete, "report": night.report, "summary": report.summary,
            "changes": night.changed, "problems": night.problems, "status": night.status,
        }  # fmt: skip
        deliver(json.dumps(result, ensure_ascii=True) + "\n", None)
    elif document is not None and notice.worth_telling(document):
        deliver(rendering.render(document), None)
    if done.signal:
        warn("interrupted; the report is marked incomplete; the next run goes on with it")


def _unit(kind: str, found: Effective) -> str:
    """What runs this every night, with the configuration that holds now."""
    from tlscheck.render import unit

    program = shutil.which("tlscheck") or sys.argv[0]
    command = [os.path.abspath(program), "nightly"]
    settings = found.settings
    if found.file is not None:
        command += ["--config", str(found.file.resolve())]
    command += ["--reports", str(settings.reports.resolve())]
    try:
        if kind == "cron":
            return unit.cron(command, host=socket.gethostname())
        writes = [str(settings.reports.resolve())]
        if settings.metrics is not None:
            writes.append(str(settings.metrics.resolve().parent))
        reads = [str(path) for path in _needed(found)]
        units = unit.systemd(command, writes=writes, reads=reads)
    except ValueError as fault:
        fail(f"--print-unit: {fault}")
    return f"# tlscheck.service\n{units.service}\n# tlscheck.timer\n{units.timer}"


def _needed(found: Effective) -> Iterator[Path]:
    """What the program reads that may be below a home: itself, and the configuration."""
    yield Path(sys.prefix).resolve()
    yield Path(sys.executable).resolve().parent
    files: Sequence[Path | None] = (found.file, found.settings.ca_bundle, *found.settings.endpoints)
    yield from (path.resolve() for path in files if path is not None)
