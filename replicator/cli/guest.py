"""``zsr guest``: the guests of the cluster, on which nodes replicas of them are, and what would be lost with each."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping
from datetime import tzinfo

import click

from replicator.cli.completion import guest_ids
from replicator.cli.context import config_option, settings, store
from replicator.cli.guest_argument import GUEST
from replicator.cli.guest_drill import drill, drills
from replicator.cli.guest_move import move
from replicator.cli.guest_recover import recover
from replicator.cli.guest_release import release_guest
from replicator.cli.guest_take import take
from replicator.cli.kept_files import KeptOrError, ask_kept, described_kept, times_of
from replicator.cli.output import format_option, local_time, name_failures, print_json, print_table
from replicator.cli.stand_by import stand_by
from replicator.cluster.model import Cluster
from replicator.common.durations import compact
from replicator.common.sizes import size
from replicator.config.settings import Settings
from replicator.errors import ZsrError
from replicator.models import Guest, GuestId, JobId
from replicator.replication.guest_replicas import Answers, GuestReplica, ask_nodes, guest_replicas, nodes_of
from replicator.zfs.node_clients import connected

LIST_COLUMNS = ("Guest", "Name", "Owner", "Jobs", "Newest on", "As of", "Would be lost")
COLUMNS = ("Node", "Job", "As of", "Volumes", "Would be lost")
UNKNOWN = "?"


@click.group()
def guest() -> None:
    """The guests of the cluster, and the replicas of them.

    Is a node dead? First replicas, then recover; docs/node-is-dead.md has each step.
    """


guest.add_command(move)
guest.add_command(recover)
guest.add_command(take)
guest.add_command(stand_by)
guest.add_command(release_guest)
guest.add_command(drill)
guest.add_command(drills)


@guest.command("list")
@format_option
@config_option
def list_guests(form: str) -> None:
    """List all guests with their most recent replica; asks the nodes. Runs on any node."""
    node = settings()
    cluster = store(node).read()
    chosen = [each for _, each in sorted(cluster.guests.items())]
    answers, now = asyncio.run(_ask(node, cluster, chosen)), time.time()
    found = {each.id: guest_replicas(cluster, each, answers) for each in chosen}
    if form == "json":
        print_json([_json(each, found[each.id], now) for each in chosen])
    else:
        print_table(LIST_COLUMNS, [_list_row(each, found[each.id], now, node.timezone) for each in chosen])
    name_failures(answers.values())


@guest.command()
@click.argument("guest_id", metavar="ID", type=GUEST, shell_complete=guest_ids)
@format_option
@config_option
def replicas(guest_id: GuestId, form: str) -> None:
    """Show what each node holds of guest ID, the most recent first, and what would be lost with it.

    Asks each node; runs on any node, also while the guest's own node is dead. Exit status: 1 if a node does not answer.
    """
    node = settings()
    cluster = store(node).read()
    chosen = cluster.guest(guest_id)
    answers, kept = asyncio.run(_ask_all(node, cluster, chosen))
    found, now = guest_replicas(cluster, chosen, answers), time.time()
    if form == "json":
        print_json(_json(chosen, found, now, kept))
    else:
        click.echo(f"Guest {chosen.id} ({chosen.name}) is on {_owner(chosen)}, epoch {chosen.epoch}.")
        print_table(COLUMNS, [_row(each, now, node.timezone) for each in found])
        for each in found:
            click.echo("".join(_differences(each, node.timezone)), nl=False)
            if each.error is None and each.job in kept:
                click.echo(described_kept(each.node, chosen, kept[each.job], each.as_of, node.timezone))
    name_failures([*answers.values(), *kept.values()])


async def _ask_all(node: Settings, cluster: Cluster, chosen: Guest) -> tuple[Answers, dict[JobId, KeptOrError]]:
    """Return what the nodes of a guest say of its volumes, and those that answer of its files."""
    async with connected(node, cluster.nodes.values()) as nodes:
        answers = await ask_nodes(cluster, nodes_of(cluster, chosen), nodes, chosen)
        targets = {
            job.id: job.target
            for job in cluster.jobs.values()
            if job.id.guest == chosen.id and not isinstance(answers[job.target], ZsrError)
        }
        return answers, await ask_kept(node, chosen, targets, nodes)


async def _ask(node: Settings, cluster: Cluster, guests: Iterable[Guest]) -> Answers:
    async with connected(node, cluster.nodes.values()) as nodes:
        return await ask_nodes(cluster, {name for each in guests for name in nodes_of(cluster, each)}, nodes)


def _list_row(each: Guest, found: list[GuestReplica], now: float, zone: tzinfo) -> tuple[str, ...]:
    jobs = ", ".join(str(replica.job) for replica in sorted(found, key=lambda replica: replica.job)) or "-"
    if not found or found[0].as_of is None:
        lost = UNKNOWN if any(replica.error for replica in found) else "all"
        return (str(each.id), each.name, _owner(each), jobs, "-", "-", lost)
    newest = found[0]
    return (
        str(each.id), each.name, _owner(each), jobs, newest.node, local_time(newest.as_of, zone), _loss(newest, now),
    )  # fmt: skip


def _owner(guest: Guest) -> str:
    return guest.node if guest.moving_to is None else f"{guest.node}, moving to {guest.moving_to}"


def _row(replica: GuestReplica, now: float, zone: tzinfo) -> tuple[str, ...]:
    if replica.error is not None:
        return (replica.node, str(replica.job), UNKNOWN, UNKNOWN, UNKNOWN)
    there = sum(at is not None for at in replica.newest.values())
    return (
        replica.node,
        str(replica.job),
        local_time(replica.as_of, zone),
        f"{there} of {len(replica.newest)}",
        _loss(replica, now),
    )


def _loss(replica: GuestReplica, now: float) -> str:
    """What was written after the replica's newest whole set, in time and bytes."""
    if replica.as_of is None:
        return "all"
    if replica.lost == 0:
        return "nothing"
    return f"{compact(max(0.0, now - replica.as_of))}, {UNKNOWN if replica.lost is None else size(replica.lost)}"


def _differences(replica: GuestReplica, zone: tzinfo) -> Iterable[str]:
    """The volumes that have another newest set than the whole one."""
    for volume, at in replica.newest.items():
        if at is None:
            yield f"{replica.node} has no set of {volume}.\n"
        elif at != replica.as_of:
            yield f"{replica.node} has {volume} as of {local_time(at, zone)}.\n"


def _json(
    each: Guest, found: list[GuestReplica], now: float, kept: Mapping[JobId, KeptOrError] | None = None
) -> Mapping[str, object]:
    there = {job: answer for job, answer in (kept or {}).items() if not isinstance(answer, ZsrError)}
    return {
        "guest": each.id,
        "name": each.name,
        "owner": each.node,
        "epoch": each.epoch,
        "moving_to": each.moving_to,
        "replicas": [
            {
                "node": replica.node,
                "job": str(replica.job),
                "as_of": replica.as_of,
                "age": None if replica.as_of is None else now - replica.as_of,
                "volumes": replica.newest,
                "lost_bytes": replica.lost,
                "error": None if replica.error is None else str(replica.error),
                "files": times_of(each, there[replica.job], replica.as_of) if replica.job in there else None,
            }
            for replica in found
        ],
    }
