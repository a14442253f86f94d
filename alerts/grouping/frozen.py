"""Guests that could not be thawed after their snapshot: reported at once, and once more when they are thawed. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from alerts.grouping.conditions import FROZEN, Condition, Conditions
from alerts.grouping.notices import NoticeSource, bare_subject, subject_now
from alerts.notice import Notice, NoticeKind
from alerts.subject import Subject
from replicator.api.status import Status
from replicator.events import Event, GuestFrozen, GuestThawed
from replicator.models import JobId


def record_frozen(
    events: Iterable[tuple[int, Event]], conditions: Conditions, wants: Callable[[JobId], bool]
) -> dict[str, Condition]:
    """The conditions with the guests that a batch of events says are frozen, or thawed again.

    Each has the job that it was frozen for, whether that job still exists or not.
    """
    known = dict(conditions)
    for _, event in events:
        name = f"{FROZEN}/{event.job}"
        match event:
            case GuestFrozen() if wants(event.job):
                text = f"{event.message}\nThaw it now: {event.command}"
                known[name] = replace(known.get(name, Condition(event.since)), gone=None, text=text)
            case GuestThawed() if name in known:
                known[name] = replace(known[name], gone=event.time)
    return known


def report_frozen(
    status: Status, conditions: Conditions, source: NoticeSource
) -> tuple[list[Notice], dict[str, Condition]]:
    """The notices of guests that are frozen or thawed, and the conditions after them."""
    return report_from_journal(FROZEN, (NoticeKind.GUEST_FROZEN, NoticeKind.GUEST_THAWED), status, conditions, source)


def report_from_journal(
    what: str, kinds: tuple[NoticeKind, NoticeKind], status: Status, conditions: Conditions, source: NoticeSource
) -> tuple[list[Notice], dict[str, Condition]]:
    """The notices of conditions that the journal began or ended, by the kinds for both, and the conditions after them.

    One that ended before it was reported is reported all the same, and gets its all-clear in the next turn.
    """
    begins, ends = kinds
    lasting = {name: each for name, each in conditions.items() if name.startswith(f"{what}/")}
    new = {name: each for name, each in lasting.items() if each.reported is None}
    known = dict(conditions)
    notices = []
    if new:
        notice = _notice(begins, status, source)
        text = "\n".join(each.text for each in new.values())
        notices.append(replace(notice, subjects=tuple(_subject(name, status) for name in new), text=text))
        known |= {name: replace(each, reported=status.time, thread=notice.thread) for name, each in new.items()}
    old = {name: each for name, each in lasting.items() if name not in new}
    for thread in sorted({each.thread for each in old.values() if each.gone is not None}):
        mine = {name: each for name, each in old.items() if each.thread == thread}
        notices.append(_all_clear(ends, thread, mine, status, source))
        known = {name: each for name, each in known.items() if name not in mine or each.gone is None}
    return notices, known


def _all_clear(
    kind: NoticeKind, thread: str, mine: Mapping[str, Condition], status: Status, source: NoticeSource
) -> Notice:
    """The notice of the conditions of a thread that are over; it closes the thread if these are all."""
    over = [name for name, each in mine.items() if each.gone is not None]
    return replace(
        _notice(kind, status, source),
        thread=thread,
        opens=False,
        closes=len(over) == len(mine),
        subjects=tuple(
            replace(_subject(name, status), failing_since=mine[name].since, consecutive=0, worst_lag=None)
            for name in over
        ),
    )


def _notice(kind: NoticeKind, status: Status, source: NoticeSource) -> Notice:
    key = source.key(str(kind), status.time, source.number)
    return source.notice(kind, key, status.time)


def _subject(name: str, status: Status) -> Subject:
    job = JobId.from_text(name.partition("/")[2])
    known = status.job(job)
    return bare_subject(job, status) if known is None else subject_now(known)
