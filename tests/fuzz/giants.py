"""Certificates near the limit of size, each with one thing grown without measure."""

from __future__ import annotations

from collections.abc import Callable

from .mutate import Node, header, parse
from .samples import certificates

ROOM = 500_000  # bytes; `certificates.MOST_BYTES` is a little more


def der(tag: int, *bodies: bytes) -> bytes:
    body = b"".join(bodies)
    return header(tag, len(body)) + body


def _oid(dotted_hex: str) -> bytes:
    return der(0x06, bytes.fromhex(dotted_hex))


def _tbs(kind: str = "p256") -> tuple[Node, list[Node]]:
    (root,) = parse(certificates()[kind])
    assert root.inside and root.inside[0].inside
    return root, root.inside[0].inside


def with_field(nth: int, value: bytes, kind: str = "p256") -> bytes:
    """A sample with one of its fields (0 is the version, 7 the extensions) set to `value`."""
    root, fields = _tbs(kind)
    fields[nth : nth + 1] = parse(value, deep=0)
    return root.encode()


def with_extensions(*values: bytes) -> bytes:
    return with_field(7, der(0xA3, der(0x30, *values)))


def extension(oid: str, value: bytes) -> bytes:
    return der(0x30, _oid(oid), der(0x04, value))


def _full(piece: bytes) -> bytes:
    return piece * (ROOM // len(piece))


def _attribute(value: bytes, oid: str = "550403") -> bytes:
    return der(0x30, _oid(oid), value)


def _nested() -> bytes:
    heads, size = list[bytes](), 0
    while size < ROOM:
        heads.append(header(0x30, size))
        size += len(heads[-1])
    return b"".join(reversed(heads))


RSA = der(0x30, _oid("2a864886f70d010101"), b"\x05\x00")
EC = _oid("2a8648ce3d0201")

GIANTS: dict[str, Callable[[], bytes]] = {
    "names of no length": lambda: with_extensions(extension("551d11", der(0x30, _full(b"\x82\0")))),
    "names of one length": lambda: with_extensions(
        extension("551d11", der(0x30, _full(b"\x82\x81\x80" + b"a" * 128)))
    ),
    "one long name": lambda: with_extensions(
        extension("551d11", der(0x30, der(0x82, b"a" * ROOM)))
    ),
    "many addresses": lambda: with_extensions(
        extension("551d11", der(0x30, _full(der(0x87, b"\x7f\0\0\1"))))
    ),
    "many empty extensions": lambda: with_extensions(_full(extension("551d11", b""))),
    "extensions that are none": lambda: with_extensions(_full(b"\x05\x00")),
    "many purposes": lambda: with_extensions(extension("551d25", der(0x30, _full(_oid("2a03"))))),
    "many features": lambda: with_extensions(
        extension("2b06010505070118", der(0x30, _full(b"\2\1\5")))
    ),
    "many points": lambda: with_extensions(
        extension("551d1f", der(0x30, _full(der(0x30, der(0xA0, der(0xA0, b"\x86\0"))))))
    ),
    "many ways": lambda: with_extensions(
        extension("2b06010505070101", der(0x30, _full(der(0x30, _oid("2a03"), b"\x86\0"))))
    ),
    "many timestamps": lambda: with_extensions(
        extension("2b06010401d679020402", der(0x04, b"\xff\xff" + _full(b"\0\0")))
    ),
    "many attributes": lambda: with_field(5, der(0x30, _full(der(0x31, _attribute(b"\x0c\1a"))))),
    "many attributes in one": lambda: with_field(
        5, der(0x30, der(0x31, _full(_attribute(b"\x0c\1a"))))
    ),
    "a long attribute": lambda: with_field(
        5, der(0x30, der(0x31, _attribute(der(0x0C, b"a" * ROOM))))
    ),
    "attributes that are no text": lambda: with_field(
        5, der(0x30, _full(der(0x31, _attribute(der(0x0C, b"\xff" * 15_000)))))
    ),
    "a long serial": lambda: with_field(1, der(0x02, b"\x7f" * ROOM)),
    "a long version": lambda: with_field(0, der(0xA0, der(0x02, b"\x7f" * ROOM))),
    "a long time": lambda: with_field(4, der(0x30, der(0x17, b"9" * ROOM), der(0x17, b"9"))),
    "a long algorithm": lambda: with_field(2, der(0x30, der(0x06, b"\x81" * ROOM + b"\1"))),
    "long parameters": lambda: with_field(2, der(0x30, _oid("2a03"), der(0x04, bytes(ROOM)))),
    "a long modulus": lambda: with_field(
        6,
        der(0x30, RSA, der(3, b"\0", der(0x30, der(2, b"\x7f" * ROOM), b"\2\3\1\0\1"))),
    ),
    "a long exponent": lambda: with_field(
        6,
        der(0x30, RSA, der(3, b"\0", der(0x30, der(2, b"\x7f" * 256), der(2, b"\x7f" * ROOM)))),
    ),
    "a long point": lambda: with_field(
        6,
        der(0x30, der(0x30, EC, _oid("2a8648ce3d030107")), der(3, b"\0\4", b"\1" * ROOM)),
    ),
    "a long curve": lambda: with_field(
        6, der(0x30, der(0x30, EC, der(0x06, b"\x81" * ROOM + b"\1")), der(3, b"\0\4"))
    ),
    "deep nesting": _nested,
    "deep nesting in a field": lambda: with_field(5, _nested()),
    "deep nesting in an extension": lambda: with_extensions(extension("551d11", _nested())),
    "zeros": lambda: bytes(ROOM),
    "sequences": lambda: b"\x30" * ROOM,
    "half": lambda: certificates()["rsa"][:700] + bytes(ROOM),
}
