"""A crontab line, or a service and a timer, for the nightly run as it was asked for."""

from __future__ import annotations

import os
import shutil
import socket
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tlscheck.cli.output import fail, warn
from tlscheck.io.secret import masked
from tlscheck.io.settings import SETTINGS

if TYPE_CHECKING:
    from tlscheck.io.config import Effective

# Not in the configuration: only options can say these.
_SWITCHES = {"use_lab": "--lab", "as_json": "--json"}
_FILTERS = {"opt_in": "--opt-in", "ip": "--ip"}
_NO_OPTION = ("webhook", "webhook_format", "ping", "notify_timeout")


def unit(kind: str, found: Effective, given: Mapping[str, Any]) -> str:
    """What runs it every night (`cron` or `systemd`), with the configuration that holds now and
    the options that were `given`."""
    from tlscheck.render import unit

    program = shutil.which("tlscheck") or sys.argv[0]
    command = [os.path.abspath(program), "nightly"]
    settings = found.settings
    if found.file is not None:
        command += ["--config", str(found.file.resolve())]
    command += ["--reports", str(settings.reports.resolve()), *_options(found, given)]
    try:
        if kind == "cron":
            return _open(unit.cron(command, host=socket.gethostname()))
        writes = [str(settings.reports.resolve())]
        if settings.metrics is not None:
            writes.append(str(settings.metrics.resolve().parent))
        reads = [str(path) for path in _needed(found)]
        units = unit.systemd(command, writes=writes, reads=reads)
    except ValueError as fault:
        fail(f"--print-unit: {fault}")
    return _open(f"# tlscheck.service\n{units.service}\n# tlscheck.timer\n{units.timer}")


def _open(text: str) -> str:
    """`text`, if there is nothing to hide: with asterisks in it, it would be another one."""
    if masked(text) != text:
        fail("--print-unit: a path or an option looks like it holds a secret; call it otherwise")
    return text


def _options(found: Effective, given: Mapping[str, Any]) -> Iterator[str]:
    """What this command line and environment say, which the unit will not have."""
    for setting in SETTINGS:
        origin = found.origins[setting.name]
        if setting.name == "reports" or origin.layer not in ("flag", "environment"):
            continue
        if setting.name in _NO_OPTION:
            warn(f"{origin.place} is not in what is printed; put it into tlscheck.toml")
            continue
        value = getattr(found.settings, setting.name)
        if setting.name == "family":
            yield from () if value is None else (f"-{value}",)
            continue
        for one in value if isinstance(value, tuple) else (value,):
            if one is not None:
                yield from (setting.option, _text(one))
    for name, option in _FILTERS.items():
        for one in given[name]:
            yield from (option, one)
    yield from (option for name, option in _SWITCHES.items() if given[name])


def _text(value: Any) -> str:
    """As an option takes it; a file by its whole name, wherever it is started."""
    if isinstance(value, Path) or (isinstance(value, str) and value.endswith(".toml")):
        return str(Path(value).resolve())
    return f"{value:g}" if isinstance(value, float) else str(value)


def _needed(found: Effective) -> Iterator[Path]:
    """What the program reads that may be below a home: itself, and the configuration."""
    yield Path(sys.prefix).resolve()
    yield Path(sys.executable).resolve().parent
    settings = found.settings
    policies = [Path(name) for name in settings.policies if name.endswith(".toml")]
    files: Sequence[Path | None] = (
        found.file, settings.ca_bundle, *settings.endpoints, *policies,
    )  # fmt: skip
    yield from (path.resolve() for path in files if path is not None)
