"""``zsr guest recover``: let a guest go on from its replicas, while the node that owns it is dead."""

from __future__ import annotations

import asyncio

import click

from replicator.cli.calendar import moment
from replicator.cli.completion import guest_ids, node_names, targets
from replicator.cli.context import config_option, settings, store
from replicator.cli.guest_argument import GUEST
from replicator.cli.orders_elsewhere import Elsewhere, refuse_unfit
from replicator.cli.output import confirmed
from replicator.cli.recover_all import recover_all
from replicator.cli.recovery_order import RecoveryOrder, Wishes, refuse_without_force
from replicator.config.settings import Settings
from replicator.models import GuestId
from replicator.zfs.node_clients import connected


@click.command(short_help="The node of guest ID is dead: go on from replicas.")
@click.argument("guest_id", metavar="[ID]", type=GUEST, required=False, shell_complete=guest_ids)
@click.option(
    "--on",
    "to",
    metavar="NODE",
    shell_complete=targets,
    help="Order it on this node. [default: the node on which it is typed]",
)
@click.option(
    "--all-of",
    "dead",
    metavar="NODE",
    shell_complete=node_names,
    help="All guests of a dead node, each where its newest replica is.",
)
@click.option("--restore-point", "at", metavar="TIME", help="Go on from the newest set of this time or before.")
@click.option("--force", is_flag=True, help="Needed with the store 'file', which cannot say whether the owner is dead.")
@click.option("--older", is_flag=True, help="Also if another node has a more recent replica, or does not say.")
@click.option("--without", multiple=True, metavar="NAME", help="Give up this volume's replica, or this absent pool.")
@click.option("--show", is_flag=True, hidden=True)
@click.option("--as-shown", type=int, hidden=True)
@click.option("--yes", is_flag=True, help="Do not ask.")
@config_option
def recover(
    guest_id: GuestId | None, *, to: str | None, dead: str | None, at: str | None, without: tuple[str, ...],
    force: bool, older: bool, yes: bool, show: bool, as_shown: int | None,
) -> None:  # fmt: skip
    """Make the replicas on this node guest ID, whose own node is dead: what was written there since is not here.

    Refused while the owner answers any node that can be asked. Killed anywhere, the same command does the rest. Start
    the guest when it has ended, unless it has a runtime. With --restore-point what is newer is kept aside.
    """
    node = settings()
    until = None if at is None else moment("--restore-point", at, node.timezone)
    wishes = Wishes(force, older, without, yes=yes, show=show, until=until, as_shown=as_shown)
    if (guest_id is None) == (dead is None):
        raise click.UsageError("Give either the ID of a guest or --all-of NODE.")
    if dead is not None and (to is not None or until is not None or without):
        raise click.UsageError("--all-of chooses node and set of each guest itself, and gives nothing up.")
    if dead is not None:
        well = asyncio.run(recover_all(node, dead, wishes))
    elif guest_id is not None and to not in (None, node.node):
        well = asyncio.run(_recover_on(node, guest_id, to or "", wishes))
    else:
        well = asyncio.run(RecoveryOrder(node, guest_id or 0, wishes).execute())
    if not well:
        click.get_current_context().exit(1)


async def _recover_on(node: Settings, guest_id: GuestId, to: str, wishes: Wishes) -> bool:
    """Show what another node would do, ask here, and order it there; return whether it was done."""
    cluster = await asyncio.to_thread(store(node).read)
    guest = cluster.guest(guest_id)
    targets = [job.target for _, job in sorted(cluster.jobs.items()) if job.id.guest == guest_id and not job.removal]
    refuse_unfit(cluster.nodes.get(to), to, [*targets, *([to] if guest.node == to else [])], guest_id)
    options = _typed(wishes)
    async with connected(node, cluster.nodes.values()) as nodes:
        elsewhere = Elsewhere(node.node, nodes)
        set_time = await elsewhere.show(to, guest_id, options)
        if set_time is None or wishes.show:
            return True
        refuse_without_force(wishes, guest.node)
        if not wishes.yes and not confirmed(f"Recover guest {guest_id} on {to}, as it says?"):
            click.echo("Nothing was changed.", err=True)
            return False
        await elsewhere.recover(to, guest_id, set_time, options)
        return True


def _typed(wishes: Wishes) -> list[str]:
    """Return the options that go along; a time as unix seconds, since the other node may have another zone."""
    older = ["--older"] if wishes.older else []
    until = [] if wishes.until is None else ["--restore-point", str(wishes.until)]
    return [*older, *until, *(word for name in wishes.without for word in ("--without", name))]
