"""What changed between two reports as text: for a terminal, as markdown, as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from itertools import groupby

from tlscheck.core.diff import Change, Document, Side, Weight
from tlscheck.render.clean import clean, wrap

_TITLES: dict[Weight, str] = {
    "broke": "Broke",
    "healed": "Healed",
    "changed": "Changed",
    "routine": "Routine",
    "sight": "Sight lost or regained (no change of a server)",
}


def render(document: Document, *, width: int = 80) -> str:
    """Blocks by weight, one endpoint after the other; no line wider than `width`."""
    lines = wrap(_head(document), width)
    for said in document.circumstances:
        lines += wrap(f"made differently: {clean(said)}", width, rest="  ")
    for weight, of_weight in groupby(document.changes, key=lambda change: change.weight):
        lines += ["", _TITLES[weight]]
        for endpoint, own in groupby(of_weight, key=lambda change: change.endpoint):
            lines += wrap(clean(endpoint), width, "  ", "    ")
            for change in own:
                lines += wrap(clean(change.says), width, "    ", "      ")
    return "\n".join([*lines, "", *wrap(_sum(document), width)]) + "\n"


def markdown(document: Document) -> str:
    """The same as a markdown document, with nothing in it that markdown or HTML would act on."""
    lines = [f"# {_escaped(_head(document))}", ""]
    lines += [f"- made differently: {_escaped(said)}" for said in document.circumstances]
    for weight, own in groupby(document.changes, key=lambda change: change.weight):
        lines += ["", f"## {_TITLES[weight]}", "", "| endpoint | change |", "| --- | --- |"]
        lines += [_row(change) for change in own]
    return "\n".join([*lines, "", _escaped(_sum(document))]) + "\n"


def as_json(document: Document) -> str:
    """`tlscheck-diff/1`, indented, in ASCII."""
    text = json.dumps(asdict(document), indent=2, ensure_ascii=True, allow_nan=False)
    return text.replace("\x7f", "\\u007f") + "\n"


def _head(document: Document) -> str:
    return f"{_name(document.old)} -> {_name(document.new)}"


def _name(side: Side) -> str:
    return clean(f"{side.started} ({side.run}{'' if side.complete else ', not complete'})")


def _sum(document: Document) -> str:
    counts = list(_counts(document))
    return ", ".join(counts) if counts else "no change"


def _counts(document: Document) -> Iterator[str]:
    for weight in _TITLES:
        if number := sum(change.weight == weight for change in document.changes):
            yield f"{number} {weight}"


def _row(change: Change) -> str:
    return f"| {_escaped(change.endpoint)} | {_escaped(change.says)} |"


_ACTIVE = str.maketrans(
    {c: f"\\{c}" for c in "\\`*_{}[]()#+!|~-"} | {"<": "&lt;", ">": "&gt;", "&": "&amp;"}
)


def _escaped(text: str) -> str:
    return clean(text).translate(_ACTIVE)
