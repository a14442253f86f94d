"""``zsr guest stand-by``: a ``zsr guest take`` that is started before a guest stops, and waits for its order.

Starting a program and logging in take seconds, in which a guest that moves would be off.
"""

from __future__ import annotations

import asyncio
import sys

import click

from replicator.cli.context import config_option, notify_daemon, settings, store
from replicator.cli.guest_argument import GUEST
from replicator.cli.guest_take import handed_over, take_over
from replicator.cluster.model import Cluster
from replicator.config.settings import Settings
from replicator.errors import ConfigError, NetworkError
from replicator.models import GuestId
from replicator.replication.guest_replicas import ask_nodes
from replicator.zfs.node_clients import Nodes, connected

ORDER = "take"
"""The line on its standard input with which the command takes the guest."""

READY = "zsr: ready"
TAKEN = "zsr: taken"
"""Lines that the command prints when it waits, and when the guest has all that it needs there."""


@click.command("stand-by", hidden=True)
@click.argument("guest_id", metavar="ID", type=GUEST)
@click.option("--leave-off", is_flag=True)
@config_option
def stand_by(guest_id: GuestId, leave_off: bool) -> None:
    """Wait for the order on standard input to take guest ID, and end without one. A move uses it."""
    asyncio.run(_take_when_ordered(settings(), guest_id, leave_off=leave_off))


async def _take_when_ordered(node: Settings, guest_id: GuestId, *, leave_off: bool) -> None:
    cluster = store(node).read()
    async with connected(node, cluster.nodes.values()) as nodes:
        silent = await _order_on_stdin(cluster, guest_id, nodes)
        taken = handed_over(node, guest_id)
        await nodes.update(taken.cluster.nodes.values())
        await take_over(node, taken, nodes, leave_off=leave_off, silent=silent)
        click.echo(TAKEN)
    await asyncio.to_thread(notify_daemon, node)


async def _order_on_stdin(cluster: Cluster, guest_id: GuestId, nodes: Nodes) -> frozenset[str]:
    """Look at all nodes, say that this is done, and wait for the order, which does not wait for a node.

    Returns:
        The nodes that did not answer.

    Raises:
        ConfigError: standard input ended without an order.
    """
    async with asyncio.TaskGroup() as group:
        look = group.create_task(_first_look(cluster, guest_id, nodes))
        order = await asyncio.to_thread(sys.stdin.readline)
        look.cancel()
    if order.strip() != ORDER:
        raise ConfigError("No order came; nothing was changed.")
    return frozenset() if look.cancelled() else look.result()


async def _first_look(cluster: Cluster, guest_id: GuestId, nodes: Nodes) -> frozenset[str]:
    """Log in to all nodes, and list what the guest has there, so that the same is quicker when it is off."""
    answers = await ask_nodes(cluster, cluster.nodes, nodes, cluster.guests.get(guest_id))
    click.echo(READY)
    return frozenset(name for name, answer in answers.items() if isinstance(answer, NetworkError))
