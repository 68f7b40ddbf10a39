"""Endpoint files -> `Endpoint`. Strict: what is not understood is refused, with its line.

TOML, JSON and CSV say the same thing in three ways. The fields are those of the model; a file of
one's own needs no more than `host`. The checks are a table here and not pydantic's: its messages
have no line, repeat the value (which may be a secret), and loading it costs every start-up.
"""

from __future__ import annotations

import csv
import difflib
import io
import ipaddress
import json
import re
import stat
import tomllib
import unicodedata
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from tlscheck.core.model import Endpoint

MAX_BYTES = 10_000_000
TIERS = ("documented", "data-listed", "template-only", "airgapped", "alias", "custom")
DEFAULT_TIERS = ("documented", "data-listed", "custom")
PARTITIONS = (
    "aws",
    "aws-us-gov",
    "aws-cn",
    "aws-eusc",
    "aws-iso",
    "aws-iso-b",
    "aws-iso-e",
    "aws-iso-f",
)

_ANSWERS = ("yes", "no", "unknown")
_CHOICES: Mapping[str, tuple[str, ...]] = {
    "tier": TIERS,
    "opt_in": _ANSWERS,
    "documented": _ANSWERS,
    "ip": ("ipv4", "dualstack", "ipv6"),
}
_LISTS = ("addresses", "documented_in", "serves_regions")
_HOSTS = ("host", "server_name", "verify_name")
_WORDS = ("id", "service", "partition", "region", "variant", "alias_of", "signing_region")
_FIELDS = tuple(field.name for field in fields(Endpoint))
_SOURCE = ("name", "version", "made", "partition")

_WORD = re.compile(r"[A-Za-z0-9._:\[\]-]{1,300}")
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")

# What must not be in a file that people share, nor in a report made from it.
_SECRETS = (
    ("a URL with a user name or password", re.compile(r"://[^\s/?#@]*@")),
    (
        "an access key id",
        re.compile(r"(?:AKIA|ASIA|AROA|AIDA|ABIA|ACCA|AGPA|AIPA|ANPA|ANVA|APKA|ASCA)[A-Z0-9]{16}"),
    ),
    ("an account number", re.compile(r"(?<![A-Za-z0-9])[0-9]{12}(?![A-Za-z0-9])")),
)

# Where something is in a file: ("endpoint", 3, "host"), the table and field names and the indexes.
_Where = tuple[str | int, ...]


class BadFile(Exception):
    """A file that cannot be used. `str()` is one line: `FILE:LINE: what is wrong; how to mend`."""

    def __init__(self, file: Path | str, line: int, what: str) -> None:
        super().__init__(_clean(f"{file}:{line}: {what}"))
        self.file = Path(file)
        self.line = line


class BadFilter(Exception):
    """A filter value that matches nothing in the catalog. `str()` is one line."""


class _Wrong(Exception):
    """What is wrong, and where in the file's data; its line is found out by who catches it."""

    def __init__(self, where: _Where, what: str) -> None:
        super().__init__(what)
        self.where = where
        self.what = what


@dataclass(frozen=True, slots=True)
class _Document:
    """A file's data, and how to find the line of a place in it (asked for only on errors)."""

    file: Path
    data: dict[str, Any]
    line_of: Callable[[_Where], int]


@dataclass(frozen=True, slots=True)
class _Read:
    """An endpoint and where it was read."""

    endpoint: Endpoint
    document: _Document
    where: _Where

    def bad(self, field: str, what: str) -> BadFile:
        return BadFile(self.document.file, self.document.line_of((*self.where, field)), what)

    @property
    def place(self) -> str:
        return f"{self.document.file}:{self.document.line_of(self.where)}"


def builtin_directory() -> Path:
    """Where the endpoint files are: in the installed package, else beside it in the source tree."""
    package = Path(__file__).resolve().parent.parent
    inside = package / "endpoints"
    return inside if inside.is_dir() else package.parent / "endpoints"


