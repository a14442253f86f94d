"""A drill: can a guest be used from what a target holds? The newest proven set is cloned, and the clones are checked.

The guest's lock is not held: runs go on meanwhile, and ZFS itself keeps the set of a clone. One drill of a guest goes
on at a time on its node. What a killed one leaves is destroyed by the next one, and by the daemon.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from replicator.common.durations import words
from replicator.common.tasks import finish_despite_cancel
from replicator.errors import ConfigError, DeadlineError, NetworkError, ZsrError
from replicator.guests.drill_checks import Finding
from replicator.guests.drill_clones import DrillClones
from replicator.guests.drill_sets import DrillSet, newest_proven
from replicator.guests.drill_volumes import VolumeChecks
from replicator.models import DrillResult, Guest, Job, KnownSets, Storage
from replicator.replication.progress import Log
from replicator.replication.restore_points import datasets_on, replicas_of
from replicator.zfs.client import ZfsClient

TRIES = 3
"""How often a set is chosen: a run may replace it by a newer one before it is cloned."""


@dataclass(frozen=True, slots=True)
class DrillEnd:
    """How a drill ended.

    Attributes:
        message: why it failed, or could not be done; what was found otherwise. Sentences.
        set_time: of the set (unix seconds); None: none was chosen.
        left: why clones are still there; empty: they are gone.
    """

    result: DrillResult
    message: str
    set_time: int | None = None
    left: str = ""


@dataclass(frozen=True, slots=True)
class Drill:
    """One drill of a guest on the target of a job.

    Attributes:
        source: the node that owns the guest, which is this one.
        last_set, known: what it remembers of the job's sets; ``last_set`` is the newest proven one.
        log: gets each step and finding.
        clock: seconds, for limits.
        opening: awaited before the first clone is made; records that there may be some.
    """

    job: Job
    guest: Guest
    source: str
    storages: tuple[Storage, ...]
    target: ZfsClient
    last_set: int | None
    known: KnownSets
    log: Log
    clock: Callable[[], float]
    opening: Callable[[], Awaitable[None]]

    @property
    def clones(self) -> DrillClones:
        """The clones of this drill, and of those before."""
        return DrillClones(self.job.id, self.source, self.storages, self.target)

    async def execute(self) -> DrillEnd:
        """Do the drill. Clones are destroyed also after a cancel.

        Raises:
            CancelledError: it was cancelled.
        """
        deadline = self.clock() + self.guest.drill_timeout
        left: list[str] = []
        try:
            await self.opening()
            if self.guest.check is not None and self.guest.hooks_refused:
                raise ConfigError(f"The check of guest {self.guest.id} is not run: {self.guest.hooks_refused}.")
            for each in await self.clones.destroy():
                self.log("warning", f"'{each.name}' was left by an earlier drill, and is destroyed")
            chosen = await self._cloned()
            end = await self._checked(chosen, deadline)
        except ZsrError as error:
            end = DrillEnd(DrillResult.UNDONE, str(error))
        finally:
            left += await finish_despite_cancel(self._close())
        return DrillEnd(end.result, end.message, end.set_time, " ".join(left))

    async def _close(self) -> list[str]:
        """Destroy the clones; return why some are still there."""
        try:
            await self.clones.destroy()
        except ZsrError as error:
            self.log("warning", f"the clones are not gone yet: {error}")
            return [str(error)]
        return []

    async def _cloned(self) -> DrillSet:
        """Choose a set and clone it; one that a run destroys in between is chosen no more."""
        for tries_left in reversed(range(TRIES)):
            chosen = await self._chosen()
            try:
                await self.clones.make(chosen.volumes)
            except NetworkError:
                raise
            except ZsrError as error:
                await self.clones.destroy()
                if not tries_left or (await self._chosen()).time == chosen.time:
                    raise
                self.log("info", f"a newer set came meanwhile: {error.what}")
            else:
                return chosen
        raise AssertionError

    async def _chosen(self) -> DrillSet:
        allowed = [each for each in self.storages if each.allowed_on(self.target.node)]
        found = replicas_of(self.job, self.storages, await datasets_on(allowed, self.target, self.guest), None)
        return newest_proven(self.job, self.source, found, self.storages, self.last_set, self.known)

    async def _checked(self, chosen: DrillSet, deadline: float) -> DrillEnd:
        checks = VolumeChecks(self.job.id, self.guest, self.source, self.target, self.clock, deadline, self.log)
        try:
            found = await checks.check(chosen)
        except DeadlineError as error:
            limit = words(self.guest.drill_timeout)
            return DrillEnd(DrillResult.FAILED, f"The checks did not end within {limit}. {error.what}", chosen.time)
        except ZsrError as error:
            return DrillEnd(DrillResult.UNDONE, str(error), chosen.time)
        return _judged(chosen.time, found)


def _judged(time: int, found: list[Finding]) -> DrillEnd:
    bad = [each for each in found if each.is_damaged]
    text = "; ".join(map(str, bad or found))
    return DrillEnd(DrillResult.FAILED if bad else DrillResult.PASSED, f"{text}.", time)
