"""``zsr restore-points``: the moments that the target's replicas can go back to."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from datetime import tzinfo

import click

from replicator.cli.calendar import moment
from replicator.cli.completion import job_ids
from replicator.cli.context import config_option, settings, store
from replicator.cli.output import format_option, local_time, print_json, print_table
from replicator.cluster.model import Cluster
from replicator.common.durations import compact
from replicator.common.sizes import size
from replicator.config.settings import Settings
from replicator.errors import ConfigError
from replicator.models import Guest, Job, JobId
from replicator.replication.opened import Opened, close_points, find_opened, open_point
from replicator.replication.replica_heads import Heads
from replicator.replication.restore_points import Replicas, RestorePoint, heads, read_replicas, restore_points
from replicator.state.guest_locks import guest_lock
from replicator.zfs.node_clients import Nodes, connected

COLUMNS = ("Time", "Age", "Volumes", "Written", "Complete")


class _Points(click.Group):
    """``zsr restore-points ID`` lists; what is no name of a command is an argument of that."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] in self.commands:
            return super().resolve_command(ctx, args)
        if len(args) > 1 and args[1] in self.commands:
            ctx.fail(f"The command comes first: {ctx.command_path} {args[1]} {args[0]}")
        if len(args) > 1 and not (args[0].startswith("-") or args[1].startswith("-")):
            ctx.fail(f"No such command '{args[0]}'.")
        return "", list_restore_points, args  # it is typed without a name, and errors show the command so


@click.group("restore-points", cls=_Points, context_settings={"ignore_unknown_options": True})
def points() -> None:
    """The restore points of job ID: list them (zsr restore-points ID), look into one, close it."""


@click.command("restore-points")
@click.argument("job_id", metavar="ID", shell_complete=job_ids)
@format_option
@config_option
def list_restore_points(job_id: str, form: str) -> None:
    """List the sets of job ID's snapshots on its target, newest first."""
    node = settings()
    cluster = store(node).read()
    job = cluster.job(JobId.parse(job_id))
    replicas, opened = asyncio.run(_look(node, cluster, job))
    listed, now = restore_points(job.id, replicas), time.time()
    found = heads(job.id, replicas)
    if form == "json":
        print_json([_json(point, found, now, opened) for point in listed])
    else:
        print_table(COLUMNS, [_row(point, now, node.timezone) for point in listed])
        for each in opened:
            click.echo(
                f"Open on {job.target}: {each.typed} ({each.origin}). Close it: zsr restore-points close {job.id}"
            )
    if replicas.source_error is not None:
        if form != "json":
            click.echo("\n".join(_advice(job, found, node.timezone)))
        what = "Judged by the replicas alone, since the guest's present volumes are not known"
        click.echo(f"zsr: {what}: {replicas.source_error}", err=True)
        click.get_current_context().exit(1)


@points.command("open")
@click.argument("job_id", metavar="ID", shell_complete=job_ids)
@click.option(
    "--at", metavar="TIME", help="The newest one of this time or before, e.g. 2026-11-23T09:45. [default: now]"
)
@click.option("--volume", metavar="V", help="Only this volume, e.g. local-zfs:vm-100-disk-0. [default: all]")
@config_option
def open_restore_point(job_id: str, at: str | None, volume: str | None) -> None:
    """Open a restore point of job ID on its target: read-only clones, to take yesterday's file from."""
    node = settings()
    cluster = store(node).read()
    job = cluster.job(JobId.parse(job_id))
    before = None if at is None else moment("--at", at, node.timezone)
    if volume is not None:
        cluster.volume(volume)
    with guest_lock(node.state_dir / "locks", job.id.guest):
        point, opened = asyncio.run(_open(node, cluster, job, before, volume))
    click.echo(f"Open on {job.target}, read-only, as of {local_time(point.time, node.timezone)}:")
    for each in opened:
        click.echo(f"  {each.typed}   # {each.origin}")
    click.echo(f"Close it: zsr restore-points close {job.id}")


