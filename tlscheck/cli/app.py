"""The commands. Each imports what it needs when it runs, so that help is quick."""

from __future__ import annotations

import contextlib
import json
import math
import os
import signal
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tlscheck import __version__
from tlscheck.cli import asking, configuring, selection
from tlscheck.cli.asking import DEFAULT_POLICY, RESUME_HOURS
from tlscheck.cli.comparing import diff, evaluate, history, show
from tlscheck.cli.nightly import nightly
from tlscheck.cli.output import (
    BUG,
    DIRECTORY,
    FAILED,
    INCONCLUSIVE,
    PATH,
    UNWRITABLE,
    deliver,
    fail,
    on_terminal,
    shown,
    warn,
)
from tlscheck.cli.showing import FORMATS, rendered
from tlscheck.io.disk import words

if TYPE_CHECKING:
    from tlscheck.core.model import Endpoint, Report
    from tlscheck.core.policy import Policy
    from tlscheck.io.config import Effective


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="tlscheck", message="%(prog)s %(version)s")
def app() -> None:
    """Which TLS every STS and IAM endpoint really speaks, held against AWS's documents.

    Silence is never an answer: what could not be learned is reported as inconclusive.
    """


def _not_empty(context: click.Context, parameter: click.Parameter, value: Any) -> Any:
    """An empty text, as of a variable that is not set, would be the system's resolver."""
    if value == "":
        raise click.BadParameter("must not be empty")
    return value


@app.command()
@selection.options
@click.option(
    "--endpoint",
    "single",
    multiple=True,
    metavar="HOST[:PORT][@ADDRESS]",
    help="Scan this instead of the catalog; repeats.",
)
@asking.options
@click.option("--as-of", metavar="DATE", help="Judge for this date (YYYY-MM-DD).  [default: today]")
@click.option(
    "--resolve",
    "pins",
    multiple=True,
    metavar="NAME=ADDRESS",
    help="Ask this address for NAME, and no name server; repeats.",
)
@click.option(
    "--nameserver",
    callback=_not_empty,
    metavar="ADDRESS[:PORT]",
    help="Ask this name server instead of the system's resolver.",
)
@click.option(
    "--format", "form", type=click.Choice(FORMATS), help="[default: table, or by FILE's suffix]"
)
@click.option(
    "-o",
    "--output",
    type=PATH,
    metavar="FILE",
    help="Write the result to FILE, and nothing to the reports directory.",
)
@click.option(
    "--resume",
    is_flag=True,
    help="Go on with a run that asked the same and was cut short; else start a new one.",
)
@click.option(
    "--resume-within",
    "hours",
    type=click.FloatRange(0, 168),
    default=RESUME_HOURS,
    show_default=True,
    metavar="HOURS",
    help="How long ago that run may have begun; what is older is removed.",
)
@configuring.option
@click.pass_context
def scan(
    context: click.Context, /, single: tuple[str, ...], pins: tuple[str, ...],
    as_of: str | None, use_lab: bool,
    form: str | None, output: Path | None, resume: bool, hours: float, **given: Any,
) -> None:  # fmt: skip
    """Probe endpoints, judge them, and keep a report."""
    found = configuring.effective(context)
    settings, reports = found.settings, found.settings.reports
    chosen = configuring.policies(found)
    day = day_of(as_of)
    endpoints = selection.pinned(endpoints_of(found, single, given), pins)
    check_bundle(found)
    if output and resume:
        fail("--resume goes on with a run in the reports directory: leave out -o")
    if use_lab and resume:
        fail("--resume has nothing to go on with: each --lab is another one; leave out one of them")
    if math.isnan(hours):
        fail("--resume-within: must be from 0 to 168 hours")
    from tlscheck.cli import scanning
    from tlscheck.io import store

    form = form or ("json" if output and output.suffix == ".json" else "table")
    with contextlib.ExitStack() as stack:
        keeper = None
        if output:
            try:
                store.check_writable(output)
            except store.CannotWrite as fault:
                fail(str(fault), UNWRITABLE)
        else:
            from tlscheck.cli import keeping

            keeper = stack.enter_context(keeping.locked(reports))
        with lab_or_not(use_lab, endpoints, settings.ca_bundle) as (targets, bundle):
            job = scanning.job_of(settings, targets, chosen, day, bundle)
            journal = None  # the next lab is another one: nothing to go on with
            if keeper and not use_lab:
                journal = stack.enter_context(keeper.journal(job, resume=resume, hours=hours))
            done = scanning.run(job, journal)
        if keeper:
            path, kept = keeper.keep(done)
            deliver(rendered(done.report, form, on_terminal(sys.stdout), path), None)
            if kept:
                more = "; --resume goes on with what was learned" if journal else ""
                fail(f"{kept}{more}", UNWRITABLE)
        else:
            deliver(rendered(done.report, form, colour=False), output)
    if done.signal:
        more = "; --resume goes on with it" if journal else ""
        warn(f"interrupted; the report is marked incomplete{more}")
        sys.exit(128 + done.signal)
    sys.exit(status_of(done.report))


