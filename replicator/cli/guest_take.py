"""``zsr guest take``: the last step of a move, on the node that gets the guest."""

from __future__ import annotations

import asyncio
from collections.abc import Collection

import click

from replicator.cli.completion import guest_ids
from replicator.cli.context import config_option, notify_daemon, settings
from replicator.cli.guest_argument import GUEST
from replicator.cli.guest_files import files_of
from replicator.cli.taken_guest import TakenGuest, former_of
from replicator.config.settings import Settings
from replicator.errors import BusyError, ConfigError, ZsrError
from replicator.guests.both_sides import volumes_on
from replicator.guests.recovery import refuse_taken, volumes_of
from replicator.models import GuestId
from replicator.replication.guest_replicas import Answers, ask_nodes
from replicator.state.guest_locks import guest_lock_within
from replicator.zfs.node_clients import Nodes, connected

_LOCK_SECONDS = 60.0


@click.command()
@click.argument("guest_id", metavar="ID", type=GUEST, shell_complete=guest_ids)
@click.option("--leave-off", is_flag=True, help="Do not start the guest.")
@config_option
def take(guest_id: GuestId, leave_off: bool) -> None:
    """Make the volumes of guest ID on this node, to which it was handed over, writable, and start it.

    The last step of a move: zsr guest move types it. Refused while the former node's volumes are writable.
    """
    node = settings()
    taken = handed_over(node, guest_id)
    asyncio.run(_take(node, taken, leave_off=leave_off))


def handed_over(node: Settings, guest_id: GuestId) -> TakenGuest:
    """Return a guest that belongs to this node. Raises ConfigError: it belongs to another one."""
    taken = TakenGuest(node, guest_id)
    if not taken.is_here:
        raise ConfigError(
            f"Guest {guest_id} was not handed over to this node: it is on {taken.guest.node}.",
            advice=f"Move it, there: zsr guest move {guest_id} {node.node}. Is {taken.guest.node} dead? "
            f"zsr guest recover {guest_id}.",
        )
    return taken


async def _take(node: Settings, taken: TakenGuest, *, leave_off: bool) -> None:
    async with connected(node, taken.cluster.nodes.values()) as nodes:
        await take_over(node, taken, nodes, leave_off=leave_off)
    await asyncio.to_thread(notify_daemon, node)


async def take_over(
    node: Settings, taken: TakenGuest, nodes: Nodes, *, leave_off: bool, silent: Collection[str] = ()
) -> None:
    """Do what is left of a planned move: its former node is alive, and has made its volumes read-only.

    Nodes that were ``silent`` a moment ago are not asked: the guest is off, and only its former node has to answer.
    """
    zfs = nodes.client(node.node)
    async with guest_lock_within(node.state_dir / "locks", taken.guest.id, _LOCK_SECONDS):
        taken.look_again()
        guest = taken.guest
        if not taken.is_here or guest.moving_to is not None:
            raise ConfigError(
                f"Guest {guest.id} was not handed over to this node: it is on {guest.node}, moving to "
                f"{guest.moving_to}.",
                advice="Finish the move on the node that owns it.",
            )
        answers = await ask_nodes(taken.cluster, taken.cluster.nodes.keys() - set(silent), nodes, guest)
        if isinstance(found := answers[node.node], ZsrError):
            raise found
        pending = taken.remembered(found)
        left = await taken.unfinished(found, zfs, pending)
        former = former_of(left)
        if former is not None and former in silent:
            answers = {**answers, **await ask_nodes(taken.cluster, [former], nodes, guest)}
        _refuse_writable(node.node, taken, former, answers)
        taken.pend(files_of(left, guest) or pending)
        await taken.become_all(left, former or "", zfs)
        await _refuse_unready(node, taken, nodes)
        await taken.place_files(zfs)
        if not leave_off:
            await taken.start(zfs)


def _refuse_writable(here: str, taken: TakenGuest, former: str | None, answers: Answers) -> None:
    """Raise if the guest was taken by another node, or may be written on another one.

    The ``former`` node has to answer; of the others those that do.
    """
    guest, storages = taken.guest, taken.cluster.storages.values()
    refuse_taken(guest, storages, former or here, here, answers)
    if former is not None and isinstance(error := answers.get(former), ZsrError):
        raise error
    for name, answer in answers.items():
        for each in volumes_of(guest, storages, name, {} if isinstance(answer, ZsrError) else answer):
            if name != here and each.owner == name and each.readonly is not True:
                raise BusyError(
                    f"'{each.name}' on {name} is writable: guest {guest.id} may run there.",
                    advice=f"Stop it there, and make what it left replicas: zsr guest release {guest.id}.",
                )


async def _refuse_unready(node: Settings, taken: TakenGuest, nodes: Nodes) -> None:
    """Raise unless all volumes here are this node's, of the guest's epoch, and writable: else it must not start."""
    guest = taken.guest
    found = await volumes_on(taken.cluster, guest, node.node, nodes)
    if not found:
        raise BusyError(
            f"No volume of guest {guest.id} is on {node.node}: guest {guest.id} is not started.",
            advice=f"Is a pool not imported (zpool import)? See: zsr guest replicas {guest.id}.",
        )
    for each in found:
        is_ours = (each.owner, each.epoch) in ((node.node, str(guest.epoch)), (None, None))
        if not is_ours or each.readonly:
            raise BusyError(
                f"'{each.name}' is read-only, or of {each.owner}, epoch {each.epoch}: guest {guest.id} is not started.",
                advice="See: zfs get readonly,zsr:owner,zsr:epoch.",
            )
