"""What follows from a change of the cluster: when it takes effect, and what has to be done elsewhere."""

from __future__ import annotations

import click

from replicator.cli.context import notify_daemon
from replicator.cluster.model import Cluster
from replicator.config.settings import Settings
from replicator.models import JobId


def conclude(node: Settings, cluster: Cluster, job_id: JobId) -> None:
    """Notify the daemon of a job's change, and print what still has to be done for it, on standard error."""
    here, source = notify_daemon(node), cluster.source(cluster.jobs[job_id]) if job_id in cluster.jobs else node.node
    if source is not None and source != node.node:
        click.echo(
            f"Job {job_id} runs on {source}, and only {node.node}'s cluster file was changed. Bring it there: "
            f"zsr cluster push {source}",
            err=True,
        )
    elif not here:
        click.echo(
            f"No daemon runs on {node.node}: job {job_id} waits for one (systemctl start zsr), or for: "
            f"zsr run --id {job_id}",
            err=True,
        )
