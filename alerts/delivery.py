"""Carry the journal's events to one target: each that deserves a message, in order, again and again until it arrives.

The journal is durable and every target has its own place in it, so what happened while the daemon was down is told
when it is back, and a target that hangs delays no other. Events become messages of the target's outbox, and its place
moves on, in one write. A message is sent twice to one target only if the process is killed between the server's "yes"
and the note of it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import tzinfo

from alerts.groups import group_message
from alerts.messages import Message, duration, failure_message, recovery_message
from alerts.notes import Counters, TargetNotes, load_notes, save_notes
from alerts.policy import Telling, deserves_a_look, dropped, fold, worst_lag
from alerts.sender import Sender, Sent
from replicator.events import Event, RunFailed
from replicator.plugins import Core, Memory

BACK_OFF = (60.0, 120.0, 300.0, 900.0, 3600.0)
"""Seconds before the second, third, ... attempt; the last one repeats."""
GIVE_UP_AFTER = 24 * 3600.0
"""Seconds after an event from which on a failed attempt is the last one."""
MOST_ATTEMPTS = 30
"""Attempts in a day by ``BACK_OFF`` and some more: ends the retries also when the clock was set back."""
CANCEL_GRACE = 2.0
"""Seconds that the end of the daemon waits for a message that is just going out, so that it is noted."""
GATHER = 20.0
"""Seconds after a failure in which others with the same cause come into the same message."""
LOOK_AGAIN = 60.0
"""Seconds after which an all-clear that waits for other jobs is looked at again, though nothing happened."""

Sleep = Callable[[float], Awaitable[object]]
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Desk:
    """What all targets share: the core, the plugin's notes, the counters, how to wait, and how long to gather."""

    core: Core
    memory: Memory
    counters: Counters
    sleep: Sleep
    zone: tzinfo | None = None
    gather: float = GATHER


class Delivery:
    """One target's way through the journal."""

    def __init__(self, target: str, sender: Sender, desk: Desk) -> None:
        self._target = target
        self._sender = sender
        self._desk = desk
        self._notes: TargetNotes | None = None

    async def run(self) -> None:
        """Work until cancelled. May be called again after an exception; it goes on where it was."""
        if self._notes is None:
            self._notes = self._first_notes()
        self._save(self._notes)
        while True:
            while self._notes.outbox:
                await self._settle(self._notes.outbox[0], self._notes)
            self._take_in(await self._gathered(self._notes), self._notes)

    async def _gathered(self, notes: TargetNotes) -> list[tuple[int, Event]]:
        """The journal's next events; after a failure of just now also those that come within some seconds."""
        try:
            async with asyncio.timeout(LOOK_AGAIN if notes.memory.held else None):
                events = await self._desk.core.events(notes.cursor)
        except TimeoutError:
            return []
        moment = deserves_a_look(events)
        age = None if moment is None else self._desk.core.status().time - moment
        if age is None or not 0 <= age < self._desk.gather:
            return events
        await self._desk.sleep(self._desk.gather - age)
        return await self._desk.core.events(notes.cursor)

    def _take_in(self, events: list[tuple[int, Event]], notes: TargetNotes) -> None:
        """Turn events into messages of the outbox."""
        jobs = {str(each.job.id): each for each in self._desk.core.status().jobs}
        going_on = {job for job, each in jobs.items() if not each.job.disabled}
        tellings, memory = fold(
            events,
            notes.memory,
            target_of=lambda job: jobs[job].job.target if job in jobs else "",
            going_on=going_on,
        )
        cursor = events[-1][0] if events else notes.cursor
        after = TargetNotes(cursor, memory, (*notes.outbox, *tellings))
        if after != notes:
            self._save(after)

    def _first_notes(self) -> TargetNotes:
        newest = self._desk.core.last_event()
        notes = load_notes(self._desk.memory, self._target)
        if notes is None:
            return TargetNotes(newest)
        if notes.cursor > newest:
            _LOG.warning(
                "Notification target '%s' was at event %d, but the journal ends at %d; it goes on from there.",
                self._target,
                notes.cursor,
                newest,
            )
            return TargetNotes(newest, notes.memory, notes.outbox)
        return notes

    def _save(self, notes: TargetNotes) -> None:
        # Kept here before it is written: if the disk is full, this process still sends nothing twice.
        self._notes = notes
        save_notes(self._desk.memory, self._target, notes)

    async def _settle(self, telling: Telling, notes: TargetNotes) -> None:
        """Send the first message of the outbox, or give it up."""
        sent = TargetNotes(notes.cursor, notes.memory, notes.outbox[1:])
        try:
            delivered = await self._deliver(telling)
        except asyncio.CancelledError:
            if await self._sender.arrives_after_all(telling.events[0][0], CANCEL_GRACE):
                self._save(sent)
                self._count(success=True)
            raise
        self._save(sent if delivered else TargetNotes(sent.cursor, dropped(telling, sent.memory), sent.outbox))
        if delivered:
            self._count(success=True)

    async def _deliver(self, telling: Telling) -> bool:
        """Try until it arrives (True) or is too old (False)."""
        happened = telling.events[-1][1].time
        for attempt in range(MOST_ATTEMPTS):
            message = self._compose(telling)
            sent = await self._sender.send(message)
            if sent.ok:
                _LOG.info("Notification target '%s' took '%s'.", self._target, message.title)
                return True
            self._count(success=False)
            last = self._desk.core.status().time - happened >= GIVE_UP_AFTER or attempt == MOST_ATTEMPTS - 1
            pause = BACK_OFF[min(attempt, len(BACK_OFF) - 1)]
            self._complain(message, sent, None if last else pause)
            if last:
                return False
            await self._desk.sleep(pause)
        return False

    def _compose(self, telling: Telling) -> Message:
        status, zone = self._desk.core.status(), self._desk.zone
        if len(telling.events) + len(telling.along) > 1:
            return group_message(telling, status, zone=zone)
        number, event = telling.events[0]
        if isinstance(event, RunFailed):
            return failure_message(event, status, number=number, zone=zone)
        lag = worst_lag(event, telling.incidents[str(event.job)])
        return recovery_message(event, status, worst_lag=lag, number=number, zone=zone)

    def _count(self, *, success: bool) -> None:
        self._desk.counters.add(self._target, success=success)

    def _complain(self, message: Message, sent: Sent, pause: float | None) -> None:
        if pause is None:
            _LOG.error(
                "Notification target '%s' GAVE UP on '%s', which is never delivered there: %s",
                self._target,
                message.title,
                sent.reason,
            )
        else:
            _LOG.warning(
                "Notification target '%s' did not take '%s': %s Next try in %s.",
                self._target,
                message.title,
                sent.reason,
                duration(pause),
            )
