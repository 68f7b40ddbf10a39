"""Something happens at the nth of the calls that change a disk."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

CALLS = ("mkdir", "open", "write", "fsync", "fdatasync", "rename", "unlink", "ftruncate")

Act = Callable[[str, Callable[..., Any], tuple[Any, ...], dict[str, Any]], Any]


@contextmanager
def nth(number: int, act: Act) -> Iterator[list[str]]:
    """`act` does the call with this number, from 1 on; the names of all calls made."""
    made: list[str] = []
    real = {name: getattr(os, name) for name in CALLS}

    def instead(name: str) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            made.append(name)
            if len(made) == number:
                return act(name, real[name], arguments, named)
            return real[name](*arguments, **named)

        return call

    with mock.patch.multiple(os, **{name: instead(name) for name in CALLS}):
        yield made


def faulty(number: int) -> Act:
    """The call fails with this errno; a write when it has written half."""

    def act(name: str, real: Callable[..., Any], arguments: tuple[Any, ...], named: Any) -> Any:
        if name == "write":
            descriptor, data = arguments
            real(descriptor, data[: len(data) // 2])
        raise OSError(number, os.strerror(number))

    return act


def killed_before(name: str, real: Callable[..., Any], arguments: Any, named: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def killed_within(name: str, real: Callable[..., Any], arguments: Any, named: Any) -> None:
    try:
        if name == "write":
            descriptor, data = arguments
            real(descriptor, data[: len(data) // 2])
        else:
            real(*arguments, **named)
    finally:
        os.kill(os.getpid(), signal.SIGKILL)
