"""What the faults do, made of steps: at accept, on hearing the hello, on the real answer."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from ..names import suite_codes
from . import made
from .asked import Asked
from .connection import Behaviour, Connection, End, Finish, Hold, Reset
from .real import EVERY, Base

# A step may raise an `End`, return bytes that take the place of the answer, or do nothing.
Said = bytes | None
AtAccept = Callable[[Connection], Awaitable[None] | None]
OnHello = Callable[[Connection, Asked], "Awaitable[Said] | Said"]
OnAnswer = Callable[[Connection, Asked, bytes], "Awaitable[bytes] | bytes"]

SECP256R1, X25519 = 23, 29


def real(
    base: Base | Callable[[Connection], Base],
    *,
    accept: AtAccept | None = None,
    hello: OnHello | None = None,
    answer: OnAnswer | None = None,
) -> Behaviour:
    """The real engine, with a fault at up to three places."""

    async def behave(c: Connection) -> None:
        if accept:
            await _done(accept(c))
        asked = await c.hello()
        if hello and (said := await _done(hello(c, asked))):
            await c.send(said)
            return
        said = c.answer(base(c) if callable(base) else base, asked)
        if answer:
            said = await _done(answer(c, asked, said))
        await c.send(said)
        await c.carry_on()

    return behave


async def _done(value: Any) -> Any:
    return await value if inspect.isawaitable(value) else value


# --- steps that decide before anything is answered


def chance(share: float, end: type[End]) -> Callable[..., None]:
    """At random, this share of connections ends."""

    def step(c: Connection, *_: object) -> None:
        if c.random.random() < share:
            raise end

    return step


def chance_of(share: float, said: bytes) -> OnHello:
    """At random, this share of hellos gets other bytes."""
    return lambda c, asked: said if c.random.random() < share else None


def bucket(a_second: float, end: type[End]) -> AtAccept:
    """A token bucket that holds one second's worth of connections."""

    def step(c: Connection) -> None:
        tokens = c.memory.get("tokens", a_second)
        tokens += (c.now - c.memory.get("filled", c.now)) * a_second
        c.memory["filled"] = c.now
        c.memory["tokens"] = min(tokens, a_second)
        if c.memory["tokens"] < 1:
            raise end
        c.memory["tokens"] -= 1

    return step


def ban(after: int, end: type[End], seconds: float | None = None) -> AtAccept:
    """Every connection after so many ends: for good, or for `seconds`, then so many again."""

    def step(c: Connection) -> None:
        if seconds is None:
            if c.n > after:
                raise end
            return
        if c.now < c.memory.get("banned until", 0.0):
            raise end
        c.memory["served"] = c.memory.get("served", 0) + 1
        if c.memory["served"] >= after:
            c.memory |= {"banned until": c.now + seconds, "served": 0}

    return step


def at_once(most: int) -> AtAccept:
    """More than so many connections at the same time are reset."""

    def step(c: Connection) -> None:
        if c.site.live > most:
            raise Reset

    return step


def deaf(every: int, seconds: float) -> AtAccept:
    """After every so many connections, none is accepted for a while."""

    def step(c: Connection) -> None:
        if c.n % every == 0:
            c.memory["deaf until"] = c.now + seconds

    return step


def delay(seconds: float) -> OnAnswer:
    async def step(c: Connection, asked: Asked, answer: bytes) -> bytes:
        await c.pause(seconds)
        return answer

    return step


def own_name_only(code: int) -> OnHello:
    """A fatal alert without the server's own name."""

    def step(c: Connection, asked: Asked) -> Said:
        right = not asked.ssl2 and asked.name is not None and asked.name.lower() == c.host
        return None if right else made.alert(code)

    return step


def unless(fine: Callable[[Asked], bool], said: bytes | type[End]) -> OnHello:
    """Stumbles over hellos that are not `fine`."""

    def step(c: Connection, asked: Asked) -> Said:
        if asked.ssl2 or fine(asked):
            return None
        if isinstance(said, bytes):
            return said
        raise said

    return step


# What servers written before TLS 1.3 knew, and what TLS 1.3 itself needs.
KNOWN_EXTENSIONS = frozenset({0, 10, 11, 13, 23, 35, 43, 45, 51, 0xFF01})


def known_extensions(asked: Asked) -> bool:
    return KNOWN_EXTENSIONS.issuperset(asked.extensions)


def few_suites(asked: Asked) -> bool:
    return len(asked.suites) <= 120


def not_of_middle_length(asked: Asked) -> bool:
    return not 256 <= asked.size <= 511


