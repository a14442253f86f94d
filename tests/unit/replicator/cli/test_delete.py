"""``zsr delete``: what it marks, what it says, and where it asks first."""

from __future__ import annotations

from pathlib import Path

import pytest

from replicator.job_choices import Removal
from replicator.models import JobId
from replicator.state.job_marks import JobMark
from tests.support.command_line import Zsr
from tests.support.fake_daemon import FakeDaemon
from tests.support.state_records import gone

JOB = JobId(100, 0)


@pytest.fixture
def zsr(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Zsr:
    return Zsr.on_alpha(tmp_path, capsys, monkeypatch)


@pytest.fixture
def with_job(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Zsr:
    return Zsr.with_job(tmp_path, capsys, monkeypatch)


def _renumber(zsr: Zsr) -> None:
    """Take guest 100 out of the cluster."""
    zsr.cluster_path.write_text(zsr.cluster_path.read_text().replace("[guests.100]", "[guests.300]"))


class TestDelete:
    @pytest.mark.parametrize(("flags", "removal"), [([], Removal.FULL), (["--keep"], Removal.LOCAL)])
    def test_marks_the_job_and_says_that_the_rest_comes_later(
        self, with_job: Zsr, flags: list[str], removal: Removal
    ) -> None:
        said = with_job.well("delete", "100-0", *flags)

        assert with_job.cluster.jobs[JOB].removal is removal
        assert said.out == ""
        assert "is removed at its next turn" in said.err
        assert "zsr update 100-0 --delete removal" in said.err
        assert ("its replicas on beta with all their restore points" in said.err) is (removal is Removal.FULL)

    @pytest.mark.parametrize(("answer", "removal"), [("y", Removal.FULL), ("n", None)])
    def test_asks_at_a_terminal(
        self, with_job: Zsr, monkeypatch: pytest.MonkeyPatch, answer: str, removal: Removal | None
    ) -> None:
        monkeypatch.setattr("sys.stdin.isatty", lambda: True)
        monkeypatch.setattr("click.confirm", lambda question: "all their restore" in question and answer == "y")
        assert with_job("delete", "100-0").exit == (0 if removal else 1)
        assert with_job.cluster.jobs[JOB].removal is removal

    def test_says_that_a_disabled_job_waits(self, with_job: Zsr) -> None:
        with_job.well("disable", "100-0")

        assert "removed only after: zsr enable 100-0" in with_job.well("delete", "100-0").err

    def test_can_be_taken_back(self, with_job: Zsr) -> None:
        with_job.well("delete", "100-0")
        with_job.well("update", "100-0", "--delete", "removal")

        assert with_job.cluster.jobs[JOB].removal is None

    def test_asks_where_a_replica_is_the_only_copy_of_a_volume_that_is_gone(self, with_job: Zsr) -> None:
        state = with_job.state()
        state.jobs.ensure(JOB, 1.0)
        state.vanished.set(JOB, gone("tank/vm-100-disk-1"), ends={}, run=1, now=2.0)
        state.close()

        refused = with_job("delete", "100-0")
        assert refused.exit == 2
        assert "tank/vm-100-disk-1 on beta are gone from their source: these replicas may be the only" in refused.err
        assert "Confirm with --yes." in refused.err
        assert with_job.cluster.jobs[JOB].removal is None

        with_job.well("delete", "100-0", "--yes")
        assert with_job.cluster.jobs[JOB].removal is Removal.FULL

    def test_does_not_ask_where_the_replicas_stay(self, with_job: Zsr) -> None:
        _renumber(with_job)

        with_job.well("delete", "100-0", "--keep")

    def test_asks_where_the_guest_is_gone_from_the_cluster(self, with_job: Zsr) -> None:
        _renumber(with_job)

        assert "Guest 100 is gone from the cluster" in with_job("delete", "100-0").err
        assert with_job.cluster.jobs[JOB].removal is None

    def test_by_force_takes_the_job_out_at_once_and_forgets_it(self, with_job: Zsr) -> None:
        state = with_job.state()
        state.jobs.ensure(JOB, 1.0)

        with_job.well("delete", "100-0", "--force")

        assert with_job.cluster.jobs == {}
        assert state.jobs.get(JOB) is None
        state.close()

    def test_by_force_lets_a_running_daemon_forget_it_and_take_it_for_removed(
        self, with_job: Zsr, daemon: FakeDaemon
    ) -> None:
        daemon.answers["reload"] = {}
        state = with_job.state()
        state.jobs.ensure(JOB, 1.0)

        with_job.well("delete", "100-0", "--force")

        assert state.jobs.get(JOB) is not None
        assert JOB in state.marks.all()[JobMark.DELETED]
        state.close()

    def test_by_force_succeeds_when_it_is_gone_already(self, zsr: Zsr) -> None:
        assert zsr("delete", "100-0", "--force").exit == 0

    def test_by_force_cannot_keep(self, with_job: Zsr) -> None:
        assert with_job("delete", "100-0", "--force", "--keep").exit == 2
        assert JOB in with_job.cluster.jobs

    def test_of_a_job_that_is_not_there_is_refused(self, zsr: Zsr) -> None:
        assert zsr("delete", "100-0").exit == 2
