"""A run on real ZFS: two pools that play two nodes, a guest, a job between them, and runs that die at a step."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial

from replicator.errors import NoSpaceError
from replicator.hosts.local import LocalHost
from replicator.models import Guest, Job, JobId, Storage, Synced
from replicator.replication.context import RunContext, RunRecorder, RunResult, at_once
from replicator.replication.file_keeper import GuestFiles
from replicator.replication.progress import Progress, Step
from replicator.replication.reseed import Reseed
from replicator.replication.run import Run
from replicator.zfs.client import ZfsClient
from tests.support.hook_notes import HookNotes
from tests.support.pools import Pools

JOB = Job(JobId(100, 0), "beta")


class Killed(BaseException):
    """Stands for ``kill -9``: no handler of zsr may see it."""


class MortalProgress(Progress):
    """A progress that dies when a step begins for the nth time: what a kill at that boundary leaves behind."""

    def __init__(self, last: Step, nth: int) -> None:
        super().__init__()
        self._last = last
        self._left = nth

    async def begin(self, step: Step) -> None:
        if step is self._last:
            self._left -= 1
            if self._left == 0:
                raise Killed(step)
        await super().begin(step)


class Meddled(Progress):
    """A progress during which somebody else does something, when a step begins for the nth time."""

    def __init__(self, step: Step, meddle: Callable[[], object], nth: int = 1) -> None:
        super().__init__()
        self._step = step
        self._meddle = meddle
        self._left = nth

    async def begin(self, step: Step) -> None:
        if step is self._step:
            self._left -= 1
            if self._left == 0:
                self._meddle()
        await super().begin(step)


class ReplicationEnv:
    """Two pools that play the nodes alpha and beta, a guest with two volumes, and a job between them."""

    def __init__(self, pools: Pools) -> None:
        self.pools = pools
        self.zfs = pools.sandbox.zfs
        self.source = f"{pools.source.name}/data"
        self.target = f"{pools.target.name}/data"
        self.storage = Storage("data", self.source, paths=(("beta", self.target),))
        self.storages: tuple[Storage, ...] = (self.storage,)
        self.guest = Guest(100, "web", "alpha")
        self.now = time.time()
        self.synced = Synced()
        self.remembered: list[Synced] = []
        self.memory_fails = False
        self.vanished: list[str] = []
        self.last_run_failed = True
        self.begin_full_copy = at_once
        self.guest_files: GuestFiles | None = None
        self.log: list[tuple[str, str]] = []
        self.zfs("create", self.source)
        self.zfs("create", self.target)

    def volume(self, number: int, size: int = 1 << 20) -> str:
        """Create a volume of the guest with some bytes in it; returns its name."""
        name = f"subvol-100-disk-{number}"
        self.zfs("create", f"{self.source}/{name}")
        self.pools.sandbox.fill(f"{self.source}/{name}", size, seed=number)
        return name

    async def run(
        self, *, stop_before: Step | None = None, nth: int = 1, progress: Progress | None = None
    ) -> RunResult:
        """One run, a second after the last; it dies as by a kill when ``stop_before`` begins for the nth time."""
        return await self._execute(Run, progress or (MortalProgress(stop_before, nth) if stop_before else Progress()))

    async def reseed(
        self, *volumes: str, stop_before: Step | None = None, nth: int = 1, progress: Progress | None = None
    ) -> RunResult:
        """One reseed of these volumes, or of all; it dies as `run` does."""
        progress = progress or (MortalProgress(stop_before, nth) if stop_before else Progress())
        return await self._execute(partial(Reseed, volumes=volumes), progress)

    async def _execute(self, kind: Callable[..., Run], progress: Progress) -> RunResult:
        self.now += 1
        run = kind(
            RunContext(
                JOB,
                self.guest,
                self.storages,
                60.0,
                self.synced,
                self.last_run_failed,
                begin_full_copy=self.begin_full_copy,
                guest_files=self.guest_files,
            ),
            ZfsClient(LocalHost("alpha"), limit=60),
            ZfsClient(LocalHost("beta"), limit=60),
            progress=progress,
            log=lambda level, text: self.log.append((level, text)),
            recorder=self._recorder(),
            clock=lambda: self.now,
        )
        return await run.execute()

    def datasets(self) -> list[str]:
        """The names of the datasets below the target's storage."""
        names = self.zfs("list", "-H", "-o", "name", "-r", self.target).split()
        return [name[len(self.target) + 1 :] for name in names[1:]]

    async def _remember(self, synced: Synced, *, replaced: bool = False) -> None:
        if self.memory_fails:
            raise NoSpaceError("Could not write state.db: the disk is full.")
        self.synced = synced
        self.remembered.append(synced)

    async def _note_vanished(self, found: Mapping[str, int], *_: object) -> tuple[()]:
        self.vanished = list(found)
        return ()

    async def _nothing(self, *_: object) -> None: ...

    def _recorder(self) -> RunRecorder:
        no = self._nothing
        return RunRecorder(self._remember, no, self._note_vanished, no, no, no, self._remember, HookNotes())

    def snapshots(self, dataset: str) -> list[str]:
        """The names of a dataset's snapshots, oldest first."""
        lines = self.zfs("list", "-H", "-t", "snapshot", "-o", "name", "-s", "createtxg", "-r", dataset).split("\n")
        return [line.partition("@")[2] for line in lines if line.startswith(f"{dataset}@")]

    def equal(self, *names: str) -> bool:
        """Whether each volume's newest snapshot has the same content on both sides."""
        return all(self._digest(self.source, name) == self._digest(self.target, name) for name in names)

    def _digest(self, path: str, name: str) -> str:
        dataset = f"{path}/{name}"
        return self.pools.sandbox.digest(f"{dataset}@{self.snapshots(dataset)[-1]}")

    def property(self, dataset: str, key: str) -> str:
        """A property's value."""
        return self.zfs("get", "-H", "-o", "value", key, dataset).strip()

    def guid(self, name: str) -> int:
        """The GUID of a dataset or snapshot."""
        return int(self.zfs("get", "-Hp", "-o", "value", "guid", name))
