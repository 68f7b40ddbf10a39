"""Endpoint files as TOML, JSON or CSV, which say the same thing in three ways -> one `Document`."""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import fields
from pathlib import Path
from typing import Any

from tlscheck.core.model import Endpoint
from tlscheck.io.datafile import (
    BadFile,
    Document,
    Wrong,
    contents,
    cut,
    refuse_secrets,
    refuse_unknown,
    syntax,
    toml,
)
from tlscheck.io.places import Where, fault, nearest
from tlscheck.io.secret import secret_in

FIELDS = tuple(field.name for field in fields(Endpoint))
LISTS = ("addresses", "documented_in", "serves_regions")


def read(file: Path) -> Document:
    """The data of a file of endpoints, by its suffix. Raises BadFile."""
    readers = {".toml": toml, ".json": _json, ".csv": _csv}
    reader = readers.get(file.suffix.lower())
    if reader is None:
        raise BadFile(file, 1, "unknown kind of file; use .toml, .json or .csv")
    return reader(file, contents(file)[0])


# --- JSON ----------------------------------------------------------------------------------------


def _json(file: Path, text: str) -> Document:
    doubled: list[str] = []

    def table(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(pairs)
        if len(made) != len(pairs):
            doubled.append("")
        return made

    def constant(name: str) -> None:
        raise ValueError(f"{name} is no number")

    try:
        data = json.loads(text, object_pairs_hook=table, parse_constant=constant)
    except (ValueError, RecursionError) as error:
        raise syntax(file, "JSON", *_fault(text, error)) from None
    # A bare list stands for {"endpoint": [...]}: its places are one step deeper.
    bare = isinstance(data, list)
    prefix: Where = ("endpoint",) if bare else ()
    if doubled:
        where, line = _json_lines(text, prefix)[1][0]
        said = "a field" if secret_in(str(where[-1])) else f'"{cut(str(where[-1]))}"'
        raise BadFile(file, line, f"{said} is given twice; remove one")
    data = {"endpoint": data} if bare else data
    if not isinstance(data, dict):
        raise BadFile(file, 1, "must be a list of endpoints; write [{...}, ...]")
    return Document(file, data, lambda where: nearest(_json_lines(text, prefix)[0], where))


def _fault(text: str, error: Exception) -> tuple[int, str]:
    if isinstance(error, json.JSONDecodeError):
        return error.lineno, error.msg
    return fault(text, error)


_JSON_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:\n]|[^\s{}\[\],:"]+')


def _json_lines(text: str, prefix: Where) -> tuple[dict[Where, int], list[tuple[Where, int]]]:
    """Where each value and key of a valid JSON text stands, and the keys that come twice."""
    lines: dict[Where, int] = {}
    doubled: list[tuple[Where, int]] = []
    stack: list[str | int | None] = []  # the key (None: not read yet) or index we are at
    seen: list[set[str]] = []
    line = 1
    for found in _JSON_TOKEN.finditer(text):
        token = found[0]
        if token == "\n":
            line += 1
        elif token in "}]":
            stack.pop()
            seen.pop()
        elif token == ",":
            at = stack[-1]
            stack[-1] = at + 1 if isinstance(at, int) else None
        elif token != ":":
            if stack and stack[-1] is None:
                stack[-1] = key = json.loads(token)
                where = (*prefix, *(part for part in stack if part is not None))
                if key in seen[-1]:
                    doubled.append((where, line))
                seen[-1].add(key)
                lines.setdefault(where, line)
                continue
            where = (*prefix, *(part for part in stack if part is not None))
            lines.setdefault(where, line)
            if token in "{[":
                stack.append(None if token == "{" else 0)
                seen.append(set())
    return lines, doubled


# --- CSV -----------------------------------------------------------------------------------------


def _csv(file: Path, text: str) -> Document:
    lines: dict[Where, int] = {}
    rows: list[dict[str, Any]] = []
    header: list[str] | None = None
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    start = 1
    try:
        for cells in reader:
            line, start = start, reader.line_num + 1
            if not any(cell.strip() for cell in cells):
                continue
            if header is None:
                header = _csv_header(file, line, cells)
                continue
            if len(cells) != len(header):
                raise BadFile(
                    file,
                    line,
                    f"has {len(cells)} cells where the header has {len(header)};"
                    " give each field one, empty if need be",
                )
            where = ("endpoint", len(rows))
            lines[where] = line
            for name, cell in zip(header, cells, strict=True):
                lines[(*where, name)] = line
                line += len(re.findall(r"\r\n|\r|\n", cell))
            rows.append(_csv_row(header, cells))
    except csv.Error as error:
        said = cut(str(error))
        raise BadFile(file, max(start, 1), f"is not valid CSV: {said}; mend the syntax") from None
    return Document(file, {"endpoint": rows}, lambda where: nearest(lines, where))


def _csv_header(file: Path, line: int, cells: list[str]) -> list[str]:
    header = [cell.strip() for cell in cells]
    for name in header:
        try:
            refuse_secrets({name: 0}, ())
            refuse_unknown({name: 0}, FIELDS, ())
        except Wrong as wrong:
            raise BadFile(file, line, wrong.what) from None
        if header.count(name) > 1:
            raise BadFile(file, line, f'the header names "{name}" twice; remove one')
    if "host" not in header:
        raise BadFile(file, line, "the header has no host; the first line names the fields")
    return header


def _csv_row(header: list[str], cells: list[str]) -> dict[str, Any]:
    """The cells as what they mean; an empty one is a field not given."""
    return {
        name: _csv_value(name, cell.strip())
        for name, cell in zip(header, cells, strict=True)
        if cell.strip()
    }


def _csv_value(name: str, cell: str) -> Any:
    if name in LISTS:
        return [part.strip() for part in cell.split(";") if part.strip()]
    if name == "port" and re.fullmatch(r"[0-9]{1,12}", cell):
        return int(cell)
    if name == "deprecated":
        return {"true": True, "false": False}.get(cell.lower(), cell)
    return cell
