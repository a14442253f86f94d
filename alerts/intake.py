"""From journal, picture and clock to the messages of one target's outbox: what its route wants, when it may go."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from datetime import tzinfo

from alerts import flapping
from alerts.desk import Desk
from alerts.flapping import sift
from alerts.losses import note_losses, vanished_notice
from alerts.notes import RESEND, TargetNotes, entries_of, find_record, load_notes
from alerts.notice import Notice, NoticeKind
from alerts.noticing import Sender, telling_notice
from alerts.outbox import Entry
from alerts.policy import Memory, Telling, fold, untold
from alerts.reminding import reminder, slot_passed
from alerts.routes import ALL_CLEARS, Route, held_until, reasons_against
from alerts.watching import Alarm, Alarms, watch, watch_losses
from replicator.events import Event
from replicator.plugins import Status

_LOG = logging.getLogger(__name__)


def first_notes(desk: Desk, target: str, route: Route) -> TargetNotes:
    """The notes with which a target begins: its own, or where it has none, those of the journal's end."""
    newest, oldest, now = desk.core.last_event(), desk.core.first_event(), desk.now
    notes = load_notes(desk.memory, target)
    if notes is None:
        logged = list(desk.memory.items(f"sent/{target}/"))
        following = int(logged[-1].rpartition("/")[2]) + 1 if logged else 1
        return TargetNotes(newest, reminded=now, digested=now, following=following)
    if notes.cursor > newest:
        words = "Notification target '%s' was at event %d, but the journal ends at %d; it goes on from there."
        _LOG.warning(words, target, notes.cursor, newest)
        notes = replace(notes, cursor=newest)
    elif oldest > notes.cursor + 1:
        words = (
            "Notification target '%s' was at event %d, but the journal begins at %d; it never heard of those between."
        )
        _LOG.error(words, target, notes.cursor, oldest)
    for telling in notes.unsent:
        notes = _post_telling(telling, notes, desk, target, route, now)
    return replace(notes, unsent=(), reminded=notes.reminded or now, digested=notes.digested or now)


def take_in(events: list[tuple[int, Event]], notes: TargetNotes, desk: Desk, target: str, route: Route) -> TargetNotes:
    """The notes when events, and what the core's picture and clock show, have become messages of the outbox."""
    status = desk.core.status()
    now = status.time
    # A clock that was set back would otherwise keep reminders and digests until the old time is reached again.
    notes = replace(notes, reminded=min(notes.reminded, now), digested=min(notes.digested, now))
    before = notes.memory
    notes = _with_events(events, notes, desk, target, route)
    notes = _with_losses(events, notes, desk, target, route)
    losses, alarms = watch_losses(status, notes.alarms, route.match, Sender(status.node, target, notes.following))
    notes = _post_alarms(losses, alarms, notes, desk, route, now)
    sender = Sender(status.node, target, notes.following)
    answered = (told_jobs(before) | told_jobs(notes.memory)) & at_work(status)
    notices, alarms = watch(status, notes.alarms, notes.memory.incidents, route.match, sender, answered)
    notes = _post_alarms(notices, alarms, notes, desk, route, now)
    if not slot_passed(route.repeat.then, notes.reminded, now, desk.zone):
        return notes
    sender = Sender(status.node, target, notes.following)
    told, incidents = reminder(status, notes.memory.incidents, notes.alarms, route.match, route.repeat, sender)
    notes = replace(notes, reminded=now)
    if told is None or not _wanted(told, route, now, desk.zone):
        return notes
    names = [str(subject.job) for subject in told.subjects]
    jobs = {name: notes.memory.incidents[name].told for name in names if name in notes.memory.incidents}
    notes = replace(notes, memory=replace(notes.memory, incidents=incidents))
    return post(told, notes, route, now, desk.zone, jobs=jobs)


def _post_alarms(
    notices: list[Notice], alarms: dict[str, Alarm], notes: TargetNotes, desk: Desk, route: Route, now: float
) -> TargetNotes:
    """The notes with those notices that the route wants, and with the alarms as they are after that."""
    for notice in notices:
        if notice.kind in ALL_CLEARS or _wanted(notice, route, now, desk.zone):
            notes = post(notice, notes, route, now, desk.zone)
        else:
            alarms = _not_told(notice, alarms)
    return replace(notes, alarms=alarms)


