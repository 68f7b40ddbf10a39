"""Bytes -> Reply: records and the first flight, the part of SSL and TLS that is in clear. No I/O.

A `Hello` is what one connection asks (`reply`, and `hello` makes bytes of it); `Reader` is fed what
comes back, in pieces of any size, until a `Reply` is known (`messages` reads the fields). The
handshake is never finished, so nothing here needs cryptography.
"""

from __future__ import annotations

from dataclasses import replace

from tlscheck.core.messages import (
    Malformed,
    certificates,
    key_exchange,
    lacking,
    server_hello,
    ssl2_server_hello,
)
from tlscheck.core.registry import Version
from tlscheck.core.reply import (
    Alert,
    Ending,
    Garbage,
    Hangup,
    Hello,
    Picked,
    Reply,
    Silent,
)

# Bounds on what one connection may send (bytes).
MOST_BYTES = 1 << 20
MOST_MESSAGE = 1 << 19
MOST_RECORD = (1 << 14) + 2048
BANNER = 8  # bytes from which to tell what is no TLS
MOST_IDLE_MESSAGES = 32  # HelloRequests and warning alerts before we stop listening


class Reader:
    """Reads one connection's answer to `hello`, fed in pieces of any size.

    `feed` returns the reply as soon as it is known, else `None`; `end` says what the reply is
    when no more will come. Memory is bounded by `MOST_BYTES`.
    """

    def __init__(self, hello: Hello) -> None:
        self._ssl2 = hello.version is Version.SSLv2
        self._raw = bytearray()
        self._handshake = bytearray()
        self._alert = bytearray()
        self._picked: Picked | None = None
        self._had: set[int] = set()  # kinds of handshake messages
        self._warning: Alert | None = None
        self._heard = 0
        self._idle = 0
        self.reply: Reply | None = None

    def feed(self, data: bytes) -> Reply | None:
        """Take the next bytes; the reply if it is now known."""
        if self.reply is None:
            data = data[: MOST_BYTES - self._heard + 1]  # the same however it is cut
            self._heard += len(data)
            self._raw += data
            try:
                self._records()
                if self.reply is None and self._heard > MOST_BYTES:
                    raise Malformed(f"more than {MOST_BYTES} bytes without an end")
            except Malformed as fault:
                self._stop(Garbage(str(fault)))
        return self.reply

    def end(self, cause: Hangup | Silent) -> Reply:
        """The reply when the stream ended (or went silent) by `cause`."""
        if self.reply is None:
            # A warning said last words where a hang-up follows: some send their refusal as one.
            last: Ending = cause
            if isinstance(cause, Hangup) and self._warning:
                last = self._warning
            if self._raw and not (20 <= self._raw[0] <= 23 or self._ssl2):
                last = Garbage(_not_tls(bytes(self._raw)))
            self._stop(last)
        assert self.reply is not None
        return self.reply

    def _stop(self, ending: Ending) -> None:
        if self._picked is not None:
            self.reply = replace(self._picked, ended=ending)
        else:
            self.reply = ending

    def _records(self) -> None:
        while self.reply is None and self._raw:
            if self._ssl2 and self._raw[0] & 0x80:
                if not self._ssl2_record():
                    return
                continue
            if not 20 <= self._raw[0] <= 23:
                if len(self._raw) < BANNER:  # the first few bytes tell what it is
                    return
                raise Malformed(_not_tls(bytes(self._raw[:BANNER])))
            if len(self._raw) < 5:
                return
            # Some refuse an SSLv2 hello in a record with its own version.
            old = self._ssl2 and self._raw[0] == 21 and self._raw[1:3] == b"\x00\x02"
            if self._raw[1] != 3 and not old:
                raise Malformed(f"record version 0x{self._raw[1]:02X}{self._raw[2]:02X}")
            size = int.from_bytes(self._raw[3:5], "big")
            if size > MOST_RECORD:
                raise Malformed(f"record of {size} bytes")
            if len(self._raw) < 5 + size:
                return
            kind, body = self._raw[0], bytes(self._raw[5 : 5 + size])
            del self._raw[: 5 + size]
            self._record(kind, body)

    def _record(self, kind: int, body: bytes) -> None:
        if kind == 21:
            if not body:
                self._count_idle("empty records")
            self._alert += body
            while self.reply is None and len(self._alert) >= 2:
                level, code = self._alert[0], self._alert[1]
                del self._alert[:2]
                self._on_alert(level, code)
        elif kind == 22:
            if not body:
                self._count_idle("empty records")
            self._handshake += body
            self._messages()
        else:
            name = "ChangeCipherSpec" if kind == 20 else "application data"
            raise Malformed(f"{name} before the end of the first flight")

    def _on_alert(self, level: int, code: int) -> None:
        # A warning does not end a handshake, but for close_notify (RFC 5246, section 7.2).
        if level == 1 and code != 0:
            self._warning = Alert(code)
            self._count_idle("warning alerts")
        else:
            self._stop(Alert(code))

    def _count_idle(self, what: str) -> None:
        self._idle += 1
        if self._idle > MOST_IDLE_MESSAGES:
            raise Malformed(f"more than {MOST_IDLE_MESSAGES} {what}")

    def _messages(self) -> None:
        while self.reply is None and len(self._handshake) >= 4:
            size = int.from_bytes(self._handshake[1:4], "big")
            if size > MOST_MESSAGE:
                raise Malformed(f"handshake message of {size} bytes")
            if len(self._handshake) < 4 + size:
                return
            kind, body = self._handshake[0], bytes(self._handshake[4 : 4 + size])
            del self._handshake[: 4 + size]
            self._message(kind, body)

    def _message(self, kind: int, body: bytes) -> None:
        self._had.add(kind)
        if kind == 0:
            self._count_idle("HelloRequests")
        elif self._picked is None:
            if kind != 2:
                raise Malformed(f"handshake message {kind} instead of ServerHello")
            picked = server_hello(body)
            if picked.version >= Version.TLSv1_3 or picked.retry:
                self.reply = picked
            else:
                self._picked = picked
        elif kind == 11:
            self._picked = replace(self._picked, certificates=certificates(body))
        elif kind == 12:
            self._picked = key_exchange(self._picked, body)
        elif kind == 14:
            if missing := lacking(self._picked, self._had):
                raise Malformed(f"ServerHelloDone without {missing}")
            self.reply = self._picked
        elif kind not in (13, 22, 23):  # CertificateRequest, CertificateStatus, SupplementalData
            raise Malformed(f"handshake message {kind} in the first flight")

    def _ssl2_record(self) -> bool:
        if len(self._raw) < 2:
            return False
        size = int.from_bytes(self._raw[:2], "big") & 0x7FFF
        if len(self._raw) < 2 + size:
            return False
        message = bytes(self._raw[2 : 2 + size])
        del self._raw[: 2 + size]
        self.reply = ssl2_server_hello(message)
        return True


_OTHERS = {b"HTTP/": "HTTP", b"SSH-": "SSH", b"220 ": "SMTP or FTP", b"<": "HTML"}


def _not_tls(data: bytes) -> str:
    for start, name in _OTHERS.items():
        if data.startswith(start):
            return f"not TLS but {name}"
    return f"not TLS (first byte 0x{data[0]:02X})"
