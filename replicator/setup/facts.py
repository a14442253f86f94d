"""What is found on this machine before anything is asked, and the defaults that follow from it. Pure."""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from replicator.cluster.model import Cluster
from replicator.config.problems import NODE_NAME
from replicator.models import Guest, GuestId
from replicator.zfs.dataset_names import DIVERGED_DATASET

FIRST_GUEST = 100
_BY_NAME = re.compile(r"(?:vm|subvol|base|basevol)-(?P<guest>[1-9][0-9]{2,8})-.+", re.ASCII)
LISTED = "name,type,zsr:source"
"""The columns of ``zfs list`` that `parse_datasets` reads; a replica of another node has a ``zsr:source``."""


@dataclass(frozen=True, slots=True)
class FoundDataset:
    """A dataset of this machine; ``is_replica``: zsr received it from another node."""

    name: str
    kind: str
    is_replica: bool = False


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of this machine. ``addresses``: those that other machines may use come first."""

    hostname: str
    addresses: tuple[str, ...]
    datasets: tuple[FoundDataset, ...]
    home: Path


@dataclass(frozen=True, slots=True)
class Candidate:
    """A guest that could be replicated; ``volumes`` empty: they are found by name. ``found``: their datasets' names."""

    id: int
    name: str
    found: tuple[str, ...]
    volumes: tuple[str, ...] = ()


def parse_addresses(printed: str) -> tuple[str, ...]:
    """Read ``ip -j addr``: the addresses of this machine, those for other machines first, IPv4 before IPv6."""
    try:
        links = json.loads(printed or "[]")
        texts = [entry["local"] for link in links for entry in link.get("addr_info", ())]
        found = [ipaddress.ip_address(text) for text in texts]
    except (ValueError, KeyError, TypeError, AttributeError):
        return ()
    usable = [each for each in found if not each.is_link_local]
    return tuple(str(each) for each in sorted(usable, key=lambda each: (each.is_loopback, each.version)))


def parse_datasets(printed: str) -> tuple[FoundDataset, ...]:
    """Read ``zfs list -H -o name,type,zsr:source``."""
    rows = (line.split("\t") for line in printed.splitlines())
    return tuple(FoundDataset(row[0], row[1], row[2] != "-") for row in rows if len(row) == 3)


def node_name(hostname: str) -> str:
    """Return a name for this node: the first part of its host name, if that may be one."""
    first = hostname.partition(".")[0]
    return first if re.fullmatch(NODE_NAME, first, re.ASCII) else ""


def is_loopback(address: str) -> bool:
    """Return whether an address is one that every machine has for itself."""
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return address == "localhost"


def storage_paths(datasets: Sequence[FoundDataset]) -> list[str]:
    """Return the filesystems that may be a storage, the likeliest first: with guests' volumes, then with any children.

    What lies below a volume of a guest is part of that, and no storage.
    """
    filesystems = [each.name for each in datasets if each.kind == "filesystem" and not _is_inside_guest(each.name)]

    def rank(path: str) -> tuple[int, int]:
        below = children(datasets, path)
        if any(_BY_NAME.fullmatch(each.name.rpartition("/")[2]) for each in below):
            return (0, path.count("/"))
        if below and "/" in path:
            return (1, path.count("/"))
        return (2 if below else 3, path.count("/"))

    return sorted(filesystems, key=lambda path: (*rank(path), path))


def _is_inside_guest(name: str) -> bool:
    return any(_BY_NAME.fullmatch(part) or part == DIVERGED_DATASET for part in name.split("/")[1:])


def children(datasets: Iterable[FoundDataset], path: str) -> list[FoundDataset]:
    """Return what lies directly below a path, but for replicas and what zsr keeps there for itself."""
    begin = f"{path}/"
    return [
        each
        for each in datasets
        if each.name.startswith(begin)
        and "/" not in each.name.removeprefix(begin)
        and not each.is_replica
        and each.name != f"{begin}{DIVERGED_DATASET}"
    ]


def candidates(
    datasets: Iterable[FoundDataset], storage: str, path: str, node: str, cluster: Cluster | None
) -> list[Candidate]:
    """Return the guests that this node could replicate: known ones, those found by name, and the other datasets.

    Args:
        datasets: of this machine.
        storage: the storage's name.
        path: its dataset.
        node: this node's name.
        cluster: the cluster as it is; None: there is none yet.
    """
    guests = {} if cluster is None else cluster.guests
    below = [each.name.removeprefix(f"{path}/") for each in children(datasets, path)]
    by_name: dict[int, list[str]] = {}
    for name in below:
        if (match := _BY_NAME.fullmatch(name)) is not None:
            by_name.setdefault(int(match["guest"]), []).append(name)
    listed = {str(volume) for guest in guests.values() for volume in (*guest.volumes, *guest.excluded)}
    others = [name for name in below if _BY_NAME.fullmatch(name) is None and f"{storage}:{name}" not in listed]
    mine = [
        _known(guest, guest.id, storage, by_name)
        for guest in guests.values()
        if guest.node == node and isinstance(guest.id, int)  # the volumes of a group stand in the cluster file
    ]
    fresh = [Candidate(number, str(number), tuple(names)) for number, names in by_name.items() if number not in guests]
    taken = {*guests, *by_name}
    made = [
        Candidate(number, _guest_name(name), (name,), (f"{storage}:{name}",))
        for number, name in zip(_free(taken, len(others)), others, strict=True)
    ]
    return sorted([*mine, *fresh, *made], key=lambda each: each.id)


def _known(guest: Guest, number: int, storage: str, by_name: dict[int, list[str]]) -> Candidate:
    volumes = tuple(map(str, guest.volumes))
    listed = tuple(volume.name for volume in guest.volumes if volume.storage == storage)
    return Candidate(number, guest.name, (*by_name.get(number, ()), *listed), volumes)


def _guest_name(dataset: str) -> str:
    return dataset.rpartition("/")[2]


def _free(taken: Collection[GuestId], count: int) -> list[int]:
    free: list[int] = []
    number = FIRST_GUEST
    while len(free) < count:
        if number not in taken:
            free.append(number)
        number += 1
    return free


def chosen(text: str, offered: Sequence[Candidate]) -> list[Candidate]:
    """Return the guests that an answer names: ``all``, ``none``, or numbers and names with commas or spaces between.

    Raises ValueError with what is allowed.
    """
    words = text.replace(",", " ").split()
    if words == ["all"]:
        return list(offered)
    if words == ["none"]:
        return []
    found = []
    for word in words:
        matching = [each for each in offered if word in (str(each.id), each.name)]
        if len(matching) != 1:
            raise ValueError(f"'{word}' is none of them; numbers or names with commas between, 'all', or 'none'")
        found += matching
    if not found:
        raise ValueError("numbers or names with commas between, 'all', or 'none'")
    return sorted(set(found), key=lambda each: each.id)
