"""The pipeline of notifications for one target, top to bottom: event, group, notice, route, outbox, channel.

1. Events of the journal become groups: failures or recoveries with one cause (`group_runs`).
2. Groups, losses, conditions of the status, reminders and digests become notices (the ``report_...`` functions).
3. The route decides which notices the target wants (`alerts.routing.routes.Route.wants`).
4. A notice that is wanted becomes an entry of the outbox (`enqueue`).
5. The channel sends the entries that are due (`send`).

Pure but for `send`. `alerts.delivery.target_worker` runs the stages and writes the state after each.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import tzinfo

from alerts.channels.base import Channel, Sent, failed_inside
from alerts.delivery.context import Clock
from alerts.delivery.outbox import Entry
from alerts.delivery.store import TargetState
from alerts.grouping.conditions import Condition, evaluate_conditions, mention, report_losses, revert_reported
from alerts.grouping.digests import digest
from alerts.grouping.drills import record_drills, report_drills
from alerts.grouping.flapping import revert_unwanted, sift
from alerts.grouping.frozen import record_frozen, report_frozen
from alerts.grouping.grouping import IncidentState, NotificationGroup, group_events
from alerts.grouping.heartbeats import heartbeat
from alerts.grouping.losses import record_losses, vanished_notices
from alerts.grouping.notices import NoticeSource, group_notice
from alerts.grouping.reminders import reminder, slot_passed
from alerts.grouping.vanished_jobs import vanished_jobs_notice
from alerts.notice import Notice, NoticeKind
from alerts.routing.routes import Route, held_until
from replicator.api.job_status import JobHistory
from replicator.api.status import Status
from replicator.events import Event
from replicator.models import JobId

Events = Sequence[tuple[int, Event]]
"""A batch of the journal, by number, oldest first."""
Histories = Mapping[JobId, JobHistory]


@dataclass(frozen=True, slots=True)
class PipelineInput:
    """What all stages read. There is one status, so that a notice is decided and worded from the same facts."""

    target: str
    route: Route
    status: Status
    zone: tzinfo

    @property
    def now(self) -> float:
        """Unix time."""
        return self.status.time

    def source(self, state: TargetState) -> NoticeSource:
        """Where the next notice comes from."""
        return NoticeSource(self.status.node, self.target, state.next_number)

    def wants(self, notice: Notice) -> bool:
        """Whether the route wants a notice now."""
        return self.route.wants(notice, self.now, self.zone)


def process_events(
    events: Events, state: TargetState, given: PipelineInput, histories: Histories | None = None
) -> TargetState:
    """Process a batch of events: return the state with the cursor after the batch, and its messages in the outbox.

    Reminders and digests that are due now are among them. ``histories`` are for a digest; None: no digest is due.
    """
    # A clock that was set back would otherwise stop reminders and the like until the old time is reached again.
    reminded, digested, beaten = (min(each, given.now) for each in (state.reminded, state.digested, state.beaten))
    state = replace(state, reminded=reminded, digested=digested, beaten=beaten)
    before = state.incident_state
    reported_before = reported_jobs(before)
    groups, state = group_runs(events, state, given)
    state = report_runs(groups, state, given, reported_times(before))
    state = report_lost_volumes(events, state, given)
    state = report_frozen_guests(events, state, given)
    state = report_failed_drills(events, state, given)
    state = report_conditions(reported_before, state, given)
    state = report_reminder(state, given)
    state = report_heartbeat(state, given)
    return state if histories is None else report_digest(histories, state, given)


# Event -> group


def group_runs(events: Events, state: TargetState, given: PipelineInput) -> tuple[list[NotificationGroup], TargetState]:
    """Group the failures and recoveries of the route's jobs, one group per cause; hold back those of flapping jobs."""
    jobs = {str(job.job.id): job for job in given.status.jobs}
    targets = {name: job.job.target for name, job in jobs.items()}
    incidents, match = state.incident_state.incidents, given.route.match
    wanted = [
        (number, event)
        for number, event in events
        if str(event.job) in incidents or match.wants_job(event.job, targets.get(str(event.job), ""))
    ]
    sieve, incident_state = sift(wanted, state.flaps, state.incident_state, given.now)
    groups, incident_state = group_events(
        sieve.kept,
        incident_state,
        target_of=lambda job: targets.get(job, ""),
        active={name for name, job in jobs.items() if not job.is_disabled},
        due=given.route.repeat.due,
    )
    cursor = events[-1][0] if events else state.cursor
    marked = [replace(group, flapping=all(number in sieve.flapping for number, _ in group.events)) for group in groups]
    return marked, replace(state, incident_state=incident_state, flaps=sieve.flaps, cursor=cursor)


# Group -> notice -> route


