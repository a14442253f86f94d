"""Drills that failed: reported at once, and once more when one has passed on the same target. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from alerts.grouping.conditions import DRILL, Condition, Conditions
from alerts.grouping.frozen import report_from_journal
from alerts.grouping.notices import NoticeSource
from alerts.notice import Notice, NoticeKind
from replicator.api.status import Status
from replicator.events import Event, GuestDrilled
from replicator.models import DrillResult, JobId


def record_drills(
    events: Iterable[tuple[int, Event]], conditions: Conditions, wants: Callable[[JobId], bool]
) -> dict[str, Condition]:
    """The conditions with the drills that a batch of events says have failed, or passed again."""
    known = dict(conditions)
    for _, event in events:
        if not isinstance(event, GuestDrilled):
            continue
        name = f"{DRILL}/{event.job}"
        if event.result is DrillResult.FAILED and wants(event.job):
            text = f"On {event.node}: {event.message}"
            known[name] = replace(known.get(name, Condition(event.time)), gone=None, text=text)
        elif event.result is DrillResult.PASSED and name in known:
            known[name] = replace(known[name], gone=event.time)
    return known


def report_drills(
    status: Status, conditions: Conditions, source: NoticeSource
) -> tuple[list[Notice], dict[str, Condition]]:
    """The notices of drills that failed or passed again, and the conditions after them."""
    return report_from_journal(DRILL, (NoticeKind.DRILL_FAILED, NoticeKind.DRILL_PASSED), status, conditions, source)
