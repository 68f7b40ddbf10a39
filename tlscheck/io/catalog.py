"""Endpoint files -> `Endpoint`. Strict: what is not understood is refused, with its line.

TOML, JSON and CSV say the same thing in three ways. The fields are those of the model; a file of
one's own needs no more than `host`.
"""

from __future__ import annotations

import difflib
import ipaddress
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from tlscheck.core.model import Endpoint
from tlscheck.core.names import place
from tlscheck.io import formats
from tlscheck.io.datafile import (
    BadFile,
    Document,
    Wrong,
    clean,
    cut,
    near,
    refuse_secrets,
    refuse_unknown,
    why,
)
from tlscheck.io.places import Where
from tlscheck.io.secret import secret_in

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
_HOSTS = ("host", "server_name", "verify_name")
_WORDS = ("id", "service", "partition", "region", "variant", "alias_of", "signing_region")
_SOURCE = ("name", "version", "made", "partition")

_WORD = re.compile(r"[A-Za-z0-9._:\[\]-]{1,300}")
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


class BadFilter(Exception):
    """A filter value that matches nothing in the catalog. `str()` is one line."""


@dataclass(frozen=True, slots=True)
class _Read:
    """An endpoint and where it was read."""

    endpoint: Endpoint
    document: Document
    where: Where

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


def bad_host(text: str) -> str | None:
    """What is wrong with `text` as a host name or address, and how to mend it, or `None`."""
    try:
        _host("host", text, ())
    except Wrong as wrong:
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
        said = f"({kind}, not repeated)" if kind else f'"{cut(one)}"'
        close = difflib.get_close_matches(one.lower()[:80], sorted(known), n=3)
        if close:
            hint = f"did you mean {' or '.join(close)}?"
        elif len(known) <= 12:
            hint = f"there are {', '.join(sorted(known)) or 'none'}"
        else:
            hint = "`tlscheck endpoints list` shows them all"
        raise BadFilter(clean(f"no endpoint has the {name} {said}; {hint}"))


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
        raise BadFile(path, 1, f"cannot be read ({why(error)})") from error
    if not files:
        raise BadFile(path, 1, "holds no .toml file; name a file or another directory")
    return files


def _load(file: Path) -> list[_Read]:
    document = formats.read(file)
    try:
        return list(_endpoints(document))
    except Wrong as wrong:
        raise BadFile(file, document.line_of(wrong.where), wrong.what) from None
    except RecursionError:
        raise BadFile(file, 1, "is nested too deeply; an endpoint is a flat table") from None


def _endpoints(document: Document) -> Iterator[_Read]:
    data = document.data
    refuse_secrets(data, ())
    refuse_unknown(data, ("source", "endpoint"), ())
    _check_source(data.get("source", {}))
    rows = data.get("endpoint", [])
    if not isinstance(rows, list):
        raise Wrong(("endpoint",), "endpoint must be a list of tables; write [[endpoint]]")
    if not rows and "source" not in data:
        raise Wrong((), "holds no endpoint; give at least one with a host")
    for number, row in enumerate(rows):
        where = ("endpoint", number)
        if not isinstance(row, dict):
            raise Wrong(where, "an endpoint must be a table of fields, with at least a host")
        yield _Read(_endpoint(row, where), document, where)


def _endpoint(row: dict[str, Any], where: Where) -> Endpoint:
    refuse_unknown(row, formats.FIELDS, where)
    if "host" not in row:
        raise Wrong(where, 'host is missing; every endpoint needs one: host = "NAME"')
    values = {name: _value(name, value, (*where, name)) for name, value in row.items()}
    host, port = values["host"], values.get("port", 443)
    label = host.partition(".")[0].partition("-")[0]
    alias = values.get("alias_of")
    values = {
        "id": f"custom:{place(host, port)}",
        "service": label if label in ("sts", "iam") else "other",
        "partition": "custom",
        "region": "-",
        "variant": "standard",
        "tier": "custom" if alias is None else "alias",
    } | values
    if (values["tier"] == "alias") != (alias is not None):
        raise Wrong(
            (*where, "tier" if "tier" in row else "alias_of"),
            'tier "alias" and alias_of go together; give both or neither',
        )
    return Endpoint(**values)


def _check_source(source: Any) -> None:
    if not isinstance(source, dict):
        raise Wrong(("source",), "source must be a table with name, version, made, partition")
    refuse_unknown(source, _SOURCE, ("source",))
    for name, value in source.items():
        if not isinstance(value, str | date):
            raise Wrong(("source", name), f"{name} must be a string")


