"""What goes out: one clear line for a fault, results on stdout or in a file."""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn, TextIO

import click

from tlscheck.io import store
from tlscheck.io.disk import words
from tlscheck.io.secret import masked
from tlscheck.render.clean import clean, cut_middle

FAILED, USAGE, INCONCLUSIVE, LOCKED, UNWRITABLE, BUG = 1, 2, 3, 4, 5, 70
MOST_MESSAGE = 2000  # columns: what is quoted in a message may be of any length


class _Named(click.Path):
    """A path that is named: an empty text, as of a variable that is not set, would be "."."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value == "":
            self.fail("must not be empty", param, ctx)
        return super().convert(value, param, ctx)


PATH, DIRECTORY = _Named(path_type=Path), _Named(path_type=Path, file_okay=False)

_logs = ["text"]


def log_as(form: str) -> None:
    """From now on a line on stderr is `text`, or an object of `json`."""
    _logs[:] = [form]


class Failed(SystemExit):
    """The end, with a status; why was told already."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(status)
        self.message = message


def fail(message: str, status: int = USAGE) -> NoReturn:
    """One line on stderr, cleaned of whatever could play with the terminal, then the end."""
    warn(message, level="error")
    raise Failed(message, status)


def complain(fault: click.ClickException) -> NoReturn:
    """Wrong usage, as one line too; click itself would repeat the arguments as they came."""
    context = fault.ctx if isinstance(fault, click.UsageError) else None
    if context and fault.format_message() == context.get_help():  # nothing was asked for
        say(fault.format_message())
        raise SystemExit(fault.exit_code)
    hint = f"; see '{context.command_path} --help'" if context else ""
    fail(f"{fault.format_message().rstrip('.')}{hint}", fault.exit_code)


def shown(given: object) -> str:
    """A path, a value or a message to print: cleaned of whatever could play with the terminal, and
    of what may be a secret that stands where none belongs."""
    return clean(masked(str(given)))


def warn(message: str, *, level: str = "warning") -> None:
    """One line on stderr, as `shown`; the command goes on."""
    line = f"tlscheck: {cut_middle(shown(message), MOST_MESSAGE)}"
    if _logs == ["json"]:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        said = {"time": now, "level": level, "message": line.removeprefix("tlscheck: ")}
        line = json.dumps(said, ensure_ascii=True)
    say(line)


def on_terminal(stream: TextIO | None) -> bool:
    """Whether somebody looks on; a stream that is closed has nobody."""
    return stream is not None and stream.isatty()


def say(line: str) -> None:
    """A line on stderr; if that is closed or full, what is done goes on all the same."""
    if sys.stderr is not None:
        with contextlib.suppress(OSError):
            print(line, file=sys.stderr, flush=True)


def deliver(text: str, path: Path | None) -> None:
    """Results to `path`, or to stdout. Exits with 5 where that is not possible.

    Who has stopped reading stdout changes nothing, least of all the exit status.
    """
    try:
        if path is not None:
            store.write(path, text)
        elif sys.stdout is None:
            fail("cannot write to standard output: it is closed", UNWRITABLE)
        else:
            if isinstance(sys.stdout, io.TextIOWrapper):  # a locale may have few letters
                sys.stdout.reconfigure(errors="backslashreplace")
            sys.stdout.write(text)
            sys.stdout.flush()
    except store.CannotWrite as fault:
        fail(str(fault), UNWRITABLE)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    except OSError as fault:
        fail(f"cannot write to standard output: {words(fault)}", UNWRITABLE)
