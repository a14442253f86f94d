"""Conditions that last and are no failures: broken promises, silent nodes, rejected settings, and the like. Pure.

Lost replicas, frozen guests and failed drills come from the journal (`losses`, `frozen`, `drills`), others from status.

Each condition is reported once when it has lasted a while, and its end once to the same targets. Conditions are part of
a target's state, so a restart neither repeats nor forgets one. A broken promise that a critical message about failures
already names is not repeated; a warning, or a message about the node at fault, never stands for one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace

from alerts.grouping import disagreements
from alerts.grouping.grouping import Incident
from alerts.grouping.notices import NoticeSource, subject_now, worst_first
from alerts.notice import Notice, NoticeKind, Severity
from alerts.routing.routes import Match
from alerts.subject import Subject
from replicator.api.job_status import JobStatus
from replicator.api.status import Status
from replicator.models import JobId

REPORT_AFTER_SECONDS = 120.0
"""Seconds that a condition lasts before it is reported; the end of a run ends a lag of some seconds."""
SILENT_AFTER_SECONDS = 420.0
"""Seconds for which a node is silent before that is reported: longer than a reboot and the next probe."""
REPEAT_INTERVAL_SECONDS = 900.0
"""Seconds between two messages about promises to one node, so that jobs that break theirs one by one make no flood."""
LOOK_SECONDS = 60.0
"""The longest that a target waits before it looks at the core's status, in seconds."""

