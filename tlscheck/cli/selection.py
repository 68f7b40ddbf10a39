"""Which endpoints a command works on: the data files, filters, and --endpoint."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from tlscheck.cli.output import PATH, fail
from tlscheck.core.model import Endpoint
from tlscheck.core.names import place
from tlscheck.io import catalog
from tlscheck.io.datafile import BadFile
from tlscheck.io.secret import secret_in

_FILTERS = (
    ("--service", "services", "sts or iam"),
    ("--partition", "partitions", "aws, aws-cn, aws-us-gov, ..."),
    ("--region", "regions", "a region, or a pattern such as 'eu-*'"),
    ("--variant", "variants", "standard, fips, dualstack, fips-dualstack, global"),
    ("--tier", "tiers", "documented, data-listed (both by default), template-only, airgapped"),
    ("--opt-in", "opt_in", "yes, no or unknown: must an account opt in to the region"),
    ("--ip", "ip", "ipv4 or dualstack"),
)
FILTERS = tuple(name for _, name, _ in _FILTERS)


def options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that select endpoints."""
    for flag, name, text in reversed(_FILTERS):
        command = click.option(flag, name, multiple=True, metavar="X", help=text)(command)
    return click.option(
        "--endpoints",
        "files",
        multiple=True,
        type=PATH,
        help="Endpoints from a file of your own (TOML, JSON or CSV) instead of the catalog.",
    )(command)


def load(files: tuple[Path, ...]) -> tuple[Endpoint, ...]:
    """The endpoints of `files`, or of the catalog that tlscheck brings along."""
    try:
        return catalog.load(files or sorted(catalog.builtin_directory().glob("*.toml")))
    except BadFile as fault:
        fail(str(fault))


def select(
    endpoints: tuple[Endpoint, ...], filters: dict[str, Any], also: str = ""
) -> tuple[Endpoint, ...]:
    """`endpoints` that pass the filters; at least one, or the end with what to mend.

    `also` says where filters come from that are not on the command line.
    """
    hint = f" (filters are also in {also})" if also else ""
    try:
        chosen = catalog.select(endpoints, **filters)
    except catalog.BadFilter as fault:
        fail(f"{fault}{hint}")
    if not chosen:
        fail(f"no endpoint passes all filters together; 'tlscheck endpoints list' shows them{hint}")
    return chosen


def parse_endpoint(text: str) -> Endpoint:
    """HOST[:PORT][@ADDRESS] -> endpoint. HOST stays the server name when ADDRESS is given."""
    kind = secret_in(text)
    if kind:
        fail(f"--endpoint holds {kind}; give HOST[:PORT][@ADDRESS] and nothing secret")
    if "://" in text or "/" in text:
        fail(f"--endpoint {text}: a URL is no endpoint; give HOST[:PORT][@ADDRESS]")
    name, _, address = text.partition("@")
    host, port = _host_port(text, name)
    addresses: tuple[str, ...] = ()
    if "@" in text:
        addresses = _address(address.strip("[]"))
        if not addresses:
            fail(f"--endpoint {text}: what follows @ must be an IP address")
    else:
        addresses = _address(host)
    # The names of VPC endpoints begin with the endpoint's own: vpce-0123-4567.sts.us-east-1...
    labels = host.split(".")[:3]
    service = next((s for s in ("sts", "iam") if host.startswith(s) or s in labels), "other")
    return Endpoint(
        f"custom:{place(host, port)}", service, "custom", "-", "standard", host, port,
        addresses=addresses,
    )  # fmt: skip


def _address(text: str) -> tuple[str, ...]:
    """The IP address that `text` is, if it is one; a zone is anything after a %, so it is none."""
    try:
        return () if "%" in text else (str(ipaddress.ip_address(text)),)
    except ValueError:
        return ()


def _host_port(text: str, name: str) -> tuple[str, int]:
    if name.startswith("["):
        host, bracket, rest = name[1:].partition("]")
        if not bracket or not _address(host) or (rest and not rest.startswith(":")):
            fail(f"--endpoint {text}: give an IPv6 address as [ADDRESS]:PORT")
        (host,), port = _address(host), rest[1:]
    elif address := _address(name):
        (host,), port = address, ""
    else:
        host, colon, port = name.partition(":")
        if colon and not port:
            fail(f"--endpoint {text}: the port is missing")
        host = host.rstrip(".").lower()
        fault = catalog.bad_host(host)
        if fault:
            fail(f"--endpoint {text}: {fault}")
    port = port.lstrip("0") or port
    if port and not (re.fullmatch("[1-9][0-9]{0,4}", port) and int(port) <= 65535):
        fail(f"--endpoint {text}: the port must be a number from 1 to 65535")
    return host, int(port or 443)


def from_arguments(texts: tuple[str, ...]) -> tuple[Endpoint, ...]:
    """Endpoints of repeated --endpoint; the addresses of one host and port come together."""
    found: dict[str, Endpoint] = {}
    from dataclasses import replace

    for endpoint in map(parse_endpoint, texts):
        before = found.get(endpoint.id)
        if before:
            addresses = dict.fromkeys(before.addresses + endpoint.addresses)
            endpoint = replace(endpoint, addresses=tuple(addresses))
        found[endpoint.id] = endpoint
    return tuple(found.values())


def pinned(endpoints: tuple[Endpoint, ...], texts: tuple[str, ...]) -> tuple[Endpoint, ...]:
    """`endpoints` with the addresses of repeated --resolve NAME=ADDRESS, which must name hosts
    among them."""
    from dataclasses import replace

    found: dict[str, tuple[str, ...]] = {}
    for text in texts:
        if kind := secret_in(text):
            fail(f"--resolve holds {kind}; give NAME=ADDRESS and nothing secret")
        name, equals, address = text.partition("=")
        name = name.rstrip(".").lower()
        addresses = _address(address.strip("[]"))
        if not equals or catalog.bad_host(name):
            fail(f"--resolve {text}: give NAME=ADDRESS")
        if not addresses:
            fail(f"--resolve {text}: what follows = must be an IP address")
        found[name] = tuple(dict.fromkeys(found.get(name, ()) + addresses))
    if unknown := sorted(found.keys() - {endpoint.host for endpoint in endpoints}):
        fail(f"--resolve {unknown[0]}: no endpoint of this scan has that host")
    return tuple(replace(e, addresses=found[e.host]) if e.host in found else e for e in endpoints)
