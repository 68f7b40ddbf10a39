"""nginx, over the installed OpenSSL."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from . import certificates
from .names import (
    ECDHE_ECDSA_SIX,
    ECDHE_RSA_SIX,
    TLS13,
    TWELVE,
    old,
    openssl_groups,
    openssl_suites,
)
from .process import ADDRESS, program, running
from .profile import Order, Profile, Server, version

_NGINX_NAMES = {"TLSv1.0": "TLSv1"}

_CONFIGURATION = """\
daemon off;
master_process off;
pid nginx.pid;
error_log stderr info;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    server {{
        listen {address}:{port} ssl backlog=4096;
        {settings}
        location / {{ return 200 "ok"; }}
    }}
}}
"""


@contextmanager
def serve(
    directory: Path,
    name: str,
    protocols: Sequence[str],
    suites: Sequence[str],
    groups: Sequence[str],
    order: Order,
    tls13: Sequence[str] = TLS13,
    keys: Sequence[str] = ("rsa",),
    more: Sequence[str] = (),
) -> Iterator[Server]:
    """`more` are further directives."""
    made = certificates.make(directory / "certificates")
    words = [
        "ssl_protocols " + " ".join(_NGINX_NAMES.get(p, p) for p in protocols),
        f"ssl_ciphers {openssl_suites(suites)}:@SECLEVEL=0",
        f"ssl_ecdh_curve {openssl_groups(groups)}",
        f"ssl_prefer_server_ciphers {'on' if order == 'server' else 'off'}",
    ]
    if "TLSv1.3" in protocols:
        words.append(f"ssl_conf_command Ciphersuites {openssl_suites(tls13)}")
    for key in keys:
        words += [f"ssl_certificate {made.chain(key)}", f"ssl_certificate_key {made.key(key)}"]
    words += more
    settings = "\n        ".join(word + ";" for word in words)

    def command(port: int) -> list[str | Path]:
        file = directory / "nginx.conf"
        file.write_text(_CONFIGURATION.format(address=ADDRESS, port=port, settings=settings))
        return [program("nginx"), "-p", directory, "-e", "stderr", "-c", file]

    profile = {}
    for protocol in protocols:
        if protocol == "TLSv1.3":  # without a key share to prefer, the group is the server's choice
            profile[protocol] = version(tls13, order, groups, "server")
        elif protocol == "TLSv1.2":
            profile[protocol] = version(suites, order, groups)
        else:
            profile[protocol] = version(old(suites), order)
    with running(name, directory, command, Profile(profile)) as server:
        yield server


def twelve(directory: Path) -> AbstractContextManager[Server]:
    """What AWS documented: TLS 1.0 to 1.2 with twelve suites, in the server's order."""
    protocols = ("TLSv1.0", "TLSv1.1", "TLSv1.2")
    groups = ("secp256r1", "secp384r1", "secp521r1")
    return serve(directory, "nginx-twelve", protocols, TWELVE, groups, "server")


def modern(directory: Path) -> AbstractContextManager[Server]:
    """TLS 1.2 and 1.3 in the client's order, with two curves."""
    suites = (ECDHE_RSA_SIX[3], "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", ECDHE_RSA_SIX[0])
    groups = ("x25519", "secp384r1")
    return serve(directory, "nginx-modern", ("TLSv1.2", "TLSv1.3"), suites, groups, "client")


def dual(directory: Path) -> AbstractContextManager[Server]:
    """An ECDSA and an RSA certificate, TLS 1.1 to 1.3, in the server's order."""
    return serve(
        directory,
        "nginx-dual",
        ("TLSv1.1", "TLSv1.2", "TLSv1.3"),
        ECDHE_ECDSA_SIX + ECDHE_RSA_SIX,
        ("secp256r1", "x25519"),
        "server",
        tls13=TLS13[::-1],
        keys=("rsa", "ecdsa"),
    )


def only_1_3(directory: Path) -> AbstractContextManager[Server]:
    """TLS 1.3 alone, with one suite and one group."""
    return serve(
        directory, "nginx-only-1.3", ("TLSv1.3",), TWELVE, ("x25519",), "server", tls13=TLS13[2:]
    )
