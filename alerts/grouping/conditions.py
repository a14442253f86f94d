"""What lasts and is no failure: broken promises, silent nodes, rejected settings, lost replicas. Pure.

Lost replicas come from the journal (`alerts.grouping.losses`), the others are seen in the core's picture.

Each is told once when it has lasted a while, and once when it is over, to whom it was told. What is told of is
remembered, so a restart neither repeats nor forgets. What a message about failures has said already is not said again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace

from alerts.grouping.grouping import Incident
from alerts.grouping.notices import NoticeSource, subject_now, worst_first
from alerts.notice import Notice, NoticeKind, Subject
from alerts.routing.routes import Match
from replicator.api.status import JobStatus, Status
from replicator.models import JobId

GROUP_WAIT_SECONDS = 120.0
"""Seconds that something lasts before it is told; a run that is being proven ends a lag of some seconds."""
REPEAT_INTERVAL_SECONDS = 900.0
"""Seconds between two messages about promises to one node, so that jobs that break theirs one by one are no storm."""

PROMISE, NODE, SETTINGS, LOST = "promise", "node", "settings", "lost"


@dataclass(frozen=True, slots=True)
class Condition:
    """Something that is not as it should be: since when, and if it was told, when and in which thread.

    ``gone``: since when it is over; ``lag``: the oldest that a replica was in it. Times are unix times.
    """

    since: float
    told: float | None = None
    thread: str = ""
    gone: float | None = None
    lag: float | None = None


Conditions = Mapping[str, Condition]
"""By ``<what>/<of whom>``, like ``promise/100-0``, ``lost/100-0``, ``node/beta``, ``settings/``."""


@dataclass(frozen=True, slots=True)
class _Trouble:
    """A trouble that jobs have: its name, the events that begin and end it, and for how many seconds it must last."""

    what: str
    begins: NoticeKind
    ends: NoticeKind
    gather: float


_BREACH = _Trouble(PROMISE, NoticeKind.RPO_BREACHED, NoticeKind.RPO_KEPT, GROUP_WAIT_SECONDS)
_LOSS = _Trouble(LOST, NoticeKind.REPLICA_LOST, NoticeKind.REPLICA_BACK, 0.0)


def evaluate_conditions(
    status: Status,
    alarms: Conditions,
    incidents: Mapping[str, Incident],
    match: Match,
    sender: NoticeSource,
    answered: Collection[str] = (),
) -> tuple[list[Notice], dict[str, Condition]]:
    """What is to be told at this moment to a target that wants what ``match`` says, and what is remembered then.

    Args:
        status: the core's picture.
        alarms: what was remembered.
        incidents: the failures that the target was told of, by job id.
        match: which jobs it is about.
        sender: for whom.
        answered: jobs whose failure is followed by an all-clear, which says too that the promise is kept again.
    """
    now = status.time
    jobs = [job for job in status.jobs if match.wants_job(job.job.id, job.job.target)]
    seen = {f"{PROMISE}/{job.job.id}" for job in jobs if job.is_promise_broken(now)}
    seen |= {f"{NODE}/{node}" for node in _silent(status, jobs)}
    if not status.config.ok:
        seen.add(f"{SETTINGS}/")
    known = _remembered(alarms, seen, now)
    for job in jobs:
        name = f"{PROMISE}/{job.job.id}"
        if name in seen and job.state.last_sync is not None:
            known[name] = replace(known[name], lag=max(known[name].lag or 0.0, now - job.state.last_sync))
    _forget_removed(known, {job.job.id for job in jobs})
    for name in [f"{PROMISE}/{job}" for job in answered]:
        if name in known and known[name].gone is not None:
            del known[name]
    notices = _of_jobs(_BREACH, jobs, known, now, sender, _implied(jobs, known, incidents))
    notices += _nodes(known, incidents, now, sender)
    notices += _settings(status, known, sender)
    return notices, known


def report_losses(
    status: Status, alarms: Conditions, match: Match, sender: NoticeSource
) -> tuple[list[Notice], dict[str, Condition]]:
    """What is to be told of lost replicas, and what is remembered then; to be asked before `evaluate_conditions`.

    The all-clear says too that the promise is kept again.
    """
    now = status.time
    # A clock that was set back must not keep a loss from being reported.
    known = {name: replace(alarm, since=min(alarm.since, now)) for name, alarm in alarms.items()}
    jobs = [job for job in status.jobs if match.wants_job(job.job.id, job.job.target)]
    notices = _of_jobs(_LOSS, jobs, known, now, sender)
    back = {subject.job for notice in notices if notice.kind is _LOSS.ends for subject in notice.subjects}
    for job in jobs:
        if job.job.id in back and not job.is_promise_broken(now):
            known.pop(f"{PROMISE}/{job.job.id}", None)
    return notices, known


def _remembered(alarms: Conditions, seen: set[str], now: float) -> dict[str, Condition]:
    known = {}
    for name in sorted({*alarms, *seen}):
        alarm = alarms.get(name, Condition(now))
        if name.startswith(f"{LOST}/"):
            known[name] = alarm  # the journal says when it is over
        elif name in seen:
            # A clock that was set back must not keep it from being told.
            known[name] = replace(alarm, gone=None, since=min(alarm.since, now))
        elif alarm.told is not None:
            known[name] = replace(alarm, gone=alarm.gone if alarm.gone is not None else now)
    return known


def _silent(status: Status, jobs: Iterable[JobStatus]) -> set[str]:
    """The nodes that do not answer and to which something is to be replicated."""
    wanted = {job.job.target for job in jobs if not job.job.disabled}
    return {node for node, answers in status.reachable.items() if not answers and node in wanted}


def _implied(
    jobs: Iterable[JobStatus], known: Mapping[str, Condition], incidents: Mapping[str, Incident]
) -> set[JobId]:
    """The jobs whose broken promise follows from what was told, or was in a message about their failures."""
    at_fault, lost = _told_nodes(known, incidents), _told_lost(known)
    late = [job for job in jobs if f"{PROMISE}/{job.job.id}" in known]
    return {
        job.job.id for job in late if job.job.target in at_fault or str(job.job.id) in lost or _was_said(job, incidents)
    }


def _told_lost(known: Mapping[str, Condition]) -> set[str]:
    """The jobs whose replica is lost, as was told: that says of their promise all there is to say."""
    lost = {name.partition("/")[2]: alarm for name, alarm in known.items() if name.startswith(f"{LOST}/")}
    return {job for job, alarm in lost.items() if alarm.told is not None and alarm.gone is None}


def _of_jobs(
    trouble: _Trouble,
    jobs: Iterable[JobStatus],
    known: dict[str, Condition],
    now: float,
    sender: NoticeSource,
    implied: Collection[JobId] = (),
) -> list[Notice]:
    """What begins and ends, one message for each target node; what is ``implied`` by another message is not told."""
    notices = []
    by_node: dict[str, list[JobStatus]] = {}
    for job in jobs:
        if f"{trouble.what}/{job.job.id}" in known:
            by_node.setdefault(job.job.target, []).append(job)
    for node, those in sorted(by_node.items()):
        alarms = {job.job.id: known[f"{trouble.what}/{job.job.id}"] for job in those}
        last = max((alarm.told for alarm in alarms.values() if alarm.told is not None), default=None)
        new = [job for job in those if alarms[job.job.id].told is None and job.job.id not in implied]
        ripe = any(now - alarms[job.job.id].since >= trouble.gather for job in new)
        if ripe and (last is None or not 0 <= now - last < REPEAT_INTERVAL_SECONDS):
            thread = next((alarm.thread for alarm in alarms.values() if alarm.thread), None)
            notice = _notice(trouble.begins, now, f"{trouble.what}/{node}", sender, thread)
            subjects = worst_first((_beginning(trouble, job, alarms[job.job.id]) for job in new), now)
            notices.append(replace(notice, subjects=subjects))
            _note(known, (f"{trouble.what}/{job.job.id}" for job in new), now, notice.thread)
        notices += _ended(trouble, those, alarms, known, now, sender)
    return notices


def _beginning(trouble: _Trouble, job: JobStatus, alarm: Condition) -> Subject:
    """A job as its trouble is told; of a lost replica how old it was when its loss was found."""
    subject = subject_now(job)
    return replace(subject, worst_lag=alarm.lag) if trouble is _LOSS else subject


def _was_said(job: JobStatus, incidents: Mapping[str, Incident]) -> bool:
    """Whether a message about the job's failures was made after its promise broke, and so said that."""
    incident = incidents.get(str(job.job.id))
    since = job.state.created if job.state.last_sync is None else job.state.last_sync
    return incident is not None and incident.told is not None and incident.told >= since + job.rpo


