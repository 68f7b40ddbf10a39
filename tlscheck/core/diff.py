"""Report x report -> changes: by endpoint and topic, with what was not seen kept apart.

A report is first put into a `View`: for every endpoint a few facts that do not depend on the
order of anything, nor on which addresses a name had that night. A diff is where two views
differ, so it can be applied and turned round; what each difference means is read off it. An
unknown never makes a server change: what was unseen on either side is sight, lost or regained.

Reports come in as the plain data of `tlscheck-report/1`. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from tlscheck.core import seen
from tlscheck.core.model import Depth
from tlscheck.core.names import place
from tlscheck.core.registry import VERSION_BY_LABEL

Weight = Literal["broke", "healed", "changed", "routine", "sight"]
"""A verdict that became `fail`, or a server vulnerable; one that ceased to be; a change of a server
or the catalog; a renewal as it should be; what was seen before and is not now, or the other way
round."""


@dataclass(frozen=True, slots=True)
class Fact:
    """What was seen of one topic: its values in a fixed order; `whole` when nothing was unseen."""

    values: tuple[str, ...]
    whole: bool = True


Key = tuple[str, str]
"""Endpoint id and topic."""
View = Mapping[Key, Fact]
PRESENT = "catalog"
_VERDICT = "verdict "


@dataclass(frozen=True, slots=True)
class Entry:
    """One topic of one endpoint that two views see differently; `None` where it is not there."""

    endpoint: str
    topic: str
    old: Fact | None
    new: Fact | None


@dataclass(frozen=True, slots=True)
class Change:
    """What entries of one endpoint mean, in words."""

    endpoint: str
    topic: str
    weight: Weight
    says: str


# --- reports to views


def view(report: Mapping[str, Any]) -> dict[Key, Fact]:
    """All facts of a report that a diff covers."""
    found: dict[Key, Fact] = {}
    for endpoint in report["endpoints"]:
        for topic, fact in endpoint_facts(endpoint).items():
            found[endpoint["id"], topic] = fact
    for finding in report["findings"]:
        key = finding["endpoint"], f"{_VERDICT}{finding['policy']}/{finding['rule']}"
        found[key] = verdict_fact(finding["verdict"], looked=bool(finding["saw"]))
    return found


def single(topic: str) -> bool:
    """Whether a topic that was seen has just one value."""
    return topic == PRESENT or topic.startswith(_VERDICT)


def verdict_fact(verdict: str, *, looked: bool) -> Fact:
    """A verdict as a fact. One is not seen where it is `inconclusive`, or where a rule does apply
    and was looked at in vain or not asked: `not_applicable` although there is what to look at."""
    whole = verdict != "inconclusive" and not (verdict == "not_applicable" and looked)
    return Fact((verdict,) if whole else (), whole)


def endpoint_facts(endpoint: Mapping[str, Any]) -> dict[str, Fact]:
    """The facts of one endpoint of a report, but its verdicts."""
    targets = [t for t in endpoint["targets"] if not t["features"].get("skipped")]
    facts = {PRESENT: Fact((_place(endpoint),))}
    for label in VERSION_BY_LABEL:
        said = [t["protocols"].get(label) or {"offered": "unknown"} for t in targets]
        answers = {p["offered"] for p in said}
        known = bool(said) and "unknown" not in answers
        facts[label] = Fact(tuple(sorted(answers - {"unknown"})), known)
        spoken = [p for p in said if p["offered"] == "yes"]
        if not spoken and known:
            continue
        whole = known and all(p["why"] is None for p in spoken)
        for topic in ("suites", "groups"):
            names = {name for p in spoken for name in p[topic]}
            facts[f"{label} {topic}"] = Fact(tuple(sorted(names)), whole)
        orders = {_order(p) for p in spoken} if whole else ()  # a part of a list has none
        facts[f"{label} order"] = Fact(tuple(sorted(orders)), whole)
    facts["https"] = _https(targets)
    for look in (seen.http, seen.certificates, seen.features, seen.deep):
        found = look(targets)
        facts |= {topic: Fact(*fact) for topic, fact in found.items()}
    everything = all(facts[label].whole for label in VERSION_BY_LABEL)
    facts["mixed"] = Fact(("mixed",) if endpoint["mixed"] else (), everything)
    return facts


def _place(endpoint: Mapping[str, Any]) -> str:
    return place(str(endpoint["host"]), endpoint["port"])


def _order(protocol: Mapping[str, Any]) -> str:
    """`client`, or the server's own order, spelt out."""
    if protocol["order"] != "server":
        return str(protocol["order"] or "none")
    return "server: " + " > ".join(protocol["suites"])


