"""What a share that needs no computation agrees on is what its definition says."""

from __future__ import annotations

import hashlib
import random
from fractions import Fraction

import pytest

from tlscheck.core import registry, shares

Q = 3329  # FIPS 203, section 2.4
KEMS = {0x0200: (2, 10, 4), 0x0201: (3, 10, 4), 0x0202: (4, 11, 5)}  # k, d_u, d_v: table 2
X25519, P384 = 0x001D, 0x0018


def sealed_in(message: bytes, kem: int, chance: random.Random) -> bytes:
    """The ciphertext under a key whose t is zero, by the letter of K-PKE.Encrypt: its first part
    is about the other half of the key, which nobody has, and may be anything."""
    k, d_u, d_v = KEMS[kem]
    v, steps = 0, 1 << d_v
    for at in range(256):
        bit = message[at // 8] >> at % 8 & 1
        noise = sum(chance.getrandbits(1) - chance.getrandbits(1) for _ in range(2))
        coefficient = (bit * 1665 + noise) % Q
        v |= (int(Fraction(steps * coefficient, Q) + Fraction(1, 2)) % steps) << at * d_v
    return chance.randbytes(32 * k * d_u) + v.to_bytes(32 * d_v, "little")


@pytest.mark.parametrize("kem", KEMS)
def test_the_secret_of_a_kem_follows_from_its_ciphertext(kem: int) -> None:
    chance = random.Random(kem)
    key = shares.of(True)[kem]
    assert len(key) == 384 * KEMS[kem][0] + 32 and not any(key)
    for message in (bytes(32), b"\xff" * 32, *(chance.randbytes(32) for _ in range(20))):
        ciphertext = sealed_in(message, kem, chance)
        whole = hashlib.sha3_512(message + hashlib.sha3_256(key).digest()).digest()
        assert shares.agreed(kem, ciphertext) == whole[:32]
        assert shares.dh_value(kem, ciphertext) == b""


@pytest.mark.parametrize(
    ("hybrid", "parts"),
    [(0x11EB, (0x0017, 0x0201)), (0x11EC, (0x0201, 0x001D)), (0x11ED, (0x0018, 0x0202))],
)
def test_a_hybrid_is_its_parts_one_after_the_other(hybrid: int, parts: tuple[int, int]) -> None:
    chance = random.Random(hybrid)
    sent, answers = shares.of(True), list[bytes]()
    for part in parts:
        kem = part in KEMS
        size = len(sent[part])
        answers.append(sealed_in(bytes(32), part, chance) if kem else chance.randbytes(size))
    assert sent[hybrid] == sent[parts[0]] + sent[parts[1]]
    agreed = [shares.agreed(*both) for both in zip(parts, answers, strict=True)]
    assert shares.agreed(hybrid, b"".join(answers)) == b"".join(filter(None, agreed))
    (curve,) = (a for part, a in zip(parts, answers, strict=True) if part not in KEMS)
    assert shares.dh_value(hybrid, b"".join(answers)) == curve


def test_an_answer_of_another_length_is_told() -> None:
    assert set(shares.of(False)) < set(shares.of(True)) < set(registry.GROUP_NAMES)
    for group in shares.of(True):
        for size in (0, 1, 31, 2000):
            with pytest.raises(ValueError, match=f"^{size} bytes instead of"):
                shares.agreed(group, bytes(size))
    assert shares.agreed(0x11EE, bytes(32)) is None


def test_a_classical_group_is_asked_of_where_there_is_one() -> None:
    assert shares.best((0x11EC, P384, X25519)) == P384
    assert shares.best((0x11EE, 0x11EC, 0x0201)) == 0x11EC
    assert shares.best((0x11EE,)) is None and shares.best(()) is None