def _ended(
    trouble: _Trouble,
    those: Iterable[JobStatus],
    alarms: Mapping[JobId, Condition],
    known: dict[str, Condition],
    now: float,
    sender: NoticeSource,
) -> list[Notice]:
    """The all-clear for those whose trouble is over: when that of all in their thread is, or after a while."""
    notices = []
    for thread in sorted({alarm.thread for alarm in alarms.values() if alarm.told is not None}):
        mine = [job for job in those if alarms[job.job.id].thread == thread]
        over = [job for job in mine if _is_over(trouble, job, alarms[job.job.id])]
        waited = max((now - (alarms[job.job.id].gone or now) for job in over), default=0.0)
        if over and (len(over) == len(mine) or not 0 <= waited < REPEAT_INTERVAL_SECONDS):
            notice = _notice(trouble.ends, now, f"kept/{thread}", sender, thread)
            subjects = tuple(
                replace(
                    subject_now(job),
                    worst_lag=None if trouble is _LOSS else alarms[job.job.id].lag,
                    failing_since=alarms[job.job.id].since,
                )
                for job in over
            )
            off = trouble is _BREACH and any(job.job.disabled or job.job.removal is not None for job in over)
            text = "Nothing is promised for what was switched off or is being removed." if off else ""
            closes = len(over) == len(mine)
            notices.append(replace(notice, opens=False, closes=closes, subjects=subjects, text=text))
            for job in over:
                del known[f"{trouble.what}/{job.job.id}"]
    return notices