def report_runs(
    groups: Iterable[NotificationGroup], state: TargetState, given: PipelineInput, before: Mapping[str, float | None]
) -> TargetState:
    """Enqueue the notices of failures that the route wants, and the recoveries of those.

    ``before``: when each job's failure was reported last before this batch. The groups were made as if all of them were
    reported; what the route did not want counts as never reported for all that follows it.
    """
    reported = dict(before)
    for made in groups:
        group = made.with_reported(reported)
        if not group.is_failure and all(reported.get(job) is None for job in group.incidents):
            continue
        notice = group_notice(group, given.status, state.incident_state, given.source(state))
        jobs = {*group.incidents, *group.along}
        if not group.is_failure:
            state = _enqueue(notice, state, given)
            reported |= dict.fromkeys(jobs)
        elif given.wants(notice):
            state = _enqueue_failure(group, notice, state, given)
            reported |= dict.fromkeys(jobs, group.events[-1][1].time)
            state = replace(state, incident_state=state.incident_state.with_reported(jobs, reported))
        else:
            mates = {
                job for job, each in state.incident_state.incidents.items() if group.node and each.node == group.node
            }
            flaps = revert_unwanted(group.incidents, state.flaps) if group.flapping else state.flaps
            incident_state = state.incident_state.with_reported(jobs | mates, reported)
            state = replace(state, incident_state=incident_state, flaps=flaps)
    return state


def reported_times(incident_state: IncidentState) -> dict[str, float | None]:
    """When the failure of each job was reported last, by job id."""
    held = {str(each.event.job): each.incident for waiting in incident_state.held.values() for each in waiting}
    return {job: each.reported for job, each in {**held, **incident_state.incidents}.items()}


def report_group(group: NotificationGroup, state: TargetState, given: PipelineInput) -> TargetState:
    """Enqueue the notice of a group. The caller has checked that the route wants it."""
    notice = group_notice(group, given.status, state.incident_state, given.source(state))
    if group.is_failure:
        return _enqueue_failure(group, notice, state, given)
    return _enqueue(notice, state, given)


def _enqueue_failure(group: NotificationGroup, notice: Notice, state: TargetState, given: PipelineInput) -> TargetState:
    notice = replace(notice, text="\n".join(filter(None, (notice.text, _what_follows(notice, given.route)))))
    jobs = {job: None if before is None else before.reported for job, before in group.incidents.items()}
    state = replace(state, conditions=mention(notice, state.conditions, given.now))
    return _enqueue(notice, state, given, jobs=jobs, fault=group.node)


def _what_follows(notice: Notice, route: Route) -> str:
    """Which messages follow the last failure that is reported at once; empty for those before."""
    failures = max((subject.consecutive for subject in notice.subjects), default=0)
    if notice.kind is NoticeKind.FLAPPING or failures < max(route.repeat.failures, default=1):
        return ""
    if route.repeat.then is None:
        return "The next message comes when it has recovered."
    return "From now on it is in the reminder of all that still fails; a message follows when it has recovered."


def report_lost_volumes(events: Events, state: TargetState, given: PipelineInput) -> TargetState:
    """Record lost replicas as conditions, and enqueue the notices of these, of vanished volumes and jobs."""
    targets = {job.job.id: job.job.target for job in given.status.jobs}
    match = given.route.match
    conditions = record_losses(events, state.conditions, lambda job: match.wants_job(job, targets.get(job, "")))
    state = replace(state, conditions=conditions)
    for vanished in vanished_notices(events, given.status, match, given.source(state)):
        if given.wants(vanished):
            state = _enqueue(vanished, state, given)
    gone = vanished_jobs_notice(events, given.status, match, given.source(state))
    if gone is not None and given.wants(gone):
        state = _enqueue(gone, state, given)
    notices, conditions = report_losses(given.status, state.conditions, match, given.source(state))
    return _report_conditions(notices, conditions, state, given)


def report_frozen_guests(events: Events, state: TargetState, given: PipelineInput) -> TargetState:
    """Record frozen guests as conditions, and enqueue the notices of those that are new or thawed."""
    targets = {job.job.id: job.job.target for job in given.status.jobs}
    match = given.route.match
    conditions = record_frozen(events, state.conditions, lambda job: match.wants_job(job, targets.get(job, "")))
    notices, conditions = report_frozen(given.status, conditions, given.source(state))
    return _report_conditions(notices, conditions, state, given)


def report_failed_drills(events: Events, state: TargetState, given: PipelineInput) -> TargetState:
    """Record failed drills as conditions, and enqueue the notices of those that are new, or that passed again."""
    targets = {job.job.id: job.job.target for job in given.status.jobs}
    match = given.route.match
    conditions = record_drills(events, state.conditions, lambda job: match.wants_job(job, targets.get(job, "")))
    notices, conditions = report_drills(given.status, conditions, given.source(state))
    return _report_conditions(notices, conditions, state, given)


def report_conditions(reported_before: Collection[str], state: TargetState, given: PipelineInput) -> TargetState:
    """Enqueue the notices of broken promises, silent nodes and rejected settings that begin or end."""
    reported = {*reported_before, *reported_jobs(state.incident_state)}
    notices, conditions = evaluate_conditions(
        given.status,
        state.conditions,
        state.incident_state.incidents,
        given.route.match,
        given.source(state),
        answered=reported & active_jobs(given.status),
        every_promise=given.route.every_promise,
    )
    return _report_conditions(notices, conditions, state, given)


