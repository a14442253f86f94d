"""The words of a message: from an event and the picture of the core to a title and a plain text. Pure functions.

Written for somebody who is woken by it: which guest and what stands in the first 60 characters, then what happened,
since when, what would be lost now, when it is tried next and what to do.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from enum import StrEnum

from alerts.policy import EACH_UP_TO
from replicator.events import RunFailed, RunSucceeded
from replicator.jobs import JobId
from replicator.plugins import JobStatus, Status

TITLE_SEEN = 60
"""Characters of a title that a phone's lock screen shows."""
LATE_AFTER = 300.0
"""Seconds between event and delivery from which on the message says that it comes late."""

_NAME_SHOWN = 18


class Kind(StrEnum):
    """What a message is about; apprise's own types are derived from it."""

    FAILED = "failed"
    RECOVERED = "recovered"
    TEST = "test"


@dataclass(frozen=True, slots=True)
class Message:
    """What is sent: one line, and lines of plain text. ``job`` and ``event`` say what it tells of."""

    kind: Kind
    title: str
    body: str
    job: JobId | None = None
    event: int | None = None


@dataclass(frozen=True, slots=True)
class _Subject:
    """Who a message is about, as far as it is known; a removed job has only its number left."""

    job: JobId
    name: str
    source: str
    target: str
    now: float
    zone: tzinfo | None

    @property
    def guest(self) -> str:
        return f"guest {self.job.guest} {self.name}".rstrip()

    @property
    def short(self) -> str:
        name = self.name if len(self.name) <= _NAME_SHOWN else f"{self.name[: _NAME_SHOWN - 1]}…"
        return f"Guest {self.job.guest} {name}".rstrip()

    def when(self, moment: float) -> str:
        """A time with its distance from now."""
        return f"{clock_time(moment, self.zone)} ({distance(moment - self.now)})"


def failure_message(
    event: RunFailed, status: Status, *, number: int | None = None, zone: tzinfo | None = None
) -> Message:
    """Tell of a failed run. ``zone`` is the zone of the times in the text (None: this machine's)."""
    job = status.job(event.job)
    subject = _subject(event.job, job, status, zone)
    deed = "removal" if job is not None and job.job.removal is not None else "replication"
    first_ones = event.consecutive <= EACH_UP_TO
    verb = "failed" if first_ones else "still fails"
    title = f"{subject.short}: {deed} {verb} ({event.error_class}), to {shortened(subject.target)}"
    times = "" if event.consecutive == 1 else f" for the {ordinal(event.consecutive)} time in a row"
    lines = [
        f"Job {event.job}: {deed} of {subject.guest} from {subject.source} to {subject.target} failed{times}.",
        "",
        f"What happened: {one_line(event.message)} (class: {event.error_class})",
        f"Failing since: {subject.when(event.failing_since)}",
        lost_now(event, job, subject),
        f"Next try: {_next_try(job.next_run if job is not None else event.next_run, subject)}",
        f"What to do: {one_line(event.advice) or 'Look at the log of the run.'}",
        f"Log of the run: zsr log {event.job}",
    ]
    if event.consecutive >= EACH_UP_TO:
        lines += ["", "While it goes on failing, one message a day follows, and one when it is well again."]
    return Message(Kind.FAILED, one_line(title), "\n".join(lines + foot(event.time, status, zone)), event.job, number)


def recovery_message(
    event: RunSucceeded,
    status: Status,
    *,
    worst_lag: float | None = None,
    number: int | None = None,
    zone: tzinfo | None = None,
) -> Message:
    """Tell that a job is well again. ``worst_lag`` is the oldest the replica was meanwhile, in seconds, if known."""
    job = status.job(event.job)
    subject = _subject(event.job, job, status, zone)
    title = f"{subject.short}: replication is well again, to {shortened(subject.target)}"
    lines = [
        f"Job {event.job}: {subject.guest} is replicated from {subject.source} to {subject.target} again.",
        "",
        f"Last sync: {subject.when(event.last_sync)}",
    ]
    if event.failing_since is not None:
        lasted = duration(event.time - event.failing_since)
        lines.append(f"It had been failing since {clock_time(event.failing_since, zone)}, for {lasted}.")
    lines.append(f"Failed runs: {event.recovered_after}")
    if worst_lag is not None:
        promise = f" (promised: {duration(job.rpo)})" if job is not None else ""
        lines.append(f"The replica was up to {duration(worst_lag)} old meanwhile{promise}.")
    lines.append("There is nothing to do.")
    return Message(
        Kind.RECOVERED, one_line(title), "\n".join(lines + foot(event.time, status, zone)), event.job, number
    )


