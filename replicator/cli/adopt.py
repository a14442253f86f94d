"""``zsr adopt``: take over datasets that are on the target already, without a full resend."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

import click

from replicator.api.pvesr_jobs import PvesrJobs, old_job_stands
from replicator.cli.completion import job_ids
from replicator.cli.context import config_option, notify_daemon, open_state, own_guest, settings, store
from replicator.cli.output import confirmed, print_table
from replicator.cluster.model import Cluster
from replicator.cluster.replication_cfg import read_pvesr_jobs
from replicator.common.sizes import size
from replicator.config.settings import Settings
from replicator.errors import ConfigError
from replicator.models import Guest, Job, JobId, KnownSets
from replicator.replication.adoption import (
    Finding,
    KnownJobs,
    Verdict,
    adopt_all,
    examine_target,
    own_snapshots,
    refuse_adoption,
    rename_all,
    still_holds,
    take_over,
    ways_back,
)
from replicator.state.guest_locks import guest_lock
from replicator.zfs.fence import Fence
from replicator.zfs.node_clients import Nodes, connected


@click.command()
@click.argument("job_id", metavar="ID", shell_complete=job_ids)
@click.option("--yes", is_flag=True, help="Do not ask.")
@config_option
def adopt(job_id: str, yes: bool) -> None:
    """Mark datasets on the target that share a snapshot with the guest's volumes as replicas of job ID.

    Another tool's snapshots there with a name like zsr's are renamed, out of the reach of the other tool's removal.
    They, and snapshots that have the job's name, count as the job's own from then on, and become old like those that
    zsr took. A guest whose node was changed by hand in the cluster file is taken over: it gets its next epoch there.
    Shows datasets and renames before it asks. Nothing is sent and nothing destroyed.
    """
    node = settings()
    cluster = store(node).read()
    job = cluster.job(JobId.parse(job_id))
    guest = _own_guest(node, cluster, job)
    shown, fence, notes = asyncio.run(_look(node, cluster, job, guest))
    _show(shown, job.target)
    for note in notes:
        click.echo(note, err=True)
    _warn_of_pvesr(read_pvesr_jobs(node.pvesr_jobs), job)
    refuse_adoption(shown, job.target)
    renames = any(finding.renames for finding in shown)
    unknown = len(own_snapshots(job.id, shown).guids - _known(node, job.id).sent)
    moved = fence.epoch != guest.epoch
    adoptable = any(finding.verdict is Verdict.ADOPTABLE for finding in shown)
    if not (adoptable or unknown or renames or moved):
        click.echo(f"{_summary(shown)} There is nothing to adopt.")
    elif yes or confirmed(f"{_summary(shown)} {_taken(fence) if moved else ''}{_question(shown, job.id, unknown)}"):
        asyncio.run(_mark(node, cluster, job, guest, shown, fence))
        _end_waiting(node, job.id)
    else:
        click.echo("Nothing was changed.", err=True)
        click.get_current_context().exit(1)


def _own_guest(node: Settings, cluster: Cluster, job: Job) -> Guest:
    if job.removal is not None:
        raise ConfigError(f"Job {job.id} is being removed, and would destroy the datasets that it adopts.")
    return own_guest(node, cluster, job)


def _known(node: Settings, job: JobId) -> KnownSets:
    """Return what this node remembers of a job's sets."""
    with open_state(node) as state:
        known = state.jobs.get(job)
        return state.jobs.with_sent(job, KnownSets() if known is None else known.sets)


def known_jobs(node: Settings, cluster: Cluster, job: Job) -> KnownJobs:
    """Return the jobs of which snapshots may be on a job's replicas."""
    others = read_pvesr_jobs(node.pvesr_jobs).conflicting(job.id, job.target)
    return KnownJobs(frozenset(cluster.jobs), frozenset(other.id for other in others))


def _warn_of_pvesr(pvesr: PvesrJobs, job: Job) -> None:
    if pvesr.problem is not None:
        click.echo(f"Whether Proxmox VE replicates guest {job.id.guest} too is not known: {pvesr.problem}", err=True)
    for other in pvesr.conflicting(job.id, job.target):
        click.echo(f"{old_job_stands(other, job.id)}.", err=True)


async def _look(node: Settings, cluster: Cluster, job: Job, guest: Guest) -> tuple[list[Finding], Fence, list[str]]:
    """Return what is on the target, the owner and epoch with which the guest goes on if nothing is refused, and notes.

    The notes are about the way back from the replicas.
    """
    async with connected(node, cluster.nodes.values()) as nodes:
        source, target = nodes.client(node.node), nodes.client(job.target)
        found = await _examine(node, cluster, job, guest, nodes)
        fence = Fence(job.id, guest.node, guest.epoch)
        refused = any(finding.verdict is Verdict.REFUSED for finding in found)
        notes = await ways_back(found, source)
        return found, fence if refused else await take_over(fence, found, source, target), notes