def _with_losses(
    events: list[tuple[int, Event]], notes: TargetNotes, desk: Desk, target: str, route: Route
) -> TargetNotes:
    """The notes with lost replicas among the alarms, and a message about vanished volumes."""
    status = desk.core.status()
    targets = {job.job.id: job.job.target for job in status.jobs}
    alarms = note_losses(events, notes.alarms, lambda job: route.match.wants_job(job, targets.get(job, "")))
    notes = replace(notes, alarms=alarms)
    notice = vanished_notice(events, status, route.match, Sender(status.node, target))
    if notice is None or not _wanted(notice, route, status.time, desk.zone):
        return notes
    return post(notice, notes, route, status.time, desk.zone)


def _with_events(
    events: list[tuple[int, Event]], notes: TargetNotes, desk: Desk, target: str, route: Route
) -> TargetNotes:
    status = desk.core.status()
    jobs = {str(each.job.id): each for each in status.jobs}
    targets = {name: each.job.target for name, each in jobs.items()}
    mine = [
        (number, event)
        for number, event in events
        if str(event.job) in notes.memory.incidents or route.match.wants_job(event.job, targets.get(str(event.job), ""))
    ]
    sieve, memory = sift(mine, notes.flaps, notes.memory, status.time)
    tellings, memory = fold(
        sieve.kept,
        memory,
        target_of=lambda job: targets.get(job, ""),
        going_on={name for name, each in jobs.items() if not each.job.disabled},
        due=route.repeat.due,
    )
    cursor = events[-1][0] if events else notes.cursor
    notes = replace(notes, memory=memory, flaps=sieve.flaps, cursor=cursor)
    unheard: set[str] = set()
    for telling in tellings:
        flap = all(number in sieve.flapping for number, _ in telling.events)
        notes = _post_wanted(replace(telling, flapping=flap), notes, unheard, desk, target, route, status)
    return notes


def _post_wanted(
    telling: Telling,
    notes: TargetNotes,
    unheard: set[str],
    desk: Desk,
    target: str,
    route: Route,
    status: Status,
) -> TargetNotes:
    """A telling as a message, if the route wants it; ``unheard`` are jobs of which it has not wanted the trouble."""
    members = set(telling.incidents)
    if not telling.is_failure:
        if members <= unheard:
            return notes
        return _post_telling(telling, notes, desk, target, route, status.time)
    notice = telling_notice(telling, status, notes.memory, Sender(status.node, target))
    if _wanted(notice, route, status.time, desk.zone):
        unheard -= members
        return _post_telling(telling, notes, desk, target, route, status.time)
    unheard |= {job for job, before in telling.incidents.items() if before is None or before.told is None}
    flaps = flapping.untold(telling.incidents, notes.flaps) if telling.flapping else notes.flaps
    return replace(notes, memory=untold(_told_before(telling), telling.node, notes.memory), flaps=flaps)


def _post_telling(
    telling: Telling, notes: TargetNotes, desk: Desk, target: str, route: Route, now: float
) -> TargetNotes:
    status = desk.core.status()
    notice = telling_notice(telling, status, notes.memory, Sender(status.node, target))
    if not telling.is_failure:
        return post(notice, notes, route, now, desk.zone)
    notice = replace(notice, text="\n".join(filter(None, (notice.text, _what_follows(notice, route)))))
    return post(notice, notes, route, now, desk.zone, jobs=_told_before(telling), fault=telling.node)


def _what_follows(notice: Notice, route: Route) -> str:
    """What a route hears after the last failure that it is told of at once; nothing for those before."""
    failures = max((subject.consecutive for subject in notice.subjects), default=0)
    if notice.kind is NoticeKind.FLAPPING or failures < max(route.repeat.failures, default=1):
        return ""
    reminder = "" if route.repeat.then is None else "in the reminder of all that still fails, and "
    return f"From now on it is told {reminder}when it is well again."


