"""An older set becomes the guest, and what is newer on the replica is kept aside whole (contract: Kept aside).

Each replica is renamed to its storage's folder of diverged ones, a clone of the chosen set gets its name, and is
promoted. Nothing is rolled back. The claim on each dataset says what is to become of it, so that a
recovery that died goes on, and sees by the fork which volumes are the guest's already.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from replicator.errors import DivergedError, StorageMissingError, TargetActiveError, ZsrError
from replicator.guests.activation import close_volume
from replicator.guests.claims import ACTIVATING, Claim, claims_on, fork_name
from replicator.guests.clone_properties import RESERVED, properties_for_clone
from replicator.models import JobId, Volume
from replicator.replication.plan import VolumePair
from replicator.replication.prepare_target import bring_back, clone_unmounted, keep_aside, refuse_below
from replicator.replication.progress import Log
from replicator.replication.provenance import sets_of
from replicator.zfs import commands, output
from replicator.zfs.client import ZfsClient
from replicator.zfs.dataset_names import DIVERGED_DATASET, aside_name, is_diverged, owning_path, parse_aside
from replicator.zfs.execution import execute, execute_all
from replicator.zfs.fence import Fence
from replicator.zfs.model import Dataset
from replicator.zfs.open_datasets import open_among
from replicator.zfs.snapshot_names import snapshot_name


@dataclass(frozen=True, slots=True)
class ChosenSet:
    """The older set that a person chose.

    Attributes:
        set_time: when it was taken (unix seconds).
        paths: of the storages on the node.
        now: when what is newer is kept aside (unix seconds), as its name says.
    """

    set_time: int
    paths: tuple[str, ...]
    now: float


class Shape(Enum):
    """What is left to do with a replica: nothing, the last step, or all of it; or there is no way."""

    DONE = "done"
    PROMOTE = "promote"
    SET_ASIDE = "set aside"
    IMPOSSIBLE = "impossible"


def whole_sets(job: JobId, replicas: Iterable[Dataset]) -> list[int]:
    """Return the times of the sets that all of some replicas have, newest first."""
    held = [set(sets_of(job, each)) for each in replicas]
    return sorted(set.intersection(*held), reverse=True) if held else []


def newest_until(sets: Iterable[int], moment: float) -> int | None:
    """Return the newest set of a moment or before; None if there is none."""
    return max((at for at in sets if at <= moment), default=None)


def is_behind(job: JobId, replica: Dataset, set_time: int) -> bool:
    """Return whether a replica has anything newer than a set: a later set, or a snapshot with bytes in it."""
    base = replica.named(snapshot_name(job, set_time))
    newer = () if base is None else tuple(each for each in replica.snapshots if each.createtxg > base.createtxg)
    return any(each.job == job or each.written != 0 for each in newer)


def shape_of(job: JobId, replica: Dataset, set_time: int, fork: str) -> Shape:
    """Return what is left to do, so that a replica is as of a set; with its fork it is the guest's volume already."""
    name = snapshot_name(job, set_time)
    if replica.named(fork) is not None:
        return Shape.DONE
    if replica.named(name) is None:
        is_clone = (replica.origin or "").partition("@")[2] == name and is_diverged(replica.origin or "")
        return Shape.PROMOTE if is_clone else Shape.IMPOSSIBLE
    return Shape.SET_ASIDE if is_behind(job, replica, set_time) else Shape.DONE


async def refuse_unmovable(job: JobId, replicas: Iterable[Dataset], set_time: int, node: ZfsClient) -> None:
    """Raise TargetActiveError if a replica that has to be set aside is in use, or has others' datasets below it."""
    moved = [each for each in replicas if is_behind(job, each, set_time)]
    opened = await open_among(node, [each.name for each in moved if each.is_volume])
    for each in moved:
        if each.mounted or each.name in opened:
            raise TargetActiveError(
                f"The replica '{each.name}' on {node.node} is {'mounted' if each.mounted else 'open'}, and has to be "
                "kept aside.",
                node=node.node,
                advice="Unmount or close it.",
            )
        await refuse_below(node, each.name, str(job))


def claims_for(
    fence: Fence, replicas: Iterable[Dataset], chosen: ChosenSet, found: Mapping[str, Claim]
) -> dict[str, str]:
    """Return the claims that are still to be set, by name; ``found`` are those that stand already."""
    epoch = fence.epoch or 0
    return {
        each.name: Claim(epoch, chosen.set_time, each.name).text
        for each in replicas
        if each.name not in found and not is_diverged(each.name)
    }


async def go_back(
    fence: Fence, replicas: Sequence[Dataset], chosen: ChosenSet, node: ZfsClient, log: Log
) -> list[Dataset]:
    """Make replicas that are claimed as of the chosen set; return them as they are then. May be done again.

    Raises:
        DivergedError: one has the set no more. ZsrError: a step failed; what was done stays.
    """
    shapes = [shape_of(fence.job, each, chosen.set_time, fork_name(fence)) for each in replicas]
    if any(each is not Shape.DONE for each in shapes):
        for each in sorted(replicas, key=lambda replica: replica.name, reverse=True):  # children first
            if each.readonly is False and each.named(fork_name(fence)) is None:
                await close_volume(node, each)
    return await _Return(fence, chosen, node, log).all(replicas)


