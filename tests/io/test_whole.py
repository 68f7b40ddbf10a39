"""Whatever happens while a run writes, its directory holds whole files and nothing is lost."""

from __future__ import annotations

import errno
import os
import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.io.syscalls import Act, faulty, killed_before, killed_within, nth
from tlscheck.core.model import EndpointReport, Protocol, Report, Run, TargetReport, Tool
from tlscheck.io import disk, journal, lock, store
from tlscheck.io.journal import Header, Journal
from tlscheck.render import json as as_json

ASKED = {"endpoints": "those", "depth": "quick"}
HEADER = Header("abcd0123", "2026-11-24T02:00:00Z", ASKED)
NOW = datetime(2026, 11, 24, 3, tzinfo=UTC)
ENOUGH = 60  # more calls than a run makes


def endpoint(name: str) -> EndpointReport:
    protocol = Protocol("yes", None, ("TLS_AES_128_GCM_SHA256",), "server", ("x25519",))
    target = TargetReport("192.0.2.7", "yes", None, 41, {"TLSv1.3": protocol})
    return EndpointReport(name, "sts", "aws", "r", "standard", "h", 443, False, (target,))


ENDPOINTS = {name: endpoint(name) for name in ("a", "b", "c")}


def report(run: str, started: str) -> Report:
    return Report(
        "tlscheck-report/1", Tool("tlscheck", "0"), Run(run, started, started, True, 0), (),
        tuple(ENDPOINTS.values()), (), {},
    )  # fmt: skip


OLD = report("00000000", "2026-11-23T02:00:00Z")
NEW = report(HEADER.run, HEADER.started)


def a_run(directory: Path) -> None:
    """What the scan command does to the disk."""
    with lock.held(directory) as place:
        journal.tidy(directory, place, NOW, timedelta(hours=12), pytest.fail)
        found = resumed(directory, place) or journal.begin(directory, place, HEADER)
        for name in ENDPOINTS.keys() - found.finished.keys():
            found.add(ENDPOINTS[name])
        found.close()
        store.keep(directory, NEW, as_json.render(NEW))
        journal.forget(place, HEADER)


def resumed(directory: Path, place: int) -> Journal | None:
    return journal.latest(directory, place, ASKED, ENDPOINTS, pytest.fail)


def all_is_whole(directory: Path) -> list[Report]:
    return [store.read(path) for path in store.kept(directory)]


@pytest.fixture
def reports(tmp_path: Path) -> Path:
    store.keep(tmp_path / "reports", OLD, as_json.render(OLD))
    return tmp_path / "reports"


@pytest.mark.parametrize("how", [killed_before, killed_within])
def test_a_kill_at_any_call_leaves_whole_files_and_a_run_that_can_be_gone_on_with(
    how: Act, reports: Path
) -> None:
    left: set[int] = set()
    for number in range(1, ENOUGH):
        for path in store.kept(reports)[1:]:
            path.unlink()
        child = os.fork()
        if child == 0:
            try:
                with nth(number, how):
                    a_run(reports)
                os._exit(0)
            finally:
                os._exit(1)
        status = os.waitpid(child, 0)[1]
        assert all_is_whole(reports) in ([OLD], [OLD, NEW]), number
        done = status == 0
        with lock.held(reports) as place:
            assert not [n for n in os.listdir(place) if n.endswith(".tmp")]
            if found := resumed(reports, place):
                found.close()
                assert found.finished.items() <= ENDPOINTS.items()
                left.add(len(found.finished))
        a_run(reports)
        assert all_is_whole(reports) == [OLD, NEW]
        assert sorted(os.listdir(reports)) == [".lock", *(p.name for p in store.kept(reports))]
        if done:
            break
        assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
    assert done and number > 15 and left == {0, 1, 2, 3}


@pytest.mark.parametrize(
    "number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO],
    ids=errno.errorcode.get,
)  # fmt: skip
def test_a_fault_at_any_call_is_one_line_and_leaves_the_old_state(
    number: int, reports: Path
) -> None:
    told = 0
    for at in range(1, ENOUGH):
        for path in store.kept(reports)[1:]:
            path.unlink()
        with nth(at, faulty(number)) as made:
            try:
                a_run(reports)
            except disk.CannotWrite as fault:
                told += 1
                assert str(fault).startswith(f"cannot write {reports}/")
                assert str(fault).endswith(os.strerror(number)) and "\n" not in str(fault)
        assert all_is_whole(reports) in ([OLD], [OLD, NEW]), at
        assert not [name for name in os.listdir(reports) if name.endswith(".tmp")], made[:at]
        a_run(reports)
        assert all_is_whole(reports) == [OLD, NEW]
        if len(made) < at:
            break
    assert len(made) < at and told > 8


