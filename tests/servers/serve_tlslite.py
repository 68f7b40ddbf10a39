"""The tlslite-ng server, as a program: `python -I serve_tlslite.py JSON`.

It is run by its path and isolated, because next to it lie modules named after other libraries.
"""

from __future__ import annotations

import contextlib
import json
import socketserver
import sys
from pathlib import Path

from tlslite.errors import TLSError
from tlslite.handshakesettings import HandshakeSettings
from tlslite.tlsconnection import TLSConnection
from tlslite.utils.keyfactory import parsePEMKey
from tlslite.x509certchain import X509CertChain


class Listener(socketserver.ThreadingTCPServer):
    daemon_threads = True
    request_queue_size = 100


def main() -> None:
    wanted = json.loads(sys.argv[1])
    settings = HandshakeSettings()
    for name, value in wanted["settings"].items():
        tuples = name in ("minVersion", "maxVersion")
        setattr(settings, name, tuple(value) if tuples else value)
    settings.versions = [settings.maxVersion, settings.minVersion]
    chain = X509CertChain()
    chain.parsePemList(Path(wanted["chain"]).read_text())
    key = parsePEMKey(Path(wanted["key"]).read_text(), private=True)

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.settimeout(30)
            connection = TLSConnection(self.request)
            with contextlib.suppress(TLSError, OSError):
                connection.handshakeServer(certChain=chain, privateKey=key, settings=settings)
                if connection.read(max=4096):
                    connection.write(b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok")
                connection.close()

    with Listener((wanted["address"], wanted["port"]), Handler) as listener:
        listener.serve_forever()


if __name__ == "__main__":
    main()
