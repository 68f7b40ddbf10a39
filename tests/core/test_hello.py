"""Every hello that the scanner can send is legal, read back by a parser of another hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.test_explore import answer, profiles, run
from tests.servers.faults import asked
from tlscheck.core import registry
from tlscheck.core.explore import (
    explore_version,
    knocks,
    opening,
)
from tlscheck.core.hello import encode
from tlscheck.core.registry import Version
from tlscheck.core.reply import Hello

RANDOM = bytes(range(64))
NAME = "sts.us-east-1.amazonaws.com"
LONG = "sts.ap-southeast-1.api.amazonwebservices.com.cn"
# RFC 8446, section 4.2: what may stand in a ClientHello of TLS 1.3, of what we send.
IN_13 = {0, 10, 13, 21, 43, 51}
IN_12 = {0, 10, 11, 13, 21, 22, 23}
BELOW = IN_12 - {13}  # signature_algorithms is TLS 1.2's: RFC 5246, section 7.4.1.4.1


def legal(hello: Hello, name: str | None = NAME) -> None:
    read = asked.read(encode(hello, RANDOM, name))
    assert read is not None
    if hello.version is Version.SSLv2:
        assert read.ssl2
        return
    assert read.record in (0x0300, 0x0301) and read.legacy == min(hello.version, 0x0303)
    assert len(read.session) == (32 if hello.version is Version.TLSv1_3 else 0)
    assert len(set(read.suites)) == len(read.suites) and 0 < len(read.suites) <= 32767
    kinds = set(read.extensions)
    if hello.version is Version.SSLv3 or hello.extensions == "none":
        assert not kinds
        return
    assert read.name == name
    if hello.version is Version.TLSv1_3:
        assert kinds <= IN_13 and read.versions == (0x0304,)
        assert all(registry.suites()[s].first is Version.TLSv1_3 for s in read.suites)
        assert set(read.shares) <= set(read.groups) <= set(registry.groups_of(Version.TLSv1_3))
        schemes = read.extensions[13][2:]
        hashes = {schemes[i : i + 2] for i in range(0, len(schemes), 2)}
        assert not any(code[1] == 2 or code[0] == 3 for code in hashes)  # DSA, SHA-224
    else:
        assert kinds <= (IN_12 if hello.version is Version.TLSv1_2 else BELOW)
        assert not any(g >= 0x0200 for g in read.groups)  # no hybrid outside TLS 1.3
        known = [s for s in read.suites if s != 0x00FF]
        assert all(registry.suites()[s].last is not Version.TLSv1_3 for s in known)
        assert 0x00FF in read.suites  # RFC 5746, section 3.4
    if hello.extensions == "all":
        assert not 256 <= read.size <= 511


@pytest.mark.parametrize("version", list(Version))
def test_what_a_scan_opens_with_is_legal(version: Version) -> None:
    for name in (NAME, LONG, None):
        legal(opening(version), name)


def test_what_it_knocks_with_is_legal_and_short() -> None:
    for hello in knocks():
        assert len(encode(hello, RANDOM, LONG)) - 5 < 256
        legal(hello)


@given(profiles(), st.sampled_from(list(Version)))
def test_whatever_a_server_makes_it_ask_is_legal(profile, version: Version) -> None:  # type: ignore[no-untyped-def]
    _, hellos = run(explore_version(version), lambda hello: answer(profile, hello))
    for hello in hellos:
        legal(hello)


@pytest.mark.parametrize("name", ["192.0.2.1", "2001:db8::1", "[2001:db8::1]"])
def test_no_address_is_sent_as_a_name(name: str) -> None:
    for version in Version:
        read = asked.read(encode(opening(version), RANDOM, name))
        assert read is not None and 0 not in read.extensions
