"""``zsr guest release``: the volumes that a guest left on a node become its replicas, on that node itself."""

from __future__ import annotations

import asyncio

import click

from replicator.cli.context import config_option, notify_daemon, settings, store
from replicator.config.settings import Settings
from replicator.errors import ConfigError, ZsrError
from replicator.guests.both_sides import volumes_on
from replicator.guests.move import job_to
from replicator.guests.release import refuse_untaken, release
from replicator.replication.guest_replicas import ask_nodes
from replicator.state.guest_locks import guest_lock
from replicator.zfs.fence import Fence
from replicator.zfs.node_clients import connected


@click.command("release")
@click.argument("guest_id", metavar="ID", type=int)
@config_option
def release_guest(guest_id: int) -> None:
    """Make the volumes that guest ID had on this node replicas of the node that owns it now.

    Refused while the guest runs here or a volume is open, and unless its node has taken it. What is newer here stays,
    and is set aside by the next run there.
    """
    node = settings()
    asyncio.run(_release(node, guest_id))
    notify_daemon(node)


async def _release(node: Settings, guest_id: int) -> None:
    cluster = await asyncio.to_thread(store(node).read)
    guest = cluster.guests.get(guest_id)
    if guest is None or guest.node == node.node:
        raise ConfigError(f"Guest {guest_id} does not belong to another node.", advice="See: zsr guest list.")
    back = job_to(cluster.jobs.values(), guest, node.node)
    async with connected(node, cluster.nodes.values()) as nodes:
        there = (await ask_nodes(cluster, [guest.node], nodes))[guest.node]
        if isinstance(there, ZsrError):
            raise there
        refuse_untaken(guest, there)
        with guest_lock(node.state_dir / "locks", guest_id):
            found = await volumes_on(cluster, guest, node.node, nodes)
            left = [each for each in found if each.owner in (None, node.node)]
            fence = Fence(back.id, guest.node, guest.epoch)
            await release(guest, fence, left, nodes.client(node.node), lambda _, text: click.echo(text))
    if not left:
        click.echo(f"Nothing of guest {guest_id} on {node.node} is left to release.")
