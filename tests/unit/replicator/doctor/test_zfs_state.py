"""Faults of a node's ZFS: versions, pools, storages, rights, features of streams, room for first copies."""

from __future__ import annotations

from dataclasses import replace

import pytest

from replicator.api.doctor import Level, Line, Subject
from replicator.doctor import zfs_state
from replicator.doctor.zfs_state import Pool, Room, User
from replicator.zfs.features import Features

NEW = Features("2.3.2-1", resume=True, bookmarks=True, estimate=True, send_raw=True, programs=True)
GIB = 2**30


def only(lines: list[Line]) -> Line:
    (line,) = lines
    return line


class TestVersion:
    subject = Subject("zfs", "beta")

    def test_tools_and_module_of_one_version_are_well(self) -> None:
        line = only(zfs_state.version(self.subject, "zfs-2.3.2-1\nzfs-kmod-2.3.2-1\n", NEW))

        assert (line.level, line.text) == (Level.OK, "OpenZFS 2.3.2-1 is installed and loaded.")

    def test_tools_that_are_newer_than_the_module_ask_for_a_reboot(self) -> None:
        line = only(zfs_state.version(self.subject, "zfs-2.3.2-1\nzfs-kmod-2.2.2-1\n", NEW))

        assert line.level is Level.WARN
        assert "2.3.2-1" in line.text
        assert "2.2.2-1" in line.text
        assert "Reboot" in line.advice

    def test_tools_that_are_older_than_the_module_are_to_be_upgraded(self) -> None:
        line = only(zfs_state.version(self.subject, "zfs-2.3.10-2~bpo12+2\nzfs-kmod-2.10.1-1\n", NEW))

        assert line.level is Level.WARN
        assert "Upgrade the tools" in line.advice

    def test_an_old_one_says_what_does_not_work(self) -> None:
        line = only(zfs_state.version(self.subject, "", replace(NEW, resume=False)))

        assert line.level is Level.WARN
        assert "an interrupted transfer begins again" in line.text


class TestPools:
    subject = Subject("pools", "beta")

    @pytest.mark.parametrize(
        ("row", "level", "words"),
        [
            ("tank\tONLINE\t42%", Level.OK, "tank (42 % full)"),
            ("tank\tONLINE\t42", Level.OK, "tank (42 % full)"),
            ("tank\tDEGRADED\t42%", Level.WARN, "degraded"),
            ("tank\tSUSPENDED\t-", Level.FAIL, "suspended"),
            ("tank\tFAULTED\t-", Level.FAIL, "FAULTED"),
            ("tank\tONLINE\t93%", Level.WARN, "93 % full"),
            ("other\tONLINE\t1%", Level.FAIL, "There is no pool tank"),
            ("", Level.FAIL, "There is no pool tank"),
        ],
    )
    def test_a_pool_is_judged_by_what_zpool_lists(self, row: str, level: Level, words: str) -> None:
        line = only(zfs_state.pools(self.subject, {"tank"}, zfs_state.pools_of(row + "\n")))

        assert line.level is level
        assert words in line.text

    def test_a_pool_that_is_sick_and_full_is_both(self) -> None:
        found = {"tank": Pool("tank", "DEGRADED", 99)}

        assert len(zfs_state.pools(self.subject, {"tank"}, found)) == 2

    def test_a_pool_that_no_job_uses_does_not_matter(self) -> None:
        assert only(zfs_state.pools(self.subject, (), {"tank": Pool("tank", "FAULTED", 1)})).level is Level.OFF


class TestStorages:
    subject = Subject("storages", "beta")

    def test_a_missing_dataset_comes_with_the_command_that_creates_it(self) -> None:
        line = only(zfs_state.storages(self.subject, {"data": "tank/data"}, {}))

        assert line.level is Level.FAIL
        assert line.text == "The dataset tank/data of storage data does not exist on beta."
        assert line.advice == "Create it there: zfs create -p tank/data"

    def test_a_zvol_is_no_storage(self) -> None:
        assert only(zfs_state.storages(self.subject, {"data": "t/d"}, {"t/d": "volume"})).level is Level.FAIL

    def test_what_is_there_is_named(self) -> None:
        line = only(zfs_state.storages(self.subject, {"data": "tank/data"}, {"tank/data": "filesystem"}))

        assert (line.level, line.text) == (Level.OK, "There: data (tank/data).")


