"""Mutations: of bytes as they stand, and of DER with its lengths kept right or made wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

INTERESTING = (0, 1, 2, 0x7F, 0x80, 0x81, 0x82, 0x84, 0xFE, 0xFF)
HUGE = 60_000  # bytes


# --- bytes


def flip(data: bytes, chance: Random) -> bytes:
    out = bytearray(data)
    for _ in range(chance.choice((1, 1, 1, 2, 4, 16))):
        out[chance.randrange(len(out))] ^= 1 << chance.randrange(8)
    return bytes(out)


def overwrite(data: bytes, chance: Random) -> bytes:
    out = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 4))):
        out[chance.randrange(len(out))] = chance.choice(INTERESTING)
    return bytes(out)


def truncate(data: bytes, chance: Random) -> bytes:
    return data[: chance.randrange(len(data))]


def insert(data: bytes, chance: Random) -> bytes:
    at = chance.randrange(len(data) + 1)
    return data[:at] + chance.randbytes(chance.choice((1, 2, 4, 64, 300))) + data[at:]


def delete(data: bytes, chance: Random) -> bytes:
    at = chance.randrange(len(data))
    return data[:at] + data[at + chance.choice((1, 1, 2, 8, 100)) :]


def repeat(data: bytes, chance: Random) -> bytes:
    start = chance.randrange(len(data))
    end = min(len(data), start + chance.choice((1, 5, 50, 500)))
    return data[:end] + data[start:end] * chance.choice((1, 1, 2, 40)) + data[end:]


BYTES: tuple[Callable[[bytes, Random], bytes], ...] = (
    flip, overwrite, truncate, insert, delete, repeat,
)  # fmt: skip


def mutated(data: bytes, chance: Random, most: int = 3) -> bytes:
    """`data` after one to `most` mutations of its bytes."""
    for _ in range(chance.randint(1, most)):
        data = chance.choice(BYTES)(data, chance) if data else chance.randbytes(8)
    return data


# --- DER


@dataclass
class Node:
    """A tag, and what is in it: bytes, or nodes. `prefix` is the unused bits of a BIT STRING."""

    tag: int
    body: bytes
    inside: list[Node] | None = None
    prefix: bytes = b""

    def encode(self) -> bytes:
        body = self.prefix + b"".join(n.encode() for n in self.inside) if self.inside else self.body
        return header(self.tag, len(body)) + body

    def all(self) -> list[Node]:
        return [self, *(deeper for node in self.inside or [] for deeper in node.all())]


def header(tag: int, size: int) -> bytes:
    if size < 0x80:
        return bytes((tag, size))
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length


def parse(data: bytes, deep: int = 40) -> list[Node]:
    """Well-formed DER as nodes, `deep` at most, strings that hold DER opened too. Raises
    `ValueError`."""
    nodes, at = list[Node](), 0
    while at < len(data):
        if len(data) < at + 2 or data[at] & 0x1F == 0x1F:
            raise ValueError
        tag, size, start = data[at], data[at + 1], at + 2
        if size & 0x80:
            start += size & 0x7F
            size = int.from_bytes(data[at + 2 : start], "big")
        at = start + size
        if at > len(data):
            raise ValueError
        nodes.append(_opened(tag, data[start:at], deep))
    return nodes


def _opened(tag: int, body: bytes, deep: int) -> Node:
    prefix = b"\0" if tag == 0x03 and body[:1] == b"\0" else b""
    if body and deep and (tag & 0x20 or tag in (0x03, 0x04)):
        try:
            return Node(tag, body, parse(body[len(prefix) :], deep - 1), prefix)
        except ValueError:
            pass
    return Node(tag, body)


def _integer(chance: Random, node: Node) -> None:
    node.inside, node.body = None, chance.choice((b"\x7f", b"\x80", b"\xff", b"\0")) * HUGE


def _body(chance: Random, node: Node) -> None:
    node.inside, node.body = None, mutated(node.body or b"\0", chance)


def _tag(chance: Random, node: Node) -> None:
    node.tag = chance.choice((node.tag ^ 0x20, node.tag ^ 0x80, 2, 3, 4, 5, 6, 12, 0x13, 0x30,
                              0x31, 0xA0, 0xA3, chance.randrange(256)))  # fmt: skip


def _double(chance: Random, node: Node) -> None:
    if node.inside:
        at = chance.randrange(len(node.inside))
        node.inside[at:at] = [node.inside[at]] * chance.choice((1, 1, 3, 300))


def _drop(chance: Random, node: Node) -> None:
    if node.inside:
        del node.inside[chance.randrange(len(node.inside))]
        node.body = b""


def _shuffle(chance: Random, node: Node) -> None:
    if node.inside:
        chance.shuffle(node.inside)


def _nest(chance: Random, node: Node) -> None:
    deep = node.encode()
    for _ in range(chance.choice((1, 3, 30, 3000))):
        deep = header(node.tag | 0x20, len(deep)) + deep
    node.inside, node.body = None, deep


def _lie(chance: Random, node: Node) -> None:
    """A wrong or odd length inside, the frames around it right."""
    inner = node.encode()
    wrong = chance.choice((b"\x80", b"\x84\xff\xff\xff\xff", b"\x82\0\x01", b"\x81\x05", b"\x88",
                           bytes((chance.randrange(256),))))  # fmt: skip
    node.inside, node.body = None, inner[:1] + wrong + inner[2:]


DER: tuple[Callable[[Random, Node], None], ...] = (
    _integer, _body, _body, _body, _tag, _double, _drop, _shuffle, _nest, _lie,
)  # fmt: skip


def mutated_der(
    data: bytes, chance: Random, choose: Callable[[Node, Random], Node] | None = None
) -> bytes:
    """Well-formed DER after a mutation of one of its nodes, with the lengths around it right."""
    (root,) = parse(data)
    node = choose(root, chance) if choose else chance.choice(root.all())
    chance.choice(DER)(chance, node)
    return root.encode()


def any_of(data: bytes, chance: Random) -> bytes:
    """`mutated_der` or `mutated`, or both."""
    which = chance.random()
    if which < 0.6:
        data = mutated_der(data, chance)
    return mutated(data, chance) if which > 0.5 else data
