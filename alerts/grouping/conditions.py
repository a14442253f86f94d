"""Conditions that last and are no failures: broken promises, silent nodes, rejected settings, lost replicas. Pure.

Lost replicas and frozen guests come from the journal (`alerts.grouping.losses`, `alerts.grouping.frozen`), the others
from the core's status.

Each condition is reported once when it has lasted a while, and its end once to the same targets. Conditions are part of
a target's state, so a restart neither repeats nor forgets one. What a message about failures already says is not
repeated.
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

REPORT_AFTER_SECONDS = 120.0
"""Seconds that a condition lasts before it is reported; the end of a run ends a lag of some seconds."""
REPEAT_INTERVAL_SECONDS = 900.0
"""Seconds between two messages about promises to one node, so that jobs that break theirs one by one make no flood."""

PROMISE, NODE, SETTINGS, LOST, FROZEN = "promise", "node", "settings", "lost", "frozen"


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition of a job, a node or the settings. Times are unix times.

    Attributes:
        since: when it began.
        reported: when it was reported; None: it was not.
        thread: the thread of that notice.
        gone: when it ended; None: it lasts.
        lag: the largest age of the replica while it lasted, in seconds.
        text: what the message about it says, where only the journal knows that.
    """

    since: float
    reported: float | None = None
    thread: str = ""
    gone: float | None = None
    lag: float | None = None
    text: str = ""


Conditions = Mapping[str, Condition]
"""By ``<kind>/<name>``: ``promise/100-0``, ``lost/100-0``, ``frozen/100-0``, ``node/beta``, ``settings/``."""


@dataclass(frozen=True, slots=True)
class _Kind:
    """A condition of jobs: its name, the events of its start and end, and for how many seconds it must last."""

    what: str
    begins: NoticeKind
    ends: NoticeKind
    report_after: float


_BREACH = _Kind(PROMISE, NoticeKind.RPO_BREACHED, NoticeKind.RPO_KEPT, REPORT_AFTER_SECONDS)
_LOSS = _Kind(LOST, NoticeKind.REPLICA_LOST, NoticeKind.REPLICA_BACK, 0.0)


def evaluate_conditions(
    status: Status,
    conditions: Conditions,
    incidents: Mapping[str, Incident],
    match: Match,
    source: NoticeSource,
    answered: Collection[str] = (),
) -> tuple[list[Notice], dict[str, Condition]]:
    """The notices that are due now for a target, and the conditions after them.

    Args:
        status: of the core.
        conditions: those of the target's last turn.
        incidents: the failures that were reported to the target, by job id.
        match: selects the jobs.
        source: where the notices come from.
        answered: jobs whose failure gets an all-clear, which also says that the promise is kept again.
    """
    now = status.time
    jobs = [job for job in status.jobs if match.wants_job(job.job.id, job.job.target)]
    seen = {f"{PROMISE}/{job.job.id}" for job in jobs if job.is_promise_broken(now)}
    seen |= {f"{NODE}/{node}" for node in _silent(status, jobs)}
    if not status.config.ok:
        seen.add(f"{SETTINGS}/")
    known = _remembered(conditions, seen, now)
    for job in jobs:
        name = f"{PROMISE}/{job.job.id}"
        if name in seen and job.state.last_sync is not None:
            known[name] = replace(known[name], lag=max(known[name].lag or 0.0, now - job.state.last_sync))
    _forget_removed(known, {job.job.id for job in jobs})
    for name in [f"{PROMISE}/{job}" for job in answered]:
        if name in known and known[name].gone is not None:
            del known[name]
    notices = _of_jobs(_BREACH, jobs, known, now, source, _implied(jobs, known, incidents))
    notices += _nodes(known, incidents, now, source)
    notices += _settings(status, known, source)
    return notices, known


def report_losses(
    status: Status, conditions: Conditions, match: Match, source: NoticeSource
) -> tuple[list[Notice], dict[str, Condition]]:
    """The notices of lost replicas, and the conditions after them; call it before `evaluate_conditions`.

    The all-clear also says that the promise is kept again.
    """
    now = status.time
    # A clock that was set back must not keep a loss from being reported.
    known = {name: replace(condition, since=min(condition.since, now)) for name, condition in conditions.items()}
    jobs = [job for job in status.jobs if match.wants_job(job.job.id, job.job.target)]
    notices = _of_jobs(_LOSS, jobs, known, now, source)
    back = {subject.job for notice in notices if notice.kind is _LOSS.ends for subject in notice.subjects}
    for job in jobs:
        if job.job.id in back and not job.is_promise_broken(now):
            known.pop(f"{PROMISE}/{job.job.id}", None)
    return notices, known


