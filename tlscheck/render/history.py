"""A history as text: what changed on which night, and of one endpoint what holds since when."""

from __future__ import annotations

import json
from dataclasses import asdict
from itertools import groupby

from tlscheck.core.history import History
from tlscheck.render.clean import clean, wrap


def render(history: History, endpoint: str | None, *, width: int = 80) -> str:
    """Events by night, oldest first; then, for one endpoint, every fact with its first night."""
    lines = wrap(f"{history.nights} reports" + (f", {clean(endpoint)}" if endpoint else ""), width)
    for night, events in groupby(history.events, key=lambda event: event.night):
        lines += ["", clean(night)]
        for event in events:
            who = "" if endpoint else f"{event.change.endpoint}: "
            lines += wrap(clean(f"{who}{event.change.says}"), width, "  ", "      ")
    if not history.events:
        lines += ["", "no change"]
    if endpoint:
        lines += ["", "Since when each fact holds:"]
        for held in history.holds:
            seen = ", ".join(held.fact.values) or ("none" if held.fact.whole else "not seen")
            flaps = f" (flapped {held.flaps} times)" if held.flaps else ""
            said = clean(f"{held.since} {held.topic}: {seen}{flaps}")
            lines += wrap(said, width, "  ", "      ")
    return "\n".join(lines) + "\n"


def as_json(history: History, endpoint: str | None) -> str:
    """The whole history, in ASCII."""
    text = json.dumps(asdict(history), indent=2, ensure_ascii=True, allow_nan=False)
    return text.replace("\x7f", "\\u007f") + "\n"
