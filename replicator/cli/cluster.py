"""``zsr cluster``: compare the copies of the cluster file on all nodes, and bring them to one state (file store)."""

from __future__ import annotations

import click

from replicator.cli.cluster_copies import Copies
from replicator.cli.completion import node_names
from replicator.cli.context import config_option, settings
from replicator.cli.output import confirmed
from replicator.cluster.file_copies import REPLACEABLE, Standing


@click.group()
def cluster() -> None:
    """The copies of the cluster file on all nodes."""


@cluster.command()
@click.argument("nodes", metavar="[NODE]...", nargs=-1, shell_complete=node_names)
@config_option
def diff(nodes: tuple[str, ...]) -> None:
    """Compare this node's cluster file with that of each other node, or of NODE, over the connections that runs use.

    Exit status: 1 if any differs or does not answer.
    """
    copies = Copies.read(settings(), nodes)
    if not copies.names:
        click.echo("No other node runs zsr.")
    for name in copies.names:
        copies.show(name)
    if any(copies.standing(name) is not Standing.SAME for name in copies.names):
        click.get_current_context().exit(1)


@cluster.command()
@click.argument("nodes", metavar="[NODE]...", nargs=-1, shell_complete=node_names)
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--force", is_flag=True, help="Also replace copies that may have been edited there.")
@config_option
def push(nodes: tuple[str, ...], yes: bool, force: bool) -> None:
    """Write this node's cluster file to each other node, or to NODE.

    Refused for a copy that may have been edited there since the two were last the same, and for one that knows a later
    epoch of a guest. Exit status: 1 if any node does not have this file afterwards.
    """
    copies = Copies.read(settings(), nodes)
    left = [name for name in copies.names if not _may_push(copies, name, force=force)]
    chosen = [name for name in copies.names if name not in left]
    differ = [name for name in chosen if copies.standing(name) is not Standing.SAME]
    if differ and not yes and not confirmed(f"Write this node's cluster file to {', '.join(differ)}?"):
        click.echo("Nothing was changed.", err=True)
        click.get_current_context().exit(1)
    failed = copies.push(chosen)
    if left or failed:
        click.get_current_context().exit(1)


def _may_push(copies: Copies, name: str, *, force: bool) -> bool:
    """Show a node's copy, and return whether it is or may become the same."""
    copies.show(name)
    found = copies.standing(name)
    if found is Standing.EDITED and not force:
        click.echo(f"{name}: not written: take over into this file what is new there, then give --force.", err=True)
    if found is Standing.AHEAD:
        click.echo(f"{name}: not written: bring this file up to date first.", err=True)
    return found in REPLACEABLE or (found is Standing.EDITED and force)