def test_a_journal_that_cannot_be_written_on_keeps_what_it_has(reports: Path) -> None:
    with lock.held(reports) as place:
        found = journal.begin(reports, place, HEADER)
        found.add(ENDPOINTS["a"])
        with nth(1, faulty(errno.ENOSPC)):
            found.add(ENDPOINTS["b"])
        assert found.fault and found.fault.endswith(os.strerror(errno.ENOSPC))
        found.add(ENDPOINTS["c"])
        found.close()
        again = resumed(reports, place)
        assert again and again.finished == {"a": ENDPOINTS["a"]}
        again.close()


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077, 0o777])
def test_modes_are_ours_whatever_the_umask(umask: int, tmp_path: Path) -> None:
    deep = tmp_path / "new" / "reports"
    if umask == 0o777:  # it would take our own directories from us
        store.keep(deep, OLD, as_json.render(OLD))
    before = os.umask(umask)
    try:
        with lock.held(deep) as place:
            found = journal.begin(deep, place, HEADER)
            found.close()
        store.keep(deep, NEW, as_json.render(NEW))
    finally:
        os.umask(before)
    assert [d.stat().st_mode & 0o7777 for d in (deep.parent, deep)] == [0o700, 0o700]
    assert len(os.listdir(deep)) == (4 if umask == 0o777 else 3)
    assert {path.stat().st_mode & 0o7777 for path in deep.iterdir()} == {0o600}


# --- links -----------------------------------------------------------------------------------


@pytest.mark.parametrize("leads", [True, False])
def test_a_link_where_the_file_should_be_is_refused(leads: bool, tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    if leads:
        theirs.write_text("theirs")
    (tmp_path / "r.json").symlink_to(theirs)
    for check in (lambda p: disk.write(p, "ours"), disk.check_writable):
        with pytest.raises(disk.CannotWrite, match=r"r\.json: it is a symbolic link, which is not"):
            check(tmp_path / "r.json")
    assert (theirs.read_text() == "theirs") if leads else not theirs.exists()
    assert (tmp_path / "r.json").is_symlink()


@pytest.mark.parametrize("leads", [True, False])
def test_a_link_where_the_reports_directory_should_be_is_refused(
    leads: bool, tmp_path: Path
) -> None:
    if leads:
        (tmp_path / "theirs").mkdir()
    (tmp_path / "reports").symlink_to(tmp_path / "theirs")
    said = rf"cannot write in {tmp_path}/reports: it is a symbolic link; name where it leads"
    with pytest.raises(disk.CannotWrite, match=said):
        store.keep(tmp_path / "reports", NEW, "")
    with pytest.raises(disk.CannotWrite, match=said), lock.held(tmp_path / "reports"):
        pass
    assert not leads or not os.listdir(tmp_path / "theirs")


def test_a_file_of_ones_own_may_be_in_a_directory_behind_a_link(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "here").symlink_to("there")
    disk.write(tmp_path / "here" / "r.json", "ours")
    assert (tmp_path / "there" / "r.json").read_text() == "ours"


def test_a_link_under_a_name_of_ours_is_neither_followed_nor_swept(reports: Path) -> None:
    theirs = reports.parent / "theirs"
    theirs.write_text("theirs")
    names = [".tlscheck-0123456789abcdef.tmp", f".journal-{HEADER.run}.jsonl"]
    for name in names:
        (reports / name).symlink_to(theirs)
    said: list[str] = []
    with lock.held(reports) as place:
        assert journal.latest(reports, place, ASKED, ENDPOINTS, said.append) is None
    assert len(said) == 1 and "not used" in said[0]
    assert theirs.read_text() == "theirs" and all((reports / n).is_symlink() for n in names)


def test_a_link_where_the_lock_should_be_is_refused(reports: Path) -> None:
    theirs = reports.parent / "theirs"
    theirs.write_text("theirs")
    (reports / ".lock").symlink_to(theirs)
    with pytest.raises(disk.CannotWrite, match=r"\.lock: it is a symbolic"), lock.held(reports):
        pass
    assert theirs.read_text() == "theirs"


# --- sweeping --------------------------------------------------------------------------------


def test_only_what_is_ours_and_has_no_living_writer_is_swept(reports: Path) -> None:
    (reports / ".tlscheck-0123456789abcdef.tmp").write_text("half")
    others = [".tlscheck-0.tmp", ".tlscheck-0123456789abcdef.tmp.x", "notes.tmp", ".hidden"]
    for name in others:
        (reports / name).write_text("theirs")
    seen: list[set[str]] = []

    def sweep_meanwhile(name: str, real: object, arguments: object, named: object) -> None:
        with disk.opened(reports) as place:
            disk.sweep(place)
            seen.append({n for n in os.listdir(place) if n.startswith(".tlscheck-")})
        raise OSError(errno.ENOSPC, "")

    with nth(4, sweep_meanwhile) as made, pytest.raises(disk.CannotWrite):
        disk.write(reports / "other.json", "ours")  # open, open, write, fsync
    assert made[:4] == ["open", "open", "write", "fsync"]
    assert len(seen[0] - set(others)) == 1  # that of the writer who lives
    assert {n for n in os.listdir(reports) if n not in [p.name for p in store.kept(reports)]} == {
        *others
    }


# --- what is no file -------------------------------------------------------------------------


def test_a_descriptor_and_a_device_are_written_to_as_they_are(tmp_path: Path) -> None:
    with (tmp_path / "out").open("wb") as file:
        disk.write(Path(f"/dev/fd/{file.fileno()}"), "ours")
        disk.check_writable(Path(f"/dev/fd/{file.fileno()}"))
    disk.write(Path("/dev/null"), "ours")
    assert (tmp_path / "out").read_text() == "ours" and not Path("/dev/null").is_file()


def test_a_directory_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path, Path(".")):
        with pytest.raises(disk.CannotWrite, match="it is a directory"):
            disk.write(path, "ours")