def status_of(report: Report) -> int:
    if report.summary.get("fail"):
        return FAILED
    return INCONCLUSIVE if report.summary.get("inconclusive") else 0


def policy_named(name: str) -> Policy:
    from tlscheck.io import policies

    try:
        return policies.find(name)
    except policies.BadPolicy as fault:
        fail(str(fault))


def day_of(text: str | None) -> date:
    if text is None:
        return datetime.now(UTC).date()
    try:
        return date.fromisoformat(text)
    except ValueError:
        fail(f"--as-of {text}: give a date as YYYY-MM-DD")


def endpoints_of(
    found: Effective, single: tuple[str, ...], given: dict[str, Any]
) -> tuple[Endpoint, ...]:
    if single:
        if given["files"] or any(given[name] for name in selection.FILTERS):
            fail("--endpoint names what to scan: leave out --endpoints and the filters")
        return selection.from_arguments(single)
    settings = found.settings
    filters = {name: getattr(settings, name, given[name]) for name in selection.FILTERS}
    places = [configuring.place(found, name) for name in selection.FILTERS if name in found.origins]
    also = ", ".join(place.removesuffix(": ") for place in places if place)
    return selection.select(selection.load(settings.endpoints), filters, also)


def check_bundle(found: Effective) -> None:
    path = found.settings.ca_bundle
    if path is None:
        return
    import ssl

    from tlscheck.io import trust

    name = f"{configuring.place(found, 'ca_bundle') or '--ca-bundle '}{path}"
    if os.path.exists(path) and not (os.path.isfile(path) or os.path.isdir(path)):
        fail(f"{name}: is not a regular file; give a file")  # it is read more than once
    try:
        # Not create_default_context: that one opens the file that SSLKEYLOGFILE names.
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=path)
        line = trust.openssls_own(path.read_bytes())
    except ssl.SSLError:
        fail(f"{name}: holds no certificate in PEM form, or one that cannot be read")
    except OSError as fault:
        fail(f"{name}: {words(fault)}")
    if line:  # whom OpenSSL trusts for what is not known to who reads the chains
        fail(
            f"{name}:{line}: a TRUSTED CERTIFICATE is a form of OpenSSL's own;"
            " make it a CERTIFICATE with 'openssl x509 -in OLD -out NEW'"
        )


@contextlib.contextmanager
def lab_or_not(
    use_lab: bool, endpoints: tuple[Endpoint, ...], bundle: Path | None
) -> Iterator[tuple[tuple[Endpoint, ...], Path | None]]:
    if not use_lab:
        yield endpoints, bundle
        return
    from tlscheck.lab import process as lab

    try:
        running = lab.start(endpoints)
    except lab.LabError as fault:
        fail(str(fault), BUG)
    with running:
        yield running.endpoints, running.ca_bundle


app.add_command(show)
app.add_command(diff)
app.add_command(evaluate)
app.add_command(history)
app.add_command(configuring.config)
app.add_command(nightly)


@app.command()
@click.argument("name", type=click.Choice(["report", "diff", "notice"]), default="report")
def schema(name: str) -> None:
    """The JSON Schema of a format: of reports, of diffs, or of what a webhook is told."""
    from importlib.resources import files

    text = files("tlscheck").joinpath(f"schemas/tlscheck-{name}-1.json").read_text("utf-8")
    deliver(text, None)


@app.group()
def endpoints() -> None:
    """The catalog: list it, check files, refresh it from botocore's rule set."""


@endpoints.command("list")
@selection.options
@click.option("--format", "form", type=click.Choice(["table", "json", "hosts"]), default="table")
@configuring.option
@click.pass_context
def list_(context: click.Context, /, form: str, **given: Any) -> None:
    """The endpoints that a scan with these filters, and those configured, would probe."""
    chosen = endpoints_of(configuring.effective(context), (), given)
    if form == "hosts":
        deliver("".join(f"{e.host}\n" for e in chosen), None)
    elif form == "json":
        from dataclasses import asdict

        deliver(json.dumps([asdict(e) for e in chosen], indent=1) + "\n", None)
    else:
        from tabulate import tabulate

        from tlscheck.render.clean import clean

        rows = [(clean(e.id), clean(e.host), e.tier) for e in chosen]
        text = tabulate(rows, headers=["id", "host", "tier"], disable_numparse=True)
        deliver(f"{text}\n{len(chosen)} endpoints\n", None)


@endpoints.command()
@click.argument("files", nargs=-1, type=PATH)
def check(files: tuple[Path, ...]) -> None:
    """Check data files (the catalog's own without FILES)."""
    found = selection.load(files)
    hosts = len({(e.host, e.port) for e in found})
    deliver(f"{len(found)} endpoints, {hosts} hosts: no fault found\n", None)


@app.group()
def policies() -> None:
    """The policies: list, show, check."""


@policies.command("list")
def policies_list() -> None:
    """The policies that tlscheck brings along."""
    from tlscheck.io import policies as files
    from tlscheck.render.clean import clean

    for name in sorted(files.builtin()):
        policy = policy_named(name)
        mark = "  (default)" if name == DEFAULT_POLICY else ""
        deliver(f"{policy.id}{mark}\n    {clean(policy.title)}\n", None)


