"""Makes the volumes that guests left on this node replicas, once their new node has taken them and nothing uses them.

What cannot be released yet is tried again: a guest that runs here though it belongs to another node, for example.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable

from replicator.cluster.model import Cluster
from replicator.config.settings import Settings
from replicator.errors import ZsrError
from replicator.guests.both_sides import volumes_on
from replicator.guests.move import job_to
from replicator.guests.release import refuse_untaken, release
from replicator.models import Guest
from replicator.replication.guest_replicas import ask_nodes
from replicator.state.guest_locks import guest_lock
from replicator.zfs.fence import Fence
from replicator.zfs.node_clients import Nodes

LOOK_SECONDS = 30.0
"""Seconds between two looks at the guests that the last inventory found."""

_log = logging.getLogger("zsr.daemon")


async def release_left(settings: Settings, cluster: Cluster, guest: Guest, nodes: Nodes) -> list[str]:
    """Make what a guest left on this node replicas of its new node; return the datasets.

    Raises:
        ConfigError: its new node has not taken it, or no job replicates it to this one. BusyError: it is used here.
    """
    back = job_to(cluster.jobs.values(), guest, settings.node)
    there = (await ask_nodes(cluster, [guest.node], nodes))[guest.node]
    if isinstance(there, ZsrError):
        raise there
    refuse_untaken(guest, there)
    with guest_lock(settings.state_dir / "locks", guest.id):
        found = await volumes_on(cluster, guest, settings.node, nodes)
        left = [each for each in found if each.owner in (None, settings.node)]
        await release(guest, Fence(back.id, guest.node, guest.epoch), left, nodes.client(settings.node), _debug)
    return sorted(each.name for each in left)


class LeftVolumes:
    """Releases in the daemon what the last inventory found.

    Args:
        settings: of this node.
        nodes: the connections.
        cluster: returns the cluster as this node sees it.
        left: returns the guests that have left volumes here.
    """

    def __init__(
        self,
        settings: Settings,
        nodes: Nodes,
        cluster: Callable[[], Cluster],
        left: Callable[[], Iterable[int]],
    ) -> None:
        self._settings = settings
        self._nodes = nodes
        self._cluster = cluster
        self._left = left
        self._why: dict[int, str] = {}

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
            done = await release_left(self._settings, self._cluster(), guest, self._nodes)
        except ZsrError as error:
            if self._why.get(guest.id) != error.what:
                self._why[guest.id] = error.what
                _log.warning("What guest %d left here does not become a replica yet: %s", guest.id, error)
        except Exception:  # noqa: BLE001 - a task's outermost frame
            _log.exception("What guest %d left here could not be released (class internal).", guest.id)
        else:
            if done:
                text = "Guest %d went on on %s; what it left here are replicas now: %s."
                _log.warning(text, guest.id, guest.node, ", ".join(done))


def _debug(_level: str, text: str) -> None:
    _log.debug("%s", text)
