"""The pyOpenSSL server, as a program: `python -I serve_pyopenssl.py JSON`.

pyOpenSSL cannot set the list of groups; OpenSSL's configuration file (OPENSSL_CONF) can.
"""

from __future__ import annotations

import contextlib
import json
import socketserver
import sys

from OpenSSL import SSL


class Listener(socketserver.ThreadingTCPServer):
    daemon_threads = True
    request_queue_size = 100


def main() -> None:
    wanted = json.loads(sys.argv[1])
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    context.set_min_proto_version(wanted["lowest"])
    context.set_max_proto_version(SSL.TLS1_3_VERSION)
    context.set_cipher_list(wanted["suites"].encode())
    context.set_tls13_ciphersuites(wanted["tls13"].encode())
    if wanted["server_order"]:
        context.set_options(SSL.OP_CIPHER_SERVER_PREFERENCE)
    context.use_certificate_chain_file(wanted["chain"])
    context.use_privatekey_file(wanted["key"])

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            connection = SSL.Connection(context, self.request)
            connection.set_accept_state()
            with contextlib.suppress(SSL.Error, OSError):
                connection.do_handshake()
                if connection.recv(4096):
                    connection.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok")
                connection.shutdown()

    with Listener((wanted["address"], wanted["port"]), Handler) as listener:
        listener.serve_forever()


if __name__ == "__main__":
    main()
