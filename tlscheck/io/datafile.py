"""What all files of data share: reading them within bounds, faults with file, line and mend.

The checks are hand-written and not pydantic's: its messages have no line, repeat the value (which
may be a secret), and loading it costs every start-up.
"""

from __future__ import annotations

import difflib
import os
import stat
import tomllib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tlscheck.io.places import TomlLines, Where, fault, nearest
from tlscheck.io.secret import masked, secret_in

MAX_BYTES = 10_000_000


class BadFile(Exception):
    """A file that cannot be used. `str()` is one line: `FILE:LINE: what is wrong; how to mend`."""

    def __init__(self, file: Path | str, line: int, what: str) -> None:
        super().__init__(clean(f"{file}:{line}: {what}"))
        self.file = Path(file)
        self.line = line


class Wrong(Exception):
    """What is wrong, and where in the file's data; its line is found out by who catches it."""

    def __init__(self, where: Where, what: str) -> None:
        super().__init__(what)
        self.where = where
        self.what = what


@dataclass(frozen=True, slots=True)
class Document:
    """A file's data, and how to find the line of a place in it (asked for only on errors)."""

    file: Path
    data: dict[str, Any]
    line_of: Callable[[Where], int]


def contents(file: Path) -> tuple[str, int]:
    """The text of a regular file of UTF-8, and the file's mode. Raises BadFile."""
    try:
        # What was opened is asked for its mode: the name may mean another file by then.
        with open(file, "rb", opener=_without_waiting) as stream:
            mode = os.fstat(stream.fileno()).st_mode
            if not stat.S_ISREG(mode):
                raise BadFile(file, 1, "is not a regular file; give a file")
            data = stream.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        raise BadFile(file, 1, f"cannot be read ({why(error)})") from error
    if len(data) > MAX_BYTES:
        raise BadFile(file, 1, f"is larger than {MAX_BYTES:,} bytes; split it")
    data = data.removeprefix(b"\xef\xbb\xbf")
    try:
        return data.decode("utf-8"), mode
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise BadFile(file, line, "is not UTF-8 here; save it as UTF-8") from None


def _without_waiting(file: str, flags: int) -> int:
    """For `open`: a pipe that nobody writes to is opened too, and then refused."""
    return os.open(file, flags | os.O_NONBLOCK)


def toml(file: Path, text: str) -> Document:
    """A TOML text as data. Raises BadFile, also for a secret in a comment."""
    try:
        data = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise syntax(file, "TOML", *fault(text, error)) from None
    scanned: list[TomlLines] = []

    def lines() -> TomlLines:
        if not scanned:
            scanned.append(TomlLines(text))
        return scanned[0]

    # The data has no comments, yet they are shared with it. Looked at closely only if need be.
    if secret_in(text):
        for line, comment in lines().comments:
            if kind := secret_in(comment):
                raise BadFile(file, line, f"a comment holds {kind}; remove it")
    return Document(file, data, lambda where: nearest(lines().lines, where))


def syntax(file: Path, kind: str, line: int, said: str) -> BadFile:
    """What a parser says, without anything of the file that might be secret."""
    said = "something is wrong here" if secret_in(said) else cut(said)
    return BadFile(file, line, f"is not valid {kind}: {said}; mend the syntax")


def refuse_secrets(value: Any, where: Where) -> None:
    """Raises Wrong for the first name or value that holds a secret."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if kind := secret_in(name):
                raise Wrong((*where, name), f"a field name is {kind}; remove it")
            refuse_secrets(inner, (*where, name))
    elif isinstance(value, list):
        for at, inner in enumerate(value):
            refuse_secrets(inner, (*where, at))
    elif isinstance(value, str | int) and not isinstance(value, bool):
        # Very long numbers cannot be turned into text, and are no account numbers.
        if isinstance(value, int) and abs(value) >= 10**12:
            return
        if kind := secret_in(str(value)):
            field = next((part for part in reversed(where) if isinstance(part, str)), "the file")
            raise Wrong(where, f"{cut(field)} holds {kind}; remove it, such files get shared")


def refuse_unknown(table: dict[str, Any], known: Sequence[str], where: Where) -> None:
    """Raises Wrong for the first name that is not known."""
    for name in table:
        if name not in known:
            raise Wrong((*where, name), f'unknown field "{cut(name)}"{near(name, known)}')


def near(name: str, known: Iterable[str]) -> str:
    """How to mend a name that is not known."""
    close = difflib.get_close_matches(name.lower()[:80], list(known), n=1, cutoff=0.5)
    return f'; did you mean "{close[0]}"?' if close else "; remove or mend it"


def cut(text: str) -> str:
    """The start of what a file says, harmless to show."""
    text = masked(text)  # before half a secret is left of it
    return clean(text if len(text) <= 60 else text[:60] + "...")


def clean(text: str) -> str:
    """On one line and harmless on a terminal."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def why(error: OSError | ValueError) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
