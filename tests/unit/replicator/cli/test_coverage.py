"""``zsr coverage``, and what ``zsr check`` says of it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from replicator.api.coverage import Gap, GuestCoverage, UncoveredVolume
from replicator.daemon.local_inventory import LocalInventory
from replicator.daemon.status_json import coverage_from_json, coverage_json, status_json
from replicator.models import GuestId, JobId
from tests.support.command_line import Zsr
from tests.support.fake_daemon import FakeDaemon
from tests.support.statuses import NOW, healthy, status

JOB = JobId(100, 0)
COVERED: dict[GuestId, GuestCoverage] = {100: GuestCoverage("web", (JOB,))}
EXCLUDED: dict[GuestId, GuestCoverage] = {
    100: GuestCoverage("web", (JOB,), (UncoveredVolume("t/vm-100-disk-1", Gap.EXCLUDED),))
}
FORGOTTEN: dict[GuestId, GuestCoverage] = {
    100: GuestCoverage("web", (JOB,), (UncoveredVolume("t/vm-100-disk-1", Gap.STORAGE),))
}
ALONE: dict[GuestId, GuestCoverage] = {101: GuestCoverage("mail", ())}


@pytest.fixture
def zsr(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Zsr:
    return Zsr.with_job(tmp_path, capsys, monkeypatch)


def look(
    monkeypatch: pytest.MonkeyPatch, coverage: dict[GuestId, GuestCoverage], problems: tuple[str, ...] = ()
) -> None:
    """Let the look at this node's ZFS find this."""

    async def found(*_: object) -> LocalInventory:
        return LocalInventory(coverage=coverage, problems=problems)

    monkeypatch.setattr("replicator.cli.coverage.take_inventory", found)


@pytest.mark.parametrize(
    ("coverage", "exit_status", "words"),
    [
        (COVERED, 0, ["100", "web", "100-0", "-"]),
        (EXCLUDED, 0, ["t/vm-100-disk-1", "excluded"]),
        (FORGOTTEN, 1, ["t/vm-100-disk-1", "storage"]),
        (COVERED | ALONE, 1, ["101", "mail", "all of it", "no job"]),
    ],
)
def test_the_status_says_whether_anything_is_forgotten(
    zsr: Zsr,
    monkeypatch: pytest.MonkeyPatch,
    coverage: dict[GuestId, GuestCoverage],
    exit_status: int,
    words: list[str],
) -> None:
    look(monkeypatch, coverage)
    said = zsr("coverage")
    assert said.exit == exit_status
    assert all(word in said.out for word in words)


def test_a_storage_that_cannot_be_read_is_an_error_after_the_table(zsr: Zsr, monkeypatch: pytest.MonkeyPatch) -> None:
    look(monkeypatch, COVERED, ("The pool is suspended.",))
    said = zsr("coverage")
    assert said.exit == 1
    assert "web" in said.out
    assert "there may be more: The pool is suspended." in said.err


def test_a_promise_of_more_than_a_week_is_a_note_and_no_error(zsr: Zsr) -> None:
    assert "promises" not in zsr("config", "check").err
    note = "Job 101-0 promises only a copy of at most 14 d (the schedule sat 02:00), and nothing warns before that."
    assert note in zsr.well("create-local-job", "101-0", "beta", "--schedule", "sat 02:00").err
    said = zsr("config", "check")
    assert (said.exit, said.out, note in said.err) == (0, "ok\n", True)
    zsr.well("update", "101-0", "--rpo", "7d")
    assert "promises" not in zsr("config", "check").err


def test_a_guest_that_is_not_in_the_cluster_file_is_shown_and_does_not_count(
    zsr: Zsr, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def found(*_: object) -> LocalInventory:
        return LocalInventory(coverage=COVERED, unknown=(250,))

    monkeypatch.setattr("replicator.cli.coverage.take_inventory", found)
    said = zsr("coverage")
    assert said.exit == 0
    assert " ".join(said.out.splitlines()[-1].split()) == "250 - - all of it not in the cluster file"
    assert json.loads(zsr("coverage", "--format", "json").out)[-1] == {
        "guest": 250,
        "guest_name": "",
        "jobs": [],
        "uncovered": [],
    }


def test_json_is_for_programs(zsr: Zsr, monkeypatch: pytest.MonkeyPatch) -> None:
    look(monkeypatch, FORGOTTEN)
    assert json.loads(zsr("coverage", "--format", "json").out) == [
        {
            "guest": 100,
            "guest_name": "web",
            "jobs": ["100-0"],
            "uncovered": [{"dataset": "t/vm-100-disk-1", "reason": "storage"}],
        }
    ]
    assert coverage_from_json(coverage_json(FORGOTTEN | ALONE)) == FORGOTTEN | ALONE


def test_a_job_that_vanished_is_critical_and_has_nothing_to_do_with_promises(zsr: Zsr, daemon: FakeDaemon) -> None:
    found = replace(status(healthy("100-0")), vanished_jobs={JobId(101, 0): NOW - 7200})
    daemon.answers["status"] = status_json(found)
    said = zsr("check")
    assert said.exit == 2
    assert "job 101-0 is gone from the cluster file since 2 h, without zsr delete" in said.out
    assert zsr("check", "--rpo").exit == 0


def test_a_check_warns_of_what_is_forgotten_and_of_nothing_else(zsr: Zsr, daemon: FakeDaemon) -> None:
    for coverage, exit_status in ((FORGOTTEN, 1), (EXCLUDED, 0), (COVERED | ALONE, 0)):
        daemon.answers["status"] = status_json(replace(status(healthy("100-0")), coverage=coverage))
        said = zsr("check")
        assert said.exit == exit_status
        assert ("1 volume is not replicated (storage: t/vm-100-disk-1); zsr coverage" in said.out) == bool(exit_status)
    daemon.answers["status"] = status_json(replace(status(healthy("100-0")), coverage=FORGOTTEN))
    assert zsr("check", "--rpo").exit == 0
