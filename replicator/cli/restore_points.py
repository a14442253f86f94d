"""``zsr restore-points``: the moments that the target's replicas can go back to."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from datetime import tzinfo

import click

from replicator.cli.context import config_option, settings, store
from replicator.cli.output import format_option, local_time, print_json, print_table
from replicator.cluster.model import Cluster
from replicator.common.durations import compact
from replicator.common.sizes import size
from replicator.config.settings import Settings
from replicator.models import Guest, Job, JobId
from replicator.replication.replica_heads import Heads
from replicator.replication.restore_points import Replicas, RestorePoint, heads, read_replicas, restore_points
from replicator.zfs.node_clients import connected
from replicator.zfs.snapshot_names import snapshot_name

COLUMNS = ("Time", "Age", "Volumes", "Written", "Complete")


@click.command("restore-points")
@click.argument("job_id", metavar="ID")
@format_option
@config_option
def list_restore_points(job_id: str, form: str) -> None:
    """List the sets of job ID's snapshots on its target, newest first."""
    node = settings()
    cluster = store(node).read()
    job = cluster.job(JobId.parse(job_id))
    replicas = asyncio.run(_look(node, cluster, job))
    points, now = restore_points(job.id, replicas), time.time()
    found = heads(job.id, replicas)
    if form == "json":
        print_json([_json(point, found, now) for point in points])
    else:
        print_table(COLUMNS, [_row(point, now, node.timezone) for point in points])
    if replicas.source_error is not None:
        if form != "json":
            click.echo("\n".join(_advice(job.id, found, node.timezone)))
        what = "Judged by the replicas alone, since the guest's present volumes are not known"
        click.echo(f"zsr: {what}: {replicas.source_error}", err=True)
        click.get_current_context().exit(1)


def _json(point: RestorePoint, found: Heads, now: float) -> dict[str, object]:
    return {
        "snapshot": point.name,
        "time": point.time,
        "age": now - point.time,
        "datasets": list(point.datasets),
        "volumes": point.volumes,
        "of": point.of,
        "written": point.written,
        "complete": point.complete,
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


def _advice(job: JobId, found: Heads, zone: tzinfo) -> Iterator[str]:
    """Yield what to do before a guest whose source is dead is started from its replicas."""
    if found.whole is None:
        yield "No set is whole." if found.current else "There is no set."
    elif not found.ahead:
        yield f"All replicas are of {local_time(found.whole, zone)}."
    else:
        yield f"The newest whole set is of {local_time(found.whole, zone)}. Before the guest is started from it:"
        name = snapshot_name(job, found.whole or 0)
        for dataset, time_ahead in found.ahead.items():
            yield f"  zfs rollback -r {dataset}@{name}   # it is ahead: {local_time(time_ahead, zone)}"
    for dataset, newest in found.left.items():
        yield f"{dataset} has no set since {local_time(newest, zone)}: its volume had left the guest."


async def _look(node: Settings, cluster: Cluster, job: Job) -> Replicas:
    guest = cluster.guests.get(job.id.guest)
    owner = cluster.source(job)
    async with connected(node, cluster.nodes.values()) as nodes:
        return await read_replicas(
            job,
            guest or Guest(job.id.guest, str(job.id.guest), ""),
            cluster.storages.values(),
            nodes.client(owner) if owner else None,
            nodes.client(job.target),
        )
