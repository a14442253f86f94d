"""``zsr guest move``: let a guest go on from its replicas on another node, without losing a write.

One change of the cluster file on the node that takes the guest is the moment from which it belongs there (contract:
Guests that move). Until then a failure leaves the guest where it was; from then on it goes where it was sent.
"""

from __future__ import annotations

import asyncio
import math
import time
from contextlib import closing

import click

from replicator.cli.cluster_copies import Copies
from replicator.cli.completion import guest_ids, targets
from replicator.cli.context import config_option, note_move, settings, state_for_runs, store
from replicator.cli.guest_argument import GUEST
from replicator.cli.guest_release import print_left
from replicator.cli.moving_record import MovingRecord
from replicator.cli.orders_elsewhere import refuse_unable
from replicator.cli.output import confirmed
from replicator.cli.standing_by import StandBy, standing_by
from replicator.cluster.file_copies import REPLACEABLE, Standing
from replicator.common.tasks import finish_despite_cancel, until_stopped
from replicator.config.settings import Settings
from replicator.daemon.control import NoDaemonError, call
from replicator.daemon.left_volumes import release_left
from replicator.daemon.local_inventory import take_inventory
from replicator.errors import BusyError, ConfigError, ZsrError
from replicator.events import GuestMoved
from replicator.guests import power
from replicator.guests.both_sides import both_sides, volumes_on
from replicator.guests.move import is_small, job_to, written_since
from replicator.guests.release import make_read_only, make_writable
from replicator.ids import entry_of
from replicator.models import Guest, GuestId, Job, Outcome
from replicator.replication.stamps import refuse_superseded
from replicator.state.guest_locks import guest_lock_within, move_lock
from replicator.zfs.fence import Fence
from replicator.zfs.model import Dataset
from replicator.zfs.node_clients import Nodes, connected

_LOCK_SECONDS = 60.0
_MOST_LAST_SYNCS = 3
_TAKE_SECONDS = 300.0
_READY_SECONDS = 30.0
"""For the start of zsr on the other node, and its logins, before the guest stops: it is not waited for longer."""


@click.command()
@click.argument("guest_id", metavar="ID", type=GUEST, shell_complete=guest_ids)
@click.argument("to", metavar="NODE", shell_complete=targets)
@click.option("--until", metavar="SECONDS", type=click.FloatRange(0, 86400), default=10.0, show_default=True,
              help="Stop the guest when the last sync took no longer.")  # fmt: skip
