"""A refusal of TLS 1.3 is held to be one unless an alert tells that it is known all the same."""

from __future__ import annotations

import pytest

from tlscheck.core.explore import VersionFacts
from tlscheck.core.hello import RANDOM_BYTES, encode
from tlscheck.core.keyed import told_apart
from tlscheck.core.model import Protocol
from tlscheck.core.registry import Version
from tlscheck.core.reply import Alert, Hangup, Hello, Picked, Reply, Silent

HANDSHAKE_FAILURE, ILLEGAL_PARAMETER, DECRYPT_ERROR, PROTOCOL_VERSION = 40, 47, 51, 70
MISSING_EXTENSION, UNKNOWN_PSK_IDENTITY = 109, 115
REFUSED = VersionFacts(Version.TLSv1_3, Protocol("no", "alert handshake_failure"))


def told(fact: VersionFacts, *replies: Reply | None) -> tuple[VersionFacts, list[Hello]]:
    asked: list[Hello] = []
    asking = told_apart(fact)
    try:
        asked.append(next(asking))
        for reply in replies:
            asked.append(asking.send(reply))
    except StopIteration as stop:
        return stop.value, asked
    raise AssertionError("asks more than that")


@pytest.mark.parametrize(
    "replies",
    [(MISSING_EXTENSION,), (ILLEGAL_PARAMETER, HANDSHAKE_FAILURE),
     (DECRYPT_ERROR, MISSING_EXTENSION), (UNKNOWN_PSK_IDENTITY, HANDSHAKE_FAILURE)],
)  # fmt: skip
def test_who_finds_fault_with_what_only_tls_1_3_has_is_unknown(replies: tuple[int, ...]) -> None:
    found, asked = told(REFUSED, *map(Alert, replies))
    assert found.protocol.offered == "unknown"
    assert str(found.protocol.why).startswith(f"alert handshake_failure, but {Alert(replies[0])} ")
    assert len(asked) == len(replies)


@pytest.mark.parametrize(
    "replies",
    [(Alert(HANDSHAKE_FAILURE),), (Alert(PROTOCOL_VERSION),), (Alert(80),), (Hangup("reset"),),
     (Silent("read"),), (None,), (Picked(Version.TLSv1_2, 0x2F),),
     (Alert(ILLEGAL_PARAMETER), Alert(ILLEGAL_PARAMETER)), (Alert(ILLEGAL_PARAMETER), None),
     (Alert(DECRYPT_ERROR), Hangup("reset"))],
)  # fmt: skip
def test_what_says_nothing_of_tls_1_3_leaves_the_refusal_as_it_is(
    replies: tuple[Reply | None, ...],
) -> None:
    assert told(REFUSED, *replies)[0] == REFUSED


@pytest.mark.parametrize(
    "fact",
    [VersionFacts(Version.TLSv1_3, Protocol("no", "alert protocol_version")),
     VersionFacts(Version.TLSv1_3, Protocol("no", "picked TLSv1.2 instead")),
     VersionFacts(Version.TLSv1_3, Protocol("no", "reset 3 times, while others were answered")),
     VersionFacts(Version.TLSv1_3, Protocol("unknown", "read time-out (3 times)")),
     VersionFacts(Version.TLSv1_3, Protocol("yes")),
     VersionFacts(Version.TLSv1_2, Protocol("no", "alert handshake_failure"))],
)  # fmt: skip
def test_nothing_is_asked_where_there_is_no_doubt(fact: VersionFacts) -> None:
    assert told(fact) == (fact, [])


@pytest.mark.parametrize("name", [None, "sts.example", "s" * 200])
def test_the_key_is_the_last_extension(name: str | None) -> None:
    """RFC 8446, section 4.2.11: nothing may follow it, padding neither."""
    (hello,) = told(REFUSED, None)[1]
    sent = encode(hello, bytes(RANDOM_BYTES), name)
    assert sent.endswith(hello.more[-1][1]) and hello.more[-1][0] == 41
    identities = int.from_bytes(hello.more[-1][1][:2], "big")
    binders = hello.more[-1][1][2 + identities :]
    assert len(binders) == 2 + int.from_bytes(binders[:2], "big") == 2 + 1 + 32
