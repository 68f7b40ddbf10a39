"""What may be odd about a night: state, clock, strangers among the reports, who cannot be told."""

from __future__ import annotations

import json
import re
import shlex
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.program import TLSCHECK, run
from tests.cli.test_interrupt import mute
from tests.cli.test_nightly import SECRET, configured, listener
from tests.nights.town import STEADY, Manner, Town, town
from tlscheck.io import state, store

NIGHT = ("nightly", "--endpoints", "e.toml", "--depth", "quick")
SINCE_1_1 = Manner(lowest="TLSv1.1")
SAMPLE = Path(__file__).resolve().parents[2] / "reports" / "sample.json"


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[Town]:
    with town(tmp_path / "town", one=STEADY) as found:
        (tmp_path / "e.toml").write_text(found.data_file(["one"]))
        yield found


def quiet(place: Path) -> None:
    done = run(*NIGHT, cwd=place)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def hooks(came: list[tuple[str, Any]]) -> list[list[str]]:
    """What each notice says, and no notice twice."""
    found = [json.loads(body) for path, body in came if path.endswith("/hook")]
    assert len({notice["id"] for notice in found}) == len(found)
    return [[c["says"] for w in ("broke", "healed", "changed") for c in n[w]] for n in found]


# --- who was not told ------------------------------------------------------------------------


def test_what_did_not_arrive_is_told_by_the_next_night_and_then_no_more(
    servers: Town, tmp_path: Path
) -> None:
    with listener([404, 500, 503]) as (url, came):
        configured(tmp_path, "[notify]", f'webhook = "{url}/hook"')
        quiet(tmp_path)
        servers.behave(one=SINCE_1_1)
        lost = run(*NIGHT, cwd=tmp_path)
        assert lost.returncode == 0 and "TLSv1.1 now offered" in lost.stdout
        assert lost.stderr == "tlscheck: webhook: HTTP status 404 Not Found\n"
        told = run(*NIGHT, cwd=tmp_path)
        assert told.returncode == 0 and "TLSv1.1 now offered" in told.stdout and not told.stderr
        quiet(tmp_path)
    bodies = [body for _, body in came]
    assert len(bodies) == 4 and len(set(bodies[1:])) == 1  # 404, and then 500, 503, 200
    assert len({json.loads(body)["id"] for body in bodies}) == 1
    assert hooks(came[-1:]) == [["TLSv1.1 now offered"]]
    everything = lost.stdout + told.stdout + "".join(
        path.read_text() for path in (tmp_path / "reports").iterdir()
    )  # fmt: skip
    assert SECRET not in everything


def test_a_night_killed_while_it_tells_is_told_by_the_next_with_the_same_id(
    servers: Town, tmp_path: Path
) -> None:
    quiet(tmp_path)
    servers.behave(one=SINCE_1_1)
    with mute(1) as (port, came):  # takes the notice and never says so
        configured(tmp_path, "[notify]", f'webhook = "http://127.0.0.1:{port}/hook"')
        process = subprocess.Popen([*TLSCHECK, *NIGHT], cwd=tmp_path, text=True,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)  # fmt: skip
        assert came.wait(60)
        process.send_signal(signal.SIGTERM)  # outside of the scan it ends at once
        out, err = process.communicate(timeout=30)
    assert process.returncode == -signal.SIGTERM and "TLSv1.1 now offered" in out and err == ""
    assert store.read(store.kept(tmp_path / "reports")[-1]).run.complete
    ids = []
    for _ in range(2):
        with listener([404]) as (url, heard):
            configured(tmp_path, "[notify]", f'webhook = "{url}/hook"')
            run(*NIGHT, cwd=tmp_path)
        ids += [json.loads(body)["id"] for _, body in heard]
    assert len(ids) == 2 and len(set(ids)) == 1


