"""From journal, picture and clock to the messages of one target's outbox: what its route wants, when it may go."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from datetime import tzinfo

from alerts.delivery.outbox import Entry
from alerts.delivery.shared import DeliveryContext
from alerts.delivery.store import RESEND, TargetState, entries_of, find_record, load_notes
from alerts.grouping import flapping
from alerts.grouping.conditions import Condition, Conditions, evaluate_conditions, watch_losses
from alerts.grouping.flapping import sift
from alerts.grouping.grouping import IncidentState, NotificationGroup, group_events, revert_undelivered
from alerts.grouping.losses import note_losses, vanished_notice
from alerts.grouping.notices import NoticeSource, telling_notice
from alerts.grouping.reminders import reminder, slot_passed
from alerts.notice import Notice, NoticeKind
from alerts.routing.routes import Route, held_until, reasons_against
from replicator.api.status import Status
from replicator.events import Event

_log = logging.getLogger("zsr.alerts")


def first_notes(context: DeliveryContext, target: str, route: Route) -> TargetState:
    """The notes with which a target begins: its own, or where it has none, those of the journal's end."""
    newest, oldest, now = context.core.last_event(), context.core.first_event(), context.now
    notes = load_notes(context.memory, target)
    if notes is None:
        logged = list(context.memory.items(f"sent/{target}/"))
        following = int(logged[-1].rpartition("/")[2]) + 1 if logged else 1
        return TargetState(newest, reminded=now, digested=now, following=following)
    if notes.cursor > newest:
        words = "Notification target '%s' was at event %d, but the journal ends at %d; it goes on from there."
        _log.warning(words, target, notes.cursor, newest)
        notes = replace(notes, cursor=newest)
    elif oldest > notes.cursor + 1:
        words = (
            "Notification target '%s' was at event %d, but the journal begins at %d; it never heard of those between."
        )
        _log.error(words, target, notes.cursor, oldest)
    for group in notes.unsent:
        notes = _post_telling(group, notes, context, target, route, now)
    return replace(notes, unsent=(), reminded=notes.reminded or now, digested=notes.digested or now)


def process_events(
    events: list[tuple[int, Event]], notes: TargetState, context: DeliveryContext, target: str, route: Route
) -> TargetState:
    """The notes when events, and what the core's picture and clock show, have become messages of the outbox."""
    status = context.core.status()
    now = status.time
    # A clock that was set back would otherwise keep reminders and digests until the old time is reached again.
    notes = replace(notes, reminded=min(notes.reminded, now), digested=min(notes.digested, now))
    before = notes.memory
    notes = _with_events(events, notes, context, target, route)
    notes = _with_losses(events, notes, context, target, route)
    losses, alarms = watch_losses(status, notes.alarms, route.match, NoticeSource(status.node, target, notes.following))
    notes = _post_alarms(losses, alarms, notes, context, route, now)
    sender = NoticeSource(status.node, target, notes.following)
    answered = (told_jobs(before) | told_jobs(notes.memory)) & at_work(status)
    notices, alarms = evaluate_conditions(status, notes.alarms, notes.memory.incidents, route.match, sender, answered)
    notes = _post_alarms(notices, alarms, notes, context, route, now)
    if not slot_passed(route.repeat.then, notes.reminded, now, context.zone):
        return notes
    sender = NoticeSource(status.node, target, notes.following)
    told, incidents = reminder(status, notes.memory.incidents, notes.alarms, route.match, route.repeat, sender)
    notes = replace(notes, reminded=now)
    if told is None or not _wanted(told, route, now, context.zone):
        return notes
    names = [str(subject.job) for subject in told.subjects]
    jobs = {name: notes.memory.incidents[name].told for name in names if name in notes.memory.incidents}
    notes = replace(notes, memory=replace(notes.memory, incidents=incidents))
    return enqueue(told, notes, route, now, context.zone, jobs=jobs)


def _post_alarms(
    notices: list[Notice],
    alarms: dict[str, Condition],
    notes: TargetState,
    context: DeliveryContext,
    route: Route,
    now: float,
) -> TargetState:
    """The notes with those notices that the route wants, and with the alarms as they are after that."""
    for notice in notices:
        if notice.kind.is_all_clear or _wanted(notice, route, now, context.zone):
            notes = enqueue(notice, notes, route, now, context.zone)
        else:
            alarms = _not_told(notice, alarms)
    return replace(notes, alarms=alarms)