@points.command("close")
@click.argument("job_id", metavar="ID", shell_complete=job_ids)
@config_option
def close_restore_points(job_id: str) -> None:
    """Close all that is open of job ID's restore points: the clones are destroyed, the restore points stay."""
    node = settings()
    cluster = store(node).read()
    job = cluster.job(JobId.parse(job_id))
    with guest_lock(node.state_dir / "locks", job.id.guest):
        closed = asyncio.run(_close(node, cluster, job))
    for each in closed:
        click.echo(f"closed {each.dataset} on {job.target}")
    if not closed:
        click.echo(f"Nothing of job {job.id} is open on {job.target}.")


async def _open(
    node: Settings, cluster: Cluster, job: Job, before: float | None, volume: str | None
) -> tuple[RestorePoint, list[Opened]]:
    async with connected(node, cluster.nodes.values()) as nodes:
        found = restore_points(job.id, await _read(cluster, job, nodes))
        # The newest may be some seconds ahead of the clock: runs within a second count up the time in the name.
        point = next((each for each in found if before is None or each.time <= before), None)
        if point is None:
            until = "" if before is None else f" of {local_time(before, node.timezone)} or before"
            raise ConfigError(
                f"Job {job.id} has no restore point{until}.",
                advice=f"See: zsr restore-points {job.id}.",
            )
        return point, await open_point(job, point, cluster.storages.values(), nodes.client(job.target), volume)


async def _close(node: Settings, cluster: Cluster, job: Job) -> list[Opened]:
    async with connected(node, cluster.nodes.values()) as nodes:
        return await close_points(job.id, cluster.storages.values(), nodes.client(job.target))


def _json(point: RestorePoint, found: Heads, now: float, opened: Sequence[Opened]) -> dict[str, object]:
    return {
        "snapshot": point.name,
        "time": point.time,
        "age": now - point.time,
        "datasets": list(point.datasets),
        "volumes": point.volumes,
        "of": point.of,
        "written": point.written,
        "complete": point.complete,
        "opened": [each.place for each in opened if (each.origin or "").endswith(f"@{point.name}")],
        "ahead": sorted(found.ahead) if point.time == found.whole else [],
    }


def _row(point: RestorePoint, now: float, zone: tzinfo) -> tuple[str, ...]:
    return (
        local_time(point.time, zone),
        compact(max(0.0, now - point.time)),
        f"{point.volumes} of {point.of}",
        size(point.written),
        "yes" if point.complete else "NO",
    )


def _advice(job: Job, found: Heads, zone: tzinfo) -> Iterator[str]:
    """Yield how a guest whose source is dead goes on from its replicas."""
    recover = f"zsr guest recover {job.id.guest} --on {job.target}"
    if found.whole is None:
        yield "No set is whole." if found.current else "There is no set."
    elif not found.ahead:
        yield f"All replicas are of {local_time(found.whole, zone)}. If the source is dead, go on from them:"
        yield f"  {recover}"
    else:
        yield f"The newest whole set is of {local_time(found.whole, zone)}."
        for dataset, time_ahead in found.ahead.items():
            yield f"{dataset} is ahead of it: {local_time(time_ahead, zone)}."
        yield "If the source is dead, go on from that set; what is newer is kept aside:"
        yield f"  {recover} --restore-point {found.whole}"
    for dataset, newest in found.left.items():
        yield f"{dataset} has no set since {local_time(newest, zone)}: its volume had left the guest."


async def _look(node: Settings, cluster: Cluster, job: Job) -> tuple[Replicas, list[Opened]]:
    async with connected(node, cluster.nodes.values()) as nodes:
        replicas = await _read(cluster, job, nodes)
        return replicas, await find_opened(job.id, cluster.storages.values(), nodes.client(job.target))


async def _read(cluster: Cluster, job: Job, nodes: Nodes) -> Replicas:
    guest = cluster.guests.get(job.id.guest)
    owner = cluster.source(job)
    return await read_replicas(
        job,
        guest or Guest(job.id.guest, str(job.id.guest), ""),
        cluster.storages.values(),
        nodes.client(owner) if owner else None,
        nodes.client(job.target),
    )
