"""``zsr restore-points``: the moments that the target's replicas can go back to."""

from __future__ import annotations

import asyncio
import time

import click

from replicator.cli.context import config_option, settings, store
from replicator.cli.output import format_option, local_time, print_json, print_table
from replicator.cluster.model import Cluster
from replicator.common.durations import compact
from replicator.common.sizes import size
from replicator.config.settings import Settings
from replicator.models import Guest, Job, JobId
from replicator.replication.restore_points import Replicas, read_replicas, restore_points
from replicator.zfs.node_clients import connected

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
    if form == "json":
        print_json(
            [
                {
                    "snapshot": point.name,
                    "time": point.time,
                    "age": now - point.time,
                    "datasets": list(point.datasets),
                    "volumes": point.volumes,
                    "of": point.of,
                    "written": point.written,
                    "complete": point.complete,
                }
                for point in points
            ]
        )
    else:
        rows = [
            (
                local_time(point.time, node.timezone),
                compact(max(0.0, now - point.time)),
                f"{point.volumes} of {'?' if point.of is None else point.of}",
                size(point.written),
                {True: "yes", False: "NO", None: "unknown"}[point.complete],
            )
            for point in points
        ]
        print_table(COLUMNS, rows)
    if replicas.source_error is not None:
        click.echo(f"zsr: The guest's present volumes are not known: {replicas.source_error}", err=True)
        click.get_current_context().exit(1)


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
