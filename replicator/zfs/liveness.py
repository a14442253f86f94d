"""Whether a node answers, asked from this node and from every other one."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass

from replicator.errors import NetworkError, ZsrError
from replicator.hosts.host import Host
from replicator.models import Node
from replicator.zfs.node_clients import Nodes

_ASK_SECONDS = 10
_LIMIT_SECONDS = 30.0
_NO_PROGRAM = 3
_ASK = f"""
command -v ssh-keyscan >/dev/null || exit {_NO_PROGRAM}
ssh-keyscan -T {_ASK_SECONDS} -p "$2" -- "$1" 2>/dev/null | grep -q .
"""
"""The SSH server of a node shows its keys to anybody: no login is tried."""


@dataclass(frozen=True, slots=True)
class Liveness:
    """What was found out about a node.

    Attributes:
        answers: the nodes that it answers.
        unknown: the nodes that could not be asked whether it answers them.
    """

    answers: tuple[str, ...]
    unknown: tuple[str, ...]


async def liveness(cluster: Iterable[Node], asked: str, here: str, nodes: Nodes) -> Liveness:
    """Return which nodes a node answers; one that refuses the login, or hangs after it, answers all the same.

    Args:
        cluster: all nodes.
        asked: the name of the node in question.
        here: this node's name.
        nodes: the connections.
    """
    known = {node.name: node for node in cluster}
    witnesses = [name for name in sorted(known) if name != asked]
    async with asyncio.TaskGroup() as group:
        tasks = {
            name: group.create_task(
                _from_here(known[asked], nodes.client(here).host, nodes)
                if name == here
                else _seen_by(nodes.client(name).host, known[asked])
            )
            for name in witnesses
        }
    found = {name: task.result() for name, task in tasks.items()}
    return Liveness(
        tuple(name for name, seen in found.items() if seen), tuple(name for name, seen in found.items() if seen is None)
    )


async def _from_here(asked: Node, here: Host, nodes: Nodes) -> bool:
    """Return whether a node answers this one at all, if only with a refused login or its keys."""
    try:
        await nodes.client(asked.name).host.probe()
    except NetworkError:
        return await _seen_by(here, asked) is True
    except ZsrError:
        return True
    return True


async def _seen_by(witness: Host, asked: Node) -> bool | None:
    """Return whether a node answers another one; None if that one could not be asked, or has no program for it."""
    argv = ["sh", "-c", _ASK, "sh", asked.address, str(asked.port)]
    try:
        done = await witness.run(argv, limit=_LIMIT_SECONDS)
    except ZsrError:
        return None
    return None if done.status == _NO_PROGRAM else done.ok