def _report_conditions(
    notices: list[Notice], conditions: dict[str, Condition], state: TargetState, given: PipelineInput
) -> TargetState:
    """Enqueue the notices that the route wants. The condition of a notice that it does not want stays unreported."""
    for notice in notices:
        if notice.kind.is_all_clear or given.wants(notice):
            state = _enqueue(notice, state, given)
        else:
            conditions = revert_reported(notice, conditions)
    return replace(state, conditions=conditions)


def report_reminder(state: TargetState, given: PipelineInput) -> TargetState:
    """Enqueue the reminder of all that still fails, when its time has come."""
    repeat, incidents = given.route.repeat, state.incident_state.incidents
    if not slot_passed(repeat.then, state.reminded, given.now, given.zone):
        return state
    source = given.source(state)
    notice, after = reminder(given.status, incidents, state.conditions, given.route.match, repeat, source)
    state = replace(state, reminded=given.now)
    if notice is None or not given.wants(notice):
        return state
    names = [str(subject.job) for subject in notice.subjects]
    jobs = {name: incidents[name].reported for name in names if name in incidents}
    state = replace(state, incident_state=replace(state.incident_state, incidents=after))
    state = replace(state, conditions=mention(notice, state.conditions, given.now))
    return _enqueue(notice, state, given, jobs=jobs)


def report_digest(histories: Histories, state: TargetState, given: PipelineInput) -> TargetState:
    """Enqueue the digest of the time since the last one."""
    notice = digest(given.status, histories, state.digested, given.route.match, given.source(state))
    return _enqueue(notice, replace(state, digested=given.now), given)


def report_heartbeat(state: TargetState, given: PipelineInput) -> TargetState:
    """Enqueue the heartbeat, when its time has come."""
    if not slot_passed(given.route.heartbeat, state.beaten, given.now, given.zone):
        return state
    notice = heartbeat(given.status, given.route.match, given.source(state), given.zone)
    return _enqueue(notice, replace(state, beaten=given.now), given)


def reported_jobs(incident_state: IncidentState) -> set[str]:
    """The jobs whose failures were reported to the target, so that their recovery will be."""
    held = {str(each.event.job) for waiting in incident_state.held.values() for each in waiting}
    return held | {job for job, incident in incident_state.incidents.items() if incident.reported is not None}


def active_jobs(status: Status) -> set[str]:
    """The ids of the jobs that are neither disabled nor being removed. No run reports that another job recovered."""
    return {str(job.job.id) for job in status.jobs if job.is_promised}


def accept_external(
    notice: Notice, state: TargetState, known: Iterable[Notice], route: Route, now: float, zone: tzinfo
) -> TargetState | None:
    """The state with a notice of another program in the outbox; None if the route does not want it or has it already.

    An all-clear is wanted where the problem was reported. ``known`` are the target's notices that are remembered or
    pending, oldest first.
    """
    thread = [each for each in known if each.thread == notice.thread]
    wanted = bool(thread) and not thread[-1].closes if notice.closes else route.wants(notice, now, zone)
    if not wanted or any(each.key == notice.key for each in thread):
        return None
    return enqueue(notice, state, route, now, zone)


# Route -> outbox


def enqueue(
    notice: Notice,
    state: TargetState,
    route: Route,
    now: float,
    zone: tzinfo,
    *,
    jobs: Mapping[str, float | None] | None = None,
    fault: str = "",
) -> TargetState:
    """Put a notice into the outbox, held back until quiet hours are over; ``jobs`` and ``fault`` as in `Entry`."""
    until = held_until(route.quiet, notice.severity, now, zone)
    if until is None and not notice.kind.is_all_clear:
        notice = _with_held(notice, state.outbox, now)
    return state.enqueue(Entry(state.next_number, notice, now, until or 0.0, jobs=jobs or {}, fault=fault))


def _with_held(notice: Notice, outbox: Iterable[Entry], now: float) -> Notice:
    """A notice that says how many messages about its jobs it passes, because quiet hours hold them."""
    jobs = {subject.job for subject in notice.subjects}
    held = [entry.notice for entry in outbox if entry.is_held(now)]
    count = sum(each.thread == notice.thread or any(s.job in jobs for s in each.subjects) for each in held)
    if not count:
        return notice
    words = "earlier message about this is" if count == 1 else "earlier messages about this are"
    return replace(notice, text="\n".join(filter(None, (notice.text, f"{count} {words} held by quiet hours."))))


def _enqueue(
    notice: Notice,
    state: TargetState,
    given: PipelineInput,
    *,
    jobs: Mapping[str, float | None] | None = None,
    fault: str = "",
) -> TargetState:
    return enqueue(notice, state, given.route, given.now, given.zone, jobs=jobs, fault=fault)


# Outbox -> channel


async def send(entry: Entry, channel: Channel, clock: Clock) -> Sent:
    """Try once to send an entry."""
    start = clock()
    try:
        return await channel.send(entry.notice)
    except Exception as error:  # noqa: BLE001 - a task's outermost frame; a message with a bug delays no other
        return failed_inside(error, clock() - start)
