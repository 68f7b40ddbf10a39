"""Endpoint -> addresses, by the system's resolver."""

from __future__ import annotations

import asyncio
import socket
import threading

from tlscheck.core.model import Endpoint

# What getaddrinfo says, in words. Only the first is an answer about the name.
_WHY = {
    socket.EAI_NONAME: "DNS: name does not exist",
    getattr(socket, "EAI_NODATA", socket.EAI_NONAME): "DNS: no address",
    socket.EAI_AGAIN: "DNS: temporary failure",
    socket.EAI_FAIL: "DNS: server failure",
}


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
