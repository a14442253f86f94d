"""Runs single commands of a node's ZFS for which its client has no method of its own."""

from __future__ import annotations

from collections.abc import Sequence

from replicator.zfs import errors
from replicator.zfs.client import ZfsClient

COMMAND_TIMEOUT_SECONDS = 60.0


async def execute(client: ZfsClient, argv: Sequence[str], doing: str) -> str:
    """Return what a command writes; ``doing`` names the attempt in an error. Raises ZsrError: it failed."""
    done = await client.host.run(argv, limit=COMMAND_TIMEOUT_SECONDS)
    if not done.ok:
        raise errors.classify(doing, done.stderr, node=client.node)
    return done.stdout


async def execute_all(client: ZfsClient, commands: Sequence[Sequence[str]], doing: str) -> str:
    """Run commands one after the other; return what all of them write. Raises ZsrError: one failed."""
    return "".join([await execute(client, argv, doing) for argv in commands])
