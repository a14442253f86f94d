"""``zsr guest stand-by``: a ``zsr guest take`` that is started before a guest stops, and waits for its order.

Starting a program and logging in take seconds, in which a guest that moves would be off.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterable
from contextlib import suppress

import click

from replicator.cli.context import config_option, notify_daemon, settings, store
from replicator.cli.guest_argument import GUEST
from replicator.cli.guest_take import handed_over, take_over
from replicator.config.settings import Settings
from replicator.errors import ConfigError, ZsrError
from replicator.models import GuestId
from replicator.zfs.client import ZfsClient
from replicator.zfs.node_clients import connected

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
    known = store(node).read().nodes
    async with connected(node, known.values()) as nodes:
        await _order_on_stdin([nodes.client(name) for name in known])
        taken = handed_over(node, guest_id)
        await nodes.update(taken.cluster.nodes.values())
        await take_over(node, taken, nodes, leave_off=leave_off)
        click.echo(TAKEN)
    await asyncio.to_thread(notify_daemon, node)


async def _order_on_stdin(nodes: Iterable[ZfsClient]) -> None:
    """Log in to the nodes, say that this is done, and wait for the order, which does not wait for a node.

    Raises:
        ConfigError: standard input ended without one.
    """
    async with asyncio.TaskGroup() as group:
        logins = group.create_task(_log_in_to(nodes))
        order = await asyncio.to_thread(sys.stdin.readline)
        logins.cancel()
    if order.strip() != ORDER:
        raise ConfigError("No order came; nothing was changed.")


async def _log_in_to(nodes: Iterable[ZfsClient]) -> None:
    async with asyncio.TaskGroup() as group:
        for each in nodes:
            group.create_task(_log_in(each))
    click.echo(READY)


async def _log_in(node: ZfsClient) -> None:
    with suppress(ZsrError):  # the take says it, if it matters then
        await node.features()
