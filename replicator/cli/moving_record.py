"""The record of a guest that moves, in the cluster files of its node and of the one to which it goes (file store).

The file of the node that gets the guest decides: from the moment in which it names that node, the guest belongs there.
A change that may be under way there is refused as soon as that file is another one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

import click

from replicator.cli.cluster_copies import Copies
from replicator.cli.context import store
from replicator.cluster.file_copies import REPLACEABLE, guests_of
from replicator.cluster.file_drafts import FileDraft
from replicator.cluster.model import ChangedError
from replicator.cluster.other_copies import OtherCopy
from replicator.cluster.store import ClusterStore
from replicator.common.files import FileText, digest_of
from replicator.config.settings import Settings
from replicator.errors import BusyError, ConfigError, ZsrError
from replicator.models import Guest, GuestId
from replicator.zfs.node_clients import Nodes


class MovingRecord:
    """The record of one guest of this node; ``cluster`` and ``guest`` are as this node's file has them.

    ``may_be_given``: a hand-over was tried whose outcome may not be known.
    """

    def __init__(self, node: Settings, guest_id: GuestId, to: str) -> None:
        self._node, self._to = node, to
        self.cluster = store(node).read()
        self.guest = self.cluster.guest(guest_id)
        self.may_be_given = self.guest.moving_to is not None
        self._announced: Copies | None = None

    @property
    def is_given(self) -> bool:
        """Whether the guest belongs to the other node."""
        return self.guest.node == self._to

    async def catch_up(self, nodes: Nodes) -> None:
        """Bring both files to one state; an earlier command may have handed the guest over.

        Raises:
            ConfigError: the other node's file was edited, or has another owner. ZsrError: it could not be read.
        """
        if self.is_given:
            return
        copies = await self._copies(nodes)
        there = self._there(copies)
        if there is not None and there.node == self._to and there.epoch > self.guest.epoch:
            if self.guest.moving_to != self._to:
                raise ConfigError(
                    f"By the cluster file of {self._to}, guest {there.id} is there, with epoch {there.epoch}.",
                    advice=f"Compare: zsr cluster diff {self._to}.",
                )
            await self._commit_here(there.epoch)
            return
        await self._bring(nodes, copies)

    async def announce(self, nodes: Nodes) -> None:
        """Record in both files that the guest is being moved. Raises ZsrError: one of them cannot be written."""
        await asyncio.to_thread(self._announce, store(self._node))
        self._reload()
        copies = await self._copies(nodes)
        await self._bring(nodes, copies)
        self._announced = replace(copies, others={self._to: OtherCopy(copies.ours, None)})

    async def hand_over(self, nodes: Nodes, epoch: int) -> None:
        """Give the guest to the other node, in its file first. Raises ZsrError: it was not, or that is not known.

        What `announce` wrote there is replaced, and nothing else: the guest is off, and the file is not read before.
        """
        copies = self._announced
        if copies is None or (await asyncio.to_thread(store(self._node).read)).digest != copies.ours.digest:
            raise BusyError(f"The cluster file on {self._node.node} has just been changed.", advice="Try again.")

        def give(where: ClusterStore) -> None:
            where.hand_over(self.guest.id, self._node.node, self._to, epoch, announced=True)

        fresh = await asyncio.to_thread(self._draft, copies, give)
        self.may_be_given = True
        try:
            await copies.with_text(fresh).write_file(nodes, self._to)
        except ZsrError:
            theirs = (await Copies.read_over(nodes, self._node, [self._to])).copy(self._to)
            if theirs is None or theirs.digest != fresh.digest:
                raise
        await self._commit_here(epoch)

    async def give_up(self, nodes: Nodes) -> bool:
        """End the move; return whether the guest belongs to this node for sure."""
        if self.is_given:
            return False
        try:
            copies = await self._copies(nodes)
            there = self._there(copies)
            if there is not None and there.node == self._to and there.epoch > self.guest.epoch:
                click.echo(f"Guest {there.id} was handed over to {self._to}: the same command finishes.", err=True)
                return False
            if self._may_replace(copies):
                fresh = await asyncio.to_thread(self._draft, copies, self._stay)
                await self._write(nodes, copies.with_text(fresh))
            else:  # what may be under way there expects another text, and is refused
                click.echo(f"The cluster file on {self._to} was edited: zsr cluster diff {self._to}.", err=True)
        except ZsrError as error:
            if self.may_be_given:
                click.echo(
                    f"Whether {self._to} has guest {self.guest.id} is not known: {error} It stays off here. When "
                    f"{self._to} answers, the same command finishes.",
                    err=True,
                )
                return False
        await asyncio.to_thread(self._stay, store(self._node))
        self._reload()
        return True

    # --- the two files

    async def _copies(self, nodes: Nodes) -> Copies:
        copies = await Copies.read_over(nodes, self._node, [self._to])
        if isinstance(theirs := copies.others[self._to], ZsrError):
            raise theirs
        return copies

    def _there(self, copies: Copies) -> Guest | None:
        """Return the guest as the other node's file has it; None if that cannot be read, or has none."""
        copy = copies.copy(self._to)
        return None if copy is None else guests_of(copy).get(self.guest.id)

    def _may_replace(self, copies: Copies) -> bool:
        """Return whether nothing is lost if the other node's copy is replaced by this node's file.

        A move that was given up writes texts that were there before, which look like edits that took a change back.
        """
        if copies.standing(self._to) in REPLACEABLE:
            return True
        theirs = copies.copy(self._to)
        known = {self._draft(copies, each).digest for each in (self._stay, self._announced_again)}
        return theirs is not None and theirs.digest in known

    async def _bring(self, nodes: Nodes, copies: Copies) -> None:
        """Write this node's file to the other one. Raises ConfigError: it was edited there."""
        if not await asyncio.to_thread(self._may_replace, copies):
            raise ConfigError(
                f"The cluster file on {self._to} is not one that this node's came from.",
                advice=f"Take over what is new there (zsr cluster diff {self._to}); then: zsr cluster push {self._to}.",
            )
        await self._write(nodes, copies)

    async def _write(self, nodes: Nodes, copies: Copies) -> None:
        [error] = await copies.write(nodes, [self._to])
        if error is not None:
            raise error

    def _draft(self, copies: Copies, change: Callable[[ClusterStore], None]) -> FileText:
        """Return the text of this node's file with a change that is not made yet."""
        draft = FileDraft(self._node.cluster.path, copies.ours.text)
        change(ClusterStore(draft, self._node.timezone))
        return FileText(digest_of(draft.text), draft.text)

    def _announce(self, where: ClusterStore) -> None:
        where.announce_move(self.guest.id, self._node.node, self._to)

    def _announced_again(self, where: ClusterStore) -> None:
        try:
            self._announce(where)
        except ChangedError:  # it is going elsewhere
            return

    def _stay(self, where: ClusterStore) -> None:
        where.announce_move(self.guest.id, self._node.node, None)

    async def _commit_here(self, epoch: int) -> None:
        await asyncio.to_thread(store(self._node).hand_over, self.guest.id, self._node.node, self._to, epoch)
        self._reload()
        click.echo(f"guest {self.guest.id}: node {self._to}, epoch {epoch}")

    def _reload(self) -> None:
        self.cluster = store(self._node).read()
        self.guest = self.cluster.guests[self.guest.id]
