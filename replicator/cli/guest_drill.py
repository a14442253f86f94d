"""``zsr guest drill``: prove that a guest's replicas can be used; ``zsr guest drills``: how the last drills ended."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import closing
from datetime import tzinfo

import click

from replicator.cli.completion import guest_ids, node_names
from replicator.cli.context import config_option, settings, state_for_runs, state_to_read, store
from replicator.cli.guest_argument import GUEST
from replicator.cli.output import format_option, local_time, print_json, print_table
from replicator.cluster.model import Cluster
from replicator.common.durations import compact, words
from replicator.common.tasks import until_stopped
from replicator.config.settings import Settings
from replicator.errors import BusyError, ConfigError
from replicator.models import DrillResult, Guest, GuestId, Job
from replicator.state.drills import KnownDrill
from replicator.state.stores import State
from replicator.zfs.node_clients import Nodes

COLUMNS = ("Guest", "Node", "Result", "Ended", "Took", "Set of", "Last passed", "Message")


class StoppedDrillError(BusyError):
    """The drill was stopped by a signal; nothing was recorded."""


@click.command()
@click.argument("guest_id", metavar="ID", type=GUEST, shell_complete=guest_ids)
@click.option(
    "--on",
    "node_name",
    metavar="NODE",
    help="The target whose replicas are drilled. [default: each target]",
    shell_complete=node_names,
)
@config_option
def drill(guest_id: GuestId, node_name: str | None) -> None:
    """Prove that the replicas of guest ID can be used: clone the newest proven set, check it, destroy the clones.

    Runs on the node that owns the guest. Exit status: 0 if each drill passed, 1 if one failed or could not be done.
    """
    node = settings()
    cluster = store(node).read()
    jobs = _jobs(cluster, _guest(cluster, guest_id, node.node), node_name)
    with closing(state_for_runs(node)) as state:
        try:
            well = asyncio.run(until_stopped(_drill_all(node, cluster, state, jobs)))
        except asyncio.CancelledError:
            raise StoppedDrillError("The drill was stopped by a signal.", advice="") from None
    if not well:
        click.get_current_context().exit(1)


@click.command()
@format_option
@config_option
def drills(form: str) -> None:
    """List how the last drill of each guest of this node ended on each target."""
    node = settings()
    with state_to_read(node) as state:
        found = [] if state is None else state.drills.all()
    if form == "json":
        print_json([_json(each) for each in found])
    else:
        print_table(COLUMNS, [_row(each, node.timezone) for each in found])


def _guest(cluster: Cluster, guest_id: GuestId, here: str) -> Guest:
    found = cluster.guest(guest_id)
    if found.node != here:
        raise ConfigError(f"Guest {guest_id} is on {found.node}, which drills its replicas.", advice="Run it there.")
    return found


def _jobs(cluster: Cluster, guest: Guest, node_name: str | None) -> list[Job]:
    found = [job for job_id, job in sorted(cluster.jobs.items()) if job_id.guest == guest.id and job.removal is None]
    chosen = [job for job in found if node_name in (None, job.target)]
    if not chosen:
        targets = ", ".join(job.target for job in found) or "none"
        where = "" if node_name is None else f" to {node_name}"
        create = f" Create one: zsr create-local-job {guest.id}-0 NODE." if not found else ""
        raise ConfigError(f"No job replicates guest {guest.id}{where}.", advice=f"Its targets: {targets}.{create}")
    return chosen


async def _drill_all(node: Settings, cluster: Cluster, state: State, jobs: Sequence[Job]) -> bool:
    from replicator.guests.drilling import Driller  # noqa: PLC0415 - quick start of the other commands

    nodes = Nodes(node.node, node.ssh, limit=node.command_timeout, may_destroy=lambda: state.is_writable)
    await nodes.update(cluster.nodes.values())
    driller = Driller(node.node, state, node.state_dir / "locks", nodes, time.time, time.monotonic)
    try:
        well = True
        for job in jobs:
            click.echo(f"Guest {job.id.guest} on {job.target}:")
            event, end = await driller.drill(cluster, job, _say)
            of = "" if event.set_time is None else f", the set of {local_time(event.set_time, node.timezone)}"
            click.echo(f"{event.result} after {words(event.duration)}{of}")
            if event.result is DrillResult.UNDONE:
                click.echo(f"zsr: {end.message}", err=True)
            if end.left:
                click.echo(f"zsr: Clones are left on {job.target}, which the daemon destroys: {end.left}", err=True)
            well = well and event.result is DrillResult.PASSED
        return well
    finally:
        await nodes.close()


def _say(_level: str, text: str) -> None:
    click.echo(f"  {text}")


def _row(each: KnownDrill, zone: tzinfo) -> tuple[str, ...]:
    return (
        str(each.guest),
        each.node,
        "-" if each.result is None else str(each.result),
        local_time(each.time, zone),
        "-" if each.duration is None else compact(each.duration),
        local_time(each.set_time, zone),
        local_time(each.last_pass, zone),
        each.message if each.obstacle is None else f"the last could not be done: {each.obstacle}",
    )


def _json(each: KnownDrill) -> dict[str, object]:
    return {
        "guest": each.guest,
        "node": each.node,
        "job": str(each.job),
        "result": None if each.result is None else str(each.result),
        "message": each.message,
        "time": each.time,
        "duration": each.duration,
        "set_time": each.set_time,
        "last_pass": each.last_pass,
        "last_try": each.last_try or None,
        "obstacle": each.obstacle,
        "drills": {str(result): count for result, count in each.counts},
        "may_be_open": each.may_be_open,
    }
