"""`python -m tests.nights.faulty NUMBER ERRNO MADE ARGUMENTS...`: the command line, where the disk
fails at the call with that number; the names of all calls made are written to MADE."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tests.io.syscalls import faulty, nth


def main() -> None:
    number, errno, made_file = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
    sys.argv = ["tlscheck", *sys.argv[4:]]
    from tlscheck.cli import main as tlscheck

    made: list[str] = []
    try:
        with nth(number, faulty(errno)) as made:
            tlscheck()
    finally:
        made_file.write_text(json.dumps(made))


if __name__ == "__main__":
    main()