@policies.command("show")
@click.argument("policy")
def policies_show(policy: str) -> None:
    """A policy's rules, with citations."""
    from tlscheck.render.policy import describe

    text = describe(policy_named(policy))
    deliver(text if text.endswith("\n") else text + "\n", None)


@policies.command("check")
@click.argument("files", nargs=-1, required=True)
def policies_check(files: tuple[str, ...]) -> None:
    """Check policy files."""
    for name in files:
        policy = policy_named(name)
        deliver(f"{policy.id}: {len(policy.rules)} rules, no fault found\n", None)


@app.command()
@selection.options
@click.option("--directory", type=PATH, help="Where to write endpoints.toml and ca.pem.")
@configuring.option
@click.pass_context
def lab(context: click.Context, /, directory: Path | None, **given: Any) -> None:
    """Stand-ins for the endpoints on loopback, in the foreground."""
    import shlex
    import tempfile

    from tlscheck.lab import process as labs

    chosen = endpoints_of(configuring.effective(context), (), given)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with contextlib.ExitStack() as stack:
        place = directory or Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="tlscheck-"))
        )
        try:
            running = stack.enter_context(labs.start(chosen))
            labs.write_pointers(running, place)
        except labs.LabError as fault:
            fail(str(fault), BUG)
        except OSError as fault:
            fail(f"cannot write {place}: {words(fault)}", UNWRITABLE)
        planted = [s for s in running.stations if s.deviation]
        data, bundle = (shlex.quote(shown(place / name)) for name in ("endpoints.toml", "ca.pem"))
        deliver(
            f"{len(running.endpoints)} endpoints on port {running.port}, {len(planted)} deviations "
            f"planted. From another terminal:\n\n"
            f"    tlscheck scan --endpoints {data} --ca-bundle {bundle}\n\n"
            "Ctrl-C stops the lab.\n",
            None,
        )
        with contextlib.suppress(KeyboardInterrupt):
            while running.running:
                signal.sigtimedwait([], 1)


@endpoints.command()
@click.option("--yes", is_flag=True, help="Write without asking.")
@click.option(
    "--directory",
    type=DIRECTORY,
    help="The data files to refresh.  [default: those that tlscheck brings along]",
)
def refresh(yes: bool, directory: Path | None) -> None:
    """Rebuild the data files from the rule set of the installed botocore."""
    from tlscheck.io import catalog
    from tlscheck.io import refresh as refreshing
    from tlscheck.render.clean import clean

    place = directory or catalog.builtin_directory()
    try:
        files = tuple(sorted(place.glob("*.toml")))
    except OSError as fault:
        fail(f"--directory {place}: {words(fault)}")
    if not files:
        fail(f"--directory {place}: holds no .toml file to refresh; copy the catalog's there first")
    try:
        plan = refreshing.plan(selection.load(files))
    except refreshing.NoBotocore as fault:
        fail(str(fault))
    lines = [f"+ {e.id} {e.host} ({e.tier})" for e in plan.added]
    lines += [f"- {e.id} {e.host}" for e in plan.removed]
    lines += [f"~ {c.after.id} {what}" for c in plan.changed for what in c.told()]
    counts = (
        f"{len(plan.added)} to add, {len(plan.removed)} to remove, {len(plan.changed)} to change, "
        f"{plan.unchanged} unchanged ({plan.version})"
    )
    deliver("".join(f"{clean(line)}\n" for line in [*lines, counts]), None)
    if plan.empty:
        return
    if not yes and not on_terminal(sys.stdin):
        fail("nothing was written: there is no terminal to ask on; say --yes to write")
    if yes or click.confirm(f"Write {shown(place)}?", err=True):
        try:
            written = refreshing.write(plan, place)
        except OSError as fault:
            fail(f"cannot write {place}: {words(fault)}", UNWRITABLE)
        deliver("".join(f"wrote {shown(path)}\n" for path in written), None)


@app.command()
@click.argument("rule")
def explain(rule: str) -> None:
    """A rule (RULE or POLICY/RULE): its citation, how it is measured, what would satisfy it."""
    from tlscheck.core.conduct import BY_ID, OWN
    from tlscheck.io import policies as files
    from tlscheck.render.policy import describe_own, describe_rule

    if own := BY_ID.get(rule.removeprefix(f"{OWN}/")):
        deliver(describe_own(own), None)
        return
    policy_id, _, rule_id = rule.rpartition("/")
    found = [
        (policy, each)
        for policy in map(policy_named, [policy_id] if policy_id else sorted(files.builtin()))
        for each in policy.rules
        if each.id == rule_id
    ]
    if not found:
        known = [
            f"{p.id}/{r.id}" for p in map(policy_named, sorted(files.builtin())) for r in p.rules
        ]
        fail(f'no rule "{rule}"; there are {", ".join(known)}')
    deliver("\n".join(describe_rule(policy, each) for policy, each in found), None)