def no_versions(asked: Asked) -> bool:
    return 43 not in asked.extensions


def at_most_10(asked: Asked) -> bool:
    return asked.version <= 0x0301


def plain_if_old(asked: Asked) -> bool:
    """No extensions in a hello for TLS 1.0 or older."""
    return asked.version > 0x0301 or not asked.extensions


# --- steps that change the real answer


def refusing(how: bytes | type[End] | OnAnswer) -> OnAnswer:
    """Every alert of the engine becomes something else."""

    def step(c: Connection, asked: Asked, answer: bytes) -> Any:
        if not made.refuses(answer):
            return answer
        if isinstance(how, bytes):
            return how
        if isinstance(how, type):
            raise how
        return how(c, asked, answer)

    return step


async def blinded(c: Connection, asked: Asked, answer: bytes) -> bytes:
    """As s2n-tls does: wait, then close without a word."""
    await c.pause(c.random.uniform(10.0, 12.0))
    raise Finish


async def reset_after_alert(c: Connection, asked: Asked, answer: bytes) -> bytes:
    if c.random.random() < 0.5:  # the RST overtook it
        raise Reset
    await c.send(answer)
    raise Reset


def warning_level(c: Connection, asked: Asked, answer: bytes) -> bytes:
    return made.alert(made.alert_code(answer), level=1)


def old_alert_record(c: Connection, asked: Asked, answer: bytes) -> bytes:
    return made.alert(made.alert_code(answer), version=0x0300)


def default_suite(c: Connection, asked: Asked, answer: bytes) -> bytes:
    """TLS 1.2: no suite in common, so the default one, as if it had been offered."""
    if asked.version == 0x0303 and made.alert_code(answer) == 40:
        return made.whole_flight(asked, 0x0303, 0x002F, c.engine.chain)
    return answer


def on_flights(change: Callable[[Asked, made.Flight], bytes]) -> OnAnswer:
    """Changes every answer that begins with a ServerHello."""

    def step(c: Connection, asked: Asked, answer: bytes) -> bytes:
        return answer if made.refuses(answer) else change(asked, made.flight(answer))

    return step


def in_clear(change: Callable[[Asked, made.Flight], bytes]) -> OnAnswer:
    """The same, in TLS 1.2 and below only: there the whole flight is in clear."""

    def step(c: Connection, asked: Asked, answer: bytes) -> bytes:
        if made.refuses(answer) or asked.version == 0x0304:
            return answer
        return change(asked, made.flight(answer))

    return step


def one_byte_records(asked: Asked, flight: made.Flight) -> bytes:
    return flight.sent(size=1)


def one_record(asked: Asked, flight: made.Flight) -> bytes:
    return flight.sent(together=True)


def trailing(asked: Asked, flight: made.Flight) -> bytes:
    return flight.changed(lambda body: body + bytes(4)).sent()


def without(kind: int) -> Callable[[Asked, made.Flight], bytes]:
    def change(asked: Asked, flight: made.Flight) -> bytes:
        return replace(flight, messages=tuple(m for m in flight.messages if m[0] != kind)).sent()

    return change


def stray_suite(asked: Asked, flight: made.Flight) -> bytes:
    candidates = (0xC02F, 0x009C, 0x002F, 0x1302, 0x1301, 0xC0FF, 0xFAFA)
    suite = next(code for code in candidates if code not in asked.suites)
    return flight.changed(lambda body: made.with_suite(body, suite)).sent()


def version_0305(asked: Asked, flight: made.Flight) -> bytes:
    if asked.version == 0x0304:
        old, new = b"\x00\x2b\x00\x02\x03\x04", b"\x00\x2b\x00\x02\x03\x05"
        return flight.changed(lambda body: body.replace(old, new)).sent()
    return flight.changed(lambda body: b"\x03\x05" + body[2:]).sent()


def stray_group(asked: Asked, flight: made.Flight) -> bytes:
    """TLS 1.3: a HelloRetryRequest for a group that was not offered."""
    if asked.version != 0x0304:
        return flight.sent()
    group = next(g for g in (24, 30, 25, 0x4242) if g not in asked.groups)
    return made.retry(asked, flight.suite, group)


def always_retry(asked: Asked, flight: made.Flight) -> bytes:
    return made.retry(asked, flight.suite, SECP256R1) if asked.version == 0x0304 else flight.sent()


def record_version(version: int) -> OnAnswer:
    def step(c: Connection, asked: Asked, answer: bytes) -> bytes:
        return b"".join(made.record(kind, body, version) for kind, _, body in made.records(answer))

    return step


