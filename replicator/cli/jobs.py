"""``zsr create-local-job``, ``list``, ``read``, ``update``, ``delete``: the jobs' settings."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import click

from replicator.api.pvesr_jobs import PvesrJobs
from replicator.cli.completion import job_ids, new_job_ids, targets
from replicator.cli.consequences import conclude
from replicator.cli.context import config_option, notify_daemon, open_state, settings, store
from replicator.cli.output import confirmed, format_option, print_json, print_table
from replicator.cluster.disabling import disablement, how_to_enable
from replicator.cluster.job_fields import FIELDS, JobField, default_of, json_values
from replicator.cluster.model import ChangedError, Cluster
from replicator.cluster.replication_cfg import read_pvesr_jobs
from replicator.cluster.store import ClusterStore
from replicator.common.durations import compact
from replicator.config.settings import Settings
from replicator.errors import ConfigError, ZsrError
from replicator.job_choices import Foreign, Removal
from replicator.models import Job, JobId
from replicator.schedule.grace import NEW_GRACE_SECONDS
from replicator.schedule.scheduler import haste, weakness
from replicator.state.job_marks import JobMark

ATTEMPTS = 5
"""Attempts of a change when other programs change the cluster in between."""

_DURATIONS = ("rpo", "grace")

_NUMBERS = 1000
"""Job numbers of which a free one is looked for."""

DELETABLE = tuple(field.key for field in FIELDS)


class _Parsed(click.ParamType[Any]):
    """The value of an option, as its field parses it."""

    def __init__(self, field: JobField) -> None:
        self.name = field.metavar.lower()
        self._parse = field.parse

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Parse a value; a wrong one is reported with the allowed values."""
        try:
            return self._parse(value)
        except ValueError as error:
            self.fail(f"'{value}' is wrong: {error}.", param, ctx)


def _option(field: JobField) -> Callable[[Any], Any]:
    if field.is_flag:
        return click.option(f"--{field.key}/--no-{field.key}", default=None, help=field.help)
    kind = click.Choice([*map(str, field.choices)]) if field.choices else _Parsed(field)
    return click.option(f"--{field.key}", type=kind, help=field.help)


def job_options(command: Any, fields: Sequence[JobField] = FIELDS) -> Any:
    """Add an option for each setting of a job to a command."""
    for field in reversed(fields):
        if field.help is not None:
            command = _option(field)(command)
    return command


@click.command("create-local-job")
@click.argument("job_id", metavar="ID", shell_complete=new_job_ids)
@click.argument("target", shell_complete=targets)
@job_options
@config_option
def create_local_job(job_id: str, target: str, **values: Any) -> None:
    """Create job ID (guest-number, like 100-0) that replicates the guest to node TARGET."""
    node = settings()
    job = _changed(Job(JobId.parse(job_id), target, grace=NEW_GRACE_SECONDS, foreign=Foreign.MIRROR), values)
    where = store(node)
    _refuse_pvesrs_number(job, where.read(), read_pvesr_jobs(node.pvesr_jobs))
    where.create_job(job)
    cluster = where.read()
    guest = cluster.guests[job.id.guest]
    click.echo(
        f"Job {job.id}: guest {guest.id} ({guest.name}) from {guest.node} to {target}, {job.schedule}. Its first run "
        "sends all of it, unless there is a replica that it can take over (zsr adopt).",
        err=True,
    )
    conclude(node, cluster, job.id)
    _note_promise(job)


def _note_promise(job: Job) -> None:
    """Say on standard error that a job promises too little, or what its schedule cannot keep."""
    now = time.time()
    if note := weakness(job, now):
        click.echo(f"Note: {note} A stronger promise: --rpo.", err=True)
    if note := haste(job, now):
        click.echo(f"Note: {note} Let it run more often (--schedule), or promise less (--rpo).", err=True)


def _refuse_pvesrs_number(job: Job, cluster: Cluster, pvesr: PvesrJobs) -> None:
    """Refuse a job whose snapshots pvesr would take for its own; say so if that is not known.

    Raises:
        ConfigError: Proxmox VE has a replication job of this number, or of one that this number begins with.
    """
    if pvesr.problem is not None:
        click.echo(f"Whether Proxmox VE has a replication job {job.id} is not known: {pvesr.problem}", err=True)
    alike = pvesr.named_alike(job.id)
    if not alike:
        return
    guest = job.id.guest
    numbers = (JobId(guest, number) for number in range(_NUMBERS))
    free = next((each for each in numbers if each not in cluster.jobs and not pvesr.named_alike(each)), None)
    advice = f"Remove that one first, without its replica: pvesr delete {alike[0].id} --keep."
    if free is not None:
        advice = (
            f"Take another number: zsr create-local-job {free} {job.target}. Then take over the replica that Proxmox "
        )
        advice += f"VE made: zsr adopt {free}."
    raise ConfigError(
        f"Job {job.id} cannot be created: Proxmox VE has a replication job {alike[0].id} (to {alike[0].target}), whose "
        "snapshots have the same names; each of the two would destroy those of the other.",
        advice=advice,
    )


