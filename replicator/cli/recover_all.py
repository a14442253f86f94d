"""``zsr guest recover --all-of NODE``: the guests of a dead node, each on the node with its most recent replica."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from datetime import tzinfo

import click

from replicator.cli.context import store
from replicator.cli.orders_elsewhere import Elsewhere
from replicator.cli.output import confirmed, local_time, print_table
from replicator.cli.recovery_order import Wishes, refuse_living, refuse_without_force
from replicator.common.durations import compact
from replicator.common.tasks import result_or_error
from replicator.config.settings import Settings
from replicator.errors import ConfigError, ZsrError
from replicator.guests.all_of_node import Candidate, candidates
from replicator.replication.guest_replicas import ask_nodes
from replicator.zfs.node_clients import connected

COLUMNS = ("Guest", "Name", "On", "As of", "Would be lost", "Cannot be recovered")
_AT_ONCE = 4


async def recover_all(node: Settings, dead: str, wishes: Wishes) -> bool:
    """Recover all guests of a dead node that can be; return whether each is recovered.

    Raises:
        ConfigError: there is no such node, or the order lacks ``--force``. BusyError: the node answers.
    """
    cluster = await asyncio.to_thread(store(node).read)
    if dead not in cluster.nodes or dead == node.node:
        others = ", ".join(name for name in cluster.nodes if name != node.node) or "none"
        raise ConfigError(f"There is no other node '{dead}'.", advice=f"Known: {others}.")
    async with connected(node, cluster.nodes.values()) as nodes:
        await refuse_living(cluster, dead, node.node, f"The guests are on {dead}", nodes)
        answers = await ask_nodes(cluster, set(cluster.nodes) - {dead}, nodes)
        elsewhere = Elsewhere(node.node, nodes)
        left = await _without_finished(candidates(cluster, dead, answers, older=wishes.older), elsewhere)
        if not left:
            click.echo(f"No guest is on {dead}, and nothing is left to do for those that were.")
            return True
        print_table(COLUMNS, [row(each, time.time(), node.timezone) for each in left])
        chosen = [each for each in left if not each.why]
        if wishes.show or not chosen:
            return len(chosen) == len(left)
        refuse_without_force(wishes, dead)
        many = f"{len(chosen)} guests" if len(chosen) > 1 else f"guest {chosen[0].guest.id}"
        if not wishes.yes and not confirmed(f"Recover {many} as the table says, and forget what is not there?"):
            click.echo("Nothing was changed.", err=True)
            return False
        failed = await recover_each(chosen, elsewhere, ["--older"] if wishes.older else [])
    names = [*(each for each in left if each.why), *failed]
    for each in sorted(names, key=lambda one: one.guest.id):
        click.echo(f"Guest {each.guest.id} ({each.guest.name}) was not recovered: {each.why}", err=True)
    return not names


async def recover_each(chosen: Sequence[Candidate], elsewhere: Elsewhere, options: Sequence[str]) -> list[Candidate]:
    """Recover guests one after the other; return those that failed.

    After each one the cluster file goes from its node to the others: the next one may be recovered on another node,
    which writes into its own. So it does after one that failed, since that may belong to its new node by then.
    """
    failed = []
    for each in chosen:
        name = each.node or ""
        click.echo(f"Guest {each.guest.id} ({each.guest.name}) on {name}:")
        error = await result_or_error(elsewhere.recover(name, each.guest.id, each.set_time or 0, options))
        unbrought = await result_or_error(elsewhere.push(name))
        if (why := error or unbrought) is not None:
            failed.append(Candidate(each.guest, name, each.set_time, why.what))
    return failed


async def _without_finished(found: Sequence[Candidate], elsewhere: Elsewhere) -> list[Candidate]:
    """Leave out the guests that their new node has taken, and whose recovery is finished there."""
    limit = asyncio.Semaphore(_AT_ONCE)

    async def judged(each: Candidate) -> Candidate | None:
        if each.node is None or each.set_time is not None:
            return each
        async with limit:
            try:
                is_left = await elsewhere.is_left(each.node, each.guest.id)
            except ZsrError as error:
                return Candidate(each.guest, each.node, why=error.what)
        if is_left is None:
            return Candidate(
                each.guest, each.node, why=f"{each.node} has taken it, and does not say what is left to do"
            )
        return each if is_left else None

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(judged(each)) for each in found]
    return [each for task in tasks if (each := task.result()) is not None]


def row(candidate: Candidate, now: float, zone: tzinfo) -> tuple[str, ...]:
    """Return the row of a guest in the table. The bytes that are lost only the dead node knew."""
    guest, at = candidate.guest, candidate.set_time
    if at is not None:
        lost = f"{compact(max(0.0, float(round(now - at))))}, ?"
    else:
        lost = "begun" if candidate.node and not candidate.why else "?"
    return (str(guest.id), guest.name, candidate.node or "-", local_time(at, zone), lost, candidate.why or "-")
