"""``zsr guest recover``: let a guest go on from its replicas on this node, while the node that owns it is dead."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

import click

from replicator.cli.context import config_option, notify_daemon, settings, store
from replicator.cli.output import confirmed, local_time
from replicator.cluster.model import Cluster
from replicator.common.durations import compact
from replicator.config.settings import Settings
from replicator.errors import BusyError, ConfigError
from replicator.models import Guest, Job, JobId
from replicator.replication.guest_replicas import ask_nodes, guest_replicas, nodes_of
from replicator.replication.recovery import (
    Recovery,
    become_guest,
    end_receives,
    next_epoch,
    plan_recovery,
    unfinished,
)
from replicator.replication.restore_points import datasets_on, replicas_of
from replicator.state.guest_locks import guest_lock
from replicator.zfs.client import ZfsClient
from replicator.zfs.fence import Fence
from replicator.zfs.liveness import answering
from replicator.zfs.model import Dataset
from replicator.zfs.node_clients import Nodes, connected


@click.command()
@click.argument("guest_id", metavar="ID", type=int)
@click.option("--force", is_flag=True, help="Needed with the store 'file', which cannot say whether the owner is dead.")
@click.option("--older", is_flag=True, help="Also if another node has a more recent replica.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@config_option
def recover(guest_id: int, force: bool, older: bool, yes: bool) -> None:
    """Make the replicas on this node guest ID, whose own node is dead: what was written there since is not here.

    Refused while the owner answers from any node that can be asked. Killed anywhere, the same command does the rest.
    Start the guest when it has ended.
    """
    node = settings()
    cluster = store(node).read()
    guest = cluster.guests.get(guest_id)
    if guest is None:
        known = ", ".join(map(str, sorted(cluster.guests))) or "none"
        raise ConfigError(f"There is no guest {guest_id}.", advice=f"Known guests: {known}.")
    if guest.node == node.node:
        _finish(node, cluster, guest, yes=yes)
        return
    found = asyncio.run(_look(node, cluster, guest))
    _show(node, guest, found)
    if found.newer and not older:
        raise ConfigError(f"{found.newer}. Nothing was changed.", advice="Recover there, or give --older.")
    if not force:
        raise ConfigError(
            f"The store 'file' cannot say whether {guest.node} is dead, and zsr cannot stop a guest there. Nothing was "
            "changed.",
            advice=f"Switch {guest.node} off, or cut it off from its users; then give --force.",
        )
    if not yes and not confirmed(f"Make the replicas on {node.node} guest {guest.id}, and forget what is not here?"):
        click.echo("Nothing was changed.", err=True)
        click.get_current_context().exit(1)
    asyncio.run(_take(node, cluster, guest, found))
    _conclude(node, guest.id, guest.node)


@dataclass(frozen=True, slots=True)
class _Found:
    """What there is to recover from; ``newer`` says, if so, that another node has a more recent replica."""

    job: Job
    recovery: Recovery
    newer: str


def _job_to(node: Settings, cluster: Cluster, guest: Guest) -> Job:
    for _, job in sorted(cluster.jobs.items()):
        if job.id.guest == guest.id and job.target == node.node and job.removal is None:
            return job
    raise ConfigError(
        f"No job replicates guest {guest.id} to {node.node}.", advice=f"Ask all nodes: zsr guest replicas {guest.id}."
    )


async def _look(node: Settings, cluster: Cluster, guest: Guest) -> _Found:
    """Look at this node's replicas and ask all others; raises BusyError if the owner answers."""
    job = _job_to(node, cluster, guest)
    async with connected(node, cluster.nodes.values()) as nodes:
        if witnesses := await answering(cluster.nodes.values(), guest.node, node.node, nodes):
            raise BusyError(
                f"Guest {guest.id} is on {guest.node}, which answers ({', '.join(witnesses)}): it is not dead.",
                advice="Stop the guest there, and move it (docs/replication.md, Owner and epoch).",
            )
        recovery = await _plan(cluster, guest, job, nodes.client(node.node))
        return _Found(job, recovery, await _newer(node, cluster, guest, recovery, nodes))


async def _plan(cluster: Cluster, guest: Guest, job: Job, here: ZfsClient) -> Recovery:
    replicas = replicas_of(job, tuple(cluster.storages.values()), await _on_this_node(cluster, here), None)
    return plan_recovery(job.id, guest.node, here.node, replicas)


async def _on_this_node(cluster: Cluster, here: ZfsClient) -> dict[str, Dataset]:
    return await datasets_on([each for each in cluster.storages.values() if each.allowed_on(here.node)], here)