def sample_message(target: str, node: str) -> Message:
    """The message of ``zsr notify test``."""
    body = [
        f"This is a test from zsr on {one_line(node)} through the target '{target}'.",
        "",
        "If you can read this, messages about failing replication will arrive here. There is nothing to do.",
    ]
    return Message(Kind.TEST, f"zsr test message from {one_line(node)}", "\n".join(body))


def lost_now(event: RunFailed, job: JobStatus | None, subject: _Subject) -> str:
    """What a dead source would cost at this moment, in words."""
    synced = job.lost_if_dead_now if job is not None else event.last_sync
    if synced is None:
        return (
            f"If {subject.source} died now: {subject.guest} would be lost; there is no replica on {subject.target} yet."
        )
    age = max(0.0, subject.now - synced)
    sentence = f"If {subject.source} died now, {subject.guest} would fall back to "
    if job is None:
        return f"{sentence}{subject.when(synced)}."
    broken = " The promise is broken." if age > job.rpo else ""
    return f"{sentence}{clock_time(synced, subject.zone)} ({distance(-age)}; promised: {duration(job.rpo)}).{broken}"


def clock_time(moment: float, zone: tzinfo | None) -> str:
    """A time as people write it, ``2026-11-23 08:15:02``."""
    return datetime.fromtimestamp(moment, UTC).astimezone(zone).strftime("%Y-%m-%d %H:%M:%S")


def distance(seconds: float) -> str:
    """How far a moment is away: ``37 minutes ago``, ``in 5 minutes``, ``now``."""
    if abs(seconds) < 1:
        return "now"
    return f"{duration(-seconds)} ago" if seconds < 0 else f"in {duration(seconds)}"


def duration(seconds: float) -> str:
    """A length of time in words, in its two greatest units: ``1 day 3 hours``, ``37 minutes``, ``20 seconds``."""
    whole = max(0, round(seconds))
    if whole >= 3600:
        whole = round(whole / 60) * 60
    elif whole >= 120:
        whole -= whole % 60
    words = []
    for size, unit in ((86400, "day"), (3600, "hour"), (60, "minute"), (1, "second")):
        count, whole = divmod(whole, size)
        if count:
            words.append(f"{count} {unit}{'' if count == 1 else 's'}")
    return " ".join(words[:2]) or "0 seconds"


def ordinal(number: int) -> str:
    """``1st``, ``2nd``, ``3rd``, ``11th``, ``21st``."""
    suffix = "th" if number % 100 in {11, 12, 13} else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{suffix}"


def one_line(text: str) -> str:
    """A text without line breaks and control characters, so that it can stand in a header."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())


def _subject(job_id: JobId, job: JobStatus | None, status: Status, zone: tzinfo | None) -> _Subject:
    if job is None:
        return _Subject(job_id, "", status.node, "its target", status.time, zone)
    name = one_line(job.guest.name) if job.guest is not None else ""
    return _Subject(job_id, name, one_line(job.source), one_line(job.job.target), status.time, zone)


def shortened(node: str) -> str:
    """A node's name, cut where it would push the rest of a title out of sight."""
    return node if len(node) <= _NAME_SHOWN else f"{node[: _NAME_SHOWN - 1]}…"


def _next_try(next_run: float | None, subject: _Subject) -> str:
    if next_run is None:
        return "none is planned."
    return subject.when(next_run) if next_run > subject.now else "now, as soon as its turn comes"


def foot(event_time: float, status: Status, zone: tzinfo | None) -> list[str]:
    """The last lines of a message: whether it comes late, who sends it, and in which zone its times are."""
    lines = [""]
    if status.time - event_time > LATE_AFTER:
        happened = f"{clock_time(event_time, zone)} ({distance(event_time - status.time)})"
        lines.append(f"This message comes late: it happened {happened}.")
    zone_name = datetime.fromtimestamp(status.time, UTC).astimezone(zone).tzname()
    lines.append(f"Sent by zsr on {one_line(status.node)}; times are in {zone_name}.")
    return lines
