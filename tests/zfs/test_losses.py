"""Ways to lose a replica, or what is below or on it, that must not work: on real ZFS."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from replicator.errors import ZsrError
from replicator.hosts.host import Completed
from replicator.hosts.local import LocalHost
from replicator.models import KnownSets
from replicator.replication.destruction import decide_rollback
from replicator.replication.provenance import Direction
from replicator.zfs.client import ZfsClient
from replicator.zfs.snapshot_names import snapshot_name
from tests.support.command_line import Zsr
from tests.support.pools import Pools
from tests.support.replication_env import JOB, ReplicationEnv
from tests.support.verbs_env import NAME, VerbsEnv

GONE = "subvol-100-disk-1"


@pytest.fixture
def site(pools: Pools, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> VerbsEnv:
    """A guest with two volumes that were replicated; the job destroys the replicas of vanished volumes at once."""
    found = VerbsEnv(pools, Zsr.on_alpha(tmp_path, capsys, monkeypatch))
    found.zfs("create", f"{found.source}/{GONE}")
    found.zsr.well("update", "100-0", "--grace", "0")
    found.zsr.well("run", "--id", "100-0")
    return found


def run(site: VerbsEnv) -> None:
    site.change()
    site.zsr.well("run", "--id", "100-0")


def test_a_replica_that_was_kept_when_its_job_was_deleted_is_not_the_new_jobs_to_destroy(site: VerbsEnv) -> None:
    site.zsr.well("delete", "100-0", "--force")
    site.zfs("destroy", "-r", f"{site.source}/{GONE}")
    site.zsr.well("create-local-job", "100-0", "beta", "--grace", "0")
    for _ in range(2):
        run(site)

    assert f"{site.target}/{GONE}" in site.names(site.target)
    [found] = site.zsr.well("vanished", "list", "--format", "json").json
    assert "does not know" in found["kept"]


def test_a_replica_of_another_cluster_with_the_same_numbers_and_node_names_is_not_destroyed(site: VerbsEnv) -> None:
    other, there = f"{site.source}/other", f"{site.target}/subvol-100-disk-7"
    site.zfs("create", other)
    site.zfs("snapshot", f"{other}@__replicate_100-0_1700000000__")
    site.pipe(f"zfs send {other}@__replicate_100-0_1700000000__ | zfs receive -u {there}")
    for mark in ("readonly=on", "zsr:source=alpha", "zsr:job=100-0"):
        site.zfs("set", mark, there)
    site.zfs("destroy", "-r", other)
    for _ in range(2):
        run(site)

    assert there in site.names(site.target)


@pytest.mark.parametrize("end", ["grace", "removal"])
def test_a_snapshot_that_another_zsr_took_of_the_replica_is_kept_with_it(site: VerbsEnv, end: str) -> None:
    theirs = f"{site.target}/{GONE}@__replicate_900-0_1700000000__"
    site.zfs("snapshot", theirs)
    guid = site.zfs("get", "-Hp", "-o", "value", "guid", theirs).strip()
    site.zfs("destroy", "-r", f"{site.source}/{GONE}")
    if end == "grace":
        run(site)
    else:
        site.zsr.well("vanished", "destroy", "100-0", f"{site.target}/{GONE}", "--yes")

    kept = site.zfs("get", "-Hp", "-r", "-o", "value", "guid", site.target).split()
    assert guid in kept


class TestWhatLiesBelowAReplica:
    def test_is_not_set_aside_with_it(self, site: VerbsEnv) -> None:
        below = f"{site.target}/{NAME}/mine"
        site.zfs("create", "-o", "mountpoint=none", below)
        site.zfs("snapshot", f"{site.source}/{NAME}@before")
        run(site)
        site.zfs("rollback", "-r", f"{site.source}/{NAME}@before")
        site.change()
        site.zsr("run", "--id", "100-0")

        assert below in site.names(site.target)

    def test_is_not_set_aside_with_a_vanished_one(self, site: VerbsEnv) -> None:
        below = f"{site.target}/{GONE}/mine"
        site.zfs("create", "-o", "mountpoint=none", below)
        site.zfs("snapshot", f"{site.target}/{GONE}@somebodys")
        site.zfs("destroy", "-r", f"{site.source}/{GONE}")
        run(site)

        assert below in site.names(site.target)
        assert f"{site.target}/{GONE}" in site.names(site.target)


def test_a_vanished_volume_with_a_deep_name_is_seen_and_its_replica_can_be_destroyed(site: VerbsEnv) -> None:
    deep = ("x/y/three", "x/y/z/four")
    text = site.zsr.cluster_path.read_text()
    for name in deep:
        site.zfs("create", "-p", f"{site.source}/{name}")
    listed = ", ".join(f'"data:{name}"' for name in (NAME, *deep))
    site.zsr.cluster_path.write_text(text.replace('node = "alpha"\n', f'node = "alpha"\nvolumes = [{listed}]\n', 1))
    run(site)
    for name in deep:
        site.zfs("destroy", "-r", f"{site.source}/{name}")
    site.zsr.cluster_path.write_text(
        text.replace('node = "alpha"\n', f'node = "alpha"\nvolumes = ["data:{NAME}"]\n', 1)
    )
    run(site)

    for name in deep:
        assert f"{site.target}/{name}" not in site.names(site.target)


class Raced(LocalHost):
    """A node on which somebody takes a snapshot right before a rollback."""

    site: ReplicationEnv
    theirs = ""

    async def run(self, argv: Sequence[str], *, limit: float, stdin: str = "") -> Completed:
        if list(argv[:2]) == ["zfs", "rollback"]:
            self.site.zfs("snapshot", self.theirs)
        return await super().run(argv, limit=limit, stdin=stdin)


async def test_a_snapshot_that_is_taken_in_the_moment_of_a_rollback_stays(pools: Pools) -> None:
    site = ReplicationEnv(pools)
    there = f"{site.target}/{site.volume(0)}"
    await site.run()
    [first] = site.snapshots(there)
    site.zfs("snapshot", f"{there}@{snapshot_name(JOB.id, 99)}")
    host = Raced("beta")
    host.site, host.theirs = site, f"{there}@somebodys"
    client = ZfsClient(host, limit=60)
    replica = (await client.inventory(there)).datasets[there]
    base = replica.named(first)
    assert base is not None
    permit = decide_rollback(Direction(JOB.id, "alpha", "beta", KnownSets(proven=1, taken=(99,))), replica, base)
    assert permit is not None
    with pytest.raises(ZsrError):
        await client.rollback(permit)

    assert site.snapshots(there) == [first, "somebodys"]
