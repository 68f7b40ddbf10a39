"""Every configuration, by name: what tests are run over."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from . import gnutls, haproxy, jsse, nginx, nss, openssl, pyopenssl, stunnel, tlslite
from .profile import Server

Start = Callable[[Path], AbstractContextManager[Server]]

ALL: tuple[tuple[str, Start], ...] = (
    ("nginx-twelve", nginx.twelve),
    ("nginx-modern", nginx.modern),
    ("nginx-dual", nginx.dual),
    ("nginx-only-1.3", nginx.only_1_3),
    ("openssl-everything", openssl.everything),
    ("openssl-client-order", openssl.client_order),
    ("openssl-only-1.0", openssl.only_1_0),
    ("openssl-only-1.1", openssl.only_1_1),
    ("gnutls-wide", gnutls.wide),
    ("gnutls-client-order", gnutls.client_order),
    ("nss-ssl3", nss.ssl3),
    ("nss-modern", nss.modern),
    ("jsse-everything", jsse.everything),
    ("jsse-client-order", jsse.client_order),
    ("haproxy-only-1.2", haproxy.only_1_2),
    ("haproxy-client-order", haproxy.client_order),
    ("stunnel-1.1-1.2", stunnel.old_and_new),
    ("tlslite-ssl3", tlslite.ssl3),
    ("pyopenssl-hybrids", pyopenssl.hybrids),
    ("pyopenssl-transition", pyopenssl.transition),
)
