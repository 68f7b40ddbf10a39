"""A refresh changes what botocore changed, and nothing that we know besides."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tlscheck.core.model import Endpoint
from tlscheck.io import catalog, refresh
from tlscheck.io.refresh import NoBotocore, Source, plan, render_toml, write

SHIPPED_WITH = "1.44.5"


@pytest.fixture(scope="module")
def shipped() -> tuple[Endpoint, ...]:
    return catalog.load([catalog.builtin_directory()])


@pytest.fixture
def botocore() -> None:
    """Only against the botocore that the files were made with do they say the same."""
    version = pytest.importorskip("botocore").__version__
    if version != SHIPPED_WITH:
        pytest.skip(f"the files are of botocore {SHIPPED_WITH}, here is {version}")


def without(rows: tuple[Endpoint, ...], *ids: str) -> tuple[Endpoint, ...]:
    return tuple(row for row in rows if row.id not in ids)


@pytest.mark.usefixtures("botocore")
def test_the_shipped_files_need_no_refresh(shipped: tuple[Endpoint, ...]) -> None:
    found = plan(shipped)
    assert found.empty
    assert (found.added, found.removed, found.changed) == ((), (), ())
    assert found.unchanged == 237
    assert found.version == "botocore 1.44.5 endpoint-rule-set-1"
    assert set(found.rows) == set(shipped)


@pytest.mark.usefixtures("botocore")
def test_the_shipped_files_are_as_they_would_be_written(shipped: tuple[Endpoint, ...]) -> None:
    assert write(plan(shipped), catalog.builtin_directory()) == ()
    for file in catalog.builtin_directory().glob("*.toml"):
        text = file.read_text(encoding="utf-8")
        made = re.search(r"^made = (\S+)$", text, re.MULTILINE)
        assert made is not None
        source = Source("botocore", "botocore 1.44.5 endpoint-rule-set-1", made[1])
        rows = [row for row in reversed(shipped) if row.partition == file.stem]
        assert render_toml(file.stem, rows, source) == text


@pytest.mark.usefixtures("botocore")
def test_a_new_name_is_scanned_where_the_data_list_it_and_airgapped_where_it_must_be(
    shipped: tuple[Endpoint, ...],
) -> None:
    tiers = {
        "sts:aws:eu-west-1:standard": "data-listed",
        "sts:aws:me-west-1:standard": "template-only",  # in the rule set's regions alone
        "sts:aws-iso:us-iso-west-1:standard": "airgapped",
    }
    found = plan(without(shipped, *tiers))
    assert {row.id: row.tier for row in found.added} == tiers
    assert all(row.documented == "unknown" for row in found.added)
    assert not found.removed
    assert not found.changed


@pytest.mark.usefixtures("botocore")
def test_a_name_that_vanished_is_listed_as_removed(shipped: tuple[Endpoint, ...]) -> None:
    gone = replace(
        next(row for row in shipped if row.id == "sts:aws:eu-west-1:standard"),
        id="sts:aws:zz-gone-1:standard",
        region="zz-gone-1",
        host="sts.zz-gone-1.amazonaws.com",
    )
    old = replace(gone, id="old", deprecated=True, tier="alias", alias_of=gone.id)
    found = plan((*shipped, gone, old))
    assert found.removed == (gone, old)
    assert found.unchanged == 237


@pytest.mark.usefixtures("botocore")
def test_what_is_known_is_kept_and_what_botocore_decides_is_not(
    shipped: tuple[Endpoint, ...],
) -> None:
    name = "iam:aws:aws-global:global"
    row = next(row for row in shipped if row.id == name)
    ours = replace(row, note="ours", opt_in="unknown", signing_region="xx", serves_regions=())
    (change,) = plan((*without(shipped, name), ours)).changed
    assert change.before == ours
    assert change.after == replace(row, note="ours", opt_in="unknown")


@pytest.mark.usefixtures("botocore")
def test_documents_of_an_old_host_say_nothing_of_a_new_one(
    shipped: tuple[Endpoint, ...],
) -> None:
    name = "sts:aws:eu-west-1:standard"
    row = next(row for row in shipped if row.id == name)
    moved = replace(row, host="old.example", note="ours")
    (change,) = plan((*without(shipped, name), moved)).changed
    assert change.after.host == row.host
    assert (change.after.tier, change.after.documented) == ("data-listed", "unknown")
    assert change.after.documented_in == ()
    assert change.after.note == "ours"


@pytest.mark.usefixtures("botocore")
def test_every_host_keeps_one_canonical_row(shipped: tuple[Endpoint, ...]) -> None:
    for gone in (row.id for row in shipped if row.partition == "aws-us-gov"):
        rows = plan(without(shipped, gone)).rows
        hosts = [row.host for row in rows if row.alias_of is None]
        assert len(hosts) == len(set(hosts)) == 221
        by_id = {row.id: row for row in rows}
        for row in rows:
            assert row.alias_of is None or by_id[row.alias_of].host == row.host


@pytest.mark.usefixtures("botocore")
def test_from_nothing_all_live_rows_are_made() -> None:
    found = plan(())
    assert len(found.added) == 225
    tiers = {row.tier for row in found.added}
    assert tiers == {"data-listed", "template-only", "airgapped", "alias"}


@pytest.mark.usefixtures("botocore")
def test_a_region_that_goes_live_is_scanned_from_then_on(
    shipped: tuple[Endpoint, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = refresh._listed
    host = "sts.me-west-1.amazonaws.com"
    monkeypatch.setattr(refresh, "_listed", lambda data: [*real(data), host])
    (change,) = plan(shipped).changed
    assert change.after.host == host
    assert list(change.told()) == ["tier: template-only -> data-listed"]


@pytest.mark.usefixtures("botocore")
def test_endpoints_of_ones_own_stay_out(shipped: tuple[Endpoint, ...]) -> None:
    mine = Endpoint("mine", "sts", "custom", "-", "standard", "sts.example")
    found = plan((*shipped, mine))
    assert found.empty
    assert mine not in found.rows


@pytest.mark.usefixtures("botocore")
def test_what_is_written_is_read_back_the_same(
    tmp_path: Path, shipped: tuple[Endpoint, ...]
) -> None:
    found = plan(shipped)
    written = write(found, tmp_path, made="2026-12-01")
    assert {file.name for file in written} == {f"{name}.toml" for name in catalog.PARTITIONS}
    assert {file.name for file in tmp_path.iterdir()} == {file.name for file in written}
    assert set(catalog.load([tmp_path])) == set(shipped)
    assert write(found, tmp_path, made="2027-01-01") == ()  # nothing new, nothing written
    assert "made = 2026-12-01" in (tmp_path / "aws.toml").read_text()


@pytest.mark.usefixtures("botocore")
def test_only_the_files_that_change_are_written(
    tmp_path: Path, shipped: tuple[Endpoint, ...]
) -> None:
    write(plan(shipped), tmp_path, made="2026-12-01")
    noted = tuple(replace(row, note="new") if row.partition == "aws-cn" else row for row in shipped)
    assert write(plan(noted), tmp_path, made="2026-12-02") == (tmp_path / "aws-cn.toml",)
    assert "made = 2026-12-02" in (tmp_path / "aws-cn.toml").read_text()


@pytest.mark.usefixtures("botocore")
def test_a_failed_write_leaves_every_file_as_it_was(
    tmp_path: Path, shipped: tuple[Endpoint, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    write(plan(shipped), tmp_path, made="2026-12-01")
    before = {file: file.read_text() for file in tmp_path.iterdir()}

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    noted = tuple(replace(row, note="new") for row in shipped)
    with pytest.raises(OSError, match="No space"):
        write(plan(noted), tmp_path, made="2026-12-02")
    assert {file: file.read_text() for file in tmp_path.iterdir()} == before


@pytest.mark.usefixtures("botocore")
def test_no_name_is_asked_of_a_client(monkeypatch: pytest.MonkeyPatch) -> None:
    session = pytest.importorskip("botocore.session")

    def refused(*_: object, **__: object) -> None:
        raise AssertionError("a client was made")

    monkeypatch.setattr(session.Session, "create_client", refused)
    assert plan(()).rows


def test_without_botocore_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "botocore", None)
    with pytest.raises(NoBotocore, match=r"tlscheck\[refresh\]"):
        plan(())


def test_any_text_survives_rendering(tmp_path: Path) -> None:
    row = Endpoint(
        "custom:x:443", "sts", "custom", "-", "standard", "x", note='"\\ \t\n\u00fc\U0001f512 #'
    )
    file = tmp_path / "custom.toml"
    file.write_text(render_toml("custom", [row], Source("a", 'b"', "2026-12-01")))
    assert catalog.load([file]) == (row,)
