"""Key shares that need no computation, and what is agreed on with them: so nothing that a server
says after its ServerHello is sealed from whoever sent one (`flight`). Pure.

A base point of a curve, or the generator of a finite field: what is agreed on is then the server's
own public value. An ML-KEM key whose vector t is zero: FIPS 203's v = t*y + e2 + m (K-PKE.Encrypt,
section 5.2) is then the message with a little noise, and the secret follows from the message.
A hybrid is both, one after the other.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache

# The base points of X25519 and X448 (u = 9 and 5: RFC 7748) and of P-256, P-384 and P-521
# (FIPS 186-4, D.1.2).
_U9 = (9).to_bytes(32, "little")
_U5 = (5).to_bytes(56, "little")
_P256 = bytes.fromhex(
    "04"
    "6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"
    "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5"
)
_P384 = bytes.fromhex(
    "04"
    "aa87ca22be8b05378eb1c71ef320ad746e1d3b628ba79b9859f741e082542a385502f25dbf55296c3a545e3872760ab7"
    "3617de4a96262c6f5d9e98bf9292dc29f8f41dbd289a147ce9da3113b5f0b8c00a60b1ce1d7e819d7a431d7c90ea0e5f"
)
_P521 = bytes.fromhex(
    "04"
    "00c6858e06b70404e9cd9e3ecb662395b4429c648139053fb521f828af606b4d"
    "3dbaa14b5e77efe75928fe1dc127a2ffa8de3348b3c1856a429bf97e7e31c2e5bd66"
    "011839296a789a3bc0045c8a5fb42c7d1bd998f54449579b446817afbd17273e"
    "662c97ee72995ef42640c550b9013fad0761353c7086a272c24088be94769fd16650"
)


@dataclass(frozen=True, slots=True)
class _Share:
    """What is sent, how long the answer is (bytes), the secret that it makes, and from where to
    where it is a DH or ECDH value, which a server may use more than once."""

    sent: bytes
    answer: int
    secret: Callable[[bytes], bytes]
    dh: tuple[int, int]


def _itself(share: bytes, secret: Callable[[bytes], bytes] = lambda public: public) -> _Share:
    return _Share(share, len(share), secret, (0, len(share)))


def _point(base: bytes) -> _Share:
    """Of an uncompressed point the x coordinate is the secret: RFC 8446, section 7.4.2."""
    return _itself(base, lambda public: public[1 : 1 + len(public) // 2])


def _ml_kem(rank: int, u_bits: int, v_bits: int) -> _Share:
    """FIPS 203: `rank` is k, `u_bits` and `v_bits` are d_u and d_v (table 2)."""
    key = bytes(384 * rank + 32)  # ByteEncode12 of t = 0, and any seed
    hashed = hashlib.sha3_256(key).digest()
    start, steps = 32 * u_bits * rank, 1 << v_bits

    def secret(ciphertext: bytes) -> bytes:
        v, message = int.from_bytes(ciphertext[start:], "little"), 0
        for at in range(256):  # a bit is 1 where its coefficient is nearer to q/2 than to 0
            coefficient = v >> at * v_bits & steps - 1
            message |= (steps // 4 <= coefficient < 3 * steps // 4) << at
        return hashlib.sha3_512(message.to_bytes(32, "little") + hashed).digest()[:32]

    return _Share(key, start + 32 * v_bits, secret, (0, 0))


def _both(first: _Share, second: _Share) -> _Share:
    """One after the other, in the key share, the answer and the secret: RFC 10024, section 4."""
    cut = first.answer

    def secret(answer: bytes) -> bytes:
        return first.secret(answer[:cut]) + second.secret(answer[cut:])

    dh = first.dh if first.dh[1] else (cut + second.dh[0], cut + second.dh[1])
    return _Share(first.sent + second.sent, cut + second.answer, secret, dh)


_ML_KEM = {512: _ml_kem(2, 10, 4), 768: _ml_kem(3, 10, 4), 1024: _ml_kem(4, 11, 5)}
_USUAL = {0x001D: _itself(_U9), 0x0017: _point(_P256)}
_CLASSICAL = _USUAL | {
    0x001E: _itself(_U5),
    0x0018: _point(_P384),
    0x0019: _point(_P521),
    # RFC 7919: the generator is 2, and what is agreed on is as long as the prime (RFC 8446, 7.4.1).
    **{0x0100 + n: _itself((2).to_bytes(bits // 8, "big"))
       for n, bits in enumerate((2048, 3072, 4096, 6144, 8192))},
}  # fmt: skip
_ALL = _CLASSICAL | {
    0x0200: _ML_KEM[512],
    0x0201: _ML_KEM[768],
    0x0202: _ML_KEM[1024],
    0x11EB: _both(_CLASSICAL[0x0017], _ML_KEM[768]),
    0x11EC: _both(_ML_KEM[768], _CLASSICAL[0x001D]),
    0x11ED: _both(_CLASSICAL[0x0018], _ML_KEM[1024]),
}


@cache
def of(closely: bool) -> Mapping[int, bytes]:
    """The key shares there are, by group: the usual two, or all, where one alone is offered."""
    return {group: share.sent for group, share in (_ALL if closely else _USUAL).items()}


def best(groups: tuple[int, ...]) -> int | None:
    """The first of `groups` that there is a share for; of ML-KEM, which needs a longer hello and
    shows less of the server, only where there is no other."""
    return next((group for some in (_CLASSICAL, _ALL) for group in groups if group in some), None)


def agreed(group: int, answer: bytes) -> bytes | None:
    """The secret that a share of `of(True)` and the server's `answer` agree on; `None` when there
    is no share for this group. Raises `ValueError` when the answer has not the length it has to."""
    share = _ALL.get(group)
    if share is None:
        return None
    if len(answer) != share.answer:
        raise ValueError(f"{len(answer)} bytes instead of {share.answer}")
    return share.secret(answer)


def dh_value(group: int, answer: bytes) -> bytes:
    """The part of an answer that is a DH or ECDH value; ML-KEM has none."""
    share = _ALL.get(group)
    return answer[slice(*share.dh)] if share else answer
