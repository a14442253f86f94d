"""``zsr`` typed on another node over the connection that exists, and what it says there."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass

import click

from replicator.cli.context import config_path
from replicator.cli.recovery_order import parse_shown
from replicator.errors import BusyError, ConfigError
from replicator.hosts.host import Completed, Host
from replicator.models import GuestId, Node
from replicator.zfs.node_clients import Nodes

_ASK_SECONDS = 30.0
_SHOW_SECONDS = 300.0
_RECOVER_SECONDS = 3600.0
"""Seconds that a recovery may take: the guest's own limits for its start count there."""


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """Orders to the ``zsr`` of the cluster's nodes; ``here`` is this one."""

    here: str
    nodes: Nodes

    async def show(self, name: str, guest: GuestId, options: Sequence[str]) -> int | None:
        """Print what a node would do to recover a guest; return the set with which it would go on.

        None: nothing is left to do; 0: the rest of a recovery that was begun. Raises BusyError: it would refuse.
        """
        done = await self._type(name, ["guest", "recover", str(guest), "--show", *options], _SHOW_SECONDS)
        lines, set_time = parse_shown(done.stdout)
        _relay(name, lines, done)
        self._refuse_failed(name, guest, done)
        return set_time

    async def is_left(self, name: str, guest: GuestId) -> bool | None:
        """Return whether a node has to finish the recovery of a guest; None: it does not say. Prints nothing."""
        done = await self._type(name, ["guest", "recover", str(guest), "--show"], _SHOW_SECONDS)
        return parse_shown(done.stdout)[1] is not None if done.ok else None

    async def recover(self, name: str, guest: GuestId, set_time: int, options: Sequence[str]) -> None:
        """Let a node recover a guest as it was shown, without a question; raises BusyError if it failed there."""
        seen = ["--as-shown", str(set_time)] if set_time else []
        order = ["guest", "recover", str(guest), "--force", "--yes", *seen, *options]
        done = await self._type(name, order, _RECOVER_SECONDS)
        _relay(name, done.stdout.splitlines(), done)
        self._refuse_failed(name, guest, done)

    async def push(self, name: str) -> None:
        """Let a node bring its cluster file to the others; what fails is printed."""
        done = await self._type(name, ["cluster", "push", "--yes"], _SHOW_SECONDS)
        _relay(name, done.stdout.splitlines(), done)

    async def _type(self, name: str, args: Sequence[str], limit: float) -> Completed:
        """Type a command of ``zsr`` on a node; on this one with its own settings."""
        own = [sys.executable, "-m", "replicator.cli.main", "--config", str(config_path())]
        return await self.nodes.client(name).host.run([*(own if name == self.here else ["zsr"]), *args], limit=limit)

    def _refuse_failed(self, name: str, guest: GuestId, done: Completed) -> None:
        if not done.ok:
            raise BusyError(
                f"Guest {guest} was not recovered on {name}.", advice="The same command goes on from here.", node=name
            )


async def refuse_unable(host: Host, name: str) -> None:
    """Raise ConfigError unless the zsr of a node can take a guest; asked before the guest stops for it.

    An earlier version has no such verb: a guest that was handed over to it would be off.
    """
    if (await host.run(["zsr", "guest", "take", "--help"], limit=_ASK_SECONDS)).ok:
        return
    done = await host.run(["zsr", "--version"], limit=_ASK_SECONDS)
    raise ConfigError(
        f"The zsr of {name} cannot take a guest ({done.stdout.strip()}).", advice=f"Upgrade it on {name} first."
    )


def refuse_unfit(node: Node | None, name: str, targets: Sequence[str], guest: GuestId) -> None:
    """Raise ConfigError unless a node can be ordered to recover a guest; ``targets`` are those of its jobs."""
    known = ", ".join(targets) or "none"
    if node is None or name not in targets:
        raise ConfigError(f"No job replicates guest {guest} to '{name}'.", advice=f"Its targets: {known}.")
    if not node.zsr:
        raise ConfigError(
            f"Node {name} has zsr = false: there is no zsr that could recover guest {guest}.",
            advice=f"Its targets: {known}. Without zsr on {name}, follow docs/node-is-dead.md there by hand.",
        )


def _relay(name: str, lines: Sequence[str], done: Completed) -> None:
    for line in lines:
        click.echo(f"{name}: {line}")
    for line in done.stderr.splitlines():
        click.echo(f"{name}: {line}", err=True)
