"""An order to recover a guest on this node, from its replicas here, while the node that owns it is dead."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import click

from replicator.cli.context import note_move, notify_daemon, store
from replicator.cli.guest_files import files_of
from replicator.cli.output import confirmed, local_time
from replicator.cli.taken_guest import TakenGuest, former_of
from replicator.cluster.model import Cluster
from replicator.common.durations import compact
from replicator.config.settings import Settings
from replicator.errors import BusyError, ConfigError, StorageMissingError, ZsrError
from replicator.events import GuestMoved
from replicator.guests.epoch_claims import claim_epoch, take_claims_back
from replicator.guests.older_set import newest_until, refuse_unmovable, whole_sets
from replicator.guests.recovery import (
    Recovery,
    Unfinished,
    highest_epoch,
    plan_recovery,
    refuse_taken,
    sets_to_choose,
    volumes_of,
    without_way_back,
)
from replicator.models import GuestId, Job, JobId
from replicator.replication.guest_replicas import Answers, ask_nodes, guest_replicas
from replicator.replication.restore_points import replicas_of
from replicator.state.guest_locks import guest_lock
from replicator.state.pending_files import FilesOfSet
from replicator.zfs.client import ZfsClient
from replicator.zfs.fence import Fence
from replicator.zfs.liveness import liveness
from replicator.zfs.model import Dataset, pool_of
from replicator.zfs.node_clients import Nodes, connected


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a person gave with the order.

    Attributes:
        force: the owner is surely off, which the store cannot say.
        older: also if another node has a more recent replica, or does not say.
        without: volumes and pools that are given up.
        yes: do not ask.
        show: only print what would be done.
        until: go on from the newest set of this moment or before (unix seconds), not from the newest of all.
        as_shown: the set that a person saw (unix seconds), where the question was asked on another node.
    """

    force: bool = False
    older: bool = False
    without: Sequence[str] = ()
    yes: bool = False
    show: bool = False
    until: float | None = None
    as_shown: int | None = None


@dataclass(frozen=True, slots=True)
class _Here:
    """The ZFS of this node, and what was found on all nodes."""

    zfs: ZfsClient
    answers: Answers


