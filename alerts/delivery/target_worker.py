"""Carry to one target what it is to be told: events become messages of its outbox, and each is sent until it arrives.

The journal is durable and every target has its own place in it, so what happened while the daemon was down is told
when it is back, and a target that hangs delays no other. Events become messages of the target's outbox, and its place
moves on, in one write. A message is sent twice to one target only if the process is killed between the server's "yes"
and the note of it, and then with the same key.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import replace
from errno import EAGAIN
from typing import Any

from alerts.channels.base import Channel, Sent, failed_inside
from alerts.delivery.outbox import Entry, next_due, next_entry
from alerts.delivery.pipeline import accept_external, enqueue, first_notes, process_events, send_again
from alerts.delivery.shared import DeliveryContext
from alerts.delivery.store import DeliveryStatus, TargetState, key_of, notes_json, record_notes
from alerts.grouping.digests import LONGEST_PERIOD_SECONDS, digest
from alerts.grouping.grouping import first_failure_time, revert_undelivered
from alerts.grouping.notices import NoticeSource
from alerts.grouping.reminders import slot_passed
from alerts.notice import Notice, NoticeKind, Severity
from alerts.render.titles import title_of
from alerts.routing.routes import Route
from alerts.text import duration
from replicator.api.plugin import READ_TO
from replicator.api.status import JobHistory
from replicator.events import Event
from replicator.models import JobId

CANCEL_GRACE_SECONDS = 2.0
"""Seconds that the end of the daemon waits for a message that is just going out, so that it is noted."""
GROUP_WAIT_SECONDS = 20.0
"""Seconds after a failure in which others with the same cause come into the same message."""
LOOK_AGAIN_SECONDS = 60.0
"""The longest that a target waits before it looks at the core's picture, in seconds."""

_log = logging.getLogger("zsr.alerts")


