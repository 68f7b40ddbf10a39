"""The servers that the scanner is measured against are what their profiles say."""

from __future__ import annotations

import socket
from dataclasses import replace
from pathlib import Path

import pytest

from . import check, openssl
from .catalogue import ALL, Start
from .process import ServerFailed, program, running
from .profile import Profile


@pytest.mark.parametrize(("name", "start"), ALL, ids=[name for name, _ in ALL])
def test_server_does_what_its_profile_says(name: str, start: Start, tmp_path: Path) -> None:
    with start(tmp_path) as server:
        assert server.name == name
        assert check.disagreements(server) == []


def test_a_profile_that_is_wrong_is_noticed(tmp_path: Path) -> None:
    with openssl.client_order(tmp_path) as server:
        true = server.profile.protocols
        for wrong in (
            {"TLSv1.0": true["TLSv1.0"]},
            {**true, "TLSv1.1": true["TLSv1.0"]},
            {**true, "TLSv1.2": replace(true["TLSv1.2"], suites=true["TLSv1.2"].suites[1:])},
            {**true, "TLSv1.2": replace(true["TLSv1.2"], order="server")},
            {**true, "TLSv1.2": replace(true["TLSv1.2"], group_order="server")},
            {**true, "TLSv1.2": replace(true["TLSv1.2"], groups=("secp521r1", "secp384r1"))},
        ):
            assert check.disagreements(replace(server, profile=Profile(wrong)))


def test_a_server_is_gone_after_its_block(tmp_path: Path) -> None:
    with openssl.only_1_0(tmp_path) as server:
        place = (server.address, server.port)
        socket.create_connection(place, timeout=5).close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(place, timeout=5)


def test_a_server_that_does_not_start_shows_its_log(tmp_path: Path) -> None:
    def command(port: int) -> list[str]:
        return [program("openssl"), "s_server", "-accept", str(port), "-cert", "missing.pem"]

    with (
        pytest.raises(ServerFailed, match=r"missing\.pem"),
        running("broken", tmp_path, command, Profile({})),
    ):
        pass


def test_a_missing_program_is_an_error() -> None:
    with pytest.raises(FileNotFoundError, match="no-such-server"):
        program("no-such-server")


def test_names_are_unique() -> None:
    assert len({name for name, _ in ALL}) == len(ALL)
