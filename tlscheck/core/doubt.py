"""What one server cannot have said: answers that no single configuration explains. Pure.

Unequal servers behind one address give themselves away by contradicting each other. `doubts`
names the hellos that are worth asking again to provoke that, `contradiction` finds it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations

from tlscheck.core import registry
from tlscheck.core.eliminate import (
    Answer,
    Refused,
)
from tlscheck.core.explore import VersionFacts, behind
from tlscheck.core.model import Protocol
from tlscheck.core.registry import Version
from tlscheck.core.reply import Hello, Picked, Reply, Ssl2Picked

Log = Sequence[tuple[Hello, Answer]]
"""What was asked of one target and answered, in the order of the answers."""

_CHACHA = frozenset(s.code for s in registry.suites().values() if "CHACHA20" in s.name)

# Two unequal servers behind one address, each taking half of the connections, both answer one of
# N equal hellos with a chance of 1 - 2 ** (1 - N): so often is asked what only one of them may
# have answered. Versions that agree with each other are evidence already, but not of those that are
# refused; and a version that one of the two speaks is the worst to miss.
OFTEN, SELDOM = 8, 4
REFUSED, REFUSED_SELDOM = 12, 2  # times that a refused version is asked for again
FEW = 30  # hellos to a server that answers all as its neighbours do
LEAST = 4  # of these, besides, where others were asked in vain
MOST_AGAIN = 16  # hellos of one version to ask again, of those that were accepted
SURE = 3  # replies that a refusal rests on, to be believed as it is
MOST_COMPARED = 300  # answers of one kind, so that no server makes this long
ENOUGH = 8  # picks of the older versions, for their agreement with the newest to be no chance


def doubts(log: Log) -> tuple[Hello, ...]:
    """The hellos to ask again: what each version picked and refused.

    A suite that was missed shows in the hello that ended the list, one that only some servers
    have in the hello that it was picked from, a version in the hello that opens it.
    """
    picked: dict[Version, list[Hello]] = {}
    refused: dict[Version, list[Hello]] = {}
    said: dict[Hello, int] = {}
    for hello, answer in log:
        version = hello.version
        said[hello] = answer.times if isinstance(answer, Refused) else 1
        if isinstance(answer, Picked) and answer.version == version:
            picked.setdefault(version, []).append(hello)
        elif isinstance(answer, Refused | Picked) and version is not Version.SSLv2:
            refused.setdefault(version, []).append(hello)
    ended = {
        version: max(hellos, key=lambda hello: (len(hello.groups), len(hello.suites)))
        for version, every in refused.items()
        if (hellos := _like(every, picked.get(version, every)))
    }
    main = max((version for version in picked if version < Version.TLSv1_3), default=None)
    agree = agreed(log)
    below = max((v for v in ended if v not in picked and v < (main or v)), default=None)
    again = [hello for hello in _group_ends(log) for _ in range(2 if agree else 3)]
    for version, hello in ended.items():
        if version in picked:
            # Where versions agree the newest list stands for all, and `explore.hidden` asked it;
            # that of TLS 1.3 has suites of its own.
            times = OFTEN if not agree else 2 if version is Version.TLSv1_3 else 0
        elif main is None or version > main or version is below:  # that asks for all older ones
            times = REFUSED_SELDOM if agree else REFUSED
        else:
            times = 0
        again += [hello] * (times + 1 - said[hello] if said[hello] < SURE else 0)
    for version, hellos in picked.items():
        if not agree:
            again += _each(_spread(hellos, 12 if version is main else OFTEN))
        elif version is Version.TLSv1_3:
            again += (_spread(hellos, SELDOM) * SELDOM)[:SELDOM]
    return tuple(again)


def hiding(log: Log, most: int) -> tuple[Hello, ...]:
    """The hellos for what may be hidden behind the suites that were picked (`explore.behind`), in
    the newest version that can; about `most` of them, and no less than one."""
    picked: dict[Version, set[int]] = {}
    for hello, answer in log:
        if isinstance(answer, Picked) and answer.version == hello.version < Version.TLSv1_3:
            picked.setdefault(hello.version, set()).add(answer.suite)
    if not picked or (newest := max(picked)) < Version.TLSv1_0:
        return ()
    return behind(newest, tuple(sorted(picked[newest])), most)


def briefly(log: Log, left: int) -> tuple[Hello, ...]:
    """The `left` hellos to ask besides of a server that answered all as its neighbours do: those
    for what may be hidden, which no neighbour answers for it, and the `scarcest`. With lists so
    long that none is left, what ended each is asked twice, those of groups too."""
    parts = hiding(log, left // 3)
    if left > 0:
        return (*parts, *scarcest(log, left - len(parts)))
    picked, ends = _ends(log)
    every = [hello for hello in ends.values() for _ in range(2 - (hello.version in picked))]
    return (*parts, *(hello for hello in (*every, *_group_ends(log)) for _ in range(2)))


def scarcest(log: Log, many: int) -> tuple[Hello, ...]:
    """So `many` of the hellos in `log` that tell unequal servers apart, those that were asked least
    before; equal ones in a row, as servers may take turns.

    A version is the worst to miss, so it counts as asked once less. What ended the list up to
    TLS 1.2 counts as asked once more, for what may be hidden there was asked for, too; so does what
    ended older lists and those of groups; and what was picked, which is not missed."""
    asked = Counter(hello for hello, _ in log)
    picked, ends = _ends(log)
    main = max((version for version in picked if version < Version.TLSv1_3), default=None)
    times = {hello: asked[hello] - 1 for v, hello in ends.items() if v not in picked}
    for version, hello in ends.items():
        if version in picked:
            times[hello] = asked[hello] + (version is not Version.TLSv1_3)
    for hello in _group_ends(log):
        times[hello] = asked[hello] + 1
    for hello, answer in log:
        spoken = isinstance(answer, Picked) and answer.version == hello.version
        if spoken and hello.version in (main, Version.TLSv1_3):
            times[hello] = asked[hello] + 1
    for hello, answer in log:
        if isinstance(answer, Refused) and answer.times > 1:  # by hang-ups: that costs many
            times.pop(hello, None)
    again = Counter[Hello]()
    for _ in range(many if times else 0):
        least = min(times, key=times.__getitem__)
        times[least] += 1
        again[least] += 1
    return tuple(again.elements())


def _spoken(log: Log) -> set[Version]:
    return {h.version for h, a in log if isinstance(a, Picked) and a.version == h.version}


def _ends(log: Log) -> tuple[set[Version], dict[Version, Hello]]:
    """The versions that were picked; and the hellos that ended the lists of suites, the newest
    first, or found a version refused: of the older ones the newest, which asks for all."""
    picked = _spoken(log)
    ends: dict[Version, Hello] = {}
    for hello, answer in log:
        if isinstance(answer, Refused | Picked) and hello.version is not Version.SSLv2:
            spoken = isinstance(answer, Picked) and answer.version == hello.version
            first = ends.get(hello.version)
            if not spoken and (first is None or len(hello.groups) >= len(first.groups)):
                ends[hello.version] = hello
    older = sorted((v for v in ends if v < min(picked, default=v)), reverse=True)
    return picked, {v: ends[v] for v in sorted(ends.keys() - older[1:], reverse=True)}


def _like(hellos: Sequence[Hello], accepted: Sequence[Hello]) -> list[Hello]:
    """Those of `hellos` that ask for no more than `accepted` did: what a server that stumbles
    over the rest has answered because of what they offer."""
    longest = max(len(hello.suites) for hello in accepted)
    manners = {hello.extensions for hello in accepted}
    return [h for h in hellos if len(h.suites) <= longest and h.extensions in manners]


def _group_ends(log: Log) -> list[Hello]:
    """The hellos that ended lists of groups: refused, while suites that they offer were picked
    where there were more groups."""
    most: dict[tuple[Version, int], int] = {}
    for hello, answer in log:
        if isinstance(answer, Picked) and answer.version == hello.version:
            key = hello.version, answer.suite
            most[key] = max(most.get(key, 0), len(hello.groups))
    named = {
        suite
        for suite, facts in registry.suites().items()
        if facts.key_exchange in ("ECDHE", "TLS13")
    }
    return [
        h
        for h, a in log
        if isinstance(a, Refused) and a.times < 2
        if any(
            version == h.version and len(h.groups) < many and suite in named and suite in h.suites
            for (version, suite), many in most.items()
        )
    ]


def _each(hellos: Sequence[Hello]) -> list[Hello]:
    """Each of `hellos` as often as `MOST_AGAIN` allows, in a row: servers that take turns are met
    in two, servers met by chance the more surely the fewer suites there are."""
    times = max(2, min(OFTEN - 1, MOST_AGAIN // len(hellos)))
    return [hello for hello in hellos for _ in range(times)]


def _spread(hellos: Sequence[Hello], most: int) -> list[Hello]:
    step = max(1, -(-len(hellos) // most))
    return list(hellos[::-step])


def agreed(log: Log) -> bool:
    """Whether the versions up to TLS 1.2 pick alike: the suites that both have, in one order; and
    there are so many that this is no chance."""
    spoken = _spoken(log)
    versions = {version for version in spoken if version < Version.TLSv1_3}
    if len(versions) < 2:
        return False
    if any(isinstance(a, Refused) and a.version and h.version in spoken for h, a in log):
        return False  # a version that is spoken was refused as a version
    picks: dict[Version, list[int]] = {version: [] for version in versions}
    for hello, answer in log:
        if isinstance(answer, Picked) and answer.version == hello.version in picks:
            picks[hello.version] = [*dict.fromkeys([*picks[hello.version], answer.suite])]
    newest = picks[max(versions)]
    table = registry.suites()
    older = sum(map(len, picks.values())) - len(newest)
    return older >= ENOUGH and all(
        mine == [s for s in newest if s in table and table[s].first <= version]
        for version, mine in picks.items()
    )


def contradiction(log: Log) -> str | None:
    """The first two answers that one server cannot both have given, in words; else `None`."""
    alike: dict[tuple[object, ...], list[_Told]] = {}
    for hello, answer in dict.fromkeys(log):
        alike.setdefault((hello.version, hello.extensions, hello.shares), []).append(
            _Told(hello, answer)
        )
    for asked in alike.values():
        for one, other in combinations(asked[:MOST_COMPARED], 2):
            # What is picked is struck, so most end here, of tens of thousands.
            if one.suite not in other.suites or other.suite not in one.suites:
                continue
            if one.comparable(other) and (why := _clash(one, other) or _clash(other, one)):
                return why
    return None


class _Told:
    """An answer, and what was picked in it, if that was offered; of the suites it may be none."""

    def __init__(self, hello: Hello, answer: Answer) -> None:
        self.hello, self.answer = hello, answer
        self.suites, self.groups = frozenset((*hello.suites, None)), frozenset(hello.groups)
        picked = answer if isinstance(answer, Picked) and answer.version == hello.version else None
        self.suite = picked.suite if picked and picked.suite in self.suites else None
        self.group = picked.group if picked and picked.group in self.groups else None

    def comparable(self, other: _Told) -> bool:
        """Whether each pick was offered in the other hello, too."""
        if self.groups == other.groups:
            return self.suite in other.suites and other.suite in self.suites
        mine, theirs = self.group, other.group
        return (
            self.suites == other.suites
            and (mine is None or mine in other.groups)
            and (theirs is None or theirs in self.groups)
        )


def _clash(accepted: _Told, told: _Told) -> str | None:
    """How an acceptance contradicts the answer to a hello that is `alike`."""
    one, first, other, second = accepted.hello, accepted.answer, told.hello, told.answer
    label = one.version.label
    if isinstance(first, Ssl2Picked):
        both = isinstance(second, Ssl2Picked) and set(first.suites) != set(second.suites)
        return f"{label}: two answers differ" if both else None
    if not isinstance(first, Picked) or isinstance(second, Ssl2Picked):
        return None
    if one == other and _other_version(first, second):
        return f"{label}: {_said(first)} and {_said(second)} to the same hello"
    if first.version != one.version:
        return None
    if one.groups == other.groups:
        return _over(label, one.suites, other.suites, first, second, "suite")
    if one.suites == other.suites and not _needs_curve(first):
        return _over(label, one.groups, other.groups, first, second, "group")
    return None


def _needs_curve(picked: Picked) -> bool:
    """Whether the certificate's own curve must be among the groups (RFC 8422, section 5.1)."""
    suite = registry.suites().get(picked.suite)
    return suite is not None and suite.authentication == "ECDSA"


