"""The command line: the only place where the parts are wired together.

Exit status: 0 all pass · 1 a rule failed · 2 wrong usage or a bad file · 3 something is
inconclusive · 4 another run holds the lock · 5 output could not be written · 70 a bug ·
128+N a signal.
"""

from __future__ import annotations

import contextlib
import io
import sys
from typing import NoReturn

_PRINTED_BY_CLICK = {"-h", "--help", "--version"}


def main() -> NoReturn:
    """The console script. Every way out has its exit status; a traceback comes only with 70."""
    if _PRINTED_BY_CLICK.isdisjoint(sys.argv):
        _main()
    from tlscheck.cli.output import deliver

    try:
        with contextlib.redirect_stdout(io.StringIO()) as said:
            _main()
    except SystemExit as end:
        if text := said.getvalue():  # goes out as all else does, and ends with 5 if it cannot
            deliver(text, None)
        raise end from None


def _main() -> NoReturn:
    import click

    from tlscheck.cli.app import app
    from tlscheck.cli.output import BUG, complain, say, shown

    try:
        # The name is given: that of the file we were started by is anybody's choice.
        sys.exit(app.main(prog_name="tlscheck", standalone_mode=False))
    except click.ClickException as fault:
        complain(fault)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(130)
    except Exception:
        import traceback

        for line in traceback.format_exc().splitlines():
            say(shown(line))
        say("tlscheck: this is a bug; please report it with the lines above")
        sys.exit(BUG)
