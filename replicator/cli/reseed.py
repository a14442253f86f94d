"""``zsr reseed``: send volumes again in full next to their replicas, and swap both after the proof."""

from __future__ import annotations

import asyncio

import click

from replicator.cli.completion import job_ids
from replicator.cli.context import ask_daemon, config_option, own_guest, settings, store
from replicator.cli.output import confirmed, print_table
from replicator.cli.run import CancelledRunError, in_foreground
from replicator.cluster.model import Cluster
from replicator.common.sizes import size
from replicator.config.settings import Settings
from replicator.daemon.control import LostDaemonError, NoDaemonError
from replicator.errors import ConfigError
from replicator.models import Job, JobId, Outcome
from replicator.replication.reseed_preview import ReseedPreview, look_at_reseed
from replicator.zfs.node_clients import connected

COLUMNS = ("Volume", "Replica", "Bytes", "Space", "")


@click.command()
@click.argument("job_id", metavar="ID", shell_complete=job_ids)
@click.argument("volume", required=False)
@click.option("--yes", is_flag=True, help="Do not ask.")
@config_option
def reseed(job_id: str, volume: str | None, yes: bool) -> None:
    """Send VOLUME of job ID again in full, or all volumes, and swap the new replicas with the old ones.

    The old replicas stay until the new ones are proven, and are kept aside then (zsr diverged). No other run of the
    guest starts meanwhile. Cut off anywhere, the same command goes on with what has arrived.
    """
    node = settings()
    cluster = store(node).read()
    job = cluster.job(JobId.parse(job_id))
    if job.removal is not None:
        raise ConfigError(f"Job {job.id} is being removed.", advice=f"See: zsr log {job.id}.")
    wanted = () if volume is None else (str(cluster.volume(volume)),)
    preview = asyncio.run(_look(node, cluster, job, wanted))
    _print(preview)
    if not yes and not confirmed(f"Send {_volumes(preview)} again in full to {job.target}?"):
        click.echo("Nothing was changed.", err=True)
        click.get_current_context().exit(1)
    if not _done(node, job, wanted):
        click.echo(f"zsr: The reseed failed; nothing was destroyed. See: zsr log {job.id}", err=True)
        click.get_current_context().exit(1)
    click.echo("done; the old replicas are kept aside: zsr diverged list")


async def _look(node: Settings, cluster: Cluster, job: Job, wanted: tuple[str, ...]) -> ReseedPreview:
    guest, storages = own_guest(node, cluster, job), tuple(cluster.storages.values())
    async with connected(node, cluster.nodes.values()) as nodes:
        source, target = nodes.client(node.node), nodes.client(job.target)
        return await look_at_reseed(job, guest, storages, wanted, source, target)


def _done(node: Settings, job: Job, wanted: tuple[str, ...]) -> bool:
    """Let the daemon do it, or this process if none is running; return whether it went well."""
    try:
        outcome = ask_daemon(node, {"verb": "reseed", "job": str(job.id), "volumes": list(wanted)})
    except LostDaemonError:  # it may go on with it; the same command tries again
        raise
    except NoDaemonError:
        return in_foreground(node, job.id, lambda _: None, wanted)
    if outcome == Outcome.CANCELLED:
        raise CancelledRunError(
            f"The reseed of job {job.id} was cancelled.", advice="The same command goes on with what has arrived."
        )
    return bool(outcome == Outcome.SUCCESS)


def _print(preview: ReseedPreview) -> None:
    rows = [
        (
            str(each.volume),
            each.old or each.new,
            size(each.bytes),
            size(each.space),
            "goes on with what has arrived" if each.begun else "",
        )
        for each in preview.volumes
    ]
    print_table(COLUMNS, rows)
    free = ", ".join(f"{size(available)} in {path}" for path, available in sorted(preview.available.items()))
    click.echo(f"needs {size(preview.space)} on {preview.job.target}; free there: {free or 'unknown'}")


def _volumes(preview: ReseedPreview) -> str:
    count = len(preview.volumes)
    return str(preview.volumes[0].volume) if count == 1 else f"{count} volumes"