PROMISE, NODE, SETTINGS, STATE = "promise", "node", "settings", "state"
LOST, FROZEN, DRILL = "lost", "frozen", "drill"


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
        mentioned: when another critical message reported it, so that it needs none of its own; None: none did.
    """

    since: float
    reported: float | None = None
    thread: str = ""
    gone: float | None = None
    lag: float | None = None
    text: str = ""
    mentioned: float | None = None


Conditions = Mapping[str, Condition]
"""By ``<kind>/<name>``: ``promise/100-0``, ``lost/100-0``, ``frozen/100-0``, ``node/beta``; of the whole node only
``<kind>/``: ``settings/``, ``state/``, ``owners/``, ``files/``.
"""


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
    *,
    every_promise: bool = False,
) -> tuple[list[Notice], dict[str, Condition]]:
    """The notices that are due now for a target, and the conditions after them.

    Args:
        status: of the core.
        conditions: those of the target's last turn.
        incidents: the failures that were reported to the target, by job id.
        match: selects the jobs.
        source: where the notices come from.
        answered: jobs whose failure gets an all-clear, which also says that the promise is kept again.
        every_promise: whether a broken promise is reported in any case and without waiting for others.
    """
    now = status.time
    jobs = [job for job in status.jobs if match.wants_job(job.job.id, job.job.target)]
    seen = {f"{PROMISE}/{job.job.id}" for job in jobs if job.is_promise_broken(now)}
    seen |= {f"{NODE}/{node}" for node in _silent(status, jobs)}
    seen |= disagreements.disputed(status) | {f"{what}/" for what in _wrong_here(status)}
    known = _remembered(conditions, seen, now)
    broken = {name: job for job in jobs if (name := f"{PROMISE}/{job.job.id}") in seen}
    known |= {name: _broken(job, known[name], now, is_new=name not in conditions) for name, job in broken.items()}
    _forget_removed(known, {job.job.id for job in jobs})
    for name in [f"{PROMISE}/{job}" for job in answered]:
        if name in known and known[name].gone is not None:
            del known[name]
    implied = set() if every_promise else _implied(jobs, known)
    notices = _of_jobs(_BREACH, jobs, known, now, source, implied, every=every_promise)
    notices = [_with_silence(notice, status) for notice in notices]
    notices += _nodes(known, incidents, now, source)
    return [*notices, *_of_node(status, known, source), *_disagreements(status, known, source)], known


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
        if name.startswith((f"{LOST}/", f"{FROZEN}/", f"{DRILL}/")):
            known[name] = condition  # the journal says when it is over
        elif name in seen:
            # A clock that was set back must not keep it from being reported.
            known[name] = replace(condition, gone=None, since=min(condition.since, now))
        elif condition.reported is not None:
            known[name] = replace(condition, gone=condition.gone if condition.gone is not None else now)
    return known


def _silent(status: Status, jobs: Iterable[JobStatus]) -> set[str]:
    """The nodes that do not answer and are the target of an enabled job."""
    wanted = {job.job.target for job in jobs if not job.is_disabled}
    return {node for node, answers in status.reachable.items() if not answers and node in wanted}


def _broken(job: JobStatus, condition: Condition, now: float, *, is_new: bool) -> Condition:
    """The condition of a broken promise: since when, and how old the replica got.

    One that broke since the last look began then and not now, so that it is reported in time.
    """
    moment = job.promise_start + job.rpo
    if is_new and not job.is_replica_lost and 0 <= now - moment <= LOOK_SECONDS:
        condition = replace(condition, since=moment)
    if job.state.last_sync is None:
        return condition
    return replace(condition, lag=max(condition.lag or 0.0, now - job.state.last_sync))


def _implied(jobs: Iterable[JobStatus], known: Mapping[str, Condition]) -> set[JobId]:
    """The jobs whose broken promise another critical message has reported: one about it, or about the lost replica."""
    lost = _reported_losses(known)
    late = {job.job.id: known[name] for job in jobs if (name := f"{PROMISE}/{job.job.id}") in known}
    return {job for job, condition in late.items() if condition.mentioned is not None or str(job) in lost}


def mention(notice: Notice, conditions: Conditions, now: float) -> dict[str, Condition]:
    """The conditions after a critical message went out that names the broken promises of its jobs."""
    known = dict(conditions)
    if notice.severity is Severity.CRITICAL:
        for subject in notice.subjects:
            name = f"{PROMISE}/{subject.job}"
            if subject.is_broken(now):
                known[name] = replace(known.get(name, Condition(now)), mentioned=now)
    return known


def revert_reported(notice: Notice, conditions: Conditions) -> dict[str, Condition]:
    """The conditions as if a notice had not been made, because it is not wanted or was given up.

    A condition that is over by then is forgotten; the others are tried again in the next turn.
    """
    its_own = {
        name for name, each in conditions.items() if each.thread == notice.thread and each.reported == notice.time
    }
    named = {f"{PROMISE}/{subject.job}" for subject in notice.subjects}
    known = {}
    for name, condition in conditions.items():
        if name in its_own and condition.gone is not None:
            continue
        reverted = replace(condition, reported=None, thread="") if name in its_own else condition
        known[name] = replace(reverted, mentioned=None) if name in named else reverted
    return known


def next_report(conditions: Conditions) -> float | None:
    """When the first condition that was not reported has lasted long enough, unix time; None without one."""
    waiting = ((name, each) for name, each in conditions.items() if each.reported is None and each.mentioned is None)
    return min((each.since + _patience(name) for name, each in waiting), default=None)


def _patience(name: str) -> float:
    return SILENT_AFTER_SECONDS if name.startswith(f"{NODE}/") else REPORT_AFTER_SECONDS


def _with_silence(notice: Notice, status: Status) -> Notice:
    """A notice of broken promises that says so where their target does not answer."""
    targets = {subject.target for subject in notice.subjects}
    silent = sorted(node for node in targets if status.reachable.get(node) is False)
    if notice.kind is not _BREACH.begins or not silent:
        return notice
    return replace(notice, text=f"Node {silent[0]} does not answer {status.node}.")


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
    *,
    every: bool = False,
) -> list[Notice]:
    """The notices of starts and ends, one for each target node; ``implied`` jobs are in another message already.

    ``every``: a start does not wait for others of its node after a message about them.
    """
    notices = []
    by_node: dict[str, list[JobStatus]] = {}
    for job in jobs:
        if f"{kind.what}/{job.job.id}" in known:
            by_node.setdefault(job.job.target, []).append(job)
    for node, group in sorted(by_node.items()):
        conditions = {job.job.id: known[f"{kind.what}/{job.job.id}"] for job in group}
        reports = [(each.reported, each.mentioned) for each in conditions.values()]
        last = max((moment for pair in reports for moment in pair if moment is not None), default=None)
        new = [job for job in group if conditions[job.job.id].reported is None and job.job.id not in implied]
        ripe = any(now - conditions[job.job.id].since >= kind.report_after for job in new)
        if ripe and (every or last is None or not 0 <= now - last < REPEAT_INTERVAL_SECONDS):
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
            off = kind is _BREACH and any(job.is_disabled or job.job.removal is not None for job in over)
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
        elif condition.reported is None and node not in reported and now - condition.since >= _patience(name):
            notice = _notice(NoticeKind.TARGET_UNREACHABLE, now, name, source, None)
            notices.append(replace(notice, about=node))
            _note(known, [name], now, notice.thread)
    return notices


_OF_NODE = {
    SETTINGS: (NoticeKind.SETTINGS_REJECTED, NoticeKind.SETTINGS_ACCEPTED),
    STATE: (NoticeKind.STATE_UNWRITABLE, NoticeKind.STATE_WRITABLE),
}
"""The events of the start and the end of the conditions of this whole node."""


def _wrong_here(status: Status) -> dict[str, str]:
    """Return the conditions of this whole node, and what a message about each quotes."""
    found = {} if status.config.ok else {SETTINGS: "\n".join(status.config.problems)}
    return found if status.state_unwritable_since is None else {**found, STATE: ""}


def _of_node(status: Status, known: dict[str, Condition], source: NoticeSource) -> list[Notice]:
    quoted = _wrong_here(status)
    return [each for what in _OF_NODE for each in _of_condition(status, known, source, what, quoted.get(what, ""))]


def _of_condition(
    status: Status, known: dict[str, Condition], source: NoticeSource, what: str, text: str
) -> list[Notice]:
    """The notice of a condition of this whole node; ``text`` is what it quotes."""
    name, now = f"{what}/", status.time
    begins, ends = _OF_NODE[what]
    condition = known.get(name)
    if condition is None:
        return []
    if condition.gone is not None:
        notice = _notice(ends, now, what, source, condition.thread)
        del known[name]
        return [replace(notice, opens=False, closes=True)]
    if condition.reported is not None or now - condition.since < REPORT_AFTER_SECONDS:
        return []
    notice = _notice(begins, now, what, source, None)
    _note(known, [name], now, notice.thread)
    return [replace(notice, text=text)]


def _disagreements(status: Status, known: dict[str, Condition], source: NoticeSource) -> list[Notice]:
    """The notices of nodes that disagree; what is among the conditions has lasted long enough."""
    notices, now = [], status.time
    for kind in disagreements.KINDS:
        condition, key = known.get(kind.name), source.key(kind.name.rstrip("/"), now, source.number)
        if condition is not None and condition.gone is not None:
            notices.append(disagreements.ending(kind, status, key, condition.thread))
            del known[kind.name]
        elif condition is not None and condition.reported is None:
            notices.append(disagreements.beginning(kind, status, key))
            _note(known, [kind.name], now, key)
    return notices


def _lasted(condition: Condition) -> str:
    return f"It had been silent for {round(((condition.gone or 0.0) - condition.since) / 60)} minutes."


def _note(known: dict[str, Condition], names: Iterable[str], now: float, thread: str) -> None:
    for name in names:
        known[name] = replace(known[name], reported=now, thread=thread)


def _notice(kind: NoticeKind, now: float, what: str, source: NoticeSource, thread: str | None) -> Notice:
    key = source.key(what, now, source.number)
    return Notice(key, kind, kind.facts.severity, now, source.node, thread or key)
