"""Destroying many snapshots in portions, each one transaction: neither a limit nor the pool's writes get in the way."""

from __future__ import annotations

import errno
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from replicator.errors import ZsrError
from replicator.zfs.channel_programs import PruneResult, prune_result, verify_and_prune
from replicator.zfs.fence import Fence, Guard, Stamped

PORTION = 500
"""Snapshots that one transaction destroys at most: thousands would hold up the pool's writes, or meet a limit."""


async def prune_rest(
    first: PruneResult,
    stale: Sequence[tuple[str, int]],
    guard: Guard | None,
    run: Callable[[str], Awaitable[str | None]],
    refuse: Callable[[Fence | None, object], None],
) -> PruneResult:
    """Destroy the snapshots that did not fit into the first program, which has proven what replaces them.

    Args:
        first: what that program found and left.
        stale: the further snapshots with their GUIDs.
        guard: the stamps to compare before each portion.
        run: runs a channel program; None where it could not.
        refuse: raises SupersededError where what it found refuses the fence.

    Returns:
        The same with what is left of all. A portion that fails ends the destroying: the rest is left, and the caller
        tries it by commands.
    """
    left = dict(first.left)
    compared = None if guard is None else Guard(guard.fence, guard.compared)
    for begin in range(0, len(stale), PORTION):
        found = await _portion(verify_and_prune(stale=stale[begin : begin + PORTION], guard=compared), run)
        if isinstance(found, Stamped):
            refuse(None if guard is None else guard.fence, found)
        if not isinstance(found, PruneResult):
            left |= dict.fromkeys((name for name, _ in stale[begin:]), errno.EAGAIN)
            break
        left |= found.left
    return replace(first, left=left)


async def _portion(text: str, run: Callable[[str], Awaitable[str | None]]) -> PruneResult | Stamped | str | None:
    try:
        done = await run(text)
    except ZsrError:
        return None
    return None if done is None else prune_result(done)
