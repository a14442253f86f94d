"""Which datasets of a node are open: a zvol that a guest works on, or a mounted filesystem."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from replicator.zfs.channel_programs import open_datasets, opened
from replicator.zfs.client import ZfsClient
from replicator.zfs.model import pool_of


async def surely_open_among(client: ZfsClient, datasets: Iterable[str]) -> set[str] | None:
    """Return those of some datasets that are open, as `open_among`; None if that is not known of each of them.

    Raises:
        ZsrError: the node could not be asked.
    """
    answers = await _ask(client, datasets)
    known = [opened(answer) for answer in answers if answer is not None]
    return None if len(known) < len(answers) else {name for names in known for name in names}


async def open_among(client: ZfsClient, datasets: Iterable[str]) -> set[str]:
    """Return those of some datasets with snapshots that are open; none where this ZFS runs no channel programs.

    Raises:
        ZsrError: the node could not be asked.
    """
    return {name for answer in await _ask(client, datasets) if answer is not None for name in opened(answer)}


async def _ask(client: ZfsClient, datasets: Iterable[str]) -> list[str | None]:
    pools: dict[str, list[str]] = defaultdict(list)
    for name in datasets:
        pools[pool_of(name)].append(name)
    return [await client.program(pool, open_datasets(names)) for pool, names in sorted(pools.items())]
