"""Requests of ``zsr notify resend``: a message that waits goes out at once, one that is done goes out again."""

from __future__ import annotations

import logging
from dataclasses import replace

from alerts.delivery.outbox import Entry
from alerts.delivery.store import RESEND, TargetState, Writes, find_record
from replicator.api.plugin import PluginStore

_log = logging.getLogger("zsr.alerts")


def apply_resend_requests(
    store: PluginStore, target: str, state: TargetState, now: float
) -> tuple[TargetState, Writes]:
    """The state with the requested messages in the outbox, and the writes that remove the requests."""
    writes: Writes = {}
    for key in store.items(f"{RESEND}{target}-"):
        number = key.rpartition("-")[2]
        if key != f"{RESEND}{target}-{number}" or not number.isdecimal():
            continue
        writes[key] = None
        state = _resend(store, target, state, int(number), now)
    return state, writes


def _resend(store: PluginStore, target: str, state: TargetState, number: int, now: float) -> TargetState:
    if any(entry.number == number for entry in state.outbox):
        hurried = (
            replace(entry, tried=0.0, attempts=0, not_before=0.0) if entry.number == number else entry
            for entry in state.outbox
        )
        return replace(state, outbox=tuple(hurried))
    record = find_record(store, target, number)
    if record is None:
        _log.warning("Message %s-%d is no longer in the log; it is not sent again.", target, number)
        return state
    # Under a key of its own, since a receiver that has seen the first one would drop it.
    notice = replace(record.entry.notice, key=f"{record.entry.notice.key}/again-{state.next_number}")
    return state.enqueue(Entry(state.next_number, notice, now))
