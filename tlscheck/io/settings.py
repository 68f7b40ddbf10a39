"""What there is to set: names, defaults, meanings, and what a value must be.

Pure. Where values come from is told in `config`. No message repeats a value: it may be a secret
that was put in the wrong place.
"""

from __future__ import annotations

import difflib
import json
import os
import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args
from urllib.parse import urlsplit

from tlscheck.core.model import Depth
from tlscheck.io.catalog import TIERS
from tlscheck.io.secret import Secret

DEPTHS: tuple[Depth, ...] = get_args(Depth)
LOG_FORMATS = ("text", "json")
PACES = ("gentle", "normal", "fast")
WEBHOOK_FORMATS = ("json", "slack")
LONGEST_DEADLINE = 3600  # seconds


@dataclass(frozen=True, slots=True)
class Settings:
    """Every setting, with its default."""

    endpoints: tuple[Path, ...] = ()
    services: tuple[str, ...] = ()
    partitions: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    variants: tuple[str, ...] = ()
    tiers: tuple[str, ...] = ()
    policies: tuple[str, ...] = ("aws-iam-2020",)
    depth: Depth = "standard"
    pace: str = "normal"
    ca_bundle: Path | None = None
    deadline: float = 60.0  # seconds for one address
    family: int | None = None  # 4 or 6 leaves out the addresses of the other
    nameserver: str | None = None  # the one to ask, instead of the system's resolver
    reports: Path = Path("reports")
    keep_daily: int = 30
    keep_weekly: int = 52
    metrics: Path | None = None
    log_format: str = "text"
    webhook: Secret | None = None
    webhook_format: str = "json"
    ping: Secret | None = None
    notify_timeout: float = 10.0  # seconds for one request


DEFAULTS = Settings()