def _over(
    label: str,
    offered: tuple[int, ...],
    later: tuple[int, ...],
    first: Picked,
    second: Answer,
    field: str,
) -> str | None:
    mine = getattr(first, field)
    if mine not in offered or mine not in later:
        return None
    name = registry.suite_name(mine) if field == "suite" else registry.group_name(mine)
    if _other_version(first, second):
        # Only where nothing was offered that had not been accepted before can it not be the rest
        # of the list that the server stumbled over.
        return f"{label}: {name} is picked and refused" if set(later) <= set(offered) else None
    if not isinstance(second, Picked):
        return None
    theirs = getattr(second, field)
    if theirs == mine or theirs not in offered or theirs not in later:
        return None
    if _CHACHA & {offered[0], later[0]}:  # some put theirs first when the client does
        return None
    follows = offered.index(mine) < offered.index(theirs) and later.index(theirs) < later.index(
        mine
    )
    if follows:  # the client's order
        return None
    other = registry.suite_name(theirs) if field == "suite" else registry.group_name(theirs)
    return f"{label}: {name} and {other} are each picked before the other"


def _other_version(first: Picked, second: Answer) -> bool:
    return isinstance(second, Refused) or (
        isinstance(second, Picked) and first.version != second.version
    )


def _said(answer: Answer) -> str:
    return f"picked {registry.version_name(answer.version)}" if isinstance(answer, Picked) else "no"


