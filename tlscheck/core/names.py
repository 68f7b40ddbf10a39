"""Names of hosts: how they are written, and whether a certificate is for one (RFC 9525, section 6).
Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable


def bracketed(host: str) -> str:
    """A host as it stands before a port: RFC 3986, section 3.2.2."""
    return f"[{host}]" if ":" in host else host


def place(host: str, port: object) -> str:
    """A host and its port, as a URL has them."""
    return f"{bracketed(host)}:{port}"


def calls(text: str, host: str, port: object) -> bool:
    """Whether `text` is what a host is called by, alone or with its port, in any of its spellings
    that we print."""
    wanted, name = text.lower().rstrip("."), host.lower()
    return wanted in (name, bracketed(name), place(name, port))


def is_for(name: str, dns: Iterable[str], addresses: Iterable[str]) -> bool:
    """Whether alternative names of the kinds DNS and IP address name `name`.

    A wildcard stands for one whole label, and not for a whole domain of the first level. A dot at
    the end is for a name that is asked for: alternative names have none (RFC 5280, 4.2.1.6).
    """
    wanted = name.lower().rstrip(".")
    if any(_matches(pattern.lower(), wanted) for pattern in dns):
        return True
    return any(_same_address(address, name) for address in addresses)


def _matches(pattern: str, name: str) -> bool:
    if not pattern.startswith("*."):
        return pattern == name
    label, dot, rest = name.partition(".")
    return bool(label and dot) and "." in rest and pattern[2:] == rest


def _same_address(value: str, name: str) -> bool:
    try:
        return ipaddress.ip_address(value.strip()) == ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
