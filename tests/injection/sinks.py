"""The program run within this process, a thousand times a minute, and what it said looked at."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from unittest import mock

from tests.injection.payloads import harm, width
from tlscheck import cli

COLOURS = re.compile(r"\x1b\[(?:31|35|33|36|32|2)m([a-z_]+)\x1b\[0m")
MOST_MESSAGE = 2_100  # columns of a line on stderr
SOUND = frozenset({0, 1, 2, 3, 5})  # exit statuses that are neither a bug nor a signal


@dataclass(frozen=True)
class Said:
    """What a run left on its two streams, as bytes, and its exit status."""

    status: int
    out: bytes
    err: bytes


class Stream(io.TextIOWrapper):
    """A stream as Python opens it, that is or is not a terminal."""

    def __init__(self, errors: str, terminal: bool) -> None:
        self.bytes = io.BytesIO()
        super().__init__(self.bytes, encoding="utf-8", errors=errors, write_through=True)
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal


def run(
    *arguments: str, terminal: bool = False, answer: str | None = None, **environment: str
) -> Said:
    """`tlscheck ARGUMENTS`, by its own entry point; `answer` is typed on a terminal of its own."""
    stdin = Stream("strict", answer is not None)
    stdin.bytes.write((answer or "").encode())
    stdin.bytes.seek(0)
    out, err = Stream("strict", terminal), Stream("backslashreplace", terminal)
    with contextlib.ExitStack() as stack:
        stack.callback(signal.signal, signal.SIGINT, signal.getsignal(signal.SIGINT))
        stack.enter_context(mock.patch.dict(os.environ, {"TERM": "xterm", **environment}))
        if "NO_COLOR" not in environment:
            os.environ.pop("NO_COLOR", None)
        stack.enter_context(mock.patch.object(sys, "argv", ["tlscheck", *arguments]))
        stack.enter_context(mock.patch.object(sys, "stdin", stdin))
        stack.enter_context(mock.patch.object(sys, "stdout", out))
        stack.enter_context(mock.patch.object(sys, "stderr", err))
        status: Any = 0
        try:
            cli.main()
        except SystemExit as end:
            status = end.code or 0
    return Said(status, out.bytes.getvalue(), err.bytes.getvalue())


# --- looking at it


def plain(data: bytes, most: int | None = None) -> str:
    """The text of `data`, which does a terminal no harm; no line has more than `most` columns."""
    text = data.decode("utf-8")  # strict: no unpaired surrogate, no stray byte
    assert not (bad := harm(text)), f"{bad!a} in {_around(text, bad[0])!a}"
    if most is not None:
        wide = max(map(width, text.split("\n")))
        assert wide <= most, f"a line of {wide} columns, not {most}"
    return text


def coloured(data: bytes, most: int) -> str:
    """As `plain`, but for the program's own colours on words of its own."""
    text = data.decode("utf-8")
    assert "\x1b" not in COLOURS.sub("", text), "an escape that is not the program's own"
    return plain(COLOURS.sub(r"\1", text).encode(), most)


def ascii_json(data: bytes) -> Any:
    """The value of JSON in printable ASCII."""
    text = data.decode("ascii")
    assert not re.search(r"[^\n -~]", text)
    return json.loads(text)


def complaint(said: Said, *statuses: int) -> str:
    """The one line of a run that failed as it should; nothing went out beside it."""
    assert said.status in (statuses or (2,)), (said.status, said.err[-2000:])
    assert b"Traceback" not in said.err and b"this is a bug" not in said.err
    text = plain(said.err, MOST_MESSAGE)
    assert text.startswith("tlscheck: ") and text.count("\n") == 1 and text.endswith("\n"), text
    assert said.out == b""
    return text


def _around(text: str, char: str) -> str:
    at = text.index(char)
    return text[max(0, at - 40) : at + 40]


# --- trees of JSON


def places(tree: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where every value of a tree is: ("endpoints", 0, "host")."""
    yield at
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield from places(value, (*at, key))
    elif isinstance(tree, list):
        for index, value in enumerate(tree):
            yield from places(value, (*at, index))


def found(tree: Any, place: tuple[Any, ...]) -> Any:
    for step in place:
        tree = tree[step]
    return tree


def planted(tree: Any, place: tuple[Any, ...], value: Any) -> Any:
    """A copy of `tree` that has `value` at `place`."""
    if not place:
        return value
    step, *rest = place
    if isinstance(tree, dict):
        return {k: planted(v, tuple(rest), value) if k == step else v for k, v in tree.items()}
    return [planted(v, tuple(rest), value) if i == step else v for i, v in enumerate(tree)]


def renamed(tree: Any, place: tuple[Any, ...], name: str) -> Any:
    """A copy of `tree` in which the key at the end of `place` is called `name`."""
    *outer, key = place
    table = found(tree, tuple(outer))
    return planted(tree, tuple(outer), {name if k == key else k: v for k, v in table.items()})