def _with_losses(
    events: list[tuple[int, Event]], notes: TargetState, context: DeliveryContext, target: str, route: Route
) -> TargetState:
    """The notes with lost replicas among the alarms, and a message about vanished volumes."""
    status = context.core.status()
    targets = {job.job.id: job.job.target for job in status.jobs}
    alarms = note_losses(events, notes.alarms, lambda job: route.match.wants_job(job, targets.get(job, "")))
    notes = replace(notes, alarms=alarms)
    notice = vanished_notice(events, status, route.match, NoticeSource(status.node, target))
    if notice is None or not _wanted(notice, route, status.time, context.zone):
        return notes
    return enqueue(notice, notes, route, status.time, context.zone)


def _with_events(
    events: list[tuple[int, Event]], notes: TargetState, context: DeliveryContext, target: str, route: Route
) -> TargetState:
    status = context.core.status()
    jobs = {str(each.job.id): each for each in status.jobs}
    targets = {name: each.job.target for name, each in jobs.items()}
    mine = [
        (number, event)
        for number, event in events
        if str(event.job) in notes.memory.incidents or route.match.wants_job(event.job, targets.get(str(event.job), ""))
    ]
    sieve, memory = sift(mine, notes.flaps, notes.memory, status.time)
    tellings, memory = group_events(
        sieve.kept,
        memory,
        target_of=lambda job: targets.get(job, ""),
        going_on={name for name, each in jobs.items() if not each.job.disabled},
        due=route.repeat.due,
    )
    cursor = events[-1][0] if events else notes.cursor
    notes = replace(notes, memory=memory, flaps=sieve.flaps, cursor=cursor)
    unheard: set[str] = set()
    for group in tellings:
        flap = all(number in sieve.flapping for number, _ in group.events)
        notes = _post_wanted(replace(group, flapping=flap), notes, unheard, context, target, route, status)
    return notes


def _post_wanted(
    group: NotificationGroup,
    notes: TargetState,
    unheard: set[str],
    context: DeliveryContext,
    target: str,
    route: Route,
    status: Status,
) -> TargetState:
    """A telling as a message, if the route wants it; ``unheard`` are jobs of which it has not wanted the trouble."""
    members = set(group.incidents)
    if not group.is_failure:
        if members <= unheard:
            return notes
        return _post_telling(group, notes, context, target, route, status.time)
    notice = telling_notice(group, status, notes.memory, NoticeSource(status.node, target))
    if _wanted(notice, route, status.time, context.zone):
        unheard -= members
        return _post_telling(group, notes, context, target, route, status.time)
    unheard |= {job for job, before in group.incidents.items() if before is None or before.told is None}
    flaps = flapping.revert_undelivered(group.incidents, notes.flaps) if group.flapping else notes.flaps
    return replace(notes, memory=revert_undelivered(_told_before(group), group.node, notes.memory), flaps=flaps)


def _post_telling(
    group: NotificationGroup, notes: TargetState, context: DeliveryContext, target: str, route: Route, now: float
) -> TargetState:
    status = context.core.status()
    notice = telling_notice(group, status, notes.memory, NoticeSource(status.node, target))
    if not group.is_failure:
        return enqueue(notice, notes, route, now, context.zone)
    notice = replace(notice, text="\n".join(filter(None, (notice.text, _what_follows(notice, route)))))
    return enqueue(notice, notes, route, now, context.zone, jobs=_told_before(group), fault=group.node)


def _what_follows(notice: Notice, route: Route) -> str:
    """What a route hears after the last failure that it is told of at once; nothing for those before."""
    failures = max((subject.consecutive for subject in notice.subjects), default=0)
    if notice.kind is NoticeKind.FLAPPING or failures < max(route.repeat.failures, default=1):
        return ""
    reminder = "" if route.repeat.then is None else "in the reminder of all that still fails, and "
    return f"From now on it is told {reminder}when it is well again."


