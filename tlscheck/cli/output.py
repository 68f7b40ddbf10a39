"""What goes out: one clear line for a fault, results on stdout or in a file."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NoReturn

from tlscheck.io import store
from tlscheck.render.clean import clean

USAGE, UNWRITABLE = 2, 5


def fail(message: str, status: int = USAGE) -> NoReturn:
    """One line on stderr, cleaned of whatever could play with the terminal, then the end."""
    print(f"tlscheck: {clean(message)}", file=sys.stderr)
    raise SystemExit(status)


def deliver(text: str, path: Path | None) -> None:
    """Results to `path`, or to stdout. Exits with 5 where that is not possible."""
    try:
        if path is not None:
            store.write(path, text)
        else:
            sys.stdout.write(text)
            sys.stdout.flush()
    except store.CannotWrite as fault:
        fail(str(fault), UNWRITABLE)
    except BrokenPipeError:
        raise
    except OSError as fault:
        fail(f"cannot write to standard output: {fault.strerror or fault}", UNWRITABLE)