async def _examine(node: Settings, cluster: Cluster, job: Job, guest: Guest, nodes: Nodes) -> list[Finding]:
    source, target = nodes.client(node.node), nodes.client(job.target)
    known = _known(node, job.id)
    return await examine_target(
        job, guest, cluster.storages.values(), source, target, known, known_jobs(node, cluster, job)
    )


async def _mark(
    node: Settings, cluster: Cluster, job: Job, guest: Guest, shown: Sequence[Finding], fence: Fence
) -> None:
    """Look again under the guest's lock, which is not held while a person decides, and mark the datasets shown."""
    async with connected(node, cluster.nodes.values()) as nodes:
        source, target = nodes.client(node.node), nodes.client(job.target)
        with guest_lock(node.state_dir / "locks", guest.id):
            found = await _examine(node, cluster, job, guest, nodes)
            refuse_adoption(found, job.target)
            now = await take_over(Fence(job.id, guest.node, guest.epoch), found, source, target)
            if now != fence or not still_holds(shown, found):
                raise ConfigError(
                    "The target's datasets changed meanwhile; nothing was adopted.", advice="Run it again."
                )
            if fence.epoch is not None and fence.epoch > guest.epoch:  # committed before any volume bears it
                store(node).raise_epoch(guest.id, guest.node, fence.epoch)
                click.echo(f"guest {guest.id}: epoch {fence.epoch} in {node.cluster.path}")
            own = own_snapshots(job.id, found)
            async for name in rename_all(found, target):
                click.echo(f"renamed {name}")
            with open_state(node) as state:
                state.jobs.take_over(job.id, own.sets, own.guids, time.time())
            async for name in adopt_all(fence, found, source, target):
                click.echo(f"adopted {name}")
            if own.guids:
                click.echo(f"{len(own.guids)} snapshots there are the job's own now")


def _end_waiting(node: Settings, job: JobId) -> None:
    """Let a job that waits for its next try run at once: what it failed for is probably over."""
    with open_state(node) as state:
        known = state.jobs.get(job)
        waits = known is not None and known.consecutive_failures > 0
        if waits:
            state.jobs.schedule_now(job)
    if notify_daemon(node) and waits:
        click.echo(f"job {job} runs as soon as possible")


def _taken(fence: Fence) -> str:
    return f"Guest {fence.job.guest} was another node's: {fence.owner} takes it over with epoch {fence.epoch}. "


def _show(findings: Sequence[Finding], target: str) -> None:
    rows = [
        (
            str(finding.pair.volume),
            finding.pair.target_name if finding.pair.target else "-",
            finding.base.name if finding.base else "-",
            _newer(finding),
        )
        for finding in findings
    ]
    print_table(("Volume", f"On {target}", "Common base", "Newer there"), rows)
    for finding in findings:
        for each in finding.renames:
            click.echo(f"{finding.pair.target_name}@{each.snapshot.name} is another tool's; it becomes @{each.new}")


def _newer(finding: Finding) -> str:
    count = len(finding.newer)
    snapshots = [f"{count} snapshot{'s' if count > 1 else ''}"] if count else []
    written = [f"{size(finding.written)} written"] if finding.base and finding.written else []
    return ", ".join([*snapshots, *written]) or "-"


_WORDS = {
    Verdict.ADOPTABLE: "can be adopted",
    Verdict.REPLICA: "replicated already",
    Verdict.ABSENT: "will be sent in full",
    Verdict.NO_BASE: "without a common base is left alone",
}


def _question(findings: Sequence[Finding], job: JobId, unknown: int) -> str:
    """Return what a person confirms; ``unknown`` snapshots there are not known to be the job's own yet."""
    count = sum(finding.verdict is Verdict.ADOPTABLE for finding in findings)
    own = f"{unknown} snapshots there will count as the job's own. " if unknown else ""
    if not count:
        return f"{own}Go on?"
    return f"{own}Mark {'them as replicas' if count > 1 else 'it as replica'} of job {job}?"


def _summary(findings: Sequence[Finding]) -> str:
    counts = {verdict: sum(finding.verdict is verdict for finding in findings) for verdict in _WORDS}
    parts = [f"{count} {_WORDS[verdict]}" for verdict, count in counts.items() if count]
    first, *rest = parts
    number, _, words = first.partition(" ")
    return ", ".join([f"{number} volume{'s' if number != '1' else ''} {words}", *rest]) + "."
