"""What takes the place of scans and labs where only the words around them are asked for."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

from pydantic import TypeAdapter

from tests.injection import samples
from tlscheck.cli import scanning
from tlscheck.core.model import Report
from tlscheck.io import refresh
from tlscheck.lab import process


@contextmanager
def no_scan() -> Iterator[None]:
    """Scans end at once, with the sample report."""
    report = TypeAdapter(Report).validate_python(samples.report())
    done = scanning.Done(report, None)
    with mock.patch.object(scanning, "run", return_value=done):
        yield


@contextmanager
def no_lab(directory: Path) -> Iterator[None]:
    """Labs start at once, and are over when they are first looked at."""
    (directory / "no-ca.pem").touch()
    lab = mock.MagicMock(port=4433, endpoints=(), stations=(), running=False)
    lab.ca_bundle = directory / "no-ca.pem"
    lab.__enter__.return_value = lab
    before = signal.getsignal(signal.SIGTERM)
    try:
        with mock.patch.object(process, "start", return_value=lab):
            yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def no_refresh() -> Iterator[None]:
    """The rule sets of botocore say what the files say, and a file is said to be written."""
    plan = refresh.Plan("botocore 0", (), (), (), (), 0)
    with (
        mock.patch.object(refresh, "plan", return_value=plan),
        mock.patch.object(refresh.Plan, "empty", False),
        mock.patch.object(refresh, "write", lambda _, place: (place / "aws.toml",)),
    ):
        yield