async def _newer(node: Settings, cluster: Cluster, guest: Guest, ours: Recovery, nodes: Nodes) -> str:
    names = nodes_of(cluster, guest) - {guest.node}
    answers = {**await ask_nodes(cluster, names, nodes), guest.node: ConfigError("it is dead")}
    for each in guest_replicas(cluster, guest, answers):
        if each.node != node.node and each.as_of is not None and each.as_of > ours.set_time:
            return f"{each.node} has a more recent replica, of {local_time(each.as_of, node.timezone)}"
    return ""


def _show(node: Settings, guest: Guest, found: _Found) -> None:
    at, recovery = found.recovery.set_time, found.recovery
    click.echo(f"Guest {guest.id} ({guest.name}) is on {guest.node}, which does not answer. On {node.node}:")
    for each in recovery.replicas:
        click.echo(f"  {each.name}")
    for name, newest in recovery.left.items():
        click.echo(f"  {name} stays a replica: its newest set is of {local_time(newest, node.timezone)}")
    lost = compact(max(0.0, float(round(time.time() - at))))
    click.echo(f"as of {local_time(at, node.timezone)}. What was written on {guest.node} since, {lost}, is not here.")


async def _take(node: Settings, cluster: Cluster, guest: Guest, shown: _Found) -> None:
    """Take the guest under its lock, if what was shown still holds."""
    job = shown.job
    async with connected(node, cluster.nodes.values()) as nodes:
        here = nodes.client(node.node)
        with guest_lock(node.state_dir / "locks", guest.id):
            await end_receives(job.id, guest.node, here, _say)
            now = await _plan(cluster, guest, job, here)
            if now.identity != shown.recovery.identity:
                raise BusyError("The replicas changed meanwhile; nothing was changed.", advice="Run it again.")
            epoch = next_epoch(guest.epoch, now.replicas)
            await asyncio.to_thread(store(node).hand_over, guest.id, guest.node, node.node, epoch)
            click.echo(f"guest {guest.id}: node {node.node}, epoch {epoch} in {node.cluster.path}")
            await become_guest(Fence(job.id, node.node, epoch), now.replicas, guest.node, here, _say)


def _finish(node: Settings, cluster: Cluster, guest: Guest, *, yes: bool) -> None:
    """Do the rest of a recovery that died."""
    jobs = [job for job_id, job in sorted(cluster.jobs.items()) if job_id.guest == guest.id]
    left = asyncio.run(_unfinished(node, cluster, jobs))
    if not left:
        click.echo(f"Guest {guest.id} is on this node already, and nothing is left to do.")
        return
    names = ", ".join(each.name for _, each in left)
    if not yes and not confirmed(f"Guest {guest.id} is on this node. Make writable what is still a replica: {names}?"):
        click.echo("Nothing was changed.", err=True)
        click.get_current_context().exit(1)
    asyncio.run(_finish_each(node, cluster, guest, left))
    _conclude(node, guest.id, left[0][1].source or "")


async def _unfinished(node: Settings, cluster: Cluster, jobs: Sequence[Job]) -> list[tuple[JobId, Dataset]]:
    async with connected(node, cluster.nodes.values()) as nodes:
        here = nodes.client(node.node)
        found = await _on_this_node(cluster, here)
        return [(job.id, each) for job in jobs for each in await unfinished(job.id, found, here)]


async def _finish_each(node: Settings, cluster: Cluster, guest: Guest, left: Sequence[tuple[JobId, Dataset]]) -> None:
    async with connected(node, cluster.nodes.values()) as nodes:
        with guest_lock(node.state_dir / "locks", guest.id):
            for job in sorted({job for job, _ in left}):
                replicas = [each for of, each in left if of == job]
                former, here = replicas[0].source or "", nodes.client(node.node)
                await become_guest(Fence(job, node.node, guest.epoch), replicas, former, here, _say)


def _conclude(node: Settings, guest: int, former: str) -> None:
    """Notify the daemon, and print what a person has to do."""
    notify_daemon(node)
    click.echo(f"Start guest {guest} on {node.node} now. Then:\n  zsr cluster push")
    for job_id, job in sorted(store(node).read().jobs.items()):
        if job_id.guest == guest:
            when = "its replicas" if job.target != former else f"when {former} is back and the guest is off there"
            click.echo(f"  zsr adopt {job_id}    # {job.target}: {when}")


def _say(_level: str, text: str) -> None:
    click.echo(text)
