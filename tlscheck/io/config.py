"""Settings from tlscheck.toml, the environment and the command line: which value holds, and why.

Default < file < environment < flag. Each layer is checked, also where a higher one overrides it.
Nothing here reads the process's own environment: it is handed in.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tlscheck.io import secret
from tlscheck.io.datafile import (
    BadFile,
    Document,
    Wrong,
    clean,
    contents,
    near,
    refuse_secrets,
    toml,
)
from tlscheck.io.settings import (
    BY_NAME,
    SETTINGS,
    TABLES,
    Base,
    Setting,
    Settings,
    Unfit,
    file_name,
    url,
)

FILE_NAME = "tlscheck.toml"
VARIABLE = "TLSCHECK_CONFIG"
LAYERS = ("default", "file", "environment", "flag")

_PREFIX = "TLSCHECK_"
_VARIABLES: Mapping[str, tuple[Setting, bool]] = {
    f"{setting.variable}{'_FILE' if by_file else ''}": (setting, by_file)
    for setting in SETTINGS
    for by_file in ((False, True) if setting.secret else (False,))
}
# An address of healthchecks.io ends in a UUID, whose last part is at times twelve digits.
_UUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}")


class BadConfig(Exception):
    """A configuration that cannot be used. `str()` is one line: `PLACE: what; how to mend`."""

    def __init__(self, message: str) -> None:
        super().__init__(clean(message))


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a value comes from: one of `LAYERS`, and `FILE:LINE`, a variable or an option.

    `file` is the file that a secret was read from.
    """

    layer: str
    place: str = ""
    file: Path | None = None

    def __str__(self) -> str:
        return f"{self.file}, named by {self.place}" if self.file else self.place or self.layer


@dataclass(frozen=True, slots=True)
class Effective:
    """The settings that hold, where each comes from, and the file that was read, if one was."""

    settings: Settings
    origins: Mapping[str, Origin]
    file: Path | None


@dataclass(frozen=True, slots=True)
class _Given:
    """A checked value. For a secret `by_file`, it is the file to read it from, or None."""

    origin: Origin
    value: Any
    by_file: bool


_Layer = dict[str, _Given]


def find(path: Path | None, environ: Mapping[str, str]) -> Path | None:
    """The file to read: `path`, or what TLSCHECK_CONFIG names, or the first one there is of
    ./tlscheck.toml and ~/.config/tlscheck/tlscheck.toml. Raises BadConfig.
    """
    if path is not None:
        return path
    if named := environ.get(VARIABLE):
        return Path(named)
    here = Path(FILE_NAME)
    try:
        # It says what is written where: whoever put it into a directory like /tmp must not.
        if here.lstat().st_uid not in (0, os.geteuid()):
            raise BadConfig(
                f"{here}: belongs to another user; remove it, or say --config {here} to use it"
            )
        return here
    except OSError:
        pass
    home = environ.get("HOME")
    there = Path(home, ".config", "tlscheck", FILE_NAME) if home else None
    return there if there and os.path.lexists(there) else None


def load(path: Path | None, environ: Mapping[str, str], flags: Mapping[str, Any]) -> Effective:
    """The settings that hold, given the file at `path` (see `find`), the environment, and the
    options that were given, by the names of `Settings`. Raises BadConfig.
    """
    home = environ.get("HOME") or None
    layers = (
        _from_file(path, home) if path else {},
        _from_environment(environ, home),
        _from_flags(flags, home),
    )
    given: _Layer = {}
    for layer in layers:
        given |= layer
    values = {name: _value(BY_NAME[name], one) for name, one in given.items()}
    origins = {
        setting.name: given[setting.name].origin if setting.name in given else Origin("default")
        for setting in SETTINGS
    }
    return Effective(Settings(**values), origins, path)


def _value(setting: Setting, given: _Given) -> Any:
    """What was given; a secret's file is read only now, when no higher layer overrides it."""
    if not given.by_file or given.value is None:
        return given.value
    place = given.origin.place
    try:
        return url(secret.from_file(given.value))
    except secret.BadSecret as fault:
        raise BadConfig(f"{place}: {setting.name}_file: {fault}") from None
    except Unfit as fault:
        raise BadConfig(f"{place}: {setting.name}_file: {given.value} {fault.what}") from None


def _checked(setting: Setting, by_file: bool, value: Any, base: Base, origin: Origin) -> _Given:
    """Raises Unfit."""
    if not by_file:
        return _Given(origin, setting.kind.check(value, base), False)
    if value == "":
        return _Given(origin, None, True)
    file = file_name(value, base)
    return _Given(Origin(origin.layer, origin.place, file), file, True)


def _add(layer: _Layer, setting: Setting, given: _Given) -> None:
    if setting.name in layer:
        other = f"{setting.name}_file" if layer[setting.name].by_file else setting.name
        raise Unfit(f"must not be given together with {other}; remove one")
    layer[setting.name] = given


# --- the file -----------------------------------------------------------------------------------


