"""A full copy that takes long, and the jobs of other guests that are due meanwhile."""

from __future__ import annotations

from functools import partial

import pytest

from tests.lab.scenario import A, Scenario

pytestmark = pytest.mark.sampled(9)


def test_a_job_keeps_its_schedule_while_another_guest_is_sent_in_full(bare: Scenario) -> None:
    bare.source.run("zfs create -V 8M tank/data/vm-101-disk-0 && udevadm settle")
    bare.cluster("[guests.100]", '[guests.101]\nname = "db"\nnode = "node1"\n[guests.100]')
    bare.zsr("create-local-job", "101-0", "node2", "--schedule", "*/1")
    bare.zsr("run", "--id", "101-0")
    bare.zvol(A, 96)
    bare.job("--rate", "1")

    bare.daemon()
    bare.until(lambda: (bare.metric("zsr_job_transfer_bytes") or 0) > 0, "the full copy is under way")
    before = runs(bare)
    for more in (1, 2):
        bare.source.set_clock((bare.source.clock() // 60 + 1) * 60 + 1)
        bare.until(partial(ran, bare, before + more), "the other job ran")
    assert bare.metric("zsr_job_transfer_bytes"), "the full copy is still under way"


def runs(scene: Scenario) -> int:
    """How many runs of the other guest's job succeeded."""
    return int(scene.metric("zsr_job_runs_total", zsr_job="101-0", outcome="success") or 0)


def ran(scene: Scenario, wanted: int) -> bool:
    """Whether there have been so many."""
    return runs(scene) >= wanted
