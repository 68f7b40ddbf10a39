"""The options of a scan that one by hand and the nightly one have alike."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from tlscheck.cli.output import PATH
from tlscheck.io.settings import DEFAULTS, DEPTHS, LONGEST_DEADLINE, PACES

(DEFAULT_POLICY,) = DEFAULTS.policies
RESUME_HOURS = 12.0  # how long ago a run may have begun that is gone on with

_OPTIONS = (
    click.option(
        "--policy", "policies", multiple=True, metavar="P",
        help=f"Policy id or file to judge by; repeats.  [default: {DEFAULT_POLICY}]",
    ),
    click.option(
        "--depth", type=click.Choice(DEPTHS), default=DEFAULTS.depth, show_default=True,
        help="quick: versions, suites, groups. standard: and certificates, features, HTTPS and "
        "port 80. deep: and sslyze as a second opinion.",
    ),
    click.option(
        "--pace", type=click.Choice(PACES), default=DEFAULTS.pace, show_default=True,
        help="gentle: 2 connections at once to an address, and few in all. normal: 12. fast: 32.",
    ),
    click.option(
        "--lab", "use_lab", is_flag=True,
        help="Scan stand-ins on loopback, with deviations planted.",
    ),
    click.option(
        "--ca-bundle", type=PATH, help="Trust the CAs of this PEM file."
    ),
    click.option("-4", "--ipv4", "family", flag_value=4, type=int, help="Ask IPv4 addresses only."),
    click.option("-6", "--ipv6", "family", flag_value=6, type=int, help="Ask IPv6 addresses only."),
    click.option(
        "--deadline", type=click.FloatRange(1, LONGEST_DEADLINE), default=DEFAULTS.deadline,
        show_default=True, help="Seconds for one address.",
    ),
    click.option(
        "--reports", type=PATH, default=DEFAULTS.reports, show_default=True,
        help="Directory in which reports are kept.",
    ),
)  # fmt: skip


def options(command: Callable[..., Any]) -> Callable[..., Any]:
    """What to judge by, how to ask, and where reports are kept."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command
