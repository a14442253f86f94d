"""Which volumes a guest has and where their replicas lie, by the documented rules and not by zsr's code. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from tests.lab.fuzz.configuration import Configuration, GuestPlan, JobPlan
from tests.lab.fuzz.listing import Entry, World

KINDS = ("vm", "subvol", "base", "basevol")


@dataclass(frozen=True, slots=True)
class Pair:
    """A volume: its dataset on the source, and the name of its replica."""

    volume: str
    source: Entry
    replica: str


def volumes(configuration: Configuration, node: str, guest: GuestPlan, world: World) -> list[tuple[str, str, str]]:
    """Storage, name and dataset of each volume of a guest; each dataset once."""
    excluded = {dataset_of(configuration, node, each) for each in guest.excluded}
    if guest.listed and any(f"{each.storage}:{each.name}" not in guest.excluded for each in guest.volumes):
        found = [
            (each.storage, each.name, f"{configuration.path(each.storage, node)}/{each.name}") for each in guest.volumes
        ]
    else:
        prefixes = tuple(f"{kind}-{guest.id}-" for kind in KINDS)
        paths = [(storage, configuration.path(storage, node)) for storage in configuration.storages()]
        found = [
            (storage, each.name[len(path) + 1 :], each.name)
            for storage, path in paths
            for each in world.datasets(path)
            if each.name[len(path) + 1 :].startswith(prefixes) and "/" not in each.name[len(path) + 1 :]
        ]
    once: dict[str, tuple[str, str, str]] = {}
    for each in found:
        if each[2] not in excluded:
            once.setdefault(each[2], each)
    return list(once.values())


def pairs(configuration: Configuration, node: str, job: JobPlan, world: World) -> list[Pair]:
    """The volumes of a job's guest that exist, with the places of their replicas."""
    guest = configuration.guest(node, job.guest)
    if guest is None:
        return []
    return [
        Pair(f"{storage}:{name}", world.names[dataset], f"{configuration.path(storage, job.target)}/{name}")
        for storage, name, dataset in volumes(configuration, node, guest, world)
        if dataset in world.names
    ]


def dataset_of(configuration: Configuration, node: str, volume: str) -> str:
    """The dataset of ``storage:name`` on a node."""
    storage, _, name = volume.partition(":")
    return f"{configuration.path(storage, node)}/{name}"
