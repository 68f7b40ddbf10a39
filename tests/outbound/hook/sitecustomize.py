"""Found by Python at its start, in the program and in every child of it: an audit hook that writes
down what is done, and names that resolve as a test wants.

`WATCH` is a directory for the logs, one a process: JSON lines of event and arguments. `NAMES` maps
a name to its answers, one list of addresses for each look-up; the last one stays.
"""

import ipaddress
import json
import os
import socket
import sys

_LOG = os.open(
    os.path.join(os.environ["WATCH"], str(os.getpid())),
    os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC,
)
_NAMES = json.loads(os.environ.get("NAMES", "{}"))
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_WATCHED = (
    "socket.", "os.", "shutil.", "subprocess.", "urllib.", "http.", "ftplib.", "smtplib.",
    "imaplib.", "poplib.", "nntplib.", "telnetlib.", "webbrowser.", "pty.", "sqlite3.", "syslog.",
)  # fmt: skip
_QUIET = ("os.listdir", "os.scandir", "os.putenv", "os.unsetenv", "os.walk", "os.fwalk")


def _note(event, *arguments):
    os.write(_LOG, json.dumps([event, *arguments], default=_plain).encode() + b"\n")


def _plain(value):
    return os.fsdecode(value) if isinstance(value, bytes | os.PathLike) else repr(value)


def _hook(event, arguments):
    if event == "open":
        path, mode, flags = arguments
        if flags & _WRITING or set(mode or "") & set("wax+"):
            _note("write", path)
    elif event.startswith(_WATCHED) and event not in _QUIET:
        _note(event, *arguments)
    if event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
        address = arguments[1][0] if isinstance(arguments[1], tuple) else ""
        if not ipaddress.ip_address(address).is_loopback:
            raise RuntimeError(f"left this machine: {address}")


def _getaddrinfo(host, port, *rest, **named):
    host = host.decode() if isinstance(host, bytes) else host
    _note("look-up", host)
    answers = _NAMES.get(host)
    if not answers:
        raise socket.gaierror(socket.EAI_NONAME, "no such name in this test")
    found = answers.pop(0) if len(answers) > 1 else answers[0]
    return [
        (socket.AF_INET6, socket.SOCK_STREAM, 6, "", (address, port, 0, 0))
        if ":" in address
        else (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))
        for address in found
    ]


# uvloop connects without telling anybody: asyncio's own loop is watched in its place.
sys.modules["uvloop"] = None
socket.getaddrinfo = _getaddrinfo
sys.addaudithook(_hook)