def load(paths: Sequence[Path]) -> tuple[Endpoint, ...]:
    """The endpoints of these files, in their order; a directory stands for its TOML files.

    Raises BadFile.
    """
    read = [row for path in paths for file in _files(Path(path)) for row in _load(file)]
    by_id: dict[str, _Read] = {}
    by_host: dict[tuple[str, int], _Read] = {}
    for row in read:
        endpoint = row.endpoint
        address = endpoint.host, endpoint.port
        if endpoint.alias_of is None and (twin := by_host.get(address)):
            raise row.bad(
                "host",
                f"{endpoint.host} port {endpoint.port} is at {twin.place} already;"
                f' remove one or say alias_of = "{twin.endpoint.id}"',
            )
        if twin := by_id.get(endpoint.id):
            raise row.bad("id", f'the id "{endpoint.id}" is at {twin.place} already; rename one')
        by_id[endpoint.id] = row
        if endpoint.alias_of is None:
            by_host[address] = row
    _check_aliases(read, {key: row.endpoint for key, row in by_id.items()})
    return tuple(row.endpoint for row in read)


def secret_in(text: str) -> str | None:
    """What kind of secret the text holds (never the secret itself); None when it holds none."""
    return next((kind for kind, pattern in _SECRETS if pattern.search(text)), None)


def bad_host(text: str) -> str | None:
    """What is wrong with `text` as a host name or address, and how to mend it, or `None`."""
    try:
        _host("host", text, ())
    except _Wrong as wrong:
        return wrong.what
    return None


def select(
    endpoints: Sequence[Endpoint],
    *,
    services: tuple[str, ...] = (),
    partitions: tuple[str, ...] = (),
    regions: tuple[str, ...] = (),
    variants: tuple[str, ...] = (),
    tiers: tuple[str, ...] = (),
    opt_in: tuple[str, ...] = (),
    ip: tuple[str, ...] = (),
) -> tuple[Endpoint, ...]:
    """The endpoints that pass every filter, in a fixed order. An empty filter lets all pass.

    `regions` are shell globs and also match what a partition-wide endpoint serves. Without
    `tiers` those scanned by default are taken. Raises BadFilter.
    """
    filters = {
        "service": services,
        "partition": partitions,
        "region": regions,
        "variant": variants,
        "tier": tiers,
        "opt_in": opt_in,
        "ip": ip,
    }
    for field, wanted in filters.items():
        _check_filter(endpoints, field, wanted)
    filters["tier"] = tiers or DEFAULT_TIERS
    return tuple(
        sorted(
            (
                row
                for row in endpoints
                if all(_passes(row, field, wanted) for field, wanted in filters.items())
            ),
            key=_order,
        )
    )


# --- selection ----------------------------------------------------------------------------------


def _values(row: Endpoint, field: str) -> tuple[str, ...]:
    if field == "region":
        return (row.region, *row.serves_regions)
    if field == "tier" and row.alias_of is not None:
        return ("alias",)
    return (getattr(row, field),)


def _matches(value: str, wanted: str, field: str) -> bool:
    return fnmatchcase(value, wanted) if field == "region" else value == wanted


def _passes(row: Endpoint, field: str, wanted: tuple[str, ...]) -> bool:
    return not wanted or any(
        _matches(value, one, field) for value in _values(row, field) for one in wanted
    )


def _check_filter(endpoints: Sequence[Endpoint], field: str, wanted: tuple[str, ...]) -> None:
    if not wanted:
        return
    known = {value for row in endpoints for value in _values(row, field)}
    for one in wanted:
        if any(_matches(value, one, field) for value in known):
            continue
        name = field.replace("_", "-")
        kind = secret_in(one)
        said = f"({kind}, not repeated)" if kind else f'"{_cut(one)}"'
        close = difflib.get_close_matches(one.lower()[:80], sorted(known), n=3)
        if close:
            hint = f"did you mean {' or '.join(close)}?"
        elif len(known) <= 12:
            hint = f"there are {', '.join(sorted(known)) or 'none'}"
        else:
            hint = "`tlscheck endpoints list` shows them all"
        raise BadFilter(_clean(f"no endpoint has the {name} {said}; {hint}"))