def test_what_did_not_arrive_while_nothing_was_remembered_is_told_by_the_next_night(
    servers: Town, tmp_path: Path
) -> None:
    with listener([404]) as (url, came):
        configured(tmp_path, "[notify]", f'webhook = "{url}/hook"')
        quiet(tmp_path)
        servers.behave(one=SINCE_1_1)
        (tmp_path / "reports" / state.NAME).unlink()
        assert "HTTP status 404" in run(*NIGHT, cwd=tmp_path).stderr
        assert "TLSv1.1 now offered" in run(*NIGHT, cwd=tmp_path).stdout
        quiet(tmp_path)
    assert hooks(came[1:]) == [["TLSv1.1 now offered"]]


def test_where_stderr_is_full_the_night_is_done_all_the_same(servers: Town, tmp_path: Path) -> None:
    quiet(tmp_path)
    (tmp_path / "reports" / state.NAME).write_text("{")
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [*TLSCHECK, *NIGHT, "--json"], cwd=tmp_path, stdout=subprocess.PIPE, stderr=full
        )
    assert done.returncode == 0 and json.loads(done.stdout)["complete"] is True


def test_a_stdout_that_is_closed_is_5(tmp_path: Path) -> None:
    command = " ".join([*TLSCHECK, "policies", "list", ">&-"])
    done = subprocess.run(command, shell=True, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 5
    assert done.stderr == "tlscheck: cannot write to standard output: it is closed\n"


def test_a_scan_by_hand_between_two_nights_hides_no_change(servers: Town, tmp_path: Path) -> None:
    quiet(tmp_path)
    servers.behave(one=SINCE_1_1)
    assert run("scan", *NIGHT[1:], cwd=tmp_path).returncode == 0
    assert "TLSv1.1 now offered" in run(*NIGHT, cwd=tmp_path).stdout
    quiet(tmp_path)


def test_a_change_behind_a_night_without_sight_is_told(servers: Town, tmp_path: Path) -> None:
    quiet(tmp_path)
    servers.behave(one=Manner(lowest=None))
    blind = run(*NIGHT, cwd=tmp_path)
    assert (blind.returncode, blind.stdout, blind.stderr) == (3, "", "")
    servers.behave(one=Manner(lowest="TLSv1.0"))
    done = run(*NIGHT, cwd=tmp_path)
    assert done.returncode == 1 and "exceeds -> fail" in done.stdout
    assert "TLSv1.0 now offered" in done.stdout and "sight regained: " in done.stdout


# --- state, clock, strangers -----------------------------------------------------------------


def broken_state(reports: Path) -> str:
    (reports / state.NAME).write_text("{torn")
    return r"tlscheck: reports/\.state\.json: damaged, or of another version of tlscheck; not used"


def linked_state(reports: Path) -> str:
    (reports / state.NAME).rename(reports.parent / "state")
    (reports / state.NAME).symlink_to(reports.parent / "state")
    return (
        r"tlscheck: reports/\.state\.json: it is a symbolic link, which is not followed; not used"
    )


def no_state(reports: Path) -> str:
    (reports / state.NAME).unlink()
    return ""


def torn_report(reports: Path) -> str:
    (reports / state.NAME).unlink()
    (reports / "20991231T020000Z-0000000a.json").write_text("{torn")
    return r"tlscheck: reports/20991231T020000Z-0000000a\.json:1: not JSON.*; left out"


def linked_report(reports: Path) -> str:
    (reports / state.NAME).unlink()
    (reports / "20991231T020000Z-0000000a.json").symlink_to(SAMPLE)
    return ""


@pytest.mark.parametrize(
    "spoil", [broken_state, linked_state, no_state, torn_report, linked_report]
)
def test_what_is_spoilt_is_one_warning_and_loses_nothing(
    spoil: Callable[[Path], str], servers: Town, tmp_path: Path
) -> None:
    quiet(tmp_path)
    servers.behave(one=SINCE_1_1)
    said = spoil(tmp_path / "reports")
    done = run(*NIGHT, cwd=tmp_path)
    if spoil is linked_state:  # and what it leads to is not written either
        assert done.returncode == 5 and "TLSv1.1 now offered" in done.stdout
        first, second = done.stderr.splitlines()
        assert "cannot write reports/.state.json: it is a symbolic link" in second
    else:
        assert done.returncode == 0 and "TLSv1.1 now offered" in done.stdout
        (first,) = done.stderr.splitlines() or [""]
    assert re.match(said, first) if said else first == ""
    if spoil is not linked_state:
        assert "TLSv1.1" not in run(*NIGHT, cwd=tmp_path).stdout


def test_a_clock_that_was_wrong_for_a_night_spoils_no_other(servers: Town, tmp_path: Path) -> None:
    quiet(tmp_path)
    reports = tmp_path / "reports"
    (today,) = store.kept(reports)
    ahead = json.loads(today.read_text())
    ahead["run"] |= {"started": "2099-12-31T02:00:00Z", "finished": "2099-12-31T02:00:01Z"}
    future = reports / f"20991231T020000Z-{ahead['run']['id']}.json"
    store.write(future, json.dumps(ahead))
    servers.behave(one=SINCE_1_1)
    assert "TLSv1.1 now offered" in run(*NIGHT, "--keep-daily", "1", cwd=tmp_path).stdout
    kept = store.kept(reports)
    assert future in kept and len(kept) > 1  # the newest by name, and the last good one
    quiet(tmp_path)


def test_of_one_day_the_last_good_report_stays(servers: Town, tmp_path: Path) -> None:
    quiet(tmp_path)
    (first,) = store.kept(tmp_path / "reports")
    torn = tmp_path / "reports" / "20991231T020000Z-0000000f.json"
    torn.write_text("{torn")
    (tmp_path / "reports" / state.NAME).unlink()  # so that the last good one is asked for twice
    with mute(1) as (port, came):
        (tmp_path / "mute.toml").write_text(
            f'[[endpoint]]\nid = "m"\nhost = "m.example"\nport = {port}\naddresses = ["127.0.0.1"]'
        )
        process = subprocess.Popen([*TLSCHECK, "nightly", "--endpoints", "mute.toml", "--json"],
                                   cwd=tmp_path, text=True, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE)  # fmt: skip
        assert came.wait(60)
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=30)
    assert err == (
        "tlscheck: reports/20991231T020000Z-0000000f.json:1: not JSON; is it a report of tlscheck?;"
        " left out\n"
        "tlscheck: interrupted; the report is marked incomplete; the next run goes on with it\n"
    )
    (line,) = out.splitlines()
    cut = json.loads(line)
    assert cut["status"] == process.returncode == 143 and cut["complete"] is False
    assert {first.name, Path(cut["report"]).name, torn.name} == {
        path.name for path in store.kept(tmp_path / "reports")
    }
    done = run(*NIGHT, "--json", cwd=tmp_path)
    assert done.returncode == 0 and "not used: that run differs in" in done.stderr
    assert store.read(tmp_path / json.loads(done.stdout)["report"]).run.complete