def unsteady(log: Log) -> tuple[Version, ...]:
    """The versions that are picked in answer to a hello and refused in answer to the same one."""
    picked = {h for h, a in log if isinstance(a, Picked) and a.version == h.version}
    other = {h for h, a in log if isinstance(a, Refused)}
    other |= {h for h, a in log if isinstance(a, Picked) and a.version != h.version}
    opened = {h.version: h for h, _ in reversed(log)}  # the first hello of each version
    return tuple(sorted(v for v, h in opened.items() if h in picked and h in other))


UNEQUAL = "unequal servers answer at this address"


def with_pick(fact: VersionFacts, suite: str, group: str | None = None) -> VersionFacts:
    """`fact` with a suite that was picked although it was refused before, and its group."""
    found = fact.protocol
    suites = dict.fromkeys((*found.suites, suite))
    groups = dict.fromkeys((*found.groups, *((group,) if group else ())))
    protocol = Protocol("yes", UNEQUAL, tuple(suites), None, tuple(groups))
    return replace(fact, protocol=protocol)


def overlooked(
    facts: Sequence[VersionFacts], said: Sequence[tuple[Hello, Reply]]
) -> tuple[tuple[VersionFacts, ...], str | None]:
    """`facts` with what these replies have picked although it is not among them, and how that
    contradicts what was answered, if it does."""
    now = {fact.version: fact for fact in facts}
    odd: str | None = None
    for hello, reply in said:
        fact = now.get(hello.version)
        if fact is None or not isinstance(reply, Picked) or not reply.whole:
            continue
        if reply.version != hello.version or reply.suite not in hello.suites:
            continue
        found, name = fact.protocol, registry.suite_name(reply.suite)
        groups = hello.version >= Version.TLSv1_2 and reply.group in hello.groups
        group = registry.group_name(reply.group) if groups and reply.group is not None else None
        strange = name not in found.suites or (group is not None and group not in found.groups)
        if strange and (found.why is None or found.offered == "no"):
            what = name if name not in found.suites else group
            odd = odd or f"{fact.version.label}: {what} is picked and refused"
            now[hello.version] = with_pick(fact, name, group)
    return tuple(now.values()), odd


def merged(before: VersionFacts, after: VersionFacts) -> VersionFacts:
    """What was found of one version at two times of unequal servers: all of it, in no order."""
    one, two = before.protocol, after.protocol
    notes = tuple(dict.fromkeys(before.notes + after.notes))
    strays = tuple(dict.fromkeys(before.strays + after.strays))
    if "yes" not in (one.offered, two.offered):
        less = after if two.offered == "unknown" else before
        return replace(less, notes=notes, strays=strays)
    suites = registry.suites_of(before.version)
    groups = registry.GROUPS
    protocol = Protocol(
        "yes",
        UNEQUAL,
        tuple(n for n in map(registry.suite_name, suites) if n in one.suites + two.suites),
        None,
        tuple(n for n in map(registry.group_name, groups) if n in one.groups + two.groups),
    )
    unusable = tuple(dict.fromkeys(before.unusable + after.unusable))
    return VersionFacts(before.version, protocol, notes, unusable, strays)
