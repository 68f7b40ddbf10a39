"""The endpoint files, made again from the rule set of the installed botocore.

The rule set says where a modern SDK sends its requests. It does not say that a name exists,
nor what AWS documents: that knowledge is in the files, and is carried over row by row.
`meta.endpoint_url` of a botocore client is never asked: it follows older data and differs
from where requests go.
"""

from __future__ import annotations

import json
import os
import tempfile
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import MISSING, dataclass, fields, replace
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Any

from tlscheck.core.model import Endpoint

SERVICES = ("iam", "sts")

# variant -> (UseFIPS, UseDualStack)
VARIANTS = {
    "standard": (False, False),
    "fips": (True, False),
    "dualstack": (False, True),
    "fips-dualstack": (True, True),
}

HEAD = """\
# Endpoints of STS and IAM in the partition {partition}.
# Names: where botocore's rule set sends requests. Tiers and `documented_in`: what AWS's pages list.
# `tlscheck endpoints refresh` writes this file again and keeps what it says about the documents.
"""

# Fields that botocore's data decides; all others are knowledge of ours and are carried over.
DECIDED = ("host", "port", "ip", "signing_region", "serves_regions")

LINE_LENGTH = 100


class NoBotocore(Exception):
    """botocore is not installed, or is too old to have the rule sets."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where the rows of a file come from; `made` is a date, ISO 8601."""

    name: str
    version: str
    made: str


@dataclass(frozen=True, slots=True)
class Change:
    """A row that stays under its id and says something else."""

    before: Endpoint
    after: Endpoint

    def told(self) -> Iterator[str]:
        """What differs, field by field: `host: a -> b`, or what a list gained and lost."""
        for field in fields(Endpoint):
            old, new = getattr(self.before, field.name), getattr(self.after, field.name)
            if old == new:
                continue
            if isinstance(old, tuple):
                moved = [f"+{x}" for x in new if x not in old] + [
                    f"-{x}" for x in old if x not in new
                ]
                yield f"{field.name}: {' '.join(moved) or 'in another order'}"
            else:
                yield f"{field.name}: {old or 'none'} -> {new or 'none'}"


@dataclass(frozen=True, slots=True)
class Plan:
    """What a refresh would do. `rows` are all rows as they would be, `version` names the source."""

    version: str
    rows: tuple[Endpoint, ...]
    added: tuple[Endpoint, ...]
    removed: tuple[Endpoint, ...]
    changed: tuple[Change, ...]
    unchanged: int

    @property
    def empty(self) -> bool:
        """Whether the rows would stay as they are."""
        return not (self.added or self.removed or self.changed)


def plan(current: Sequence[Endpoint]) -> Plan:
    """What the installed botocore would change in `current`; rows of tier custom are left out.

    Raises NoBotocore.
    """
    version, resolved = _resolve()
    before = {row.id: row for row in current if row.tier != "custom"}
    live = [_merge(before.get(row.id), row) for row in resolved]
    # The deprecated pseudo regions are in no rule set: they stay as long as their host does.
    hosts = {row.host for row in live}
    kept = [row for row in before.values() if row.deprecated and row.host in hosts]
    rows = tuple(_settle([*live, *kept], before))
    after = {row.id: row for row in rows}
    changed = tuple(
        Change(before[row.id], row) for row in rows if row.id in before and before[row.id] != row
    )
    added = tuple(row for row in rows if row.id not in before)
    return Plan(
        version=version,
        rows=rows,
        added=added,
        removed=tuple(row for row in before.values() if row.id not in after),
        changed=changed,
        unchanged=len(rows) - len(added) - len(changed),
    )


def write(plan: Plan, directory: Path, *, made: str | None = None) -> tuple[Path, ...]:
    """Write the files of `plan`, each atomically; returns those that were written.

    `made` is the date for the header (today, UTC, when not given). A file that would say the
    same but for that date is left alone. Raises OSError.
    """
    made = made or datetime.now(UTC).date().isoformat()
    by_partition = {
        partition: tuple(rows)
        for partition, rows in groupby(
            sorted(plan.rows, key=lambda row: row.partition), key=lambda row: row.partition
        )
    }
    emptied = {row.partition for row in plan.removed} - by_partition.keys()
    by_partition |= {partition: () for partition in emptied}
    texts: dict[Path, str] = {}
    for partition, rows in sorted(by_partition.items()):
        path = directory / f"{partition}.toml"
        old_text, old_made = _old(path)
        source = Source("botocore", plan.version, made)
        if old_text != render_toml(partition, rows, replace(source, made=old_made or made)):
            texts[path] = render_toml(partition, rows, source)
    _write_all(texts)
    return tuple(texts)


