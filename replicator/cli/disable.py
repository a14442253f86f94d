"""``zsr disable``, ``zsr enable``: keep a job, or all jobs to and from a node, from running, perhaps for a while."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import click

from replicator.cli.completion import job_ids, node_names
from replicator.cli.consequences import conclude
from replicator.cli.context import config_option, notify_daemon, settings, store
from replicator.cli.jobs import change_job
from replicator.cli.output import local_time
from replicator.cluster.disabling import disablement, how_to_enable, refuse_endless
from replicator.cluster.model import Cluster
from replicator.common.durations import parse_duration
from replicator.config.settings import Settings
from replicator.errors import ConfigError
from replicator.models import Job, JobId


class _Span(click.ParamType[float]):
    """A duration of more than nothing."""

    name = "duration"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Parse a value; a wrong one is reported with the allowed values."""
        try:
            seconds = parse_duration(value)
        except ValueError as error:
            self.fail(f"'{value}' is wrong: {error}.", param, ctx)
        if seconds < 1:
            self.fail(f"'{value}' is wrong: at least a second.", param, ctx)
        return seconds


@click.command()
@click.argument("job_id", metavar="[ID]", required=False, shell_complete=job_ids)
@click.option(
    "--node",
    "node_name",
    metavar="NODE",
    help="End the disabling of a node; its jobs run again.",
    shell_complete=node_names,
)
@config_option
def enable(job_id: str | None, node_name: str | None) -> None:
    """Let job ID run, or the jobs of a node."""
    node = settings()
    before = store(node).read()
    if job := _chosen(job_id, node_name):
        after = change_job(store(node), job, lambda job: replace(job, disabled=False, disabled_until=None))
        was_on, what = before.jobs.get(job) == after, f"Job {job}"
    else:
        store(node).disable_node(str(node_name), disabled=False)
        was_on, what = before.nodes.get(str(node_name)) == store(node).read().nodes[str(node_name)], f"Node {node_name}"
    click.echo(f"{what}: {'was not disabled.' if was_on else 'enabled.'}", err=True)
    if not was_on:
        _conclude(node, job)
    for line in _still_disabled(store(node).read(), job, node_name):
        click.echo(line, err=True)


@click.command()
@click.argument("job_id", metavar="[ID]", required=False, shell_complete=job_ids)
@click.option(
    "--node",
    "node_name",
    metavar="NODE",
    help="All jobs to and from a node, for its maintenance.",
    shell_complete=node_names,
)
@click.option("--for", "span", type=_Span(), metavar="DURATION", help="Until then only, like 2h.  [default: no end]")
@config_option
def disable(job_id: str | None, node_name: str | None, span: float | None) -> None:
    """Keep job ID from running, or all jobs to and from a node."""
    node = settings()
    until = None if span is None else float(round(time.time() + span))
    if job := _chosen(job_id, node_name):
        change_job(store(node), job, _disabled(until))
    else:
        store(node).disable_node(str(node_name), disabled=until is None, until=until)
    what = f"Job {job}" if job else f"All jobs to and from {node_name}"
    back = f"zsr enable {job or f'--node {node_name}'}"
    end = f"until: {back}" if until is None else f"until {local_time(until, node.timezone)}."
    click.echo(f"{what}: disabled {end}", err=True)
    _conclude(node, job)


def _conclude(node: Settings, job: JobId | None) -> None:
    """Say what follows; the jobs of a node are those of other nodes too."""
    if job is not None:
        conclude(node, store(node).read(), job)
        return
    notify_daemon(node)
    if others := [each for each in store(node).read().nodes.values() if each.name != node.node and each.zsr]:
        names = " ".join(sorted(each.name for each in others))
        click.echo(
            f"Only {node.node}'s cluster file was changed. Bring it to the others: zsr cluster push {names}", err=True
        )


def _chosen(job_id: str | None, node_name: str | None) -> JobId | None:
    """Return the job, or None for a node; refuse both and neither."""
    if (job_id is None) == (node_name is None):
        raise ConfigError("Give either the ID of a job or --node NODE.", advice="The jobs: zsr list.")
    return None if job_id is None else JobId.parse(job_id)


def _disabled(until: float | None) -> Callable[[Job], Job]:
    def change(job: Job) -> Job:
        if until is not None:
            refuse_endless(f"Job {job.id}", str(job.id), disabled=job.disabled)
        return replace(job, disabled=until is None, disabled_until=until)

    return change


def _still_disabled(cluster: Cluster, job_id: JobId | None, node_name: str | None) -> list[str]:
    """Return sentences about the jobs that were to be enabled, and stay disabled for another reason."""
    lines = []
    for job in cluster.jobs.values():
        named = job.id == job_id if job_id is not None else node_name in (cluster.source(job), job.target)
        if named and (off := disablement(cluster, job, time.time())) is not None:
            why = f"with node {off.node}" if off.node else "by itself"
            lines.append(f"Job {job.id} stays disabled {why}: {how_to_enable(job.id, off)}")
    return lines
