"""The inventories of a run: a storage that is not there is one of which nothing is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import cast

import pytest

from replicator.errors import StorageMissingError
from replicator.models import Guest, Job, KnownSets, Storage, Synced, Vanished
from replicator.replication.context import RunContext
from replicator.replication.inventories import Inventories
from replicator.zfs.client import ZfsClient
from replicator.zfs.model import Inventory
from tests.support.volumes import JOB


class Target:
    """A node on which one path is absent."""

    node = "beta"

    def __init__(self, absent: str) -> None:
        self.absent = absent
        self.listed: list[str] = []

    async def features(self) -> SimpleNamespace:
        return SimpleNamespace(list_parsable=True)

    async def inventory(self, path: str, *, depth: int, snapshots: bool, also: Sequence[str]) -> Inventory:
        self.listed.append(path)
        if path == self.absent:
            raise StorageMissingError(f"'{path}' does not exist.")
        return Inventory()


async def test_a_path_that_is_absent_on_the_target_is_named_until_it_is_back() -> None:
    storages = (Storage("ssd", "tank", paths=(("beta", "pool"),)), Storage("hdd", "slow"))
    context = RunContext(Job(JOB, "beta"), Guest(100, "web", "alpha"), storages, 60.0, Synced(), last_run_failed=False)
    target = Target("pool")
    client = cast(ZfsClient, target)
    inventories = Inventories(context, client, client, lambda: 0.0)
    await inventories.on_target()
    assert list(inventories.unread) == ["pool"]
    target.absent = ""
    await inventories.on_target()
    assert list(inventories.unread) == []


HERE, LEFT, OTHER = (Storage(name, f"tank/{name}", paths=(("beta", f"pool/{name}"),)) for name in ("ssd", "hdd", "x"))
NARROWED = RunContext(
    Job(JOB, "beta"), Guest(100, "web", "alpha", storages=("ssd",)), (HERE, LEFT, OTHER), 60.0, Synced(),
    last_run_failed=False,
)  # fmt: skip
PROVEN_THERE = replace(NARROWED, remembered=Synced(sets=KnownSets(volumes=("ssd:a", "hdd:b"))))
WAITS_THERE = replace(NARROWED, vanished=(Vanished("pool/hdd/a/b", 1, 0.0, 0.0),))


@pytest.mark.parametrize("as_remembered", [False, True])
@pytest.mark.parametrize(
    ("context", "paths"),
    [
        (NARROWED, {"pool/ssd"}),
        (PROVEN_THERE, {"pool/ssd", "pool/hdd"}),
        (WAITS_THERE, {"pool/ssd", "pool/hdd"}),
        (replace(PROVEN_THERE, storages=(HERE, replace(LEFT, nodes=frozenset({"alpha"})))), {"pool/ssd"}),
        (replace(PROVEN_THERE, storages=(HERE, replace(LEFT, paths=(("beta", "pool/ssd"),)))), {"pool/ssd"}),
    ],
    ids=["as ever", "a volume of the last set", "a vanished one", "not usable there", "the same place"],
)
async def test_a_storage_that_the_guest_has_no_more_is_read_while_something_of_it_may_be_there(
    context: RunContext, paths: set[str], *, as_remembered: bool
) -> None:
    target = Target("")
    client = cast(ZfsClient, target)
    found = await Inventories(context, client, client, lambda: 0.0).on_target(as_remembered=as_remembered)
    assert set(target.listed) == paths
    assert set(found.inventories) == {path.removeprefix("pool/") for path in paths}
