"""``zsr reseed`` on a real ZFS: new replicas next to the old ones, swapped after the proof, killed at each step."""

from __future__ import annotations

import pytest

from replicator.errors import ConfigError, TargetActiveError
from replicator.replication.progress import Step
from tests.support.pools import Pools
from tests.support.replication_env import Killed, ReplicationEnv

A, B = "subvol-100-disk-0", "subvol-100-disk-1"
STEPS = [
    (Step.LOOK, 1), (Step.SNAPSHOT, 1), (Step.PLAN, 1), (Step.TRANSFER, 1), (Step.TRANSFER, 2), (Step.PROVE, 1),
    (Step.ASIDE, 1), (Step.SWAP, 1), (Step.ASIDE, 2), (Step.SWAP, 2), (Step.PROVE, 2), (Step.REMEMBER, 1),
    (Step.TIDY, 1),
]  # fmt: skip
"""Each step of a reseed of two volumes."""


class Site(ReplicationEnv):
    """A guest with two volumes, replicated once."""

    def replicas(self) -> dict[str, int]:
        """The GUIDs of the replicas."""
        return {name: self.guid(f"{self.target}/{name}") for name in (A, B)}

    def asides(self) -> list[str]:
        """The datasets that are kept aside."""
        return [name for name in self.datasets() if name.startswith("zsr-diverged/") and not name.endswith("-reseed")]

    def begun(self) -> list[str]:
        """The new replicas in the making."""
        return [name for name in self.datasets() if name.endswith("-reseed")]

    def write(self, name: str, seed: int) -> None:
        """Change a volume."""
        self.pools.sandbox.fill(f"{self.source}/{name}", 100_000, seed=seed)


@pytest.fixture
async def site(pools: Pools) -> Site:
    site = Site(pools)
    site.volume(0)
    site.volume(1)
    await site.run()
    return site


async def test_a_volume_is_sent_in_full_into_a_new_dataset_that_takes_the_replicas_place(site: Site) -> None:
    old = site.replicas()

    result = await site.reseed(f"data:{A}")

    new = site.replicas()
    assert (new[A] != old[A], new[B] == old[B]) == (True, True)
    assert result.sent_bytes > 1 << 20
    assert site.equal(A, B)
    assert site.property(f"{site.target}/{A}", "zsr:job") == "100-0"
    assert site.property(f"{site.target}/{A}", "readonly") == "on"
    assert site.begun() == []
    [kept] = site.asides()
    assert site.guid(f"{site.target}/{kept}") == old[A]
    assert site.synced.last_sync == result.last_sync


async def test_afterwards_runs_go_on_incrementally_and_the_old_replica_stays(site: Site) -> None:
    await site.reseed()
    kept = {name: site.snapshots(f"{site.target}/{name}") for name in site.asides()}
    site.write(A, 7)

    result = await site.run()

    assert result.sent_bytes < 1 << 20
    assert site.equal(A, B)
    assert len(kept) == 2
    assert {name: site.snapshots(f"{site.target}/{name}") for name in site.asides()} == kept
    name = f"__replicate_100-0_{result.last_sync:.0f}__"
    assert [site.snapshots(f"{path}/{A}") for path in (site.source, site.target)] == [[name], [name]]


@pytest.mark.sampled(4)
@pytest.mark.parametrize(("step", "nth"), STEPS, ids=str)
async def test_one_that_was_killed_is_finished_by_the_same_command(site: Site, step: Step, nth: int) -> None:
    old = site.replicas()
    with pytest.raises(Killed):
        await site.reseed(stop_before=step, nth=nth)

    result = await site.reseed()

    new = site.replicas()
    assert not {*new.values()} & {*old.values()}
    assert site.equal(A, B)
    assert site.begun() == []
    assert {*old.values()} <= {site.guid(f"{site.target}/{name}") for name in site.asides()}
    assert site.synced.last_sync == result.last_sync


@pytest.mark.sampled(4)
@pytest.mark.parametrize(("step", "nth"), STEPS, ids=str)
async def test_one_that_was_killed_does_no_harm_to_the_runs_after_it(site: Site, step: Step, nth: int) -> None:
    proven = site.synced.last_sync
    with pytest.raises(Killed):
        await site.reseed(stop_before=step, nth=nth)
    site.write(A, 7)
    site.remembered.clear()

    for seed in (8, 9):
        result = await site.run()
        assert result.sent_bytes < 1 << 20
        assert site.equal(A, B)
        site.write(B, seed)

    assert all(state.last_sync is not None and state.last_sync >= (proven or 0) for state in site.remembered)
    await site.run()
    await site.reseed()
    assert site.equal(A, B)
    assert site.begun() == []


async def test_what_has_arrived_is_not_sent_again_although_runs_came_between(site: Site) -> None:
    with pytest.raises(Killed):
        await site.reseed(stop_before=Step.PROVE)
    for seed in (7, 8, 9):
        site.write(A, seed)
        await site.run()
    assert len(site.begun()) == 2

    result = await site.reseed()

    assert result.sent_bytes < 1 << 20
    assert site.equal(A, B)


async def test_volumes_that_were_swapped_before_the_kill_are_not_sent_again(site: Site) -> None:
    with pytest.raises(Killed):
        await site.reseed(stop_before=Step.SWAP, nth=2)
    swapped = site.guid(f"{site.target}/{A}")

    await site.reseed()

    assert site.replicas()[A] == swapped
    assert len(site.asides()) == 2


async def test_the_base_of_an_old_replica_stays_although_its_set_was_never_whole(pools: Pools) -> None:
    site = Site(pools)
    site.volume(0)
    site.volume(1)
    with pytest.raises(Killed):
        await site.run(stop_before=Step.TRANSFER, nth=2)
    with pytest.raises(Killed):
        await site.reseed(f"data:{A}", stop_before=Step.TRANSFER)

    result = await site.run()

    assert result.sent_bytes < 3 << 19
    assert site.equal(A, B)
    assert site.asides() == []


async def test_a_replica_that_is_in_use_is_left_where_it_is(site: Site) -> None:
    site.zfs("set", "readonly=off", f"{site.target}/{A}")
    before = site.datasets()

    with pytest.raises(TargetActiveError, match="writable"):
        await site.reseed(f"data:{A}")

    assert site.datasets() == before


async def test_a_replica_that_is_made_writable_meanwhile_keeps_its_place(site: Site) -> None:
    old = site.replicas()
    with pytest.raises(Killed):
        await site.reseed(f"data:{A}", stop_before=Step.PROVE)
    site.zfs("set", "readonly=off", f"{site.target}/{A}")

    with pytest.raises(TargetActiveError, match="writable"):
        await site.reseed(f"data:{A}")

    assert site.replicas() == old


async def test_a_dataset_of_somebody_below_a_replica_is_not_moved_along(site: Site) -> None:
    site.zfs("create", f"{site.target}/{A}/mine")

    with pytest.raises(ConfigError, match="lies below"):
        await site.reseed(f"data:{A}")


async def test_a_volume_that_the_guest_does_not_have_is_refused(site: Site) -> None:
    with pytest.raises(ConfigError, match="not a volume of guest 100"):
        await site.reseed("data:subvol-100-disk-7")


async def test_a_replica_that_was_lost_is_sent_anew_without_an_aside(site: Site) -> None:
    site.zfs("destroy", "-r", f"{site.target}/{A}")

    await site.reseed(f"data:{A}")

    assert site.equal(A, B)
    assert site.asides() == []
