"""What is secret: how it is known in a text, and how it is carried so that it is never shown."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

MOST_BYTES = 8192  # of a file that holds one secret

# What must not be in a file that people share, nor in a report made from it.
_SECRETS = (
    ("a URL with a user name or password", re.compile(r"://[^\s/?#@]*@")),
    (
        "an access key id",
        re.compile(r"(?:AKIA|ASIA|AROA|AIDA|ABIA|ACCA|AGPA|AIPA|ANPA|ANVA|APKA|ASCA)[A-Z0-9]{16}"),
    ),
    (
        # And not a minute, 202611260312, unless it stands where an ARN has its account: between
        # colons, or after two of them; what a port follows is a host.
        "an account number",
        re.compile(
            r"(?:(?<=:)[0-9]{12}(?=:(?![0-9]{1,5}\b))|(?<=::)[0-9]{12}(?![A-Za-z0-9])"
            r"|(?<![A-Za-z0-9])(?!20[0-9]{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])"
            r"(?:[01][0-9]|2[0-3])[0-5][0-9])[0-9]{12}(?![A-Za-z0-9]))"
        ),
    ),
)


_MIXED = r"(?=[A-Za-z/+]*[0-9])(?=[0-9a-z/+]*[A-Z])(?=[0-9A-Z/+]*[a-z])"

# The same in what a server says, or stands in an error; and what no file of ours would hold: a name
# and its password without a scheme (a port is none), and a whole secret access key. Of a path it is
# one part; in all it may have the length of a key, but has more slashes, or the name of a report.
# A Path makes one slash of two.
_SAID = re.compile(
    "|".join(
        (
            r"(?:(?<=//)|(?<=:/))[^\s/?#]*(?=@)",
            r"(?<![^\s'\"=/])[^][\s/?#@:'\"=]{1,128}:(?![0-9]+@)[^][\s/?#]{1,256}(?=@)",
            _SECRETS[1][1].pattern,
            r"(?<!max-age=)(?<!max-age=\")" + _SECRETS[2][1].pattern,
            r"(?<![A-Za-z0-9/+])(?!(?:[A-Za-z0-9+]*/){4}|[A-Za-z0-9/+]*[0-9]{8}T[0-9]{6}Z)"
            + _MIXED
            + r"[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+=])",
            r"(?<![A-Za-z0-9+])" + _MIXED.replace("/", "") + r"[A-Za-z0-9+]{40}(?![A-Za-z0-9+=])",
        )
    )
)


# A SHA-256 in base64, as a key's pin is written: a slash in it may leave 40 letters on one side.
_DIGEST = re.compile(r"[A-Za-z0-9+/]{43}=")


class Secret:
    """A text that is shown nowhere: not printed, not in a traceback, not in JSON.

    No dataclass, for `dataclasses.asdict` would take it apart.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself, for the one who sends it."""
        return self._text

    def __repr__(self) -> str:
        return "(set)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._text == other._text

    def __hash__(self) -> int:
        return hash(self._text)


class BadSecret(Exception):
    """A file that no secret is taken from; what is wrong and how to mend, nothing of the file."""


def secret_in(text: str) -> str | None:
    """What kind of secret the text holds (never the secret itself); None when it holds none."""
    return next((kind for kind, pattern in _SECRETS if pattern.search(text)), None)


def masked(text: str) -> str:
    """A text of whose parts nobody knows, with asterisks for what may be a secret."""
    return text if _DIGEST.fullmatch(text) else _SAID.sub("***", text)


def is_loose(mode: int) -> bool:
    """Whether group or others may read, change or run what has this mode."""
    return bool(mode & (stat.S_IRWXG | stat.S_IRWXO))


def from_file(path: Path) -> str:
    """The one line of a file that nobody else may read. Raises BadSecret.

    The name is not repeated before the file is open: it may be the secret, put in the wrong place.
    """
    try:
        with open(path, "rb", opener=lambda name, how: os.open(name, how | os.O_NONBLOCK)) as file:
            mode = os.fstat(file.fileno()).st_mode
            if not stat.S_ISREG(mode):
                raise BadSecret("does not name a regular file; give the file that holds the secret")
            if is_loose(mode):
                raise BadSecret(f"{path} may be read by others; chmod 600 it")
            data = file.read(MOST_BYTES + 1)
    except OSError as fault:
        raise BadSecret(f"the file it names cannot be read ({fault.strerror or 'why?'})") from None
    except ValueError:  # a NUL in the name
        raise BadSecret("is no file name; give the file that holds the secret") from None
    try:
        text = data.decode("ascii").strip() if len(data) <= MOST_BYTES else ""
    except UnicodeDecodeError:
        text = ""
    if not text or not text.isprintable():
        raise BadSecret(f"{path} must hold one line of ASCII and nothing else")
    return text
