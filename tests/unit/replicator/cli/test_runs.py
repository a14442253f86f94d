"""``status``, ``log``, ``run``, ``schedule-now``, ``cancel``: through the daemon if it runs, else from ``state.db``."""

from __future__ import annotations

import json
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from replicator.common.process_identity import this_process
from replicator.daemon import one_shot
from replicator.daemon.status_json import status_json
from replicator.errors import BusyError, ConfigError, ErrorClass
from replicator.events import RunFailed, RunSucceeded
from replicator.models import JobId, Outcome
from tests.support.command_line import Zsr
from tests.support.fake_daemon import FakeDaemon
from tests.support.state_records import gone
from tests.support.statuses import (
    DAY,
    NOW,
    failing,
    first_copy,
    healthy,
    lost,
    never_ran,
    status,
    syncing,
    unconfirmed,
)

JOB = JobId(100, 0)


@pytest.fixture
def zsr(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Zsr:
    zsr = Zsr.on_alpha(tmp_path, capsys, monkeypatch)
    for job, target in (("100-0", "beta"), ("101-0", "beta"), ("200-0", "gamma")):
        zsr.well("create-local-job", job, target)
    return zsr


@pytest.fixture
def history(zsr: Zsr) -> Zsr:
    """Job 100-0 succeeded, then failed twice; a fourth run is going on in this very process."""
    with closing(zsr.state()) as state:
        for index, start in enumerate((NOW, NOW + 900, NOW + 1200)):
            run = state.runs.begin(JOB, start, owner="gone:1:1", missed=0)
            state.logs.append(
                run, [(start, "info", f"run {index}"), (start + 1, "warning", "slow"), (start + 2, "raw", "E 5")]
            )
            if index == 0:
                event: RunSucceeded | RunFailed = RunSucceeded(start + 2, JOB, run, start, 2.0, 4096)
            else:
                event = RunFailed(
                    *(start + 2, JOB, run, ErrorClass.NETWORK, "Node beta does not answer.", "Look."),
                    *(index, NOW + 900, NOW, start + 300),
                )
            state.runs.finish(event, start=start, sent_bytes=4096 if index == 0 else 0)
    return zsr


class TestStatusWithoutADaemon:
    def test_has_the_peers_columns_and_what_is_known(self, history: Zsr) -> None:
        header, failed, fresh = history.well("status").rows

        assert header[:7] == ["JobID", "Enabled", "Target", "LastSync", "NextSync", "Duration", "FailCount"]
        assert header[7:] == ["Lag", "RPO", "Kept", "State"]
        assert failed[:4] == ["100-0", "Yes", "beta", "2027-01-15_08:00:00"]
        assert failed[5:7] == ["2.0", "2"]
        assert " ".join(failed[10:]) == "network: Node beta does not answer."
        assert fresh == ["101-0", "Yes", "beta", "-", "pending", "-", "0", "-", "30m", "-", "PENDING"]

    def test_shows_the_jobs_of_this_nodes_guests_only(self, zsr: Zsr) -> None:
        assert [row[0] for row in zsr.well("status").rows[1:]] == ["100-0", "101-0"]

    def test_shows_one_guests_jobs(self, zsr: Zsr) -> None:
        assert [row[0] for row in zsr.well("status", "--guest", "101").rows[1:]] == ["101-0"]

    def test_shows_a_disabled_job_that_never_comes(self, zsr: Zsr) -> None:
        zsr.well("disable", "100-0")

        row = zsr.well("status", "--guest", "100").rows[1]

        assert (row[1], row[4], row[-1]) == ("No", "-", "DISABLED")

    def test_is_there_for_scripts(self, history: Zsr) -> None:
        job = history.well("status", "--guest", "100", "--format", "json").json[0]

        assert (job["id"], job["fail_count"], job["error_class"], job["last_sync"]) == ("100-0", 2, "network", NOW)


class TestStatusThroughTheDaemon:
    def test_is_what_the_daemon_sees(self, zsr: Zsr, daemon: FakeDaemon) -> None:
        now = time.time()
        picture = status(syncing(now=now), failing("101-0", now=now), never_ran("102-0", now=now), now=now)
        daemon.answers["status"] = status_json(picture)

        rows = zsr.well("status").rows[1:]

        assert [row[0] for row in rows] == ["100-0", "101-0", "102-0"]
        assert rows[0][-3:] == ["SYNCING", "25", "%"]
        assert rows[1][8:11] == ["30m", "NO", "network:"]
        assert rows[2][4] == "pending"

    def test_a_last_sync_on_a_target_that_was_edited_is_shown_as_unconfirmed(
        self, zsr: Zsr, daemon: FakeDaemon
    ) -> None:
        now = time.time()
        daemon.answers["status"] = status_json(status(unconfirmed(now=now), healthy("101-0", now=now), now=now))

        rows = zsr.well("status").rows[1:]
        jobs = zsr.well("status", "--format", "json").json

        assert " ".join(rows[0][9:]) == "- OK (last sync unconfirmed)"
        assert " ".join(rows[1][9:]) == "yes OK"
        assert [(job["unconfirmed"], job["lost"], job["rpo_kept"]) for job in jobs] == [
            (True, False, True),
            (False, False, True),
        ]

    def test_a_promise_is_kept_only_with_a_copy_and_broken_without_one_in_the_end(
        self, zsr: Zsr, daemon: FakeDaemon
    ) -> None:
        now = time.time()
        jobs = (healthy(now=now), first_copy("101-0", now=now), first_copy("102-0", now=now, age=DAY), lost(now=now))
        daemon.answers["status"] = status_json(status(*jobs, now=now))

        assert [row[9] for row in zsr.well("status").rows[1:]] == ["yes", "-", "NO", "NO"]

    def test_vanished_volumes_are_there_for_scripts(self, zsr: Zsr, daemon: FakeDaemon) -> None:
        job = healthy()
        job = replace(job, state=replace(job.state, vanished=gone("tank/vm-100-disk-1")))
        daemon.answers["status"] = status_json(status(job))

        assert zsr.well("status", "--format", "json").json[0]["vanished"] == ["tank/vm-100-disk-1"]

    def test_prints_times_in_the_nodes_zone(self, zsr: Zsr, daemon: FakeDaemon) -> None:
        daemon.answers["status"] = status_json(status(healthy(now=NOW), now=NOW))
        zsr.settings_path.write_text(zsr.settings_path.read_text().replace('"UTC"', '"Asia/Tokyo"'))

        assert zsr.well("status").rows[1][3] == "2027-01-15_16:55:00"


class TestLog:
    def test_is_that_of_the_newest_run(self, history: Zsr) -> None:
        assert history.well("log", "100-0").out.splitlines() == [
            "2027-01-15 08:20:00 run 2",
            "2027-01-15 08:20:01 warning: slow",
            "2027-01-15 08:20:02 raw: E 5",
        ]

    def test_can_be_that_of_an_older_run(self, history: Zsr) -> None:
        assert "run 0" in history.well("log", "100-0", "--run", "1").out

    def test_lists_the_runs(self, history: Zsr) -> None:
        rows = history.well("log", "100-0", "--runs").rows

        assert rows[0] == ["Run", "Start", "Duration", "SentBytes", "Outcome", "Error"]
        assert [row[0] for row in rows[1:]] == ["3", "2", "1"]
        assert rows[3] == ["1", "2027-01-15_08:00:00", "2.0", "4096", "success"]

    def test_is_there_for_scripts(self, history: Zsr) -> None:
        log = history.well("log", "100-0", "--run", "1", "--format", "json").json

        assert (log["run"], log["outcome"], log["sent_bytes"]) == (1, "success", 4096)
        assert log["lines"][1] == {"t": NOW + 1, "l": "warning", "m": "slow"}

    def test_of_a_run_that_is_not_there_names_those_that_are(self, history: Zsr) -> None:
        said = history("log", "100-0", "--run", "9")

        assert said.exit == 2
        assert said.err == "zsr: Job 100-0 has no run 9. The newest are: 3, 2, 1.\n"

    def test_of_a_job_that_never_ran_is_an_error(self, zsr: Zsr) -> None:
        said = zsr("log", "101-0")

        assert said.exit == 2
        assert said.err == "zsr: Job 101-0 has not run yet. Run it: zsr run --id 101-0.\n"

    def test_of_a_job_that_does_not_exist_names_those_that_do(self, zsr: Zsr) -> None:
        assert "There is no job 107-0. Known jobs: 100-0" in zsr("log", "107-0").err

    def test_of_a_removed_job_stays(self, history: Zsr) -> None:
        with closing(history.state()) as state:
            state.jobs.forget(JOB, NOW + 60)
        assert history.well("log", "100-0").out
        history.cluster_path.write_text(history.cluster_path.read_text().replace("[jobs.100-0]", "[jobs.100-7]"))
        assert "100-0 (removed)" in history("log", "107-0").err

    def test_is_followed_until_the_run_ends(self, zsr: Zsr, monkeypatch: pytest.MonkeyPatch) -> None:
        with closing(zsr.state()) as state:
            run = state.runs.begin(JOB, NOW, owner=this_process(), missed=0)
            state.logs.append(run, [(NOW, "info", "begun")])

            def meanwhile(_: float) -> None:
                state.logs.append(run, [(NOW + 5, "info", "the last words")])
                state.runs.finish(RunSucceeded(NOW + 5, JOB, run, NOW, 5.0, 0), start=NOW, sent_bytes=0)

            monkeypatch.setattr(time, "sleep", meanwhile)

            said = zsr.well("log", "100-0", "--follow")

        assert [line.split(maxsplit=2)[2] for line in said.out.splitlines()] == ["begun", "the last words"]

    def test_of_a_run_that_was_cut_off_is_not_followed_without_end(self, zsr: Zsr) -> None:
        with closing(zsr.state()) as state:
            state.logs.append(state.runs.begin(JOB, NOW, owner="gone:1:1", missed=0), [(NOW, "info", "begun")])

        assert "begun" in zsr.well("log", "100-0", "--follow").out
        assert zsr.well("log", "100-0", "--runs").rows[1][4:] == ["cut", "off"]

    def test_is_followed_as_one_object_a_line(self, history: Zsr) -> None:
        lines = history.well("log", "100-0", "--follow", "--format", "json").out.splitlines()

        assert [json.loads(line)["m"] for line in lines] == ["run 2", "slow", "E 5"]


class TestRun:
    @pytest.fixture
    def in_foreground(self, zsr: Zsr, monkeypatch: pytest.MonkeyPatch) -> list[JobId | None]:
        ran: list[JobId | None] = []

        async def run_jobs(*given: object) -> bool:
            *_, job, listen, reseed = given
            assert isinstance(job, JobId | None)
            assert reseed is None
            assert callable(listen)
            ran.append(job)
            listen("a line")
            return job != JobId(101, 0)

        monkeypatch.setattr(one_shot, "run_jobs", run_jobs)
        return ran

    def test_is_in_the_foreground_without_a_daemon(self, zsr: Zsr, in_foreground: list[JobId | None]) -> None:
        assert zsr.well("run", "--id", "100-0").out == ""
        assert zsr.well("run", "--verbose").out == "a line\n"
        assert in_foreground == [JOB, None]

    def test_that_fails_ends_with_1_and_points_to_the_log(self, zsr: Zsr, in_foreground: list[JobId | None]) -> None:
        said = zsr("run", "--id", "101-0")

        assert said.exit == 1
        assert "zsr log 101-0" in said.err

    def test_goes_through_the_daemon(self, zsr: Zsr, daemon: FakeDaemon, in_foreground: list[JobId | None]) -> None:
        daemon.answers["run"] = Outcome.SUCCESS
        daemon.lines = ["one", "two"]

        assert zsr.well("run", "--id", "100-0", "--verbose").out == "one\ntwo\n"
        assert daemon.asked == [{"verb": "run", "job": "100-0"}]
        assert in_foreground == []

    @pytest.mark.parametrize(
        ("answer", "exit_status"),
        [(Outcome.FAILURE, 1), (Outcome.CANCELLED, 1), (BusyError("Locked."), 1), (ConfigError("Disabled."), 2)],
    )
    def test_ends_with_what_the_daemon_says(
        self, zsr: Zsr, daemon: FakeDaemon, answer: object, exit_status: int
    ) -> None:
        daemon.answers["run"] = answer

        assert zsr("run", "--id", "100-0").exit == exit_status

    def test_is_not_begun_again_when_the_daemon_ends_in_the_middle(
        self, zsr: Zsr, daemon: FakeDaemon, in_foreground: list[JobId | None]
    ) -> None:
        daemon.hang_up_on = "run"

        said = zsr("run", "--id", "100-0")

        assert said.exit == 1
        assert "ended before it answered. See what it did" in said.err
        assert in_foreground == []

    def test_of_all_is_the_daemons_own_business(self, zsr: Zsr, daemon: FakeDaemon) -> None:
        assert "starts due jobs itself" in zsr.well("run").err


class TestScheduleNow:
    def test_is_left_to_the_daemon(self, zsr: Zsr, daemon: FakeDaemon) -> None:
        zsr.well("schedule-now", "100-0")

        assert daemon.asked == [{"verb": "schedule-now", "job": "100-0"}]

    def test_is_remembered_without_a_daemon(self, history: Zsr) -> None:
        history.well("schedule-now", "100-0")

        assert history.well("status", "--guest", "100").rows[1][4] == "pending"

    def test_of_another_nodes_job_is_refused(self, zsr: Zsr) -> None:
        said = zsr("schedule-now", "200-0")

        assert said.exit == 2
        assert "belongs to node beta, not to alpha" in said.err


@pytest.mark.parametrize("arguments", [["status"], ["log", "100-0"], ["schedule-now", "100-0"]])
def test_who_only_looks_in_leaves_a_damaged_file_where_it_is(history: Zsr, arguments: list[str]) -> None:
    path = history.folder / "state" / "state.db"
    path.write_bytes(b"no database" * 1000)
    for rest in ("-wal", "-shm"):
        path.with_name(path.name + rest).unlink(missing_ok=True)

    said = history(*arguments)

    assert said.exit == 1
    assert "state.db' is damaged" in said.err
    assert "The daemon moves it aside when it starts" in said.err
    assert path.read_bytes() == b"no database" * 1000


def test_cancel_is_a_word_to_the_daemon(zsr: Zsr, daemon: FakeDaemon) -> None:
    zsr.well("cancel", "100-0")

    assert daemon.asked == [{"verb": "cancel", "job": "100-0"}]


def test_cancel_without_a_daemon_fails_and_says_why(zsr: Zsr) -> None:
    said = zsr("cancel", "100-0")

    assert said.exit == 1
    assert "No zsr daemon listens on" in said.err


def test_the_daemon_is_notified_of_a_changed_job_at_once(zsr: Zsr, daemon: FakeDaemon) -> None:
    zsr.well("disable", "100-0")

    assert daemon.asked == [{"verb": "reload"}]


def test_a_job_deleted_by_force_is_left_for_the_daemon_to_forget(history: Zsr, daemon: FakeDaemon) -> None:
    history.well("delete", "100-0", "--force")

    with closing(history.state()) as state:
        assert state.jobs.get(JOB) is not None
