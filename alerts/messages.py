"""The words of a message: from a notice to a title and a plain text. Pure functions.

Written for somebody who is woken by it: which guest and what stands in the first 60 characters, then what happened,
since when, what would be lost now, when it is tried next and what to do.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from enum import StrEnum

from alerts.notice import Notice, NoticeKind, Subject

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
    """What is sent: one line, and lines of plain text. ``key`` is that of the notice it tells."""

    kind: Kind
    title: str
    body: str
    key: str = ""


def failure(notice: Notice, job: Subject, now: float, zone: tzinfo) -> tuple[str, list[str]]:
    """Title and lines about one job that fails, or whose promise is broken."""
    source, target = one_line(job.source), one_line(job.target) or "its target"
    deed = "removal" if job.removing else "replication"
    if notice.kind is NoticeKind.RPO_BREACHED:
        title = f"{_short_guest(job)}: promise broken, to {shortened(target)}"
        begin = f"Job {job.job}: the replica of {guest_of(job)} on {target} is older than promised."
    else:
        verb = "still fails" if job.consecutive > 3 else "failed"
        title = f"{_short_guest(job)}: {deed} {verb} ({job.error_class}), to {shortened(target)}"
        times = "" if job.consecutive == 1 else f" for the {ordinal(job.consecutive)} time in a row"
        begin = f"Job {job.job}: {deed} of {guest_of(job)} from {source} to {target} failed{times}."
    lines = [begin, ""]
    if job.message:
        lines.append(f"What happened: {one_line(job.message)} (class: {job.error_class})")
    if job.failing_since is not None:
        lines.append(f"Failing since: {when(job.failing_since, now, zone)}")
    lines += [
        lost_now(job, now, zone),
        f"Next try: {_next_try(job.next_run, now, zone)}",
        f"What to do: {one_line(job.advice) or 'Look at the log of the run.'}",
        f"Log of the run: zsr log {job.job}",
    ]
    return title, lines


def recovery(notice: Notice, job: Subject, now: float, zone: tzinfo) -> tuple[str, list[str]]:
    """Title and lines about one job that is well again."""
    source, target = one_line(job.source), one_line(job.target) or "its target"
    kept = notice.kind is NoticeKind.RPO_KEPT
    what = "promise is kept again" if kept else "replication is well again"
    title = f"{_short_guest(job)}: {what}, to {shortened(target)}"
    lines = [f"Job {job.job}: {guest_of(job)} is replicated from {source} to {target} again.", ""]
    if job.last_sync is not None:
        lines.append(f"Last sync: {when(job.last_sync, now, zone)}")
    if job.failing_since is not None:
        lasted, verb = duration(notice.time - job.failing_since), "late" if kept else "failing"
        lines.append(f"It had been {verb} since {clock_time(job.failing_since, zone)}, for {lasted}.")
    if not kept:
        lines.append(f"Failed runs: {job.consecutive}")
    if job.worst_lag is not None:
        promise = f" (promised: {duration(job.rpo)})" if job.rpo is not None else ""
        lines.append(f"The replica was up to {duration(job.worst_lag)} old meanwhile{promise}.")
    lines.append("There is nothing to do.")
    return title, lines


def sample_message(target: str, node: str) -> Message:
    """The message of ``zsr notify test``."""
    body = [
        f"This is a test from zsr on {one_line(node)} through the target '{target}'.",
        "",
        "If you can read this, messages about failing replication will arrive here. There is nothing to do.",
    ]
    return Message(Kind.TEST, f"zsr test message from {one_line(node)}", "\n".join(body))


def lost_now(job: Subject, now: float, zone: tzinfo) -> str:
    """What a dead source would cost at this moment, in words."""
    source, target = one_line(job.source), one_line(job.target) or "its target"
    if job.last_sync is None:
        return f"If {source} died now: {guest_of(job)} would be lost; there is no replica on {target} yet."
    age = max(0.0, now - job.last_sync)
    sentence = f"If {source} died now, {guest_of(job)} would fall back to "
    if job.rpo is None:
        return f"{sentence}{when(job.last_sync, now, zone)}."
    broken = " The promise is broken." if age > job.rpo else ""
    return f"{sentence}{clock_time(job.last_sync, zone)} ({distance(-age)}; promised: {duration(job.rpo)}).{broken}"


def guest_of(job: Subject) -> str:
    """``guest 100 web``; a removed job has only its number left."""
    return f"guest {job.guest} {one_line(job.guest_name)}".rstrip()


def _short_guest(job: Subject) -> str:
    return f"Guest {job.guest} {shortened(one_line(job.guest_name))}".rstrip()


def when(moment: float, now: float, zone: tzinfo) -> str:
    """A time with its distance from now."""
    return f"{clock_time(moment, zone)} ({distance(moment - now)})"


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


def shortened(node: str) -> str:
    """A name, cut where it would push the rest of a title out of sight."""
    return node if len(node) <= _NAME_SHOWN else f"{node[: _NAME_SHOWN - 1]}…"


def _next_try(next_run: float | None, now: float, zone: tzinfo) -> str:
    if next_run is None:
        return "none is planned."
    return when(next_run, now, zone) if next_run > now else "now, as soon as its turn comes"


def foot(notice: Notice, now: float, zone: tzinfo) -> list[str]:
    """The last lines of a message: whether it comes late, who sends it, and in which zone its times are."""
    lines = [""]
    if now - notice.time > LATE_AFTER:
        lines.append(f"This message comes late: it happened {when(notice.time, now, zone)}.")
    zone_name = datetime.fromtimestamp(now, UTC).astimezone(zone).tzname()
    lines.append(f"Sent by zsr on {one_line(notice.node)}; times are in {zone_name}.")
    return lines
