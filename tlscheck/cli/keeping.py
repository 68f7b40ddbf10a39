"""A run that keeps its report: the lock of the reports directory, the journal, and going on."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tlscheck import __version__
from tlscheck.cli.output import LOCKED, UNWRITABLE, fail, warn
from tlscheck.cli.scanning import Done, Job, run_id, stamp
from tlscheck.io import journal, lock, store
from tlscheck.io.journal import Header, Journal
from tlscheck.render import json as as_json


class Keeper:
    """The holder of a reports directory's lock."""

    def __init__(self, reports: Path, place: int) -> None:
        self.reports = reports
        self._place = place
        self._journal: Journal | None = None

    @contextlib.contextmanager
    def journal(self, job: Job, *, resume: bool, hours: float) -> Iterator[Journal]:
        """The journal for a run of `job`: a new one or, to `resume`, that of a run which asked the
        same, began not more than `hours` ago and was cut short. Ends with 5 when it cannot be
        written."""
        now, wanted = datetime.now(UTC), asked(job)
        journal.tidy(self.reports, self._place, now, timedelta(hours=hours), warn)
        found = self._cut_short(job, wanted) if resume else None
        if found is None:
            header = Header(run_id(), stamp(now), wanted)
            try:
                found = journal.begin(self.reports, self._place, header)
            except store.CannotWrite as fault:
                fail(str(fault), UNWRITABLE)
        self._journal = found
        try:
            yield found
        finally:
            found.close()

    def _cut_short(self, job: Job, wanted: dict[str, str]) -> Journal | None:
        ids = {endpoint.id for endpoint in job.endpoints}
        found = journal.latest(self.reports, self._place, wanted, ids, warn)
        if found is None:
            return None
        if store.is_complete(self.reports, found.header.run):  # cut short after its report
            found.close()
            journal.forget(self._place, found.header)
            return None
        done = f"{len(found.finished)} of {len(job.endpoints)} endpoints are done"
        warn(f"going on with run {found.header.run} of {found.header.started}: {done}")
        return found

    def keep(self, done: Done) -> tuple[str | None, str | None]:
        """Write the report, and only then let go of the journal; where it is, or why it is not."""
        try:
            path = store.keep(self.reports, done.report, as_json.compact(done.report))
        except store.CannotWrite as fault:
            return None, str(fault)
        if self._journal and self._journal.fault:
            warn(f"{self._journal.fault}; the report is kept all the same")
        if self._journal and done.report.run.complete:
            journal.forget(self._place, self._journal.header)
        return str(path), None


@contextlib.contextmanager
def locked(reports: Path) -> Iterator[Keeper]:
    """The lock of a reports directory. Ends with 4 when another run has it, and with 5 when nothing
    can be written there."""
    with contextlib.ExitStack() as stack:
        try:
            place = stack.enter_context(lock.held(reports))
        except lock.Held as fault:
            fail(str(fault), LOCKED)
        except store.CannotWrite as fault:
            fail(str(fault), UNWRITABLE)
        yield Keeper(reports, place)


def asked(job: Job) -> dict[str, str]:
    """All that decides what a scan sees, by name, in short. Policies do not."""
    endpoints = [
        (e.id, e.service, e.partition, e.region, e.variant, e.host, e.port, e.addresses,
         e.server_name, e.verify_name)
        for e in job.endpoints
    ]  # fmt: skip
    return {
        "version of tlscheck": __version__,
        "endpoints": _digest(json.dumps(endpoints).encode()),
        "depth": job.depth,
        "deadline": str(job.limits.deadline),
        "address family": str(job.family or "any"),
        "name server": job.nameserver or "the system's",
        "CA bundle": _digest(job.ca_bundle.read_bytes()) if job.ca_bundle else "none",
    }


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