def _order(row: Endpoint) -> tuple[int, str, str, str, str]:
    rank = PARTITIONS.index(row.partition) if row.partition in PARTITIONS else len(PARTITIONS)
    return rank, row.partition, row.service, row.region, row.variant


# --- from a file to endpoints --------------------------------------------------------------------


def _files(path: Path) -> list[Path]:
    try:
        if not path.is_dir():
            return [path]
        files = sorted(path.glob("*.toml"))
    except (OSError, ValueError) as error:
        raise BadFile(path, 1, f"cannot be read ({_why(error)})") from error
    if not files:
        raise BadFile(path, 1, "holds no .toml file; name a file or another directory")
    return files


def _load(file: Path) -> list[_Read]:
    readers = {".toml": _toml, ".json": _json, ".csv": _csv}
    reader = readers.get(file.suffix.lower())
    if reader is None:
        raise BadFile(file, 1, "unknown kind of file; use .toml, .json or .csv")
    document = reader(file, _text(file))
    try:
        return list(_endpoints(document))
    except _Wrong as wrong:
        raise BadFile(file, document.line_of(wrong.where), wrong.what) from None
    except RecursionError:
        raise BadFile(file, 1, "is nested too deeply; an endpoint is a flat table") from None


def _text(file: Path) -> str:
    try:
        status = file.stat()
        if not stat.S_ISREG(status.st_mode):
            raise BadFile(file, 1, "is not a regular file; give a file")
        with file.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        raise BadFile(file, 1, f"cannot be read ({_why(error)})") from error
    if len(data) > MAX_BYTES:
        raise BadFile(file, 1, f"is larger than {MAX_BYTES:,} bytes; split it")
    data = data.removeprefix(b"\xef\xbb\xbf")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise BadFile(file, line, "is not UTF-8 here; save it as UTF-8") from None


def _endpoints(document: _Document) -> Iterator[_Read]:
    data = document.data
    _refuse_secrets(data, ())
    _refuse_unknown(data, ("source", "endpoint"), ())
    _check_source(data.get("source", {}))
    rows = data.get("endpoint", [])
    if not isinstance(rows, list):
        raise _Wrong(("endpoint",), "endpoint must be a list of tables; write [[endpoint]]")
    if not rows and "source" not in data:
        raise _Wrong((), "holds no endpoint; give at least one with a host")
    for number, row in enumerate(rows):
        where = ("endpoint", number)
        if not isinstance(row, dict):
            raise _Wrong(where, "an endpoint must be a table of fields, with at least a host")
        yield _Read(_endpoint(row, where), document, where)


def _endpoint(row: dict[str, Any], where: _Where) -> Endpoint:
    _refuse_unknown(row, _FIELDS, where)
    if "host" not in row:
        raise _Wrong(where, 'host is missing; every endpoint needs one: host = "NAME"')
    values = {name: _value(name, value, (*where, name)) for name, value in row.items()}
    host, port = values["host"], values.get("port", 443)
    shown = f"[{host}]" if ":" in host else host
    label = host.partition(".")[0].partition("-")[0]
    alias = values.get("alias_of")
    values = {
        "id": f"custom:{shown}:{port}",
        "service": label if label in ("sts", "iam") else "other",
        "partition": "custom",
        "region": "-",
        "variant": "standard",
        "tier": "custom" if alias is None else "alias",
    } | values
    if (values["tier"] == "alias") != (alias is not None):
        raise _Wrong(
            (*where, "tier" if "tier" in row else "alias_of"),
            'tier "alias" and alias_of go together; give both or neither',
        )
    return Endpoint(**values)


