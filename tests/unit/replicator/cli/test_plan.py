"""``zsr plan``: what it prints, its JSON, its exit status, and that it only reads the state."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from replicator.common.process_identity import this_process
from replicator.errors import TargetActiveError
from replicator.models import JobId, KnownSets, Synced, Volume
from replicator.replication.context import RunContext
from replicator.replication.preview import (
    Destruction,
    Does,
    PreparationStep,
    Preview,
    Resume,
    VolumePreview,
    When,
)
from replicator.zfs.permits import Law
from tests.support.command_line import Zsr
from tests.support.state_records import NOW, succeed

JOB = JobId(100, 0)
DISK = VolumePreview(
    Volume("data", "vm-100-disk-0"), "tank/vm-100-disk-0", "pool/vm-100-disk-0", Does.INCREMENTAL,
    base="@old", bytes=12 << 20, flags=("-L", "-c", "-I"), properties={"readonly": "on"},
)  # fmt: skip
OLD = Destruction("pool/vm-100-disk-0@old", "beta", When.PROVEN, True, Law.PROVEN_STAYS, "keep = 1 does not need it")
ORPHAN = Destruction("pool/vm-100-disk-9", "beta", When.NEVER, False, Law.VANISHED, "its volume vanished")
PREVIEW = Preview(JOB, 100, "web", "alpha", "beta", (DISK,), (OLD, ORPHAN))
CONFLICT = replace(
    DISK, does=Does.CONFLICT, base=None, bytes=None, flags=(),
    error=TargetActiveError("Dataset 'pool/x' is somebody's.", advice="Adopt it."),
)  # fmt: skip

Shows = Callable[[Preview], None]


@pytest.fixture
def zsr(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Zsr:
    return Zsr.with_job(tmp_path, capsys, monkeypatch)


@pytest.fixture
def asked() -> list[RunContext]:
    """The contexts for which a preview was asked."""
    return []


@pytest.fixture
def shows(zsr: Zsr, asked: list[RunContext]) -> Shows:
    """Let the nodes' answer be this preview."""

    def show(preview: Preview) -> None:
        zsr.monkeypatch.setattr("replicator.cli.plan.dry_run", answer_with(preview, asked))

    show(PREVIEW)
    return show


def answer_with(preview: Preview, asked: list[RunContext]) -> Callable[..., Awaitable[Preview]]:
    async def dry_run(context: RunContext, *_: object) -> Preview:
        asked.append(context)
        return preview

    return dry_run


def lines(zsr: Zsr) -> list[str]:
    return zsr("plan", "100-0").out.splitlines()


@pytest.mark.usefixtures("shows")
def test_a_run_that_would_go_ahead_is_status_0_with_its_volumes_and_what_goes_and_stays(zsr: Zsr) -> None:
    said = zsr.well("plan", "100-0").out

    assert said.startswith("job 100-0: guest 100 (web), alpha -> beta\n")
    assert "Volume              Action       Base  Bytes     Flags\n" in said
    assert "data:vm-100-disk-0  incremental  old   12.0 MiB  -L -c -I\n" in said
    gone, stays = said.split("\nDestroys:\n")[1].split("\nKeeps:\n")
    assert "after the proof  beta  pool/vm-100-disk-0@old  proven stays  keep = 1 does not need it" in gone
    assert "never  beta  pool/vm-100-disk-9  vanished is not gone  its volume vanished" in stays
    assert said.endswith("\nA run would go ahead.\n")


def test_a_replica_in_its_grace_is_shown_with_its_end(zsr: Zsr, shows: Shows) -> None:
    shows(replace(PREVIEW, destructions=(replace(ORPHAN, until=1_800_000_000.0),)))

    assert re.search(r"^not before 2027-01-15_\S+  beta  pool/vm-100-disk-9 ", zsr.well("plan", "100-0").out, re.M)
    [one] = zsr.well("plan", "100-0", "--format", "json").json["destructions"]
    assert (one["when"], one["permitted"], one["until"]) == ("never", False, 1_800_000_000.0)


def test_a_run_that_would_be_refused_is_status_1_with_the_sentence_and_the_advice(zsr: Zsr, shows: Shows) -> None:
    shows(replace(PREVIEW, volumes=(CONFLICT,)))

    said = zsr("plan", "100-0")

    assert said.exit == 1
    assert "  data:vm-100-disk-0: target_active: Dataset 'pool/x' is somebody's. Adopt it.\n" in said.out
    assert said.out.endswith("\nA run would be refused, and send nothing new.\n")


def test_nothing_to_send_is_said(zsr: Zsr, shows: Shows) -> None:
    shows(replace(PREVIEW, volumes=(replace(DISK, does=Does.UNCHANGED, bytes=0, flags=()),)))

    assert lines(zsr)[-1] == "A run would send nothing: nothing was written."


def test_bytes_that_are_not_known_are_a_hyphen(zsr: Zsr, shows: Shows) -> None:
    shows(replace(PREVIEW, volumes=(replace(DISK, bytes=None),)))

    assert "incremental  old   -      -L -c -I" in "\n".join(lines(zsr))


def test_preparations_and_half_received_states_have_lines(zsr: Zsr, shows: Shows) -> None:
    step = PreparationStep("rename", "pool/old", "pool/new")
    resume = Resume("tank/vm-100-disk-0@half", 1 << 20)
    shows(replace(PREVIEW, volumes=(replace(DISK, preparations=(step,), resume=resume),)))

    found = lines(zsr)

    assert "  rename pool/old -> pool/new" in found
    assert "  data:vm-100-disk-0: the transfer of tank/vm-100-disk-0@half is resumed, 1.0 MiB are left" in found


