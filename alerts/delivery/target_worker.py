"""The worker of one target: runs the pipeline on the journal's events, and sends each message until it arrives.

The journal is durable and every target has its own cursor, so what happened while the daemon was down is reported when
it is back, and a target that hangs delays no other. Events become messages of the outbox and the cursor moves on in one
write. A message is sent twice to one target only if the process is killed between the server's "yes" and the write that
records it, and then with the same key.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace
from errno import EAGAIN
from typing import Any

from alerts.channels.base import Channel, Sent
from alerts.delivery.context import DeliveryContext
from alerts.delivery.outbox import Entry, next_due, next_entry
from alerts.delivery.pipeline import (
    Histories,
    PipelineInput,
    accept_external,
    enqueue,
    process_events,
    report_group,
    send,
)
from alerts.delivery.resend import apply_resend_requests
from alerts.delivery.store import (
    DeliveryStatus,
    TargetState,
    Writes,
    entries_of,
    first_number,
    key_of,
    load_state,
    record_writes,
    state_json,
)
from alerts.grouping.conditions import LOOK_SECONDS, next_report, revert_reported
from alerts.grouping.digests import LONGEST_PERIOD_SECONDS
from alerts.grouping.grouping import first_failure_time, revert_undelivered
from alerts.grouping.notices import NoticeSource
from alerts.grouping.reminders import slot_passed
from alerts.notice import Notice, NoticeKind
from alerts.render.titles import title_of
from alerts.routing.routes import Route
from alerts.text import duration
from replicator.api.plugin import READ_TO
from replicator.events import Event

CANCEL_GRACE_SECONDS = 2.0
"""Seconds that the end of the daemon waits for a message that is being sent, so that its result is recorded."""
GROUP_WAIT_SECONDS = 20.0
"""Seconds after a failure in which others with the same cause join the same message."""

_log = logging.getLogger("zsr.alerts")


class TargetWorker:
    """Delivers to one target.

    Args:
        target: its name.
        channel: sends its messages.
        route: which notices it gets, and when.
        context: what all workers share.
        broadcast: enqueues a notice for all other targets; returns the writes that this makes.
        read_to: returns the last event of the journal that no target needs any more.
    """

    def __init__(
        self,
        target: str,
        channel: Channel,
        route: Route,
        context: DeliveryContext,
        *,
        broadcast: Callable[[Notice], Writes],
        read_to: Callable[[], str],
    ) -> None:
        self.target = target
        self._channel = channel
        self._route = route
        self._context = context
        self._broadcast = broadcast
        self._read_to = read_to
        self._state: TargetState | None = None
        self._enqueued = asyncio.Event()

    @property
    def cursor(self) -> int | None:
        """The last event of the journal that it needs no more; None before it has started."""
        return None if self._state is None else self._state.cursor

    async def run(self) -> None:
        """Work until cancelled. May be called again after an exception; it continues where it was."""
        self._save(self._first_state() if self._state is None else self._state)
        events: list[tuple[int, Event]] = []
        while True:
            state = await self._process(events)
            entry = next_entry(state.outbox, self._context.now)
            if entry is not None:
                await self._deliver(entry)
            events = await self._next_events(self._known)

    @property
    def _known(self) -> TargetState:
        if self._state is None:
            raise AssertionError("a target without a state does nothing")
        return self._state

    def _input(self) -> PipelineInput:
        return PipelineInput(self.target, self._route, self._context.core.status(), self._context.zone)

    def _first_state(self) -> TargetState:
        """The stored state; for a new target one that starts at the journal's end."""
        core, store, given = self._context.core, self._context.store, self._input()
        newest, oldest, now = core.last_event(), core.first_event(), given.now
        state = load_state(store, self.target)
        if state is None:
            if store.get(key_of(self.target)) is not None:  # damaged: what it was about to send is lost
                store.put_all(self._context.counters.add(self.target, "undelivered"))
            number = first_number(store, self.target)
            return TargetState(newest, reminded=now, digested=now, beaten=now, next_number=number)
        if state.cursor > newest:
            words = "Notification target '%s' was at event %d, but the journal ends at %d; it continues from there."
            _log.warning(words, self.target, state.cursor, newest)
            state = replace(state, cursor=newest)
        elif oldest > state.cursor + 1:
            words = (
                "Notification target '%s' was at event %d, but the journal begins at %d; "
                "events in between were pruned before they could be delivered."
            )
            _log.error(words, self.target, state.cursor, oldest)
            store.put_all(self._context.counters.add(self.target, "undelivered"))
        for group in state.unsent:
            state = report_group(group, state, given)
        reminded, digested, beaten = (moment or now for moment in (state.reminded, state.digested, state.beaten))
        return replace(state, unsent=(), reminded=reminded, digested=digested, beaten=beaten)

    async def _process(self, events: list[tuple[int, Event]]) -> TargetState:
        """Run the pipeline up to the outbox, and apply the requests to send a message again."""
        histories = await self._histories()
        # No waiting from here on: another target may put something into the outbox meanwhile.
        before = self._known
        state = process_events(events, before, self._input(), histories)
        state, writes = apply_resend_requests(self._context.store, self.target, state, self._context.now)
        if state != before or writes:
            self._save(state, writes)
        return state

    async def _histories(self) -> Histories | None:
        """The totals of the jobs' runs since the last digest; None if no digest is due."""
        since, now = self._known.digested, self._context.now
        if not slot_passed(self._route.digest, since, now, self._context.zone):
            return None
        return await self._context.core.history(max(since, now - LONGEST_PERIOD_SECONDS), now)

    async def _next_events(self, state: TargetState) -> list[tuple[int, Event]]:
        """The journal's next events; none when a message is due or it is time to look at the status again.

        After a recent failure it waits some seconds for others.
        """
        due = next_due(state.outbox, self._context.now)
        if self._context.core.last_event() <= state.cursor:
            if due is not None and due <= self._context.now:
                return []
            if not await self._wait(state.cursor, due, self._until_look(state)):
                return []
        events = await self._context.core.events(state.cursor)
        first = first_failure_time(events)
        age = None if first is None else self._context.now - first
        if age is None or not 0 <= age < self._context.group_wait:
            return events
        await self._context.sleep(self._context.group_wait - age)
        return await self._context.core.events(state.cursor)

    def _until_look(self, state: TargetState) -> float:
        """Seconds until the status is looked at again: at the latest when a condition has lasted long enough."""
        moment, now = next_report(state.conditions), self._context.now
        return LOOK_SECONDS if moment is None or moment <= now else min(moment - now, LOOK_SECONDS)

    async def _wait(self, cursor: int, due: float | None, look: float) -> bool:
        """Wait for an event (True), or for the next message's time, a new message or the next look (False)."""
        events = asyncio.ensure_future(self._context.core.events(cursor))
        pause = None if due is None else min(due - self._context.now, LOOK_SECONDS)
        waits: list[asyncio.Future[Any]] = [events, asyncio.ensure_future(self._enqueued.wait())]
        if pause is not None:
            waits.append(asyncio.ensure_future(self._context.sleep(pause)))
        try:
            await asyncio.wait(waits, timeout=look, return_when=asyncio.FIRST_COMPLETED)
            self._enqueued.clear()
            return events.done()
        finally:
            for each in waits:
                each.cancel()
            await asyncio.gather(*waits, return_exceptions=True)

    def _save(self, state: TargetState, writes: Writes | None = None) -> None:
        # Set before it is written: if the disk is full, this process still sends nothing twice.
        self._state = state
        own = {key_of(self.target): state_json(state), **(writes or {})}
        self._context.store.put_all({**own, READ_TO: self._read_to()})

    async def _deliver(self, entry: Entry) -> None:
        """Send a message, and record that it arrived, that it did not, or that zsr gave up."""
        attempt = asyncio.ensure_future(send(entry, self._channel, self._context.clock))
        try:
            sent = await asyncio.shield(attempt)
        except asyncio.CancelledError:
            done, _ = await asyncio.wait({attempt}, timeout=CANCEL_GRACE_SECONDS)
            if any(each.result().ok for each in done):
                self._record_success(entry)
            attempt.cancel()
            raise
        if sent.ok:
            _log.info("Notification target '%s' accepted '%s'.", self.target, title_of(entry.notice))
            self._record_success(entry)
        else:
            self._record_failure(entry.failed(self._context.now, sent), sent)

    def _record_success(self, entry: Entry) -> None:
        outage = self._known.outage_thread
        writes = record_writes(self.target, entry, DeliveryStatus.DELIVERED, self._context.now)
        writes |= self._context.counters.add(self.target, "success")
        if outage:
            writes |= self._broadcast(self._own_failure_notice(NoticeKind.RECOVERED, outage))
        self._save(replace(self._known.without(entry), outage_thread=""), writes)

    def _record_failure(self, entry: Entry, sent: Sent) -> None:
        writes = self._context.counters.add(self.target, "failure")
        if not entry.is_hopeless(self._context.now):
            self._save(self._known.with_retry(entry), writes)
            pause = duration(entry.due(entry.tried) - entry.tried)
            words = "Notification target '%s' did not accept '%s': %s Next try in %s."
            _log.warning(words, self.target, title_of(entry.notice), sent.reason, pause)
            return
        words = "Notification target '%s' GAVE UP on '%s', which will not be delivered there: %s"
        _log.error(words, self.target, title_of(entry.notice), sent.reason)
        state = self._known.without(entry)
        incident_state = revert_undelivered(entry.jobs, entry.fault, state.incident_state)
        writes |= self._context.counters.add(self.target, "undelivered")
        writes |= record_writes(self.target, entry, DeliveryStatus.UNDELIVERED, self._context.now)
        outage = state.outage_thread
        if not outage:
            notice = replace(self._own_failure_notice(NoticeKind.UNDELIVERED, ""), text=sent.reason)
            writes |= self._broadcast(notice)
            outage = notice.thread
        conditions = revert_reported(entry.notice, state.conditions)
        self._save(replace(state, incident_state=incident_state, conditions=conditions, outage_thread=outage), writes)

    def _own_failure_notice(self, kind: NoticeKind, thread: str) -> Notice:
        """A notice for the other targets: that this one takes no messages, or takes them again."""
        now, node = self._context.now, self._context.node
        key = NoticeSource(node, self.target).key(str(kind), now, self._known.next_number)
        closes = bool(thread)
        severity = kind.facts.severity
        return Notice(key, kind, severity, now, node, thread or key, opens=not closes, closes=closes, about=self.target)

    def enqueue_peer_notice(self, notice: Notice) -> Writes:
        """Put another target's notice into the outbox, whatever the route matches; returns what has to be written."""
        if self._state is None:
            return {}
        self._state = enqueue(notice, self._state, self._route, self._context.now, self._context.zone)
        self._enqueued.set()
        return {key_of(self.target): state_json(self._state)}

    def accept_external(self, notice: Notice) -> TargetState | None:
        """The state with a notice of another program, for the caller to write; None if the route does not want it.

        Raises:
            OSError: the target has not started yet.
        """
        if self._state is None:
            raise OSError(EAGAIN, "The notification targets have not started yet")
        known = [entry.notice for entry in entries_of(self._context.store, self.target, self._state)]
        return accept_external(notice, self._state, known, self._route, self._context.now, self._context.zone)

    def commit(self, state: TargetState) -> None:
        """Continue with a state that is on disk already."""
        self._state = state
        self._enqueued.set()
