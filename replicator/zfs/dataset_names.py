"""The names of datasets: whose storage one lies in, and the folder of replicas that were set aside. Pure."""

from __future__ import annotations

from collections.abc import Iterable

DIVERGED_DATASET = "zsr-diverged"
"""The dataset below a storage in which replicas that diverged are kept; nothing in it is a replica any more."""

RESEED_SUFFIX = "-reseed"
"""The end of the name of a new replica in that dataset, which ``zsr reseed`` swaps with the old one after the proof."""


def owning_path(dataset: str, paths: Iterable[str]) -> str | None:
    """Return the path of the storage that owns a dataset: the innermost that it lies below; None if none does.

    A dataset that is itself the path of a storage belongs to the storage around it; where there is none, to its own.
    """
    around = {path for path in paths if f"{dataset}/".startswith(f"{path}/")}
    return max(around - {dataset} or around, key=len, default=None)


def is_diverged(name: str) -> bool:
    """Return whether a dataset is, or lies in, a storage's folder of diverged replicas."""
    return f"/{DIVERGED_DATASET}/" in f"{name}/"


def is_reseed(name: str) -> bool:
    """Return whether a dataset is a new replica in the making, which waits for its swap with the old one."""
    return is_diverged(name) and name.endswith(RESEED_SUFFIX)