def _from_file(path: Path, home: str | None) -> _Layer:
    try:
        text, mode = contents(path)
        document = toml(path, text)
        try:
            return _of_document(document, mode, Base(path.parent, home))
        except Wrong as wrong:
            raise BadFile(path, document.line_of(wrong.where), wrong.what) from None
        except RecursionError:
            raise BadFile(path, 1, "is nested too deeply; settings are flat") from None
    except BadFile as fault:
        raise BadConfig(str(fault)) from None


def _of_document(document: Document, mode: int, base: Base) -> _Layer:
    layer: _Layer = {}
    for where, value in _entries(document.data):
        setting, by_file = _KEYS[where]
        if setting.secret and not by_file:
            _refuse_in_the_open(setting, value, where, mode)
        else:
            refuse_secrets(value, where)
        origin = Origin("file", f"{document.file}:{document.line_of(where)}")
        try:
            _add(layer, setting, _checked(setting, by_file, value, base, origin))
        except Unfit as fault:
            item = () if fault.at is None else (fault.at,)
            raise Wrong((*where, *item), f"{where[-1]} {fault.what}") from None
    return layer


_KEYS: Mapping[tuple[str, ...], tuple[Setting, bool]] = {
    (*setting.where[:-1], f"{setting.where[-1]}{'_file' if by_file else ''}"): (setting, by_file)
    for setting, by_file in _VARIABLES.values()
}


def _entries(data: dict[str, Any]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """The place and value of every setting that a file gives. Raises Wrong for what is none."""
    for name, value in data.items():
        if name not in TABLES:
            yield _known((name,)), value
        elif not isinstance(value, dict):
            raise Wrong((name,), f"{name} must be a table; write [{name}]")
        else:
            for key, inner in value.items():
                yield _known((name, key)), inner


def _known(where: tuple[str, ...]) -> tuple[str, ...]:
    if where in _KEYS:
        return where
    *table, key = where
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,60}", key) or secret.secret_in(key):
        raise Wrong(where, "unknown key (not repeated); remove it")
    for other in _KEYS:
        if other[-1] == key:
            place = f"into the table [{other[0]}]" if len(other) > 1 else "before the first [table]"
            raise Wrong(where, f'unknown key "{key}" here; move it {place}')
    names = [one[-1] for one in _KEYS if list(one[:-1]) == table]
    raise Wrong(where, f'unknown key "{key}"{near(key, names if table else [*names, *TABLES])}')


def _refuse_in_the_open(setting: Setting, value: Any, where: tuple[str, ...], mode: int) -> None:
    """An address that is a secret may stand in the file itself only if nobody else may read it."""
    if kind := secret.secret_in(_UUID.sub("", str(value))):
        raise Wrong(where, f"{setting.name} holds {kind}; give {setting.name}_file")
    if value != "" and secret.is_loose(mode):
        raise Wrong(
            where,
            f"{setting.name} is a secret and others may read this file; chmod 600 it, or give"
            f" {setting.name}_file",
        )


# --- environment and options ----------------------------------------------------------------------


def _from_environment(environ: Mapping[str, str], home: str | None) -> _Layer:
    layer: _Layer = {}
    for name in sorted(environ):
        if not name.startswith(_PREFIX) or name == VARIABLE:
            continue
        if name not in _VARIABLES:
            shown = name if re.fullmatch(r"[A-Z0-9_]{1,60}", name) else f"{_PREFIX}..."
            known = [one.removeprefix(_PREFIX) for one in (*_VARIABLES, VARIABLE)]
            close = difflib.get_close_matches(name.removeprefix(_PREFIX)[:80], known, n=1)
            hint = f"did you mean {_PREFIX}{close[0]}?" if close else "unset it"
            raise BadConfig(f"{shown}: unknown variable; {hint}")
        setting, by_file = _VARIABLES[name]
        text = environ[name]
        value = text if by_file else setting.kind.read(text)
        try:
            given = _checked(setting, by_file, value, Base(None, home), Origin("environment", name))
            _add(layer, setting, given)
        except Unfit as fault:
            raise BadConfig(f"{name}: {fault.what}") from None
    return layer


def _from_flags(flags: Mapping[str, Any], home: str | None) -> _Layer:
    layer: _Layer = {}
    for name, value in flags.items():
        by_file = name not in BY_NAME
        setting = BY_NAME[name.removesuffix("_file") if by_file else name]
        option = f"{setting.option}{'-file' if by_file else ''}"
        if setting.secret and not by_file:
            raise BadConfig(f"{option}: others see what is on a command line; give {option}-file")
        try:
            plain = _plain(value)
            given = _checked(setting, by_file, plain, Base(None, home), Origin("flag", option))
            _add(layer, setting, given)
        except Unfit as fault:
            raise BadConfig(f"{option}: {fault.what}") from None
    return layer


def _plain(value: Any) -> Any:
    """A parsed option as TOML would have said it."""
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    return str(value) if isinstance(value, Path) else value
