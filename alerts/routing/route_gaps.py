"""What no notification target reports, although its settings are valid. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from alerts.notice import NoticeKind, Severity
from alerts.routing.quiet_hours import Window
from alerts.routing.routes import Match, Quiet, Route
from alerts.text import first_of
from replicator.models import Job, JobId

_MOST_JOBS = 5
_DAY_MINUTES = 24 * 60


def route_gaps(routes: Mapping[str, Route], jobs: Sequence[Job]) -> Iterator[str]:
    """Return sentences about what is valid and hardly meant.

    Args:
        routes: of the targets that get messages, by name.
        jobs: of this node; those that promise nothing do not count.
    """
    promised = [job for job in jobs if not job.disabled and job.removal is None]
    if not routes:
        yield "No [[notify]] target is enabled, so zsr itself sends no messages."
        return
    if silent := unreported(routes.values(), promised):
        named = first_of(list(map(str, silent)), _MOST_JOBS)
        yield f"No [[notify]] target gets a message when a promise is broken, of jobs {named}."
    for name, route in routes.items():
        if promised and not any(route.match.wants_job(job.id, job.target) for job in promised):
            yield f"The match of [[notify]] target '{name}' fits no job of this node."
        if route.quiet is not None and _never_ends(route.quiet.window):
            yield f"The quiet hours of [[notify]] target '{name}' never end: what they hold is a week late."


def unreported(routes: Iterable[Route], jobs: Iterable[Job]) -> list[JobId]:
    """Return the jobs whose broken promise no route delivers."""
    matches = [route.match for route in routes if not _drops_all(route.quiet)]
    return [job.id for job in jobs if not any(_reports(match, job) for match in matches)]


def _drops_all(quiet: Quiet | None) -> bool:
    """Return whether quiet hours that never end drop critical messages."""
    return quiet is not None and quiet.drop and quiet.below is None and _never_ends(quiet.window)


def _reports(match: Match, job: Job) -> bool:
    """Return whether a broken promise of a job matches."""
    return (
        (not match.severity or Severity.CRITICAL in match.severity)
        and (not match.event or NoticeKind.RPO_BREACHED in match.event)
        and match.wants_job(job.id, job.target)
    )


def _never_ends(window: Window) -> bool:
    return window.minutes == _DAY_MINUTES and len(window.days) == 7
