"""The server over an old OpenSSL, as a program: `python -I serve_old.py JSON`.

Nothing here may import `ssl` or `hashlib`, which bring the OpenSSL of today with them. A process
for each connection: OpenSSL 0.9.8 wants locks of its own before it may be used by threads.
"""

from __future__ import annotations

import ctypes
import json
import signal
import socketserver
import sys

_PEM = 1
_SET_TMP_RSA, _SET_TMP_DH, _OPTIONS, _MODE = 2, 3, 32, 33
_AUTO_RETRY = 4  # goes on reading after a renegotiation
_LAZY = 1  # what it needs of an old libc for Kerberos alone is looked for when it is called: never
_LIBC = ctypes.CDLL(None)
_LIBC.dlopen.restype = _LIBC.dlerror.restype = ctypes.c_void_p
ANSWER = b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok"


def functions(library: str, names: tuple[str, ...]) -> list:  # type: ignore[type-arg]
    """These functions of a library, of pointers: nothing here may be cut to the size of an int."""
    opened = _LIBC.dlopen(library.encode(), _LAZY | ctypes.RTLD_GLOBAL)
    if not opened:
        raise SystemExit(ctypes.cast(_LIBC.dlerror(), ctypes.c_char_p).value)
    loaded = ctypes.CDLL(library, handle=opened)
    found = [getattr(loaded, name) for name in names]
    for function in found:
        function.restype = ctypes.c_void_p
    return found


def main() -> None:
    wanted = json.loads(sys.argv[1])
    bio_new_file, read_dh, generate_rsa = functions(
        wanted["libcrypto"], ("BIO_new_file", "PEM_read_bio_DHparams", "RSA_generate_key")
    )
    (init, method, new_context, control, chain, key, suites, new, set_fd, accept, read, write,
     shutdown) = functions(wanted["libssl"], (
        "SSL_library_init", "SSLv23_server_method", "SSL_CTX_new", "SSL_CTX_ctrl",
        "SSL_CTX_use_certificate_chain_file", "SSL_CTX_use_PrivateKey_file",
        "SSL_CTX_set_cipher_list", "SSL_new", "SSL_set_fd", "SSL_accept", "SSL_read", "SSL_write",
        "SSL_shutdown",
    ))  # fmt: skip

    def pointer(function, *words):  # type: ignore[no-untyped-def]
        made = function(*words)
        if not made:
            raise SystemExit(f"{function.__name__} failed")
        return ctypes.c_void_p(made)

    def done(function, *words) -> None:  # type: ignore[no-untyped-def]
        function.restype = ctypes.c_long
        if function(*words) <= 0:
            raise SystemExit(f"{function.__name__} failed")

    init()
    context = pointer(new_context, pointer(method))
    done(chain, context, wanted["chain"].encode())
    done(key, context, wanted["key"].encode(), _PEM)
    done(suites, context, wanted["suites"].encode())
    control(context, _OPTIONS, ctypes.c_long(wanted["options"]), None)
    control(context, _MODE, ctypes.c_long(_AUTO_RETRY), None)
    file = pointer(bio_new_file, wanted["dh"].encode(), b"r")
    parameters = pointer(read_dh, file, None, None, None)
    done(control, context, _SET_TMP_DH, ctypes.c_long(0), parameters)
    weak = pointer(generate_rsa, 512, ctypes.c_ulong(65537), None, None)  # for export suites
    done(control, context, _SET_TMP_RSA, ctypes.c_long(0), weak)

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            signal.alarm(20)  # ends this process
            connection = pointer(new, context)
            set_fd(connection, self.request.fileno())
            accept.restype = read.restype = ctypes.c_int
            asked = ctypes.create_string_buffer(4096)
            if accept(connection) == 1 and read(connection, asked, len(asked)) > 0:
                write(connection, ANSWER, len(ANSWER))
                shutdown(connection)

    class Listener(socketserver.ForkingTCPServer):
        request_queue_size = 100

    with Listener((wanted["address"], wanted["port"]), Handler) as listener:
        listener.serve_forever()


if __name__ == "__main__":
    main()
