"""``zsr vanished``: list and destroy the replicas whose volumes are gone from the source."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping

import click

from replicator.cli.completion import job_ids
from replicator.cli.context import config_option, open_state, own_guest, settings, state_to_read, store
from replicator.cli.output import confirmed, format_option, local_time, name_failures, print_json, print_table
from replicator.cluster.model import Cluster
from replicator.common.sizes import size
from replicator.common.tasks import result_or_error
from replicator.config.settings import Settings
from replicator.errors import ZsrError
from replicator.models import Job, JobId, JobState, Vanished
from replicator.replication.vanished import VanishedReplica, destroy_vanished, find_vanished, read_vanished
from replicator.schedule.grace import NEVER, Terms, end_of
from replicator.state.guest_locks import guest_lock
from replicator.zfs.node_clients import Nodes, connected

COLUMNS = ("Job", "Node", "Dataset", "Size", "Newest set", "In use", "Gone since", "Destroyed", "Why it stays")


@click.group()
def vanished() -> None:
    """Replicas whose volumes are gone from the source: kept for the job's grace, or destroyed by hand."""


@vanished.command("list")
@click.option(
    "--id",
    "only",
    metavar="ID",
    help="Only of this job. [default: all jobs of this node's guests]",
    shell_complete=job_ids,
)
@format_option
@config_option
def list_vanished(only: str | None, form: str) -> None:
    """List the replicas of this node's jobs whose volumes are gone; asks the targets."""
    node = settings()
    cluster = store(node).read()
    jobs = [job for job in cluster.jobs.values() if _is_here(node, cluster, job)]
    if only is not None:
        chosen = cluster.job(JobId.parse(only))
        own_guest(node, cluster, chosen)
        jobs = [chosen]
    answers = asyncio.run(_ask(node, cluster, jobs))
    found = [each for answer in answers if not isinstance(answer, ZsrError) for each in answer]
    with state_to_read(node) as state:
        known = {} if state is None else state.jobs.all()
    records = [_record(each, known) for each in found]
    if form == "json":
        print_json([_json(each, record) for each, record in zip(found, records, strict=True)])
    else:
        print_table(COLUMNS, [_row(each, record, node) for each, record in zip(found, records, strict=True)])
    name_failures(answers)


@vanished.command()
@click.argument("job_id", metavar="ID", shell_complete=job_ids)
@click.argument("dataset")
@click.option("--yes", is_flag=True, help="Do not ask.")
@config_option
def destroy(job_id: str, dataset: str, yes: bool) -> None:
    """Destroy DATASET on the target of job ID, a replica whose volume is gone, with its restore points.

    Refused if it is writable or was written to. It is kept aside if it has snapshots that zsr did not bring.
    """
    node = settings()
    cluster = store(node).read()
    job = cluster.job(JobId.parse(job_id))
    own_guest(node, cluster, job)
    [answer] = asyncio.run(_ask(node, cluster, [job]))
    if isinstance(answer, ZsrError):
        raise answer
    shown = find_vanished(dataset, job, (each.replica for each in answer))
    count = len(shown.snapshots)
    question = f"Destroy '{dataset}' with {count} snapshots on {job.target}, {size(shown.used)}? It may be the "
    if not yes and not confirmed(f"{question}only copy of that volume."):
        click.echo("Nothing was changed.", err=True)
        click.get_current_context().exit(1)
    with guest_lock(node.state_dir / "locks", job.id.guest):
        asyncio.run(_destroy(node, cluster, job, dataset))


def _is_here(node: Settings, cluster: Cluster, job: Job) -> bool:
    guest = cluster.guests.get(job.id.guest)
    return guest is not None and guest.node == node.node and job.removal is None


async def _ask(node: Settings, cluster: Cluster, jobs: Iterable[Job]) -> list[list[VanishedReplica] | ZsrError]:
    async with connected(node, cluster.nodes.values()) as nodes, asyncio.TaskGroup() as group:
        asked = [group.create_task(result_or_error(_ask_one(node, cluster, nodes, job))) for job in jobs]
    return [task.result() for task in asked]


async def _ask_one(node: Settings, cluster: Cluster, nodes: Nodes, job: Job) -> list[VanishedReplica]:
    source, target = nodes.client(node.node), nodes.client(job.target)
    return await read_vanished(job, own_guest(node, cluster, job), cluster.storages.values(), source, target)


async def _destroy(node: Settings, cluster: Cluster, job: Job, dataset: str) -> None:
    async with connected(node, cluster.nodes.values()) as nodes:
        source, target = nodes.client(node.node), nodes.client(job.target)
        guest, storages = own_guest(node, cluster, job), cluster.storages.values()
        gone = await destroy_vanished(
            dataset, job, guest, storages, source, target, time.time(), lambda _level, text: click.echo(text)
        )
    with open_state(node) as state:
        state.jobs.forget_sent(job.id, gone)


def _record(found: VanishedReplica, known: Mapping[JobId, JobState]) -> Vanished | None:
    """Return what runs recorded of a replica; None if none has seen it, or an older zsr did."""
    records = known[found.job.id].vanished if found.job.id in known else ()
    return next(
        (each for each in records if (each.dataset, each.guid) == (found.replica.name, found.replica.guid)), None
    )


def _end(found: VanishedReplica, record: Vanished | None) -> float | None:
    return None if record is None or record.kept else end_of(record, Terms(found.job.grace))


def _row(found: VanishedReplica, record: Vanished | None, node: Settings) -> tuple[str, ...]:
    newest, since = found.newest_set, None if record is None else record.since
    end = _end(found, record)
    never = "never" if found.job.grace == NEVER or (record is not None and record.kept) else "-"
    return (
        str(found.job.id),
        found.node,
        found.replica.name,
        size(found.replica.used),
        local_time(newest, node.timezone),
        _in_use(found),
        local_time(since, node.timezone),
        never if end is None else local_time(end, node.timezone),
        "-" if record is None else record.kept or "-",
    )


def _in_use(found: VanishedReplica) -> str:
    if found.replica.readonly is False:
        return "yes: writable"
    return "yes: was written to" if found.replica.written else "no"


def _json(found: VanishedReplica, record: Vanished | None) -> dict[str, object]:
    return {
        "job": str(found.job.id),
        "node": found.node,
        "dataset": found.replica.name,
        "size": found.replica.used,
        "newest_set": found.newest_set,
        "writable": found.replica.readonly is False,
        "written": found.replica.written,
        "since": None if record is None else record.since,
        "until": _end(found, record),
        "kept": None if record is None else record.kept or None,
        "snapshots": [snapshot.name for snapshot in found.replica.snapshots],
    }
