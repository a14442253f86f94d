"""``zsr check`` about replication jobs of Proxmox VE: a warning while they stand, or while that is not known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from replicator.api.pvesr_jobs import PvesrJob, PvesrJobs
from replicator.daemon.status_json import status_json
from replicator.models import JobId
from tests.support.command_line import Zsr
from tests.support.fake_daemon import FakeDaemon
from tests.support.statuses import healthy, status

OK, WARNING = 0, 1


@pytest.fixture
def zsr(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Zsr:
    return Zsr.with_job(tmp_path, capsys, monkeypatch)


class TestAnOldJobOfProxmoxVE:
    PVESR = PvesrJobs((PvesrJob(JobId(100, 0), "beta"),))

    def test_is_a_warning_as_long_as_it_stands(self, zsr: Zsr, daemon: FakeDaemon) -> None:
        daemon.answers["status"] = status_json(replace(status(healthy("100-0")), pvesr=self.PVESR))
        said = zsr("check")
        assert said.exit == WARNING
        assert "Proxmox VE still has its replication job 100-0 to beta" in said.out

    def test_is_a_warning_too_where_it_is_not_known(self, zsr: Zsr, daemon: FakeDaemon) -> None:
        pvesr = PvesrJobs(problem="'/etc/pve/replication.cfg' is damaged: line 1 cannot be read.")
        daemon.answers["status"] = status_json(replace(status(healthy("100-0")), pvesr=pvesr))
        said = zsr("check")
        assert said.exit == WARNING
        assert "is not known: '/etc/pve/replication.cfg' is damaged" in said.out

    def test_has_nothing_to_do_with_the_promise(self, zsr: Zsr, daemon: FakeDaemon) -> None:
        daemon.answers["status"] = status_json(replace(status(healthy("100-0")), pvesr=self.PVESR))
        assert zsr("check", "--rpo").exit == OK

    def test_is_read_from_the_file_where_no_daemon_runs(
        self, zsr: Zsr, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("replicator.config.settings.PROXMOX_CONFIG", tmp_path)
        (tmp_path / "replication.cfg").write_text("local: 100-0\n\ttarget beta\n")
        assert "Proxmox VE still has its replication job 100-0 to beta" in zsr("check").out
