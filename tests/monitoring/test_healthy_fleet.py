"""A healthy, busy fleet of real daemons on a virtual clock has no alert and no message; a broken promise has both.

`make proof` plays ten times the jobs for a whole day (`tests.monitoring.healthy_fleet`).
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Set
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from alerts.notice import NoticeKind
from replicator.models import JobId
from tests.monitoring.healthy_fleet import reports
from tests.support.busy_fleet import Story, play
from tests.support.virtual_fleet import SCRAPE, Fleet

pytestmark = pytest.mark.prometheus

LIMIT = 500.0
"""Seconds that promtool may take on a busy machine."""


def played(jobs: int, hours: float, story: Story | None = None) -> tuple[Fleet, Set[str]]:
    """A fleet and its alerts; in a folder with a short name, since it has sockets in it."""
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        fleet = play(folder, jobs, hours, story=story) if story else play(folder, jobs, hours)
        return fleet, fleet.series.alerts(folder, SCRAPE, LIMIT)


def names(alerts: Set[str]) -> set[str]:
    return {found[1] for each in alerts if (found := re.search(r'alertname="(\w+)"', each))}


def test_all_that_happens_in_a_healthy_fleet_raises_no_alert_and_sends_no_message() -> None:
    fleet, alerts = played(20, 6)
    assert alerts == set()
    assert list(reports(fleet)) == []
    assert fleet.starts == 3 + 1 + 1 + 3 + 1
    assert fleet.world.runs > 400
    failed = {job.job for notice in fleet.notices["all"] for job in notice.subjects}
    assert failed, "runs failed, and were reported to those who want it"
    assert JobId(900, 0) in fleet.world.jobs
    assert fleet.world.copies["beta", 900]


async def one_breaks(fleet: Fleet, seconds: float) -> None:
    await asyncio.sleep(seconds / 3)
    fleet.world.broken.add(JobId(100, 0))


def test_a_broken_promise_is_seen_by_both() -> None:
    fleet, alerts = played(6, 3, one_breaks)
    assert "ZsrRpoBreached" in names(alerts)
    assert all('zsr_job="100-0"' in alert for alert in alerts), "and only that job's"
    assert {notice.kind for notice in fleet.notices["third failure"]} == {NoticeKind.FAILED}
    assert list(reports(fleet))


async def in_local_time(fleet: Fleet, seconds: float) -> None:
    job = fleet.world.jobs[JobId(100, 0)]
    fleet.world.jobs[job.id] = replace(job, schedule="*/15")
    fleet.write()


def test_quarters_of_an_hour_in_local_time_break_their_promise_in_the_night_in_autumn() -> None:
    """As docs/calendar.md and docs/monitoring.md say: the schedule has a gap of 75 minutes then."""
    _, alerts = played(4, 4, in_local_time)
    assert "ZsrRpoBreached" in names(alerts)
    assert all('zsr_job="100-0"' in alert for alert in alerts), "and only that job's"