def _is_over(trouble: _Trouble, job: JobStatus, alarm: Condition) -> bool:
    """Whether a trouble has ended; a lost replica when the core's picture has the new one, too."""
    return alarm.gone is not None and not (trouble is _LOSS and job.state.is_replica_lost)


def _forget_removed(known: dict[str, Condition], jobs: set[JobId]) -> None:
    for name in [name for name in known if name.startswith((f"{PROMISE}/", f"{LOST}/"))]:
        if JobId.parse(name.partition("/")[2]) not in jobs:
            del known[name]


def _told_nodes(known: Mapping[str, Condition], incidents: Mapping[str, Incident]) -> set[str]:
    """The nodes of which the target knows that they are at fault, so that nothing that follows from it is told."""
    by_failures = {incident.node for incident in incidents.values() if incident.node and incident.told is not None}
    alarms = {name.partition("/")[2]: alarm for name, alarm in known.items() if name.startswith(f"{NODE}/")}
    return by_failures | {node for node, alarm in alarms.items() if alarm.told is not None}


def _nodes(
    known: dict[str, Condition], incidents: Mapping[str, Incident], now: float, sender: NoticeSource
) -> list[Notice]:
    told = {incident.node for incident in incidents.values() if incident.node and incident.told is not None}
    notices = []
    for name in [name for name in known if name.startswith(f"{NODE}/")]:
        alarm, node = known[name], name.partition("/")[2]
        if alarm.gone is not None:
            notice = _notice(NoticeKind.TARGET_BACK, now, name, sender, alarm.thread)
            notices.append(replace(notice, about=node, opens=False, closes=True, text=_lasted(alarm)))
            del known[name]
        elif alarm.told is None and node not in told and now - alarm.since >= GROUP_WAIT_SECONDS:
            notice = _notice(NoticeKind.TARGET_UNREACHABLE, now, name, sender, None)
            notices.append(replace(notice, about=node))
            _note(known, [name], now, notice.thread)
    return notices


def _settings(status: Status, known: dict[str, Condition], sender: NoticeSource) -> list[Notice]:
    name, now = f"{SETTINGS}/", status.time
    alarm = known.get(name)
    if alarm is None:
        return []
    if alarm.gone is not None:
        notice = _notice(NoticeKind.SETTINGS_ACCEPTED, now, SETTINGS, sender, alarm.thread)
        del known[name]
        return [replace(notice, opens=False, closes=True)]
    if alarm.told is not None or now - alarm.since < GROUP_WAIT_SECONDS:
        return []
    notice = _notice(NoticeKind.SETTINGS_REJECTED, now, SETTINGS, sender, None)
    _note(known, [name], now, notice.thread)
    return [replace(notice, text="\n".join(status.config.problems))]


def _lasted(alarm: Condition) -> str:
    return f"It had been silent for {round(((alarm.gone or 0.0) - alarm.since) / 60)} minutes."


def _note(known: dict[str, Condition], names: Iterable[str], now: float, thread: str) -> None:
    for name in names:
        known[name] = replace(known[name], told=now, thread=thread)


def _notice(kind: NoticeKind, now: float, what: str, sender: NoticeSource, thread: str | None) -> Notice:
    key = sender.key(what, now, sender.number)
    return Notice(key, kind, kind.facts.severity, now, sender.node, thread or key)
