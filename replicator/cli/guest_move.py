"""``zsr guest move``: let a guest go on from its replicas on another node, without losing a write.

One change of the cluster file on the node that takes the guest is the moment from which it belongs there (contract:
Guests that move). Until then a failure leaves the guest where it was; from then on it goes where it was sent.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager, closing
from pathlib import Path

import click

from replicator.cli.cluster_copies import Copies
from replicator.cli.context import config_option, note_move, settings, state_for_runs, store
from replicator.cli.output import confirmed
from replicator.cluster.file_copies import Standing, guests_of
from replicator.cluster.file_store import FileStore
from replicator.cluster.store import ClusterStore
from replicator.common.files import FileText, digest_of
from replicator.common.tasks import finish_despite_cancel, until_stopped
from replicator.config.settings import Settings
from replicator.daemon.control import NoDaemonError, call
from replicator.errors import BusyError, ConfigError, ZsrError
from replicator.events import GuestMoved
from replicator.guests import power
from replicator.guests.both_sides import BothSides, both_sides, volumes_on
from replicator.guests.move import is_small, job_to, written_since
from replicator.guests.release import make_read_only, make_writable, release
from replicator.models import Job, Outcome
from replicator.state.guest_locks import guest_lock
from replicator.zfs.fence import Fence
from replicator.zfs.model import Dataset
from replicator.zfs.node_clients import Nodes, connected

STEPS = ("announce", "stop", "snapshot", "read-only", "hand over")
"""The steps on the node that gives a guest away, by their names in the model of the protocol (tests/model)."""

_LOCK_SECONDS = 60.0
_LOCK_POLL_SECONDS = 0.5
_MOST_LAST_SYNCS = 3
_TAKE_SECONDS = 300.0


@click.command()
@click.argument("guest_id", metavar="ID", type=int)
@click.argument("to", metavar="NODE")
@click.option("--until", metavar="SECONDS", type=click.FloatRange(0), default=10.0, show_default=True,
              help="Stop the guest when the last sync took no longer.")  # fmt: skip
@click.option("--cancel", is_flag=True, help="Give up a move that died: the guest stays on this node.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@config_option
def move(guest_id: int, to: str, until: float, cancel: bool, yes: bool) -> None:
    """Move guest ID from this node to NODE, to which a job replicates it.

    Syncs while the guest runs, stops it, syncs once more, and starts it there, as guests.ID.runtime says. Without one,
    stop it before, and start it yourself. A failure before the hand-over leaves it here, running. Killed anywhere, the
    same command finishes.
    """
    order = _Move(settings(), guest_id, to, until)
    if not cancel and not order.is_begun and not yes and not confirmed(order.question):
        click.echo("Nothing was changed.", err=True)
        click.get_current_context().exit(1)
    try:
        asyncio.run(until_stopped(order.cancel() if cancel else order.execute()))
    except asyncio.CancelledError:
        raise BusyError("The move was stopped by a signal.", advice="The same command finishes it.") from None


class _Move:
    """An order to move a guest of this node."""

    def __init__(self, node: Settings, guest_id: int, to: str, until: float) -> None:
        self._node, self._to, self._until = node, to, until
        self._cluster = store(node).read()
        if guest_id not in self._cluster.guests:
            known = ", ".join(map(str, sorted(self._cluster.guests))) or "none"
            raise ConfigError(f"There is no guest {guest_id}.", advice=f"Known guests: {known}.")
        self._guest = self._cluster.guests[guest_id]
        if self._guest.node not in (node.node, to):
            raise ConfigError(f"Guest {guest_id} is on {self._guest.node}.", advice="Type it there.")
        if to == node.node or to not in self._cluster.nodes or not self._cluster.nodes[to].zsr:
            known = ", ".join(name for name, each in self._cluster.nodes.items() if each.zsr and name != node.node)
            raise ConfigError(f"Guest {guest_id} cannot move to '{to}'.", advice=f"Nodes with zsr: {known or 'none'}.")
        if self._guest.moving_to not in (None, to):
            raise ConfigError(
                f"Guest {guest_id} is being moved to {self._guest.moving_to}.",
                advice=f"Finish that, or give it up: zsr guest move {guest_id} {self._guest.moving_to} --cancel.",
            )
        self._stopped_at: float | None = None
        self._may_be_given = self._guest.moving_to is not None

    @property
    def is_begun(self) -> bool:
        """Whether an earlier command has begun with it."""
        return self._guest.moving_to is not None or self._guest.node == self._to

    @property
    def question(self) -> str:
        """What a person confirms."""
        how = "It is stopped for the last sync." if self._guest.runtime else "It must be off by now."
        return f"Move guest {self._guest.id} ({self._guest.name}) from {self._node.node} to {self._to}? {how}"

    async def execute(self) -> None:
        """Move the guest, or finish a move that was begun."""
        async with connected(self._node, self._cluster.nodes.values()) as nodes:
            await self._catch_up(nodes)
            if self._guest.node != self._to:
                job = job_to(self._cluster.jobs.values(), self._guest, self._to)
                await self._prepare(nodes, job)
                try:
                    await self._announce(nodes)
                    await self._stop_and_hand_over(nodes, job)
                finally:
                    await finish_despite_cancel(self._stay(nodes))
            await self._take(nodes)
            await self._release(nodes)
            await self._let_others_know(nodes)

    async def cancel(self) -> None:
        """Give up a move: the guest goes on here."""
        async with connected(self._node, self._cluster.nodes.values()) as nodes:
            await self._catch_up(nodes)
            if self._guest.node == self._to:
                raise ConfigError(
                    f"Guest {self._guest.id} was handed over: it is on {self._to}.",
                    advice=f"Finish it: zsr guest move {self._guest.id} {self._to}. Then move it back.",
                )
            await self._stay(nodes)

    # --- before the guest stops

    async def _catch_up(self, nodes: Nodes) -> None:
        """Bring both cluster files to one state; an earlier command may have handed the guest over.

        Raises:
            ConfigError: the other node's file was edited, or knows something else that this one does not.
        """
        if self._guest.node == self._to:
            return
        copies = await Copies.read_over(nodes, self._node, [self._to])
        theirs, found = copies.others[self._to], copies.standing(self._to)
        if isinstance(theirs, ZsrError):
            raise theirs
        if found is Standing.AHEAD and self._guest.moving_to == self._to and theirs.copy is not None:
            there = guests_of(theirs.copy).get(self._guest.id)
            if there is not None and there.node == self._to:
                await self._commit_here(there.epoch)
                return
        if found in (Standing.AHEAD, Standing.EDITED):
            raise ConfigError(
                f"The cluster file on {self._to} is not one that this node's came from.",
                advice=f"Take over what is new there (zsr cluster diff {self._to}); then: zsr cluster push {self._to}.",
            )
        await self._write(nodes, copies)

    async def _write(self, nodes: Nodes, copies: Copies) -> None:
        """Write this node's cluster file to the other one; raises ZsrError if that failed."""
        [error] = await copies.write(nodes, [self._to])
        if error is not None:
            raise error

    async def _prepare(self, nodes: Nodes, job: Job) -> None:
        """Sync while the guest runs, and refuse what would fail later while it is off."""
        there = nodes.client(self._to).host
        done = await there.run(["zsr", "--version"], limit=30)
        if not done.ok:
            raise ConfigError(f"zsr is not installed on {self._to}.", advice="Install it there, or correct the PATH.")
        if await power.presence(self._guest, there) is power.Presence.RUNNING:
            raise ConfigError(f"Guest {self._guest.id} runs on {self._to} already.", advice="Stop it there.")
        durations: list[float] = []
        while await self._runs_here(nodes) and not is_small(durations, self._until):
            durations.append(await self._sync(job))
            click.echo(f"sync {len(durations)}: {durations[-1]:.1f} s")
        if durations:
            await self._both_sides(nodes, job)

    async def _runs_here(self, nodes: Nodes) -> bool:
        return await power.presence(self._guest, nodes.client(self._node.node).host) is power.Presence.RUNNING

    async def _sync(self, job: Job) -> float:
        """Run the job through the daemon, or here without one; return the seconds that it took."""
        began = time.monotonic()
        try:
            outcome = await call(self._node.control, {"verb": "run", "job": str(job.id)}, _be_silent)
            well = outcome == Outcome.SUCCESS
        except NoDaemonError:
            from replicator.daemon.one_shot import run_jobs  # noqa: PLC0415 - quick start when the daemon does it

            with closing(state_for_runs(self._node)) as state:
                well = await run_jobs(self._node, store(self._node), state, job.id, _be_silent)
        if not well:
            raise ConfigError(f"The sync to {self._to} failed.", advice=f"See: zsr log {job.id}.")
        return time.monotonic() - began

    async def _both_sides(self, nodes: Nodes, job: Job) -> BothSides:
        return await both_sides(self._cluster, self._guest, job, nodes)

    async def _volumes(self, nodes: Nodes) -> list[Dataset]:
        return await volumes_on(self._cluster, self._guest, self._node.node, nodes)

    async def _announce(self, nodes: Nodes) -> None:
        await asyncio.to_thread(store(self._node).announce_move, self._guest.id, self._node.node, self._to)
        self._reload()
        await self._write(nodes, await Copies.read_over(nodes, self._node, [self._to]))

    # --- while it is off

    async def _stop_and_hand_over(self, nodes: Nodes, job: Job) -> None:
        here = nodes.client(self._node.node)
        self._stopped_at = time.monotonic()
        if self._guest.runtime is not None:
            await power.stop(self._guest, here.host)
            click.echo(f"stopped on {self._node.node}")
        for _ in range(_MOST_LAST_SYNCS):
            click.echo(f"last sync: {await self._sync(job):.1f} s")
            async with self._locked():
                await make_read_only(here, await self._volumes(nodes), is_off=self._guest.runtime is not None)
                sight = await self._both_sides(nodes, job)
                if not written_since(job.id, sight.recovery.set_time, sight.volumes):
                    await self._hand_over(nodes, sight.epoch)
                    return
        raise BusyError(f"The volumes of guest {self._guest.id} are still written to.", advice="Stop what does it.")

    @asynccontextmanager
    async def _locked(self) -> AsyncIterator[None]:
        """Hold the guest's lock; another job's run may have it for a while."""
        end = time.monotonic() + _LOCK_SECONDS
        with ExitStack() as lock:
            while True:
                try:
                    lock.enter_context(guest_lock(self._node.state_dir / "locks", self._guest.id))
                    break
                except BusyError:
                    if time.monotonic() >= end:
                        raise
                await asyncio.sleep(_LOCK_POLL_SECONDS)
            yield

    async def _hand_over(self, nodes: Nodes, epoch: int) -> None:
        """Write the new owner into the cluster file of the other node, which is what counts, and then into this one."""
        copies = await Copies.read_over(nodes, self._node, [self._to])
        if copies.standing(self._to) is not Standing.SAME:
            raise BusyError(f"The cluster file on {self._to} has just been changed.", advice="Try again.")

        def give(where: ClusterStore) -> None:
            where.hand_over(self._guest.id, self._node.node, self._to, epoch)

        fresh = await asyncio.to_thread(self._draft, copies.ours.text, give)
        self._may_be_given = True
        [error] = await copies.with_text(fresh).write(nodes, [self._to])
        if error is not None:
            await self._resolve(nodes, fresh, error)
        await self._commit_here(epoch)

    def _draft(self, text: str, change: Callable[[ClusterStore], None]) -> FileText:
        """Return a cluster file's text with a change that is not made yet."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "cluster.toml"
            path.write_text(text)
            change(ClusterStore(FileStore(path), self._node.timezone))
            fresh = path.read_text()
        return FileText(digest_of(fresh), fresh)

    async def _resolve(self, nodes: Nodes, fresh: FileText, error: ZsrError) -> None:
        """Return if the other node has the new file after all; raises the error otherwise."""
        copies = await Copies.read_over(nodes, self._node, [self._to])
        theirs = copies.others[self._to]
        if isinstance(theirs, ZsrError) or theirs.copy is None or theirs.copy.digest != fresh.digest:
            raise error

    async def _commit_here(self, epoch: int) -> None:
        await asyncio.to_thread(store(self._node).hand_over, self._guest.id, self._node.node, self._to, epoch)
        self._reload()
        click.echo(f"guest {self._guest.id}: node {self._to}, epoch {epoch}")

    def _reload(self) -> None:
        self._cluster = store(self._node).read()
        self._guest = self._cluster.guests[self._guest.id]

    async def _stay(self, nodes: Nodes) -> None:
        """Let the guest go on here, unless it was handed over, or may have been.

        That is known only when the other node's file was changed: what may be under way there is refused then.
        """
        if self._guest.node == self._to or self._guest.moving_to is None:
            return

        def stay(where: ClusterStore) -> None:
            where.announce_move(self._guest.id, self._node.node, None)

        try:
            copies = await Copies.read_over(nodes, self._node, [self._to])
            if copies.standing(self._to) is Standing.AHEAD:
                click.echo(f"Guest {self._guest.id} was handed over; the same command finishes.", err=True)
                return
            fresh = await asyncio.to_thread(self._draft, copies.ours.text, stay)
            await self._write(nodes, copies.with_text(fresh))
        except ZsrError as error:
            if self._may_be_given:
                click.echo(
                    f"Whether {self._to} has guest {self._guest.id} is not known: {error} It stays off here. When "
                    f"{self._to} answers, the same command finishes.",
                    err=True,
                )
                return
        await asyncio.to_thread(stay, store(self._node))
        self._reload()
        here = nodes.client(self._node.node)
        await make_writable(here, await self._volumes(nodes))
        await power.start(self._guest, here.host)
        click.echo(f"Guest {self._guest.id} stays on {here.node}.", err=True)

    # --- after it was handed over

    async def _take(self, nodes: Nodes) -> None:
        await self._order(nodes, "guest", "take", str(self._guest.id))
        downtime = None if self._stopped_at is None else time.monotonic() - self._stopped_at
        if downtime is not None:
            click.echo(f"Guest {self._guest.id} was down for {downtime:.1f} s.")
        await asyncio.to_thread(self._record, downtime)

    def _record(self, downtime: float | None) -> None:
        back = job_to(self._cluster.jobs.values(), self._guest, self._node.node)
        epoch, now = self._guest.epoch, time.time()
        note_move(self._node, GuestMoved(now, back.id, self._node.node, self._to, epoch, downtime, recovered=False))

    async def _release(self, nodes: Nodes) -> None:
        """Make the volumes here replicas of the job that replicates back."""
        here, back = self._node.node, job_to(self._cluster.jobs.values(), self._guest, self._node.node)
        left = [each for each in await self._volumes(nodes) if each.owner in (None, here)]
        async with self._locked():
            fence = Fence(back.id, self._to, self._guest.epoch)
            await release(self._guest, fence, left, nodes.client(here), _say)

    async def _let_others_know(self, nodes: Nodes) -> None:
        """Let the jobs go on from the other node without a full copy, and bring the cluster file to the other nodes."""
        for job_id in sorted(job.id for job in self._cluster.jobs.values() if job.id.guest == self._guest.id):
            try:
                await self._order(nodes, "adopt", str(job_id), "--yes")
            except ZsrError as error:
                click.echo(f"{error}", err=True)
        copies = await Copies.read_over(nodes, self._node)
        old = [name for name in copies.names if copies.standing(name) in (Standing.OLDER, Standing.ABSENT)]
        for name, failed in zip(old, await copies.write(nodes, old), strict=True):
            click.echo(f"{name}: {failed}" if failed else f"{name}: cluster file written", err=failed is not None)
        for name in copies.names:
            if copies.standing(name) not in (Standing.SAME, Standing.OLDER, Standing.ABSENT):
                click.echo(f"{name}: does not have this cluster file: zsr cluster push {name}", err=True)
        await self._notify_daemon()

    async def _notify_daemon(self) -> None:
        try:
            await call(self._node.control, {"verb": "reload"}, _be_silent)
        except NoDaemonError:
            return

    async def _order(self, nodes: Nodes, *args: str) -> None:
        """Let zsr on the other node do something, and print what it says; raises ConfigError if it failed."""
        host = nodes.client(self._to).host
        done = await host.run(["zsr", *args], limit=_TAKE_SECONDS + self._guest.stop_timeout)
        for line in done.stdout.splitlines():
            click.echo(f"{self._to}: {line}")
        if not done.ok:
            words = done.stderr.strip().splitlines()
            raise ConfigError(
                f"'zsr {' '.join(args)}' failed on {self._to}: {words[-1] if words else f'exit status {done.status}'}",
                advice="The same command goes on from here.",
                node=self._to,
            )


def _be_silent(_: str) -> None:
    """Print nothing: what a run does is in its log."""


def _say(_level: str, text: str) -> None:
    click.echo(text)
