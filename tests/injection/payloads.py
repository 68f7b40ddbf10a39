"""Text that means harm to a terminal, a browser, a spreadsheet, or whoever reads the line."""

from __future__ import annotations

import os
import unicodedata

BELL, ESC = "\x07", "\x1b"

PAYLOADS: dict[str, str] = {
    # What terminals obey.
    "colour": f"{ESC}[31mred{ESC}[0m",
    "clear": f"{ESC}[2J{ESC}[H",
    "up": f"{ESC}[5A{ESC}[2Kpass",
    "title": f"{ESC}]0;owned{BELL}",
    "clipboard": f"{ESC}]52;c;cm0gLXJmIC8={ESC}\\",
    "link": f"{ESC}]8;;http://evil.example/{ESC}\\click{ESC}]8;;{ESC}\\",
    "device": f"{ESC}P$q{ESC}\\",
    "reset": f"{ESC}c",
    "charset": f"{ESC}(0lqk\x0e",
    "bare escape": ESC,
    "c1 csi": "\x9b31mred",
    "c1 osc": "\x9d0;owned\x9c",
    "c1 nel": "a\x85b",
    "c1 all": "".join(map(chr, range(0x80, 0xA0))),
    "return": "fail\rpass",
    "backspace": "fail\b\b\b\bpass",
    "newline": "x\nsts.example.com  pass",
    "crlf": "x\r\nSet-Cookie: a=b",
    "tab": "a\tb",
    "feeds": "a\x0bb\x0cc",
    "delete": "fail\x7f\x7f\x7f\x7f",
    "nul": "a\x00b",
    "c0 all": "".join(map(chr, range(0x20))),
    # What is not seen, or moves what is.
    "override": "\u202egnp.exe",
    "embedding": "\u202a\u202b\u202c\u202d",
    "isolates": "\u2066a\u2067b\u2068c\u2069",
    "marks": "\u200e\u200f\u061c",
    "zero width": "pa\u200bss\u200c\u200d\u2060\ufeff",
    "soft hyphen": "pa\xadss",
    "tags": "\U000e0041\U000e007f",
    "variation": "a\ufe0f\U000e0100",
    "combining": "a" + "\u0301" * 60,
    "enclosing": "a\u20dd",
    "line separators": "a\u2028b\u2029c",
    "spaces": "a\xa0\u2003\u3000b",
    "fillers": "\u115f\u1160\u3164\uffa0\u2800",
    "jamo": "\u1100\u1161\u11a8\ud7b0",
    "interlinear": "\ufff9a\ufffab\ufffb",
    "private": "\ue000\U0010fffd\U000f0000",
    "none": "\uffff\U0010ffff\u0378",
    "high surrogate": "a\ud83db",
    "low surrogate": "a\ude00b",
    "swapped surrogates": "\ude00\ud83d",
    "byte as surrogate": "a\udc9bb",
    # What other programs obey.
    "script": "<script>alert(1)</script>",
    "attribute": "\"><img src=x onerror='alert(1)'>",
    "entity": "&#27;[31m&lt;",
    "markdown": "[a](javascript:alert(1)) `b` **c** | d |",
    "fence": "```\n# heading\n---",
    "formula =": "=cmd|' /C calc'!A0",
    "formula +": "+1+1",
    "formula -": "-1+1",
    "formula @": "@SUM(1)",
    "rich": "[red]x[/red][link=http://evil.example]y[/link]",
    "format": "%s%n{0}{0.__class__}$(id)`id`",
    "quotes": "\"'\\",
    "escaped": "\\x1b[31m\\u202e",
    "json": '","verdict":"pass","x":"',
    # What is too much, or nothing.
    "long": "x" * 4_000,
    "long words": "word " * 800,
    "long escapes": ESC * 1_500,
    "wide": "漢" * 1_500,
    "emoji": "\U0001f600" * 300,
    "blank": " " * 300,
    "empty": "",
}

TOGETHER = "|".join(text for text in PAYLOADS.values() if len(text) < 500)
"""All of them that are short, in one text."""

# Of files and arguments, where any byte but NUL may be.
RAW = (b"\x9b31m", b"\xff\xfe", b"\xc0\x9b", b"\xed\xa0\x80", b"\xf0\x9f")


def arguments() -> list[str]:
    """The payloads as `sys.argv` can hold them: of bytes, without NUL, one at most 128 KB."""
    texts = [text.replace("\0", "\1") for text in PAYLOADS.values() if _encodes(text)]
    return [*texts, *map(os.fsdecode, RAW)]


def file_names() -> list[str]:
    """The payloads as one part of a path: without `/`, at most 255 bytes with a suffix."""
    texts = (text.replace("/", "_") for text in arguments())
    return [text for text in texts if text and len(os.fsencode(text)) < 240]


def _encodes(text: str) -> bool:
    try:
        return os.fsdecode(os.fsencode(text)) == text
    except UnicodeEncodeError:
        return False


# --- what must not come out. Written down apart from tlscheck.render.clean, which it judges.

_NOT_SEEN = frozenset(
    [
        *range(0x20), 0x7F, *range(0x80, 0xA0), 0xAD,  # C0, DEL, C1, soft hyphen
        *range(0x200B, 0x2010), *range(0x2028, 0x202F), *range(0x2060, 0x2070), 0x061C, 0xFEFF,
        *range(0xD800, 0xE000), *range(0xFFF9, 0xFFFC), *range(0xE0000, 0xE1000),
        *range(0xFE00, 0xFE10), 0x034F, 0x115F, 0x1160, 0x180E, 0x3164, 0xFFA0,
    ]
) - {0x0A}  # fmt: skip


def harm(text: str) -> str:
    """The characters of `text` that may not reach a terminal, each once; empty is good."""
    bad = {c for c in set(text) if ord(c) in _NOT_SEEN or unicodedata.category(c) in ("Cf", "Mn")}
    return "".join(sorted(bad))


def width(line: str) -> int:
    """Terminal columns, in the widest reading."""
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in line)