def _check_source(source: Any) -> None:
    if not isinstance(source, dict):
        raise _Wrong(("source",), "source must be a table with name, version, made, partition")
    _refuse_unknown(source, _SOURCE, ("source",))
    for name, value in source.items():
        if not isinstance(value, str | date):
            raise _Wrong(("source", name), f"{name} must be a string")


def _check_aliases(read: Sequence[_Read], known: dict[str, Endpoint]) -> None:
    """Every alias names a canonical row of the same host: one of these files, or one of ours."""
    aliases = [row for row in read if row.endpoint.alias_of is not None]
    if any(row.endpoint.alias_of not in known for row in aliases):
        known = {row.id: row for row in _builtin()} | known
    for row in aliases:
        name = row.endpoint.alias_of or ""
        chief = known.get(name)
        if chief is None:
            raise row.bad("alias_of", f'no endpoint has the id "{_cut(name)}"{_near(name, known)}')
        if chief.alias_of is not None:
            raise row.bad(
                "alias_of",
                f'"{_cut(name)}" is an alias itself; say alias_of = "{_cut(chief.alias_of)}"',
            )
        if (chief.host, chief.port) != (row.endpoint.host, row.endpoint.port):
            raise row.bad(
                "alias_of",
                f'"{_cut(name)}" is {chief.host} port {chief.port}; an alias has the same'
                " host and port, so mend them or remove alias_of",
            )


def _builtin() -> Iterator[Endpoint]:
    directory = builtin_directory()
    for file in sorted(directory.glob("*.toml")) if directory.is_dir() else ():
        yield from (row.endpoint for row in _load(file))


# --- one field -----------------------------------------------------------------------------------


def _value(name: str, value: Any, where: _Where) -> Any:
    if name == "port":
        return _port(value, where)
    if name == "deprecated":
        if not isinstance(value, bool):
            raise _Wrong(where, "deprecated must be true or false")
        return value
    if name in _LISTS:
        if not isinstance(value, list):
            raise _Wrong(where, f'{name} must be a list of strings; write ["..."]')
        one = _address if name == "addresses" else _listed
        return tuple(one(name, item, (*where, at)) for at, item in enumerate(value))
    text = _string(name, value, where)
    if name in _CHOICES and text not in _CHOICES[name]:
        raise _Wrong(where, f'{name} must be {", ".join(_CHOICES[name])}, not "{_cut(text)}"')
    if name in _HOSTS:
        return _host(name, text, where)
    if name in _WORDS and not _WORD.fullmatch(text):
        raise _Wrong(
            where, f"{name} must be 1 to 300 of the letters a-z, digits and . _ : - without spaces"
        )
    return text


def _string(name: str, value: Any, where: _Where) -> str:
    if not isinstance(value, str):
        raise _Wrong(where, f"{name} must be a string; put it in quotes")
    for letter in "" if value.isprintable() else value:
        if letter not in "\n\t" and (
            unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp")
            or unicodedata.bidirectional(letter)
            in ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")
        ):
            raise _Wrong(
                where, f"{name} holds the control character U+{ord(letter):04X}; remove it"
            )
    return value


def _port(value: Any, where: _Where) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise _Wrong(where, "port must be a whole number from 1 to 65535")
    if not 1 <= value <= 65535:
        raise _Wrong(where, "port is out of range; use a whole number from 1 to 65535")
    return value


def _listed(name: str, value: Any, where: _Where) -> str:
    text = _string(f"each of {name}", value, where)
    if not text.strip():
        raise _Wrong(where, f"{name} holds an empty string; remove it")
    return text


def _address(name: str, value: Any, where: _Where) -> str:
    text = _string(f"each of {name}", value, where)
    address = _ip(text)
    if address is None:
        raise _Wrong(where, f"{name} must be IPv4 or IPv6 addresses; a name goes into host")
    return address


def _ip(text: str) -> str | None:
    # A zone ("%eth0") means something on one machine only, so it is no address here.
    try:
        return None if "%" in text else str(ipaddress.ip_address(text))
    except ValueError:
        return None


