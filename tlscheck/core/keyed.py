"""Whether a server that refuses all of TLS 1.3 may speak it with those who have its key. Pure.

Without a certificate it refuses everybody else with an alert that one without TLS 1.3 sends, too.
But it finds fault with what that one does not know: a key that is made up (RFC 8446, section
4.2.11), or, before it looks at that, groups that are not named (section 9.2).
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace

from tlscheck.core import registry
from tlscheck.core.explore import VersionFacts
from tlscheck.core.model import Protocol
from tlscheck.core.registry import Version
from tlscheck.core.reply import Alert, Hello, Reply

# What a server says that has nothing in common with a client, be it of TLS 1.3 or not. One that
# knows TLS 1.3 and does not want it says protocol_version, whatever else it finds.
_AMBIGUOUS = frozenset(str(Alert(code)) for code in (40, 47, 71))
_MISSING_EXTENSION = 109  # of TLS 1.3 alone
# illegal_parameter, decrypt_error, unknown_psk_identity: of a key, if not without it.
_OF_A_KEY = (47, 51, 115)

_MODES = (45, b"\x02\x01\x00")  # psk_key_exchange_modes: RFC 8446, section 4.2.9
_IDENTITY = b"tlscheck"
_MADE_UP = (
    41,  # pre_shared_key, the last of all extensions
    (len(_IDENTITY) + 6).to_bytes(2, "big") + len(_IDENTITY).to_bytes(2, "big") + _IDENTITY
    + bytes(4) + b"\x00\x21\x20" + bytes(32),
)  # fmt: skip

# Few extensions, for then nothing is padded.
_WITHOUT = Hello(
    Version.TLSv1_3, registry.suites_of(Version.TLSv1_3), extensions="few", more=(_MODES,)
)
_WITH = replace(_WITHOUT, more=(_MODES, _MADE_UP))


def told_apart(fact: VersionFacts) -> Generator[Hello, Reply | None, VersionFacts]:
    """`fact`, unknown where the server turns out to speak a TLS 1.3 that it was said not to. Asks
    nothing where its refusal leaves no doubt; what is no alert changes nothing."""
    said = fact.protocol
    if fact.version is not Version.TLSv1_3 or said.offered != "no" or said.why not in _AMBIGUOUS:
        return fact
    reply = yield _WITH
    if not isinstance(reply, Alert) or str(reply) == said.why:
        return fact
    knows = reply.code == _MISSING_EXTENSION
    if reply.code in _OF_A_KEY:
        bare = yield _WITHOUT
        knows = isinstance(bare, Alert) and bare != reply
    if not knows:
        return fact
    why = (
        f"{said.why}, but {reply} where only TLS 1.3 finds fault: it may take those clients alone"
        " that have its pre-shared key"
    )
    return replace(fact, protocol=Protocol("unknown", why))
