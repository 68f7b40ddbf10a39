"""What starts a run every night: a line for a crontab, or a service and a timer for systemd.

Both quote by their own rules what they are given, and refuse with ValueError, in one line, what
cannot be written in them or would not run.
"""

from __future__ import annotations

import hashlib
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

MOST_CRON = 998  # characters of a command: cron's limit is 1000 with its end


@dataclass(frozen=True, slots=True)
class Units:
    """The texts of `tlscheck.service` and `tlscheck.timer`."""

    service: str
    timer: str


# --- cron


def cron(command: Sequence[str], *, host: str, hour: int = 4, user: str | None = None) -> str:
    """One line for a crontab (with `user`, for a file in /etc/cron.d), daily in `hour`, local time.

    The minute follows from `host`, so that not all machines start at once and each keeps its own.
    The hour is 4 because clocks are put forward and back before it.
    """
    _check(command)
    if not 0 <= hour <= 23:
        raise ValueError(f"hour {hour} is not within 0 and 23")
    if user is not None:
        _check_user(user)
    if any("\\" in word for word in command):
        # Some crons halve two backslashes, others do not.
        raise ValueError("a backslash cannot be written in a crontab so that every cron reads it")
    # Everything after a bare % would be the command's stdin; crontab(5).
    line = shlex.join(command).replace("%", "\\%")
    if len(line.encode()) > MOST_CRON:
        raise ValueError(f"the command is longer than the {MOST_CRON} bytes that cron takes")
    return f"{minute(host)} {hour} * * * {f'{user} ' if user else ''}{line}\n"


def minute(host: str) -> int:
    """A minute of the hour, 0 to 59, always the same for a host."""
    digest = hashlib.sha256(host.encode("utf-8", "surrogateescape")).digest()
    return int.from_bytes(digest) % 60


# --- systemd


def systemd(
    command: Sequence[str],
    *,
    writes: Sequence[str],
    reads: Sequence[str] = (),
    hour: int = 2,
    user: str | None = None,
    memory: str = "1G",
    seconds: int = 4 * 3600,
) -> Units:
    """A service that runs `command` once and may write below `writes` only (directories that are
    there: reports, metrics), and the timer that starts it daily in `hour`, UTC.

    `reads` are further paths that it needs, where the program really is behind links, a
    configuration: the service sees none of the homes unless one of all these paths is in one.
    `memory` and `seconds` bound a run.
    """
    _check(command)
    if not writes:
        raise ValueError("the service must be able to write somewhere: name the reports directory")
    for path in (*writes, *reads):
        _check_path(path)
    # --reports /var/lib/tlscheck, --reports=/var/lib/tlscheck
    named = [part for word in command for part in (word, word.partition("=")[2])]
    paths = (*writes, *reads, *(part for part in named if part.startswith("/")))
    for path in paths:
        if _is_below(path, _SCRATCH):
            raise ValueError(f"{_shown(path)}: the service has a /tmp and /var/tmp of its own")
    if not 0 <= hour <= 23:
        raise ValueError(f"hour {hour} is not within 0 and 23")
    if not re.fullmatch(r"[0-9]+[KMGT]?|infinity", memory):
        raise ValueError(f"{_shown(memory)} is no amount of memory, such as 1G")
    if user is not None:
        _check_user(user)
    home = "read-only" if any(_is_below(path, _HOMES) for path in paths) else "tmpfs"
    service = _SERVICE.format(
        user=f"User={user}\n" if user else "",
        command=" ".join([_path(command[0]), *map(_argument, command[1:])]),
        writes=" ".join(map(_path, writes)),
        home=home,
        memory=memory,
        seconds=seconds,
    )
    return Units(service, _TIMER.format(hour=hour))


_HOMES = ("/home", "/root", "/run/user")
_SCRATCH = ("/tmp", "/var/tmp")

# systemd.service(5), systemd.exec(5), systemd.kill(5), systemd.resource-control(5)
_SERVICE = """\
[Unit]
Description=tlscheck: the TLS that STS and IAM endpoints speak tonight
Wants=network-online.target
After=network-online.target

[Service]
Type=oneshot
{user}ExecStart={command}
# 1 a rule failed, 3 something is inconclusive: the run itself has done its work.
SuccessExitStatus=1 3
TimeoutStartSec={seconds}
# On SIGTERM the run ends with a valid report that is marked incomplete.
KillSignal=SIGTERM
KillMode=mixed
TimeoutStopSec=60
MemoryMax={memory}
TasksMax=256
Nice=10
UMask=0077

# It may connect, and write here alone. These directories must exist.
ReadWritePaths={writes}
ProtectSystem=strict
ProtectHome={home}
PrivateTmp=yes
PrivateDevices=yes
NoNewPrivileges=yes
CapabilityBoundingSet=
AmbientCapabilities=
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
SystemCallFilter=@system-service
SystemCallErrorNumber=EPERM
SystemCallArchitectures=native
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
ProtectClock=yes
ProtectHostname=yes
ProtectProc=invisible
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
RemoveIPC=yes
"""

# systemd.timer(5). Persistent: a night that the machine slept through is made up for.
_TIMER = """\
[Unit]
Description=tlscheck every night

[Timer]
OnCalendar=*-*-* {hour:02}:00:00 UTC
RandomizedDelaySec=1h
Persistent=true

[Install]
WantedBy=timers.target
"""

_PLAIN = re.compile(r"[A-Za-z0-9_@+=:,./-]+")


def _quoted(text: str, escapes: Mapping[int, str]) -> str:
    """In double quotes where it needs any; systemd.syntax(7), section Quoting."""
    return text if _PLAIN.fullmatch(text) else f'"{text.translate(escapes)}"'


# `%%` is a percent sign (systemd.unit(5), section Specifiers). `$$` is a dollar sign, but not in
# the program's own path and not in other settings: no variable is looked for there.
_IN_PATHS = str.maketrans({"\\": "\\\\", '"': '\\"', "%": "%%"})
_IN_ARGUMENTS = _IN_PATHS | str.maketrans({"$": "$$"})


def _path(text: str) -> str:
    return _quoted(text, _IN_PATHS)


def _argument(text: str) -> str:
    return _quoted(text, _IN_ARGUMENTS)


# --- what cannot be written


def _check(command: Sequence[str]) -> None:
    if not command:
        raise ValueError("there is no command to run")
    _check_path(command[0])
    for word in command:
        _check_text(word)


def _check_path(path: str) -> None:
    _check_text(path)
    if not PurePosixPath(path).is_absolute():
        raise ValueError(f"{_shown(path)} is not an absolute path")
    if ".." in PurePosixPath(path).parts:
        raise ValueError(f"{_shown(path)} goes up with ..: give the path that it means")


def _check_text(text: str) -> None:
    if any(char < " " or char == "\x7f" for char in text):
        raise ValueError(f"{_shown(text)} has a control character")
    if any("\ud800" <= char <= "\udfff" for char in text):
        raise ValueError(f"{_shown(text)} is not UTF-8")


def _check_user(user: str) -> None:
    if not re.fullmatch(r"[a-z_][a-z0-9_-]{0,30}", user):
        raise ValueError(f"{_shown(user)} is no user's name")


def _shown(text: str) -> str:
    return ascii(text)


def _is_below(path: str, roots: Sequence[str]) -> bool:
    own = PurePosixPath(path)
    return any(own.is_relative_to(root) for root in roots)