@click.command("list")
@format_option
@config_option
def list_jobs(form: str) -> None:
    """List the jobs of all nodes."""
    cluster = store(settings()).read()
    jobs, now = [cluster.jobs[job_id] for job_id in sorted(cluster.jobs)], time.time()
    if form == "json":
        print_json([settings_json(job, cluster) for job in jobs])
        return
    rows = [
        (
            str(job.id),
            job.target,
            job.schedule,
            "-" if job.rate is None else f"{job.rate:g}",
            "yes" if disablement(cluster, job, now) is None else "no",
            f"removing ({job.removal})" if job.removal else job.comment,
        )
        for job in jobs
    ]
    print_table(("JobID", "Target", "Schedule", "Rate", "Enabled", "Comment"), rows)


@click.command()
@click.argument("job_id", metavar="ID", shell_complete=job_ids)
@click.option("--format", type=click.Choice(["json"]), expose_value=False, help="There is only this one.")
@config_option
def read(job_id: str) -> None:
    """Print the settings of job ID as JSON, with the digest of the cluster."""
    cluster = store(settings()).read()
    print_json({**settings_json(cluster.job(JobId.parse(job_id)), cluster), "digest": cluster.digest})


@click.command()
@click.argument("job_id", metavar="ID", shell_complete=job_ids)
@job_options
@click.option("--delete", "delete_keys", help=f"Back to the default, with commas between: {', '.join(DELETABLE)}.")
@click.option("--digest", help="Refuse if the cluster has another digest now.")
@click.option("--target", hidden=True)
@config_option
def update(job_id: str, delete_keys: str | None, digest: str | None, target: str | None, **values: Any) -> None:
    """Change the settings of job ID."""
    node = settings()
    where = store(node)
    before = where.read().job(JobId.parse(job_id))
    if target is not None:
        raise ConfigError(
            f"The target of job {before.id} cannot be changed: its replicas are on {before.target}.",
            advice=f"Create another job to {target} (zsr create-local-job), and delete this one when that has a copy.",
        )
    back = (delete_keys or "").replace(",", " ").split()
    if not back and all(value is None for value in values.values()):
        raise ConfigError(
            "There is nothing to change.", advice=f"Settings: zsr update --help; as they are: zsr read {before.id}."
        )
    if both := [key for key in back if values.get(key) is not None]:
        raise ConfigError(f"--delete {both[0]} and --{both[0]} exclude each other.", advice="Give one of them.")
    job = change_job(where, before.id, lambda job: _changed(_without(job, back), values), digest)
    if values.get("keep") is not None or "keep" in back:
        with open_state(node) as state:
            state.keeps.confirm(job.id, job.keep)
    old, new = json_values(before), json_values(job)
    changes = [f"{key} {_shown(key, new[key])} (was {_shown(key, old[key])})" for key in new if new[key] != old[key]]
    click.echo(f"Job {job.id}: {', '.join(changes) or 'as it was'}.", err=True)
    conclude(node, where.read(), job.id)
    _note_promise(job)


def _shown(key: str, value: object) -> str:
    if key in _DURATIONS and isinstance(value, float):
        return compact(value)
    return "unset" if value is None or value == "" else str(value).lower() if isinstance(value, bool) else str(value)


def change_job(where: ClusterStore, job_id: JobId, change: Callable[[Job], Job], digest: str | None = None) -> Job:
    """Change a job as it is at the moment of writing: a change by another program meanwhile is never undone.

    Raises:
        ChangedError: the cluster is not at the digest that the user gave, or is changed again and again.
    """
    for _ in range(ATTEMPTS - 1):
        try:
            return _change_once(where, job_id, change, digest)
        except ChangedError:
            if digest is not None:
                raise
    return _change_once(where, job_id, change, digest)


def _change_once(where: ClusterStore, job_id: JobId, change: Callable[[Job], Job], digest: str | None) -> Job:
    cluster = where.read()
    job = change(cluster.job(job_id))
    where.update_job(job, digest=cluster.digest if digest is None else digest)
    return job