def _check_aliases(read: Sequence[_Read], known: dict[str, Endpoint]) -> None:
    """Every alias names a canonical row of the same host: one of these files, or one of ours."""
    aliases = [row for row in read if row.endpoint.alias_of is not None]
    if any(row.endpoint.alias_of not in known for row in aliases):
        known = {row.id: row for row in _builtin()} | known
    for row in aliases:
        name = row.endpoint.alias_of or ""
        chief = known.get(name)
        if chief is None:
            raise row.bad("alias_of", f'no endpoint has the id "{cut(name)}"{near(name, known)}')
        if chief.alias_of is not None:
            raise row.bad(
                "alias_of",
                f'"{cut(name)}" is an alias itself; say alias_of = "{cut(chief.alias_of)}"',
            )
        if (chief.host, chief.port) != (row.endpoint.host, row.endpoint.port):
            raise row.bad(
                "alias_of",
                f'"{cut(name)}" is {chief.host} port {chief.port}; an alias has the same'
                " host and port, so mend them or remove alias_of",
            )


def _builtin() -> Iterator[Endpoint]:
    directory = builtin_directory()
    for file in sorted(directory.glob("*.toml")) if directory.is_dir() else ():
        yield from (row.endpoint for row in _load(file))


# --- one field -----------------------------------------------------------------------------------


def _value(name: str, value: Any, where: Where) -> Any:
    if name == "port":
        return _port(value, where)
    if name == "deprecated":
        if not isinstance(value, bool):
            raise Wrong(where, "deprecated must be true or false")
        return value
    if name in formats.LISTS:
        if not isinstance(value, list):
            raise Wrong(where, f'{name} must be a list of strings; write ["..."]')
        one = _address if name == "addresses" else _listed
        items = (one(name, item, (*where, at)) for at, item in enumerate(value))
        return tuple(dict.fromkeys(items))
    text = _string(name, value, where)
    if name in _CHOICES and text not in _CHOICES[name]:
        raise Wrong(where, f'{name} must be {", ".join(_CHOICES[name])}, not "{cut(text)}"')
    if name in _HOSTS:
        return _host(name, text, where)
    if name in _WORDS and not _WORD.fullmatch(text):
        raise Wrong(
            where, f"{name} must be 1 to 300 of the letters a-z, digits and . _ : - without spaces"
        )
    return text


def _string(name: str, value: Any, where: Where) -> str:
    if not isinstance(value, str):
        raise Wrong(where, f"{name} must be a string; put it in quotes")
    for letter in "" if value.isprintable() else value:
        if letter not in "\n\t" and (
            unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp")
            or unicodedata.bidirectional(letter)
            in ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")
        ):
            raise Wrong(where, f"{name} holds the control character U+{ord(letter):04X}; remove it")
    return value


def _port(value: Any, where: Where) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise Wrong(where, "port must be a whole number from 1 to 65535")
    if not 1 <= value <= 65535:
        raise Wrong(where, "port is out of range; use a whole number from 1 to 65535")
    return value


def _listed(name: str, value: Any, where: Where) -> str:
    text = _string(f"each of {name}", value, where)
    if not text.strip():
        raise Wrong(where, f"{name} holds an empty string; remove it")
    return text


def _address(name: str, value: Any, where: Where) -> str:
    text = _string(f"each of {name}", value, where)
    address = _ip(text)
    if address is None:
        raise Wrong(where, f"{name} must be IPv4 or IPv6 addresses; a name goes into host")
    return address


def _ip(text: str) -> str | None:
    # A zone ("%eth0") means something on one machine only, so it is no address here.
    try:
        return None if "%" in text else str(ipaddress.ip_address(text))
    except ValueError:
        return None


def _host(name: str, text: str, where: Where) -> str:
    """A host name or IP literal, lower case, without the dot of the root.

    RFC 1123, section 2.1 (letters, digits, hyphen) and RFC 1035, section 2.3.4 (lengths).
    """
    if "@" in text:
        raise Wrong(where, f"{name} holds a user name or password; give the host name alone")
    if "/" in text:
        raise Wrong(where, f"{name} is a URL; give the host name alone")
    host = text.lower() if text.isascii() else text
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if address := _ip(bare):
        return address
    if ":" in host:
        raise Wrong(where, f"{name} is no host name; a port goes into the field port")
    if not host.isascii():
        raise Wrong(where, f"{name} is not ASCII; write it in its xn-- form")
    host = host.removesuffix(".")
    labels = host.split(".")
    if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise Wrong(
            where,
            f'{name} "{cut(text)}" is no host name; labels are 1 to 63 letters, digits and'
            " inner hyphens, 253 characters in all",
        )
    if labels[-1].isdigit():
        raise Wrong(where, f'{name} "{cut(text)}" is neither an IPv4 address nor a host name')
    return host
