"""The catalog: what is shipped, and what is selected of it."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter

import pytest

from tlscheck.core.model import Endpoint
from tlscheck.io import catalog
from tlscheck.io.catalog import BadFilter, load, select


@pytest.fixture(scope="module")
def shipped() -> tuple[Endpoint, ...]:
    return load([catalog.builtin_directory()])


# --- what is shipped


def test_every_endpoint_of_the_facts_is_shipped(shipped: tuple[Endpoint, ...]) -> None:
    assert len(shipped) == 237
    assert len({row.host for row in shipped}) == 221
    assert Counter(row.tier for row in shipped) == {
        "documented": 92,
        "data-listed": 3,
        "template-only": 82,
        "airgapped": 44,
        "alias": 16,
    }
    assert Counter(row.service for row in shipped) == {"sts": 199, "iam": 38}
    assert {row.partition for row in shipped} == set(catalog.PARTITIONS)


def test_by_default_95_hosts_are_scanned_each_once(shipped: tuple[Endpoint, ...]) -> None:
    hosts = [row.host for row in select(shipped)]
    assert len(hosts) == len(set(hosts)) == 95


def test_no_two_canonical_rows_have_one_host(shipped: tuple[Endpoint, ...]) -> None:
    canonical = [row.host for row in shipped if row.alias_of is None]
    assert len(canonical) == len(set(canonical)) == 221


def test_an_alias_names_the_canonical_row_of_its_host(shipped: tuple[Endpoint, ...]) -> None:
    by_id = {row.id: row for row in shipped}
    for row in shipped:
        assert (row.tier == "alias") == (row.alias_of is not None)
        if row.alias_of is not None:
            chief = by_id[row.alias_of]
            assert chief.host == row.host
            assert chief.alias_of is None


def test_no_airgapped_host_is_scanned_by_default(shipped: tuple[Endpoint, ...]) -> None:
    assert not any(row.partition.startswith("aws-iso") for row in select(shipped))
    assert all(row.tier == "airgapped" for row in shipped if row.partition.startswith("aws-iso"))


def test_the_trap_of_iam_govcloud_is_told(shipped: tuple[Endpoint, ...]) -> None:
    row = next(row for row in shipped if row.region == "iam-govcloud")
    assert row.host == "iam.amazonaws.com"
    assert row.alias_of == "iam:aws:aws-global:global"
    assert "COMMERCIAL" in row.note


def test_the_file_of_one_partition_is_enough(shipped: tuple[Endpoint, ...]) -> None:
    rows = load([catalog.builtin_directory() / "aws-us-gov.toml"])
    assert set(rows) == {row for row in shipped if row.partition == "aws-us-gov"}


def test_loading_the_module_loads_no_pydantic() -> None:
    code = "import sys, tlscheck.io.catalog; sys.exit('pydantic' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# --- selection


def test_a_region_brings_its_partition_wide_endpoint(shipped: tuple[Endpoint, ...]) -> None:
    hosts = [row.host for row in select(shipped, regions=("eu-west-1",), variants=("global",))]
    assert hosts == ["iam.amazonaws.com"]
    hosts = [row.host for row in select(shipped, regions=("eu-west-1",), services=("sts",))]
    assert hosts == ["sts.eu-west-1.api.aws", "sts.eu-west-1.amazonaws.com"]


def test_regions_are_globs(shipped: tuple[Endpoint, ...]) -> None:
    rows = select(shipped, regions=("eu-*", "cn-north-?"), services=("sts",))
    assert {row.region for row in rows} >= {"eu-west-1", "eu-south-2", "cn-north-1"}
    assert {row.region[:3] for row in rows} == {"eu-", "cn-"}


def test_every_filter_holds(shipped: tuple[Endpoint, ...]) -> None:
    rows = select(
        shipped,
        services=("sts",),
        partitions=("aws",),
        variants=("dualstack",),
        tiers=("documented", "template-only"),
        opt_in=("yes",),
        ip=("dualstack",),
    )
    assert rows
    for row in rows:
        assert (row.service, row.partition, row.variant) == ("sts", "aws", "dualstack")
        assert (row.opt_in, row.ip) == ("yes", "dualstack")


def test_aliases_come_only_when_asked_for(shipped: tuple[Endpoint, ...]) -> None:
    assert not any(row.alias_of for row in select(shipped, regions=("us-east-1*",)))
    aliases = select(shipped, tiers=("alias",))
    assert len(aliases) == 16
    assert all(row.alias_of for row in aliases)


def test_the_order_is_fixed(shipped: tuple[Endpoint, ...]) -> None:
    tiers = ("documented", "data-listed", "template-only", "airgapped", "alias")
    rows = select(shipped, tiers=tiers)
    assert len(rows) == 237
    assert tuple(dict.fromkeys(row.partition for row in rows)) == catalog.PARTITIONS
    assert select(tuple(reversed(shipped)), tiers=tiers) == rows
    aws = [row for row in rows if row.partition == "aws"]
    assert aws == sorted(aws, key=lambda row: (row.service, row.region, row.variant))


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("services", "stss", "did you mean sts?"),
        ("services", "s3", "there are iam, sts"),
        ("partitions", "aws-chn", "aws-cn"),
        ("regions", "eu-wst-1", "eu-west-1"),
        ("regions", "zz-*", "tlscheck endpoints list"),
        ("variants", "FIPS", "did you mean fips"),
        ("tiers", "documentd", "documented"),
        ("opt_in", "maybe", "opt-in"),
        ("ip", "ipv5", "ipv4"),
        ("regions", "\x1b[31m", "no endpoint has the region"),
    ],
)
def test_a_filter_that_matches_nothing_is_refused_with_help(
    shipped: tuple[Endpoint, ...], name: str, value: str, said: str
) -> None:
    with pytest.raises(BadFilter) as caught:
        select(shipped, **{name: (value,)})
    assert said in str(caught.value)
    assert str(caught.value).isprintable()
