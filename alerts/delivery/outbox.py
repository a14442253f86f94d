"""The outbox of a target: which message is next, when it is retried, when zsr gives up. Pure.

Messages of one thread keep their order; one that its server does not accept delays no other thread. What quiet hours
hold delays only the all-clear: a page passes the warnings before it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from alerts.channels.base import Sent
from alerts.delivery.codec import notice_of, plain
from alerts.notice import Notice

BACKOFF_SECONDS = (60.0, 120.0, 300.0, 900.0, 3600.0)
"""Seconds before the second, third, ... attempt; the last one repeats."""
GIVE_UP_AFTER_SECONDS = 24 * 3600.0
"""Seconds after a message was due from which on a failed attempt is the last one ..."""
FEWEST_ATTEMPTS = 4
"""... if there were this many, so that zsr gives up nothing untried after the daemon was down or the clock jumped."""
MOST_ATTEMPTS = 30
"""Attempts in a day by ``BACKOFF_SECONDS`` and some more: ends the retries even when the clock was set back."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One message to one target.

    Attributes:
        number: of the target's messages, from 1 on.
        since: when it was enqueued.
        not_before: the end of the quiet hours that hold it; 0 without.
        tried: time of the last attempt; 0 before the first.
        reason: why that attempt failed, a sentence.
        pause: seconds to wait that the receiver asked for, or that follow a permanent refusal.
        jobs: the jobs whose failure it reports, and when each was reported before it.
        fault: the node that is the cause of what it reports; empty if none is.
    """

    number: int
    notice: Notice
    since: float
    not_before: float = 0.0
    attempts: int = 0
    tried: float = 0.0
    reason: str = ""
    pause: float = 0.0
    jobs: Mapping[str, float | None] = field(default_factory=dict)
    fault: str = ""

    def is_held(self, now: float) -> bool:
        """Whether quiet hours hold it."""
        return self.attempts == 0 and self.since <= now < self.not_before

    def due(self, now: float) -> float:
        """When it may be sent, unix time; a clock that was set back does not hold it."""
        if self.attempts == 0:
            return self.not_before if now >= self.since else 0.0
        pause = max(self.pause, BACKOFF_SECONDS[min(self.attempts, len(BACKOFF_SECONDS)) - 1])
        return self.tried + pause if now >= self.tried else 0.0

    def failed(self, now: float, sent: Sent) -> Entry:
        """The entry after a failed attempt. After a permanent refusal it waits longer, for a fix by a person."""
        pause = max(sent.retry_after or 0.0, BACKOFF_SECONDS[-1] if sent.permanent else 0.0)
        return replace(self, attempts=self.attempts + 1, tried=now, reason=sent.reason, pause=pause)

    def is_hopeless(self, now: float) -> bool:
        """Whether no further attempt is made."""
        old = now - max(self.since, self.not_before) >= GIVE_UP_AFTER_SECONDS
        return self.attempts >= MOST_ATTEMPTS or (old and self.attempts >= FEWEST_ATTEMPTS)


def heads(outbox: Iterable[Entry], now: float) -> list[Entry]:
    """The first message of each thread, and those that quiet hours hold before it; oldest first."""
    found: list[Entry] = []
    first: set[str] = set()
    held: set[str] = set()
    for entry in outbox:
        thread = entry.notice.thread
        if thread in first or (thread in held and _is_end(entry.notice)):
            continue
        found.append(entry)
        (held if entry.is_held(now) else first).add(thread)
    return found


def _is_end(notice: Notice) -> bool:
    """Whether it reports the end of a problem, which must not come before the problem."""
    return notice.closes or notice.kind.is_all_clear


def next_entry(outbox: Iterable[Entry], now: float) -> Entry | None:
    """The message to send now: of those that are due the one with the fewest attempts, then the oldest."""
    ready = [entry for entry in heads(outbox, now) if entry.due(now) <= now]
    return min(ready, key=lambda entry: (entry.attempts, entry.number), default=None)


def next_due(outbox: Iterable[Entry], now: float) -> float | None:
    """When the next message is due, unix time; None without one."""
    return min((entry.due(now) for entry in heads(outbox, now)), default=None)


def entry_json(entry: Entry) -> dict[str, Any]:
    """An entry as JSON."""
    return {
        "number": entry.number,
        "notice": plain(entry.notice),
        "since": entry.since,
        "not_before": entry.not_before,
        "attempts": entry.attempts,
        "tried": entry.tried,
        "reason": entry.reason,
        "pause": entry.pause,
        "jobs": dict(entry.jobs),
        "fault": entry.fault,
    }


def entry_of(data: Mapping[str, Any]) -> Entry:
    """An entry from JSON; raises KeyError, TypeError, ValueError or ConfigError where it is none."""
    return Entry(
        number=int(data["number"]),
        notice=notice_of(data["notice"]),
        since=float(data["since"]),
        not_before=float(data["not_before"]),
        attempts=int(data["attempts"]),
        tried=float(data["tried"]),
        reason=str(data["reason"]),
        pause=float(data.get("pause", 0.0)),  # earlier versions wrote none
        jobs=dict(data["jobs"]),
        fault=str(data["fault"]),
    )
