"""Fleets for tests of the dashboards: two scripted daemons behind real exporters, scraped by a real Prometheus.

In `fleet` alpha runs one job in each condition, and 110-0 that failed from the start and has no copy at all; beta is
only a target. Halfway two runs end on alpha, so that counters have grown while Prometheus was looking. In `calm` all
is well.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from replicator.api.job_status import JobStatus
from replicator.api.status import Status
from replicator.errors import ErrorClass
from tests.support.dashboards import substituted
from tests.support.drills import passed_drill
from tests.support.exporting import running_exporter
from tests.support.moved_guests import MOVED, MOVING
from tests.support.prometheus import Found, Prometheus, prometheus
from tests.support.statuses import (
    LOOK,
    FakeCore,
    covered,
    every_state,
    failing,
    healthy,
    held_replica,
    histogram,
    status,
)


@dataclass(frozen=True, slots=True)
class Fleet:
    """What a test asks; ``now`` is the moment that the scripted states are relative to."""

    prometheus: Prometheus
    alpha: str
    beta: str
    now: float

    async def ask(self, expression: str, **variables: str) -> list[Found]:
        """The answer to a panel's query; every variable is "All" if not given."""
        return await self.prometheus.query(substituted(expression, **variables))


def _alpha(now: float, jobs: tuple[JobStatus, ...]) -> Status:
    found = status(*jobs, now=now, reachable={"beta": True, "gamma": False}, queue_length=2, scheduler_lag=70.0)
    drill = replace(passed_drill(), clones_since=now - 60)
    return replace(
        found, coverage=covered(*jobs), targets={"delta": LOOK}, drills=(drill,), moves=(MOVED,), moving=(MOVING,)
    )


def _beta(now: float) -> Status:
    held = [(100, now - 300), (102, now - 5400), (110, now - 200_000)]
    return replace(
        status(now=now, reachable={"alpha": True}),
        node="beta",
        replicas=tuple(held_replica(guest, "alpha", taken) for guest, taken in held),
        diverged={100: 0, 102: 1},
    )


def _later(now: float, jobs: tuple[JobStatus, ...]) -> Status:
    """100-0 has succeeded once more and sent 50 MB, 102-0 has failed once more."""
    well, failed = jobs[0], jobs[2]
    sent = well.sent_bytes_total + 50_000_000
    grown = replace(
        well,
        state=replace(well.state, runs_succeeded=well.state.runs_succeeded + 1, sent_bytes_total=sent),
        sent_bytes_total=sent,
    )
    worse = replace(
        failed,
        state=replace(
            failed.state,
            runs_failed=failed.state.runs_failed + 1,
            consecutive_failures=4,
            errors=((ErrorClass.NETWORK, 4),),
        ),
        missed_runs=failed.missed_runs + 1,
    )
    after = _alpha(now, (grown, jobs[1], worse, *jobs[3:]))
    return replace(after, durations={**after.durations, "success": histogram((2.0, 12.5, 45.0, 36.0))})


@asynccontextmanager
async def fleet(directory: Path) -> AsyncIterator[Fleet]:
    """Run the fleet and its Prometheus while the context lasts."""
    now = time.time()
    jobs = (*every_state(now=now), failing("110-0", now=now, ever_synced=False))
    core = FakeCore(_alpha(now, jobs))
    async with (
        running_exporter(core) as alpha,
        running_exporter(FakeCore(_beta(now))) as beta,
        prometheus(directory, [alpha, beta]) as server,
    ):
        await server.until(f'count_over_time(zsr_job_info{{instance="{alpha}", zsr_job="110-0"}}[1m]) > 2')
        core.picture = _later(now, jobs)
        await server.until('increase(zsr_job_runs_total{zsr_job="100-0", outcome="success"}[1h]) > 0')
        await server.scraped_again()
        yield Fleet(server, alpha, beta, now)


@asynccontextmanager
async def calm(directory: Path) -> AsyncIterator[Fleet]:
    """A fleet in which all is well and nothing happens just now: two jobs from alpha to beta, no notifications set."""
    now = time.time()
    jobs = (healthy("100-0", now=now), healthy("101-0", now=now))
    held = tuple(held_replica(guest, "alpha", now - 300) for guest in (100, 101))
    source = replace(status(*jobs, now=now), replicas=(), diverged={}, coverage=covered(*jobs))
    source = replace(source, drills=(passed_drill(),), moves=(MOVED,), moving=(replace(MOVING, since=now - 30),))
    target = replace(status(now=now, reachable={"alpha": True}), node="beta", replicas=held, diverged={100: 0, 101: 0})
    async with (
        running_exporter(FakeCore(source)) as alpha,
        running_exporter(FakeCore(target)) as beta,
        prometheus(directory, [alpha, beta]) as server,
    ):
        await server.until("count(count_over_time(zsr_build_info[1m]) > 2) == 2")
        yield Fleet(server, alpha, beta, now)
