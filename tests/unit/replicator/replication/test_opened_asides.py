"""What is opened of a replica that was kept aside, and what is done for it, on a played node."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import cast

import pytest

from replicator.errors import ConfigError, EncryptionError, ZfsError
from replicator.hosts.host import Completed
from replicator.models import Storage
from replicator.replication.opened import Opened
from replicator.replication.opened_asides import open_aside
from replicator.zfs.client import ZfsClient
from replicator.zfs.model import Dataset, Inventory, Snapshot
from tests.support.volumes import dataset, snap

PATH = "tank/data"
NAME = f"{PATH}/zsr-diverged/subvol-100-disk-0-1796107518"
NOW = 1796200000.0


def aside(*snapshots: Snapshot, name: str = NAME, **more: object) -> Dataset:
    """A filesystem that was kept aside: what a node wrote last."""
    return dataset(*snapshots, **{"name": name, "job": "100-0", "readonly": True, "mounted": False, **more})  # type: ignore[arg-type]


class Alpha:
    """The node on which it is. ``in_log``: bytes that only its intent log has, until it is mounted."""

    node = "alpha"

    def __init__(self, *found: Dataset, in_log: int = 0) -> None:
        self.found = {each.name: each for each in found}
        self.in_log = in_log
        self.refuses = ""
        self.orders: list[str] = []

    @property
    def host(self) -> Alpha:
        """Its host."""
        return self

    async def run(self, argv: Sequence[str], *, limit: float) -> Completed:
        """Mount a filesystem for a moment, or look for a device."""
        if self.refuses:
            return Completed(tuple(argv), 1, "", self.refuses)
        if "mount -t zfs" in argv[2]:
            self.orders.append("mounted for a moment")
            self.found[argv[-1]] = replace(
                self.found[argv[-1]], written=(self.found[argv[-1]].written or 0) + self.in_log
            )
        return Completed(tuple(argv), 0, "", "")

    async def inventory(self, path: str, *, depth: int, snapshots: bool = True) -> Inventory:
        """List what is there."""
        return Inventory({name: each for name, each in self.found.items() if f"{name}/".startswith(f"{path}/")})

    async def snapshot(self, names: Sequence[str]) -> None:
        """Take a snapshot."""
        self.orders += [f"snapshot {name.partition('@')[2]}" for name in names]

    async def clone(self, snapshot: str, name: str, properties: Mapping[str, str]) -> None:
        """Clone a snapshot."""
        of = self.found[snapshot.partition("@")[0]]
        self.orders.append(f"clone of {snapshot.partition('@')[2]}")
        self.found[name] = replace(
            of, name=name, origin=snapshot, job=properties["zsr:job"], mounted=True, snapshots=()
        )


async def opened(alpha: Alpha, name: str = NAME, snapshot: str | None = None) -> Opened:
    """Let a person open it."""
    return await open_aside(name, snapshot, "beta", NOW, [Storage("data", PATH)], cast(ZfsClient, alpha))


async def test_what_was_written_after_the_newest_snapshot_is_in_one_of_zsrs_own() -> None:
    alpha = Alpha(aside(snap(1), written=512))
    assert (await opened(alpha)).place == "/run/zsr/opened/subvol-100-disk-0-1796107518-open"
    assert alpha.orders == ["mounted for a moment", "snapshot zsr-opened-1796200000", "clone of zsr-opened-1796200000"]


async def test_what_only_the_intent_log_has_is_written_before() -> None:
    alpha = Alpha(aside(snap(1, "mine"), written=0), in_log=4096)
    await opened(alpha)
    assert alpha.orders == ["mounted for a moment", "snapshot zsr-opened-1796200000", "clone of zsr-opened-1796200000"]


async def test_where_nothing_was_written_since_the_newest_snapshot_is_opened() -> None:
    alpha = Alpha(aside(snap(1), snap(2, "mine"), written=0))
    await opened(alpha)
    assert alpha.orders == ["mounted for a moment", "clone of mine"]


async def test_restore_points_are_not_even_mounted_or_they_would_count_as_written_to() -> None:
    points = aside(snap(1, "__replicate_100-0_1001__"), name=f"{NAME}-points", written=0, origin="tank/data/a@b")
    alpha = Alpha(points)
    await opened(alpha, points.name)
    assert alpha.orders == ["clone of __replicate_100-0_1001__"]


async def test_one_that_was_made_writable_gets_a_snapshot_whatever_zfs_says_was_written() -> None:
    alpha = Alpha(aside(snap(1), written=0, readonly=False, mounted=True))
    await opened(alpha)
    assert "snapshot zsr-opened-1796200000" in alpha.orders


async def test_a_snapshot_that_a_person_names_is_opened_and_nothing_else_is_done() -> None:
    alpha = Alpha(aside(snap(1, "older"), snap(2, "mine"), written=512))
    await opened(alpha, snapshot="older")
    assert alpha.orders == ["clone of older"]


async def test_one_with_a_key_that_is_not_loaded_is_left_alone() -> None:
    alpha = Alpha(aside(written=512, key_loaded=False, encryption_root="tank/the vault"))
    with pytest.raises(EncryptionError, match="is not loaded") as refused:
        await opened(alpha)
    assert refused.value.advice == "Load it there: zfs load-key 'tank/the vault'."
    assert alpha.orders == []


async def test_one_that_cannot_be_mounted_is_left_alone_since_its_intent_log_is_not_known() -> None:
    alpha = Alpha(aside(written=512))
    alpha.refuses = "mount: only root can do that"
    with pytest.raises(ZfsError, match="only root can do that"):
        await opened(alpha)
    assert alpha.orders == []


async def test_one_in_which_nothing_is_left_is_refused() -> None:
    alpha = Alpha(aside(written=0, origin="tank/data/subvol-100-disk-0@s"))
    with pytest.raises(ConfigError, match="Nothing is left"):
        await opened(alpha)
    assert alpha.orders == []


async def test_a_zvol_without_a_device_is_said_and_stays_open_until_it_is_closed() -> None:
    alpha = Alpha(aside(snap(1), written=512, is_volume=True, mounted=None))
    alpha.refuses = " "
    with pytest.raises(ZfsError, match=f"has no device /dev/zvol/{NAME}-open"):
        await opened(alpha)
    assert alpha.orders[-1] == "clone of zsr-opened-1796200000"
