"""Policy files -> `Policy`. Strict: what is not understood is refused, with its line.

A policy file is TOML; design and examples are the files in `tlscheck/policies`.
"""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Any, TypeVar, get_args

from tlscheck.core.policy import (
    CHECKS,
    PARAMS,
    VERSIONS,
    Check,
    Citation,
    Level,
    Param,
    Policy,
    Rule,
    Severity,
    Status,
    Verified,
)
from tlscheck.io import places
from tlscheck.io.datafile import Wrong, refuse_secrets
from tlscheck.io.disk import read, words
from tlscheck.io.places import Where

MOST_BYTES = 1_000_000
_DIRECTORY = Path(__file__).resolve().parent.parent / "policies"
_ID = re.compile(r"[a-z0-9]+(?:[.-][a-z0-9]+)*")

# The values that a param's names may have, where they are a closed list.
_NAMES: Mapping[tuple[Check, str], tuple[str, ...]] = {
    **{("versions", key): VERSIONS for key in PARAMS["versions"]},
    ("pfs", "report_key_exchange"): ("RSA", "DH", "DHE", "ECDH", "ECDHE", "PSK", "TLS13"),
    ("dns", "dualstack"): ("A", "AAAA"),
}

_T = TypeVar("_T")


class BadPolicy(Exception):
    """A policy that does not exist or a file that is not one; the message is one line."""

    def __init__(self, message: str) -> None:
        # File and key names come from outside: keep them on the line.
        super().__init__("".join(c if c.isprintable() else ascii(c)[1:-1] for c in message))


def builtin() -> dict[str, Path]:
    """The policies that come with tlscheck: id -> file, sorted by id."""
    return {path.stem: path for path in sorted(_DIRECTORY.glob("*.toml"))}


def find(name_or_path: str) -> Policy:
    """The built-in policy of this id, or the one in this file (a `.toml`, or any path with `/`)."""
    known = builtin()
    if name_or_path in known:
        return load(known[name_or_path])
    if name_or_path.endswith(".toml") or os.sep in name_or_path or "/" in name_or_path:
        return load(Path(name_or_path))
    close = difflib.get_close_matches(name_or_path, known, n=1)
    hint = f" (did you mean {close[0]}?)" if close else ""
    raise BadPolicy(f'unknown policy "{name_or_path}": there are {", ".join(known)}{hint}')


def load(path: str | Path) -> Policy:
    """Reads one policy file; raises `BadPolicy` with `FILE:LINE: what is wrong`."""
    try:
        data = read(path, MOST_BYTES)
        if len(data) > MOST_BYTES:
            raise BadPolicy(f"{path}: larger than {MOST_BYTES:,} bytes, which no policy is")
        text = data.decode("utf-8")
    except OSError as error:
        raise BadPolicy(f"{path}: {words(error)}") from error
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise BadPolicy(f"{path}:{line}: not UTF-8") from error
    except ValueError as error:  # a NUL in the name
        raise BadPolicy(f"{path}: {error}") from error
    try:
        table = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        line, what = places.fault(text, error)
        raise BadPolicy(f"{path}:{line}: {what}") from error
    try:
        refuse_secrets(table, ())  # they would be in what policies show and explain print
        return _policy(_Table(table, ()))
    except Wrong as wrong:
        raise BadPolicy(f"{path}:{places.line(text, wrong.where)}: {wrong.what}") from None


class _Table:
    """A TOML table that is read key by key, and knows what was not asked for."""

    def __init__(self, table: dict[str, Any], where: Where) -> None:
        self.table = table
        self.where = where
        self.asked: list[str] = []

    def wrong(self, key: str, what: str) -> Wrong:
        return Wrong((*self.where, key), f"{key}: {what}")

    def _get(self, key: str, kind: type[_T], called: str) -> _T | None:
        self.asked.append(key)
        value = self.table.get(key)
        if value is None:
            return None
        # bool is an int and a date-time a date, but not here.
        if not isinstance(value, kind) or isinstance(value, bool | datetime):
            raise self.wrong(key, f"must be {called}")
        return value

    def _needed(self, key: str, value: _T | None) -> _T:
        if value is None:
            raise Wrong(self.where, f"{key} is missing")
        return value

    def text(self, key: str) -> str:
        value = self._needed(key, self._get(key, str, "a string"))
        if not value.strip():
            raise self.wrong(key, "must not be empty")
        return value

    def optional_text(self, key: str) -> str | None:
        return self.text(key) if key in self.table else self._get(key, str, "a string")

    def url(self, key: str) -> str:
        value = self.text(key)
        if not re.fullmatch(r"https?://[!-~]+", value):
            raise self.wrong(key, "must be an http or https address")
        return value

    def ident(self, key: str) -> str:
        value = self.text(key)
        if not _ID.fullmatch(value):
            raise self.wrong(key, "must be lower-case letters and digits, joined by - or .")
        return value

    def one_of(self, key: str, allowed: tuple[_T, ...]) -> _T:
        value = self.text(key)
        for one in allowed:
            if one == value:
                return one
        raise self.wrong(key, f'"{value}" is not one of {", ".join(map(str, allowed))}')

    def day(self, key: str) -> date:
        return self._needed(key, self.optional_day(key))

    def optional_day(self, key: str) -> date | None:
        return self._get(key, date, "a date like 2020-04-30")

    def items(self, key: str) -> list[Any]:
        return self._get(key, list, "a list") or []

    def strings(self, key: str) -> tuple[str, ...]:
        """A set: strings, none twice, in the file's order."""
        values = self.items(key)
        if not all(isinstance(value, str) and value for value in values):
            raise self.wrong(key, "must be a list of strings")
        if len(set(values)) < len(values):
            raise self.wrong(key, "names something twice")
        return tuple(values)

    def within(self, key: str, needed: bool = False) -> _Table:
        inner = self._get(key, dict, "a table")
        if needed:
            inner = self._needed(key, inner)
        return _Table(inner or {}, (*self.where, key))

    def done(self) -> None:
        for key in self.table:
            if key not in self.asked:
                close = difflib.get_close_matches(key, self.asked, n=1)
                hint = f" (did you mean {close[0]}?)" if close else ""
                raise Wrong((*self.where, key), f"unknown key {key}{hint}")


