"""``zsr check`` as a monitor sees it: a verdict and numbers on one line, and no status that is green by mistake."""

from __future__ import annotations

import re
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replicator.api.job_status import JobStatus
from replicator.api.status import ConfigStatus
from replicator.daemon.health_check import HealthLevel, job_health
from replicator.daemon.status_json import job_json, status_json
from replicator.models import JobId, Synced
from tests.support.command_line import Said, Zsr
from tests.support.fake_daemon import FakeDaemon
from tests.support.state_records import gone
from tests.support.statuses import (
    DAY,
    NOW,
    disabled,
    failing,
    first_copy,
    healthy,
    lost,
    never_ran,
    removing,
    status,
    syncing,
)

OK, WARNING, CRITICAL, UNKNOWN = 0, 1, 2, 3
ITEM = re.compile(
    r"(?P<label>[^\s'=]+)=(?P<value>U|-?[\d.]+)(?P<unit>s|B)?;(?P<warn>[\d.]*);(?P<crit>[\d.]*);(?P<min>0)"
)


@pytest.fixture
def zsr(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Zsr:
    return Zsr.with_job(tmp_path, capsys, monkeypatch)


@pytest.fixture
def daemon(daemon: FakeDaemon) -> FakeDaemon:
    daemon.answers["status"] = status_json(status(healthy()))
    return daemon


def aged(job_id: str, lag: float) -> JobStatus:
    """A job whose last copy is so many seconds old; its promise is 1800 s."""
    job = healthy(job_id)
    return replace(job, state=replace(job.state, last_sync=NOW - lag))


def without_a_copy(job: JobStatus) -> JobStatus:
    return replace(job, state=replace(job.state, last_sync=None, runs_succeeded=0))


def keeping(*datasets: str) -> JobStatus:
    """A job that is well, with replicas on its target whose volumes are gone."""
    job = healthy()
    return replace(job, state=replace(job.state, vanished=gone(*datasets)))


def headline(said: Said) -> str:
    return said.out.splitlines()[0].partition("|")[0]


def numbers(said: Said) -> dict[str, tuple[str, str, str, str]]:
    """Performance data by label: value, unit, warning, critical; every item must keep to the guidelines' grammar."""
    found = {}
    for item in said.out.splitlines()[0].partition("|")[2].split():
        match = ITEM.fullmatch(item)
        assert match, item
        found[match["label"]] = (match["value"], match["unit"] or "", match["warn"], match["crit"])
    return found


class TestTheVerdict:
    @pytest.mark.parametrize(
        ("jobs", "expected"),
        [
            ([], OK),
            ([healthy()], OK),
            ([syncing()], OK),
            ([never_ran()], OK),
            ([disabled()], OK),
            ([removing()], OK),
            ([aged("100-0", 1440.0)], OK),
            ([aged("100-0", 1441.0)], WARNING),
            ([aged("100-0", 1800.0)], WARNING),
            ([aged("100-0", 1801.0)], CRITICAL),
            ([healthy(), aged("101-0", 1500.0), aged("102-0", 9000.0)], CRITICAL),
            ([without_a_copy(healthy())], CRITICAL),
            ([failing(ever_synced=False)], CRITICAL),
            ([first_copy(age=600)], OK),
            ([lost()], CRITICAL),
        ],
    )
    def test_is_that_of_the_worst_promise(
        self, zsr: Zsr, daemon: FakeDaemon, jobs: list[JobStatus], expected: int
    ) -> None:
        daemon.answers["status"] = status_json(status(*jobs))

        said = zsr("check")

        assert (said.exit, said.out.split()[1]) == (expected, HealthLevel(expected).name)
        assert said.err == ""

    def test_a_first_copy_on_its_way_is_a_warning(self, zsr: Zsr, daemon: FakeDaemon) -> None:
        daemon.answers["status"] = status_json(status(without_a_copy(syncing())))

        said = zsr("check")

        assert said.exit == WARNING
        assert "the first one is being sent" in headline(said)

    def test_a_replica_that_is_lost_is_critical_whatever_is_being_sent(self, zsr: Zsr, daemon: FakeDaemon) -> None:
        young = lost()
        young = replace(young, state=replace(young.state, created=NOW - 60))
        daemon.answers["status"] = status_json(status(young))

        said = zsr("check", "--rpo")

        assert said.exit == CRITICAL
        assert headline(said) == (
            "ZSR CRITICAL - job 100-0 (guest-100) to beta: the replica is lost; there was a copy, "
            "and the target holds none now"
        )

    def test_a_replica_that_is_kept_although_its_volume_is_gone_is_a_warning(
        self, zsr: Zsr, daemon: FakeDaemon
    ) -> None:
        daemon.answers["status"] = status_json(status(keeping("tank/vm-100-disk-1")))

        said = zsr("check")

        assert said.exit == WARNING
        assert headline(said) == (
            "ZSR WARNING - job 100-0 (guest-100) to beta: 1 replica is kept whose volume is gone from alpha: "
            "tank/vm-100-disk-1; zsr vanished list"
        )
        assert zsr("check", "--rpo").exit == OK

    def test_a_replica_that_will_be_destroyed_is_reported_with_the_time(self, zsr: Zsr, daemon: FakeDaemon) -> None:
        ending = replace(keeping("tank/vm-100-disk-1"), grace_end=NOW + 2 * 86400)
        daemon.answers["status"] = status_json(status(ending))

        assert "tank/vm-100-disk-1; it is destroyed in 2 d; zsr vanished list" in headline(zsr("check"))

    def test_replicas_kept_for_a_disabled_job_are_not_reported(self, zsr: Zsr, daemon: FakeDaemon) -> None:
        off = disabled()
        off = replace(off, state=replace(off.state, vanished=gone("tank/vm-100-disk-1")))
        daemon.answers["status"] = status_json(status(off))

        assert zsr("check").exit == OK

    @pytest.mark.parametrize(("count", "expected"), [(1, OK), (2, OK), (3, WARNING)])
    def test_failures_count_from_the_third_in_a_row(
        self, zsr: Zsr, daemon: FakeDaemon, count: int, expected: int
    ) -> None:
        job = failing(consecutive=count)
        daemon.answers["status"] = status_json(status(replace(job, state=replace(job.state, last_sync=NOW - 60))))

        assert zsr("check").exit == expected

    def test_a_silent_target_is_a_warning(self, zsr: Zsr, daemon: FakeDaemon) -> None:
        daemon.answers["status"] = status_json(status(healthy(), reachable={"beta": False}))

        said = zsr("check")

        assert (said.exit, headline(said)) == (WARNING, "ZSR WARNING - target beta does not answer")

    def test_a_silent_node_that_is_no_target_is_not_reported(self, zsr: Zsr, daemon: FakeDaemon) -> None:
        daemon.answers["status"] = status_json(status(healthy(), reachable={"beta": True, "gamma": False}))

        assert zsr("check").exit == OK

    def test_settings_that_are_rejected_are_a_warning(self, zsr: Zsr, daemon: FakeDaemon) -> None:
        config = ConfigStatus(ok=False, last_success=NOW, problems=("cluster.toml: no TOML.",))
        daemon.answers["status"] = status_json(status(healthy(), config=config))

        said = zsr("check")

        assert (said.exit, headline(said)) == (WARNING, "ZSR WARNING - settings: cluster.toml: no TOML")

    def test_a_last_sync_in_the_future_is_no_kept_promise(self, zsr: Zsr, daemon: FakeDaemon) -> None:
        daemon.answers["status"] = status_json(status(aged("100-0", -DAY)))

        said = zsr("check", "--rpo")

        assert said.exit == CRITICAL
        assert "check this node's clock" in headline(said)

    def test_warns_from_the_part_of_the_promise_that_is_asked_for(self, zsr: Zsr, daemon: FakeDaemon) -> None:
        daemon.answers["status"] = status_json(status(aged("100-0", 1000.0)))

        assert zsr("check", "--warning", "50").exit == WARNING
        assert zsr("check", "--warning", "60").exit == OK

    @given(lag=st.floats(0, 1e7), rpo=st.floats(60, 1e6), warn_at=st.floats(0.01, 1))
    def test_never_gets_better_as_a_copy_gets_older(self, lag: float, rpo: float, warn_at: float) -> None:
        def level(age: float) -> HealthLevel:
            facts = job_json(replace(aged("100-0", age), rpo=rpo), NOW)
            return job_health(facts, NOW, warn_at=warn_at, promise_only=True).level

        assert level(lag) <= level(lag + 1)
        assert level(rpo + 1) is HealthLevel.CRITICAL


class TestThePromiseOnly:
    def test_leaves_failures_nodes_and_settings_out(self, zsr: Zsr, daemon: FakeDaemon) -> None:
        job = failing()
        fresh = replace(job, state=replace(job.state, last_sync=NOW - 60))
        config = ConfigStatus(ok=False, last_success=NOW, problems=("wrong",))
        daemon.answers["status"] = status_json(status(fresh, reachable={"beta": False}, config=config))

        said = zsr("check", "--rpo")

        assert said.exit == OK
        assert "100-0_failures" not in numbers(said)

    def test_is_critical_when_it_is_broken(self, zsr: Zsr, daemon: FakeDaemon) -> None:
        daemon.answers["status"] = status_json(status(failing()))

        assert zsr("check", "--rpo").exit == CRITICAL

    def test_is_not_known_of_a_daemon_that_has_read_no_job_yet(self, zsr: Zsr, daemon: FakeDaemon) -> None:
        daemon.answers["status"] = status_json(status(ready=False))

        assert zsr("check", "--rpo").exit == WARNING


class TestWhatIsPrinted:
    def test_begins_with_the_worst_and_says_how_much_more_there_is(self, zsr: Zsr, daemon: FakeDaemon) -> None:
        daemon.answers["status"] = status_json(status(aged("100-0", 1500.0), failing("101-0")))

        said = zsr("check")

        assert headline(said) == (
            "ZSR CRITICAL - job 101-0 (guest-101) to beta: the last copy is 1 h 30 min old, "
            "promised are at most 30 min (and 2 more)"
        )
        assert [line.split("]")[0] for line in said.out.splitlines()[1:]] == ["[CRITICAL", "[WARNING", "[WARNING"]

    def test_is_one_line_when_all_is_well(self, zsr: Zsr, daemon: FakeDaemon) -> None:
        daemon.answers["status"] = status_json(status(healthy(), never_ran("101-0"), disabled("102-0")))

        said = zsr("check")

        assert len(said.out.splitlines()) == 1
        assert headline(said) == (
            "ZSR OK - 2 of 3 jobs with a promise, all kept; least margin: 101-0, no copy yet, but time for it"
        )

    def test_reports_every_job_with_verbose(self, zsr: Zsr, daemon: FakeDaemon) -> None:
        daemon.answers["status"] = status_json(status(healthy(), disabled("102-0")))

        assert zsr("check", "-v").out.splitlines()[1:] == [
            "[OK] job 100-0 (guest-100) to beta: the last copy is 5 min old, promised are at most 30 min",
            "[OK] job 102-0 (guest-102) to beta: disabled for 1 d, so nothing is promised; zsr enable 102-0",
        ]

    def test_has_numbers_with_units_and_the_thresholds_of_each_jobs_own_promise(
        self, zsr: Zsr, daemon: FakeDaemon
    ) -> None:
        long = replace(healthy("101-0"), rpo=7200.0)
        daemon.answers["status"] = status_json(status(healthy(), long, never_ran("102-0"), disabled("103-0")))

        said = numbers(zsr("check"))

        assert said["jobs"][0] == "4"
        assert said["promises_broken"] == ("0", "", "", "0")
        assert said["100-0_lag"] == ("300", "s", "1440", "1800")
        assert said["101-0_lag"] == ("300", "s", "5760", "7200")
        assert said["102-0_lag"] == ("U", "", "1440", "1800")
        assert said["103-0_lag"] == ("86400", "s", "", "")
        assert said["100-0_failures"] == ("0", "", "2", "")
        assert said["100-0_unreplicated"] == ("8000000", "B", "", "")

    def test_has_the_worst_jobs_numbers_first(self, zsr: Zsr, daemon: FakeDaemon) -> None:
        daemon.answers["status"] = status_json(status(healthy(), aged("101-0", 1500.0), aged("102-0", 9000.0)))

        labels = [label for label in numbers(zsr("check")) if label.endswith("_lag")]

        assert labels == ["102-0_lag", "101-0_lag", "100-0_lag"]

    def test_no_bar_or_line_break_of_an_error_is_taken_for_performance_data(self, zsr: Zsr, daemon: FakeDaemon) -> None:
        job = failing(message="zfs said: a|b=1\nand more")
        fresh = replace(job, state=replace(job.state, last_sync=NOW))
        daemon.answers["status"] = status_json(status(fresh))

        said = zsr("check")

        assert headline(said).endswith("network: zfs said: a/b=1 and more")
        assert "100-0_lag" in numbers(said)

    def test_is_of_one_guest_when_asked_for(self, zsr: Zsr, daemon: FakeDaemon) -> None:
        daemon.answers["status"] = status_json(status(healthy(), failing("101-0")))

        assert zsr("check", "--guest", "100").exit == OK
        assert zsr("check", "--guest", "101").exit == CRITICAL


class TestWithoutADaemon:
    def test_it_is_never_ok_and_still_answered(self, zsr: Zsr) -> None:
        now = time.time()
        with closing(zsr.state()) as state:
            state.jobs.ensure(JobId(100, 0), now - DAY)
            state.jobs.set_synced(JobId(100, 0), Synced(now - 60, int(now - 60)), run=1, now=now)

        said = zsr("check")

        assert said.exit == CRITICAL
        assert headline(said).startswith("ZSR CRITICAL - the daemon is not running")
        assert 60 <= float(numbers(said)["100-0_lag"][0]) <= 600

    def test_a_promise_that_still_stands_is_a_warning(self, zsr: Zsr) -> None:
        with closing(zsr.state()) as state:
            state.jobs.ensure(JobId(100, 0), time.time())
            state.jobs.set_synced(JobId(100, 0), Synced(time.time(), int(time.time())), run=1, now=time.time())

        assert zsr("check", "--rpo").exit == WARNING

    def test_a_broken_promise_is_critical(self, zsr: Zsr) -> None:
        with closing(zsr.state()) as state:
            state.jobs.ensure(JobId(100, 0), NOW - 20 * 365 * DAY)
            state.jobs.set_synced(JobId(100, 0), Synced(1.0, 1), run=1, now=2.0)

        said = zsr("check", "--rpo")

        assert said.exit == CRITICAL
        assert "the last copy is" in headline(said)

    def test_one_that_is_there_and_silent_is_as_good_as_none(self, zsr: Zsr, daemon: FakeDaemon) -> None:
        daemon.be_silent_on = "status"

        said = zsr("check", "--timeout", "0.2")

        assert said.exit == CRITICAL
        assert "does not answer within" in headline(said)


class TestWhatCannotBeAnswered:
    @pytest.mark.parametrize(
        "arguments",
        [
            ["--nonsense"],
            ["--guest", "web"],
            ["--warning", "0"],
            ["--timeout", "0"],
            ["--guest"],
            ["one", "more"],
            ["--guest", "999"],
            ["--config", "/nowhere/zsr.toml"],
        ],
    )
    def test_is_unknown_in_one_line_on_standard_output(
        self, zsr: Zsr, daemon: FakeDaemon, arguments: list[str]
    ) -> None:
        said = zsr("check", *arguments)

        assert said.exit == UNKNOWN
        assert said.out.startswith("ZSR UNKNOWN - ")
        assert (len(said.out.splitlines()), said.err) == (1, "")

    def test_is_a_cluster_that_cannot_be_read(self, zsr: Zsr) -> None:
        zsr.cluster_path.write_text("[nodes.")

        assert zsr("check").exit == UNKNOWN

    def test_is_a_damaged_state(self, zsr: Zsr) -> None:
        with closing(zsr.state()):
            pass
        for name in ("state.db", "state.db-wal", "state.db-shm"):
            (zsr.folder / "state" / name).unlink(missing_ok=True)
        (zsr.folder / "state" / "state.db").write_bytes(b"no database" * 1000)

        said = zsr("check")

        assert said.exit == UNKNOWN
        assert "state.db' is damaged" in said.out

    def test_is_an_answer_of_another_version(self, zsr: Zsr, daemon: FakeDaemon) -> None:
        daemon.answers["status"] = {"jobs": [{"id": "100-0"}], "time": NOW}

        said = zsr("check")

        assert said.exit == UNKNOWN
        assert "unexpected KeyError" in said.out
