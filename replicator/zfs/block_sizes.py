"""The block sizes of datasets on a node."""

from __future__ import annotations

from collections.abc import Sequence

from replicator.zfs import commands, output
from replicator.zfs.client import ZfsClient


async def block_sizes(client: ZfsClient, datasets: Sequence[str], *, limit: float = 60.0) -> dict[str, int]:
    """Return the size of new blocks of each dataset, in bytes; those that cannot be read are left out."""
    if not datasets:
        return {}
    done = [await client.host.run(argv, limit=limit) for argv in commands.block_sizes(datasets)]
    return {name: size for some in done for name, size in output.block_sizes(some.stdout).items()}
