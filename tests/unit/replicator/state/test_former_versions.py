"""The data of earlier versions, made by their own code (``python -m tools.former_data``), before the present code."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from alerts.delivery.store import load_state
from alerts.grouping.grouping import Incident
from replicator.errors import ErrorClass, ZsrError
from replicator.events import RunFailed
from replicator.models import JobId, Outcome
from replicator.state.stores import State
from tests.support.command_line import Zsr

DATA = Path(__file__).parents[3] / "data"
VERSIONS = sorted(path.name for path in DATA.iterdir())
BEGIN = 1_763_900_000.0
WEB, MAIL = JobId(100, 0), JobId(101, 0)


@pytest.fixture(params=VERSIONS)
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A node's files as that version left them."""
    (tmp_path / "state").mkdir()
    for name in ("zsr.toml", "cluster.toml"):
        shutil.copy(DATA / request.param / name, tmp_path)
    shutil.copy(DATA / request.param / "state.db", tmp_path / "state")
    settings = tmp_path / "zsr.toml"
    text = settings.read_text()
    for name in ("state", "control.sock", "cluster.toml"):
        text = text.replace(f'"{name}"', f'"{tmp_path / name}"')
    settings.write_text(text)
    return tmp_path


@pytest.fixture
def zsr(folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Zsr:
    """The present ``zsr`` on that node."""
    return Zsr(folder, capsys, monkeypatch)


class TestTheState:
    def test_keeps_last_syncs_failures_and_counts(self, folder: Path) -> None:
        with closing(State.open(folder / "state" / "state.db")) as state:
            jobs = state.jobs.all()
            assert state.database.moved_aside is None
        assert sorted(jobs) == [WEB, MAIL]
        web, mail = jobs[WEB], jobs[MAIL]
        assert (web.last_sync, web.last_set, web.created) == (BEGIN + 1800, BEGIN + 1800, BEGIN - 60)
        assert (web.runs_succeeded, web.runs_failed, web.consecutive_failures) == (3, 3, 3)
        assert web.failing_since == BEGIN + 2700
        assert web.failure is not None
        assert web.failure.error_class is ErrorClass.NETWORK
        assert dict(web.errors) == {ErrorClass.NO_SPACE: 2, ErrorClass.NETWORK: 1}
        assert (mail.last_sync, mail.runs_succeeded, mail.consecutive_failures) == (BEGIN + 30, 1, 0)

    def test_keeps_runs_with_their_numbers_and_logs_and_counts_on(self, folder: Path) -> None:
        with closing(State.open(folder / "state" / "state.db")) as state:
            runs = state.runs.newest(WEB)
            assert [run.id for run in runs] == [7, 6, 5, 3, 2, 1]
            assert [run.outcome for run in runs] == [Outcome.FAILURE] * 3 + [Outcome.SUCCESS] * 3
            assert [line.text for line in state.logs.lines(5)] == ["job 100-0: start", "no_space: tank is full."]
            assert state.runs.begin(WEB, BEGIN + 9000, owner="another process", missed=0) == 8

    def test_keeps_the_journal_and_what_messages_were_sent(self, folder: Path) -> None:
        with closing(State.open(folder / "state" / "state.db")) as state:
            failures = [event for _, event in state.journal.events(0) if isinstance(event, RunFailed)]
            assert [event.consecutive for event in failures] == [1, 2, 3]
            known = load_state(state.plugin_store("notify"), "admin")
        assert known is not None
        assert (known.cursor, known.next_number) == (12, 3)
        assert known.incident_state.incidents == {"100-0": Incident(BEGIN + 3002, BEGIN + 1800)}

    def test_is_kept_as_it_was_for_the_way_back(self, folder: Path) -> None:
        path = folder / "state" / "state.db"
        before = _content(path)
        for _ in range(2):  # the second time it has the present format already
            State.open(path).close()
        copies = sorted(path.parent.glob("state.db.format-*"))
        assert [copy.name for copy in copies] == [f"state.db.format-{before[0]}"]
        assert _content(copies[0]) == before
        assert copies[0].stat().st_mode & 0o777 == 0o600
        assert _content(path)[0] != before[0]

    def test_that_is_upgraded_once_more_overwrites_no_copy(self, folder: Path) -> None:
        path = folder / "state" / "state.db"
        old = path.read_bytes()
        State.open(path).close()
        for companion in path.parent.glob("state.db-*"):
            companion.unlink()
        path.write_bytes(old)
        State.open(path).close()
        assert len(list(path.parent.glob("state.db.format-*"))) == 2

    def test_of_a_newer_version_is_refused_with_the_copy_that_this_one_knows(self, folder: Path) -> None:
        path = folder / "state" / "state.db"
        State.open(path).close()
        copy = next(path.parent.glob("state.db.format-*"))
        shutil.copy(copy, path.with_name("state.db.format-98"))
        with closing(sqlite3.connect(path)) as newer:
            newer.execute("PRAGMA user_version = 99")
        with pytest.raises(ZsrError, match="written by a newer zsr") as caught:
            State.open(path)
        assert f"put '{copy}' in its place" in str(caught.value.advice)

    def test_is_read_as_it_is_without_a_copy(self, folder: Path) -> None:
        path = folder / "state" / "state.db"
        before = _content(path)
        with closing(State.read(path)) as state:
            assert state.jobs.all()[WEB].consecutive_failures == 3
        assert (_content(path), list(path.parent.glob("*.format-*"))) == (before, [])


class TestTheCluster:
    def test_means_the_same(self, zsr: Zsr) -> None:
        zsr.well("config", "check")
        jobs = zsr.cluster.jobs
        assert [str(job) for job in jobs] == ["100-0", "101-0"]
        assert (jobs[WEB].schedule, jobs[WEB].keep, jobs[WEB].comment) == ("*/15", "7d:1d", "by the first version")
        assert (jobs[MAIL].schedule, jobs[MAIL].rate, jobs[MAIL].disabled) == ("mon..fri 22:30", 50, True)
        assert [str(volume) for volume in zsr.cluster.guests[101].volumes] == ["data:mail/spool", "data:mail/index"]

    def test_is_changed_by_no_more_than_a_verb_asks_for(self, zsr: Zsr) -> None:
        before = zsr.cluster_path.read_text().splitlines()
        zsr.well("enable", "101-0")
        assert zsr.cluster_path.read_text().splitlines() == [line for line in before if line != "disabled = true"]


class TestTheVerbs:
    def test_show_status_and_history(self, zsr: Zsr) -> None:
        shown = {job["id"]: job for job in zsr.well("status", "--format", "json").json}
        assert (shown["100-0"]["fail_count"], shown["100-0"]["last_sync"]) == (3, BEGIN + 1800)
        assert "tank is full" in zsr.well("log", "100-0", "--run", "5").out


def _content(path: Path) -> tuple[object, ...]:
    with closing(sqlite3.connect(path)) as file:
        version = file.execute("PRAGMA user_version").fetchone()[0]
        return version, *(
            file.execute(f"SELECT * FROM {table}").fetchall() for table in ("runs", "job_state", "memory")
        )