class _Return:
    """One return to an older set."""

    def __init__(self, fence: Fence, chosen: ChosenSet, node: ZfsClient, log: Log) -> None:
        self._fence, self._chosen, self._node, self._log = fence, chosen, node, log
        self._set = snapshot_name(fence.job, chosen.set_time)
        self._fork = fork_name(fence)

    async def all(self, replicas: Sequence[Dataset]) -> list[Dataset]:
        asides = await self._claimed_asides()
        found = await claims_on(self._node, [each.name for each in replicas], self._fence.epoch)
        homes = {found[each.name].home if each.name in found else each.name for each in replicas}
        done = []
        for home in sorted(homes):  # parents first: what moved along with one is back before its turn
            done.append(await self._one(home, [name for name, claim in asides.items() if claim.home == home]))
        return done

    async def _one(self, home: str, asides: Sequence[str]) -> Dataset:
        kept = list(asides)
        there = await self._listed(home)
        shape = (
            Shape.SET_ASIDE if there is None else shape_of(self._fence.job, there, self._chosen.set_time, self._fork)
        )
        if shape is Shape.IMPOSSIBLE or (there is None and not kept):
            raise DivergedError(
                f"'{home}' on {self._node.node} has no snapshot '{self._set}' any more.",
                node=self._node.node,
                advice=f"See: zsr diverged list, and zsr restore-points {self._fence.job}.",
            )
        if shape is Shape.SET_ASIDE and there is not None:
            kept.append(await self._set_aside(there))
        if shape is Shape.SET_ASIDE:
            await self._clone(kept[-1], home)
        if shape is not Shape.DONE:
            await self._node.promote(home)
        for aside in kept:
            await self._end(aside, home)
        if (now := await self._listed(home)) is None:
            raise AssertionError("a clone that was promoted is there")
        return now

    async def _set_aside(self, replica: Dataset) -> str:
        """Rename a replica to the folder of diverged ones; return its name there."""
        path = owning_path(replica.name, self._chosen.paths) or ""
        volume = VolumePair(Volume("", replica.name[len(path) + 1 :]), path, replica, replica.name, replica)
        kept = aside_name(path, replica.name[len(path) + 1 :], self._chosen.now)
        if replica.is_volume:
            own, received = await self._properties(replica.name)
            reserved = own.get("refreservation", received.get("refreservation", "none"))
            await self._node.set_properties(replica.name, {RESERVED: reserved})
        self._log("warning", f"what is newer than the chosen set in '{replica.name}' is kept aside as '{kept}'")
        await keep_aside(volume, kept, self._node, self._marks(replica))
        return kept

    async def _clone(self, kept: str, home: str) -> None:
        replica = await self._listed(kept)
        if replica is None or replica.named(self._set) is None:
            raise DivergedError(
                f"'{kept}' on {self._node.node} has no snapshot '{self._set}' any more.",
                node=self._node.node,
                advice=f"See: zsr diverged list, and zsr restore-points {self._fence.job}.",
            )
        claim = Claim(self._fence.epoch or 0, self._chosen.set_time, home)
        extra = {**self._fence.stamps, ACTIVATING: claim.text, **self._marks(replica)}
        properties = commands.replica_properties(is_volume=replica.is_volume, extra=extra)
        await clone_unmounted(self._node, f"{kept}@{self._set}", home, properties)

    async def _end(self, aside: str, home: str) -> None:
        """Bring back what moved along with an aside, give its properties to the clone, and take its claim off."""
        await bring_back([aside], home, self._node, str(self._fence.job), self._log)
        is_volume = (await self._node.inventory(home, depth=0)).datasets[home].is_volume
        own, received = await self._properties(aside)
        for key, value in properties_for_clone(own, received, self._fork, is_volume=is_volume).items():
            try:
                await self._node.set_properties(home, {key: value})
            except ZsrError as error:
                self._log("warning", f"'{home}' is without its {key}: {error.what}")
        await execute_all(self._node, commands.inherit([aside], ACTIVATING), f"end the return of '{home}'")

    async def _claimed_asides(self) -> dict[str, Claim]:
        """Return what was set aside and is claimed still, by name."""
        listed: list[str] = []
        for path in self._chosen.paths:
            try:
                found = await self._node.inventory(f"{path}/{DIVERGED_DATASET}", depth=1)
            except StorageMissingError:
                continue
            marked = {each.name for each in found.datasets.values() if each.job == str(self._fence.job)}
            listed += [name for name in marked if parse_aside(name) is not None]
        found_claims = await claims_on(self._node, listed, self._fence.epoch)
        return {name: claim for name, claim in found_claims.items() if claim.set_time == self._chosen.set_time}

    async def _properties(self, dataset: str) -> tuple[dict[str, str], dict[str, str]]:
        asked = commands.own_and_received(dataset)
        return output.own_and_received(await execute(self._node, asked, f"read the properties of '{dataset}'"))

    async def _listed(self, dataset: str) -> Dataset | None:
        try:
            return (await self._node.inventory(dataset, depth=1)).get(dataset)
        except StorageMissingError:
            return None

    def _marks(self, replica: Dataset) -> dict[str, str]:
        return {"zsr:source": replica.source or "", "zsr:job": str(self._fence.job)}
