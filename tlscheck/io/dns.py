"""Endpoint -> addresses, by the system's resolver or by one name server."""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
import threading
from typing import TYPE_CHECKING, Any

from tlscheck.core.model import Endpoint

if TYPE_CHECKING:
    from dns.asyncresolver import Resolver

# What getaddrinfo says, in words. Only the first is an answer about the name.
_WHY = {
    socket.EAI_NONAME: "DNS: name does not exist",
    getattr(socket, "EAI_NODATA", socket.EAI_NONAME): "DNS: no address",
    socket.EAI_AGAIN: "DNS: temporary failure",
    socket.EAI_FAIL: "DNS: server failure",
}


MOST_ALIASES = 8  # that are asked for, one after the other
PAUSES = (0.5, 1.5)  # seconds before a look-up that failed for now is tried again


async def look_up(endpoint: Endpoint, timeout: float) -> tuple[tuple[str, ...], str | None]:
    """All A and AAAA addresses of an endpoint's host, sorted, or why there are none.

    `timeout` is in seconds, tries again included.
    """
    try:
        async with asyncio.timeout(timeout):
            for pause in PAUSES:
                addresses, why = await _ask(endpoint)
                if why != _WHY[socket.EAI_AGAIN]:
                    return addresses, why
                await asyncio.sleep(pause)
            return await _ask(endpoint)
    except TimeoutError:
        return (), "DNS: time-out"


async def _ask(endpoint: Endpoint) -> tuple[tuple[str, ...], str | None]:
    """One look-up. Each look-up has a daemon thread of its own: one that hangs delays
    neither another nor the end of the program.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[tuple[tuple[str, ...], str | None]] = loop.create_future()

    def finish(result: tuple[tuple[str, ...], str | None]) -> None:
        if not future.done():
            future.set_result(result)

    def work() -> None:
        try:
            found = socket.getaddrinfo(endpoint.host, endpoint.port, type=socket.SOCK_STREAM)
            addresses = {str(entry[4][0]) for entry in found}
            order = sorted(addresses, key=lambda a: (":" in a, a))
            result = (tuple(order), None if order else "DNS: no address")
        except (OSError, UnicodeError) as fault:
            code = fault.errno if isinstance(fault, OSError) else None
            result = ((), _WHY.get(code or 0, "DNS: look-up failed"))
        try:
            loop.call_soon_threadsafe(finish, result)
        except RuntimeError:  # the run is over
            return

    threading.Thread(target=work, daemon=True).start()
    return await future


# --- one name server ---------------------------------------------------------------------------

_UNSEEN = "DNS: time-out"
_TYPES = ("A", "AAAA")


def server(text: str) -> tuple[str, int]:
    """`ADDRESS`, `ADDRESS:PORT` or `[ADDRESS]:PORT` -> address and port. Raises ValueError."""
    bracketed = re.fullmatch(r"\[([^]%]+)\](?::([0-9]{1,5}))?", text)
    plain = re.fullmatch(r"([0-9.]+)(?::([0-9]{1,5}))?", text)
    found = bracketed or plain
    address, port = (found[1], found[2]) if found else (text, None)
    number = int(port or 53)
    if "%" in address or not 0 < number < 65536:
        raise ValueError(text)
    return str(ipaddress.ip_address(address)), number


def resolver(nameserver: str) -> Resolver:
    """A resolver that asks this name server and no other. Raises ValueError."""
    from dns import asyncresolver
    from dns import nameserver as servers

    made = asyncresolver.Resolver(configure=False)
    made.nameservers = [servers.Do53Nameserver(*server(nameserver))]
    made.search = []
    made.timeout = 5.0  # of one try; some look afar first
    return made


async def look_up_at(
    resolver: Resolver, endpoint: Endpoint, timeout: float
) -> tuple[tuple[str, ...], str | None, str | None]:
    """All addresses of a host by `resolver`, sorted; why there are none; and, where there are
    some, why those of one family were not seen. `timeout` is in seconds."""
    if _is_address(endpoint.host):  # which the system's resolver knows, too, and no name server
        return (endpoint.host,), None, None
    both = await asyncio.gather(*(_records(resolver, endpoint.host, t, timeout) for t in _TYPES))
    addresses = sorted({a for found, _ in both for a in found}, key=lambda a: (":" in a, a))
    open_ = [f"{kind}: {why}" for kind, (_, why) in zip(_TYPES, both, strict=True)
             if why not in (None, _NO_ADDRESS, _NO_NAME)]  # fmt: skip
    if addresses:
        return tuple(addresses), None, "; ".join(open_) or None
    reasons = [why for _, why in both if why]
    # That there is no such name is said of all its records; a silence may hide an address.
    worst = next((why for why in reasons if why not in (_NO_ADDRESS, _NO_NAME)), None)
    return (), worst or (_NO_NAME if _NO_NAME in reasons else _NO_ADDRESS), None


def _is_address(host: str) -> bool:
    try:
        return bool(ipaddress.ip_address(host))
    except ValueError:
        return False


_NO_NAME, _NO_ADDRESS = "DNS: name does not exist", "DNS: no address"
_FAILURE = "DNS: server failure"


async def _records(
    resolver: Resolver, host: str, kind: str, timeout: float
) -> tuple[list[str], str | None]:
    """What `_ask_at` gives; a failure of the server may be one of the moment."""
    clock = asyncio.get_running_loop().time
    deadline = clock() + timeout
    for pause in PAUSES:
        found, why = await _ask_at(resolver, host, kind, deadline - clock())
        if why != _FAILURE or clock() + pause >= deadline:
            return found, why
        await asyncio.sleep(pause)
    return await _ask_at(resolver, host, kind, deadline - clock())


async def _ask_at(
    resolver: Resolver, host: str, kind: str, timeout: float
) -> tuple[list[str], str | None]:
    from dns import exception, flags
    from dns import resolver as said

    name: Any = f"{host.rstrip('.')}."
    try:
        async with asyncio.timeout(timeout):
            for _ in range(MOST_ALIASES):
                answer = await resolver.resolve(
                    name, kind, lifetime=timeout, raise_on_no_answer=False
                )
                if answer.rrset is not None:
                    return [str(record.address) for record in answer], None
                if answer.response.flags & flags.TC:  # over TCP, too: nobody knows what is left out
                    return [], _FAILURE
                # One that asks no other server gives an alias without what it stands for.
                if answer.canonical_name == answer.qname:
                    return [], _NO_ADDRESS
                name = answer.canonical_name
            return [], f"DNS: more than {MOST_ALIASES} aliases, one after the other"
    except TimeoutError:
        return [], _UNSEEN
    except said.NXDOMAIN:
        return [], _NO_NAME
    except exception.Timeout:
        return [], _UNSEEN
    except said.NoNameservers:  # SERVFAIL, REFUSED, or what is no DNS at all
        return [], _FAILURE
    except (exception.DNSException, OSError, UnicodeError):
        return [], "DNS: look-up failed"
