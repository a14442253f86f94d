"""Whether a node answers, asked from this node and from every other one that can be reached."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from replicator.errors import ZsrError
from replicator.models import Node
from replicator.zfs.node_clients import Nodes

_ASK_SECONDS = 5
_LIMIT_SECONDS = 20.0
_ASK = f'ssh-keyscan -T {_ASK_SECONDS} -p "$2" -- "$1" 2>/dev/null | grep -q .'
"""The SSH server of a node shows its keys to anybody: no login is tried."""


async def answering(cluster: Iterable[Node], asked: str, here: str, nodes: Nodes) -> list[str]:
    """Return from which nodes a node answers, in words; none: it is dead, or cut off from all that could be asked.

    Args:
        cluster: all nodes.
        asked: the name of the node in question.
        here: this node's name.
        nodes: the connections.
    """
    known = {node.name: node for node in cluster}
    others = [name for name in sorted(known) if name not in (asked, here)]
    async with asyncio.TaskGroup() as group:
        own = group.create_task(nodes.probe(asked))
        tasks = {name: group.create_task(_seen_from(name, known[asked], nodes)) for name in others}
    return [*([f"to {here}"] if own.result() else []), *(f"to {name}" for name, task in tasks.items() if task.result())]


async def _seen_from(witness: str, asked: Node, nodes: Nodes) -> bool:
    """Return whether another node gets an answer; not if that node itself cannot be asked."""
    argv = ["sh", "-c", _ASK, "sh", asked.address, str(asked.port)]
    try:
        return (await nodes.client(witness).host.run(argv, limit=_LIMIT_SECONDS)).ok
    except ZsrError:
        return False
