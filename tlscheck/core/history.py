"""Many nights -> since when each fact holds, what changed when, and what flapped. Pure.

A night's unknowns say nothing. A change counts from the first of `confirm` nights that agree on
it; what turned back before that has flapped. Nights are taken oldest first, and an endpoint whose
facts are the very same object as the night before costs nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from tlscheck.core.diff import PRESENT, Change, Entry, Fact, changes, moved, settled

Facts = Mapping[str, Fact]
"""The facts of one endpoint, by topic, its verdicts among them."""


@dataclass(frozen=True, slots=True)
class Night:
    """One report: when it was made (UTC, RFC 3339), and the facts of every endpoint by id."""

    started: str
    endpoints: Mapping[str, Facts]


@dataclass(frozen=True, slots=True)
class Since:
    """A fact that holds, and the night it was first seen so. `flaps`: how often it was otherwise
    for fewer nights than a change needs."""

    endpoint: str
    topic: str
    fact: Fact
    since: str
    flaps: int


@dataclass(frozen=True, slots=True)
class Event:
    """A change, and the first night it was seen."""

    night: str
    change: Change


@dataclass(frozen=True, slots=True)
class History:
    """What holds since when, by endpoint and topic, and what changed, oldest first."""

    nights: int
    holds: tuple[Since, ...]
    events: tuple[Event, ...]


_UNSEEN = Fact((), False)


@dataclass(slots=True)
class _Track:
    """One topic: the fact that holds, and another that may be about to."""

    fact: Fact | None
    since: str
    next: Fact | None = None
    next_since: str = ""
    agreed: int = 0
    flaps: int = 0


def follow(nights: Iterable[Night], *, confirm: int = 1, only: str | None = None) -> History:
    """The history of all endpoints, or of the one with the id `only`."""
    tracks: dict[str, dict[str, _Track]] = {}
    before: dict[str, Facts] = {}
    events: list[Event] = []
    count = 0
    for count, night in enumerate(nights, 1):
        names = night.endpoints.keys() | tracks.keys()
        for name in names if only is None else names & {only}:
            facts = night.endpoints.get(name, {})
            own = tracks.setdefault(name, {})
            if before.get(name) is facts and not any(track.agreed for track in own.values()):
                continue
            before[name] = facts
            events += _step(name, own, facts, night.started, confirm, first=count == 1)
    holds = tuple(
        Since(name, topic, track.fact, track.since, track.flaps)
        for name, own in sorted(tracks.items())
        for topic, track in sorted(own.items())
        if track.fact is not None
    )
    return History(count, holds, tuple(sorted(events, key=_when)))


def _when(event: Event) -> tuple[str, str, str]:
    return event.night, event.change.endpoint, event.change.topic


def _step(
    name: str, own: dict[str, _Track], facts: Facts, night: str, confirm: int, *, first: bool
) -> Iterator[Event]:
    confirmed: dict[str, list[Entry]] = {}
    known = PRESENT in own
    for topic in facts.keys() | own.keys():
        new = facts.get(topic)
        track = own.get(topic)
        if track is None:
            # The first sight of a topic is no change, but that of an endpoint is one.
            own[topic] = track = _Track(None if topic == PRESENT and not first else new, night)
            if track.fact is not None or known:
                continue
        if not any(moved(track.fact, new)):
            if track.agreed and new is not None and new.whole:
                track.flaps, track.agreed, track.next = track.flaps + 1, 0, None
            if new is not None and (new.whole or track.fact is None):
                if track.fact is None or track.fact == _UNSEEN:  # now it is seen for the first time
                    track.since = night
                track.fact = new
            continue
        if track.agreed and track.next is not None and new is not None:
            same = track.next.values == new.values
        else:
            same = bool(track.agreed) and track.next is None and new is None
        track.agreed = track.agreed + 1 if same else 1
        if not same:
            track.next, track.next_since = new, night
        if track.agreed >= confirm:
            entry = Entry(name, topic, track.fact, new)
            confirmed.setdefault(track.next_since, []).append(entry)
            track.fact = new and settled(topic, track.fact, new)
            track.since = track.next_since
            track.next, track.agreed = None, 0
    for since, entries in confirmed.items():
        for change in changes(entries):
            if change.weight != "sight":
                yield Event(since, change)
