"""``zsr guest recover``: let a guest go on from its replicas, while the node that owns it is dead."""

from __future__ import annotations

import asyncio

import click

from replicator.cli.calendar import moment
from replicator.cli.completion import guest_ids
from replicator.cli.context import config_option, settings
from replicator.cli.recovery_order import RecoveryOrder, Wishes


@click.command()
@click.argument("guest_id", metavar="ID", type=int, shell_complete=guest_ids)
@click.option("--restore-point", "at", metavar="TIME", help="Go on from the newest set of this time or before.")
@click.option("--force", is_flag=True, help="Needed with the store 'file', which cannot say whether the owner is dead.")
@click.option("--older", is_flag=True, help="Also if another node has a more recent replica, or does not say.")
@click.option("--without", multiple=True, metavar="NAME", help="Give up this volume's replica, or this absent pool.")
@click.option("--show", is_flag=True, hidden=True)
@click.option("--as-shown", type=int, hidden=True)
@click.option("--yes", is_flag=True, help="Do not ask.")
@config_option
def recover(
    guest_id: int, *, at: str | None, without: tuple[str, ...],
    force: bool, older: bool, yes: bool, show: bool, as_shown: int | None,
) -> None:  # fmt: skip
    """Make the replicas on this node guest ID, whose own node is dead: what was written there since is not here.

    Refused while the owner answers any node that can be asked. Killed anywhere, the same command does the rest. Start
    the guest when it has ended, unless it has a runtime. With --restore-point what is newer is kept aside.
    """
    node = settings()
    until = None if at is None else moment(at, node.timezone)
    wishes = Wishes(force, older, without, yes=yes, show=show, until=until, as_shown=as_shown)
    well = asyncio.run(RecoveryOrder(node, guest_id, wishes).execute())
    if not well:
        click.get_current_context().exit(1)
