"""``zsr guest release``: the volumes that a guest left on a node become its replicas, on that node itself."""

from __future__ import annotations

import asyncio

import click

from replicator.cli.completion import guest_ids
from replicator.cli.context import config_option, notify_daemon, settings, store
from replicator.cli.guest_argument import GUEST
from replicator.config.settings import Settings
from replicator.daemon.left_volumes import described_alone, release_left, take_void_claims_back
from replicator.guests.both_sides import Left
from replicator.models import GuestId
from replicator.zfs.node_clients import connected


@click.command("release")
@click.argument("guest_id", metavar="ID", type=GUEST, shell_complete=guest_ids)
@config_option
def release_guest(guest_id: GuestId) -> None:
    """Make the volumes that guest ID had on this node replicas of the node that owns it now.

    Refused while the guest runs here or a volume is open, and unless its node has taken it. What is newer here stays,
    and is set aside by the next run there.
    """
    node = settings()
    asyncio.run(_release(node, guest_id))
    notify_daemon(node)


async def _release(node: Settings, guest_id: GuestId) -> None:
    cluster = await asyncio.to_thread(store(node).read)
    async with connected(node, cluster.nodes.values()) as nodes:
        for name in await take_void_claims_back(node, store(node).read, guest_id, nodes):
            click.echo(f"the claim of a recovery on '{name}' was taken back")
        left = await release_left(node, store(node).read, guest_id, nodes)
    print_left(guest_id, left)
    if not left.shared and not left.aside and not left.alone:
        click.echo(f"Nothing of guest {guest_id} on {node.node} is left to release.")


def print_left(guest_id: GuestId, left: Left) -> None:
    """Print what became of the volumes that a guest left."""
    for each in left.shared:
        click.echo(f"'{each.name}' is a replica now")
    for each in left.aside:
        click.echo(f"'{each.name}' is newer than what the guest goes on from: it is kept aside, see zsr diverged list")
    if left.alone:
        click.echo(f"{described_alone(guest_id, left.alone)}.", err=True)
