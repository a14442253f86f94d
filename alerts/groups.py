"""The words of a message about several jobs with one cause: a silent node, or failures of one moment. Pure.

The title says what is wrong with whom; the text lists the guests, those first whose promise breaks first.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import tzinfo

from alerts.messages import Kind, Message, clock_time, distance, duration, foot, one_line, shortened
from alerts.policy import Telling, worst_lag
from replicator.events import RunFailed, RunSucceeded
from replicator.plugins import JobStatus, Status

LISTED = 25
"""Guests that a message lists; of more it says how many there are."""


def group_message(telling: Telling, status: Status, *, zone: tzinfo | None = None) -> Message:
    """Tell of all events of a telling with more than one job."""
    return _failures(telling, status, zone) if telling.is_failure else _recoveries(telling, status, zone)


def _failures(telling: Telling, status: Status, zone: tzinfo | None) -> Message:
    events = [event for _, event in telling.events if isinstance(event, RunFailed)]
    first = events[0]
    target = _target(telling, status)
    jobs = _jobs([*(str(event.job) for event in events), *telling.along], status)
    title = f"{len(jobs)} guests: replication fails ({first.error_class}), to {shortened(target)}"
    still = "" if first.consecutive <= 1 else " still"
    lines = [f"Replication from {one_line(status.node)} to {one_line(target)} fails{still} ({len(jobs)} jobs).", ""]
    lines += [
        f"What happened: {one_line(first.message)} (class: {first.error_class})",
        f"Failing since: {_when(min(event.failing_since for event in events), status, zone)}",
        f"What to do: {one_line(first.advice) or 'Look at the logs of the runs.'}",
    ]
    if telling.node:
        others = [each for each in status.jobs if each.job.target == telling.node and not each.job.disabled]
        if len(others) > len(jobs):
            lines.append(f"{len(others)} jobs replicate to {one_line(target)}; none of the others is told one by one.")
    lines += ["", f"If {one_line(status.node)} died now, these would fall back to:"]
    lines += _listed(jobs, status, zone)
    lines += ["", "While it goes on, one message a day follows, and one when all are well again."]
    number = telling.events[0][0]
    body = "\n".join(lines + foot(first.time, status, zone))
    return Message(Kind.FAILED, one_line(title), body, None, number)


def _recoveries(telling: Telling, status: Status, zone: tzinfo | None) -> Message:
    events = [event for _, event in telling.events if isinstance(event, RunSucceeded)]
    target = _target(telling, status)
    title = f"{len(events)} guests: replication is well again, to {shortened(target)}"
    lines = [f"All {len(events)} jobs to {one_line(target)} that had failed are well again.", ""]
    began = [event.failing_since for event in events if event.failing_since is not None]
    if began:
        end = max(event.time for event in events)
        lines.append(f"They had been failing since {clock_time(min(began), zone)}, for {duration(end - min(began))}.")
    lines.append(f"Failed runs: {sum(event.recovered_after for event in events)}")
    lags = [(worst_lag(event, telling.incidents.get(str(event.job))), event) for event in events]
    known = [(lag, event) for lag, event in lags if lag is not None]
    if known:
        lag, event = max(known, key=lambda each: each[0])
        job = status.job(event.job)
        promise = f" (promised: {duration(job.rpo)})" if job is not None else ""
        lines.append(f"The oldest replica was that of guest {event.job.guest}, up to {duration(lag)} old{promise}.")
    lines += ["There is nothing to do.", "", "Guests: " + _names(events)]
    number = telling.events[0][0]
    body = "\n".join(lines + foot(max(event.time for event in events), status, zone))
    return Message(Kind.RECOVERED, one_line(title), body, None, number)


def _target(telling: Telling, status: Status) -> str:
    job = status.job(telling.events[0][1].job)
    return telling.node or (job.job.target if job is not None else "its target")


def _jobs(names: Sequence[str], status: Status) -> list[JobStatus | str]:
    """The jobs by name as they are now, those first that lose most of their promise; a removed one is its name."""
    known = {str(each.job.id): each for each in status.jobs}
    found = [known.get(name, name) for name in dict.fromkeys(names)]
    return sorted(found, key=lambda job: _left(job, status))


def _left(job: JobStatus | str, status: Status) -> float:
    """Seconds until a promise breaks, negative when it is broken; a job without a replica comes first."""
    if isinstance(job, str):
        return float("inf")
    synced = job.lost_if_dead_now
    return float("-inf") if synced is None else synced + job.rpo - status.time


def _listed(jobs: Sequence[JobStatus | str], status: Status, zone: tzinfo | None) -> list[str]:
    lines = [_line(job, status, zone) for job in jobs[:LISTED]]
    if len(jobs) > LISTED:
        lines.append(f"- and {len(jobs) - LISTED} more: zsr status shows all")
    return lines


def _line(job: JobStatus | str, status: Status, zone: tzinfo | None) -> str:
    if isinstance(job, str):
        return f"- job {job}, which is not there any more"
    name = one_line(job.guest.name) if job.guest is not None else ""
    who = f"- guest {job.job.id.guest} {name}".rstrip()
    synced = job.lost_if_dead_now
    if synced is None:
        return f"{who}: nothing, there is no replica yet"
    left = _left(job, status)
    promise = "the promise is broken" if left < 0 else f"the promise breaks {distance(left)}"
    return f"{who}: {clock_time(synced, zone)} ({distance(synced - status.time)}; {promise})"


def _names(events: Sequence[RunSucceeded]) -> str:
    guests = sorted({event.job.guest for event in events})
    shown = ", ".join(map(str, guests[:LISTED]))
    return shown if len(guests) <= LISTED else f"{shown} and {len(guests) - LISTED} more"


def _when(moment: float, status: Status, zone: tzinfo | None) -> str:
    return f"{clock_time(moment, zone)} ({distance(moment - status.time)})"
