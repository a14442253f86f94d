"""Whose a dataset is on a real ZFS: only marks that were set on it count."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from replicator.cluster.model import Cluster
from replicator.daemon.local_inventory import take_inventory
from replicator.hosts.local import LocalHost
from replicator.zfs.client import ZfsClient
from tests.support.command_line import Zsr
from tests.support.pools import Pools
from tests.support.verbs_env import NAME, VerbsEnv


@pytest.fixture
def site(pools: Pools, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> VerbsEnv:
    return VerbsEnv(pools, Zsr.on_alpha(tmp_path, capsys, monkeypatch))


def local_client() -> ZfsClient:
    return ZfsClient(LocalHost("beta"), limit=60)


class TestMarksThatAReplicaInherits:
    @pytest.fixture
    def below(self, site: VerbsEnv) -> str:
        """A dataset of somebody's below a marked one."""
        site.zsr.well("run", "--id", "100-0")
        site.zfs("set", "zsr:job=100-0", site.target)
        site.zfs("set", "zsr:source=alpha", site.target)
        name = f"{site.target}/subvol-100-disk-7"
        site.zfs("create", name)
        site.zfs("unmount", name)
        site.zfs("set", "readonly=on", name)
        return name

    def test_make_it_no_vanished_one(self, site: VerbsEnv, below: str) -> None:
        site.zsr.well("run", "--id", "100-0")
        assert site.zsr.well("vanished", "list", "--format", "json").json == []
        assert site.zsr("vanished", "destroy", "100-0", below, "--yes").exit == 2
        assert below in site.names(site.target)

    def test_let_no_removal_take_it(self, site: VerbsEnv, below: str) -> None:
        site.zsr.well("delete", "100-0")
        said = site.zsr("run", "--id", "100-0")
        assert said.exit == 0, site.zsr.well("log", "100-0").out
        assert site.names(site.target) == [site.target, below]

    async def test_do_not_make_the_receiving_node_count_it(self, site: VerbsEnv, below: str) -> None:
        cluster: Cluster = site.zsr.cluster
        found = await take_inventory(cluster, [], local_client())
        site.zfs("snapshot", f"{below}@__replicate_100-0_1__")
        again = await take_inventory(cluster, [], local_client())
        assert [each.last_sync for each in again.replicas] == [each.last_sync for each in found.replicas]


class TestMarksThatACopyReceived:
    @pytest.fixture
    def copy(self, site: VerbsEnv) -> str:
        """A copy of the replica in its place, as a restore from a backup makes it."""
        site.zsr.well("run", "--id", "100-0")
        there, backup = f"{site.target}/{NAME}", f"{site.target}/backup"
        [snapshot] = site.snapshots(there)
        site.pipe(f"zfs send -p {there}@{snapshot} | zfs receive -u {backup}")
        site.zfs("destroy", "-r", there)
        site.zfs("rename", backup, there)
        assert site.property(there, "zsr:job") == "100-0\treceived"
        return there

    def test_are_no_leave_to_write_to_it(self, site: VerbsEnv, copy: str) -> None:
        site.change()
        said = site.zsr("run", "--id", "100-0")
        assert said.exit == 1
        assert "its zsr:job was received or inherited" in site.zsr.well("log", "100-0").out
        assert site.property(copy, "zsr:job") == "100-0\treceived"

    def test_are_replaced_by_adoption_so_that_nothing_is_sent_again(self, site: VerbsEnv, copy: str) -> None:
        guid = site.property(copy, "guid")
        site.zsr.well("adopt", "100-0", "--yes")
        site.change()
        site.zsr.well("run", "--id", "100-0")
        assert site.property(copy, "guid") == guid
        assert site.property(copy, "zsr:job") == "100-0\tlocal"


PVESR = "__replicate_100-7_1795427104__"
"""A snapshot as pvesr names it, of a job that zsr does not have."""
ADOPTED = "zsr-adopted_100-7_1795427104"