def _policy(table: _Table) -> Policy:
    rules: list[Rule] = []
    for index, item in enumerate(table.items("rule")):
        if not isinstance(item, dict):
            raise table.wrong("rule", "must be [[rule]] tables")
        inner = _Table(item, ("rule", index))
        rule = _rule(inner)
        if any(rule.id == other.id for other in rules):
            raise inner.wrong("id", f"{rule.id} is there twice")
        rules.append(rule)
    policy = Policy(
        id=table.ident("id"),
        title=table.text("title"),
        publisher=table.text("publisher"),
        version=table.text("version"),
        published=table.day("published"),
        status=table.one_of("status", _statuses),
        supersedes=table.optional_text("supersedes"),
        url=table.url("url"),
        notes=table.strings("notes"),
        rules=tuple(rules),
    )
    table.done()
    if not rules:
        raise Wrong((), "a policy needs at least one [[rule]]")
    return policy


_statuses: tuple[Status, ...] = get_args(Status)
_levels: tuple[Level, ...] = get_args(Level)
_severities: tuple[Severity, ...] = get_args(Severity)
_verified: tuple[Verified, ...] = get_args(Verified)


def _rule(table: _Table) -> Rule:
    identity = table.ident("id")
    check = table.one_of("check", CHECKS)
    level = table.one_of("level", _levels)
    since, until = table.optional_day("from"), table.optional_day("until")
    if since is not None and until is not None and until < since:
        raise table.wrong("until", "is before from")
    params = _params(table.within("params"), check)
    if level == "INFO" and (check != "groups" or "forbidden" in params):
        raise table.wrong("level", "INFO is only for a groups check that forbids nothing")
    rule = Rule(
        id=identity,
        check=check,
        text=table.text("text"),
        level=level,
        severity=table.one_of("severity", _severities),
        citation=_citation(table.within("citation", needed=True)),
        since=since,
        until=until,
        applies_to=_applies_to(table.within("applies_to")),
        params=params,
    )
    table.done()
    return rule


def _citation(table: _Table) -> Citation:
    citation = Citation(
        document=table.text("document"),
        section=table.text("section"),
        url=table.url("url"),
        verified=table.one_of("verified", _verified),
    )
    table.done()
    return citation


def _applies_to(table: _Table) -> dict[str, tuple[str, ...]]:
    limits = {kind: table.strings(kind) for kind in ("variants", "services", "partitions")}
    table.done()
    for kind, names in limits.items():
        if kind in table.table and not names:
            raise table.wrong(kind, "must not be empty")
    return {kind: names for kind, names in limits.items() if names}


def _params(table: _Table, check: Check) -> dict[str, Param]:
    params: dict[str, Param] = {}
    for key in PARAMS[check]:
        names = table.strings(key)
        if key not in table.table:
            continue
        if not names:
            raise table.wrong(key, "must not be empty")
        known = _NAMES.get((check, key), names)
        for at, name in enumerate(names):
            if name not in known:
                what = f'{key}: "{name}" is not one of {", ".join(known)}'
                raise Wrong((*table.where, key, at), what)
        params[key] = names
    table.done()
    if not params and check not in ("pfs", "https", "http"):
        raise Wrong(table.where[:-1], f"a {check} check needs params")
    if "documented" in params and not {"required", "require_any", "expected"} & set(params):
        # Else an endpoint that offers nothing at all would be stricter than its document.
        raise table.wrong("documented", "needs required, require_any or expected beside it")
    return params