# --- how it ends -----------------------------------------------------------------------------


def one_line(text: str) -> dict[str, Any]:
    (line,) = text.splitlines()
    found: dict[str, Any] = json.loads(line)
    return found


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (("--endpoints", "gone.toml"), 2, "gone.toml"),
        (("--policy", "nope"), 2, "nope"),
        (("--ca-bundle", "gone.pem"), 2, "gone.pem"),
        (("--region", "nowhere-1"), 2, "nowhere-1"),
        (("--reports", "e.toml"), 5, "e.toml"),
        (("--depht", "quick"), 2, "No such option '--depht'"),
        (("--depth", "abyss"), 2, "'abyss' is not one of"),
        (("--keep-daily", "0"), 2, "--keep-daily"),
        (("--config",), 2, "--config"),
        (("--config", "gone.toml"), 2, "gone.toml:1: cannot be read"),
        (("stray",), 2, "stray"),
    ],
)
def test_whatever_goes_wrong_json_is_one_line_and_logs_are_lines_of_json(
    arguments: tuple[str, ...], status: int, says: str, servers: Town, tmp_path: Path
) -> None:
    before = () if "--endpoints" in arguments or "--region" in arguments else NIGHT[1:3]
    machine = ("--json", "--log-format", "json")
    done = run("nightly", *before, *machine, *arguments, cwd=tmp_path)
    result, log = one_line(done.stdout), one_line(done.stderr)
    assert result["status"] == done.returncode == status
    assert result["complete"] is False and result["report"] is None
    assert log["level"] == "error" and says in log["message"]
    assert result["problems"] == [log["message"]]