def test_of_many_that_go_for_one_reason_a_person_sees_the_first_and_a_script_all(zsr: Zsr, shows: Shows) -> None:
    many = tuple(replace(OLD, what=f"pool/vm-100-disk-0@{number}") for number in range(40))
    shows(replace(PREVIEW, destructions=many))

    found = "\n".join(lines(zsr))

    assert "@0 " in found
    assert "and 38 more of it" in found
    assert "@39 " not in found
    assert len(zsr.well("plan", "100-0", "--format", "json").json["destructions"]) == 40


def test_scripts_get_json(zsr: Zsr, shows: Shows) -> None:
    shows(replace(PREVIEW, volumes=(replace(DISK, preparations=(PreparationStep("promote", "pool/a"),)), CONFLICT)))

    said = zsr("plan", "100-0", "--format", "json")

    assert (said.exit, said.json["goes_ahead"], said.json["unchanged"]) == (1, False, False)
    assert {key: said.json[key] for key in ("job", "guest", "guest_name", "source", "target")} == {
        "job": "100-0", "guest": 100, "guest_name": "web", "source": "alpha", "target": "beta",
    }  # fmt: skip
    first, second = said.json["volumes"]
    assert first == {
        "volume": "data:vm-100-disk-0", "source": "tank/vm-100-disk-0", "target": "pool/vm-100-disk-0",
        "action": "incremental", "base": "@old", "bytes": 12 << 20, "flags": ["-L", "-c", "-I"],
        "properties": {"readonly": "on"}, "ignored_properties": [], "resume": None, "conflict": None,
        "preparations": [{"step": "promote", "dataset": "pool/a", "to": None}],
    }  # fmt: skip
    assert second["conflict"] == {
        "error_class": "target_active", "message": "Dataset 'pool/x' is somebody's.", "advice": "Adopt it.",
    }  # fmt: skip
    assert said.json["destructions"][0] == {
        "what": "pool/vm-100-disk-0@old", "node": "beta", "when": "after the proof", "permitted": True,
        "law": "proven stays", "why": "keep = 1 does not need it", "until": None,
    }  # fmt: skip


@pytest.mark.usefixtures("shows")
class TestMemory:
    def test_what_the_node_remembers_is_what_a_run_would_remember(self, zsr: Zsr, asked: list[RunContext]) -> None:
        known = Synced(NOW, int(NOW), KnownSets(int(NOW), (), (int(NOW),)))
        with closing(zsr.state()) as state:
            state.jobs.set_synced(JOB, known, run=succeed(state, NOW), now=NOW)

        zsr.well("plan", "100-0")

        assert [(each.remembered, each.last_run_failed) for each in asked] == [(known, False)]

    def test_without_a_state_nothing_is_remembered_and_none_is_created(self, zsr: Zsr, asked: list[RunContext]) -> None:
        found = lines(zsr)

        assert [(each.remembered, each.last_run_failed) for each in asked] == [(Synced(), True)]
        assert found[1] == "Note: alpha remembers no run of job 100-0."
        assert not (zsr.folder / "state").exists()

    def test_a_run_that_is_going_on_is_said(self, zsr: Zsr) -> None:
        with closing(zsr.state()) as state:
            state.runs.begin(JobId(100, 7), NOW, owner=this_process(), missed=0)
            state.runs.begin(JobId(101, 0), NOW, owner=this_process(), missed=0)

        notes = zsr.well("plan", "100-0", "--format", "json").json["notes"]

        assert notes[0] == (
            "A run of job 100-7 is going on since 2027-01-15_08:00:00: both sides change while they are listed."
        )
        assert "101-0" not in str(notes)

    def test_a_run_that_was_cut_off_is_not_going_on(self, zsr: Zsr) -> None:
        with closing(zsr.state()) as state:
            state.runs.begin(JOB, NOW, owner="another process", missed=0)

        assert zsr.well("plan", "100-0", "--format", "json").json["notes"] == []

    def test_a_disabled_job_is_planned_with_a_note(self, zsr: Zsr) -> None:
        zsr.well("disable", "100-0")

        assert "Note: Job 100-0 is disabled: no run starts before zsr enable 100-0." in lines(zsr)


class TestWrongUse:
    @pytest.mark.parametrize(
        ("job", "sentence"),
        [
            ("100-7", "There is no job 100-7."),
            ("100", "'100' is not a job id."),
            ("200-0", "Job 200-0 belongs to node beta, not to alpha. Run it there."),
        ],
    )
    def test_is_a_sentence_and_status_2(self, zsr: Zsr, job: str, sentence: str) -> None:
        zsr.well("create-local-job", "200-0", "gamma")

        said = zsr("plan", job)

        assert (said.exit, said.out) == (2, "")
        assert sentence in said.err

    def test_a_job_that_is_being_removed_has_no_run_to_plan(self, zsr: Zsr) -> None:
        zsr.well("delete", "100-0")

        said = zsr("plan", "100-0")

        assert (said.exit, said.out) == (2, "")
        assert "Job 100-0 is being removed" in said.err

    def test_a_guest_that_is_gone_from_the_cluster_is_a_sentence(self, zsr: Zsr) -> None:
        text = zsr.cluster_path.read_text()
        zsr.cluster_path.write_text(text.replace('[guests.100]\nname = "web"\nnode = "alpha"\n', ""))

        said = zsr("plan", "100-0")

        assert said.exit == 2
        assert "Guest 100 is not in the cluster file any more. Put it back, or remove the job" in said.err
