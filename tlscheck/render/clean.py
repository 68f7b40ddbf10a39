"""Makes text from outside safe to print, and measures and shortens it in terminal columns."""

from __future__ import annotations

import unicodedata

# Letters by category, but nothing to be seen: Hangul fillers and the empty Braille cell.
_INVISIBLE = frozenset("\u115f\u1160\u3164\uffa0\u2800")
# Controls, formats (bidi, zero width), surrogates, private, unassigned, combining marks (they
# take no column), line and paragraph separators, and every space but the plain one.
_UNSAFE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Mn", "Me", "Zl", "Zp", "Zs"})


def clean(text: str) -> str:
    r"""`text` with everything unseen or active as a visible escape: `\x1b`, `\u202e`.

    What is left takes one or two columns a character. Cleaning twice changes nothing.
    """
    return "".join(map(_visible, text))


def _visible(char: str) -> str:
    if char == " " or " " < char <= "~":
        return char
    if unicodedata.category(char) not in _UNSAFE and char not in _INVISIBLE and not _jamo(char):
        return char
    code = ord(char)
    if code <= 0xFF:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def _jamo(char: str) -> bool:
    """Hangul vowels and finals that terminals draw into the column before."""
    return "\u1160" <= char <= "\u11ff" or "\ud7b0" <= char <= "\ud7ff"


def wide(char: str) -> bool:
    """Whether a cleaned character takes two columns (UAX 11: wide or full width)."""
    return unicodedata.east_asian_width(char) in ("W", "F")


def columns(text: str) -> int:
    """How many terminal columns a cleaned text takes."""
    return sum(2 if wide(char) else 1 for char in text)


def cut(text: str, width: int) -> str:
    """The start of `text`, at most `width` columns, ending in … when something was cut off."""
    if columns(text) <= width:
        return text
    return _start(text, width - 1).rstrip() + "…" if width > 0 else ""


def cut_middle(text: str, width: int) -> str:
    """`text` in at most `width` columns, with … for what was taken from its middle."""
    if columns(text) <= width:
        return text
    if width <= 0:
        return ""
    tail = _start(text[::-1], (width - 1) // 2)[::-1]
    return _start(text, width - 1 - columns(tail)) + "…" + tail


def wrap(text: str, width: int, first: str = "", rest: str = "") -> list[str]:
    """Lines of at most `width` columns, led by `first` and then `rest`; long words are broken.

    A width below two counts as two, the least that any character fits into.
    """
    room = max(width, 2)
    first, rest = cut(first, room - 2), cut(rest, room - 2)
    lines, line, lead, used = [], "", first, columns(first)
    for word in text.split(" "):
        at, left = 0, columns(word)  # where the rest of the word starts, and what it takes
        while at < len(word):
            gap = " " if line else ""
            if used + len(gap) + left <= room:
                line += gap + word[at:]
                used += len(gap) + left
                break
            if not line:  # a slice, for a word may be longer than any number of lines
                line = _start(word[at : at + room], room - used)
                at, left = at + len(line), left - columns(line)
            lines.append(lead + line)
            line, lead, used = "", rest, columns(rest)
    return [*lines, lead + line] if line or not lines else lines


def _start(text: str, width: int) -> str:
    used = 0
    for index, char in enumerate(text):
        used += 2 if wide(char) else 1
        if used > width:
            return text[:index]
    return text
