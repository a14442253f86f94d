"""What is the case with a job's promise at a moment: one rule for messages, digests, checks, tables and pages. Pure.

The alert rules ask the same of the metrics; the states in ``tests/monitoring/states`` hold them to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

FUTURE_SECONDS = 300.0
"""Seconds that a last sync may lie in the future before its age counts as unknown (as ZsrLastSyncInFuture)."""


class Promise(StrEnum):
    """The state of a promise: that the last sync is never older than the RPO.

    NONE: nothing is promised, since the job is disabled or being removed. KEPT: the last sync is as fresh as promised.
    AWAITED: there is no proven copy on the job's target yet, and its time has not passed. COPYING: its time has passed,
    and the first copy is being sent without a failure. BROKEN: the last sync is too old, or missing for too long.
    LOST: the target held a whole copy once and holds none now. UNKNOWN: the last sync is in the future, so that nobody
    knows its age.
    """

    NONE = "none"
    KEPT = "kept"
    AWAITED = "awaited"
    COPYING = "copying"
    BROKEN = "broken"
    LOST = "lost"
    UNKNOWN = "unknown"

    @property
    def is_broken(self) -> bool:
        """Whether a person has to be called."""
        return self in {Promise.BROKEN, Promise.LOST, Promise.UNKNOWN}

    @property
    def is_overdue(self) -> bool:
        """Whether there is no copy as fresh as promised, also while the first one is being sent."""
        return self.is_broken or self is Promise.COPYING


def is_in_future(last_sync: float | None, now: float) -> bool:
    """Whether a last sync is so far in the future that its age is unknown. Times are unix times."""
    return last_sync is not None and last_sync > now + FUTURE_SECONDS


def promise_of(job: Mapping[str, Any]) -> Promise:
    """Return the state of the promise of a job in JSON, also where a daemon of before an upgrade has no word for it."""
    if (word := job.get("promise")) is not None:
        return Promise(word)
    if not job["enabled"] or job["state"] == "removing":
        return Promise.NONE
    has_copy = job["last_sync"] is not None
    if not has_copy and job.get("lost", job["runs"]["success"] > 0):
        return Promise.LOST
    if job["rpo_kept"]:
        return Promise.KEPT if has_copy else Promise.AWAITED
    sending = job["transfer"] and job["transfer"]["transferring"] and not job["fail_count"]
    return Promise.COPYING if sending and not has_copy else Promise.BROKEN
