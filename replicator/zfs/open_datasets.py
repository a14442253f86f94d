"""Which datasets of a node are open: a zvol that a guest works on, or a mounted filesystem."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from replicator.zfs.channel_programs import open_datasets, opened
from replicator.zfs.client import ZfsClient
from replicator.zfs.model import pool_of


async def open_among(client: ZfsClient, datasets: Iterable[str]) -> set[str]:
    """Return those of some datasets with snapshots that are open; none where this ZFS runs no channel programs.

    Raises:
        ZsrError: the node could not be asked.
    """
    pools: dict[str, list[str]] = defaultdict(list)
    for name in datasets:
        pools[pool_of(name)].append(name)
    answers = [await client.program(pool, open_datasets(names)) for pool, names in sorted(pools.items())]
    return {name for answer in answers if answer is not None for name in opened(answer)}
