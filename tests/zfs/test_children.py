"""What lies below a guest's filesystem travels with it, on real ZFS: found, put aside, renamed, removed, restored."""

from __future__ import annotations

from pathlib import Path

import pytest

from demo.engine import run_patiently
from tests.support.command_line import Said, Zsr
from tests.support.pools import Pools
from tests.support.verbs_env import NAME, VerbsEnv

pytestmark = pytest.mark.sampled(3)

CHILD, DEEP, OTHER = f"{NAME}/var", f"{NAME}/var/lib", f"{NAME}/opt"

TREE = (NAME, CHILD, DEEP, OTHER)


class Site(VerbsEnv):
    """A container's filesystem with three filesystems below it."""

    def __init__(self, pools: Pools, zsr: Zsr) -> None:
        super().__init__(pools, zsr)
        for name in (CHILD, DEEP, OTHER):
            self.zfs("create", f"{self.source}/{name}")
            self.change_in(name)

    def settings(self, **guest: str) -> None:
        lines = "".join(f"{key} = {value}\n" for key, value in guest.items())
        text = self.zsr.cluster_path.read_text()
        head, rest = text.split('node = "alpha"\n', 1)
        _, jobs = rest.split("[jobs", 1)
        self.zsr.cluster_path.write_text(f'{head}node = "alpha"\n{lines}[jobs{jobs}')

    def run(self) -> Said:
        return self.zsr.well("run", "--id", "100-0")

    def sent(self) -> int:
        runs = self.zsr.well("log", "100-0", "--runs", "--format", "json").json
        return int(max(runs, key=lambda run: run["run"])["sent_bytes"])

    def newest(self, path: str) -> dict[str, str]:
        """The newest snapshot of each dataset below a path, by its name below it."""
        found = {name[len(path) + 1 :]: self.snapshots(name)[-1:] for name in self.names(path) if name != path}
        return {name: some[0] for name, some in found.items() if some}

    def whole(self, *names: str) -> bool:
        """Whether these replicas, and no others, have one and the same set, as their volumes have."""
        here, there = self.newest(self.source), self.newest(self.target)
        there = {name: set_ for name, set_ in there.items() if not name.startswith("zsr-diverged")}
        return set(there) == set(names) and len({*there.values()} | {here[name] for name in names}) == 1

    def guids(self) -> dict[str, str]:
        names = [name for name in self.names(self.target) if "zsr-diverged" not in name]
        return {name: self.property(name, "guid") for name in names}