def _remembered(conditions: Conditions, seen: set[str], now: float) -> dict[str, Condition]:
    known = {}
    for name in sorted({*conditions, *seen}):
        condition = conditions.get(name, Condition(now))
        if name.startswith((f"{LOST}/", f"{FROZEN}/")):
            known[name] = condition  # the journal says when it is over
        elif name in seen:
            # A clock that was set back must not keep it from being reported.
            known[name] = replace(condition, gone=None, since=min(condition.since, now))
        elif condition.reported is not None:
            known[name] = replace(condition, gone=condition.gone if condition.gone is not None else now)
    return known


def _silent(status: Status, jobs: Iterable[JobStatus]) -> set[str]:
    """The nodes that do not answer and are the target of an enabled job."""
    wanted = {job.job.target for job in jobs if not job.job.disabled}
    return {node for node, answers in status.reachable.items() if not answers and node in wanted}


def _implied(
    jobs: Iterable[JobStatus], known: Mapping[str, Condition], incidents: Mapping[str, Incident]
) -> set[JobId]:
    """The jobs whose broken promise follows from a reported problem, or was in a message about their failures."""
    at_fault, lost = _reported_nodes(known, incidents), _reported_losses(known)
    late = [job for job in jobs if f"{PROMISE}/{job.job.id}" in known]
    return {
        job.job.id
        for job in late
        if job.job.target in at_fault or str(job.job.id) in lost or _was_mentioned(job, incidents)
    }


def _reported_losses(known: Mapping[str, Condition]) -> set[str]:
    """The jobs whose lost replica was reported: their promise is broken by that."""
    lost = {name.partition("/")[2]: condition for name, condition in known.items() if name.startswith(f"{LOST}/")}
    return {job for job, condition in lost.items() if condition.reported is not None and condition.gone is None}


def _of_jobs(
    kind: _Kind,
    jobs: Iterable[JobStatus],
    known: dict[str, Condition],
    now: float,
    source: NoticeSource,
    implied: Collection[JobId] = (),
) -> list[Notice]:
    """The notices of starts and ends, one for each target node; ``implied`` jobs are in another message already."""
    notices = []
    by_node: dict[str, list[JobStatus]] = {}
    for job in jobs:
        if f"{kind.what}/{job.job.id}" in known:
            by_node.setdefault(job.job.target, []).append(job)
    for node, group in sorted(by_node.items()):
        conditions = {job.job.id: known[f"{kind.what}/{job.job.id}"] for job in group}
        last = max(
            (condition.reported for condition in conditions.values() if condition.reported is not None), default=None
        )
        new = [job for job in group if conditions[job.job.id].reported is None and job.job.id not in implied]
        ripe = any(now - conditions[job.job.id].since >= kind.report_after for job in new)
        if ripe and (last is None or not 0 <= now - last < REPEAT_INTERVAL_SECONDS):
            thread = next((condition.thread for condition in conditions.values() if condition.thread), None)
            notice = _notice(kind.begins, now, f"{kind.what}/{node}", source, thread)
            subjects = worst_first((_beginning(kind, job, conditions[job.job.id]) for job in new), now)
            notices.append(replace(notice, subjects=subjects))
            _note(known, (f"{kind.what}/{job.job.id}" for job in new), now, notice.thread)
        notices += _ended(kind, group, conditions, known, now, source)
    return notices


def _beginning(kind: _Kind, job: JobStatus, condition: Condition) -> Subject:
    """A job in the notice of a start; a lost replica has the age that it had when its loss was found."""
    subject = subject_now(job)
    return replace(subject, worst_lag=condition.lag) if kind is _LOSS else subject


def _was_mentioned(job: JobStatus, incidents: Mapping[str, Incident]) -> bool:
    """Whether a message about the job's failures was made after its promise broke, and so mentioned it."""
    incident = incidents.get(str(job.job.id))
    return incident is not None and incident.reported is not None and incident.reported >= job.promise_start + job.rpo


