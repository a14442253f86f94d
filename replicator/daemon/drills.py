"""Drills of this node's guests by the daemon: on schedule, one at a time; and what killed drills left is destroyed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import tzinfo

from replicator.api.drills import GuestDrills
from replicator.cluster.model import Cluster
from replicator.common.durations import words
from replicator.errors import BusyError, ZsrError
from replicator.guests.drill_plan import drilled_jobs, due_drills, guest_drills
from replicator.guests.drilling import Driller
from replicator.models import DrillResult, GuestId, Job, JobId
from replicator.state.drills import KnownDrill

LOOK_SECONDS = 10.0
"""Seconds between two looks at what is due, and at the records."""
AGAIN_SECONDS = 60.0
"""Seconds until a drill is begun again whose end could not even be recorded."""
TIDY_SECONDS = 300.0
"""Seconds after which clones that could not be destroyed are tried again."""

_log = logging.getLogger("zsr.daemon")


class ScheduledDrills:
    """Drills the guests of this node; ``found`` is what the last look found, for the status.

    Args:
        driller: does them.
        cluster: returns the cluster as it is now.
        zone: of the schedules.
        announce: called after the journal has a new event.
    """

    def __init__(
        self, driller: Driller, cluster: Callable[[], Cluster], zone: tzinfo, announce: Callable[[], Awaitable[None]]
    ) -> None:
        self.found: tuple[GuestDrills, ...] = ()
        self._known: tuple[KnownDrill, ...] = ()
        self._running: JobId | None = None
        self._driller, self._cluster, self._zone, self._announce = driller, cluster, zone, announce
        self._tidied: dict[tuple[GuestId, str], float] = {}
        self._begun: dict[JobId, float] = {}
        self._said: dict[tuple[GuestId, str], str] = {}

    async def keep_drilling(self, tasks: asyncio.TaskGroup) -> None:
        """Look again and again, until cancelled, and start what is due."""
        while True:
            try:
                await asyncio.to_thread(self._look)
                await self._tidy()
            except ZsrError as error:
                self._say((0, ""), f"Could not look at the drills: {error}")
            due = [] if self._running else self._due()
            if due:
                self._running, self._begun[due[0].id] = due[0].id, self._driller.clock()
                tasks.create_task(self._drill(due[0]), name=f"drill {due[0].id}")
            await asyncio.sleep(LOOK_SECONDS)

    def _look(self) -> None:
        """Bring the records up to date with the cluster, and read them."""
        drills, now = self._driller.state.drills, self._driller.clock()
        known = {(each.guest, each.node): each for each in drills.all()}
        jobs = {
            (guest.id, job.target): (job, guest) for job, guest in drilled_jobs(self._cluster(), self._driller.here)
        }
        for place, (job, guest) in jobs.items():
            before = known.get(place)
            if guest.drill != (None if before is None else before.schedule):
                drills.schedule(job.id, job.target, guest.drill, now)
        for guest_id, node in known.keys() - jobs.keys():
            drills.forget(guest_id, node)
        self._known = tuple(drills.all())
        self.found = tuple(
            guest_drills(self._cluster(), self._driller.here, self._known, self._zone, now, self._running)
        )

    def _due(self) -> list[Job]:
        known = {(each.guest, each.node): each for each in self._known}
        now = self._driller.clock()
        due = due_drills(self._cluster(), self._driller.here, known, self._zone, now)
        return [job for job in due if not 0 <= now - self._begun.get(job.id, -AGAIN_SECONDS) < AGAIN_SECONDS]

    async def _tidy(self) -> None:
        """Destroy the clones of drills that do not go on any more."""
        now = self._driller.clock()
        for each in self._known:
            place = (each.guest, each.node)
            waits = now < self._tidied.get(place, 0.0) + TIDY_SECONDS
            if not each.may_be_open or waits or each.node not in self._cluster().nodes:
                continue
            try:
                gone = await self._driller.tidy(self._cluster(), each)
            except BusyError:
                continue  # it goes on
            except ZsrError as error:
                self._tidied[place] = now
                self._say(place, f"Clones of a drill of guest {each.guest} may be left on {each.node}: {error}")
            else:
                self._said.pop(place, None)
                if gone:
                    _log.warning("%d clones were left on %s by a drill of guest %s.", gone, each.node, each.guest)

    async def _drill(self, job: Job) -> None:
        """Do one drill. Its failure is recorded, and an error is not the daemon's."""
        place = (job.id.guest, job.target)
        try:
            event, end = await self._driller.drill(self._cluster(), job, _note)
        except BusyError as error:
            _log.debug("%s", error)
            return
        except ZsrError as error:
            self._say(place, f"Could not drill guest {job.id.guest} on {job.target}, or not record it: {error}")
            return
        except Exception:  # noqa: BLE001 - a task's outermost frame: one drill's failure is not the daemon's
            _log.exception("Could not drill guest %s on %s (class internal).", *place)
            return
        finally:
            self._running = None
        if event.result is DrillResult.UNDONE:
            self._say(place, f"Guest {job.id.guest} could not be drilled on {job.target}: {end.message}")
        else:
            self._said.pop(place, None)
            took = words(event.duration)
            if event.result is DrillResult.FAILED:
                _log.error("The drill of guest %s on %s failed after %s: %s", *place, took, end.message)
            else:
                _log.info("The drill of guest %s on %s passed after %s: %s", *place, took, end.message)
        await asyncio.to_thread(self._look)
        await self._announce()

    def _say(self, place: tuple[GuestId, str], text: str) -> None:
        """Log a warning, once while it stays the same."""
        if self._said.get(place) != text:
            self._said[place] = text
            _log.warning("%s", text)


def _note(level: str, text: str) -> None:
    _log.debug("Drill: %s: %s", level, text)
