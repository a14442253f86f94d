"""What a run is given and what it gives: its task, how it writes down what it proved, and its result."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from replicator.models import Guest, Job, Storage, Synced
from replicator.replication.inventory_cache import InventoryCache


@dataclass(frozen=True, slots=True)
class RunContext:
    """What a run is to do: the job, its guest, the storages of the cluster, and the seconds of a stall.

    ``remembered`` is what was last proven; ``last_run_failed`` says that the last run did not end well.
    ``inventory_cache`` is given where other runs are due at the same time; ``due`` is since when this one is (unix
    seconds).
    """

    job: Job
    guest: Guest
    storages: tuple[Storage, ...]
    stall_timeout: float
    remembered: Synced
    last_run_failed: bool
    inventory_cache: InventoryCache | None = None
    due: float = 0.0


@dataclass(frozen=True, slots=True)
class RunResult:
    """What a successful run achieved; ``sent_bytes`` is what went through the stream, 0 when nothing had changed."""

    last_sync: float
    sent_bytes: int
    unreplicated_bytes: int | None


@dataclass(frozen=True, slots=True)
class RunRecorder:
    """How a run writes down what it proved and found; durable when the call returns.

    Attributes:
        synced: what is proven to be on the target; an empty `Synced` says that the target holds no whole copy.
        resume_pending: whether a half-received state waits there.
        vanished: the job's replicas on the target whose volumes are gone from the source: all of them, as full dataset
            names, also where there are none. To be called once by each run that has seen both sides.
    """

    synced: Callable[[Synced], Awaitable[None]]
    resume_pending: Callable[[bool], Awaitable[None]]
    vanished: Callable[[Sequence[str]], Awaitable[None]]
