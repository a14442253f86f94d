"""``zsr diverged``: list, show, open, close and destroy the replicas that runs kept aside."""

from __future__ import annotations

import asyncio
import shlex
import time
from collections.abc import Iterable, Iterator
from datetime import tzinfo

import click

from replicator.cli.completion import node_names
from replicator.cli.context import config_option, open_state, settings, store
from replicator.cli.output import confirmed, format_option, local_time, name_failures, print_json, print_table
from replicator.cluster.model import Cluster
from replicator.common.sizes import size
from replicator.common.tasks import result_or_error
from replicator.config.settings import Settings
from replicator.errors import ConfigError, ZsrError
from replicator.replication.diverged import (
    DivergedReplica,
    destroy_diverged,
    find_diverged,
    read_diverged,
    refuse_needed,
    refuse_only_copy,
)
from replicator.replication.opened import Opened
from replicator.replication.opened_asides import close_aside, open_aside
from replicator.state.guest_locks import guest_lock
from replicator.zfs.node_clients import Nodes, connected

COLUMNS = ("Node", "Dataset", "Job", "Guest", "Size", "Holds")


@click.group()
def diverged() -> None:
    """Replicas that no longer fit their source: kept aside by runs; what differs is destroyed only by hand."""


@diverged.command("list")
@click.option("--node", "only", metavar="NODE", help="Only on this node. [default: all]", shell_complete=node_names)
@format_option
@config_option
def list_diverged(only: str | None, form: str) -> None:
    """List the replicas that are kept aside, on all nodes of the cluster that can be reached."""
    node = settings()
    cluster = store(node).read()
    names = sorted(cluster.nodes) if only is None else [_known(only, cluster)]
    answers = asyncio.run(_ask(node, cluster, names))
    found = [kept for answer in answers.values() if not isinstance(answer, ZsrError) for kept in answer]
    if form == "json":
        print_json([_json(kept, cluster) for kept in found])
    else:
        print_table(COLUMNS, [_row(kept, cluster) for kept in found])
        click.echo("".join(f"{line}\n" for kept in found for line in _open_lines(kept, node.timezone)), nl=False)
    name_failures(answers.values())


@diverged.command()
@click.argument("node_name", metavar="NODE", shell_complete=node_names)
@click.argument("dataset")
@format_option
@config_option
def show(node_name: str, dataset: str, form: str) -> None:
    """Show what DATASET on NODE, a replica that was kept aside, holds: its snapshots, oldest first."""
    node = settings()
    cluster = store(node).read()
    kept = asyncio.run(_find(node, cluster, _known(node_name, cluster), dataset))
    if form == "json":
        contents = [{"snapshot": s.name, "time": s.creation, "written": s.written} for s in kept.snapshots]
        print_json({**_json(kept, cluster), "contents": contents, "written": kept.written, "clones": kept.clones})
    else:
        rows = [(s.name, local_time(s.creation, node.timezone), size(s.written)) for s in kept.snapshots]
        print_table(("Snapshot", "Time", "Written"), [*rows, ("(since then)", "-", size(kept.written))])
        click.echo("".join(f"{line}\n" for line in _open_lines(kept, node.timezone)), nl=False)


@diverged.command("open")
@click.argument("node_name", metavar="NODE", shell_complete=node_names)
@click.argument("dataset")
@click.option("--snapshot", metavar="NAME", help="As of this snapshot of it. [default: as it was written last]")
@config_option
def open_diverged(node_name: str, dataset: str, snapshot: str | None) -> None:
    """Open DATASET on NODE, a replica that was kept aside, to take files from: read-only, until it is closed."""
    node = settings()
    cluster = store(node).read()
    where = _known(node_name, cluster)
    opened = asyncio.run(_open(node, cluster, where, dataset, snapshot))
    moment = "as it was written last" if snapshot is None else f"as of {snapshot}"
    click.echo(f"Open on {where}, read-only, {moment}:\n  {opened.typed}")
    click.echo(f"Close it: zsr diverged close {where} {shlex.quote(dataset)}")


@diverged.command("close")
@click.argument("node_name", metavar="NODE", shell_complete=node_names)
@click.argument("dataset")
@config_option
def close_diverged(node_name: str, dataset: str) -> None:
    """Close DATASET on NODE: the clone by which it was read is destroyed, what is kept aside stays as it was."""
    node = settings()
    cluster = store(node).read()
    where = _known(node_name, cluster)
    closed = asyncio.run(_close(node, cluster, where, dataset))
    click.echo(f"closed {dataset} on {where}" if closed else f"'{dataset}' is not open on {where}.")


