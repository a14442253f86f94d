"""``zsr guest recover``: let a guest go on from its replicas on this node, while the node that owns it is dead."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

import click

from replicator.cli.completion import guest_ids
from replicator.cli.context import config_option, note_move, notify_daemon, settings, store
from replicator.cli.guest_files import files_of, note_files, pending_files, place_files
from replicator.cli.output import confirmed, local_time
from replicator.common.durations import compact
from replicator.config.settings import Settings
from replicator.errors import BusyError, ConfigError, StorageMissingError, ZsrError
from replicator.events import GuestMoved
from replicator.guests import power
from replicator.guests.both_sides import volumes_on
from replicator.guests.recovery import (
    Recovery,
    become_guest,
    highest_epoch,
    plan_recovery,
    refuse_taken,
    unfinished,
    volumes_of,
)
from replicator.models import Job, JobId
from replicator.replication.guest_replicas import Answers, ask_nodes, guest_replicas
from replicator.replication.restore_points import datasets_on, replicas_of
from replicator.state.guest_locks import guest_lock, guest_lock_within
from replicator.state.pending_files import FilesOfSet
from replicator.zfs.client import ZfsClient
from replicator.zfs.fence import Fence
from replicator.zfs.liveness import liveness
from replicator.zfs.model import Dataset, pool_of
from replicator.zfs.node_clients import Nodes, connected


@click.command()
@click.argument("guest_id", metavar="ID", type=int, shell_complete=guest_ids)
@click.option("--force", is_flag=True, help="Needed with the store 'file', which cannot say whether the owner is dead.")
@click.option("--older", is_flag=True, help="Also if another node has a more recent replica, or does not say.")
@click.option("--without", multiple=True, metavar="NAME", help="Give up this volume's replica, or this absent pool.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@config_option
def recover(guest_id: int, force: bool, older: bool, without: tuple[str, ...], yes: bool) -> None:
    """Make the replicas on this node guest ID, whose own node is dead: what was written there since is not here.

    Refused while the owner answers any node that can be asked. Killed anywhere, the same command does the rest. Start
    the guest when it has ended, unless it has a runtime.
    """
    order = _Order(settings(), guest_id, force=force, older=older, without=without, yes=yes)
    asyncio.run(order.finish() if order.is_here else order.recover())


@click.command()
@click.argument("guest_id", metavar="ID", type=int, shell_complete=guest_ids)
@click.option("--leave-off", is_flag=True, help="Do not start the guest.")
@config_option
def take(guest_id: int, leave_off: bool) -> None:
    """Make the volumes of guest ID on this node, to which it was handed over, writable, and start it.

    The last step of a move: zsr guest move types it. Refused while the former node's volumes are writable.
    """
    order = _Order(settings(), guest_id, force=True, older=False, without=(), yes=True)
    if not order.is_here:
        raise ConfigError(f"Guest {guest_id} was not handed over to this node.")
    asyncio.run(order.take(leave_off=leave_off))


_TAKE_LOCK_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class _Here:
    """The ZFS of this node, and what was found on all nodes."""

    zfs: ZfsClient
    answers: Answers


class _Order:
    """A person's order to recover a guest on this node."""

    def __init__(
        self, node: Settings, guest_id: int, *, force: bool, older: bool, without: Sequence[str], yes: bool
    ) -> None:
        self._node, self._cluster = node, store(node).read()
        self._force, self._older, self._without, self._yes = force, older, without, yes
        self._guest = self._cluster.guest(guest_id)
        self._files: FilesOfSet | None = None
        self._jobs = [job for job_id, job in sorted(self._cluster.jobs.items()) if job_id.guest == guest_id]

    @property
    def is_here(self) -> bool:
        """Whether this node owns the guest already."""
        return self._guest.node == self._node.node

    async def recover(self) -> None:
        """Show what would be lost, ask, and take the guest under its lock, if what was shown still holds."""
        guest, job = self._guest, self._job_to_here()
        async with connected(self._node, self._cluster.nodes.values()) as nodes:
            here = await self._look(nodes, guest.node)
            shown = await self._plan(job, here)
            self._show(shown)
            self._refuse_older(here, shown)
            self._confirm(
                f"Make the replicas on {self._node.node} guest {guest.id}, and forget what is not here?", guest.node
            )
            with guest_lock(self._node.state_dir / "locks", guest.id):
                here = await self._look(nodes, guest.node)
                now = await self._plan(job, here)
                if now.identity != shown.identity:
                    raise BusyError("The replicas changed meanwhile; nothing was changed.", advice="Run it again.")
                epoch = highest_epoch(guest.id, guest.epoch, here.answers) + 1
                self._pend(FilesOfSet(epoch, str(job.id), now.set_time, guest.node))
                await asyncio.to_thread(store(self._node).hand_over, guest.id, guest.node, self._node.node, epoch)
                click.echo(f"guest {guest.id}: node {self._node.node}, epoch {epoch} in {self._node.cluster.path}")
                await become_guest(Fence(job.id, self._node.node, epoch), now.replicas, guest.node, here.zfs, _say)
            await self._end(here.zfs, guest.node)

    async def finish(self) -> None:
        """Do the rest of a recovery that died: as careful as the beginning, since time has passed."""
        async with connected(self._node, self._cluster.nodes.values()) as nodes:
            left = await self._unfinished(nodes.client(self._node.node))
            self._files = pending_files(self._node, self._guest) or files_of(left, self._guest)
            if not left and self._files is None:
                click.echo(f"Guest {self._guest.id} is on this node already, and nothing is left to do.")
                return
            former = self._files.former if self._files is not None else left[0][1].source or ""
            what = f"Make writable what is still a replica: {', '.join(each.name for _, each in left)}?"
            question = what if left else "Put its files in place, and start it?"
            self._confirm(f"Guest {self._guest.id} is on this node. {question}", former)
            with guest_lock(self._node.state_dir / "locks", self._guest.id):
                here = await self._look(nodes, former)
                self._pend(self._files)
                await self._become_guest(left, former, here.zfs)
            await self._end(here.zfs, former)

    async def take(self, *, leave_off: bool) -> None:
        """Do what is left of a planned move: its former node is alive, and has made its volumes read-only."""
        locks = self._node.state_dir / "locks"
        async with connected(self._node, self._cluster.nodes.values()) as nodes:
            zfs = nodes.client(self._node.node)
            async with guest_lock_within(locks, self._guest.id, _TAKE_LOCK_SECONDS):
                self._guest = store(self._node).read().guests[self._guest.id]
                if not self.is_here or self._guest.moving_to is not None:
                    raise ConfigError(
                        f"Guest {self._guest.id} was not handed over to this node: it is on {self._guest.node}, moving "
                        f"to {self._guest.moving_to}.",
                        advice="Finish the move on the node that owns it.",
                    )
                left = await self._unfinished(zfs)
                await self._refuse_writable(nodes, left[0][1].source if left else None)
                self._pend(files_of(left, self._guest) or pending_files(self._node, self._guest))
                await self._become_guest(left, (left[0][1].source if left else None) or "", zfs)
                await self._refuse_unready(nodes)
                await self._place_files(zfs)
                if not leave_off:
                    await self._start(zfs)
        await asyncio.to_thread(notify_daemon, self._node)

    def _pend(self, files: FilesOfSet | None) -> None:
        """Remember the files that the guest needs here, before the guest is this node's."""
        self._files = files if self._guest.files else None
        if self._files is not None:
            note_files(self._node, self._guest.id, self._files)

    async def _place_files(self, zfs: ZfsClient) -> None:
        if self._files is not None:
            await place_files(self._node, self._guest.id, self._files, zfs)

    async def _end(self, zfs: ZfsClient, former: str) -> None:
        """Put its files in place and start it; what fails does not take the guest away again."""
        try:
            await self._place_files(zfs)
            await self._start(zfs)
        finally:
            await asyncio.to_thread(self._conclude, former)

    async def _start(self, zfs: ZfsClient) -> None:
        """Start the guest as its runtime says; without one, a person does."""
        if self._guest.runtime is None:
            click.echo(f"Start guest {self._guest.id} on {self._node.node} now.")
            return
        await power.start(self._guest, zfs.host)
        click.echo(f"guest {self._guest.id} was started on {self._node.node}")

    async def _refuse_unready(self, nodes: Nodes) -> None:
        """Raise unless all volumes here are this node's, of the guest's epoch, and writable: else it must not start."""
        for each in await volumes_on(self._cluster, self._guest, self._node.node, nodes):
            is_ours = (each.owner, each.epoch) in ((self._node.node, str(self._guest.epoch)), (None, None))
            if not is_ours or each.readonly:
                raise BusyError(
                    f"'{each.name}' is read-only, or of {each.owner}, epoch {each.epoch}: guest {self._guest.id} is "
                    "not started.",
                    advice="See: zfs get readonly,zsr:owner,zsr:epoch.",
                )

    async def _become_guest(self, left: Sequence[tuple[JobId, Dataset]], former: str, zfs: ZfsClient) -> None:
        for job in sorted({job for job, _ in left}):
            fence = Fence(job, self._node.node, self._guest.epoch)
            await become_guest(fence, [each for of, each in left if of == job], former, zfs, _say)

    async def _refuse_writable(self, nodes: Nodes, former: str | None) -> None:
        """Raise if the guest was taken by another node, or may be written on another one.

        The ``former`` node has to answer; of the others those that do.
        """
        here = self._node.node
        answers = await ask_nodes(self._cluster, self._cluster.nodes, nodes)
        refuse_taken(self._guest.id, self._guest.epoch, former or here, here, answers)
        if former is not None and isinstance(error := answers.get(former), ZsrError):
            raise error
        for name, answer in answers.items():
            for each in volumes_of(self._guest.id, {} if isinstance(answer, ZsrError) else answer):
                if name != here and each.owner == name and each.readonly is not True:
                    raise BusyError(
                        f"'{each.name}' on {name} is writable: guest {self._guest.id} may run there.",
                        advice=f"Stop it there, and make what it left replicas: zsr guest release {self._guest.id}.",
                    )

    # --- what is asked first

    def _job_to_here(self) -> Job:
        for job in self._jobs:
            if job.target == self._node.node and job.removal is None:
                return job
        raise ConfigError(
            f"No job replicates guest {self._guest.id} to {self._node.node}.",
            advice=f"Ask all nodes: zsr guest replicas {self._guest.id}.",
        )

    async def _look(self, nodes: Nodes, former: str) -> _Here:
        """Ask all nodes; raises BusyError if the former owner answers, SupersededError if the guest is taken."""
        if former in self._cluster.nodes:
            found = await liveness(self._cluster.nodes.values(), former, self._node.node, nodes)
            if found.answers:
                heard = ", ".join(found.answers)
                raise BusyError(
                    f"Guest {self._guest.id} was on {former}, which answers {heard}: it is not dead.",
                    advice="Stop the guest there, and move it by hand (docs/replication.md, Owner and epoch).",
                )
            for name in found.unknown:
                click.echo(f"Whether {former} answers {name} is not known: {name} could not be asked.", err=True)
        others = set(self._cluster.nodes) - {former}
        answers = await ask_nodes(self._cluster, others, nodes)
        refuse_taken(self._guest.id, self._guest.epoch, former, self._node.node, answers)
        return _Here(nodes.client(self._node.node), answers)

    async def _plan(self, job: Job, here: _Here) -> Recovery:
        guest, storages = self._guest, tuple(self._cluster.storages.values())
        allowed = [each for each in storages if each.allowed_on(self._node.node)]
        for each in allowed:
            await self._refuse_absent(pool_of(each.path_on(self._node.node)), here.zfs)
        by_name = {each.name: each for each in allowed}
        wanted = [
            each.dataset(by_name[each.storage], self._node.node) for each in guest.volumes if each.storage in by_name
        ]
        if isinstance(answer := here.answers[self._node.node], ZsrError):
            raise answer
        found = replicas_of(job, storages, answer, None)
        return plan_recovery(job.id, guest.node, self._node.node, found, wanted, self._without)

    async def _refuse_absent(self, pool: str, here: ZfsClient) -> None:
        if pool in self._without:
            return
        try:
            await here.inventory(pool, depth=0)
        except StorageMissingError as error:
            raise StorageMissingError(
                f"Pool '{pool}' is absent on {self._node.node}: volumes of guest {self._guest.id} may be there.",
                node=self._node.node,
                advice=f"Import it (zpool import). If the guest needs nothing of it, give --without {pool}.",
                raw=error.raw,
            ) from error

    def _refuse_older(self, here: _Here, ours: Recovery) -> None:
        """Refuse if another node has a more recent replica, or does not say, unless that was ordered."""
        answers = {**here.answers, self._guest.node: ConfigError("it is dead")}
        newer = [
            f"{each.node} has a more recent replica, of {local_time(each.as_of, self._node.timezone)}"
            for each in guest_replicas(self._cluster, self._guest, answers)
            if each.node != self._node.node and each.as_of is not None and each.as_of > ours.set_time
        ]
        targets = {job.target for job in self._jobs}
        silent = [
            f"{name} does not say what it has" for name, each in here.answers.items()
            if isinstance(each, ZsrError) and name in targets
        ]  # fmt: skip
        if (newer or silent) and not self._older:
            raise ConfigError(
                f"{'; '.join([*newer, *silent])}. Nothing was changed.", advice="Recover there, or give --older."
            )

    def _confirm(self, question: str, former: str) -> None:
        if not self._force:
            raise ConfigError(
                f"The store 'file' cannot say whether {former} is dead, and zsr cannot stop a guest there. Nothing was "
                "changed.",
                advice=f"Switch {former} off, or cut it off from its users; then give --force.",
            )
        if not self._yes and not confirmed(question):
            click.echo("Nothing was changed.", err=True)
            click.get_current_context().exit(1)

    async def _unfinished(self, zfs: ZfsClient) -> list[tuple[JobId, Dataset]]:
        storages = [each for each in self._cluster.storages.values() if each.allowed_on(self._node.node)]
        found = await datasets_on(storages, zfs)
        return [(job.id, each) for job in self._jobs for each in await unfinished(job.id, found, zfs)]

    # --- what is said

    def _show(self, found: Recovery) -> None:
        guest, at = self._guest, found.set_time
        click.echo(f"Guest {guest.id} ({guest.name}) is on {guest.node}, which does not answer. On {self._node.node}:")
        for each in found.replicas:
            click.echo(f"  {each.name}")
        for name in self._without:
            click.echo(f"without {name}")
        lost = compact(max(0.0, float(round(time.time() - at))))
        when = local_time(at, self._node.timezone)
        click.echo(f"as of {when}. What was written on {guest.node} since, {lost}, is not here.")

    def _conclude(self, former: str) -> None:
        """Record the recovery, notify the daemon, and print what a person has to do."""
        cluster, guest = store(self._node).read(), self._guest.id
        back, epoch = min(each for each in cluster.jobs if each.guest == guest), cluster.guests[guest].epoch
        note_move(self._node, GuestMoved(time.time(), back, former, self._node.node, epoch, None, recovered=True))
        notify_daemon(self._node)
        click.echo("Then:\n  zsr cluster push")
        for job_id, job in sorted(cluster.jobs.items()):
            if job_id.guest == guest:
                when = "its replicas" if job.target != former else f"when {former} is back and the guest is off there"
                click.echo(f"  zsr adopt {job_id}    # {job.target}: {when}")


def _say(_level: str, text: str) -> None:
    click.echo(text)