def render_toml(partition: str, rows: Iterable[Endpoint], source: Source) -> str:
    """The file of one partition, the same text for the same rows in any order."""
    parts = [
        HEAD.format(partition=partition),
        "[source]\n",
        _pair("name", source.name),
        _pair("version", source.version),
        f"made = {source.made}\n",
        _pair("partition", partition),
    ]
    for row in sorted(rows, key=lambda row: (row.service, row.region, row.variant, row.id)):
        parts.append("\n[[endpoint]]\n")
        parts += [_pair(name, value) for name, value in _said(row)]
    return "".join(parts)


def _said(row: Endpoint) -> Iterator[tuple[str, object]]:
    """The fields of a row that differ from what the model takes for granted."""
    for field in fields(row):
        value = getattr(row, field.name)
        if field.default is MISSING or value != field.default:
            yield field.name, value


def _pair(name: str, value: object) -> str:
    if isinstance(value, tuple):
        words = [_string(word) for word in value]
        line = f"{name} = [{', '.join(words)}]\n"
        if len(line) <= LINE_LENGTH:
            return line
        return f"{name} = [\n" + "".join(f"  {word},\n" for word in words) + "]\n"
    if isinstance(value, bool | int):
        return f"{name} = {json.dumps(value)}\n"
    return f"{name} = {_string(str(value))}\n"


def _string(text: str) -> str:
    # A JSON string is a TOML basic string, but for DEL (TOML 1.0, section String).
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _resolve() -> tuple[str, list[Endpoint]]:
    """The version of the rule sets, and every row they give."""
    try:
        import botocore
        from botocore.endpoint_provider import EndpointProvider
        from botocore.exceptions import DataNotFoundError, EndpointProviderError
        from botocore.loaders import Loader
    except ImportError as error:
        raise NoBotocore(
            "botocore is not installed (or too old): pip install 'tlscheck[refresh]'"
        ) from error

    loader = Loader()
    try:
        partitions = loader.load_data("partitions")
        listed = frozenset(_listed(loader.load_data("endpoints")))
        providers = {
            service: EndpointProvider(
                loader.load_service_model(service, "endpoint-rule-set-1"), partitions
            )
            for service in SERVICES
        }
    except DataNotFoundError as error:
        raise NoBotocore(
            f"botocore {botocore.__version__} has no rule sets: pip install -U 'tlscheck[refresh]'"
        ) from error

    rows: list[Endpoint] = []
    for wanted in _wanted(partitions):
        fips, dualstack = VARIANTS.get(wanted.variant, (False, False))
        try:
            found = providers[wanted.service].resolve_endpoint(
                Region=wanted.region, UseFIPS=fips, UseDualStack=dualstack
            )
        except EndpointProviderError:
            continue  # the partition has no such variant
        host = _host(found.url)
        rows.append(
            replace(
                wanted,
                host=host,
                tier="data-listed"
                if host in listed and wanted.tier != "airgapped"
                else wanted.tier,
                signing_region=_signing_region(found.properties) or wanted.region,
            )
        )
    return f"botocore {botocore.__version__} endpoint-rule-set-1", rows


def _listed(endpoints: dict[str, Any]) -> Iterator[str]:
    """The hosts that botocore's older data spells out or builds for a region that it lists."""
    for partition in endpoints["partitions"]:
        for service in SERVICES:
            for region, data in partition["services"].get(service, {}).get("endpoints", {}).items():
                yield data.get("hostname", f"{service}.{region}.{partition['dnsSuffix']}")
                yield from (v["hostname"] for v in data.get("variants", ()) if "hostname" in v)