def failing(kinds: str, said: bytes) -> OnAnswer:
    """A suite of which the name begins so is picked, and given up after the Certificate."""

    def step(c: Connection, asked: Asked, answer: bytes) -> bytes:
        if made.refuses(answer) or asked.version == 0x0304:
            return answer
        flight = made.flight(answer)
        if not _names()[flight.suite].startswith(kinds):
            return answer
        kept = flight.of(made.SERVER_HELLO, made.CERTIFICATE)
        return replace(flight, messages=kept).sent() + said

    return step


def _names() -> dict[int, str]:
    if not _NAMES:
        _NAMES.update({code: name for name, code in suite_codes().items()})
    return _NAMES


_NAMES: dict[int, str] = {}


def warning_first(c: Connection, asked: Asked, answer: bytes) -> bytes:
    return answer if made.refuses(answer) else made.alert(112, level=1) + answer


def truncated(share: float) -> OnAnswer:
    """At random, a flight is cut in the middle by a reset."""

    async def step(c: Connection, asked: Asked, answer: bytes) -> bytes:
        if c.random.random() >= share:
            return answer
        await c.send(answer[: len(answer) // 2])
        await asyncio.sleep(0.01)
        raise Reset

    return step


def then(end: type[End], change: OnAnswer) -> OnAnswer:
    """A changed flight, and then an end; alerts and TLS 1.3 stay as they are."""

    async def step(c: Connection, asked: Asked, answer: bytes) -> bytes:
        said: bytes = await _done(change(c, asked, answer))
        if said != answer:
            await c.send(said)
            raise end
        return answer

    return step


async def byte_a_second(c: Connection, asked: Asked, answer: bytes) -> bytes:
    await c.drip(answer, 1, 1.0)
    raise Hold


async def one_byte_segments(c: Connection, asked: Asked, answer: bytes) -> bytes:
    """The first 400 bytes in a segment each (without a delay the kernel would merge them)."""
    await c.drip(answer[:400], 1, 0)
    return answer[400:]


# --- other engines behind one address


def either(one: Base, other: Base) -> Callable[[Connection], Base]:
    return lambda c: one if c.random.random() < 0.5 else other


def in_turn(one: Base, other: Base) -> Callable[[Connection], Base]:
    return lambda c: one if c.n % 2 else other


def only_tls10(c: Connection, asked: Asked) -> Said:
    """Even a hello that is for TLS 1.3 alone is answered with TLS 1.0."""
    if asked.ssl2 or asked.version != 0x0304:
        return None
    return made.whole_flight(asked, 0x0301, 0x002F, c.engine.chain)


def newer_version(c: Connection, asked: Asked) -> Said:
    """Who asks for less than TLS 1.2 gets TLS 1.2."""
    if asked.ssl2 or asked.version >= 0x0303:
        return None
    suite = 0x002F if 0x002F in asked.suites or not asked.suites else asked.suites[0]
    return made.whole_flight(asked, 0x0303, suite, c.engine.chain)


# --- no TLS at all


def speaks(
    said: bytes, *, first: bool = False, every: float | None = None, end: type[End] = Finish
) -> Behaviour:
    """Fixed bytes: `first` at accept, else after the client spoke; again and again if `every`."""

    async def behave(c: Connection) -> None:
        if not first:
            await c.receive()
        await c.send(said)
        while every is not None:
            await asyncio.sleep(every)
            await c.send(said)
        raise end

    return behave


def ends(end: type[End], *, at_once: bool = False) -> Behaviour:
    """Never a byte."""

    async def behave(c: Connection) -> None:
        if not at_once:
            await c.receive()
        raise end

    return behave


def announcing(kind: int, size: int) -> Behaviour:
    """A handshake message of `size` bytes is announced; its bytes then come without an end."""

    async def behave(c: Connection) -> None:
        asked = await c.hello()
        if kind != made.SERVER_HELLO:
            answer = c.answer(EVERY, asked)
            if made.refuses(answer) or asked.version == 0x0304:
                await c.send(answer)
                return
            first = replace(
                made.flight(answer), messages=made.flight(answer).messages[:1], rest=b""
            )
            await c.send(first.sent())
        head = bytes([kind]) + size.to_bytes(3, "big")
        await c.send(made.record(made.HANDSHAKE, head + bytes(1000)))
        while True:
            await c.send(made.record(made.HANDSHAKE, bytes(8000)))
            await asyncio.sleep(0.01)

    return behave
