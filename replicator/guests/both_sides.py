"""What both nodes of a move have of a guest: its volumes on the one, and what it can go on from on the other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from replicator.cluster.model import Cluster
from replicator.errors import ZsrError
from replicator.guests.recovery import Recovery, highest_epoch, plan_recovery, refuse_taken
from replicator.guests.release import is_left
from replicator.models import Guest, Job
from replicator.replication.guest_replicas import ask_nodes
from replicator.replication.restore_points import datasets_on, replicas_of, volumes_by_name
from replicator.zfs.dataset_names import aside_stem, parse_aside
from replicator.zfs.model import Dataset, Inventory
from replicator.zfs.node_clients import Nodes


@dataclass(frozen=True, slots=True)
class BothSides:
    """Both sides of a move.

    Attributes:
        volumes: the guest's, on its node.
        recovery: what it can go on from on the other one.
        epoch: the next one, above all that can be seen.
    """

    volumes: tuple[Dataset, ...]
    recovery: Recovery
    epoch: int


@dataclass(frozen=True, slots=True)
class Left:
    """What a guest left on a node.

    Attributes:
        shared: the volumes that have a snapshot in common with its new node's; they become replicas.
        aside: those that have one in common only with what its new node keeps aside, since the guest goes on from an
            older set there; they are kept aside here too, and a full copy gets their name.
        alone: the others, which are on no other node: a disk that was never replicated, for example.
    """

    shared: tuple[Dataset, ...]
    aside: tuple[Dataset, ...]
    alone: tuple[Dataset, ...]


async def left_on(cluster: Cluster, guest: Guest, node: str, there: Mapping[str, Dataset], nodes: Nodes) -> Left:
    """Return what a guest left on a node and is no replica yet; ``there`` is what lies on the guest's node.

    Raises:
        ZsrError: the node cannot be listed.
    """
    storages = cluster.storages
    shared: list[Dataset] = []
    aside: list[Dataset] = []
    alone: list[Dataset] = []
    here = _listed((await ask_nodes(cluster, [node], nodes, guest))[node])
    for (storage, name), volume in _by_name(cluster, guest, node, here).items():
        if not is_left(guest, node, volume):
            continue
        path = storages[storage].path_on(guest.node)
        if (theirs := there.get(f"{path}/{name}")) is not None and _have_common(volume, theirs):
            shared.append(volume)
        elif theirs is not None and any(_have_common(volume, each) for each in _asides_of(path, name, there)):
            aside.append(volume)
        else:
            alone.append(volume)
    return Left(tuple(shared), tuple(aside), tuple(alone))


def _have_common(one: Dataset, other: Dataset) -> bool:
    return bool({each.guid for each in one.snapshots} & {each.guid for each in other.snapshots})


def _asides_of(path: str, volume: str, listed: Mapping[str, Dataset]) -> list[Dataset]:
    """Return what was set aside of a volume of a storage, among what is listed on its node."""
    stem, named = aside_stem(path, volume), ((each, parse_aside(name)) for name, each in listed.items())
    return [each for each, parsed in named if parsed is not None and parsed.stem == stem]


async def volumes_on(cluster: Cluster, guest: Guest, node: str, nodes: Nodes) -> list[Dataset]:
    """Return the volumes that a guest has, or had, on a node, without snapshots.

    Raises:
        ZsrError: the node cannot be listed.
    """
    storages = [each for each in cluster.storages.values() if each.allowed_on(node)]
    listed = await datasets_on(storages, nodes.client(node), snapshots=False)
    return list(_by_name(cluster, guest, node, listed).values())


def _by_name(
    cluster: Cluster, guest: Guest, node: str, listed: Mapping[str, Dataset]
) -> dict[tuple[str, str], Dataset]:
    inventory = Inventory(dict(listed))
    return volumes_by_name(replace(guest, node=node), cluster.storages.values(), node, inventory)


async def both_sides(cluster: Cluster, guest: Guest, job: Job, nodes: Nodes, *, everywhere: bool = False) -> BothSides:
    """List a guest's own node and the target of a job; ``everywhere``: also what the others have of it.

    Raises:
        ZsrError: one of them does not answer, or the guest could not go on from the replicas (`plan_recovery`).
    """
    here, storages = guest.node, cluster.storages
    answers = await ask_nodes(cluster, cluster.nodes if everywhere else {here, job.target}, nodes, guest)
    ours = volumes_by_name(guest, storages.values(), here, Inventory(_listed(answers[here])))
    wanted = [f"{storages[name].path_on(job.target)}/{volume}" for name, volume in ours]
    theirs = _listed(answers[job.target])
    refuse_taken(guest.id, guest.epoch, here, here, answers)
    recovery = plan_recovery(job.id, here, job.target, replicas_of(job, storages.values(), theirs, ours), wanted)
    return BothSides(tuple(ours.values()), recovery, highest_epoch(guest.id, guest.epoch, answers) + 1)


def _listed(answer: Mapping[str, Dataset] | ZsrError) -> dict[str, Dataset]:
    if isinstance(answer, ZsrError):
        raise answer
    return dict(answer)