class TestAReplicaOfProxmoxVE:
    def test_is_shown_with_the_names_that_its_snapshots_get_and_nothing_is_changed(self, site: VerbsEnv) -> None:
        site.by_hand(PVESR)
        there = f"{site.target}/{NAME}"
        line = f"{there}@{PVESR} is another tool's; it becomes @{ADOPTED}"
        said = site.zsr("adopt", "100-0")
        assert (said.exit, line in said.out) == (2, True)
        notes = site.zsr("plan", "100-0", "--format", "json").json["notes"]
        assert f"'{there}@{PVESR}' on beta is another tool's; zsr adopt 100-0 would rename it to @{ADOPTED}." in notes
        assert site.snapshots(there) == [PVESR]

    @pytest.mark.parametrize("snapshot", [PVESR, PVESR.replace("100-7", "100-0")])
    def test_is_adopted_with_its_snapshot_as_base_under_another_name(self, site: VerbsEnv, snapshot: str) -> None:
        site.by_hand(snapshot)
        there = f"{site.target}/{NAME}"
        guid = site.property(there, "guid")
        site.change()

        said = site.zsr.well("adopt", "100-0", "--yes")
        assert f"renamed {there}@{snapshot}" in said.out
        assert "There is nothing to adopt." in site.zsr.well("adopt", "100-0").out

        plan = site.zsr.well("plan", "100-0", "--format", "json").json
        assert [(each["action"], each["base"]) for each in plan["volumes"]] == [("incremental", f"@{snapshot}")]
        assert not any("is another tool's" in note for note in plan["notes"])
        site.zsr.well("run", "--id", "100-0")
        assert site.property(there, "guid") == guid
        assert not any(name.startswith("__replicate_100-7_") for name in site.snapshots(there))

    def test_loses_the_old_snapshot_when_the_other_tool_has_removed_its_own(self, site: VerbsEnv) -> None:
        site.by_hand(PVESR)
        there = f"{site.target}/{NAME}"
        site.zsr.well("adopt", "100-0", "--yes")
        site.change()
        site.zsr.well("run", "--id", "100-0")
        assert ADOPTED in site.snapshots(there), "its twin on the source still stands"

        site.zfs("destroy", f"{site.source}/{NAME}@{PVESR}")
        site.change()
        site.zsr.well("run", "--id", "100-0")
        assert ADOPTED not in site.snapshots(there)

    def test_is_adopted_to_the_end_after_an_adoption_that_died_before_it_marked_anything(self, site: VerbsEnv) -> None:
        site.by_hand(PVESR)
        there = f"{site.target}/{NAME}"
        site.zfs("rename", f"{there}@{PVESR}", f"{there}@{ADOPTED}")

        site.zsr.well("adopt", "100-0", "--yes")
        site.change()
        site.zsr.well("run", "--id", "100-0")
        site.zfs("destroy", f"{site.source}/{NAME}@{PVESR}")
        site.change()
        site.zsr.well("run", "--id", "100-0")
        assert ADOPTED not in site.snapshots(there), "it counts as brought, as if the first adoption had ended"


class TestANodeWithANewName:
    @pytest.fixture
    def renamed(self, site: VerbsEnv) -> VerbsEnv:
        """The node alpha is called omega from now on, in both files."""
        site.zsr.well("run", "--id", "100-0")
        for path in (site.zsr.settings_path, site.zsr.cluster_path):
            path.write_text(path.read_text().replace("alpha", "omega"))
        return site

    def test_does_not_touch_its_replicas_before_they_are_adopted(self, renamed: VerbsEnv) -> None:
        assert renamed.zsr("run", "--id", "100-0").exit == 1
        log = renamed.zsr.well("log", "100-0").out
        assert "is a replica of job 100-0 from node alpha, not from omega" in log
        assert "zsr adopt 100-0" in log

    def test_adopts_them_by_guid_and_goes_on_without_a_full_copy(self, renamed: VerbsEnv) -> None:
        there = f"{renamed.target}/{NAME}"
        guid, snapshots = renamed.property(there, "guid"), renamed.snapshots(there)

        said = renamed.zsr.well("adopt", "100-0", "--yes")
        assert f"adopted {there}" in said.out
        assert "renamed" not in said.out, "its own sets keep their names"
        assert renamed.snapshots(there) == snapshots
        assert renamed.property(there, "zsr:source") == "omega\tlocal"

        for _ in range(2):
            time.sleep(1.1)  # a set of the same second would have a time in the future, and be kept
            renamed.change()
            renamed.zsr.well("run", "--id", "100-0")
        assert renamed.property(there, "guid") == guid
        assert len(renamed.snapshots(there)) == 1, "the sets of before are known as its own, and became old"
        assert len(renamed.snapshots(f"{renamed.source}/{NAME}")) == 1

    def test_adopts_no_replica_of_other_data(self, renamed: VerbsEnv) -> None:
        there = f"{renamed.target}/{NAME}"
        renamed.zfs("destroy", "-r", f"{renamed.source}/{NAME}")
        renamed.zfs("create", f"{renamed.source}/{NAME}")
        said = renamed.zsr.well("adopt", "100-0", "--yes")
        assert "adopted" not in said.out
        assert renamed.property(there, "zsr:source") == "alpha\tlocal"