@pytest.fixture
def site(pools: Pools, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Site:
    return Site(pools, Zsr.on_alpha(tmp_path, capsys, monkeypatch))


def test_all_below_a_filesystem_travels_in_one_set_and_a_new_one_joins(site: Site) -> None:
    site.run()
    assert site.whole(*TREE)
    site.zfs("create", f"{site.source}/{DEEP}/more")
    site.run()
    assert site.whole(*TREE, f"{DEEP}/more")
    for name in (NAME, CHILD, DEEP):
        assert site.property(f"{site.target}/{name}", "readonly") == "on\tlocal"
        assert site.property(f"{site.target}/{name}", "zsr:job") == "100-0\tlocal"
        assert site.property(f"{site.target}/{name}", "mounted").startswith("no")


def test_a_child_that_is_gone_is_a_vanished_volume_and_is_destroyed_before_its_parent(site: Site) -> None:
    site.run()
    site.zfs("destroy", "-r", f"{site.source}/{CHILD}")
    site.change()
    site.run()
    rows = site.zsr.well("vanished", "list").rows[1:]
    assert [row[2] for row in rows] == [f"{site.target}/{CHILD}", f"{site.target}/{DEEP}"]
    refused = site.zsr("vanished", "destroy", "100-0", f"{site.target}/{CHILD}", "--yes")
    assert refused.exit != 0
    assert DEEP in refused.err
    for name in (DEEP, CHILD):
        site.zsr.well("vanished", "destroy", "100-0", f"{site.target}/{name}", "--yes")
    assert site.whole(NAME, OTHER)


def test_children_that_are_left_out_stay_at_home_and_are_named(site: Site) -> None:
    site.settings(children="false")
    site.run()
    assert site.whole(NAME)
    rows = site.zsr("coverage", "--format", "json").json
    assert "child" in str(rows)


@pytest.mark.parametrize("order", [(DEEP, NAME, CHILD), (NAME, CHILD, DEEP), (CHILD, DEEP, NAME)])
def test_a_tree_may_be_listed_in_any_order(site: Site, order: tuple[str, ...]) -> None:
    site.settings(volumes=str([f"data:{name}" for name in order]).replace("'", '"'), children="false")
    site.run()
    assert site.whole(NAME, CHILD, DEEP)


@pytest.mark.parametrize("diverged", [NAME, CHILD])
def test_a_replica_that_is_kept_aside_takes_none_of_the_others_with_it(site: Site, diverged: str) -> None:
    site.run()
    before = site.guids()
    there = f"{site.target}/{diverged}"
    site.zfs("snapshot", f"{there}@before")
    site.zfs("set", "readonly=off", there)
    site.zfs("mount", there)
    Path(site.zfs("get", "-H", "-o", "value", "mountpoint", there).strip(), "mine").write_text("mine")
    site.zfs("unmount", there)
    site.zfs("set", "readonly=on", there)
    for name in (NAME, CHILD, DEEP):
        site.change_in(name)
    site.run()
    assert site.whole(*TREE)
    after = site.guids()
    assert {name for name in before if before[name] != after[name]} == {there}
    assert site.sent() < 1 << 20
    assert len(site.zsr.well("diverged", "list").rows) == 2


def test_a_renamed_tree_is_renamed_on_the_target(site: Site) -> None:
    site.run()
    before = set(site.guids().values())
    run_patiently("zfs", "rename", f"{site.source}/{NAME}", f"{site.source}/subvol-100-disk-7")
    run_patiently("zfs", "rename", f"{site.source}/subvol-100-disk-7/var", f"{site.source}/subvol-100-disk-7/srv")
    site.run()
    names = [name.replace(CHILD, f"{NAME}/srv").replace(NAME, "subvol-100-disk-7") for name in TREE]
    assert site.whole(*names)
    assert set(site.guids().values()) == before


def test_a_child_alone_lies_below_a_placeholder_and_the_parent_may_join_later(site: Site) -> None:
    site.settings(volumes=f'["data:{DEEP}"]')
    site.run()
    assert site.whole(DEEP)
    for name in (NAME, CHILD):
        assert site.property(f"{site.target}/{name}", "zsr:job") == "placeholder\tlocal"
        assert site.property(f"{site.target}/{name}", "canmount") == "noauto\tlocal"
    assert len(site.zsr.well("vanished", "list").rows) == 1
    guid = site.property(f"{site.target}/{DEEP}", "guid")
    site.settings(volumes=f'["data:{DEEP}", "data:{NAME}"]')
    site.run()
    assert site.whole(*TREE)
    assert site.property(f"{site.target}/{DEEP}", "guid") == guid


def test_a_parent_that_is_left_out_leaves_its_children_where_they_are(site: Site) -> None:
    site.run()
    out = f'{{ volume = "data:{NAME}", replicate = false, children = true }}'
    site.settings(volumes=f"[{out}]")
    for name in (CHILD, DEEP):
        site.change_in(name)
    site.run()
    here = site.newest(site.source)
    assert {site.newest(site.target)[name] for name in (CHILD, DEEP, OTHER)} == {here[CHILD]}
    assert [row[2] for row in site.zsr.well("vanished", "list").rows[1:]] == [f"{site.target}/{NAME}"]


def test_a_child_may_be_sent_again_and_so_may_a_parent_with_its_children_in_place(site: Site) -> None:
    site.run()
    deep = site.property(f"{site.target}/{DEEP}", "guid")
    for name in (NAME, CHILD):
        before = site.guids()
        site.zsr.well("reseed", "100-0", f"data:{name}", "--yes")
        after = site.guids()
        assert {each for each in before if before[each] != after[each]} == {f"{site.target}/{name}"}
    assert site.property(f"{site.target}/{DEEP}", "guid") == deep
    assert site.whole(*TREE)


def test_plan_and_restore_points_speak_of_children(site: Site) -> None:
    assert CHILD in site.zsr.well("plan", "100-0").out
    site.run()
    assert "4 of 4" in site.zsr.well("restore-points", "100-0").out


def test_the_job_is_removed_with_all_of_its_tree(site: Site) -> None:
    site.run()
    site.zsr.well("delete", "100-0")
    site.zsr("run")
    assert site.names(site.target) == [site.target]


def test_a_tree_that_was_brought_by_hand_is_adopted(site: Site) -> None:
    for name in TREE:
        site.zfs("snapshot", f"{site.source}/{name}@byhand")
        site.pipe(f"zfs send '{site.source}/{name}@byhand' | zfs receive -u '{site.target}/{name}'")
    site.zsr.well("adopt", "100-0", "--yes")
    site.run()
    assert site.whole(*TREE)
    assert site.sent() < 1 << 20