def test_a_file_for_prometheus_that_cannot_be_written_is_5_and_the_rest_is_done(
    servers: Town, tmp_path: Path
) -> None:
    quiet(tmp_path)
    servers.behave(one=SINCE_1_1)
    (tmp_path / "out").write_text("no directory")
    with listener([]) as (url, came):
        configured(tmp_path, "[notify]", f'webhook = "{url}/hook"', f'ping = "{url}/ping"')
        done = run(*NIGHT, "--metrics", "out/tlscheck.prom", cwd=tmp_path)
    assert done.returncode == 5 and "TLSv1.1 now offered" in done.stdout
    assert done.stderr == "tlscheck: cannot write out/tlscheck.prom: Not a directory\n"
    assert hooks(came) == [["TLSv1.1 now offered"]]
    assert came[-1][0].endswith("/ping/fail")
    configured(tmp_path, "")
    quiet(tmp_path)


def test_a_link_where_the_reports_should_be_is_5(servers: Town, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "reports").symlink_to("there")
    done = run(*NIGHT, "--json", cwd=tmp_path)
    assert done.returncode == 5 and one_line(done.stdout)["status"] == 5
    assert "reports: it is a symbolic link; name where it leads" in done.stderr
    assert not list((tmp_path / "there").iterdir())


def test_a_lab_night_keeps_nothing_to_go_on_with(tmp_path: Path) -> None:
    done = run("nightly", "--lab", "--region", "us-west-1", "--service", "sts", "--variant",
               "standard", "--depth", "quick", "--json", cwd=tmp_path)  # fmt: skip
    assert done.stderr == "" and one_line(done.stdout)["complete"] is True
    assert {p.name for p in (tmp_path / "reports").iterdir()} == {
        ".lock", state.NAME, *(p.name for p in store.kept(tmp_path / "reports")),
    }  # fmt: skip


def test_a_printed_unit_asks_for_what_was_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TLSCHECK_DEADLINE", "30")
    monkeypatch.setenv("TLSCHECK_WEBHOOK", f"https://hooks.example/{SECRET}")
    asked = ("--region", "eu-*", "--region", "us-east-1", "--policy", "aws-current", "--opt-in",
             "no", "--metrics", "out/t.prom", "-4", "--keep-weekly", "0", "--json")  # fmt: skip
    done = run("nightly", *asked, "--print-unit", "cron", cwd=tmp_path)
    assert done.returncode == 0 and SECRET not in done.stdout + done.stderr
    assert done.stderr == (
        "tlscheck: TLSCHECK_WEBHOOK is not in what is printed; put it into tlscheck.toml\n"
    )
    words = shlex.split(done.stdout)
    at = words.index("nightly")
    assert words[at + 1 : at + 3] == ["--reports", str(tmp_path / "reports")]
    assert words[at + 3 :] == [
        "--region", "eu-*", "--region", "us-east-1", "--policy", "aws-current", "--deadline", "30",
        "-4", "--keep-weekly", "0", "--metrics", str(tmp_path / "out/t.prom"), "--opt-in", "no",
        "--json",
    ]  # fmt: skip
    monkeypatch.delenv("TLSCHECK_DEADLINE")
    again = run(*words[at:], "--print-unit", "cron", cwd=tmp_path)
    assert "--deadline 30" in again.stdout and again.returncode == 0