@diverged.command()
@click.argument("node_name", metavar="NODE", shell_complete=node_names)
@click.argument("dataset")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--only-copy", is_flag=True, help="Also if it is the only copy of its volume there.")
@config_option
def destroy(node_name: str, dataset: str, yes: bool, only_copy: bool) -> None:
    """Destroy DATASET on NODE, a replica that was kept aside, with its snapshots.

    It is refused while no replica there has taken its place.
    """
    node = settings()
    cluster = store(node).read()
    where = _known(node_name, cluster)
    kept = asyncio.run(_find(node, cluster, where, dataset))
    refuse_needed(kept)
    if not only_copy:
        refuse_only_copy(kept)
    count = len(kept.snapshots)
    also = f" with {count} snapshot{'s' if count > 1 else ''}" if count else ""
    owner = f"once a replica of job {kept.job}"
    if yes or confirmed(f"Destroy '{dataset}'{also} on {where}, {size(kept.size)}, {owner}?"):
        with guest_lock(node.state_dir / "locks", kept.job.guest):
            gone = asyncio.run(_destroy(node, cluster, where, dataset, only_copy=only_copy))
            _forget(node, cluster, gone)
        click.echo(f"destroyed {dataset} on {where}")
    else:
        click.echo("Nothing was changed.", err=True)
        click.get_current_context().exit(1)


def _known(name: str, cluster: Cluster) -> str:
    if name not in cluster.nodes:
        raise ConfigError(f"There is no node '{name}'.", advice=f"Known: {', '.join(sorted(cluster.nodes))}.")
    return name


async def _ask(node: Settings, cluster: Cluster, names: Iterable[str]) -> dict[str, list[DivergedReplica] | ZsrError]:
    """Return the replicas of each node, or the error that it answered with; all nodes at once."""
    async with connected(node, cluster.nodes.values()) as nodes, asyncio.TaskGroup() as group:
        asked = {name: group.create_task(result_or_error(_ask_one(name, cluster, nodes))) for name in names}
    return {name: task.result() for name, task in asked.items()}


async def _ask_one(name: str, cluster: Cluster, nodes: Nodes) -> list[DivergedReplica]:
    return await read_diverged(cluster.storages.values(), nodes.client(name))


async def _find(node: Settings, cluster: Cluster, where: str, dataset: str) -> DivergedReplica:
    async with connected(node, cluster.nodes.values()) as nodes:
        return await find_diverged(dataset, cluster.storages.values(), nodes.client(where))


async def _destroy(node: Settings, cluster: Cluster, where: str, dataset: str, *, only_copy: bool) -> DivergedReplica:
    async with connected(node, cluster.nodes.values()) as nodes:
        return await destroy_diverged(dataset, cluster.storages.values(), nodes.client(where), only_copy=only_copy)


async def _open(node: Settings, cluster: Cluster, where: str, dataset: str, snapshot: str | None) -> Opened:
    async with connected(node, cluster.nodes.values()) as nodes:
        storages, client = cluster.storages.values(), nodes.client(where)
        return await open_aside(dataset, snapshot, node.node, time.time(), storages, client)


async def _close(node: Settings, cluster: Cluster, where: str, dataset: str) -> list[Opened]:
    async with connected(node, cluster.nodes.values()) as nodes:
        return await close_aside(dataset, cluster.storages.values(), nodes.client(where))


def _forget(node: Settings, cluster: Cluster, gone: DivergedReplica) -> None:
    """Forget what the job brought, if it is one of this node's guests and still has that target."""
    job = cluster.jobs.get(gone.job)
    if job is not None and job.target == gone.node and cluster.source(job) == node.node:
        with open_state(node) as state:
            state.jobs.forget_sent(gone.job, (snapshot.guid for snapshot in gone.snapshots))


def _row(kept: DivergedReplica, cluster: Cluster) -> tuple[str, ...]:
    guest = cluster.guests.get(kept.job.guest)
    named = f"{kept.job.guest} {guest.name}" if guest and guest.name != str(guest.id) else str(kept.job.guest)
    return (kept.node, kept.dataset, str(kept.job), named, size(kept.size), _holds(kept))


def _open_lines(kept: DivergedReplica, zone: tzinfo) -> Iterator[str]:
    """Yield where it is open, since when, and how it is closed."""
    if kept.opened is not None:
        since, by = local_time(kept.opened.since, zone), kept.opened.by
        yield f"Open on {kept.node} since {since}{f', from {by}' if by else ''}: {kept.opened.typed}"
        yield f"  Close it: {kept.closing}"


def _holds(kept: DivergedReplica) -> str:
    return "nothing" if kept.holds is None else str(kept.holds)


def _json(kept: DivergedReplica, cluster: Cluster) -> dict[str, object]:
    guest = cluster.guests.get(kept.job.guest)
    return {
        "node": kept.node,
        "dataset": kept.dataset,
        "job": str(kept.job),
        "guest": kept.job.guest,
        "guest_name": guest.name if guest else None,
        "size": kept.size,
        "snapshots": len(kept.snapshots),
        "holds": _holds(kept),
        "opened": None if kept.opened is None else kept.opened.place,
        "opened_since": None if kept.opened is None else kept.opened.since,
        "opened_by": None if kept.opened is None else kept.opened.by,
    }
