"""A run that finds nothing changed in the listing that runs due together share: it claims nothing past the fence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import pytest

from replicator.errors import SupersededError
from replicator.hosts.host import Host
from replicator.hosts.local import LocalHost
from replicator.hosts.version_folder import list_versions
from replicator.models import Guest, Job, KnownSets, Storage, Synced, Vanished
from replicator.replication.context import RunContext, RunRecorder
from replicator.replication.file_keeper import GuestFiles
from replicator.replication.inventory_cache import InventoryCache
from replicator.replication.progress import Progress
from replicator.replication.run import Run
from replicator.zfs.client import ZfsClient
from replicator.zfs.features import Features
from replicator.zfs.fence import Fence, Stamped
from replicator.zfs.model import Dataset, Inventory
from tests.support.hook_notes import HookNotes
from tests.support.volumes import JOB, dataset, snap

NAME = "vm-100-disk-0"
OURS: dict[str, Any] = {"owner": "alpha", "epoch": "1"}
VOLUME = dataset(snap(1), name=f"tank/{NAME}", **OURS)
REPLICA = dataset(snap(1), name=f"pool/{NAME}", job=str(JOB), readonly=True, mounted=False, **OURS)
PROVEN = Synced(500.0, 1001, KnownSets(proven=1001, volumes=(f"data:{NAME}",), taken=(1001,), sent=frozenset({1})))


@dataclass
class Node:
    """A node that may not run channel programs on its pool; notes what is stamped by commands."""

    node: str
    found: Sequence[Dataset]
    host: Host = field(default_factory=lambda: LocalHost("node"))
    looks: int = 0
    stamped: list[str] = field(default_factory=list)

    async def features(self) -> Features:
        return Features("2.3.2", programs=True, receive_properties=True)

    async def sync(self, pool: str) -> None:
        """All is on disk."""

    async def inventory(
        self, path: str, *, depth: int, bookmarks: bool = False, marks_of: str | None = None
    ) -> Inventory:
        self.looks += 1
        return Inventory({each.name: each for each in self.found})

    async def local_stamps(self, datasets: Sequence[str]) -> list[Stamped]:
        return [each.stamped for each in self.found if each.name in datasets]

    async def verify_and_prune(self, pool: str, **_: object) -> None:
        """Programs are not allowed."""

    async def stamp(self, fence: Fence, datasets: Sequence[str]) -> None:
        self.stamped += datasets


@dataclass
class Memory:
    """What the run remembers."""

    claims: list[float | None] = field(default_factory=list)

    async def synced(self, synced: Synced) -> None:
        self.claims.append(synced.last_sync)

    async def vanished(self, *_: object) -> Sequence[Vanished]:
        return ()


async def run(beta: Node, memory: Memory, files: Sequence[str] = (), kept_in: str = "/nowhere") -> None:
    """A run of an idle guest, which has a hook, so that without the cache it looks at everything first."""
    guest = Guest(100, "web", "alpha", freeze="true", files=tuple(files))
    storage = Storage("data", "tank", paths=(("beta", "pool"),))
    context = RunContext(
        Job(JOB, "beta"), guest, (storage,), 60.0, PROVEN, last_run_failed=False,
        inventory_cache=InventoryCache(lambda: 2000.0), due=2000.0, guest_files=GuestFiles(kept_in),
    )  # fmt: skip
    nothing: Any = None
    recorder = RunRecorder(memory.synced, nothing, memory.vanished, nothing, nothing, nothing, nothing, HookNotes())
    alpha, there = cast(ZfsClient, Node("alpha", [VOLUME])), cast(ZfsClient, beta)
    it = Run(
        context, alpha, there, progress=Progress(), log=lambda level, text: None, recorder=recorder,
        clock=lambda: 2000.0,
    )  # fmt: skip
    await it.execute()


async def test_an_idle_guest_costs_one_look_and_moves_last_sync() -> None:
    beta, memory = Node("beta", [REPLICA]), Memory()
    await run(beta, memory)
    assert (beta.looks, memory.claims[-1], beta.stamped) == (1, 2000.0, [])


async def test_a_file_of_an_idle_guest_comes_for_the_set_that_is_there(tmp_path: Path) -> None:
    beta, memory, file = Node("beta", [REPLICA]), Memory(), tmp_path / "web.xml"
    file.write_text("<domain/>")
    await run(beta, memory, [str(file)], str(tmp_path / "kept"))
    kept = await list_versions(beta.host, f"{tmp_path}/kept/{JOB}")
    assert [(each.set_time, each.read) for each in kept.versions[str(file)]] == [(1001, 2000)]
    assert (beta.looks, memory.claims[-1]) == (1, 2000.0)


@pytest.mark.parametrize(("owner", "epoch"), [("gamma", "9"), ("gamma", "1"), ("alpha", "many")])
async def test_a_replica_that_refuses_the_fence_is_neither_claimed_nor_stamped(owner: str, epoch: str) -> None:
    """A node without programs would stamp by a command, which compares nothing."""
    beta, memory = Node("beta", [replace(REPLICA, owner=owner, epoch=epoch)]), Memory()
    with pytest.raises(SupersededError):
        await run(beta, memory)
    assert beta.stamped == []
    assert 2000.0 not in memory.claims