def told_jobs(memory: Memory) -> set[str]:
    """The jobs of which a target was told that they fail, so that it will be told when they are well."""
    held = {str(each.event.job) for waiting in memory.held.values() for each in waiting}
    return held | {job for job, incident in memory.incidents.items() if incident.told is not None}


def at_work(status: Status) -> set[str]:
    """The jobs that are neither off nor being removed, by id: of the others no run will tell that they are well."""
    return {str(job.job.id) for job in status.jobs if not job.job.disabled and job.job.removal is None}


def offered(notice: Notice, notes: TargetNotes, desk: Desk, target: str, route: Route) -> TargetNotes | None:
    """The notes when a notice of another program is in the outbox; None where it is there already or is not wanted.

    An all-clear goes to whom the trouble was told.
    """
    known = [entry.notice for entry in entries_of(desk.memory, target, notes)]
    same = [each for each in known if each.thread == notice.thread]
    wanted = bool(same) and not same[-1].closes if notice.closes else _wanted(notice, route, desk.now, desk.zone)
    if not wanted or any(each.key == notice.key for each in same):
        return None
    return post(notice, notes, route, desk.now, desk.zone)


def _told_before(telling: Telling) -> dict[str, float | None]:
    return {job: None if before is None else before.told for job, before in telling.incidents.items()}


def _wanted(notice: Notice, route: Route, now: float, zone: tzinfo) -> bool:
    """Whether a route wants a notice now: its match, and not in hours in which it is dropped."""
    if reasons_against(route.match, notice):
        return False
    quiet = route.quiet
    return quiet is None or not quiet.drop or held_until(quiet, notice.severity, now, zone) is None


def _not_told(notice: Notice, alarms: Alarms) -> dict[str, Alarm]:
    """The alarms when a notice about them is not wanted: as if they had not been told.

    A lost replica that is whole again is forgotten then; the others are tried again at the next look.
    """
    mine = {name for name, alarm in alarms.items() if alarm.thread == notice.thread and alarm.told == notice.time}
    return {
        name: replace(alarm, told=None, thread="") if name in mine else alarm
        for name, alarm in alarms.items()
        if name not in mine or alarm.gone is None
    }


def post(
    notice: Notice,
    notes: TargetNotes,
    route: Route,
    now: float,
    zone: tzinfo,
    *,
    jobs: Mapping[str, float | None] | None = None,
    fault: str = "",
) -> TargetNotes:
    """Put a notice into the outbox, held back until quiet hours are over; ``jobs`` and ``fault`` as in `Entry`."""
    until = held_until(route.quiet, notice.severity, now, zone)
    entry = Entry(notes.following, notice, now, until or 0.0, jobs=jobs or {}, fault=fault)
    return replace(notes, outbox=(*notes.outbox, entry), following=notes.following + 1)


def send_again(desk: Desk, target: str, notes: TargetNotes) -> tuple[TargetNotes, dict[str, str | None]]:
    """Do what was asked for by `RESEND`: the notes then, and which requests are done with."""
    done: dict[str, str | None] = {}
    for key in desk.memory.items(f"{RESEND}{target}-"):
        number = key.rpartition("-")[2]
        if key != f"{RESEND}{target}-{number}" or not number.isdecimal():
            continue
        done[key] = None
        notes = _again(desk, target, notes, int(number))
    return notes, done


def _again(desk: Desk, target: str, notes: TargetNotes, number: int) -> TargetNotes:
    if any(entry.number == number for entry in notes.outbox):
        hurried = (
            replace(entry, tried=0.0, attempts=0, not_before=0.0) if entry.number == number else entry
            for entry in notes.outbox
        )
        return replace(notes, outbox=tuple(hurried))
    record = find_record(desk.memory, target, number)
    if record is None:
        _LOG.warning("Message %s-%d is not remembered any more; it is not sent again.", target, number)
        return notes
    # Under a key of its own, since a receiver that has it would drop it.
    notice = replace(record.entry.notice, key=f"{record.entry.notice.key}/again-{notes.following}")
    entry = Entry(notes.following, notice, desk.now)
    return replace(notes, outbox=(*notes.outbox, entry), following=notes.following + 1)
