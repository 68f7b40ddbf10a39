"""The nightly run, as cron calls it: lock, scan, keep, compare, tell, prune.

A night is compared with what was told last (`io.state`), which moves only when a complete report is
kept and what changed has arrived: a crash or a webhook that is down loses nothing. What cannot be
told or pruned is said, and does not change the exit status.
"""

from __future__ import annotations

import contextlib
import json
import re
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tlscheck.cli import asking, configuring, selection
from tlscheck.cli.asking import RESUME_HOURS
from tlscheck.cli.output import BUG, PATH, UNWRITABLE, Failed, complain, deliver, fail, log_as, warn
from tlscheck.io.secret import masked
from tlscheck.io.settings import DEFAULTS

if TYPE_CHECKING:
    from tlscheck.cli.keeping import Keeper
    from tlscheck.core.diff import Document
    from tlscheck.core.memory import Memory
    from tlscheck.core.model import Endpoint, Report
    from tlscheck.core.policy import Policy
    from tlscheck.io.config import Effective
    from tlscheck.io.notify import Event, Sent
    from tlscheck.io.settings import Settings


@dataclass(frozen=True, slots=True)
class _Good:
    """The last complete report before this night's, and the name of its file, if there is one."""

    name: str | None = None
    report: Report | None = None


@dataclass(slots=True)
class Night:
    """What one run came to; `document` is what changed since what was told last; `good` is `None`
    until it has been looked for."""

    key: str
    status: int = 0
    report: Report | None = None
    path: str | None = None
    document: Document | None = None
    good: _Good | None = None
    problems: list[str] = field(default_factory=list)

    def problem(self, text: str) -> None:
        """Something went wrong, and the run goes on."""
        self.problems.append(text)
        warn(text)


