"""The grace of replicas whose volumes vanished: what counts of the time that they wait, and when it ends. Pure.

The clock is not trusted with the only copy of a volume. Only the time between two runs that both saw the volume gone
counts, and of a longer time between them only so much as the schedule explains. A clock that was set back starts the
grace again. A grace of more than a day is announced, and ends at the earliest when another day has counted. That is
announced again after a time in which no run saw the volume gone: the node was off, or this record is of a backup.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from math import inf

from replicator.common.clocks import CLOCK_SLACK_SECONDS
from replicator.common.durations import words
from replicator.models import Job, Vanished
from replicator.schedule.calendar import CalendarEvent
from replicator.schedule.scheduler import rpo

NEVER = inf
"""The grace of a job that keeps the replicas of vanished volumes until a person destroys them."""
DAY_SECONDS = 86400.0
"""Seconds before its end at which a grace is announced; so many of the time between two runs always count."""
NEW_GRACE_SECONDS = 7 * DAY_SECONDS
"""The grace of a job that ``zsr create-local-job`` makes."""
COUNT_SECONDS = 3600.0
"""Seconds after which waiting is counted again, and after which the end of a grace is tried again."""


@dataclass(frozen=True, slots=True)
class Terms:
    """A job's terms for vanished replicas.

    Attributes:
        grace: the seconds for which one is kept; `NEVER`: until a person destroys it.
        gap: the seconds that may lie between two runs, by the schedule.
    """

    grace: float
    gap: float = 0.0


def described_wait(job: Job, former: str, since: float, now: float) -> str:
    """Return the sentence about a job's former ``keep``, which another replaced ``since`` (unix times)."""
    rest = "" if job.grace == NEVER else f" for another {words(max(0.0, since + job.grace - now))}"
    return (
        f"keep was changed from '{former}' to '{job.keep}' in the cluster file: what '{former}' wants is kept{rest}; "
        f"to destroy it at once: zsr update {job.id} --keep {job.keep}"
    )


def terms_of(job: Job, now: float) -> Terms:
    """Return a job's terms for vanished replicas, with the gap of its schedule from ``now`` on (unix time)."""
    return Terms(job.grace, rpo(CalendarEvent.parse(job.schedule), None, now))


def sight(known: Vanished | None, dataset: str, guid: int, terms: Terms, now: float) -> Vanished:
    """Return the record of a replica whose volume a run sees gone ``now`` (unix time).

    Args:
        known: the record so far, of a dataset of this name.
        dataset: the name of the replica.
        guid: its GUID.
        terms: the job's.
        now: the unix time.
    """
    if known is None or known.guid != guid:
        counted = Vanished(dataset, guid, now, now)
    elif now < known.seen - CLOCK_SLACK_SECONDS:
        counted = Vanished(dataset, guid, min(known.since, now), now)
    elif now - known.seen < COUNT_SECONDS:
        counted = replace(known, ending=False)
    else:
        counted = replace(known, seen=now, waited=known.waited + _counted(now - known.seen, terms), ending=False)
        if terms.grace > DAY_SECONDS and now - known.seen > 2 * _most_counted(terms):
            return last_day(counted, terms)  # the next run announces it
    if counted.kept and not is_over(counted, terms):  # the grace was made longer
        counted = replace(counted, kept="")
    return _announced(counted, terms)


def waited_on(seen: float, waited: float, terms: Terms, now: float) -> tuple[float, float]:
    """Return when something was last seen to wait, and how long it has waited (seconds), if a run sees it ``now``.

    ``seen`` and ``waited`` are the same as of the run before. A clock that was set back begins the wait again.
    """
    if now < seen - CLOCK_SLACK_SECONDS:
        return now, 0.0
    return max(now, seen), waited + _counted(now - seen, terms)


def _counted(passed: float, terms: Terms) -> float:
    return min(max(passed, 0.0), _most_counted(terms))


def _most_counted(terms: Terms) -> float:
    return max(DAY_SECONDS, terms.gap)


def _announced(seen: Vanished, terms: Terms) -> Vanished:
    begin = terms.grace - DAY_SECONDS
    if begin <= 0 or seen.waited < begin or _is_announced(seen, terms):
        return seen
    return replace(seen, announced=seen.waited)


def _is_announced(seen: Vanished, terms: Terms) -> bool:
    """Return whether the end of this grace was announced; a grace that was made longer since needs it again."""
    return seen.announced is not None and seen.announced >= terms.grace - DAY_SECONDS


def left(seen: Vanished, terms: Terms) -> float:
    """Return the seconds that a grace still lasted when it was last counted; `NEVER`: it has no end."""
    if terms.grace == NEVER:
        return NEVER
    needed = terms.grace
    if terms.grace > DAY_SECONDS and _is_announced(seen, terms):
        needed = max(terms.grace, (seen.announced or 0.0) + DAY_SECONDS)
    return max(0.0, needed - seen.waited)


def end_of(seen: Vanished, terms: Terms) -> float | None:
    """Return when a grace ends, if runs go on as scheduled (unix time); None: never."""
    rest = left(seen, terms)
    return None if rest == NEVER else seen.seen + rest


def is_over(seen: Vanished, terms: Terms) -> bool:
    """Return whether a grace is over, as it was last counted."""
    announced = terms.grace <= DAY_SECONDS or _is_announced(seen, terms)
    return announced and left(seen, terms) <= 0


def is_due(seen: Vanished, terms: Terms, now: float) -> bool:
    """Return whether a run should try to end a grace ``now``; one whose replica had to stay is tried once an hour."""
    return is_over(seen, terms) and (not seen.kept or seen.seen == now)


def is_announced_again(seen: Vanished, terms: Terms) -> bool:
    """Return whether the end of a grace must be announced again: what kept the replica in spite of its end is over."""
    return bool(seen.kept) and terms.grace > DAY_SECONDS


def last_day(seen: Vanished, terms: Terms) -> Vanished:
    """Return the record of a replica whose grace has a last day again, which will be announced."""
    waited = min(seen.waited, max(0.0, terms.grace - DAY_SECONDS))
    return replace(seen, waited=waited, announced=None, ending=False, kept="")


def nearest_end(vanished: Iterable[Vanished], terms: Terms) -> float | None:
    """Return when the first of several graces ends; those whose replicas stay in spite of it do not count."""
    ends = (end_of(each, terms) for each in vanished if not each.kept)
    return min((end for end in ends if end is not None), default=None)


def sights(
    known: Iterable[Vanished], found: Mapping[str, int], unread: Collection[str], terms: Terms, now: float
) -> tuple[Vanished, ...]:
    """Return the records after a run, sorted by name.

    Args:
        known: those before it.
        found: the replicas whose volumes it saw gone, with their GUIDs.
        unread: paths on the target that it could not read; what is there stays as it was.
        terms: the job's.
        now: the unix time.
    """
    before = {each.dataset: each for each in known}
    after = {name: sight(before.get(name), name, guid, terms, now) for name, guid in found.items()}
    for name, each in before.items():
        if name not in after and any(name.startswith(f"{path}/") for path in unread):
            after[name] = each
    return tuple(after[name] for name in sorted(after))
