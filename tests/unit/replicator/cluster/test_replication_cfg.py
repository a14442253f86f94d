"""The replication jobs of Proxmox VE: what its file says and does not say, and which of them are in conflict."""

from __future__ import annotations

import asyncio
import errno
import logging
import threading
from pathlib import Path

import pytest

from replicator.api.pvesr_jobs import PvesrJob, PvesrJobs, old_job_stands
from replicator.cluster.replication_cfg import parse_pvesr_jobs, read_pvesr_jobs
from replicator.daemon import pvesr_watch
from replicator.daemon.pvesr_watch import PvesrWatch
from replicator.models import JobId

FILE = """\
# made by the GUI
local: 100-0
\tdisable
\ttarget pve2
\trate 12.5
\tschedule */30

LOCAL: 0101-01
\tcomment a%3A b
\ttarget pve3
\tremove_job full

local: 99-0
\ttarget pve2
"""


def jobs(*found: tuple[str, str], problem: str | None = None) -> PvesrJobs:
    return PvesrJobs(tuple(PvesrJob(JobId.parse(each), target) for each, target in found), problem)


@pytest.fixture
def cfg(tmp_path: Path) -> Path:
    """Where the file would be, on a node whose cluster file system is mounted."""
    folder = tmp_path / "pve"
    folder.mkdir()
    (folder / ".version").write_text("{}")
    return folder / "replication.cfg"


