"""What a server will probably be asked, and answer: questions to ask ahead of their turn. Pure.

A trail is the questions of one exploration with the answers that a server like an earlier one, or
like the one that its replies let suppose, would give. It saves waiting and is never an answer: what
is found rests on this server's own replies, and a reply that differs ends the trail.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tlscheck.core import doubt
from tlscheck.core.eliminate import (
    Answer,
    Exploration,
    Refused,
    T,
    Unknown,
    together,
)
from tlscheck.core.explore import (
    VERSIONS,
    explore_version,
    hidden,
)
from tlscheck.core.registry import Version
from tlscheck.core.reply import Alert, Hello, Picked, Reply, Ssl2Picked
from tlscheck.core.suppose import Said, Supposed

Trail = tuple[tuple[Hello, Answer], ...]
"""Questions in the order in which they are asked, and what is answered."""


def trail_of(log: Sequence[tuple[Hello, Answer]]) -> Trail | None:
    """The trail of an exploration that is over; `None` if it met anything out of the ordinary."""
    for _, answer in log:
        match answer:
            case Picked(ended=None) | Ssl2Picked() | Refused(plain=True, times=1):
                pass
            case Unknown() | Refused() | Picked():
                return None
    return tuple(log)


def fits(expected: Answer, reply: Reply) -> bool:
    """Whether `reply` is the one that was expected, as far as the next question depends on it."""
    match expected:
        case Picked():
            return (
                isinstance(reply, Picked)
                and reply.whole
                and (reply.version, reply.suite) == (expected.version, expected.suite)
                and (expected.group is None or reply.group == expected.group)
            )
        case Refused():
            return isinstance(reply, Alert)
        case _:
            return type(reply) is type(expected)


def fits_all(trail: Trail, first: Said) -> bool:
    """Whether all of the `first` replies are on `trail`."""
    expected = dict(trail)
    return all(hello in expected and fits(expected[hello], reply) for hello, reply in first)


def same(log: Sequence[tuple[Hello, Answer]], trail: Trail) -> bool:
    """Whether an exploration has asked just the questions of `trail` and got the same answers."""
    asked = {hello for hello, _ in log}
    return len(log) == len(trail) and asked == {hello for hello, _ in trail} and within(log, trail)


def within(log: Sequence[tuple[Hello, Answer]], trail: Trail) -> bool:
    """Whether all that was asked is asked on `trail`, too, and was answered alike."""
    expected = dict(trail)
    return all(
        (there := expected.get(hello)) is not None and _told(answer) == _told(there)
        for hello, answer in log
    )


def steady(log: Sequence[tuple[Hello, Answer]], later: Sequence[tuple[Hello, Answer]]) -> bool:
    """Whether what was asked `later` was answered as before, if at all, and what is new was
    refused."""
    before = dict(log)
    return all(
        isinstance(answer, Unknown) or _told(answer) == _told(before[hello])
        if hello in before
        else isinstance(answer, Refused)
        for hello, answer in later
    )


def _told(answer: Answer) -> Answer:
    """`answer` without what depends on when it was asked, and what no log keeps."""
    if isinstance(answer, Picked):
        return replace(answer, certificates=())
    if isinstance(answer, Refused) and answer.times > 1:  # by hang-ups, as many as it took
        answer = replace(answer, why="", times=2)
    if isinstance(answer, Refused) and answer.tolerant:
        return replace(answer, tolerant=False)
    return answer


def again(trail: Trail) -> Trail:
    """`trail`, and what a server is asked besides when it has answered all as foreseen; what its
    neighbours were asked otherwise is refused like what ended the list."""
    expected = dict(trail)
    ends = {hello.version: answer for hello, answer in trail if isinstance(answer, Refused)}
    none = Refused("nothing else is offered")
    return trail + tuple(
        (hello, expected.get(hello) or ends.get(hello.version, none))
        for hello in doubt.briefly(trail, doubt.FEW - len(trail))
    )


def trail_to(server: Supposed, whole: bool = True) -> Trail:
    """What such a server is asked, and answers; empty if it speaks nothing. `whole`: with what it
    is asked again, and what might be hidden."""
    if not server.suites:
        return ()
    log = list[tuple[Hello, Answer]]()

    def drive(exploration: Exploration[T]) -> T:
        try:
            hellos = next(exploration)
            while True:
                answers = tuple(map(server.answer, hellos))
                log.extend(zip(hellos, answers, strict=True))
                hellos = exploration.send(answers)
        except StopIteration as stop:
            value: T = stop.value
            return value

    facts = drive(together([explore_version(version) for version in VERSIONS]))
    if not whole:
        return tuple(log)
    older = [f for f in facts if f.protocol.offered == "yes" and f.version < Version.TLSv1_3]
    if older:
        drive(hidden(max(older, key=lambda fact: fact.version)))
    return (*log, *((hello, server.answer(hello)) for hello in doubt.doubts(log)))
