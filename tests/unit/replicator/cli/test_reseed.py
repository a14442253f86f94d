"""``zsr reseed``: it shows what it would send and needs, asks, and lets the daemon do it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from replicator.daemon import one_shot
from replicator.errors import BusyError, NoSpaceError, ZsrError
from replicator.models import Job, JobId, Outcome, Volume
from replicator.replication.reseed_preview import ReseedPreview, VolumeReseed
from tests.support.command_line import Zsr
from tests.support.fake_daemon import FakeDaemon

JOB = JobId(100, 0)
DISK = "local-zfs:vm-100-disk-0"
OLD, NEW = "rpool/data/vm-100-disk-0", "rpool/data/zsr-diverged/vm-100-disk-0-reseed"


class Looks:
    """What both sides hold, as a test says: a preview, or an error."""

    def __init__(self) -> None:
        volume = VolumeReseed(Volume("local-zfs", "vm-100-disk-0"), "rpool/data", NEW, OLD, 2048, 4096, begun=False)
        self.found: ReseedPreview | ZsrError = ReseedPreview(Job(JOB, "beta"), (volume,), {"rpool/data": 8192})
        self.wanted: list[Any] = []

    async def __call__(self, job: Job, guest: Any, storages: Any, wanted: Any, source: Any, target: Any) -> Any:
        self.wanted.append(wanted)
        if isinstance(self.found, ZsrError):
            raise self.found
        return self.found


@pytest.fixture
def zsr(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Zsr:
    return Zsr.with_job(tmp_path, capsys, monkeypatch)


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> Looks:
    looks = Looks()
    monkeypatch.setattr("replicator.cli.reseed.look_at_reseed", looks)
    return looks


@pytest.fixture
def daemon(daemon: FakeDaemon) -> FakeDaemon:
    daemon.answers["reseed"] = Outcome.SUCCESS
    return daemon


def test_it_shows_bytes_and_space_and_the_daemon_does_it(zsr: Zsr, looks: Looks, daemon: FakeDaemon) -> None:
    said = zsr.well("reseed", "100-0", DISK, "--yes")

    assert said.rows[1] == [DISK, OLD, "2.0", "KiB", "4.0", "KiB"]
    assert "needs 4.0 KiB on beta; free there: 8.0 KiB in rpool/data" in said.out
    assert daemon.asked == [{"verb": "reseed", "job": "100-0", "volumes": [DISK]}]
    assert looks.wanted == [(DISK,)]


def test_without_a_volume_all_are_meant(zsr: Zsr, looks: Looks, daemon: FakeDaemon) -> None:
    zsr.well("reseed", "100-0", "--yes")

    assert (looks.wanted, daemon.asked[0]["volumes"]) == ([()], [])


def test_without_an_answer_nothing_is_done(zsr: Zsr, looks: Looks, daemon: FakeDaemon) -> None:
    said = zsr("reseed", "100-0")

    assert (said.exit, daemon.asked) == (2, [])
    assert "Confirm with --yes" in said.err


def test_what_would_be_refused_is_refused_at_once(zsr: Zsr, looks: Looks, daemon: FakeDaemon) -> None:
    looks.found = NoSpaceError("Full.")

    said = zsr("reseed", "100-0", "--yes")

    assert (said.exit, daemon.asked) == (1, [])
    assert "Full." in said.err


@pytest.mark.parametrize("answer", [Outcome.FAILURE, Outcome.CANCELLED, BusyError("Locked.")])
def test_one_that_did_not_succeed_ends_with_1(zsr: Zsr, looks: Looks, daemon: FakeDaemon, answer: object) -> None:
    daemon.answers["reseed"] = answer

    assert zsr("reseed", "100-0", "--yes").exit == 1


def test_it_is_not_begun_again_when_the_daemon_ends_in_the_middle(zsr: Zsr, looks: Looks, daemon: FakeDaemon) -> None:
    daemon.hang_up_on = "reseed"

    said = zsr("reseed", "100-0", "--yes")

    assert said.exit == 1
    assert "ended before it answered" in said.err


def test_without_a_daemon_it_is_done_in_the_foreground(zsr: Zsr, looks: Looks, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[tuple[Any, Any]] = []

    async def run_jobs(*given: Any) -> bool:
        *_, job, _listen, reseed = given
        ran.append((job, reseed))
        return True

    monkeypatch.setattr(one_shot, "run_jobs", run_jobs)

    zsr.well("reseed", "100-0", DISK, "--yes")

    assert ran == [(JOB, (DISK,))]


def test_a_job_that_is_being_removed_is_refused(zsr: Zsr, looks: Looks) -> None:
    zsr.well("delete", "100-0")

    assert zsr("reseed", "100-0", "--yes").exit == 2
    assert looks.wanted == []
