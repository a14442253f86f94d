"""Routes: which notices a target gets, and when (the keys `ROUTE_KEYS` of ``[[notify]]``). Pure.

`read_route` returns all problems at once; `reasons_against` explains why a route does not want a notice.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import tzinfo
from typing import Any, TypeVar

from alerts.notice import Notice, NoticeKind, Severity
from alerts.routing.quiet_hours import Window
from alerts.subject import Subject
from replicator.api.problem import Problem
from replicator.config.problems import shown
from replicator.errors import ConfigError
from replicator.ids import parse_guest
from replicator.models import GuestId, JobId
from replicator.schedule.calendar import CalendarEvent

T = TypeVar("T")

ROUTE_KEYS = ("match", "quiet", "repeat", "digest", "heartbeat")
MATCH_KEYS = ("severity", "event", "guest", "job", "target")

_SLOT = re.compile(
    r"(?P<pace>daily|weekly)(?:\s+(?P<day>mon|tue|wed|thu|fri|sat|sun))?(?:\s+(?P<time>[0-9]{1,2}:[0-9]{2}))?", re.ASCII
)
_SLOT_ALLOWED = "'off', 'daily', 'daily 08:00', 'weekly' or 'weekly mon 08:00'"


@dataclass(frozen=True, slots=True)
class Match:
    """The notices that a route wants; an empty set matches all."""

    severity: frozenset[Severity] = frozenset()
    event: frozenset[NoticeKind] = frozenset()
    guest: frozenset[GuestId] = frozenset()
    job: frozenset[JobId] = frozenset()
    target: frozenset[str] = frozenset()

    def wants_job(self, job: JobId, target: str) -> bool:
        """Whether the route covers a job that replicates to a target node."""
        return not any(self.against_job(job, target))

    def against_job(self, job: JobId, target: str) -> Iterator[str]:
        """Why the route does not cover a job; nothing if it does."""
        if self.guest and job.guest not in self.guest:
            yield f"guest {job.guest} is not one of {_listed(self.guest)}"
        if self.job and job not in self.job:
            yield f"job {job} is not one of {_listed(self.job)}"
        if self.target and target not in self.target:
            yield f"target {target or '(unknown)'} is not one of {_listed(self.target)}"


@dataclass(frozen=True, slots=True)
class Quiet:
    """Hours in which nothing is sent: messages are held until they are over, or dropped.

    ``below``: only messages that are less severe than that; None: all.
    """

    window: Window
    drop: bool = False
    below: Severity | None = None


@dataclass(frozen=True, slots=True)
class Repeat:
    """Which failures in a row are reported at once, and when those that last are reported again (None: never).

    They are counted as the retry ladder makes them: a job of each minute reports its second failure after 5 minutes and
    its third one after 15, like any other.
    """

    failures: frozenset[int] = frozenset({1, 2, 3})
    then: CalendarEvent | None = field(default_factory=lambda: CalendarEvent.parse("08:00"))

    def due(self, before: int, step: int, reported: bool) -> bool:
        """Whether a failure is reported at once.

        Args:
            before: the step of the ladder that the failure before it had reached.
            step: its own.
            reported: whether a failure of its job was reported before it.
        """
        if not self.failures:
            return False
        return any(before < wanted <= step for wanted in self.failures) or (not reported and step > min(self.failures))


@dataclass(frozen=True, slots=True)
class Route:
    """Which notices one target gets, and when.

    ``digest``, ``heartbeat``: when it gets them; None: never. ``every_promise``: whether each broken promise is
    reported, also one that another message implies.
    """

    match: Match = Match()
    quiet: Quiet | None = None
    repeat: Repeat = field(default_factory=Repeat)
    digest: CalendarEvent | None = None
    heartbeat: CalendarEvent | None = None
    every_promise: bool = False

    def wants(self, notice: Notice, now: float, zone: tzinfo) -> bool:
        """Whether the route wants a notice now: it matches, and quiet hours do not drop it."""
        if reasons_against(self.match, notice):
            return False
        quiet = self.quiet
        return quiet is None or not quiet.drop or held_until(quiet, notice.severity, now, zone) is None


def words_of(notice: Notice) -> frozenset[NoticeKind]:
    """The events that a notice matches: one about jobs may also match ``failed``."""
    implied = [NoticeKind.FAILED] if notice.subjects and notice.kind.facts.implies_failure else []
    return frozenset({notice.kind, *implied})


def reasons_against(match: Match, notice: Notice) -> list[str]:
    """Why a route does not want a notice; nothing if it does. Of several jobs, one that is covered is enough."""
    found = []
    if match.severity and notice.severity not in match.severity:
        found.append(f"severity {notice.severity} is not one of {_listed(match.severity)}")
    if match.event and not words_of(notice) & match.event:
        found.append(f"event {notice.kind} is not one of {_listed(match.event)}")
    if notice.subjects:
        against = [list(match.against_job(subject.job, subject.target)) for subject in notice.subjects]
        if all(against):
            found += against[0]
    elif notice.kind is NoticeKind.TARGET_UNREACHABLE and match.target and notice.about not in match.target:
        found.append(f"target {notice.about} is not one of {_listed(match.target)}")
    elif notice.foreign is not None:
        found += _against_labels(match, dict(notice.foreign.labels))
    return found


def _against_labels(match: Match, labels: Mapping[str, str]) -> Iterator[str]:
    wanted: tuple[tuple[str, str, Iterable[object]], ...] = (
        ("guest", labels.get("guest", ""), match.guest),
        ("job", labels.get("zsr_job", ""), match.job),
        ("target", labels.get("target", ""), match.target),
    )
    for what, value, allowed in wanted:
        known = {str(each) for each in allowed}
        if known and value not in known:
            yield f"{what} {value or '(none)'} is not one of {_listed(known)}"


def held_until(quiet: Quiet | None, severity: Severity, now: float, zone: tzinfo) -> float | None:
    """When quiet hours release a message of a severity; None: they do not hold it."""
    order = list(Severity)
    if quiet is None or (quiet.below is not None and order.index(severity) >= order.index(quiet.below)):
        return None
    return quiet.window.end(now, zone)


def wanted_subjects(match: Match, subjects: Iterable[Subject]) -> tuple[Subject, ...]:
    """The jobs that a route covers."""
    return tuple(subject for subject in subjects if match.wants_job(subject.job, subject.target))


def read_route(place: str, table: Mapping[str, object]) -> tuple[Route, list[Problem]]:
    """The route that a ``[[notify]]`` table describes, and the problems of it; ``place`` is where the table stands."""
    problems: list[Problem] = []
    match = _match(f"{place}.match", table.get("match", {}), problems)
    quiet = _quiet(f"{place}.quiet", table.get("quiet"), problems)
    repeat = _repeat(f"{place}.repeat", table.get("repeat", {}), problems)
    digest = _slot(f"{place}.digest", table.get("digest", "off"), problems)
    heartbeat = _slot(f"{place}.heartbeat", table.get("heartbeat", "off"), problems)
    return Route(match, quiet, repeat, digest, heartbeat), problems


def _match(place: str, given: object, problems: list[Problem]) -> Match:
    table = _table(place, given, MATCH_KEYS, problems)
    severities = ", ".join(Severity)
    kinds = ", ".join(kind for kind in NoticeKind if not kind.is_all_clear and kind is not NoticeKind.TEST)
    return Match(
        severity=_set(place, "severity", table, Severity, severities, problems),
        event=_set(place, "event", table, NoticeKind, kinds, problems),
        guest=_set(place, "guest", table, _guest, "a guest's number, 100 or more, or the name of a group", problems),
        job=_set(place, "job", table, _job, "a job id like 100-0", problems),
        target=_set(place, "target", table, _word, "the name of a node", problems),
    )


def _set(
    place: str,
    key: str,
    table: Mapping[str, object],
    read: Callable[[Any], T],
    allowed: str,
    problems: list[Problem],
) -> frozenset[T]:
    given = table.get(key, [])
    found = []
    for value in given if isinstance(given, list) else [given]:
        try:
            found.append(read(value))
        except (ValueError, TypeError, ConfigError):
            problems.append(Problem(f"{place}.{key}", shown(value), f"one or a list of: {allowed}"))
    return frozenset(found)


def _guest(value: object) -> GuestId:
    if isinstance(value, str):
        return parse_guest(value)
    if not isinstance(value, int) or isinstance(value, bool) or value < 100:
        raise ValueError(value)
    return value


def _job(value: object) -> JobId:
    return JobId.parse(_word(value))


def _word(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError(value)
    return value


def _quiet(place: str, given: object, problems: list[Problem]) -> Quiet | None:
    if given is None:
        return None
    table = _table(place, {"window": given} if isinstance(given, str) else given, ("window", "mode", "below"), problems)
    mode, below = table.get("mode", "hold"), table.get("below")
    if mode not in ("hold", "drop"):
        problems.append(Problem(f"{place}.mode", shown(mode), "'hold' or 'drop'"))
    if below is not None and below not in list(Severity):
        problems.append(Problem(f"{place}.below", shown(below), f"one of {', '.join(Severity)}"))
        below = None
    try:
        window = Window.parse(_word(table.get("window")))
    except ValueError as error:
        allowed = str(error) if isinstance(table.get("window"), str) else "a window like '22:00-07:00'"
        problems.append(Problem(f"{place}.window", shown(table.get("window", "(missing)")), allowed))
        return None
    return Quiet(window, drop=mode == "drop", below=None if below is None else Severity(str(below)))


def _repeat(place: str, given: object, problems: list[Problem]) -> Repeat:
    table = _table(place, given, ("failures", "then"), problems)
    failures = table.get("failures", [1, 2, 3])
    if not isinstance(failures, list) or not all(
        isinstance(each, int) and not isinstance(each, bool) and 1 <= each <= 10_000 for each in failures
    ):
        problems.append(Problem(f"{place}.failures", shown(failures), "a list of numbers from 1 on, like [1, 2, 3]"))
        failures = []
    return Repeat(frozenset(failures), _slot(f"{place}.then", table.get("then", "daily 08:00"), problems))


def _slot(place: str, given: object, problems: list[Problem]) -> CalendarEvent | None:
    if given == "off":
        return None
    match = _SLOT.fullmatch(given.strip().lower()) if isinstance(given, str) else None
    if match is not None and not (match["pace"] == "daily" and match["day"]):
        day = f"{match['day'] or 'mon'} " if match["pace"] == "weekly" else ""
        with suppress(ConfigError):
            return CalendarEvent.parse(f"{day}{match['time'] or '08:00'}")
    problems.append(Problem(place, shown(given), _SLOT_ALLOWED))
    return None


def _table(place: str, given: object, keys: Iterable[str], problems: list[Problem]) -> Mapping[str, object]:
    if not isinstance(given, dict):
        problems.append(Problem(place, shown(given), f"a table with {', '.join(keys)}"))
        return {}
    for key in given:
        if key not in keys:
            problems.append(Problem(f"{place}.{key}", "...", f"unknown key; known: {', '.join(keys)}"))
    return given


def _listed(values: Iterable[object]) -> str:
    return ", ".join(sorted(map(str, values)))