def _host(name: str, text: str, where: _Where) -> str:
    """A host name or IP literal, lower case, without the dot of the root.

    RFC 1123, section 2.1 (letters, digits, hyphen) and RFC 1035, section 2.3.4 (lengths).
    """
    if "@" in text:
        raise _Wrong(where, f"{name} holds a user name or password; give the host name alone")
    if "/" in text:
        raise _Wrong(where, f"{name} is a URL; give the host name alone")
    host = text.lower() if text.isascii() else text
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if address := _ip(bare):
        return address
    if ":" in host:
        raise _Wrong(where, f"{name} is no host name; a port goes into the field port")
    if not host.isascii():
        raise _Wrong(where, f"{name} is not ASCII; write it in its xn-- form")
    host = host.removesuffix(".")
    labels = host.split(".")
    if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise _Wrong(
            where,
            f'{name} "{_cut(text)}" is no host name; labels are 1 to 63 letters, digits and'
            " inner hyphens, 253 characters in all",
        )
    if labels[-1].isdigit():
        raise _Wrong(where, f'{name} "{_cut(text)}" is neither an IPv4 address nor a host name')
    return host


def _refuse_secrets(value: Any, where: _Where) -> None:
    if isinstance(value, dict):
        for name, inner in value.items():
            if kind := secret_in(name):
                raise _Wrong((*where, name), f"a field name is {kind}; remove it")
            _refuse_secrets(inner, (*where, name))
    elif isinstance(value, list):
        for at, inner in enumerate(value):
            _refuse_secrets(inner, (*where, at))
    elif isinstance(value, str | int) and not isinstance(value, bool):
        # Very long numbers cannot be turned into text, and are no account numbers.
        if isinstance(value, int) and abs(value) >= 10**12:
            return
        if kind := secret_in(str(value)):
            field = next((part for part in reversed(where) if isinstance(part, str)), "the file")
            raise _Wrong(where, f"{_cut(field)} holds {kind}; remove it, such files get shared")


def _refuse_unknown(table: dict[str, Any], known: Sequence[str], where: _Where) -> None:
    for name in table:
        if name not in known:
            raise _Wrong((*where, name), f'unknown field "{_cut(name)}"{_near(name, known)}')


def _near(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name.lower()[:80], list(known), n=1, cutoff=0.5)
    return f'; did you mean "{close[0]}"?' if close else "; remove or mend it"


def _cut(text: str) -> str:
    return _clean(text if len(text) <= 60 else text[:60] + "...")


