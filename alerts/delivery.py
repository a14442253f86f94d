"""Carry the journal's events to one target: each that deserves a message, in order, again and again until it arrives.

The journal is durable and every target has its own place in it, so what happened while the daemon was down is told
when it is back, and a target that hangs delays no other. A message is sent twice to one target only if the process is
killed between the server's "yes" and the note of it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import tzinfo

from alerts.messages import Message, duration, failure_message, recovery_message
from alerts.notes import Counters, TargetNotes, load_notes, save_notes
from alerts.policy import Incident, judge, worst_lag
from alerts.sender import Sender, Sent
from replicator.events import Event, RunFailed, RunSucceeded
from replicator.plugins import Core, Memory

BACK_OFF = (60.0, 120.0, 300.0, 900.0, 3600.0)
"""Seconds before the second, third, ... attempt; the last one repeats."""
GIVE_UP_AFTER = 24 * 3600.0
"""Seconds after an event from which on a failed attempt is the last one."""
MOST_ATTEMPTS = 30
"""Attempts in a day by ``BACK_OFF`` and some more: ends the retries also when the clock was set back."""
CANCEL_GRACE = 2.0
"""Seconds that the end of the daemon waits for a message that is just going out, so that it is noted."""

Sleep = Callable[[float], Awaitable[object]]
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Desk:
    """What all targets share: the core, the plugin's notes, the counters, and how to wait."""

    core: Core
    memory: Memory
    counters: Counters
    sleep: Sleep
    zone: tzinfo | None = None


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
            for number, event in await self._desk.core.events(self._notes.cursor):
                self._notes = await self._settle(number, event, self._notes)
            self._save(self._notes)

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
            return TargetNotes(newest, notes.incidents)
        return notes

    def _save(self, notes: TargetNotes) -> None:
        # Kept here before it is written: if the disk is full, this process still sends nothing twice.
        self._notes = notes
        save_notes(self._desk.memory, self._target, notes)

    async def _settle(self, number: int, event: Event, notes: TargetNotes) -> TargetNotes:
        job = str(event.job)
        incident = notes.incidents.get(job)
        verdict = judge(event, incident)
        if not verdict.tell:
            return notes.after(number, job, verdict.remember)
        told = notes.after(number, job, verdict.remember)
        try:
            delivered = await self._deliver(number, event, incident)
        except asyncio.CancelledError:
            if await self._sender.arrives_after_all(number, CANCEL_GRACE):
                self._save(told)
                self._count(success=True)
            raise
        settled = told if delivered else notes.after(number, job, verdict.dropped)
        self._save(settled)
        if delivered:
            self._count(success=True)
        return settled

    async def _deliver(self, number: int, event: Event, incident: Incident | None) -> bool:
        """Try until it arrives (True) or is too old (False)."""
        for attempt in range(MOST_ATTEMPTS):
            message = self._compose(number, event, incident)
            sent = await self._sender.send(message)
            if sent.ok:
                _LOG.info("Notification target '%s' took '%s'.", self._target, message.title)
                return True
            self._count(success=False)
            last = self._desk.core.status().time - event.time >= GIVE_UP_AFTER or attempt == MOST_ATTEMPTS - 1
            pause = BACK_OFF[min(attempt, len(BACK_OFF) - 1)]
            self._complain(message, sent, None if last else pause)
            if last:
                return False
            await self._desk.sleep(pause)
        return False

    def _compose(self, number: int, event: Event, incident: Incident | None) -> Message:
        status, zone = self._desk.core.status(), self._desk.zone
        match event:
            case RunFailed():
                return failure_message(event, status, number=number, zone=zone)
            case RunSucceeded():
                lag = worst_lag(event, incident)
                return recovery_message(event, status, worst_lag=lag, number=number, zone=zone)
            case _:
                raise AssertionError(f"no message is made of {type(event).__name__}")

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