class _Command(click.Command):
    """Wrong usage, too, is told as the arguments ask for, as far as they can be made out."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:  # fmt: skip
        given = tuple(args)  # click takes them from the list
        if re.findall(r"--log-format[= ](\S+)", " ".join(given))[-1:] == ["json"]:
            log_as("json")
        try:
            return super().make_context(info_name, args, parent, **extra)
        except click.UsageError as fault:
            if "--json" not in given:
                raise
            try:
                complain(fault)
            except Failed as end:
                deliver(_result(Night("", fault.exit_code, problems=[end.message])), None)
                raise


@click.command(cls=_Command)
@selection.options
@asking.options
@click.option("--metrics", type=PATH, metavar="FILE",
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
    night = Night(datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ"))
    try:
        _nightly(context, night, use_lab, print_unit, given)
    except SystemExit as end:
        night.status = end.code if isinstance(end.code, int) else 1
        if isinstance(end, Failed):
            night.problems.append(end.message)
    except (Exception, KeyboardInterrupt) as end:  # a bug, or Ctrl-C outside the scan
        night.status = BUG if isinstance(end, Exception) else 130
        if as_json and not print_unit:
            deliver(_result(night), None)
        raise
    if as_json and not print_unit:
        deliver(_result(night), None)
    sys.exit(night.status)


def _nightly(
    context: click.Context, night: Night, use_lab: bool, print_unit: str | None,
    given: dict[str, Any],
) -> None:  # fmt: skip
    found = configuring.effective(context)
    settings = found.settings
    log_as(settings.log_format)
    if print_unit:
        from tlscheck.cli import scheduling

        deliver(scheduling.unit(print_unit, found, context.params), None)
        return
    from tlscheck.cli import keeping
    from tlscheck.cli.app import check_bundle, endpoints_of

    endpoints = endpoints_of(found, (), given)
    check_bundle(found)
    chosen = configuring.policies(found)
    with contextlib.ExitStack() as stack:
        keeper = stack.enter_context(keeping.locked(settings.reports))
        _ping(settings, "start", "", night)
        try:
            before = _remembered(settings.reports, night)
            signal = _run(stack, keeper, found, endpoints, chosen, use_lab, night)
            _tidy(settings, night)
            if signal is None:
                _tell(settings, before, night, aloud=not context.params["as_json"])
        except (
            SystemExit,
            Exception,
            KeyboardInterrupt,
        ) as end:  # the ping says it
            status = 130 if isinstance(end, KeyboardInterrupt) else getattr(end, "code", BUG)
            _ping(settings, "fail", f"exit status {status}", night)
            raise
        good = signal is None and night.status != UNWRITABLE
        summary = night.report.summary if night.report else {}
        counts = ", ".join(f"{n} {verdict}" for verdict, n in summary.items() if n)
        _ping(settings, "success" if good else "fail", counts, night)
    if signal is not None:
        more = "" if use_lab else "; the next run goes on with it"
        warn(f"interrupted; the report is marked incomplete{more}")


def _remembered(reports: Path, night: Night) -> Memory | None:
    """What is known as of what was told last."""
    from tlscheck.core.memory import remember
    from tlscheck.io import disk, state

    try:
        if (memory := state.read(reports)) is not None:
            return memory
    except state.BadState as fault:
        night.problem(f"{fault}; not used: the last complete report stands in")
    good = _last_good(reports, night)
    if good.report is None:
        return None
    memory = remember(asdict(good.report))
    # Before the next report takes its place, told or not; the end of the night says if it fails.
    with contextlib.suppress(disk.CannotWrite):
        state.write(reports, memory)
    return memory


def _run(
    stack: contextlib.ExitStack, keeper: Keeper, found: Effective,
    endpoints: tuple[Endpoint, ...], chosen: Sequence[Policy], use_lab: bool, night: Night,
) -> int | None:  # fmt: skip
    """The scan, judged and kept; the signal that cut it short, if one did."""
    from tlscheck.cli import scanning
    from tlscheck.cli.app import day_of, lab_or_not, status_of

    settings = found.settings
    today = day_of(None)
    with lab_or_not(use_lab, endpoints, settings.ca_bundle) as (targets, bundle):
        job = scanning.job_of(settings, targets, chosen, today, bundle)
        journal = None  # the next lab is another one: nothing to go on with
        if not use_lab:
            journal = stack.enter_context(keeper.journal(job, resume=True, hours=RESUME_HOURS))
        done = scanning.run(job, journal)
    path, why = keeper.keep(done)
    if path is None:
        more = "; the next run goes on with what was learned" if journal else ""
        fail(f"{why}{more}", UNWRITABLE)
    night.path, night.report = path, done.report
    night.status = 128 + done.signal if done.signal else status_of(done.report)
    return done.signal


def _last_good(reports: Path, night: Night) -> _Good:
    """The newest complete report; looked for once, for its faults are told each time."""
    if night.good is None:
        night.good = _newest_good(reports, night)
    return night.good


def _newest_good(reports: Path, night: Night) -> _Good:
    from tlscheck.io import store

    try:
        paths = store.kept(reports)
    except store.BadReport as fault:
        fail(str(fault), UNWRITABLE)
    for path in reversed(paths):
        try:
            report = store.read(path)
            datetime.fromisoformat(report.run.finished)
        except store.BadReport as fault:
            night.problem(f"{fault}; left out")
            continue
        except ValueError:
            night.problem(f"{path}: run.finished is no time; left out")
            continue
        if report.run.complete:
            return _Good(path.name, report)
    return _Good()


def _tidy(settings: Settings, night: Night) -> None:
    """The file for Prometheus, and old reports."""
    from tlscheck.io import prune, store
    from tlscheck.render import metrics

    assert night.report and night.path
    report = night.report
    # Where this one is good it is the last good one, also where the clock says otherwise by names.
    last = _Good() if report.run.complete else _last_good(settings.reports, night)
    success = last.report.run.finished if last.report else None
    if settings.metrics is not None:
        try:
            store.write(settings.metrics, metrics.render(report, success), mode=metrics.MODE)
        except store.CannotWrite as fault:
            night.problem(str(fault))
            night.status = UNWRITABLE if report.run.complete else night.status
    pruned = prune.prune(
        settings.reports, keep_daily=settings.keep_daily, keep_weekly=settings.keep_weekly,
        spared={Path(night.path).name, *([last.name] if last.name else [])},
    )  # fmt: skip
    for problem in pruned.problems:
        night.problem(problem)


def _tell(settings: Settings, before: Memory | None, night: Night, *, aloud: bool) -> None:
    """What changed, to stdout and to the webhook; only when that has arrived it is remembered, so
    that what was not told is told by the next run."""
    from tlscheck.core.diff import view
    from tlscheck.core.memory import remember, since
    from tlscheck.io import state, store
    from tlscheck.render import diff as rendering
    from tlscheck.render import notice

    assert night.report
    report = asdict(night.report)
    now = view(report)
    if before is not None:
        night.document = since(before, report, now)
        if notice.worth_telling(night.document):
            if aloud:
                deliver(rendering.render(night.document), None)
            if not _webhook(settings, night.document, night):
                return
    try:
        state.write(settings.reports, remember(report, before, now))
    except store.CannotWrite as fault:
        night.problem(str(fault))
        night.status = UNWRITABLE


def _webhook(settings: Settings, document: Document, night: Night) -> bool:
    """Whether nobody is left who was not told."""
    if settings.webhook is None:
        return True
    from tlscheck.io import notify
    from tlscheck.render import notice

    assert night.report
    make = notice.chat if settings.webhook_format == "slack" else notice.generic
    body = make(document, night.report.summary)
    patience = notify.Patience(once=settings.notify_timeout)
    key = notice.identity(document)
    return _noted(notify.post(settings.webhook.reveal(), body, key=key, patience=patience), night)


def _ping(settings: Settings, event: Event, text: str, night: Night) -> None:
    if settings.ping is None:
        return
    from tlscheck.io import notify

    patience = notify.Patience(total=20.0, once=min(5.0, settings.notify_timeout), attempts=3)
    url = settings.ping.reveal()
    _noted(notify.ping(url, event, text, key=night.key, patience=patience), night)


def _noted(sent: Sent, night: Night) -> bool:
    if sent.why is not None:
        night.problem(sent.why)
    return sent.ok


def _result(night: Night) -> str:
    """One line of JSON."""
    from tlscheck.render import notice

    report = night.report
    run = report.run if report else None
    document = night.document
    result = {
        "run": run.id if run else None,
        "started": run.started if run else None,
        "finished": run.finished if run else None,
        "complete": run.complete if run else False,
        "report": None if night.path is None else masked(night.path),
        "summary": report.summary if report else {},
        "changes": sum(c.weight in notice.TELLING for c in document.changes) if document else 0,
        "problems": [masked(problem) for problem in night.problems],
        "status": night.status,
    }
    return json.dumps(result, ensure_ascii=True) + "\n"
