"""The command line: the only place where the parts are wired together.

Exit status: 0 all pass · 1 a rule failed · 2 wrong usage or a bad file · 3 something is
inconclusive · 4 another run holds the lock · 5 output could not be written · 70 a bug ·
128+N a signal.
"""

from __future__ import annotations

import sys

# Nothing that takes time is imported before `main` has seen to interrupts.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

_PRINTED_BY_CLICK = {"-h", "--help", "--version"}


def main() -> NoReturn:
    """The console script. Every way out has its exit status; a traceback comes only with 70."""
    try:
        _interrupts(raised=False)
        try:
            _run()
        finally:
            _interrupts(raised=False)
    except KeyboardInterrupt:  # in between
        sys.exit(130)


def _interrupts(*, raised: bool) -> None:
    """What SIGINT does: it is `raised` where there may be something to put in order, and ends the
    program at once and without a word while it starts and ends. One that is ignored stays so."""
    import signal

    if signal.getsignal(signal.SIGINT) in (signal.default_int_handler, signal.SIG_DFL):
        new = signal.default_int_handler if raised else signal.SIG_DFL
        signal.signal(signal.SIGINT, new)


def _run() -> NoReturn:
    if _PRINTED_BY_CLICK.isdisjoint(sys.argv):
        _main()
    import contextlib
    import io

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
        _interrupts(raised=True)
        # The name is given: that of the file we were started by is anybody's choice.
        sys.exit(app.main(prog_name="tlscheck", standalone_mode=False))
    except click.ClickException as fault:
        complain(fault)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(130)
    except Exception as fault:
        if _interrupted(fault):
            sys.exit(130)
        import traceback

        for line in traceback.format_exc().splitlines():
            say(shown(line))
        say("tlscheck: this is a bug; please report it with the lines above")
        sys.exit(BUG)


def _interrupted(fault: BaseException | None) -> bool:
    """Whether an interrupt is behind a fault: Python 3.11 makes a RuntimeError of one that comes
    while a class is made, as in the imports of a command."""
    seen = set[int]()
    while fault is not None and id(fault) not in seen:
        if isinstance(fault, KeyboardInterrupt):
            return True
        seen.add(id(fault))
        fault = fault.__cause__ or fault.__context__
    return False
