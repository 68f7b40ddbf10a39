"""The configuration: what the other commands take from it, and the command that shows it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from tlscheck.cli.output import PATH, deliver, fail, shown
from tlscheck.io.secret import masked
from tlscheck.io.settings import BY_NAME

if TYPE_CHECKING:
    from tlscheck.core.policy import Policy
    from tlscheck.io.config import Effective

# The parameters of commands that are not called as their setting is.
_PARAMETERS = {"files": "endpoints"}


def option(command: Callable[..., Any]) -> Callable[..., Any]:
    """The option that names the configuration file."""
    return click.option(
        "--config",
        "config_file",
        type=PATH,
        metavar="FILE",
        help="Configuration to read instead of ./tlscheck.toml or that of ~/.config/tlscheck.",
    )(command)


def effective(context: click.Context) -> Effective:
    """The settings that hold for this command: its options go before all else, if given."""
    from tlscheck.io import config

    flags = {
        _PARAMETERS.get(name, name): value
        for name, value in context.params.items()
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE
    }
    named = flags.pop("config_file", None)
    flags = {name: value for name, value in flags.items() if name in BY_NAME}
    try:
        return config.load(config.find(named, os.environ), os.environ, flags)
    except config.BadConfig as fault:
        fail(str(fault))


def place(found: Effective, name: str) -> str:
    """What a fault in this setting begins with, unless it was given on the command line."""
    origin = found.origins[name]
    return f"{origin.place}: " if origin.layer in ("file", "environment") else ""


def policies(found: Effective) -> list[Policy]:
    """The policies to judge by, each once."""
    from tlscheck.io import policies as files

    try:
        return [files.find(name) for name in dict.fromkeys(found.settings.policies)]
    except files.BadPolicy as fault:
        fail(f"{place(found, 'policies')}{fault}")


@click.command()
@option
@click.option(
    "--format", "form", type=click.Choice(["table", "json"]), default="table", show_default=True
)
@click.option(
    "--default-file",
    is_flag=True,
    help="Print a tlscheck.toml that explains every setting and has its default.",
)
@click.pass_context
def config(context: click.Context, config_file: Path | None, form: str, default_file: bool) -> None:
    """The settings that hold, and where each comes from. Secrets are never shown.

    Default < tlscheck.toml < environment (TLSCHECK_...) < option.
    """
    if default_file:
        from tlscheck.io.settings import default_file as text

        deliver(text(), None)
        return
    found = effective(context)
    policies(found)
    deliver(_as_json(found) if form == "json" else _as_table(found), None)


def _as_json(found: Effective) -> str:
    rows = [
        {
            "name": ".".join(setting.where),
            "value": _shown(getattr(found.settings, setting.name)),
            "layer": found.origins[setting.name].layer,
            "origin": masked(str(found.origins[setting.name])),
            "variable": setting.variable,
        }
        for setting in BY_NAME.values()
    ]
    document = {"file": masked(str(found.file)) if found.file else None, "settings": rows}
    return json.dumps(document, indent=2, ensure_ascii=True).replace("\x7f", "\\u007f") + "\n"


def _as_table(found: Effective) -> str:
    from tabulate import tabulate

    from tlscheck.render.clean import clean

    rows = [
        (".".join(setting.where), clean(_words(value)), shown(found.origins[setting.name]))
        for setting in BY_NAME.values()
        for value in (_shown(getattr(found.settings, setting.name)),)
    ]
    read = f"Read: {shown(found.file)}" if found.file else "No file was read."
    table = tabulate(rows, headers=["setting", "value", "from"], disable_numparse=True)
    return f"{table}\n\n{read}\n"


def _words(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(value) or "-"
    return "-" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _shown(value: Any) -> Any:
    """A value as JSON has it. Whatever is not a number is shown as text, a secret as "(set)" and
    what looks like one masked."""
    if isinstance(value, tuple):
        return [masked(str(one)) for one in value]
    return value if value is None or isinstance(value, int | float) else masked(str(value))
