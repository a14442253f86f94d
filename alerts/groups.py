"""The words about several jobs: a silent node, failures of one moment, what still fails, or all jobs. Pure.

The title says what is wrong with whom; the text lists the guests, those first whose promise breaks first.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import tzinfo

from alerts.messages import clock_time, distance, duration, guest_of, one_line, shortened, when
from alerts.notice import Notice, NoticeKind, Subject

LISTED = 25
"""Guests that a message lists; of more it says how many there are."""


def failures(notice: Notice, now: float, zone: tzinfo) -> tuple[str, list[str]]:
    """Title and lines about jobs that fail, or whose promise is broken."""
    jobs = notice.subjects
    target = _common([job.target for job in jobs]) or "several nodes"
    kind = _common([job.error_class for job in jobs])
    late = notice.kind is NoticeKind.RPO_BREACHED
    verb = "promise broken" if late else "replication still fails" if _repeats(notice) else "replication fails"
    title = f"{len(jobs)} guests: {verb}{f' ({kind})' if kind and not late else ''}, to {shortened(target)}"
    lines = [f"{title[0].upper()}{title[1:]} from {one_line(notice.node)}.", ""]
    messages = [job for job in jobs if job.message]
    if kind and messages and not late:
        lines += [
            f"What happened: {one_line(messages[0].message)} (class: {kind})",
            f"What to do: {one_line(messages[0].advice) or 'Look at the logs of the runs.'}",
        ]
    began = [job.failing_since for job in jobs if job.failing_since is not None]
    if began and not late:
        lines.append(f"Failing since: {when(min(began), now, zone)}")
    if notice.text:
        lines.append(one_line(notice.text))
    lines += ["", f"If {one_line(notice.node)} died now, these would fall back to:"]
    lines += [_line(job, now, zone) for job in jobs[:LISTED]]
    if len(jobs) > LISTED:
        lines.append(f"- and {len(jobs) - LISTED} more: zsr status shows all")
    return title, [*lines, "", "One message follows when all are well again."]


def recoveries(notice: Notice, zone: tzinfo) -> tuple[str, list[str]]:
    """Title and lines about jobs that are well again."""
    jobs = notice.subjects
    target = _common([job.target for job in jobs]) or "several nodes"
    verb = "promise is kept again" if notice.kind is NoticeKind.RPO_KEPT else "replication is well again"
    title = f"{len(jobs)} guests: {verb}, to {shortened(target)}"
    lines = [f"All {len(jobs)} jobs to {one_line(target)} that had failed are well again.", ""]
    began = [job.failing_since for job in jobs if job.failing_since is not None]
    if began:
        since = min(began)
        lines.append(f"They had been failing since {clock_time(since, zone)}, for {duration(notice.time - since)}.")
    if notice.kind is not NoticeKind.RPO_KEPT:
        lines.append(f"Failed runs: {sum(job.consecutive for job in jobs)}")
    known = [(job.worst_lag, job) for job in jobs if job.worst_lag is not None]
    if known:
        lag, job = max(known, key=lambda each: each[0])
        promise = f" (promised: {duration(job.rpo)})" if job.rpo is not None else ""
        lines.append(f"The oldest replica was that of guest {job.guest}, up to {duration(lag)} old{promise}.")
    guests = sorted({job.guest for job in jobs})
    names = ", ".join(map(str, guests[:LISTED]))
    more = f" and {len(guests) - LISTED} more" if len(guests) > LISTED else ""
    return title, [*lines, "There is nothing to do.", "", f"Guests: {names}{more}"]


def digest_lines(notice: Notice, zone: tzinfo) -> tuple[str, list[str]]:
    """Title and lines of how all jobs are."""
    if notice.digest is None:
        return "How replication is", []
    jobs = notice.digest.lines
    bad = [line for line in jobs if line.condition in ("late", "error")]
    title = (
        f"{len(bad)} of {len(jobs)} jobs of {one_line(notice.node)} are not well"
        if bad
        else (f"All {len(jobs)} jobs of {one_line(notice.node)} are well")
    )
    lines = [f"From {clock_time(notice.digest.begin, zone)} to {clock_time(notice.digest.end, zone)}:", ""]
    for line in jobs:
        synced = line.subject.last_sync
        lag = "no replica yet" if synced is None else f"lag {duration(notice.digest.end - synced)}"
        slowest = "" if line.slowest is None else f", slowest {duration(line.slowest)}"
        runs = f"{line.runs} runs, {line.failures} failed, {line.sent_bytes} bytes{slowest}"
        lines.append(f"- {line.condition}: job {line.subject.job} {guest_of(line.subject)}: {lag}; {runs}")
    return title, lines


def _repeats(notice: Notice) -> bool:
    return notice.kind is NoticeKind.STILL_FAILING and all(job.consecutive > 1 for job in notice.subjects)


def _common(values: Sequence[str]) -> str:
    known = {value for value in values if value}  # a job that is gone has none
    return next(iter(known)) if len(known) == 1 else ""


def _line(job: Subject, now: float, zone: tzinfo) -> str:
    if not job.target:
        return f"- job {job.job}, which is not there any more"
    who = f"- {guest_of(job)}"
    if job.last_sync is None:
        return f"{who}: nothing, there is no replica yet"
    age = f"{clock_time(job.last_sync, zone)} ({distance(job.last_sync - now)}"
    if job.rpo is None:
        return f"{who}: {age})"
    left = job.last_sync + job.rpo - now
    return f"{who}: {age}; {'the promise is broken' if left < 0 else f'the promise breaks {distance(left)}'})"