class RecoveryOrder:
    """A person's order to recover a guest on this node."""

    def __init__(self, node: Settings, guest_id: GuestId, wishes: Wishes) -> None:
        self._node, self._wishes, self._taken = node, wishes, TakenGuest(node, guest_id)
        self._cluster, self._guest = self._taken.cluster, self._taken.guest

    async def execute(self) -> bool:
        """Recover the guest, or do the rest if it is this node's already; return whether it was done."""
        return await (self.finish() if self._taken.is_here else self.recover())

    async def recover(self) -> bool:
        """Show what would be lost, ask, and take the guest under its lock, if what was shown still holds."""
        guest, job = self._guest, self._job_to_here()
        async with connected(self._node, self._cluster.nodes.values()) as nodes:
            with guest_lock(self._node.state_dir / "locks", guest.id):
                self._taken.look_again()
                if self._taken.is_here:
                    raise BusyError(f"Guest {guest.id} was recovered here meanwhile.", advice="Run it again.")
                await self._take_claims_back(nodes)
            here = await self._look(nodes, guest.node)
            shown = await self._plan(job, here)
            self._show(shown)
            self._refuse_older(here, shown)
            if self._wishes.show:
                click.echo(shown_as(shown.set_time))
                return True
            if self._wishes.as_shown not in (None, shown.set_time):
                raise BusyError("The replicas changed meanwhile; nothing was changed.", advice="Run it again.")
            if not self._is_confirmed(
                f"Make the replicas on {self._node.node} guest {guest.id}, {self._given_up}?", guest.node
            ):
                return False
            with guest_lock(self._node.state_dir / "locks", guest.id):
                here = await self._look(nodes, guest.node)
                now = await self._plan(job, here)
                if now.identity != shown.identity:
                    raise BusyError("The replicas changed meanwhile; nothing was changed.", advice="Run it again.")
                epoch = highest_epoch(guest, self._cluster.storages.values(), here.answers) + 1
                await self._commit(job, now, epoch, here, nodes)
                at, fence = None if self._wishes.until is None else now.set_time, Fence(now.job, self._node.node, epoch)
                await self._taken.become(fence, now.replicas, guest.node, at, here.zfs)
            await self._end(here.zfs, guest.node)
            return True

    async def _commit(self, job: Job, now: Recovery, epoch: int, here: _Here, nodes: Nodes) -> None:
        """Claim the replicas, see that all is as it was shown still, and write the new owner and epoch.

        Of two recoveries on two nodes each claims before it asks: one at least sees the other.
        """
        guest, chosen = self._guest, self._wishes.until is not None
        try:
            await claim_epoch(here.zfs, now.replicas, epoch)
            if await here.zfs.end_stale_receives(now.job, guest.node):
                click.echo(f"a receive from {guest.node} was ended")
            answers = dict(await ask_nodes(self._cluster, set(self._cluster.nodes) - {guest.node}, nodes, guest))
            others = {name: each for name, each in answers.items() if name != self._node.node}
            refuse_taken(guest, self._cluster.storages.values(), guest.node, self._node.node, others)
            if (await self._plan(job, _Here(here.zfs, answers))).identity != now.identity:
                raise BusyError("The replicas changed meanwhile; nothing was changed.", advice="Run it again.")
            self._taken.pend(FilesOfSet(epoch, str(now.job), now.set_time, guest.node, chosen=chosen))
            await asyncio.to_thread(store(self._node).hand_over, guest.id, guest.node, self._node.node, epoch)
        except (ZsrError, asyncio.CancelledError):
            self._taken.look_again()
            if not self._taken.is_here:
                await self._take_claims_back(nodes)
            raise
        click.echo(f"guest {guest.id}: node {self._node.node}, epoch {epoch} in {self._node.cluster.path}")

    async def _take_claims_back(self, nodes: Nodes) -> None:
        """Take back what a recovery claimed here and did not commit. The guest's lock is held."""
        node, guest = self._node.node, self._guest
        answer = (await ask_nodes(self._cluster, [node], nodes, guest))[node]
        found = {} if isinstance(answer, ZsrError) else answer
        mine = volumes_of(guest, self._cluster.storages.values(), node, found)
        for name in await take_claims_back(nodes.client(node), mine, guest.node, guest.epoch):
            click.echo(f"the claim on '{name}' was taken back", err=True)

    async def finish(self) -> bool:
        """Do the rest of a recovery that died: as careful as the beginning, since time has passed."""
        async with connected(self._node, self._cluster.nodes.values()) as nodes:
            zfs = nodes.client(self._node.node)
            found = await self._taken.datasets(zfs)
            pending = self._taken.remembered(found)
            left = await self._left(found, zfs, pending)
            files = pending or files_of(left, self._guest)
            if not left and files is None:
                click.echo(f"Guest {self._guest.id} is on this node already, and nothing is left to do.")
                return True
            former = files.former if files is not None else former_of(left) or ""
            names = ", ".join(name for each in left for name in each.names)
            what = f"Make writable what is still a replica: {names}{self._as_of(left)}?"
            question = (
                f"Guest {self._guest.id} is on this node. {what if left else 'Put its files in place, and start it?'}"
            )
            if self._wishes.show:
                click.echo(question.removesuffix("?") + ".")
                click.echo(shown_as(0))
                return True
            if not self._is_confirmed(question, former):
                return False
            with guest_lock(self._node.state_dir / "locks", self._guest.id):
                here = await self._look(nodes, former)
                self._taken.pend(files)
                await self._taken.become_all(left, former, here.zfs)
            await self._end(here.zfs, former)
            return True

    async def _left(self, found: Mapping[str, Dataset], zfs: ZfsClient, pending: FilesOfSet | None) -> list[Unfinished]:
        """Return what is left to do, without what a person gives up; raises ConfigError if another set was begun."""
        given_up, until = set(self._wishes.without), self._wishes.until
        left = await self._taken.unfinished(found, zfs, pending)
        if until is not None and any(each.set_time is None for each in left):
            if any(each.is_begun for each in left):
                raise ConfigError(
                    f"The recovery of guest {self._guest.id} was begun from its newest set.",
                    advice="Finish it without --restore-point.",
                )
            sets = whole_sets(left[0].job, left[0].replicas)
            at = self._newest_until(sets, until, left[0].job)
            pending = FilesOfSet(self._guest.epoch, str(left[0].job), at, former_of(left) or "", chosen=True)
            left = await self._taken.unfinished(found, zfs, pending)
        for each in left:
            if until is not None and each.set_time is not None and each.set_time > until:
                begun = local_time(each.set_time, self._node.timezone)
                raise ConfigError(
                    f"The recovery of guest {self._guest.id} was begun as of {begun}, which is later.",
                    advice="Finish it without --restore-point.",
                )
        return [rest for each in left if (rest := each.apart_from(given_up)).replicas]

    def _as_of(self, left: Sequence[Unfinished]) -> str:
        times = sorted({each.set_time for each in left if each.set_time is not None})
        return "".join(f", as of {local_time(time, self._node.timezone)}" for time in times)

    @property
    def _given_up(self) -> str:
        return "and forget what is not here" if self._wishes.until is None else "and leave what is newer aside"

    async def _end(self, zfs: ZfsClient, former: str) -> None:
        """Put its files in place and start it; what fails does not take the guest away again."""
        try:
            await self._taken.place_files(zfs)
            await self._taken.start(zfs)
        finally:
            await asyncio.to_thread(self._conclude, former)

    # --- what is asked first

    def _job_to_here(self) -> Job:
        for job in self._taken.jobs:
            if job.target == self._node.node and job.removal is None:
                return job
        raise ConfigError(
            f"No job replicates guest {self._guest.id} to {self._node.node}.",
            advice=f"Ask all nodes: zsr guest replicas {self._guest.id}.",
        )

    async def _look(self, nodes: Nodes, former: str) -> _Here:
        """Ask all nodes; raises BusyError if the former owner answers, SupersededError if the guest is taken."""
        await refuse_living(self._cluster, former, self._node.node, f"Guest {self._guest.id} was on {former}", nodes)
        others = set(self._cluster.nodes) - {former}
        answers = await ask_nodes(self._cluster, others, nodes, self._guest)
        refuse_taken(self._guest, self._cluster.storages.values(), former, self._node.node, answers)
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
        found, at = replicas_of(job, storages, answer, None), None
        if self._wishes.until is not None:
            sets = sets_to_choose(job.id, guest.node, found, wanted, self._wishes.without)
            at = self._newest_until(sets, self._wishes.until, job.id)
        plan = plan_recovery(job.id, guest.node, self._node.node, found, wanted, self._wishes.without, at)
        if at is not None:
            await refuse_unmovable(job.id, plan.replicas, at, here.zfs)
        return plan

    def _newest_until(self, sets: Sequence[int], until: float, job: JobId) -> int:
        """Return the newest of some sets of a moment or before; raises ConfigError, which lists them."""
        if (at := newest_until(sets, until)) is None:
            zone = self._node.timezone
            known = "".join(f"\n  {local_time(time, zone)}" for time in sets) or "\n  none"
            raise ConfigError(
                f"No set of job {job} on {self._node.node} is of {local_time(until, zone)} or before, and whole over "
                f"all volumes of guest {self._guest.id}. There are:{known}",
                advice=f"See: zsr restore-points {job}.",
            )
        return at

    async def _refuse_absent(self, pool: str, here: ZfsClient) -> None:
        if pool in self._wishes.without:
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
        """Refuse if another node has a more recent replica, or does not say, unless that was ordered.

        Who chose an older set wants that one.
        """
        if self._wishes.until is not None:
            return
        answers = {**here.answers, self._guest.node: ConfigError("it is dead")}
        newer = [
            f"{each.node} has a more recent replica, of {local_time(each.as_of, self._node.timezone)}"
            for each in guest_replicas(self._cluster, self._guest, answers)
            if each.node != self._node.node and each.as_of is not None and each.as_of > ours.set_time
        ]
        targets = {job.target for job in self._taken.jobs}
        silent = [
            f"{name} does not say what it has" for name, each in here.answers.items()
            if isinstance(each, ZsrError) and name in targets
        ]  # fmt: skip
        if (newer or silent) and not self._wishes.older:
            raise ConfigError(
                f"{'; '.join([*newer, *silent])}. Nothing was changed.",
                advice=f"Recover there (--on NODE): zsr guest replicas {self._guest.id} lists all. Or give --older.",
            )

    def _is_confirmed(self, question: str, former: str) -> bool:
        refuse_without_force(self._wishes, former)
        if self._wishes.yes or confirmed(question):
            return True
        click.echo("Nothing was changed.", err=True)
        return False

    # --- what is said

    def _show(self, found: Recovery) -> None:
        guest, at = self._guest, found.set_time
        click.echo(f"Guest {guest.id} ({guest.name}) is on {guest.node}, which does not answer. On {self._node.node}:")
        for each in found.replicas:
            click.echo(f"  {each.name}")
        for name in self._wishes.without:
            click.echo(f"without {name}")
        lost = compact(max(0.0, float(round(time.time() - at))))
        when = local_time(at, self._node.timezone)
        click.echo(f"as of {when}. What {guest.node} wrote after that, until it died, is not here: {lost} at most.")
        if self._wishes.until is None:
            return
        if found.newer is not None:
            newer = local_time(found.newer, self._node.timezone)
            click.echo(f"What is newer here, up to {newer}, stays aside: zsr diverged list.")
        if alone := without_way_back(found):
            click.echo(
                f"{guest.node} has probably nothing that old of {', '.join(alone)}: replication back to it begins with "
                "a full copy."
            )

    def _conclude(self, former: str) -> None:
        """Record the recovery, notify the daemon, and print what a person has to do."""
        cluster, guest = store(self._node).read(), self._guest.id
        back = min((each for each in cluster.jobs if each.guest == guest), default=None)
        if back is not None:  # its jobs may have been deleted meanwhile
            epoch = cluster.guests[guest].epoch
            note_move(self._node, GuestMoved(time.time(), back, former, self._node.node, epoch, None, recovered=True))
        notify_daemon(self._node)
        click.echo("Then:\n  zsr cluster push")
        for job_id, job in sorted(cluster.jobs.items()):
            if job_id.guest == guest:
                when = "its replicas" if job.target != former else f"when {former} is back and the guest is off there"
                click.echo(f"  zsr adopt {job_id}    # {job.target}: {when}")


