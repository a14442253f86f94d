"""ZFS clients of the cluster's nodes, created once and kept; reachability and clock skew of each node."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace

from replicator.common.process_identity import boot_id
from replicator.config.settings import Settings
from replicator.config.ssh import SshSettings
from replicator.errors import AuthError, ConfigError, ConnectionLostError, NetworkError
from replicator.hosts.boot_id import host_boot_id
from replicator.hosts.hook_unit import HookUnit
from replicator.hosts.host import Host
from replicator.hosts.known_hosts import KnownHosts
from replicator.hosts.local import LocalHost
from replicator.hosts.ssh import SshHost
from replicator.models import Node
from replicator.zfs.client import ZfsClient
from replicator.zfs.clock_skew import clock_skew
from replicator.zfs.guarded_client import GuardedClient

SILENT_SECONDS = 120.0
"""Seconds for which a failed attempt to connect counts: two intervals of the probes, which renew it or end it."""
CLOCK_VALID_SECONDS = 600.0
"""Seconds after which a node's clock is compared again."""


class Nodes:
    """ZFS clients by node name. This node itself, and nodes whose address is ``local``, need no SSH.

    Args:
        here: this node's name.
        ssh: how to connect to the others.
        limit: seconds that any command but a transfer may take.
        clock: returns unix time.
        may_destroy: returns whether anything may be destroyed now (`replicator.zfs.guarded_client`).
        hooks: the unit in which this node runs hooks, if systemd has one.

    Attributes:
        boot: the boot id of this machine; empty where the kernel has none.
    """

    def __init__(
        self,
        here: str,
        ssh: SshSettings,
        *,
        limit: float,
        clock: Callable[[], float] = time.time,
        may_destroy: Callable[[], bool] = lambda: True,
        hooks: HookUnit | None = None,
    ) -> None:
        self.boot = boot_id()
        self._may_destroy = may_destroy
        self._here = here
        self._hooks = hooks
        self._ssh = ssh
        self._known_hosts = KnownHosts(ssh.known_hosts)
        self._limit = limit
        self._nodes: dict[str, Node] = {}
        self._clients: dict[str, ZfsClient] = {}
        self._reachable: dict[str, bool] = {}
        self._silent: dict[str, tuple[NetworkError, float]] = {}
        self._clock = clock
        self._skews: dict[str, tuple[float, float]] = {}
        self._machines: dict[str, tuple[str, float]] = {}

    @property
    def clock_skew(self) -> dict[str, float]:
        """Seconds by which each node's clock was ahead of this one's; a node that was never compared is left out."""
        return {name: skew for name, (_, skew) in self._skews.items()}

    @property
    def reachable(self) -> dict[str, bool]:
        """Whether each node answered at the last contact; a node that was never contacted is left out."""
        return dict(self._reachable)

    @property
    def inventoried(self) -> dict[str, float]:
        """When something on each node was last listed (unix time); a node that never was is left out."""
        return {name: client.inventoried for name, client in self._clients.items() if client.inventoried is not None}

    @property
    def machines(self) -> dict[str, tuple[str, float]]:
        """The boot id of the machine last met under each node's name, and when it was asked for (unix time)."""
        return dict(self._machines)

    @property
    def same_machine(self) -> dict[str, str]:
        """The nodes that are the same machine as another one, and which: this node, or the first of the others.

        A node whose address is ``local`` is left out: its settings say so.
        """
        names = {self.boot: self._here} if self.boot else {}
        found = {}
        for name, (machine, _) in sorted(self._machines.items()):
            other = names.setdefault(machine, name)
            if other != name:
                found[name] = other
        return found

    async def update(self, nodes: Iterable[Node]) -> None:
        """Replace the cluster's nodes; connections to nodes that changed or are gone are closed."""
        fresh = {node.name: node for node in nodes}
        for name in list(self._clients):
            if _connection(fresh.get(name)) != _connection(self._nodes.get(name)):
                await self._clients.pop(name).host.close()
        changed = {name for name, node in self._nodes.items() if fresh.get(name) != node}
        self._machines = {name: known for name, known in self._machines.items() if name not in changed}
        self._reachable = {name: known for name, known in self._reachable.items() if name in fresh}
        self._silent = {name: known for name, known in self._silent.items() if name not in changed}
        self._skews = {name: known for name, known in self._skews.items() if name in fresh}
        self._nodes = fresh

    def client(self, name: str) -> ZfsClient:
        """Return the ZFS of a node; raises ConfigError if the cluster has no such node."""
        if name not in self._clients:
            self._clients[name] = GuardedClient(
                self._host(name), limit=self._limit, may_destroy=self._may_destroy, clock=self._clock
            )
        return self._clients[name]

    def _host(self, name: str) -> Host:
        node = self._nodes.get(name)
        if node is None:
            raise ConfigError(f"The cluster has no node '{name}'.", advice="Add it to the cluster file.")
        if name == self._here or node.is_local:
            return LocalHost(name, self._hooks)
        return SshHost(node, self._ssh, self._known_hosts, LocalHost(self._here))

    def mark_reachable(self, name: str) -> None:
        """Note that a node answered."""
        self._reachable[name] = True
        self._silent.pop(name, None)

    def mark_unreachable(self, name: str) -> None:
        """Note that a node did not answer."""
        self._reachable[name] = False

    def mark_silent(self, name: str, error: NetworkError) -> None:
        """Note that a node could not be connected to, so that runs need not wait for that once more."""
        self.mark_unreachable(name)
        self._silent[name] = (error, self._clock())

    def silence(self, name: str) -> NetworkError | None:
        """Return why a node could not be connected to a moment ago; None where only an attempt would show it."""
        error, at = self._silent.get(name, (None, 0.0))
        if error is None or not 0 <= self._clock() - at < SILENT_SECONDS:
            return None
        return NetworkError(error.what, node=error.node, advice=error.advice, raw=error.raw)

    async def probe(self, name: str) -> bool:
        """Return whether a node lets commands run; one that refuses the login is reachable all the same."""
        try:
            await self.client(name).host.probe()
        except ConnectionLostError:
            self.mark_unreachable(name)
            return False
        except NetworkError as error:
            self.mark_silent(name, error)
            return False
        except AuthError:
            self.mark_reachable(name)
            return False
        self.mark_reachable(name)
        return True

    async def compare_clocks(self) -> None:
        """Compare the clocks of nodes that answered at the last contact and were not compared for a while.

        They are asked for their boot ids too. This is done apart from runs, so that a run costs no extra command. After
        a failure the last value stays, and the node is probed: one that died between two runs of a nightly job is not
        found out by the next night only.
        """
        async with asyncio.TaskGroup() as group:
            for name, node in self._nodes.items():
                at, _ = self._skews.get(name, (float("-inf"), 0.0))
                fresh = 0 <= self._clock() - at < CLOCK_VALID_SECONDS
                if self._reachable.get(name) and not fresh and name != self._here and not node.is_local:
                    group.create_task(self._compare_clock(name))

    async def _compare_clock(self, name: str) -> None:
        node, host = self._nodes[name], self.client(name).host
        skew = await clock_skew(host, self._clock)
        machine = None if skew is None else await host_boot_id(host)
        if self._nodes.get(name) != node:
            return
        if skew is None:
            await self.probe(name)
        else:
            self._skews[name] = (self._clock(), skew)
        if machine is not None:
            self._machines[name] = (machine, self._clock())

    async def close(self) -> None:
        """Close all connections."""
        for client in self._clients.values():
            await client.host.close()
        self._clients.clear()


def _connection(node: Node | None) -> Node | None:
    """Return what a connection depends on: a node that is disabled or slowed down keeps it, and its run."""
    return None if node is None else replace(node, zsr=True, disabled=False, disabled_until=None, rate=())


@asynccontextmanager
async def connected(settings: Settings, nodes: Iterable[Node]) -> AsyncIterator[Nodes]:
    """Connect to the cluster's nodes while the body runs, for a process that is not the daemon."""
    clients = Nodes(settings.node, settings.ssh, limit=settings.command_timeout)
    try:
        await clients.update(nodes)
        yield clients
    finally:
        await clients.close()
