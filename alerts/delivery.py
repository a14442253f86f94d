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

from alerts.channel import Channel, Sent, failed_inside
from alerts.desk import Desk
from alerts.intake import first_notes, offered, post, send_again, take_in
from alerts.messages import duration
from alerts.notes import Fate, TargetNotes, key_of, notes_json, record_notes
from alerts.notice import Notice, NoticeKind, Severity
from alerts.noticing import Sender
from alerts.outbox import Entry, next_due, next_entry
from alerts.policy import deserves_a_look, untold
from alerts.reminding import LONGEST, digest, slot_passed
from alerts.routes import Route
from alerts.words.titles import title_of
from replicator.events import Event
from replicator.jobs import JobId
from replicator.notes import READ_TO
from replicator.plugins import JobHistory

CANCEL_GRACE = 2.0
"""Seconds that the end of the daemon waits for a message that is just going out, so that it is noted."""
GATHER = 20.0
"""Seconds after a failure in which others with the same cause come into the same message."""
LOOK_AGAIN = 60.0
"""The longest that a target waits before it looks at the core's picture, in seconds."""

_LOG = logging.getLogger(__name__)


class Delivery:
    """One target's way through the journal."""

    def __init__(self, target: str, channel: Channel, desk: Desk, route: Route) -> None:
        self.target = target
        self._channel = channel
        self._desk = desk
        self._route = route
        self._notes: TargetNotes | None = None
        self._given = asyncio.Event()
        desk.deliveries[target] = self

    @property
    def cursor(self) -> int | None:
        """The last event of the journal that it needs no more; None while that is not known."""
        return None if self._notes is None else self._notes.cursor

    async def run(self) -> None:
        """Work until cancelled. May be called again after an exception; it goes on where it was."""
        if self._notes is None:
            notes = first_notes(self._desk, self.target, self._route)
            self._keep(notes)
        else:
            self._keep(self._notes)
        events: list[tuple[int, Event]] = []
        while True:
            notes = await self._taken_in(events)
            entry = next_entry(notes.outbox, self._desk.now)
            if entry is not None:
                await self._settle(entry)
            events = await self._news(self._known)

    @property
    def _known(self) -> TargetNotes:
        if self._notes is None:
            raise AssertionError("a target without notes does nothing")
        return self._notes

    async def _taken_in(self, events: list[tuple[int, Event]]) -> TargetNotes:
        """Turn what happened into messages of the outbox, with the requests to send one again."""
        histories = await self._histories()
        # No waiting from here on: another target may put something into the outbox meanwhile.
        before = self._known
        notes = take_in(events, before, self._desk, self.target, self._route)
        if histories is not None:
            status = self._desk.core.status()
            sender = Sender(status.node, self.target, notes.following)
            told = digest(status, histories, notes.digested, self._route.match, sender)
            notes = replace(notes, digested=status.time)
            notes = post(told, notes, self._route, status.time, self._desk.zone)
        notes, extra = send_again(self._desk, self.target, notes)
        if notes != before or extra:
            self._keep(notes, extra)
        return notes

    async def _histories(self) -> Mapping[JobId, JobHistory] | None:
        """What the jobs' runs came to since the last digest; None if it is not time for one."""
        since, now = self._known.digested, self._desk.now
        if not slot_passed(self._route.digest, since, now, self._desk.zone):
            return None
        return await self._desk.core.history(max(since, now - LONGEST), now)

    async def _news(self, notes: TargetNotes) -> list[tuple[int, Event]]:
        """The journal's next events, or none when it is time for a message or another look.

        After a failure of just now also those that come within some seconds.
        """
        due = next_due(notes.outbox, self._desk.now)
        if self._desk.core.last_event() <= notes.cursor:
            if due is not None and due <= self._desk.now:
                return []
            if not await self._wait(notes.cursor, due):
                return []
        events = await self._desk.core.events(notes.cursor)
        moment = deserves_a_look(events)
        age = None if moment is None else self._desk.now - moment
        if age is None or not 0 <= age < self._desk.gather:
            return events
        await self._desk.sleep(self._desk.gather - age)
        return await self._desk.core.events(notes.cursor)

    async def _wait(self, cursor: int, due: float | None) -> bool:
        """Wait for an event (True), for the next message's time, or until it is time for another look (False)."""
        news = asyncio.ensure_future(self._desk.core.events(cursor))
        pause = None if due is None else min(due - self._desk.now, LOOK_AGAIN)
        waits: list[asyncio.Future[Any]] = [news, asyncio.ensure_future(self._given.wait())]
        if pause is not None:
            waits.append(asyncio.ensure_future(self._desk.sleep(pause)))
        try:
            await asyncio.wait(waits, timeout=LOOK_AGAIN, return_when=asyncio.FIRST_COMPLETED)
            self._given.clear()
            return news.done()
        finally:
            for each in waits:
                each.cancel()
            await asyncio.gather(*waits, return_exceptions=True)

    def _keep(self, notes: TargetNotes, extra: dict[str, str | None] | None = None) -> None:
        # Kept here before it is written: if the disk is full, this process still sends nothing twice.
        self._notes = notes
        written = {key_of(self.target): notes_json(notes), **(extra or {})}
        self._desk.memory.put_all({**written, READ_TO: self._desk.read_to()})

    async def _settle(self, entry: Entry) -> None:
        """Send a message; note that it arrived, that it did not, or that it is given up."""
        attempt = asyncio.ensure_future(self._attempt(entry))
        try:
            sent = await asyncio.shield(attempt)
        except asyncio.CancelledError:
            done, _ = await asyncio.wait({attempt}, timeout=CANCEL_GRACE)
            if any(each.result().ok for each in done):
                self._delivered(entry)
            attempt.cancel()
            raise
        if sent.ok:
            _LOG.info("Notification target '%s' took '%s'.", self.target, title_of(entry.notice))
            self._delivered(entry)
        else:
            self._failed(entry.failed(self._desk.now, sent), sent)

    async def _attempt(self, entry: Entry) -> Sent:
        began = self._desk.now
        try:
            return await self._channel.send(entry.notice)
        except Exception as error:  # noqa: BLE001 - a task's outermost frame; a message with a bug delays no other
            return failed_inside(error, self._desk.now - began)

    def _delivered(self, entry: Entry) -> None:
        notes = replace(self._without(entry), dead="")
        dead = self._known.dead
        extra = record_notes(self.target, entry, Fate.DELIVERED, self._desk.now)
        extra |= self._desk.counters.add(self.target, "success")
        if dead:
            extra |= self._tell_others(self._about_me(NoticeKind.RECOVERED, Severity.INFO, dead))
        self._keep(notes, extra)

    def _failed(self, entry: Entry, sent: Sent) -> None:
        counted = self._desk.counters.add(self.target, "failure")
        if not entry.is_hopeless(self._desk.now):
            outbox = tuple(entry if each.number == entry.number else each for each in self._known.outbox)
            self._keep(replace(self._known, outbox=outbox), counted)
            pause = duration(entry.due(entry.tried) - entry.tried)
            words = "Notification target '%s' did not take '%s': %s Next try in %s."
            _LOG.warning(words, self.target, title_of(entry.notice), sent.reason, pause)
            return
        words = "Notification target '%s' GAVE UP on '%s', which is never delivered there: %s"
        _LOG.error(words, self.target, title_of(entry.notice), sent.reason)
        notes = self._without(entry)
        notes = replace(notes, memory=untold(entry.jobs, entry.fault, notes.memory))
        extra = {**counted, **self._desk.counters.add(self.target, "undelivered")}
        extra |= record_notes(self.target, entry, Fate.UNDELIVERED, self._desk.now)
        if not notes.dead:
            told = self._about_me(NoticeKind.UNDELIVERED, Severity.CRITICAL, "")
            extra |= self._tell_others(replace(told, text=sent.reason))
            notes = replace(notes, dead=told.thread)
        self._keep(notes, extra)

    def _about_me(self, kind: NoticeKind, severity: Severity, thread: str) -> Notice:
        """A notice for the other targets: that this one takes nothing, or takes messages again."""
        now, node = self._desk.now, self._desk.core.status().node
        key = Sender(node, self.target).key(str(kind), now, self._known.following)
        closes = bool(thread)
        return Notice(key, kind, severity, now, node, thread or key, opens=not closes, closes=closes, about=self.target)

    def _tell_others(self, notice: Notice) -> dict[str, str | None]:
        """Give a notice to every other target, whatever its match; the notes that this makes."""
        made: dict[str, str | None] = {}
        for name, other in self._desk.deliveries.items():
            if name != self.target:
                made |= other.given(notice)
        return made

    def given(self, notice: Notice) -> dict[str, str | None]:
        """Take a notice into the outbox, whatever the match says; the notes that this makes, for the giver to write."""
        if self._notes is None:
            return {}
        self._notes = post(notice, self._notes, self._route, self._desk.now, self._desk.zone)
        self._given.set()
        return {key_of(self.target): notes_json(self._notes)}

    def offered(self, notice: Notice) -> TargetNotes | None:
        """The notes when a notice of another program is taken; None if it is not. Raises OSError before the start."""
        if self._notes is None:
            raise OSError(EAGAIN, "The targets are not at work yet")
        return offered(notice, self._notes, self._desk, self.target, self._route)

    def accept(self, notes: TargetNotes) -> None:
        """Go on with notes that are on disk already."""
        self._notes = notes
        self._given.set()

    def _without(self, entry: Entry) -> TargetNotes:
        return replace(self._known, outbox=tuple(each for each in self._known.outbox if each.number != entry.number))