async def refuse_living(cluster: Cluster, former: str, here: str, what: str, nodes: Nodes) -> None:
    """Raise BusyError if a node that should be dead answers any node; name those that could not be asked.

    Its SSH server is asked, since all that zsr could ask there, also whether a guest runs, goes through it.
    """
    if former not in cluster.nodes:
        return
    click.echo(f"Asking all nodes whether {former} answers them: half a minute at most.", err=True)
    found = await liveness(cluster.nodes.values(), former, here, nodes)
    if found.answers:
        heard = ", ".join(found.answers)
        raise BusyError(
            f"{what}, which answers {heard}: it is not dead.",
            advice=f"Does it serve its users? Leave it, or move the guest: zsr guest move, typed on {former}. If "
            "it does not, switch it off first.",
        )
    for name in found.unknown:
        click.echo(f"Whether {former} answers {name} is not known: {name} could not be asked.", err=True)


def refuse_without_force(wishes: Wishes, former: str) -> None:
    """Raise ConfigError unless a person says that the node is off, which the store cannot."""
    if not wishes.force:
        raise ConfigError(
            f"The store 'file' cannot say whether {former} is dead, and zsr cannot stop a guest there. Nothing was "
            "changed.",
            advice=f"Switch {former} off, or cut it off from its users; then give --force.",
        )


_SHOWN = "set "


def shown_as(set_time: int) -> str:
    """Return the last line of ``--show``, from which another node knows what a person saw."""
    return f"{_SHOWN}{set_time}"


def parse_shown(text: str) -> tuple[list[str], int | None]:
    """Return what ``--show`` printed for people, and the set; None: nothing is left to do."""
    lines = text.splitlines()
    if lines and lines[-1].startswith(_SHOWN) and lines[-1][len(_SHOWN) :].isdecimal():
        return lines[:-1], int(lines[-1][len(_SHOWN) :])
    return lines, None