class TestTheFile:
    def test_lists_jobs_whatever_they_are_set_to(self, cfg: Path) -> None:
        cfg.write_text(FILE)
        assert read_pvesr_jobs(cfg) == jobs(("100-0", "pve2"), ("101-1", "pve3"))

    def test_that_is_missing_on_a_mounted_node_lists_none(self, cfg: Path) -> None:
        assert read_pvesr_jobs(cfg) == PvesrJobs()

    def test_of_a_node_without_proxmox_ve_lists_none(self, tmp_path: Path) -> None:
        assert read_pvesr_jobs(tmp_path / "pve" / "replication.cfg") == PvesrJobs()

    def test_of_a_node_whose_cluster_file_system_is_not_mounted_is_not_known(self, cfg: Path) -> None:
        (cfg.parent / ".version").unlink()
        found = read_pvesr_jobs(cfg)
        assert (found.jobs, found.problem) == (
            (),
            f"'{cfg.parent}' is there, but not mounted (is pve-cluster running?).",
        )

    def test_that_cannot_be_read_is_not_known(self, cfg: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(*_: object, **__: object) -> str:
            raise OSError(errno.ENOTCONN, "Transport endpoint is not connected")

        cfg.write_text(FILE)
        monkeypatch.setattr(Path, "read_text", refuse)
        assert read_pvesr_jobs(cfg).problem == f"'{cfg}' cannot be read: Transport endpoint is not connected."

    @pytest.mark.parametrize("damage", ["garbage\n", "\x00\x01\n", "local: abc\n", "\ttarget pve9\n", "local 100-0\n"])
    def test_that_is_damaged_gives_what_it_has_and_a_problem(self, damage: str) -> None:
        found = parse_pvesr_jobs(f"{damage}{FILE}", Path("/f"))
        assert found == jobs(("100-0", "pve2"), ("101-1", "pve3"), problem="'/f' is damaged: line 1 cannot be read.")

    def test_with_bytes_that_are_no_text_is_read(self, cfg: Path) -> None:
        cfg.write_bytes(b"local: 100-0\n\tcomment \xff\xfe\n\ttarget pve2\n")
        assert read_pvesr_jobs(cfg) == jobs(("100-0", "pve2"))

    def test_that_was_cut_off_in_a_section_still_names_its_job(self) -> None:
        assert parse_pvesr_jobs("local: 100-0\n\tsche", Path("/f")) == jobs(("100-0", ""))


class TestAJobOfProxmoxVE:
    def test_finds_the_snapshots_of_a_job_whose_id_begins_with_its_own(self) -> None:
        found = jobs(("100-1", "pve9"))
        named = [each for each in ("100-1", "100-10", "100-2", "101-1") if found.named_alike(JobId.parse(each))]
        assert named == ["100-1", "100-10"]

    @pytest.mark.parametrize(
        ("job", "target", "conflict"),
        [
            ("100-0", "pve9", True),
            ("100-5", "pve2", True),
            ("100-5", "pve9", False),
            ("101-5", "pve2", False),
        ],
    )
    def test_is_in_conflict_by_its_id_or_by_guest_and_target(self, job: str, target: str, conflict: bool) -> None:
        assert jobs(("100-0", "pve2")).is_in_conflict(JobId.parse(job), target) is conflict

    def test_that_cannot_be_read_may_be_in_conflict(self) -> None:
        found = jobs(("100-0", "pve2"), problem="damaged.")
        assert found.is_in_conflict(JobId(100, 0), "pve2") is True
        assert found.is_in_conflict(JobId(101, 0), "pve2") is None

    def test_is_to_be_removed_without_its_replica_once_that_is_adopted(self) -> None:
        said = old_job_stands(PvesrJob(JobId(100, 0), "pve2"), JobId(100, 1))
        assert said.endswith(
            "adopt the replica (zsr adopt 100-1), let a run succeed, then remove it: pvesr delete 100-0 --keep"
        )

    def test_is_to_be_removed_without_any_clean_up_where_it_takes_zsrs_snapshots_for_its_own(self) -> None:
        said = old_job_stands(PvesrJob(JobId(100, 0), "pve2"), JobId(100, 0))
        assert said.endswith("each destroys the other's snapshots; remove it: pvesr delete 100-0 --force")


class TestTheDaemon:
    @pytest.fixture
    def damaged(self, cfg: Path) -> Path:
        cfg.write_text(FILE + "\ngarbage")
        return cfg

    async def test_knows_nothing_before_it_has_read(self, cfg: Path) -> None:
        assert PvesrWatch(cfg).jobs.is_in_conflict(JobId(100, 0), "pve2") is None

    async def test_reads_and_reports_a_problem_once(self, damaged: Path, caplog: pytest.LogCaptureFixture) -> None:
        watch = PvesrWatch(damaged)
        with caplog.at_level(logging.WARNING, "zsr.daemon"):
            for _ in range(3):
                await watch.read()
        assert [each.id for each in watch.jobs.jobs] == [JobId(100, 0), JobId(101, 1)]
        assert [record.message for record in caplog.records] == [
            f"The replication jobs of Proxmox VE are not known: {watch.jobs.problem}"
        ]

    async def test_goes_on_when_the_file_cannot_be_read_at_all(
        self, cfg: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(path: Path) -> PvesrJobs:
            raise RuntimeError("no")

        monkeypatch.setattr(pvesr_watch, "read_pvesr_jobs", fail)
        watch = PvesrWatch(cfg)
        await watch.read()
        assert watch.jobs.problem == f"Unexpected RuntimeError while '{cfg}' was read."

    async def test_has_one_thread_that_waits_while_the_file_system_hangs(
        self, cfg: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        hold, waiting = threading.Event(), []

        def hangs(path: Path) -> PvesrJobs:
            waiting.append(path)
            hold.wait(30)
            return PvesrJobs()

        monkeypatch.setattr(pvesr_watch, "read_pvesr_jobs", hangs)
        monkeypatch.setattr(pvesr_watch, "TIMEOUT_SECONDS", 0.05)
        watch = PvesrWatch(cfg)
        for _ in range(3):
            await watch.read()
            assert watch.jobs.problem == f"'{cfg}' cannot be read: no answer within 0.05 s."
        assert waiting == [cfg]
        hold.set()
        monkeypatch.setattr(pvesr_watch, "TIMEOUT_SECONDS", 10.0)
        async with asyncio.timeout(10):
            while watch.jobs.problem is not None:
                await watch.read()