@click.command()
@click.argument("job_id", metavar="ID", shell_complete=job_ids)
@click.option("--keep", is_flag=True, help="Leave the target's volumes.")
@click.option("--force", is_flag=True, help="Delete the job at once; snapshots and replicas are left as they are.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@config_option
def delete(job_id: str, keep: bool, force: bool, yes: bool) -> None:
    """Remove job ID with its replicas, at the next possible time.

    Asks first at a terminal; elsewhere only if a replica may be the only copy: its volume, or the guest, is gone here.
    """
    if keep and force:
        raise ConfigError("--force cleans up nothing, so --keep has no effect.", advice="Give one of them.")
    node = settings()
    where = store(node)
    if force:
        _delete_at_once(node, where, JobId.parse(job_id))
        return
    removal = Removal.LOCAL if keep else Removal.FULL
    if removal is Removal.FULL and not yes and not _is_wanted(node, where.read(), JobId.parse(job_id)):
        click.echo("Nothing was changed.", err=True)
        click.get_current_context().exit(1)
    job = change_job(where, JobId.parse(job_id), lambda job: replace(job, removal=removal))
    what = "its snapshots" if keep else f"its replicas on {job.target} with all their restore points, and its snapshots"
    click.echo(
        f"Job {job.id} is removed at its next turn, and {what} are destroyed then. Until then, to keep it: "
        f"zsr update {job.id} --delete removal",
        err=True,
    )
    conclude(node, where.read(), job.id)
    if (off := disablement(where.read(), job, time.time())) is not None:
        click.echo(f"It is disabled, and is removed only after: {how_to_enable(job.id, off)}", err=True)


def _is_wanted(node: Settings, cluster: Cluster, job_id: JobId) -> bool:
    """Ask whether a job's replicas are to be destroyed; without a terminal only where they may be the only copies."""
    why, job = _why_only_copies(node, cluster, job_id), cluster.job(job_id)
    if why is not None:
        return confirmed(
            f"{why}: these replicas may be the only copies, and are destroyed with job {job_id}. Remove it?"
        )
    question = f"Remove job {job_id}, and destroy its replicas on {job.target} with all their restore points?"
    return not sys.stdin.isatty() or confirmed(question)


def _why_only_copies(node: Settings, cluster: Cluster, job_id: JobId) -> str | None:
    """Return why a job's replicas may be the only copies of their volumes, as far as is known; None: they are not."""
    job = cluster.job(job_id)
    with open_state(node) as state:
        known = state.jobs.get(job_id)
    gone = [] if known is None else sorted(each.dataset for each in known.vanished)
    if gone:
        return f"The volumes of {', '.join(gone)} on {job.target} are gone from their source"
    return f"Guest {job_id.guest} is gone from the cluster" if cluster.source(job) is None else None


def _delete_at_once(node: Settings, where: ClusterStore, job_id: JobId) -> None:
    with open_state(node) as state:
        known = state.jobs.get(job_id) is not None
        if known:  # before the job is gone, or the daemon might see it vanish first
            state.marks.set(JobMark.DELETED, [job_id], time.time())
        try:
            where.delete_job(job_id)
        except ZsrError:
            state.marks.clear(JobMark.DELETED, [job_id])
            raise
        if not notify_daemon(node) and known:  # else the daemon deletes its state, after a run that is going on
            state.jobs.forget(job_id, time.time())
    click.echo(f"Job {job_id} is gone; its snapshots and replicas are left as they are.", err=True)


def _changed(job: Job, values: Mapping[str, Any], fields: Sequence[JobField] = FIELDS) -> Job:
    """Return a job with the settings that were given as options."""
    given = {field: values.get(field.key) for field in fields}
    if values.get("disable") is False:
        job = replace(job, disabled_until=None)
    return replace(job, **{field.name: field.value(value) for field, value in given.items() if value is not None})


def _without(job: Job, keys: Sequence[str]) -> Job:
    """Return a job with some of its settings back at their default."""
    fields = {field.key: field for field in FIELDS}
    for key in keys:
        if key not in fields:
            raise ConfigError(f"'{key}' cannot be deleted.", advice=f"Known: {', '.join(DELETABLE)}.")
        job = replace(job, **{fields[key].name: default_of(fields[key])})
    return job


def settings_json(job: Job, cluster: Cluster) -> dict[str, object]:
    """Return a job's settings as JSON; the keys are those of pvesr where it has them."""
    return {
        "id": str(job.id),
        "guest": job.id.guest,
        "jobnum": job.id.number,
        "type": "local",
        "source": cluster.source(job),
        "target": job.target,
        **json_values(job),
    }