def _clean(text: str) -> str:
    """On one line and harmless on a terminal."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def _why(error: OSError | ValueError) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


# --- TOML ----------------------------------------------------------------------------------------


def _toml(file: Path, text: str) -> _Document:
    try:
        data = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise _syntax(file, text, "TOML", error) from None
    scanned: list[_TomlLines] = []

    def lines() -> _TomlLines:
        if not scanned:
            scanned.append(_TomlLines(text))
        return scanned[0]

    # The data has no comments, yet they are shared with it. Looked at closely only if need be.
    if secret_in(text):
        for line, comment in lines().comments:
            if kind := secret_in(comment):
                raise BadFile(file, line, f"a comment holds {kind}; remove it")
    return _Document(file, data, lambda where: _nearest(lines().lines, where))


def _syntax(file: Path, text: str, kind: str, error: Exception) -> BadFile:
    """What a parser says, without anything of the file that might be secret."""
    said = str(error)
    line = 1
    if isinstance(error, json.JSONDecodeError):
        said, line = error.msg, error.lineno
    elif found := re.search(r" \(at (?:line (\d+), column \d+|end of document)\)$", said):
        said = said[: found.start()]
        line = int(found[1]) if found[1] else text.rstrip().count("\n") + 1
    elif long := next((one for one in re.finditer("[0-9_]+", text) if len(one[0]) > 4000), None):
        said, line = "a number is too long", text.count("\n", 0, long.start()) + 1
    elif isinstance(error, RecursionError):
        said = "it is nested too deeply"
    said = "something is wrong here" if secret_in(said) else _cut(said)
    return BadFile(file, line, f"is not valid {kind}: {said}; mend the syntax")


def _nearest(lines: Mapping[_Where, int], where: _Where) -> int:
    """The line of a place, or of what is around it."""
    while where and where not in lines:
        where = where[:-1]
    return lines.get(where, 1)


class _TomlLines:
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
        self.counts: dict[_Where, int] = {}
        self.lines: dict[_Where, int] = {}
        self.comments: list[tuple[int, str]] = []
        base: _Where = ()
        # The text is valid, or tomllib had refused it; only the depth is not bounded by that.
        try:
            while self._space():
                base = self._statement(base)
        except RecursionError:
            pass

    def _statement(self, base: _Where) -> _Where:
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

    def _table(self, keys: _Where, append: bool) -> _Where:
        """The place of a table header: `[a.b]` after `[[a]]` is in the last `a`."""
        where: _Where = ()
        for key in keys[:-1]:
            where = (*where, key)
            if where in self.counts:
                where = (*where, self.counts[where] - 1)
        where = (*where, keys[-1])
        if append:
            self.counts[where] = self.counts.get(where, 0) + 1
            return (*where, self.counts[where] - 1)
        return where

    def _pair(self, base: _Where) -> None:
        line = self._line()
        keys = self._keys()
        for depth in range(1, len(keys) + 1):
            self.lines.setdefault((*base, *keys[:depth]), line)
        self._space()
        self.at += 1  # the equals sign
        self._value((*base, *keys))

    def _value(self, where: _Where) -> None:
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

    def _keys(self) -> _Where:
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


# --- JSON ----------------------------------------------------------------------------------------


def _json(file: Path, text: str) -> _Document:
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
        raise _syntax(file, text, "JSON", error) from None
    # A bare list stands for {"endpoint": [...]}: its places are one step deeper.
    bare = isinstance(data, list)
    prefix: _Where = ("endpoint",) if bare else ()
    if doubled:
        where, line = _json_lines(text, prefix)[1][0]
        said = "a field" if secret_in(str(where[-1])) else f'"{_cut(str(where[-1]))}"'
        raise BadFile(file, line, f"{said} is given twice; remove one")
    data = {"endpoint": data} if bare else data
    if not isinstance(data, dict):
        raise BadFile(file, 1, "must be a list of endpoints; write [{...}, ...]")
    return _Document(file, data, lambda where: _nearest(_json_lines(text, prefix)[0], where))


_JSON_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:\n]|[^\s{}\[\],:"]+')


def _json_lines(text: str, prefix: _Where) -> tuple[dict[_Where, int], list[tuple[_Where, int]]]:
    """Where each value and key of a valid JSON text stands, and the keys that come twice."""
    lines: dict[_Where, int] = {}
    doubled: list[tuple[_Where, int]] = []
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


def _csv(file: Path, text: str) -> _Document:
    lines: dict[_Where, int] = {}
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
        said = _cut(str(error))
        raise BadFile(file, max(start, 1), f"is not valid CSV: {said}; mend the syntax") from None
    return _Document(file, {"endpoint": rows}, lambda where: _nearest(lines, where))


def _csv_header(file: Path, line: int, cells: list[str]) -> list[str]:
    header = [cell.strip() for cell in cells]
    for name in header:
        try:
            _refuse_secrets({name: 0}, ())
            _refuse_unknown({name: 0}, _FIELDS, ())
        except _Wrong as wrong:
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
    if name in _LISTS:
        return [part.strip() for part in cell.split(";") if part.strip()]
    if name == "port" and re.fullmatch(r"[0-9]{1,12}", cell):
        return int(cell)
    if name == "deprecated":
        return {"true": True, "false": False}.get(cell.lower(), cell)
    return cell