class Unfit(Exception):
    """What a value must be. `at` is the index of a list's item that is to blame."""

    def __init__(self, what: str, at: int | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.at = at


@dataclass(frozen=True, slots=True)
class Base:
    """What a file name is relative to (None: the current directory), and what `~` stands for."""

    directory: Path | None
    home: str | None


@dataclass(frozen=True, slots=True)
class Kind:
    """What a value must be: `check` gives it as the program has it, or raises Unfit.

    `read` turns the text of an environment variable into what TOML would have said.
    """

    check: Callable[[Any, Base], Any]
    read: Callable[[str], Any] = str


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting. `table` and `key` are its place in the file; `flag` is its option, if any."""

    name: str
    kind: Kind
    meaning: str
    table: str = ""
    key: str = ""
    flag: str = ""
    secret: bool = False

    @property
    def where(self) -> tuple[str, ...]:
        key = self.key or self.name
        return (self.table, key) if self.table else (key,)

    @property
    def variable(self) -> str:
        return f"TLSCHECK_{self.name.upper()}"

    @property
    def option(self) -> str:
        return self.flag or f"--{self.name.replace('_', '-')}"


# --- kinds --------------------------------------------------------------------------------------


def _text(value: Any, at: int | None = None) -> str:
    if not isinstance(value, str):
        raise Unfit("must be a string; put it in quotes", at)
    if not value.strip():
        raise Unfit("must not be empty", at)
    if any(unicodedata.category(letter) == "Cc" for letter in value):
        raise Unfit("holds a control character; remove it", at)
    if "://" in value:  # a secret in the wrong place, maybe: names are shown, addresses are not
        raise Unfit("must not be an address", at)
    return value


def _list(one: Callable[[Any, int, Base], Any], least: int = 0) -> Kind:
    def check(value: Any, base: Base) -> tuple[Any, ...]:
        if not isinstance(value, list):
            raise Unfit('must be a list of strings; write ["..."]')
        if len(value) < least:
            raise Unfit("must name at least one")
        return tuple(one(item, at, base) for at, item in enumerate(value))

    def read(text: str) -> list[str]:
        return [part.strip() for part in text.split(",")] if text else []

    return Kind(check, read)


def _word(value: Any, at: int, base: Base) -> str:
    return _text(value, at)


def _tier(value: Any, at: int, base: Base) -> str:
    return _known(value, TIERS, at)


def _file(value: Any, at: int | None, base: Base) -> Path:
    text = _text(value, at)
    if text.startswith("~"):
        if not text.startswith("~/") or not base.home:
            raise Unfit("begins with ~, which stands for nothing here; write the whole path", at)
        text = f"{base.home}{text[1:]}"
    return base.directory / text if base.directory else Path(text)


def _policy(value: Any, at: int, base: Base) -> str:
    """The id of a policy, or a file of one's own: a `.toml`, or any path with `/`."""
    text = _text(value, at)
    if "/" not in text and not text.endswith(".toml"):
        return text
    if text.startswith("~"):
        text = str(_file(text, at, base))
    # "./mine" must keep its "/", which Path takes away: without, it would be an id.
    return os.path.join(base.directory or "", text)


def file_name(value: Any, base: Base) -> Path:
    """The name of one file or directory. Raises Unfit."""
    return _file(value, None, base)


def _optional_path(value: Any, base: Base) -> Path | None:
    return None if value == "" else file_name(value, base)


def _known(value: Any, known: tuple[str, ...], at: int | None = None) -> str:
    if value in known:
        return str(value)
    close = difflib.get_close_matches(str(value).lower()[:80], known, n=1)
    hint = f"; did you mean {close[0]}?" if close else ""
    raise Unfit(f"must be {', '.join(known[:-1])} or {known[-1]}{hint}", at)


def _choice(*known: str) -> Kind:
    return Kind(lambda value, base: _known(value, known))


def _read_number(text: str) -> Any:
    if re.fullmatch(r"[0-9]{1,9}", text):
        return int(text)
    return float(text) if re.fullmatch(r"[0-9]{1,9}\.[0-9]{1,9}", text) else text


def _seconds(low: int, high: int) -> Kind:
    def check(value: Any, base: Base) -> float:
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise Unfit(f"must be a number of seconds from {low} to {high}, without quotes")
        if not low <= value <= high:
            raise Unfit(f"must be from {low} to {high} seconds")
        return float(value)

    return Kind(check, _read_number)


def _count(low: int, high: int) -> Kind:
    def check(value: Any, base: Base) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise Unfit(f"must be a whole number from {low} to {high}, without quotes")
        return value

    return Kind(check, _read_number)


def _family(value: Any, base: Base) -> int | None:
    if value == "none":
        return None
    if isinstance(value, bool | float) or value not in (4, 6):
        raise Unfit('must be 4, 6 or "none"')
    return int(value)


def _nameserver(value: Any, base: Base) -> str | None:
    if value == "":
        return None
    from tlscheck.io import dns  # it imports asyncio, which only a scan needs

    try:
        dns.server(_text(value))
    except ValueError:
        raise Unfit("must be an IP address, and a port if not 53: 192.0.2.53:5353") from None
    return str(value)


def url(value: Any) -> Secret | None:
    """An http or https address; an empty one is none. Raises Unfit."""
    if value == "":
        return None
    fit = isinstance(value, str) and re.fullmatch(r"https?://[!-~]+", value, re.ASCII)
    try:
        parts = urlsplit(value) if fit else None
        fit = parts is not None and parts.hostname and parts.port != 0
    except ValueError:
        fit = None
    if not fit:
        raise Unfit("must be an http or https address")
    return Secret(value)


_URL = Kind(lambda value, base: url(value))

# --- the table ----------------------------------------------------------------------------------

SETTINGS: tuple[Setting, ...] = (
    Setting(
        "endpoints",
        _list(_file),
        "Files of endpoints (TOML, JSON or CSV) to scan instead of the catalog.",
    ),
    Setting("services", _list(_word), "Only these services: sts, iam.", flag="--service"),
    Setting(
        "partitions",
        _list(_word),
        "Only these partitions: aws, aws-cn, aws-us-gov, ...",
        flag="--partition",
    ),
    Setting(
        "regions",
        _list(_word),
        "Only these regions, or patterns such as eu-*.",
        flag="--region",
    ),
    Setting(
        "variants",
        _list(_word),
        "Only these variants: standard, fips, dualstack, fips-dualstack, global.",
        flag="--variant",
    ),
    Setting(
        "tiers",
        _list(_tier),
        "Only these tiers. Without: documented, data-listed and custom.",
        flag="--tier",
    ),
    Setting(
        "policies",
        _list(_policy, least=1),
        "Policies to judge by: their ids, or files.",
        flag="--policy",
    ),
    Setting(
        "depth",
        _choice(*DEPTHS),
        "quick: versions, suites, groups. standard: and all else. deep: and sslyze.",
    ),
    Setting(
        "pace",
        _choice(*PACES),
        "gentle: 2 connections at once to an address, and few in all. normal: 12. fast: 32.",
    ),
    Setting(
        "ca_bundle",
        Kind(_optional_path),
        "Trust the CAs of this PEM file. Empty: those of the system.",
    ),
    Setting(
        "deadline",
        _seconds(1, LONGEST_DEADLINE),
        f"Seconds for one address, 1 to {LONGEST_DEADLINE}.",
    ),
    Setting(
        "family",
        Kind(_family, _read_number),
        '4 or 6: only IPv4 or IPv6 addresses are asked. "none": both.',
        flag="-4/-6",
    ),
    Setting(
        "nameserver",
        Kind(_nameserver),
        "Ask this name server (ADDRESS or ADDRESS:PORT). Empty: the system's resolver.",
    ),
    Setting("reports", Kind(file_name), "The directory in which reports are kept."),
    Setting(
        "keep_daily",
        _count(1, 36500),
        "How many reports to keep, one a day, before older ones are pruned.",
        table="nightly",
    ),
    Setting(
        "keep_weekly",
        _count(0, 5200),
        "How many more to keep after those, one a week.",
        table="nightly",
    ),
    Setting(
        "metrics",
        Kind(_optional_path),
        "Write this file for Prometheus after each run. Empty: none.",
        table="nightly",
    ),
    Setting(
        "log_format",
        _choice(*LOG_FORMATS),
        "How logs are written on stderr: text or json.",
        table="nightly",
    ),
    Setting(
        "webhook",
        _URL,
        "Where to post what broke, healed or changed.",
        table="notify",
        secret=True,
    ),
    Setting(
        "webhook_format",
        _choice(*WEBHOOK_FORMATS),
        "What to post: json, or text as Slack takes it.",
        table="notify",
    ),
    Setting(
        "ping",
        _URL,
        "Where to say that a run starts, succeeds or fails, as healthchecks.io takes it.",
        table="notify",
        secret=True,
    ),
    Setting(
        "notify_timeout",
        _seconds(1, 300),
        "Seconds for one request, 1 to 300.",
        table="notify",
        key="timeout",
    ),
)
BY_NAME: Mapping[str, Setting] = {setting.name: setting for setting in SETTINGS}
TABLES = tuple(dict.fromkeys(setting.table for setting in SETTINGS if setting.table))

# --- a file of all defaults -----------------------------------------------------------------------

_HEAD = """\
# The configuration of tlscheck. What is commented out is the default.
#
# An environment variable goes before what stands here, and an option before both.
# File names are relative to this file's directory. `tlscheck config` shows what holds, and why.
"""
_NOTES: Mapping[str, str] = {
    "notify": """\
# Addresses are secrets: give the name of a file that holds one and has mode 0600, or the
# environment variable. webhook = "..." and ping = "..." may stand here if this file has mode 0600.
"""
}


def default_file() -> str:
    """A tlscheck.toml in which every setting is explained and, commented out, has its default."""
    parts = [_HEAD]
    table = ""
    for setting in SETTINGS:
        if setting.table != table:
            table = setting.table
            parts.append(f"\n[{table}]\n{_NOTES.get(table, '')}")
        key = f"{setting.where[-1]}{'_file' if setting.secret else ''}"
        variable = f"{setting.variable}{' or _FILE' if setting.secret else ''}"
        parts.append(
            f"\n# {setting.meaning}\n# {variable}\n"
            f"#{key} = {_toml(setting, getattr(DEFAULTS, setting.name))}\n"
        )
    return "".join(parts)


def _toml(setting: Setting, value: Any) -> str:
    if value is None:
        return '"none"' if setting.name == "family" else '""'
    # JSON's strings, lists and numbers are TOML's too.
    return json.dumps(str(value) if isinstance(value, Path) else value)