@click.option("--cancel", is_flag=True, help="Give up a move that died: the guest goes on on this node.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@config_option
def move(guest_id: GuestId, to: str, until: float, cancel: bool, yes: bool) -> None:
    """Move guest ID from this node to NODE, to which a job replicates it.

    Syncs while the guest runs, stops it, syncs once more, and starts it there, as guests.ID.runtime says. Without one,
    stop it before, and start it yourself. A failure before the hand-over leaves it here, running. Killed anywhere, the
    same command finishes.
    """
    if math.isnan(until):
        raise click.BadParameter("nan is no number of seconds.", param_hint="--until")
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

    def __init__(self, node: Settings, guest_id: GuestId, to: str, until: float) -> None:
        self._node, self._to, self._until = node, to, until
        self._locks = node.state_dir / "locks"
        self._record = MovingRecord(node, guest_id, to)
        guest, known = self._guest, self._record.cluster.nodes
        if guest.node not in (node.node, to):
            raise ConfigError(f"Guest {guest_id} is on {guest.node}.", advice="Type it there.")
        if guest.node == to == node.node:
            raise ConfigError(f"Guest {guest_id} is on {to} already.", advice="Name the node to which it is to go.")
        if to == node.node or to not in known or not known[to].zsr:
            others = ", ".join(name for name, each in known.items() if each.zsr and name != node.node) or "none"
            why = "there is no such node" if to not in known else "no zsr runs there (zsr = false)"
            raise ConfigError(f"Guest {guest_id} cannot move to '{to}': {why}.", advice=f"Nodes with zsr: {others}.")
        if guest.moving_to not in (None, to):
            raise ConfigError(
                f"Guest {guest_id} is being moved to {guest.moving_to}.",
                advice=f"Finish that, or give it up: zsr guest move {guest_id} {guest.moving_to} --cancel.",
            )
        self._syncs: list[float] = []
        self._stopped_at: float | None = None
        self._was_off = False
        self._least_epoch = 0

    @property
    def _guest(self) -> Guest:
        return self._record.guest

    @property
    def _take_seconds(self) -> float:
        return _TAKE_SECONDS + self._guest.stop_timeout

    @property
    def is_begun(self) -> bool:
        """Whether an earlier command has begun with it, and not ended."""
        return self._guest.moving_to is not None

    @property
    def question(self) -> str:
        """What a person confirms."""
        guest = self._guest
        if self._record.is_given:
            return f"Guest {guest.id} is on {self._to} already. Do what may be left of its move, and start it there?"
        how = "It is stopped for the last sync." if guest.runtime else "It must be off by now."
        return f"Move guest {guest.id} ({guest.name}) from {self._node.node} to {self._to}? {how}"

    async def execute(self) -> None:
        """Move the guest, or finish a move that was begun."""
        with move_lock(self._locks, self._guest.id):
            async with connected(self._node, self._record.cluster.nodes.values()) as nodes:
                await self._record.catch_up(nodes)
                if self._record.is_given:
                    await self._take(nodes, None)
                else:
                    await self._give_and_take(nodes)
                await self._release(nodes)
                await self._let_others_know(nodes)

    async def _give_and_take(self, nodes: Nodes) -> None:
        job = job_to(self._record.cluster.jobs.values(), self._guest, self._to)
        await self._prepare(nodes, job)
        await self._show_what_stays(nodes)
        async with standing_by(nodes.client(self._to).host, self._what_to_take) as waiting:
            try:
                await self._record.announce(nodes)
                is_ready = waiting is not None and await waiting.is_ready(_READY_SECONDS)
                if await self._presence(nodes) is power.Presence.RUNNING:  # it wrote meanwhile
                    await self._sync_before(job)
                await self._stop_and_hand_over(nodes, job)
            finally:
                await finish_despite_cancel(self._stay(nodes))
            await self._take(nodes, waiting if is_ready else None)

    @property
    def _what_to_take(self) -> list[str]:
        """The guest, and whether it is started: the words behind ``zsr guest take``."""
        return [str(self._guest.id), *(["--leave-off"] if self._was_off else [])]

    async def cancel(self) -> None:
        """Give up a move: the guest goes on here."""
        if not self.is_begun and not self._record.is_given:  # a --cancel that died may have left it off all the same
            click.echo(f"No move of guest {self._guest.id} is under way here.", err=True)
        with move_lock(self._locks, self._guest.id):
            async with connected(self._node, self._record.cluster.nodes.values()) as nodes:
                if self._record.is_given or not await self._record.give_up(nodes):
                    raise ConfigError(
                        f"Guest {self._guest.id} was handed over to {self._to}, or may have been.",
                        advice=f"Finish it: zsr guest move {self._guest.id} {self._to}. Then move it back.",
                    )
                await self._go_on_here(nodes)

    # --- before the guest stops

    async def _prepare(self, nodes: Nodes, job: Job) -> None:
        """Sync while the guest runs, and refuse what would fail later while it is off."""
        there = nodes.client(self._to).host
        await refuse_unable(there, self._to)
        here = await self._presence(nodes)
        if self._guest.runtime is not None:
            self._refuse_unknown(here, self._node.node)
            found = await power.presence(self._guest, there)
            self._refuse_unknown(found, self._to)
            if found is power.Presence.RUNNING:
                raise ConfigError(f"Guest {self._guest.id} runs on {self._to} already.", advice="Stop it there.")
            self._was_off = here is power.Presence.STOPPED and not self.is_begun
        while not self._syncs or (here is power.Presence.RUNNING and not is_small(self._syncs, self._until)):
            await self._sync_before(job)
            here = await self._presence(nodes)
        sight = await both_sides(self._record.cluster, self._guest, job, nodes, everywhere=True)
        self._least_epoch = sight.epoch

    async def _show_what_stays(self, nodes: Nodes) -> None:
        """Print the volumes that no job replicates: they do not move."""
        found = (await take_inventory(self._record.cluster, (), nodes.client(self._node.node))).coverage
        for each in found[self._guest.id].uncovered if self._guest.id in found else ():
            click.echo(f"'{each.dataset}' stays on {self._node.node}: it is not replicated ({each.reason}).", err=True)

    async def _presence(self, nodes: Nodes) -> power.Presence:
        return await power.presence(self._guest, nodes.client(self._node.node).host)

    def _refuse_unknown(self, found: power.Presence, node: str) -> None:
        if found is power.Presence.UNKNOWN:
            raise ConfigError(
                f"The status command of guest {self._guest.id} does not say on {node} whether it runs.",
                advice="Try it there: exit status 0 means that it runs, 3 that it is off "
                f"({entry_of(self._guest.id)}).",
            )

    async def _sync_before(self, job: Job) -> None:
        self._syncs.append(await self._sync(job))
        click.echo(f"sync {len(self._syncs)}: {self._syncs[-1]:.1f} s")

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

    async def _volumes(self, nodes: Nodes) -> list[Dataset]:
        return await volumes_on(self._record.cluster, self._guest, self._node.node, nodes)

    # --- while it is off

    async def _stop_and_hand_over(self, nodes: Nodes, job: Job) -> None:
        here = nodes.client(self._node.node)
        if self._guest.runtime is not None:
            self._stopped_at = None if self._was_off else time.monotonic()
            await power.stop(self._guest, here.host)
            click.echo(f"stopped on {self._node.node}")
        for _ in range(_MOST_LAST_SYNCS):
            async with guest_lock_within(self._locks, self._guest.id, _LOCK_SECONDS):
                is_off = await self._refuse_started(nodes)
                await make_read_only(here, await self._volumes(nodes), is_off=is_off)
            click.echo(f"last sync: {await self._sync(job):.1f} s")
            async with guest_lock_within(self._locks, self._guest.id, _LOCK_SECONDS):
                await self._refuse_started(nodes)
                sight = await both_sides(self._record.cluster, self._guest, job, nodes)
                is_closed = all(each.readonly and not each.mounted for each in sight.volumes)
                if is_closed and not written_since(job.id, sight.recovery.set_time, sight.volumes):
                    await self._record.hand_over(nodes, max(sight.epoch, self._least_epoch))
                    return
        raise BusyError(f"The volumes of guest {self._guest.id} are still written to.", advice="Stop what does it.")

    async def _refuse_started(self, nodes: Nodes) -> bool:
        """Return whether its runtime says that the guest is off; raises BusyError if it says anything else."""
        is_off = await self._presence(nodes) is power.Presence.STOPPED
        if self._guest.runtime is not None and not is_off:
            raise BusyError(f"Guest {self._guest.id} was started meanwhile.", advice="Find out by whom.")
        return is_off

    async def _stay(self, nodes: Nodes) -> None:
        """Let the guest go on here, unless it was handed over, or may have been."""
        if not self._record.is_given and await self._record.give_up(nodes):
            await self._go_on_here(nodes)

    async def _go_on_here(self, nodes: Nodes) -> None:
        """Make the volumes writable and start the guest; what fails is said, and may be tried again."""
        guest, here = self._guest, nodes.client(self._node.node)
        again = f"zsr guest move {guest.id} {self._to} --cancel tries again."
        try:
            volumes = await self._volumes(nodes)
            job = job_to(self._record.cluster.jobs.values(), guest, self._to)
            await refuse_superseded(Fence(job.id, here.node, guest.epoch), here, volumes)
            await make_writable(here, volumes)
            if guest.runtime is None or self._was_off:
                state = "is off" if guest.runtime else "is as it was: zsr neither stops nor starts it (no runtime)"
                click.echo(f"Guest {guest.id} stays on {here.node}, and {state}.", err=True)
            elif await power.start_again(guest, here.host):
                click.echo(f"Guest {guest.id} stays on {here.node}, and runs.", err=True)
            else:
                click.echo(
                    f"Guest {guest.id} stays on {here.node}. It may be shutting down still: start it when it is off.",
                    err=True,
                )
        except ZsrError as error:
            click.echo(f"Guest {guest.id} stays on {here.node}, and is off or read-only: {error} {again}", err=True)

    # --- after it was handed over

    async def _take(self, nodes: Nodes, waiting: StandBy | None) -> None:
        """Let the other node take the guest; ``waiting``: the command that waits there, which may fail as any other."""
        try:
            taken = None if waiting is None else await waiting.take(self._take_seconds)
            if taken is None:
                await self._order(nodes, "guest", "take", *self._what_to_take)
                taken = time.monotonic()
        except ZsrError as error:
            raise BusyError(
                f"Guest {self._guest.id} belongs to {self._to} now, and is off: {error}",
                advice="The same command goes on from here.",
            ) from error
        downtime = None if self._stopped_at is None else taken - self._stopped_at
        if downtime is not None:
            click.echo(f"Guest {self._guest.id} was down for {downtime:.1f} s.")
        await asyncio.to_thread(self._note, downtime)

    def _note(self, downtime: float | None) -> None:
        back = job_to(self._record.cluster.jobs.values(), self._guest, self._node.node)
        epoch, now = self._guest.epoch, time.time()
        note_move(self._node, GuestMoved(now, back.id, self._node.node, self._to, epoch, downtime, recovered=False))

    async def _release(self, nodes: Nodes) -> None:
        """Make the volumes here replicas of the job that replicates back."""
        left = await release_left(self._node, store(self._node).read, self._guest.id, nodes)
        print_left(self._guest.id, left)

    async def _let_others_know(self, nodes: Nodes) -> None:
        """Let the jobs go on from the other node without a full copy, and bring the cluster file to the other nodes."""
        for job_id in sorted(job.id for job in self._record.cluster.jobs.values() if job.id.guest == self._guest.id):
            try:
                await self._order(nodes, "adopt", str(job_id), "--yes")
            except ZsrError as error:
                click.echo(f"{error}", err=True)
        copies = await Copies.read_over(nodes, self._node)
        due = [name for name in copies.names if copies.standing(name) in REPLACEABLE]
        for name, failed in zip(due, await copies.write(nodes, due), strict=True):
            if failed is not None:
                click.echo(f"{name}: {failed}", err=True)
            elif copies.standing(name) is not Standing.SAME:
                click.echo(f"{name}: cluster file written")
        for name in copies.names:
            if copies.standing(name) not in REPLACEABLE:
                click.echo(f"{name}: does not have this cluster file: zsr cluster push {name}", err=True)
        try:
            await call(self._node.control, {"verb": "reload"}, _be_silent)
        except NoDaemonError:
            return

    async def _order(self, nodes: Nodes, *args: str) -> None:
        """Let zsr on the other node do something, and print what it says; raises ConfigError if it failed."""
        host = nodes.client(self._to).host
        done = await host.run(["zsr", *args], limit=self._take_seconds)
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
