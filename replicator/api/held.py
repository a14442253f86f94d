"""What a node holds: replicas of other nodes, replicas that were kept aside, and the space for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from replicator.models import GuestId


@dataclass(frozen=True, slots=True)
class HeldReplica:
    """A guest's replicas on a storage of this node, held for another node, as read from this node's ZFS.

    Attributes:
        used: the bytes that they take with their snapshots; None where this ZFS does not report it.
        ahead: one of them has a newer set than the guest's others, so they are of different moments.
        volumes: how many there are, without those whose volume left the guest.
        points: the sets that all of these have, also where they were set aside; ``oldest_point`` is the first of them
            (unix time).
        points_missing: how many restore points a volume lacks that were there, and that the job's ``keep`` asks for;
            None where no job of the cluster sends them.
        foreign: the highest number of snapshots on one of them that no job took.
    """

    guest: GuestId
    source: str
    storage: str
    last_sync: float
    used: int | None = None
    ahead: bool = False
    volumes: int = 1
    points: int = 1
    oldest_point: float | None = None
    points_missing: int | None = None
    foreign: int = 0


class AsideKind(StrEnum):
    """What replicas that were set aside wait for.

    DIVERGED: a person has to decide. AGING: restore points and snapshots of others, which their job's runs destroy in
    time. LEFT: the same, of a job that sends nothing to this node any more, so that no run destroys them.
    """

    DIVERGED = "diverged"
    AGING = "aging"
    LEFT = "left"


@dataclass(frozen=True, slots=True)
class KeptAside:
    """The replicas of a guest that are set aside on this node for one reason.

    Attributes:
        oldest: when the first of them was set aside (unix time); None where their names do not say it.
        size: bytes that only they hold; None where this ZFS does not report it.
    """

    guest: GuestId
    kind: AsideKind
    count: int
    oldest: float | None
    size: int | None


class PoolRole(StrEnum):
    """The role of a pool of this node: zsr replicates from it, receives into it, or both."""

    SOURCE = "source"
    TARGET = "target"
    BOTH = "both"


@dataclass(frozen=True, slots=True)
class PoolSpace:
    """A pool of this node that zsr works with, in bytes that datasets can use: after parity and ZFS' own reserve."""

    pool: str
    role: PoolRole
    size: int
    free: int


@dataclass(frozen=True, slots=True)
class StorageSpace:
    """A storage of this node that zsr works with: ``free`` is what its path may still take, in bytes.

    That can be less than what is free in its pool, because of a quota on the path or above it, or a reservation of
    others. ``size`` is that and what is used below the path.
    """

    storage: str
    pool: str
    role: PoolRole
    size: int
    free: int


@dataclass(frozen=True, slots=True)
class TargetLook:
    """What this node's last look found on a target that runs no zsr, of the guests that this node is to watch there.

    ``diverged`` and ``pools`` are as in `Status`, of that target.
    """

    replicas: tuple[HeldReplica, ...] = ()
    diverged: Mapping[GuestId, int] = field(default_factory=dict)
    pools: tuple[PoolSpace, ...] = ()
