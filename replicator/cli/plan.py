"""``zsr plan``: show what a run of a job would do, and change nothing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import tzinfo
from itertools import groupby

import click

from replicator.api.job_status import Disablement
from replicator.api.pvesr_jobs import old_job_stands
from replicator.cli.adopt import known_jobs
from replicator.cli.completion import job_ids
from replicator.cli.context import config_option, own_guest, settings, state_to_read, store
from replicator.cli.kept_files import ask_kept, described_kept
from replicator.cli.output import format_option, local_time, print_json, print_table
from replicator.cluster.disabling import disablement, how_to_enable
from replicator.cluster.model import Cluster
from replicator.cluster.replication_cfg import read_pvesr_jobs
from replicator.common.process_identity import is_alive
from replicator.common.sizes import size
from replicator.config.settings import Settings
from replicator.daemon.other_jobs import other_jobs
from replicator.errors import ConfigError
from replicator.models import Job, JobId, JobState
from replicator.replication.context import RunContext
from replicator.replication.dry_run import dry_run
from replicator.replication.preview import Destruction, PreparationStep, Preview, VolumePreview
from replicator.replication.target_place import address_of
from replicator.schedule.grace import terms_of
from replicator.state.stores import State
from replicator.zfs.node_clients import connected
from replicator.zfs.snapshot_names import LATEST_SET

COLUMNS = ("Volume", "Action", "Base", "Bytes", "Flags")
DESTRUCTION_COLUMNS = ("When", "Node", "What", "Law", "Why")
SHOWN = 3
"""How many things are listed of those that go or stay for one reason; JSON has all."""


@click.command()
@click.argument("job_id", metavar="ID", shell_complete=job_ids)
@format_option
@config_option
def plan(job_id: str, form: str) -> None:
    """Show what a run of job ID would do now: transfers, preparations, destruction, refusals. Nothing is changed.

    Exit status: 0 a run would go ahead, 1 it would be refused, 2 wrong use or wrong settings.
    """
    node = settings()
    cluster = store(node).read()
    job = cluster.job(JobId.parse(job_id))
    if job.removal is not None:
        raise ConfigError(
            f"Job {job.id} is being removed: its next run destroys its replicas and sends nothing.",
            advice=f"See what it does: zsr log {job.id}.",
        )
    with state_to_read(node) as state:
        context = _context(node, cluster, job, state)
        notes = tuple(_notes(node, job, state, disablement(cluster, job, time.time())))
        preview = asyncio.run(_look(node, cluster, context))
    preview = replace(preview, notes=(*notes, *preview.notes))
    if form == "json":
        print_json(_json(preview))
    else:
        _print(preview, node.timezone)
    if not preview.goes_ahead:
        click.get_current_context().exit(1)


def _context(node: Settings, cluster: Cluster, job: Job, state: State | None) -> RunContext:
    """Return the context that a run would have; without a state it remembers nothing."""
    known = None if state is None else state.jobs.get(job.id)
    remembered = (known or JobState(created=0.0)).synced
    if state is not None:
        remembered = replace(remembered, sets=state.jobs.with_sent(job.id, remembered.sets))
    guest = own_guest(node, cluster, job)
    return RunContext(
        job=job,
        guest=guest,
        storages=tuple(cluster.storages.values()),
        stall_timeout=node.stall_timeout,
        remembered=remembered,
        last_run_failed=state is None or not state.runs.has_succeeded_last(job.id),
        bookmarks=node.bookmarks,
        address=address_of(cluster.nodes.get(job.target)),
        vanished=() if known is None else known.vanished,
        neighbours=cluster.neighbours(guest),
        others=other_jobs(cluster, state, node.state_dir / "locks"),
        former_keeps=() if state is None else _former_keeps(job, state, time.time()),
    )


def _former_keeps(job: Job, state: State, now: float) -> tuple[str, ...]:
    return tuple(state.keeps.known(job.id, job.keep, job.grace, now, gap=terms_of(job, now).gap))


def _notes(node: Settings, job: Job, state: State | None, off: Disablement | None) -> Iterator[str]:
    """Yield what makes the plan less certain, or keeps a run from starting."""
    if off is not None:
        until = "" if off.until is None else f"{local_time(off.until, node.timezone)}, or before "
        with_node = f" with node {off.node}" if off.node else ""
        yield f"Job {job.id} is disabled{with_node}: no run starts before {until}{how_to_enable(job.id, off)}."
    for run in [] if state is None else state.runs.unfinished():
        if run.job.guest == job.id.guest and is_alive(run.owner):
            since = local_time(run.start, node.timezone)
            yield f"A run of job {run.job} is going on since {since}: both sides change while they are listed."
    if state is None or state.jobs.get(job.id) is None:
        yield f"{node.node} remembers no run of job {job.id}."
    for other in read_pvesr_jobs(node.pvesr_jobs).conflicting(job.id, job.target):
        yield f"{old_job_stands(other, job.id)}."


async def _look(node: Settings, cluster: Cluster, context: RunContext) -> Preview:
    async with connected(node, cluster.nodes.values()) as nodes:
        source, target, job = nodes.client(node.node), nodes.client(context.job.target), context.job
        preview = await dry_run(context, source, target, time.time, known_jobs(node, cluster, job))
        kept = await ask_kept(node, context.guest, {job.id: job.target}, nodes)
        files = [described_kept(job.target, context.guest, each, LATEST_SET, node.timezone) for each in kept.values()]
        return replace(preview, notes=(*preview.notes, *files))


def _print(preview: Preview, zone: tzinfo) -> None:
    named = f" ({preview.guest_name})" if preview.guest_name != str(preview.guest) else ""
    click.echo(f"job {preview.job}: guest {preview.guest}{named}, {preview.source} -> {preview.target}")
    for note in preview.notes:
        click.echo(f"Note: {note}")
    print_table(COLUMNS, [_row(volume) for volume in preview.volumes])
    _section(f"Half-received states on {preview.target}:", map(_resume, preview.volumes))
    _section(f"Preparations on {preview.target}:", (_step(s) for v in preview.volumes for s in v.preparations))
    _print_destructions("Destroys:", [each for each in preview.destructions if each.permitted], zone)
    _print_destructions("Keeps:", [each for each in preview.destructions if not each.permitted], zone)
    _section("Refuses:", (f"{v.volume}: {v.error.error_class}: {v.error}" for v in preview.volumes if v.error))
    click.echo(f"\n{_verdict(preview)}")


def _verdict(preview: Preview) -> str:
    if not preview.goes_ahead:
        return "A run would be refused, and send nothing new."
    return "A run would send nothing: nothing was written." if preview.unchanged else "A run would go ahead."


def _section(title: str, lines: Iterable[str]) -> None:
    shown = [line for line in lines if line]
    if shown:
        click.echo(f"\n{title}")
        for line in shown:
            click.echo(f"  {line}")


def _row(volume: VolumePreview) -> tuple[str, ...]:
    base = (volume.base or "-").removeprefix("@")
    return (str(volume.volume), volume.does, base, size(volume.bytes), " ".join(volume.flags) or "-")


def _resume(volume: VolumePreview) -> str:
    found = volume.resume
    if found is None:
        return ""
    if not found.resumed:
        return f"{volume.volume}: it cannot be resumed, and is dropped"
    return f"{volume.volume}: the transfer of {found.snapshot} is resumed, {size(found.bytes)} are left"


def _step(step: PreparationStep) -> str:
    return f"{step.step} {step.dataset}" + (f" -> {step.to}" if step.to else "")


def _print_destructions(title: str, found: Sequence[Destruction], zone: tzinfo) -> None:
    """Print a table of things that go or stay; of many for one reason only the first ones."""
    if not found:
        return
    rows = []
    for _, group in groupby(found, key=lambda d: (d.when, d.node, _dataset(d.what), d.law, d.why, d.until)):
        same = list(group)
        shown = same if len(same) <= SHOWN else same[: SHOWN - 1]
        rows += [(_when(d, zone), d.node, d.what, d.law, d.why) for d in shown]
        if len(shown) < len(same):
            first = same[0]
            rows.append(
                (_when(first, zone), first.node, f"and {len(same) - len(shown)} more of it", first.law, first.why)
            )
    click.echo(f"\n{title}")
    print_table(DESTRUCTION_COLUMNS, rows)


def _when(found: Destruction, zone: tzinfo) -> str:
    return found.when if found.until is None else f"not before {local_time(found.until, zone)}"


def _dataset(what: str) -> str:
    return what.partition("@")[0].partition("#")[0]


def _json(preview: Preview) -> dict[str, object]:
    return {
        "job": str(preview.job),
        "guest": preview.guest,
        "guest_name": preview.guest_name,
        "source": preview.source,
        "target": preview.target,
        "goes_ahead": preview.goes_ahead,
        "unchanged": preview.unchanged,
        "notes": list(preview.notes),
        "volumes": [_volume_json(volume) for volume in preview.volumes],
        "destructions": [
            {
                "what": each.what,
                "node": each.node,
                "when": each.when,
                "permitted": each.permitted,
                "law": each.law,
                "why": each.why,
                "until": each.until,
            }
            for each in preview.destructions
        ],
    }


def _volume_json(volume: VolumePreview) -> dict[str, object]:
    error, resume = volume.error, volume.resume
    return {
        "volume": str(volume.volume),
        "source": volume.source,
        "target": volume.target,
        "action": volume.does,
        "base": volume.base,
        "bytes": volume.bytes,
        "flags": list(volume.flags),
        "properties": dict(volume.properties),
        "ignored_properties": list(volume.ignored),
        "preparations": [
            {"step": step.step, "dataset": step.dataset, "to": step.to or None} for step in volume.preparations
        ],
        "resume": None
        if resume is None
        else {"snapshot": resume.snapshot, "bytes": resume.bytes, "resumed": resume.resumed},
        "conflict": None
        if error is None
        else {"error_class": error.error_class, "message": error.what, "advice": error.advice},
    }