def told_jobs(memory: IncidentState) -> set[str]:
    """The jobs of which a target was told that they fail, so that it will be told when they are well."""
    held = {str(each.event.job) for waiting in memory.held.values() for each in waiting}
    return held | {job for job, incident in memory.incidents.items() if incident.told is not None}


def at_work(status: Status) -> set[str]:
    """The jobs that are neither off nor being removed, by id: of the others no run will tell that they are well."""
    return {str(job.job.id) for job in status.jobs if not job.job.disabled and job.job.removal is None}


def accept_external(
    notice: Notice, notes: TargetState, context: DeliveryContext, target: str, route: Route
) -> TargetState | None:
    """The notes when a notice of another program is in the outbox; None where it is there already or is not wanted.

    An all-clear goes to whom the trouble was told.
    """
    known = [entry.notice for entry in entries_of(context.memory, target, notes)]
    same = [each for each in known if each.thread == notice.thread]
    wanted = bool(same) and not same[-1].closes if notice.closes else _wanted(notice, route, context.now, context.zone)
    if not wanted or any(each.key == notice.key for each in same):
        return None
    return enqueue(notice, notes, route, context.now, context.zone)


def _told_before(group: NotificationGroup) -> dict[str, float | None]:
    return {job: None if before is None else before.told for job, before in group.incidents.items()}


def _wanted(notice: Notice, route: Route, now: float, zone: tzinfo) -> bool:
    """Whether a route wants a notice now: its match, and not in hours in which it is dropped."""
    if reasons_against(route.match, notice):
        return False
    quiet = route.quiet
    return quiet is None or not quiet.drop or held_until(quiet, notice.severity, now, zone) is None


def _not_told(notice: Notice, alarms: Conditions) -> dict[str, Condition]:
    """The alarms when a notice about them is not wanted: as if they had not been told.

    A lost replica that is whole again is forgotten then; the others are tried again at the next look.
    """
    mine = {name for name, alarm in alarms.items() if alarm.thread == notice.thread and alarm.told == notice.time}
    return {
        name: replace(alarm, told=None, thread="") if name in mine else alarm
        for name, alarm in alarms.items()
        if name not in mine or alarm.gone is None
    }


def enqueue(
    notice: Notice,
    notes: TargetState,
    route: Route,
    now: float,
    zone: tzinfo,
    *,
    jobs: Mapping[str, float | None] | None = None,
    fault: str = "",
) -> TargetState:
    """Put a notice into the outbox, held back until quiet hours are over; ``jobs`` and ``fault`` as in `Entry`."""
    until = held_until(route.quiet, notice.severity, now, zone)
    entry = Entry(notes.following, notice, now, until or 0.0, jobs=jobs or {}, fault=fault)
    return replace(notes, outbox=(*notes.outbox, entry), following=notes.following + 1)


def send_again(context: DeliveryContext, target: str, notes: TargetState) -> tuple[TargetState, dict[str, str | None]]:
    """Do what was asked for by `RESEND`: the notes then, and which requests are done with."""
    done: dict[str, str | None] = {}
    for key in context.memory.items(f"{RESEND}{target}-"):
        number = key.rpartition("-")[2]
        if key != f"{RESEND}{target}-{number}" or not number.isdecimal():
            continue
        done[key] = None
        notes = _again(context, target, notes, int(number))
    return notes, done


def _again(context: DeliveryContext, target: str, notes: TargetState, number: int) -> TargetState:
    if any(entry.number == number for entry in notes.outbox):
        hurried = (
            replace(entry, tried=0.0, attempts=0, not_before=0.0) if entry.number == number else entry
            for entry in notes.outbox
        )
        return replace(notes, outbox=tuple(hurried))
    record = find_record(context.memory, target, number)
    if record is None:
        _log.warning("Message %s-%d is not remembered any more; it is not sent again.", target, number)
        return notes
    # Under a key of its own, since a receiver that has it would drop it.
    notice = replace(record.entry.notice, key=f"{record.entry.notice.key}/again-{notes.following}")
    entry = Entry(notes.following, notice, context.now)
    return replace(notes, outbox=(*notes.outbox, entry), following=notes.following + 1)
