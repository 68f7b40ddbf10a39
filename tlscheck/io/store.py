"""Reports on disk: written whole or not at all (see `disk`), and read back strictly."""

from __future__ import annotations

import json
import math
import os
import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tlscheck.core.model import Report
from tlscheck.io.disk import CannotWrite, check_writable, words, write
from tlscheck.io.disk import read as read_bytes
from tlscheck.io.secret import masked

__all__ = [
    "BadReport",
    "CannotWrite",
    "check_writable",
    "data",
    "file_name",
    "find",
    "is_complete",
    "keep",
    "kept",
    "names",
    "read",
    "schema",
    "write",
]

MOST_BYTES = 64 << 20
MOST_DEEP = 100  # tables and lists in each other
_LATER = {"depth"}  # fields that old reports of this number do not have


class BadReport(Exception):
    """A file is no report that can be read; the text is one line with the file and the place."""


def file_name(report: Report) -> str:
    """The name of a report's file: UTC time and run id, so that names sort by time."""
    stamp = report.run.started.replace("-", "").replace(":", "")
    return f"{stamp}-{report.run.id}.json"


def keep(directory: Path, report: Report, text: str) -> Path:
    """Write `report`, rendered as `text`, into the reports directory; its file. Raises
    `CannotWrite`."""
    path = directory / file_name(report)
    write(path, text, links=False)
    return path


def is_complete(directory: Path, run: str) -> bool:
    """Whether `directory` holds the report of this run, and the run went to its end."""
    try:
        found = [path for path in kept(directory) if path.stem.endswith(f"-{run}")]
        return any(read(path).run.complete for path in found)
    except BadReport:
        return False


def schema(of: type = Report, name: str = "tlscheck-report/1") -> dict[str, Any]:
    """The JSON Schema of a format, as its model defines it."""
    from pydantic import TypeAdapter

    document = TypeAdapter(of).json_schema(mode="serialization")
    _close(document)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": name,
        **document,
    }


def _close(node: Any) -> None:
    """No names but those listed: the format changes only with its number."""
    if isinstance(node, dict):
        if "properties" in node:
            node["additionalProperties"] = False
            node["required"] = sorted(node["properties"].keys() - _LATER)
        for value in node.values():
            _close(value)
    elif isinstance(node, list):
        for value in node:
            _close(value)


# 20261124T020000Z-1b56f0e1.json: UTC time and run id, so that names sort by time.
NAME = re.compile(r"(?P<day>[0-9]{8})T[0-9]{6}Z-(?P<run>[0-9a-f]+)\.json")


def kept(directory: Path) -> list[Path]:
    """The reports in `directory`, oldest first; what is a symbolic link is none of them. Raises
    `BadReport` when it cannot be read."""
    try:
        return [directory / name for name in names(directory)]
    except OSError as fault:
        raise BadReport(f"{directory}: {words(fault)}") from fault


def names(directory: Path | int) -> list[str]:
    """The files in a directory (or its descriptor) that are reports by their name, oldest first;
    what is a symbolic link is none of them. Raises `OSError`."""
    with os.scandir(directory) as entries:
        return sorted(
            entry.name
            for entry in entries
            if NAME.fullmatch(entry.name) and entry.is_file(follow_symlinks=False)
        )


def find(directory: Path, what: str) -> Path:
    """The report that `what` names: a file, a run id, or a date (YYYY-MM-DD, the last of that day).

    Raises `BadReport` where there is none, or more than one.
    """
    if not what:
        raise BadReport("no name of a report: give a file, a run id or a date")
    if os.path.isfile(what) or os.sep in what:
        return Path(what)
    try:
        paths = kept(directory)
    except BadReport as fault:
        raise BadReport(f"{what}: no such file, and no run or date either: {fault}") from fault
    day = what.replace("-", "") if re.fullmatch(r"\d{4}-\d{2}-\d{2}", what) else None
    named = [(path, match) for path in paths if (match := NAME.fullmatch(path.name))]
    if day:
        found = [path for path, match in named if match["day"] == day][-1:]
    else:
        found = [path for path, match in named if match["run"].startswith(what)]
    if len(found) == 1:
        return found[0]
    if found:
        raise BadReport(f"{what}: {len(found)} runs in {directory} begin so; give more of the id")
    raise BadReport(f"{what}: neither a file nor a run or date in {directory}")


def data(path: Path) -> dict[str, Any]:
    """A report as plain data, checked like `read`. Raises `BadReport`."""
    return asdict(read(path))


def read(path: Path) -> Report:
    """Read a report, whoever wrote it: what looks like a secret in it is masked. Raises `BadReport`
    with the file and the place of what is wrong."""
    from pydantic import TypeAdapter, ValidationError

    try:
        data = read_bytes(path, MOST_BYTES)
    except OSError as fault:
        raise BadReport(f"{path}: {words(fault)}") from fault
    if len(data) > MOST_BYTES:
        raise BadReport(f"{path}: larger than {MOST_BYTES >> 20} MB, which no report is")
    try:
        document = json.loads(data, parse_float=_finite, parse_constant=_finite)
    except (ValueError, RecursionError) as fault:
        line = getattr(fault, "lineno", 1)
        raise BadReport(f"{path}:{line}: not JSON; is it a report of tlscheck?") from fault
    if _deeper(document, MOST_DEEP):
        raise BadReport(f"{path}: nested more than {MOST_DEEP} deep, which no report is")
    found = document.get("schema") if isinstance(document, dict) else None
    if found != "tlscheck-report/1":
        raise BadReport(f'{path}: "schema" must be "tlscheck-report/1"; is it a report?')
    try:
        return TypeAdapter(Report).validate_python(_masked(document), extra="forbid")
    except ValidationError as fault:
        first = fault.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        what = first["msg"]
        if first["type"] == "unexpected_keyword_argument":
            what = "unknown field; remove it, or read it with the version that wrote it"
        raise BadReport(f"{path}: {place}: {what}") from fault


def _finite(text: str) -> float:
    """A number that can be written again: JSON has neither NaN nor Infinity (RFC 8259, 6)."""
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is no number")
    return number


def _masked(node: Any) -> Any:
    match node:
        case str():
            return masked(node)
        case list():
            return [_masked(each) for each in node]
        case dict():  # a serial number may have the length of an account's
            return {key: v if key == "serial" else _masked(v) for key, v in node.items()}
        case _:
            return node


def _deeper(node: Any, most: int) -> bool:
    """Whether tables and lists are in each other more than `most` times."""
    if not isinstance(node, dict | list):
        return False
    inner = node.values() if isinstance(node, dict) else node
    return most == 0 or any(_deeper(each, most - 1) for each in inner)