def _https(targets: Sequence[Mapping[str, Any]]) -> Fact:
    answers = [str(t["https"].get("outcome", "unknown")) for t in targets]
    known = {a for a in answers if a != "unknown"}
    return Fact(tuple(sorted(known)), bool(answers) and "unknown" not in answers)


# --- views to entries, and back


def diff(old: View, new: View) -> tuple[Entry, ...]:
    """Where the views differ, in a fixed order; empty when they do not."""
    return tuple(
        Entry(*key, old.get(key), new.get(key))
        for key in sorted(old.keys() | new.keys())
        if old.get(key) != new.get(key)
    )


def inverse(entries: Iterable[Entry]) -> tuple[Entry, ...]:
    """The diff from new to old."""
    return tuple(Entry(e.endpoint, e.topic, e.new, e.old) for e in entries)


def apply(old: View, entries: Iterable[Entry]) -> dict[Key, Fact]:
    """The view that `entries` lead to from `old`."""
    made = dict(old)
    for entry in entries:
        key = entry.endpoint, entry.topic
        if entry.new is None:
            made.pop(key, None)
        else:
            made[key] = entry.new
    return made


# --- what an entry means


def moved(old: Fact | None, new: Fact | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The values that surely came and surely went: what was unseen on the other side did not."""
    before, after = old or Fact((), True), new or Fact((), True)
    came = tuple(v for v in after.values if v not in before.values) if before.whole else ()
    went = tuple(v for v in before.values if v not in after.values) if after.whole else ()
    return came, went


def settled(topic: str, old: Fact | None, new: Fact) -> Fact:
    """The last sight of a topic after `new`: what was unseen in it is as it was seen before."""
    if old is None or new.whole:
        return new
    if not any(moved(old, new)):
        return old
    if topic.endswith((" suites", " groups")):  # what came is added; what is not seen did not go
        return Fact(tuple(sorted({*old.values, *new.values})), True)
    return new


def changes(entries: Sequence[Entry]) -> tuple[Change, ...]:
    """What the entries mean, endpoint by endpoint; what follows from another is left out."""
    by_endpoint: dict[str, dict[str, Entry]] = {}
    for entry in entries:
        by_endpoint.setdefault(entry.endpoint, {})[entry.topic] = entry
    return tuple(change for name, own in by_endpoint.items() for change in _of(name, own))


def _of(name: str, own: Mapping[str, Entry]) -> Iterator[Change]:
    present = own.get(PRESENT)
    if present is not None and None in (present.old, present.new):
        word = "added to" if present.old is None else "removed from"
        yield Change(name, PRESENT, "changed", f"{word} the catalog")
        return  # that says it all
    lost, regained = list[str](), list[str]()
    for topic, entry in own.items():
        came, went = moved(entry.old, entry.new)
        if came or went:
            if (change := _moved(entry, own, came, went)) is not None:
                yield change
        elif entry.old and entry.new and entry.old.whole and not entry.new.whole:
            lost.append(topic)
        elif entry.old and entry.new and entry.new.whole and not entry.old.whole:
            regained.append(topic)
    for topics, word in ((lost, "lost"), (regained, "regained")):
        if topics:
            yield Change(name, "sight", "sight", f"sight {word}: {_short(topics)}")


def _short(topics: Sequence[str]) -> str:
    versions = [topic for topic in topics if topic in VERSION_BY_LABEL]
    return "everything" if len(versions) == len(VERSION_BY_LABEL) else ", ".join(topics)


def _moved(
    entry: Entry, own: Mapping[str, Entry], came: tuple[str, ...], went: tuple[str, ...]
) -> Change | None:
    """An entry with values that surely came or went; `None` where it follows from another."""
    topic = entry.topic
    label, _, part = topic.partition(" ")
    if topic.startswith(_VERDICT):
        return _verdict(entry)
    if topic == PRESENT:
        return None
    if (
        part in ("suites", "groups", "order")
        and label in own
        and any(moved(own[label].old, own[label].new))
    ):
        return None  # the version itself came or went
    weight: Weight = "changed"
    says = f"{topic}: {_said(entry.old)} -> {_said(entry.new)}"
    if topic in VERSION_BY_LABEL:
        says = f"{topic} {_answer(entry)}"
    elif part in ("suites", "groups"):
        says = f"{topic}: {' '.join([f'+{n}' for n in came] + [f'-{n}' for n in went])}"
    elif part == "order":
        if _follows(entry):
            return None
    elif topic.startswith("feature "):
        if _of_version(entry, own):
            return None
        says = f"{topic[8:].replace('_', ' ')}: {_said(entry.old)} -> {_said(entry.new)}"
    elif topic.startswith("deep "):
        if entry.old is None or entry.new is None:
            return None  # one side was made before this was compared
        ours = own.get("feature compression")
        if topic == "deep compression" and ours and any(moved(ours.old, ours.new)):
            return None  # our own look tells it
        if "yes" not in came + went and _of_version(entry, own):
            return None
        name = f"{topic[5:].replace('_', ' ')}, says sslyze"
        if topic == seen.DEEP_TRUST:
            says = f"{name}: {' '.join([f'+{n}' for n in came] + [f'-{n}' for n in went])}"
        else:
            says = f"{name}: {_said(entry.old)} -> {_said(entry.new)}"
    elif topic == seen.RENEWED:
        if any(t in own and any(moved(own[t].old, own[t].new)) for t in seen.OF_CERTIFICATE):
            return None  # told by what else has changed of it
        weight, says = "routine", f"certificate renewed: {_said(entry.new)}"
    elif topic == "mixed":
        says = "its servers are unequal now" if came else "its servers are equal again"
    if topic in seen.VULNERABLE:
        weight = "broke" if "yes" in came else "healed" if "yes" in went else weight
    return Change(entry.endpoint, topic, weight, says)


def _of_version(entry: Entry, own: Mapping[str, Entry]) -> bool:
    """Whether a feature came or went only because a version did that it belongs to."""
    empty = not (entry.old and entry.old.values) or not (entry.new and entry.new.values)
    return empty and any(
        moved(own[label].old, own[label].new) != ((), ())
        for label in VERSION_BY_LABEL
        if label in own
    )


def _answer(entry: Entry) -> str:
    words: dict[tuple[str, ...], str] = {("no",): "no longer offered", ("yes",): "now offered"}
    new = entry.new.values if entry.new else ()
    return words.get(new, "now offered by some of its servers only")


def _follows(entry: Entry) -> bool:
    """Whether an order is another only because suites came or went."""
    orders = [
        [value.removeprefix("server: ").split(" > ") for value in fact.values]
        for fact in (entry.old, entry.new)
        if fact is not None and all(v.startswith("server: ") for v in fact.values)
    ]
    if len(orders) != 2 or any(len(order) != 1 for order in orders):
        return False
    old, new = orders[0][0], orders[1][0]
    return [s for s in old if s in new] == [s for s in new if s in old]


def _verdict(entry: Entry) -> Change | None:
    """A verdict that broke, healed or changed; one that only one side judged is no change."""
    if entry.old is None or entry.new is None:
        return None
    old, new = entry.old.values, entry.new.values
    rule = entry.topic.removeprefix(_VERDICT)
    weight: Weight = "broke" if "fail" in new else "healed" if "fail" in old else "changed"
    return Change(entry.endpoint, entry.topic, weight, f"{rule}: {old[0]} -> {new[0]}")


def _said(fact: Fact | None) -> str:
    return "; ".join(fact.values) or "none" if fact else "none"


# --- what only one of two runs asked

_ASKED_FROM: Mapping[Depth, tuple[str, ...]] = {
    "standard": ("certificate", "feature", "https", "http"),
    "deep": ("deep",),
}
"""The first words of the topics that are asked from a depth on; all others are always asked."""
_IN_WORDS = {
    "certificate": "certificates", "feature": "features", "https": "https", "http": "http",
    "deep": "what sslyze says",
}  # fmt: skip


def depth_of(report: Mapping[str, Any]) -> Depth | None:
    """How much was asked, as recorded; for a report from before it was, as it looks."""
    recorded: Depth | None = report["run"].get("depth")
    targets = [t for e in report["endpoints"] for t in e.get("targets", ())]
    if recorded is not None or not targets:
        return recorded
    if any(target.get("deep") for target in targets):
        return "deep"
    return "standard" if any(target.get("https") for target in targets) else "quick"


def _unlike(one: Depth | None, other: Depth | None) -> tuple[str, ...]:
    """The first words of the topics that are asked at just one of these depths."""
    if one is None or other is None:
        return ()
    order = get_args(Depth)
    less, more = sorted((order.index(one), order.index(other)))
    return tuple(word for depth in order[less + 1 : more + 1] for word in _ASKED_FROM[depth])


def asked_alike(
    entries: Iterable[Entry], one: Depth | None, other: Depth | None
) -> tuple[Entry, ...]:
    """`entries` without those that differ only because the runs, of these depths, did not ask the
    same. A verdict may rest on anything, so the sight of one is not told either."""
    unlike = _unlike(one, other)
    return tuple(
        entry
        for entry in entries
        if any(moved(entry.old, entry.new))
        or not unlike
        or not (entry.topic.startswith(_VERDICT) or entry.topic.partition(" ")[0] in unlike)
    )


def _other_depth(old: Depth | None, new: Depth | None) -> Iterator[str]:
    if unlike := [_IN_WORDS[word] for word in _unlike(old, new)]:
        *some, last = unlike
        what = f"{', '.join(some)} and {last} are" if some else f"{last} is"
        only = "compared only where both runs asked"
        yield f"asked at another depth ({old} -> {new}): {what} {only}"


# --- the document, `tlscheck-diff/1`


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two reports: its run's id, start (UTC, RFC 3339), and whether it was complete."""

    run: str
    started: str
    complete: bool


@dataclass(frozen=True, slots=True)
class Document:
    """Two reports compared (`tlscheck-diff/1`): how they were made, and what changed."""

    schema: Literal["tlscheck-diff/1"]
    old: Side
    new: Side
    circumstances: tuple[str, ...]
    changes: tuple[Change, ...]

    @property
    def changed(self) -> bool:
        """Whether there is more than sight lost or regained."""
        return any(change.weight != "sight" for change in self.changes)


def compare(old: Mapping[str, Any], new: Mapping[str, Any]) -> Document:
    """What changed from one report to the other (both `tlscheck-report/1`)."""
    entries = diff(view(old), view(new))
    return between(old, new, changes(asked_alike(entries, depth_of(old), depth_of(new))))


def between(old: Mapping[str, Any], new: Mapping[str, Any], found: Iterable[Change]) -> Document:
    """The document of what was `found` from one report to the other, the worst first."""
    said = tuple(sorted(found, key=_rank))
    return Document("tlscheck-diff/1", _side(old), _side(new), circumstances(old, new), said)


def _side(report: Mapping[str, Any]) -> Side:
    run = report["run"]
    return Side(run["id"], run["started"], run["complete"])


def _rank(change: Change) -> tuple[int, str, str]:
    return get_args(Weight).index(change.weight), change.endpoint, change.topic


# --- what is not about servers


def circumstances(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[str, ...]:
    """How the two reports were made differently: tool, data files, policies, interruption."""
    said = []
    rows = [{e["id"]: _place(e) for e in r["endpoints"]} for r in (old, new)]
    if other := sorted(i for i, at in rows[0].items() if rows[1].get(i, at) != at):
        first = f"{other[0]} {rows[0][other[0]]} -> {rows[1][other[0]]}"
        more = f", and {len(other) - 1} more" if len(other) > 1 else ""
        said.append(f"data files: another host or port for {first}{more}")
    if old["tool"] != new["tool"]:
        said.append(f"tool: {old['tool']['version']} -> {new['tool']['version']}")
    said += _other_depth(depth_of(old), depth_of(new))
    policies = [", ".join(sorted(p["id"] for p in r["policies"])) for r in (old, new)]
    if policies[0] != policies[1]:
        said.append(f"policies: {policies[0] or 'none'} -> {policies[1] or 'none'}")
    for word, report in (("old", old), ("new", new)):
        if not report["run"]["complete"]:
            said.append(f"the {word} report is not complete")
    return tuple(said)
