"""Makes the volumes that guests left on this node replicas, once their new node has taken them and nothing uses them.

What cannot be released yet is tried again: a guest that runs here though it belongs to another node, for example.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable

from replicator.cluster.model import Cluster
from replicator.config.settings import Settings
from replicator.errors import ConfigError, ZsrError
from replicator.guests.both_sides import Left, left_on
from replicator.guests.epoch_claims import take_claims_back
from replicator.guests.move import job_to
from replicator.guests.recovery import volumes_of
from replicator.guests.release import KeptAside, refuse_untaken, release
from replicator.models import Guest, GuestId
from replicator.replication.guest_replicas import ask_nodes
from replicator.state.guest_locks import guest_lock_within
from replicator.zfs.fence import Fence
from replicator.zfs.model import Dataset
from replicator.zfs.node_clients import Nodes

_LOCK_SECONDS = 10.0
_ORDER_SECONDS = 60.0
LOOK_SECONDS = 30.0
"""Seconds between two looks at the guests that the last inventory found."""

_log = logging.getLogger("zsr.daemon")


async def release_left(settings: Settings, read: Callable[[], Cluster], guest_id: GuestId, nodes: Nodes) -> Left:
    """Make what a guest left on a node replicas of its new node; return that, and what has to stay as it is.

    ``read`` returns the cluster as it is now: it is asked under the guest's lock, since the guest may come back.

    Raises:
        ConfigError: it belongs to this node, its new node has not taken it, or no job replicates it to this one.
        BusyError: it is used here.
    """
    async with guest_lock_within(settings.state_dir / "locks", guest_id, _LOCK_SECONDS):
        cluster = await asyncio.to_thread(read)
        guest = cluster.guest(guest_id)
        if guest.node == settings.node:
            raise ConfigError(
                f"Guest {guest_id} is this node's own: it does not belong to another node.",
                advice="See: zsr guest list.",
            )
        back = job_to(cluster.jobs.values(), guest, settings.node)
        there = (await ask_nodes(cluster, [guest.node], nodes, guest))[guest.node]
        if isinstance(there, ZsrError):
            raise there
        refuse_untaken(guest, cluster.storages.values(), there)
        left = await left_on(cluster, guest, settings.node, there, nodes)
        if left.shared or left.aside:
            fence = Fence(back.id, guest.node, guest.epoch)
            storages = [each for each in cluster.storages.values() if each.allowed_on(settings.node)]
            paths = tuple(sorted(each.path_on(settings.node) for each in storages))
            aside = KeptAside(left.aside, paths, time.time())
            await release(guest, fence, left.shared, aside, nodes.client(settings.node), _debug)
    return left


async def take_void_claims_back(
    settings: Settings, read: Callable[[], Cluster], guest_id: GuestId, nodes: Nodes
) -> list[str]:
    """Take back the claims of a recovery here that did not commit; return the names of the replicas.

    A recovery holds the guest's lock from its claim to its commit: here it has died, and the record says what it did.
    """
    async with guest_lock_within(settings.state_dir / "locks", guest_id, _LOCK_SECONDS):
        cluster = await asyncio.to_thread(read)
        guest = cluster.guests.get(guest_id)
        if guest is None or guest.node == settings.node:
            return []
        here = (await ask_nodes(cluster, [settings.node], nodes, guest))[settings.node]
        if isinstance(here, ZsrError):
            raise here
        volumes = volumes_of(guest, cluster.storages.values(), settings.node, here)
        return await take_claims_back(nodes.client(settings.node), volumes, guest.node, guest.epoch)


async def order_sync(cluster: Cluster, guest: Guest, here: str, nodes: Nodes) -> None:
    """Let the guest's node run its job to this one at once: it has failed while the volumes here were no replicas.

    If the order fails, the job waits for its next try, which is half an hour away at worst.
    """
    try:
        job = job_to(cluster.jobs.values(), guest, here)
        order = ["zsr", "schedule-now", str(job.id)]
        done = await nodes.client(guest.node).host.run(order, limit=_ORDER_SECONDS)
    except ZsrError as error:
        _log.info("The next sync of guest %s waits for its next try: %s", guest.id, error)
        return
    if not done.ok:
        _log.info("The next sync of guest %s waits for its next try: %s", guest.id, done.stderr.strip())


def described_alone(guest: GuestId, volumes: Iterable[Dataset]) -> str:
    """Return the sentence about volumes that no other node has."""
    names = ", ".join(f"'{each.name}'" for each in volumes)
    return (
        f"{names} of guest {guest} shares no snapshot with the guest's new node: it may be the only copy, and stays as "
        "it is"
    )


def described_aside(guest: Guest, volumes: Iterable[Dataset]) -> str:
    """Return the sentence about volumes that are newer than what a guest goes on from."""
    names = ", ".join(f"'{each.name}'" for each in volumes)
    return (
        f"guest {guest.id} goes on from an older set on {guest.node}, so {names} stays aside as a whole "
        "(zsr diverged list), and a full copy takes its place"
    )


class LeftVolumes:
    """Releases in the daemon what the last inventory found.

    Args:
        settings: of this node.
        nodes: the connections.
        cluster: returns the cluster as the daemon saw it last.
        read: returns it as its file has it now. A recovery may have committed since, and died: its claim stays.
        left: returns the guests that have left volumes here.
    """

    def __init__(
        self,
        settings: Settings,
        nodes: Nodes,
        cluster: Callable[[], Cluster],
        read: Callable[[], Cluster],
        left: Callable[[], Iterable[GuestId]],
    ) -> None:
        self._settings = settings
        self._nodes = nodes
        self._cluster = cluster
        self._read = read
        self._left = left
        self._why: dict[GuestId, str] = {}

    async def keep_releasing(self) -> None:
        """Release what is left, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            left = set(self._left())
            self._why = {guest: why for guest, why in self._why.items() if guest in left}
            for guest_id in sorted(left):
                guest = self._cluster().guests.get(guest_id)
                if guest is not None and guest.node != self._settings.node:
                    await self._release(guest)

    async def _release(self, guest: Guest) -> None:
        """Release what a guest left; why that cannot be is logged once."""
        try:
            if claims := await take_void_claims_back(self._settings, self._read, guest.id, self._nodes):
                text = "A recovery of guest %s here did not take it: the claim on %s was taken back."
                _log.warning(text, guest.id, ", ".join(claims))
                return
            left = await release_left(self._settings, self._read, guest.id, self._nodes)
        except ZsrError as error:
            if self._why.get(guest.id) != error.what:
                self._why[guest.id] = error.what
                _log.warning("What guest %s left here does not become a replica yet: %s", guest.id, error)
        except Exception:  # noqa: BLE001 - a task's outermost frame
            _log.exception("What guest %s left here could not be released (class internal).", guest.id)
        else:
            if left.shared:
                text = "Guest %s went on on %s; what it left here are replicas now: %s."
                _log.warning(text, guest.id, guest.node, ", ".join(each.name for each in left.shared))
            if left.aside:
                _log.warning("What a guest left here is newer: %s.", described_aside(guest, left.aside))
            if left.shared or left.aside:
                await order_sync(self._cluster(), guest, self._settings.node, self._nodes)
            if left.alone and self._why.get(guest.id) != (why := described_alone(guest.id, left.alone)):
                self._why[guest.id] = why
                _log.warning("What a guest left here stays as it is: %s.", why)


def _debug(_level: str, text: str) -> None:
    _log.debug("%s", text)