class TargetWorker:
    """One target's way through the journal."""

    def __init__(self, target: str, channel: Channel, context: DeliveryContext, route: Route) -> None:
        self.target = target
        self._channel = channel
        self._context = context
        self._route = route
        self._notes: TargetState | None = None
        self._given = asyncio.Event()
        context.deliveries[target] = self

    @property
    def cursor(self) -> int | None:
        """The last event of the journal that it needs no more; None while that is not known."""
        return None if self._notes is None else self._notes.cursor

    async def run(self) -> None:
        """Work until cancelled. May be called again after an exception; it goes on where it was."""
        if self._notes is None:
            notes = first_notes(self._context, self.target, self._route)
            self._keep(notes)
        else:
            self._keep(self._notes)
        events: list[tuple[int, Event]] = []
        while True:
            notes = await self._taken_in(events)
            entry = next_entry(notes.outbox, self._context.now)
            if entry is not None:
                await self._settle(entry)
            events = await self._news(self._known)

    @property
    def _known(self) -> TargetState:
        if self._notes is None:
            raise AssertionError("a target without notes does nothing")
        return self._notes

    async def _taken_in(self, events: list[tuple[int, Event]]) -> TargetState:
        """Turn what happened into messages of the outbox, with the requests to send one again."""
        histories = await self._histories()
        # No waiting from here on: another target may put something into the outbox meanwhile.
        before = self._known
        notes = process_events(events, before, self._context, self.target, self._route)
        if histories is not None:
            status = self._context.core.status()
            sender = NoticeSource(status.node, self.target, notes.following)
            told = digest(status, histories, notes.digested, self._route.match, sender)
            notes = replace(notes, digested=status.time)
            notes = enqueue(told, notes, self._route, status.time, self._context.zone)
        notes, extra = send_again(self._context, self.target, notes)
        if notes != before or extra:
            self._keep(notes, extra)
        return notes

    async def _histories(self) -> Mapping[JobId, JobHistory] | None:
        """What the jobs' runs came to since the last digest; None if it is not time for one."""
        since, now = self._known.digested, self._context.now
        if not slot_passed(self._route.digest, since, now, self._context.zone):
            return None
        return await self._context.core.history(max(since, now - LONGEST_PERIOD_SECONDS), now)

    async def _news(self, notes: TargetState) -> list[tuple[int, Event]]:
        """The journal's next events, or none when it is time for a message or another look.

        After a failure of just now also those that come within some seconds.
        """
        due = next_due(notes.outbox, self._context.now)
        if self._context.core.last_event() <= notes.cursor:
            if due is not None and due <= self._context.now:
                return []
            if not await self._wait(notes.cursor, due):
                return []
        events = await self._context.core.events(notes.cursor)
        moment = first_failure_time(events)
        age = None if moment is None else self._context.now - moment
        if age is None or not 0 <= age < self._context.gather:
            return events
        await self._context.sleep(self._context.gather - age)
        return await self._context.core.events(notes.cursor)

    async def _wait(self, cursor: int, due: float | None) -> bool:
        """Wait for an event (True), for the next message's time, or until it is time for another look (False)."""
        news = asyncio.ensure_future(self._context.core.events(cursor))
        pause = None if due is None else min(due - self._context.now, LOOK_AGAIN_SECONDS)
        waits: list[asyncio.Future[Any]] = [news, asyncio.ensure_future(self._given.wait())]
        if pause is not None:
            waits.append(asyncio.ensure_future(self._context.sleep(pause)))
        try:
            await asyncio.wait(waits, timeout=LOOK_AGAIN_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            self._given.clear()
            return news.done()
        finally:
            for each in waits:
                each.cancel()
            await asyncio.gather(*waits, return_exceptions=True)

    def _keep(self, notes: TargetState, extra: dict[str, str | None] | None = None) -> None:
        # Kept here before it is written: if the disk is full, this process still sends nothing twice.
        self._notes = notes
        written = {key_of(self.target): notes_json(notes), **(extra or {})}
        self._context.memory.put_all({**written, READ_TO: self._context.read_to()})

    async def _settle(self, entry: Entry) -> None:
        """Send a message; note that it arrived, that it did not, or that it is given up."""
        attempt = asyncio.ensure_future(self._attempt(entry))
        try:
            sent = await asyncio.shield(attempt)
        except asyncio.CancelledError:
            done, _ = await asyncio.wait({attempt}, timeout=CANCEL_GRACE_SECONDS)
            if any(each.result().ok for each in done):
                self._delivered(entry)
            attempt.cancel()
            raise
        if sent.ok:
            _log.info("Notification target '%s' took '%s'.", self.target, title_of(entry.notice))
            self._delivered(entry)
        else:
            self._failed(entry.failed(self._context.now, sent), sent)

    async def _attempt(self, entry: Entry) -> Sent:
        began = self._context.now
        try:
            return await self._channel.send(entry.notice)
        except Exception as error:  # noqa: BLE001 - a task's outermost frame; a message with a bug delays no other
            return failed_inside(error, self._context.now - began)

    def _delivered(self, entry: Entry) -> None:
        notes = replace(self._without(entry), dead="")
        dead = self._known.dead
        extra = record_notes(self.target, entry, DeliveryStatus.DELIVERED, self._context.now)
        extra |= self._context.counters.add(self.target, "success")
        if dead:
            extra |= self._tell_others(self._own_failure_notice(NoticeKind.RECOVERED, Severity.INFO, dead))
        self._keep(notes, extra)

    def _failed(self, entry: Entry, sent: Sent) -> None:
        counted = self._context.counters.add(self.target, "failure")
        if not entry.is_hopeless(self._context.now):
            outbox = tuple(entry if each.number == entry.number else each for each in self._known.outbox)
            self._keep(replace(self._known, outbox=outbox), counted)
            pause = duration(entry.due(entry.tried) - entry.tried)
            words = "Notification target '%s' did not take '%s': %s Next try in %s."
            _log.warning(words, self.target, title_of(entry.notice), sent.reason, pause)
            return
        words = "Notification target '%s' GAVE UP on '%s', which is never delivered there: %s"
        _log.error(words, self.target, title_of(entry.notice), sent.reason)
        notes = self._without(entry)
        notes = replace(notes, memory=revert_undelivered(entry.jobs, entry.fault, notes.memory))
        extra = {**counted, **self._context.counters.add(self.target, "undelivered")}
        extra |= record_notes(self.target, entry, DeliveryStatus.UNDELIVERED, self._context.now)
        if not notes.dead:
            told = self._own_failure_notice(NoticeKind.UNDELIVERED, Severity.CRITICAL, "")
            extra |= self._tell_others(replace(told, text=sent.reason))
            notes = replace(notes, dead=told.thread)
        self._keep(notes, extra)

    def _own_failure_notice(self, kind: NoticeKind, severity: Severity, thread: str) -> Notice:
        """A notice for the other targets: that this one takes nothing, or takes messages again."""
        now, node = self._context.now, self._context.core.status().node
        key = NoticeSource(node, self.target).key(str(kind), now, self._known.following)
        closes = bool(thread)
        return Notice(key, kind, severity, now, node, thread or key, opens=not closes, closes=closes, about=self.target)

    def _tell_others(self, notice: Notice) -> dict[str, str | None]:
        """Give a notice to every other target, whatever its match; the notes that this makes."""
        made: dict[str, str | None] = {}
        for name, other in self._context.deliveries.items():
            if name != self.target:
                made |= other.enqueue_peer_notice(notice)
        return made

    def enqueue_peer_notice(self, notice: Notice) -> dict[str, str | None]:
        """Take a notice into the outbox, whatever the match says; the notes that this makes, for the giver to write."""
        if self._notes is None:
            return {}
        self._notes = enqueue(notice, self._notes, self._route, self._context.now, self._context.zone)
        self._given.set()
        return {key_of(self.target): notes_json(self._notes)}

    def accept_external(self, notice: Notice) -> TargetState | None:
        """The notes when a notice of another program is taken; None if it is not. Raises OSError before the start."""
        if self._notes is None:
            raise OSError(EAGAIN, "The targets are not at work yet")
        return accept_external(notice, self._notes, self._context, self.target, self._route)

    def commit(self, notes: TargetState) -> None:
        """Go on with notes that are on disk already."""
        self._notes = notes
        self._given.set()

    def _without(self, entry: Entry) -> TargetState:
        return replace(self._known, outbox=tuple(each for each in self._known.outbox if each.number != entry.number))
