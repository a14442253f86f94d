"""``zsr coverage``: the guests of this node with their jobs, and the volumes that none of these replicates."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping

import click

from replicator.api.coverage import GuestCoverage
from replicator.cli.context import config_option, settings, store
from replicator.cli.output import format_option, print_json, print_table
from replicator.cluster.model import Cluster
from replicator.config.settings import Settings
from replicator.daemon.local_inventory import LocalInventory, take_inventory
from replicator.daemon.status_json import coverage_json
from replicator.errors import ZsrError
from replicator.models import GuestId
from replicator.zfs.node_clients import connected

COLUMNS = ("Guest", "Name", "Jobs", "Not replicated", "Reason")


@click.command()
@format_option
@config_option
def coverage(form: str) -> None:
    """Show what of this node's guests is replicated, and which volumes are not.

    Looks at the ZFS of this node now. Exit status: 1 if anything is left out that no setting excludes.
    """
    node = settings()
    found = asyncio.run(_look(node, store(node).read()))
    if form == "json":
        unknown = {guest: GuestCoverage("", ()) for guest in found.unknown or ()}
        print_json(coverage_json({**found.coverage, **unknown}))
    else:
        unnamed = [(str(guest), "-", "-", "all of it", "not in the cluster file") for guest in found.unknown or ()]
        print_table(COLUMNS, [*_rows(found.coverage), *unnamed])
    if found.problems:
        raise ZsrError(
            "Not all storages of this node could be read, so there may be more: " + " ".join(found.problems),
            advice="Then ask again: zsr coverage.",
        )
    if any(each.forgotten or not each.jobs for each in found.coverage.values()):
        click.get_current_context().exit(1)


async def _look(node: Settings, cluster: Cluster) -> LocalInventory:
    async with connected(node, cluster.nodes.values()) as nodes:
        return await take_inventory(cluster, (), nodes.client(node.node))


def _rows(coverage: Mapping[GuestId, GuestCoverage]) -> Iterator[tuple[str, ...]]:
    for guest, each in coverage.items():
        jobs = ", ".join(map(str, each.jobs)) or "-"
        left_out = [(one.dataset, str(one.reason)) for one in each.uncovered]
        for volume, reason in left_out or [("-", "-") if each.jobs else ("all of it", "no job")]:
            yield (str(guest), each.name, jobs, volume, reason)
