"""Where things stand in a TOML text: tomllib keeps no lines, and a fault needs one.

Pure. Only errors pay for it: nobody looks for a line before something is wrong.
"""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_left
from collections.abc import Mapping

# Where something is in a file: ("endpoint", 3, "host"), the table and field names and the indexes.
Where = tuple[str | int, ...]


def fault(text: str, error: Exception) -> tuple[int, str]:
    """The line on which tomllib stopped reading `text`, and what it says of it."""
    said = str(error)
    if found := re.search(r" \(at (?:line (\d+), column \d+|end of document)\)$", said):
        line = int(found[1]) if found[1] else text.rstrip().count("\n") + 1
        return line, said[: found.start()]
    if long := next((one for one in re.finditer("[0-9_]+", text) if len(one[0]) > 4000), None):
        return text.count("\n", 0, long.start()) + 1, "a number is too long"
    return 1, "it is nested too deeply" if isinstance(error, RecursionError) else said


def line(text: str, where: Where) -> int:
    """The line of a place in a text that tomllib has read, or of what is around it."""
    return nearest(TomlLines(text).lines, where)


def nearest(lines: Mapping[Where, int], where: Where) -> int:
    """The line of a place, or of what is around it."""
    while where and where not in lines:
        where = where[:-1]
    return lines.get(where, 1)


class TomlLines:
    """Where each table and key of a text that tomllib has read stands: lines, and its comments."""

    SPACE = re.compile(r"[ \t\r\n]+|#[^\n]*")
    KEY = re.compile(r'[A-Za-z0-9_-]+|"(?:[^"\\\n]|\\.)*"|\'[^\'\n]*\'')
    DOT = re.compile(r"[ \t]*\.[ \t]*")
    SCALAR = re.compile(
        r'"""(?:[^"\\]|\\.|"(?!""))*"{3,5}'
        r"|'''(?:[^']|'(?!''))*'{3,5}"
        r'|"(?:[^"\\\n]|\\.)*"'
        r"|'[^'\n]*'"
        r"|[^\n,\]}#]+",
        re.DOTALL,
    )

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.breaks = [found.start() for found in re.finditer("\n", text)]
        self.counts: dict[Where, int] = {}
        self.lines: dict[Where, int] = {}
        self.comments: list[tuple[int, str]] = []
        base: Where = ()
        # The text is valid, or tomllib had refused it; only the depth is not bounded by that.
        try:
            while self._space():
                base = self._statement(base)
        except RecursionError:
            pass

    def _statement(self, base: Where) -> Where:
        if self.text[self.at] != "[":
            self._pair(base)
            return base
        line, opened = self._line(), self.text.startswith("[[", self.at)
        self.at += 2 if opened else 1
        base = self._table(self._keys(), opened)
        self.lines.setdefault(base, line)
        self._space()
        self.at += 2 if opened else 1
        return base

    def _table(self, keys: Where, append: bool) -> Where:
        """The place of a table header: `[a.b]` after `[[a]]` is in the last `a`."""
        where: Where = ()
        for key in keys[:-1]:
            where = (*where, key)
            if where in self.counts:
                where = (*where, self.counts[where] - 1)
        where = (*where, keys[-1])
        if append:
            self.counts[where] = self.counts.get(where, 0) + 1
            return (*where, self.counts[where] - 1)
        return where

    def _pair(self, base: Where) -> None:
        line = self._line()
        keys = self._keys()
        for depth in range(1, len(keys) + 1):
            self.lines.setdefault((*base, *keys[:depth]), line)
        self._space()
        self.at += 1  # the equals sign
        self._value((*base, *keys))

    def _value(self, where: Where) -> None:
        self._space()
        self.lines.setdefault(where, self._line())
        opening = self.text[self.at]
        if opening not in "[{":
            found = self.SCALAR.match(self.text, self.at)
            self.at = found.end() if found else len(self.text)
            return
        self.at += 1
        number = 0
        while self._space() and self.text[self.at] not in "]}":
            if opening == "{":
                self._pair(where)
            else:
                self._value((*where, number))
                number += 1
            if self._space() and self.text[self.at] == ",":
                self.at += 1
        self.at += 1

    def _keys(self) -> Where:
        keys: list[str] = []
        self._space()
        while found := self.KEY.match(self.text, self.at):
            keys += tomllib.loads(f"{found[0]} = 0")
            self.at = found.end()
            if (dot := self.DOT.match(self.text, self.at)) is None:
                break
            self.at = dot.end()
        return tuple(keys)

    def _space(self) -> bool:
        """Past blanks and comments; whether there is more."""
        while found := self.SPACE.match(self.text, self.at):
            if found[0].startswith("#"):
                self.comments.append((self._line(), found[0]))
            self.at = found.end()
        return self.at < len(self.text)

    def _line(self) -> int:
        return bisect_left(self.breaks, self.at) + 1