ALLOWED = """\
---- Permissions on tank/data ----------------------------------------
Permission sets:
\t@receives receive,create,mount
Local+Descendent permissions:
\tuser zsr destroy,rollback,rename
\tgroup backup clone,promote,@receives
\tuser other readonly
\teveryone snapshot,userprop
Descendent permissions:
\tuser zsr canmount
---- Permissions on tank ---------------------------------------------
Local permissions:
\tuser zsr readonly
"""


class TestRights:
    subject = Subject("rights", "beta")
    zsr = User(1001, "zsr", frozenset({"zsr", "backup"}))

    def test_root_may_do_everything(self) -> None:
        user = zfs_state.user_of("0\nroot\nroot\n")

        assert only(zfs_state.rights(self.subject, user, {})).level is Level.OK

    def test_delegated_rights_are_those_of_the_user_its_groups_and_everyone_here_and_below(self) -> None:
        assert zfs_state.delegated(ALLOWED, self.zsr) >= {
            "destroy", "rollback", "rename", "clone", "promote", "receive", "create", "mount", "snapshot", "userprop",
        }  # fmt: skip
        assert not zfs_state.delegated(ALLOWED, self.zsr) & {"readonly", "canmount"}

    def test_what_is_missing_comes_with_the_command_that_gives_it(self) -> None:
        line = only(zfs_state.rights(self.subject, self.zsr, {"tank/data": (zfs_state.RECEIVES, ALLOWED)}))

        assert line.level is Level.FAIL
        assert line.text == "User zsr may not canmount, readonly on tank/data."
        assert line.advice == "As root: zfs allow -u zsr canmount,readonly tank/data"

    def test_a_user_with_all_of_them_is_well(self) -> None:
        all_of_them = f"Local+Descendent permissions:\n\tuser zsr {','.join(zfs_state.SENDS)}\n"

        assert only(zfs_state.rights(self.subject, self.zsr, {"t": (zfs_state.SENDS, all_of_them)})).level is Level.OK

    def test_a_user_that_is_not_known_is_unknown(self) -> None:
        assert only(zfs_state.rights(self.subject, zfs_state.user_of("hello\n"), {})).level is Level.UNKNOWN


GET_ALL = """\
NAME  PROPERTY                       VALUE                          SOURCE
tank  size                           1.98G                          -
tank  feature@lz4_compress           active                         local
tank  feature@zstd_compress          {zstd}                         local
tank  feature@large_blocks           enabled                        local
"""


class TestFeatures:
    subject = Subject("features", "beta")

    def judged(self, ours: str, theirs: str) -> Line:
        pools = [
            {"tank": zfs_state.pool_features(GET_ALL.format(zstd=state))} if state else {} for state in (ours, theirs)
        ]
        return only(zfs_state.features(self.subject, [("tank", "tank")], *pools))

    def test_what_is_active_here_has_to_be_enabled_there(self) -> None:
        assert self.judged("active", "enabled").level is Level.OK
        assert self.judged("active", "active").level is Level.OK

    def test_what_is_only_enabled_here_does_not_matter(self) -> None:
        assert self.judged("enabled", "disabled").level is Level.OK

    def test_what_the_other_pool_cannot_is_named_with_the_command_that_helps(self) -> None:
        line = self.judged("active", "disabled")

        assert line.level is Level.WARN
        assert "zstd" in line.text
        assert "zpool upgrade tank" in line.advice

    def test_a_pool_without_features_lacks_all(self) -> None:
        assert "lz4, zstd" in self.judged("active", "").text


class TestSpace:
    subject = Subject("space", "beta")

    @pytest.mark.parametrize(
        ("needed", "free", "level"),
        [(0, 10, Level.OK), (0, 0, Level.OK), (5, 10, Level.OK), (95, 100, Level.WARN), (11, 10, Level.FAIL)],
    )
    def test_first_copies_have_to_fit_and_leave_some_room(self, needed: int, free: int, level: Level) -> None:
        assert only(zfs_state.space(self.subject, [Room("tank", needed * GIB, free * GIB)])).level is level

    def test_a_failure_says_both_sizes(self) -> None:
        line = only(zfs_state.space(self.subject, [Room("tank", 11 * GIB, 10 * GIB)]))

        assert line.text == "First copies need about 11.0 GiB on pool tank, and 10.0 GiB are free."

    def test_without_a_job_there_is_nothing_to_need(self) -> None:
        assert only(zfs_state.space(self.subject, [])).level is Level.OFF