def _ended(
    kind: _Kind,
    group: Iterable[JobStatus],
    conditions: Mapping[JobId, Condition],
    known: dict[str, Condition],
    now: float,
    source: NoticeSource,
) -> list[Notice]:
    """The all-clears: one for a thread when all of its jobs are through, or after a while for those that are."""
    notices = []
    for thread in sorted({condition.thread for condition in conditions.values() if condition.reported is not None}):
        mine = [job for job in group if conditions[job.job.id].thread == thread]
        over = [job for job in mine if _is_over(kind, job, conditions[job.job.id])]
        waited = max((now - (conditions[job.job.id].gone or now) for job in over), default=0.0)
        if over and (len(over) == len(mine) or not 0 <= waited < REPEAT_INTERVAL_SECONDS):
            notice = _notice(kind.ends, now, f"kept/{thread}", source, thread)
            subjects = tuple(
                replace(
                    subject_now(job),
                    worst_lag=None if kind is _LOSS else conditions[job.job.id].lag,
                    failing_since=conditions[job.job.id].since,
                )
                for job in over
            )
            off = kind is _BREACH and any(job.job.disabled or job.job.removal is not None for job in over)
            text = "Nothing is promised for jobs that are disabled or being removed." if off else ""
            closes = len(over) == len(mine)
            notices.append(replace(notice, opens=False, closes=closes, subjects=subjects, text=text))
            for job in over:
                del known[f"{kind.what}/{job.job.id}"]
    return notices


def _is_over(kind: _Kind, job: JobStatus, condition: Condition) -> bool:
    """Whether a condition has ended; that of a lost replica lasts until the status has the new replica, too."""
    return condition.gone is not None and not (kind is _LOSS and job.is_replica_lost)


def _forget_removed(known: dict[str, Condition], jobs: set[JobId]) -> None:
    for name in [name for name in known if name.startswith((f"{PROMISE}/", f"{LOST}/"))]:
        if JobId.from_text(name.partition("/")[2]) not in jobs:
            del known[name]


def _reported_nodes(known: Mapping[str, Condition], incidents: Mapping[str, Incident]) -> set[str]:
    """The nodes that were reported as the cause, so that what follows from it is not reported."""
    by_failures = {incident.node for incident in incidents.values() if incident.node and incident.reported is not None}
    conditions = {name.partition("/")[2]: condition for name, condition in known.items() if name.startswith(f"{NODE}/")}
    return by_failures | {node for node, condition in conditions.items() if condition.reported is not None}


def _nodes(
    known: dict[str, Condition], incidents: Mapping[str, Incident], now: float, source: NoticeSource
) -> list[Notice]:
    reported = {incident.node for incident in incidents.values() if incident.node and incident.reported is not None}
    notices = []
    for name in [name for name in known if name.startswith(f"{NODE}/")]:
        condition, node = known[name], name.partition("/")[2]
        if condition.gone is not None:
            notice = _notice(NoticeKind.TARGET_BACK, now, name, source, condition.thread)
            notices.append(replace(notice, about=node, opens=False, closes=True, text=_lasted(condition)))
            del known[name]
        elif condition.reported is None and node not in reported and now - condition.since >= REPORT_AFTER_SECONDS:
            notice = _notice(NoticeKind.TARGET_UNREACHABLE, now, name, source, None)
            notices.append(replace(notice, about=node))
            _note(known, [name], now, notice.thread)
    return notices


def _settings(status: Status, known: dict[str, Condition], source: NoticeSource) -> list[Notice]:
    name, now = f"{SETTINGS}/", status.time
    condition = known.get(name)
    if condition is None:
        return []
    if condition.gone is not None:
        notice = _notice(NoticeKind.SETTINGS_ACCEPTED, now, SETTINGS, source, condition.thread)
        del known[name]
        return [replace(notice, opens=False, closes=True)]
    if condition.reported is not None or now - condition.since < REPORT_AFTER_SECONDS:
        return []
    notice = _notice(NoticeKind.SETTINGS_REJECTED, now, SETTINGS, source, None)
    _note(known, [name], now, notice.thread)
    return [replace(notice, text="\n".join(status.config.problems))]


def _lasted(condition: Condition) -> str:
    return f"It had been silent for {round(((condition.gone or 0.0) - condition.since) / 60)} minutes."


def _note(known: dict[str, Condition], names: Iterable[str], now: float, thread: str) -> None:
    for name in names:
        known[name] = replace(known[name], reported=now, thread=thread)


def _notice(kind: NoticeKind, now: float, what: str, source: NoticeSource, thread: str | None) -> Notice:
    key = source.key(what, now, source.number)
    return Notice(key, kind, kind.facts.severity, now, source.node, thread or key)