def _wanted(partitions: dict[str, Any]) -> Iterator[Endpoint]:
    """The rows to ask the rule sets for: STS by region, IAM once a partition, the global STS."""
    for partition in partitions["partitions"]:
        name = partition["id"]
        tier = "airgapped" if name.startswith("aws-iso") else "template-only"
        pseudo = f"{name}-global"
        described = {
            region: str(data.get("description", ""))
            for region, data in partition["regions"].items()
            if region != pseudo
        }
        regions = tuple(sorted(described))
        for region in regions:
            for variant in VARIANTS:
                yield _row("sts", name, region, variant, tier, description=described[region])
        if name == "aws":
            yield _row("sts", name, pseudo, "global", tier)
        home = (
            pseudo
            if pseudo in partition["regions"]
            else partition["outputs"].get("implicitGlobalRegion", regions[0] if regions else pseudo)
        )
        for variant in VARIANTS:
            yield _row(
                "iam",
                name,
                home,
                "global" if variant == "standard" else variant,
                tier,
                description="partition-wide IAM endpoint",
                serves_regions=regions,
            )


def _row(
    service: str,
    partition: str,
    region: str,
    variant: str,
    tier: str,
    *,
    description: str = "",
    serves_regions: tuple[str, ...] = (),
) -> Endpoint:
    return Endpoint(
        id=f"{service}:{partition}:{region}:{variant}",
        service=service,
        partition=partition,
        region=region,
        variant=variant,
        host="",
        tier=tier,
        ip="dualstack" if "dualstack" in variant else "ipv4",
        description=description,
        serves_regions=serves_regions,
    )


def _host(url: str) -> str:
    return url.partition("://")[2].partition("/")[0].lower()


def _signing_region(properties: dict[str, Any]) -> str | None:
    for scheme in properties.get("authSchemes", ()):
        if region := scheme.get("signingRegion"):
            return str(region)
    return None


def _merge(known: Endpoint | None, fresh: Endpoint) -> Endpoint:
    """The fresh row with what is known of it; documents name a host, so a new host is new."""
    if known is None:
        return fresh
    if known.host != fresh.host:
        return replace(fresh, opt_in=known.opt_in, note=known.note)
    # A name that was a template's result only has gone into the data since: it is live.
    came = known.tier == "template-only" and fresh.tier == "data-listed"
    known = replace(known, tier=fresh.tier if came else known.tier)
    return replace(known, **{name: getattr(fresh, name) for name in DECIDED})


def _settle(rows: list[Endpoint], before: dict[str, Endpoint]) -> Iterator[Endpoint]:
    """One canonical row for each host and port, the others its aliases, ordered by id."""
    rows = sorted(rows, key=lambda row: row.id)
    groups: dict[tuple[str, int], list[Endpoint]] = {}
    for row in rows:
        groups.setdefault((row.host, row.port), []).append(row)
    settled: list[Endpoint] = []
    for group in groups.values():
        # The one that is canonical already, else the first that is not a deprecated name.
        known = [
            row
            for row in group
            if row.id in before and row.alias_of is None and before[row.id].host == row.host
        ]
        chief = next(iter([*known, *(row for row in group if not row.deprecated), *group]))
        former = before.get(chief.alias_of or "")
        if former is not None and former.host == chief.host:
            # Its canonical row went away: what the documents say of the host stays true.
            chief = replace(
                chief,
                tier=former.tier,
                documented=former.documented,
                documented_in=former.documented_in,
            )
        elif chief.alias_of is not None:
            iso = chief.partition.startswith("aws-iso")
            chief = replace(chief, tier="airgapped" if iso else "template-only")
        settled.append(replace(chief, alias_of=None))
        settled += [
            replace(row, tier="alias", alias_of=chief.id) for row in group if row.id != chief.id
        ]
    yield from sorted(settled, key=lambda row: row.id)


def _old(path: Path) -> tuple[str | None, str | None]:
    """The text of the file that is there, and the date in its header."""
    try:
        text = path.read_text(encoding="utf-8")
        return text, str(tomllib.loads(text)["source"]["made"])
    except (OSError, ValueError, KeyError, TypeError):
        return None, None


def _write_all(texts: dict[Path, str]) -> None:
    """All temporary files first, then the renames: a full disk changes nothing."""
    asides: dict[Path, Path] = {}
    try:
        for path, text in texts.items():
            handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
            asides[path] = Path(name)
            with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
                file.write(text)
                file.flush()
                os.fchmod(file.fileno(), 0o644)
                os.fsync(file.fileno())
        for path, aside in asides.items():
            os.replace(aside, path)
        for parent in {path.parent for path in texts}:
            descriptor = os.open(parent, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
    finally:
        for aside in asides.values():
            with suppress(FileNotFoundError):
                aside.unlink()
