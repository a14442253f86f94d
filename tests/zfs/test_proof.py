"""Nothing is claimed and nothing older goes before the proof, whatever others do to either side during a run."""

from __future__ import annotations

import pytest

from replicator.errors import NoSpaceError, SupersededError, TargetActiveError, ZfsError
from replicator.replication.progress import Step
from tests.support.pools import Pools
from tests.support.replication_env import Killed, Meddled, ReplicationEnv

A, B = "subvol-100-disk-0", "subvol-100-disk-1"


class Site(ReplicationEnv):
    """A guest with two volumes, replicated once, and written to since."""

    def newest(self, path: str, name: str = A) -> str:
        """The full name of a dataset's newest snapshot."""
        return f"{path}/{name}@{self.snapshots(f'{path}/{name}')[-1]}"

    def sets(self) -> list[list[str]]:
        """The snapshots of the first volume on both sides."""
        return [self.snapshots(f"{path}/{A}") for path in (self.source, self.target)]

    def stamp(self, name: str) -> None:
        """Let another node take a replica over."""
        for key, value in (("owner", "gamma"), ("epoch", "9")):
            self.zfs("set", f"zsr:{key}={value}", f"{self.target}/{name}")


@pytest.fixture
async def site(pools: Pools) -> Site:
    site = Site(pools)
    site.volume(0)
    site.volume(1)
    await site.run()
    site.pools.sandbox.fill(f"{site.source}/{A}", 100_000, seed=7)
    return site


async def test_a_new_set_that_is_gone_before_the_proof_is_not_claimed_and_nothing_older_goes(site: Site) -> None:
    [[old], _], claim = site.sets(), site.synced.last_sync
    gone = Meddled(Step.PROVE, lambda: site.zfs("destroy", site.newest(site.target, B)))
    with pytest.raises(ZfsError, match="is not on node beta after its transfer"):
        await site.run(progress=gone)
    assert {each.last_sync for each in site.remembered[1:]} == {claim}
    assert [names[0] for names in site.sets()] == [old, old]


async def test_the_older_set_stays_on_the_source_while_the_new_one_cannot_be_remembered(site: Site) -> None:
    [[old], _] = site.sets()

    def fill_the_disk() -> None:
        site.memory_fails = True

    with pytest.raises(NoSpaceError):
        await site.run(progress=Meddled(Step.PROVE, fill_the_disk))
    assert site.sets()[0][0] == old
    site.memory_fails = False
    await site.run()
    assert site.equal(A, B)


async def test_a_volume_that_could_not_be_sent_fails_the_run_with_its_own_reason(site: Site) -> None:
    def get_in_the_way() -> None:
        site.zfs("destroy", "-r", f"{site.target}/{B}")
        site.zfs("create", f"{site.target}/{B}")

    with pytest.raises(ZfsError, match="is no replica of job 100-0"):
        await site.run(progress=Meddled(Step.TRANSFER, get_in_the_way))


async def test_others_sets_are_remembered_as_brought_before_they_arrive(site: Site) -> None:
    """Else a run that dies would leave them there as somebody's, forever."""
    others = f"{site.source}/{A}@__replicate_101-0_1000__"
    site.zfs("snapshot", others)
    with pytest.raises(Killed):
        await site.run(stop_before=Step.TRANSFER)
    assert site.guid(others) in site.synced.sets.sent


async def test_what_is_written_to_a_replica_during_a_run_is_kept_aside(site: Site) -> None:
    replica = f"{site.target}/{A}"

    def write() -> None:
        site.zfs("set", "readonly=off", replica)
        site.zfs("mount", replica)
        site.pools.sandbox.fill(replica, 1000, seed=9)
        site.zfs("unmount", replica)
        site.zfs("set", "readonly=on", replica)

    await site.run(progress=Meddled(Step.TRANSFER, write))
    assert site.equal(A, B)
    assert [name for name in site.datasets() if name.startswith("zsr-diverged/")] != []


async def test_a_reseed_swaps_nothing_that_is_not_proven(site: Site) -> None:
    old = site.guid(f"{site.target}/{A}")
    new = f"{site.target}/zsr-diverged/{A}-reseed"
    gone = Meddled(Step.PROVE, lambda: site.zfs("destroy", "-r", new))
    with pytest.raises(ZfsError, match="is not on node beta after its transfer"):
        await site.reseed(f"data:{A}", progress=gone)
    assert site.guid(f"{site.target}/{A}") == old


async def test_a_reseed_swaps_no_volume_of_a_guest_that_another_node_took_over_meanwhile(site: Site) -> None:
    old = site.guid(f"{site.target}/{A}")
    with pytest.raises(SupersededError):
        await site.reseed(progress=Meddled(Step.PROVE, lambda: site.stamp(B)))
    assert site.guid(f"{site.target}/{A}") == old


async def test_a_reseed_puts_no_replica_aside_that_is_made_writable_at_the_last_moment(site: Site) -> None:
    old = site.guid(f"{site.target}/{A}")
    take = Meddled(Step.ASIDE, lambda: site.zfs("set", "readonly=off", f"{site.target}/{A}"))
    with pytest.raises(TargetActiveError):
        await site.reseed(f"data:{A}", progress=take)
    assert site.guid(f"{site.target}/{A}") == old


async def test_a_reseed_does_not_make_the_last_sync_older_while_it_goes_on(site: Site) -> None:
    claim = site.synced.last_sync
    with pytest.raises(Killed):
        await site.reseed(stop_before=Step.TRANSFER)
    assert {each.last_sync for each in site.remembered} == {None, claim}
    assert site.synced.last_sync == claim
    assert site.remembered[0].last_sync is None


async def test_a_reseed_begins_with_nothing_that_is_aside(site: Site) -> None:
    """What a person sends again may be damaged there."""
    site.zfs("snapshot", f"{site.source}/{A}@mine")
    await site.run()
    await site.reseed(f"data:{A}")
    assert any("mine" in site.snapshots(f"{site.target}/{name}") for name in site.datasets() if "diverged/" in name)
    site.zfs("destroy", "-r", f"{site.target}/{A}")
    result = await site.reseed(f"data:{A}")
    assert result.sent_bytes > 1 << 20
    assert site.property(f"{site.target}/{A}", "origin") == "-"
