"""``zsr plan`` between two pools of this machine: it changes nothing, and the run after it does what it said."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from demo.engine import run_patiently
from replicator.models import JobId, Synced
from tests.support.command_line import Zsr
from tests.support.pools import Pools
from tests.support.verbs_env import NAME, VerbsEnv

JOB = JobId(100, 0)


class PlanEnv(VerbsEnv):
    """A site of which everything can be compared."""

    def everything(self) -> list[str]:
        """Every dataset and snapshot of both pools with all its properties, and all that the state remembers."""
        pools = [path.partition("/")[0] for path in (self.source, self.target)]
        lines = self.zfs("get", "-Hp", "-r", "-o", "name,property,value,source", "all", *pools).splitlines()
        volatile = ("available", "used")  # the pool itself frees and writes blocks in the background
        return [line for line in lines if line.split("\t")[1] not in volatile] + self._remembered()

    def _remembered(self) -> list[str]:
        path = self.zsr.folder / "state" / "state.db"
        if not path.exists():
            return [f"{path.parent.exists()}"]
        with closing(sqlite3.connect(path)) as db:
            return list(db.iterdump())

    def all_names(self) -> set[str]:
        """All datasets and snapshots below both storages."""
        lines = self.zfs("list", "-H", "-t", "all", "-o", "name", "-r", self.source, self.target)
        return set(lines.splitlines())

    def plan(self) -> Any:
        """The plan, as JSON, not in the second of the newest set; it changed nothing."""
        time.sleep(1.1)
        before = self.everything()
        said = self.zsr("plan", "100-0", "--format", "json")
        assert self.everything() == before
        assert said.exit == (0 if said.json["goes_ahead"] else 1)
        return said.json

    def run(self) -> list[str]:
        """A run, which succeeds; the lines of its log."""
        self.zsr.well("run", "--id", "100-0")
        return self.zsr.well("log", "100-0").out.splitlines()

    def set_of_one_volume(self) -> str:
        """A set of which a failed run sent one volume, gone from the source since; the name of its snapshot."""
        with closing(self.zsr.state()) as state:
            known = state.jobs.all()[JOB]
            at = known.synced.last_set + 1 if known.synced.last_set else 0
            sets = state.jobs.with_sent(JOB, replace(known.sets, taken=(*known.sets.taken, at)))
            state.jobs.set_synced(JOB, Synced(known.last_sync, known.synced.last_set, sets), run=1, now=float(at))
        name, [base] = f"__replicate_100-0_{at}__", self.snapshots(f"{self.source}/{NAME}")
        self.zfs("snapshot", f"{self.source}/{NAME}@{name}")
        self.send(f"{self.source}/{NAME}", base, name, f"{self.target}/{NAME}")
        self.zfs("destroy", f"{self.source}/{NAME}@{name}")
        time.sleep(max(0.0, at + 1 - time.time()))  # the next set is of a later second
        return name


def permitted(plan: Any) -> set[str]:
    return {each["what"] for each in plan["destructions"] if each["permitted"]}


def kept(plan: Any) -> dict[str, str]:
    """What the run leaves, with the law that says so."""
    return {each["what"]: each["law"] for each in plan["destructions"] if not each["permitted"]}


def actions(plan: Any) -> list[str]:
    return [volume["action"] for volume in plan["volumes"]]


@pytest.fixture
def site(pools: Pools, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> PlanEnv:
    return PlanEnv(pools, Zsr.on_alpha(tmp_path, capsys, monkeypatch))


def test_before_the_first_run_everything_is_sent_in_full_and_no_state_is_created(site: PlanEnv) -> None:
    plan = site.plan()

    [volume] = plan["volumes"]
    assert (volume["action"], volume["base"], volume["target"]) == ("full", None, f"{site.target}/{NAME}")
    assert volume["properties"]["readonly"] == "on"
    assert permitted(plan) == set()
    assert plan["notes"] == ["alpha remembers no run of job 100-0."]
    assert any(": full, " in line for line in site.run())


def test_what_is_planned_to_be_sent_and_destroyed_is_what_the_run_sends_and_destroys(site: PlanEnv) -> None:
    site.run()
    [first] = site.snapshots(f"{site.target}/{NAME}")
    site.change()

    plan = site.plan()
    before = site.all_names()
    log = site.run()

    [volume] = plan["volumes"]
    assert (volume["action"], volume["base"]) == ("incremental", f"@{first}")
    assert any(f"incremental from {first}" in line for line in log)
    sent = next(line for line in log if "zfs send" in line)
    assert [word for word in sent.partition("zfs send")[2].partition("|")[0].split() if word[0] == "-"] == (
        volume["flags"]
    )
    assert before - site.all_names() == permitted(plan) == {f"{path}/{NAME}@{first}" for path in site.paths}


def test_a_restore_point_that_keep_needs_is_not_planned_to_go(site: PlanEnv) -> None:
    site.zsr.well("update", "100-0", "--keep", "2")
    site.run()
    [first] = site.snapshots(f"{site.target}/{NAME}")
    site.change()

    plan = site.plan()
    before = site.all_names()
    site.run()

    assert before - site.all_names() == permitted(plan) == {f"{site.source}/{NAME}@{first}"}


def test_the_rollback_of_a_set_that_was_never_proven_names_what_it_destroys(site: PlanEnv) -> None:
    site.zfs("create", f"{site.source}/subvol-100-disk-1")
    site.run()
    name = site.set_of_one_volume()

    plan = site.plan()
    before = site.all_names()
    log = site.run()

    lost = f"{site.target}/{NAME}@{name}"
    [rollback] = [each for each in plan["destructions"] if each["what"] == lost]
    assert (rollback["when"], rollback["law"], rollback["node"]) == ("before the transfer", "proven stays", "beta")
    assert [step["step"] for step in plan["volumes"][0]["preparations"]] == ["rollback"]
    assert any("rolling the replica back" in line for line in log)
    assert before - site.all_names() == permitted(plan)


def test_a_replica_that_differs_is_planned_to_be_kept_aside_and_is(site: PlanEnv) -> None:
    site.run()
    site.zfs("snapshot", f"{site.target}/{NAME}@somebodys")
    site.change()

    plan = site.plan()
    site.run()

    steps = plan["volumes"][0]["preparations"]
    assert [step["step"] for step in steps] == ["set-aside", "clone", "promote"]
    [aside] = [name for name in site.names(site.target) if "/zsr-diverged/" in name]
    assert steps[0]["to"] == f"{aside.rpartition('-')[0]}-TIME"
    assert kept(plan)[f"{site.target}/{NAME}"] == "the only copy"
    assert site.snapshots(aside) == ["somebodys"]


def test_a_replica_whose_volume_vanished_is_kept(site: PlanEnv) -> None:
    site.zfs("create", f"{site.source}/subvol-100-disk-9")
    site.run()
    site.zfs("destroy", "-r", f"{site.source}/subvol-100-disk-9")
    site.change()

    plan = site.plan()
    site.run()

    assert kept(plan) == {f"{site.target}/subvol-100-disk-9": "vanished is not gone"}
    assert f"{site.target}/subvol-100-disk-9" in site.names(site.target)


def test_a_renamed_volume_renames_its_replica(site: PlanEnv) -> None:
    site.run()
    site.zfs("unmount", f"{site.source}/{NAME}")
    run_patiently("zfs", "rename", f"{site.source}/{NAME}", f"{site.source}/subvol-100-disk-5")
    site.zfs("mount", f"{site.source}/subvol-100-disk-5")
    site.change_in("subvol-100-disk-5")

    plan = site.plan()
    site.run()

    there = f"{site.target}/{NAME}", f"{site.target}/subvol-100-disk-5"
    assert plan["volumes"][0]["preparations"] == [{"step": "rename", "dataset": there[0], "to": there[1]}]
    assert [name in site.names(site.target) for name in there] == [False, True]


@pytest.mark.parametrize("spoil", [VerbsEnv.by_hand, lambda site: site.zfs("create", f"{site.target}/{NAME}")])
def test_a_dataset_of_somebody_is_refused_as_the_run_refuses_it(
    site: PlanEnv, spoil: Callable[[VerbsEnv], object]
) -> None:
    spoil(site)

    plan = site.plan()

    assert (plan["goes_ahead"], actions(plan), permitted(plan)) == (False, ["conflict"], set())
    assert site.zsr("run", "--id", "100-0").exit == 1
    log = site.zsr.well("log", "100-0").out
    conflict = plan["volumes"][0]["conflict"]
    assert f"{conflict['error_class']}: {conflict['message']} {conflict['advice']}" in log


def test_the_replica_of_another_tool_is_ready_when_it_was_adopted(site: PlanEnv) -> None:
    site.by_hand()
    site.zsr.well("adopt", "100-0", "--yes")

    plan = site.plan()
    site.run()

    assert plan["volumes"][0]["base"] == "@by hand"
    assert permitted(plan) == set()
    assert "by hand" in site.snapshots(f"{site.target}/{NAME}")


def test_a_person_reads_it_as_tables(site: PlanEnv) -> None:
    site.run()
    [first] = site.snapshots(f"{site.target}/{NAME}")
    site.change()
    time.sleep(1.1)  # not in the second of the newest set

    said = site.zsr.well("plan", "100-0").out.splitlines()

    assert said[0] == "job 100-0: guest 100 (web), alpha -> beta"
    assert said[1].split() == ["Volume", "Action", "Base", "Bytes", "Flags"]
    assert said[2].split()[:3] == [f"data:{NAME}", "incremental", first]
    assert any(line.startswith("after the proof  beta ") and f"{site.target}/{NAME}@{first}" in line for line in said)
    assert said[-1] == "A run would go ahead."
