"""Planning: the part that is kept of an earlier plan is the same as a new plan."""

from __future__ import annotations

from dataclasses import replace
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replicator.cluster.model import Cluster
from replicator.daemon.active_run import ActiveRun
from replicator.daemon.job_table import plan_jobs
from replicator.daemon.status import CACHE_SECONDS, ScheduledJob, statuses
from replicator.errors import ErrorClass
from replicator.job_choices import Removal
from replicator.models import Failure, Guest, Job, JobId, JobState, KnownSets, Node, Storage, TargetPlace, TargetStorage
from replicator.replication.progress import Progress
from replicator.schedule.scheduler import missed_runs, next_run

NOW = 1_800_000_000.0
QUARTER = 900.0
JOB = JobId(100, 0)
VIENNA = ZoneInfo("Europe/Vienna")

moments = st.floats(min_value=-3 * 86400, max_value=3 * 86400).map(lambda seconds: NOW + seconds)
network = Failure(ErrorClass.NETWORK, "no answer")
states = st.builds(
    JobState,
    created=st.just(NOW),
    last_try=st.one_of(st.just(0.0), moments),
    last_start=moments,
    slots_from=st.one_of(st.just(0.0), moments),
    consecutive_failures=st.integers(0, 5),
    failure=st.sampled_from([None, network]),
    missed_runs=st.integers(0, 3),
)
schedules = st.sampled_from(["*/15", "*:0", "mon..fri 22:30", "2027-01-16 03:00", "*-*-1"])
states = st.one_of(states, states.map(lambda state: replace(state, slots_from=state.last_try)))
jobs = st.builds(
    Job,
    id=st.just(JOB),
    target=st.just("beta"),
    schedule=schedules,
    disabled=st.booleans(),
    timezone=st.sampled_from([None, "UTC"]),
    removal=st.sampled_from([None, Removal.FULL]),
)


def cluster(job: Job) -> Cluster:
    """One job of a guest on alpha."""
    return Cluster(guests={100: Guest(100, "web", "alpha")}, jobs={job.id: job})


def plan(
    of: Cluster,
    state: JobState,
    now: float,
    before: dict[JobId, ScheduledJob] | None = None,
    answered: float | None = None,
) -> dict[JobId, ScheduledJob]:
    """The plan of node alpha."""
    news = {} if answered is None else {"beta": answered}
    return plan_jobs(of, "alpha", {JOB: state}, default_zone=VIENNA, answered=news, now=now, before=before)


def meaning(planned: ScheduledJob) -> object:
    """What a plan says, without when it was made."""
    return planned.job, planned.scheduled, planned.due, planned.idle_status


@given(jobs, states, moments, st.one_of(st.none(), moments), moments, st.one_of(st.none(), moments), st.booleans())
def test_a_plan_with_an_earlier_one_says_what_it_says_without(
    job: Job,
    state: JobState,
    first: float,
    answered_first: float | None,
    second: float,
    answered_second: float | None,
    changed: bool,
) -> None:
    of = cluster(job)
    before = plan(of, state, first, answered=answered_first)
    after = replace(state, missed_runs=state.missed_runs + 1) if changed else state

    again = plan(of, after, second, before, answered_second)

    assert meaning(again[JOB]) == meaning(plan(of, after, second, answered=answered_second)[JOB])


@given(jobs, states, moments)
def test_a_plan_says_when_a_job_is_due_and_what_it_missed(job: Job, state: JobState, now: float) -> None:
    planned = plan(cluster(job), state, now)[JOB]
    scheduled = planned.scheduled
    missed = 0 if job.disabled or job.removal else missed_runs(scheduled.event, scheduled.zone, state.slots_from, now)

    assert planned.due == planned.idle_status.next_run == next_run(scheduled)
    assert planned.idle_status.missed_runs == state.missed_runs + missed


@given(jobs, states, moments, st.floats(min_value=-86400, max_value=86400))
def test_a_status_shows_a_slot_that_passed_at_most_some_seconds_late(
    job: Job, state: JobState, drawn: float, later: float
) -> None:
    planned = plan(cluster(job), state, drawn)
    (shown,) = statuses(planned, {}, drawn + later)
    (right,) = statuses(plan(cluster(job), state, drawn + later), {}, drawn + later)

    assert shown.missed_runs == right.missed_runs or 0 <= later < CACHE_SECONDS


def test_a_job_in_which_nothing_changed_is_the_very_same_object() -> None:
    of, state = cluster(Job(JOB, "beta")), JobState(created=NOW, last_try=NOW, last_start=NOW, slots_from=NOW)
    first = plan(of, state, NOW)
    second = plan(of, state, NOW + 60, first)

    assert second[JOB] is first[JOB]
    assert statuses(second, {}, NOW + 60)[0] is statuses(first, {}, NOW)[0]


@pytest.mark.parametrize("seconds", [QUARTER + 1, -1])
def test_a_slot_that_passed_or_a_clock_set_back_is_planned_again(seconds: float) -> None:
    of, state = cluster(Job(JOB, "beta")), JobState(created=NOW, last_try=NOW, last_start=NOW, slots_from=NOW)
    first = plan(of, state, NOW)

    assert plan(of, state, NOW + seconds, first)[JOB] is not first[JOB]


def test_a_running_job_counts_no_slot_as_missed_and_shows_its_bytes() -> None:
    state = JobState(created=NOW, last_try=NOW, last_start=NOW, slots_from=NOW, missed_runs=2, sent_bytes_total=100)
    planned = plan(cluster(Job(JOB, "beta")), state, NOW + 10 * QUARTER)
    progress = Progress()
    progress.sent_bytes = 7
    active = {JOB: ActiveRun(planned[JOB].job, 1, NOW, progress)}

    (running,) = statuses(planned, active, NOW + 10 * QUARTER)

    assert (running.condition, running.missed_runs, running.sent_bytes_total) == ("syncing", 2, 107)


def test_a_job_is_unconfirmed_from_the_edit_of_its_target_s_address_or_path_until_it_is_taken_back() -> None:
    place = TargetPlace("beta", "10.0.0.12", (TargetStorage("data", "tank", 11),))
    state = JobState(created=NOW, last_sync=NOW, place=place)

    def shown(address: str, path: str, before: dict[JobId, ScheduledJob] | None = None) -> dict[JobId, ScheduledJob]:
        of = replace(
            cluster(Job(JOB, "beta")),
            nodes={"beta": Node("beta", address)},
            storages={"data": Storage("data", path)},
        )
        return plan(of, state, NOW, before)

    first = shown("10.0.0.12", "tank")
    edited = shown("10.0.0.13", "tank", first)
    moved = shown("10.0.0.12", "pool", edited)
    back = shown("10.0.0.12", "tank", moved)

    assert [each[JOB].idle_status.unconfirmed for each in (first, edited, moved, back)] == [False, True, True, False]


@pytest.mark.parametrize(
    ("nodes", "state", "due"),
    [
        (("alpha", "beta", "gamma"), JobState(NOW), None),
        (("alpha", "beta", "gamma"), JobState(NOW, runs_succeeded=1), 0.0),
        (("alpha", "beta", "gamma"), JobState(NOW, sets=KnownSets(taken=(1700000000,))), 0.0),
        (("alpha", "beta"), JobState(NOW), 0.0),
    ],
)
def test_the_removal_of_a_job_without_a_guest_is_left_to_the_node_that_ran_it(
    nodes: tuple[str, ...], state: JobState, due: float | None
) -> None:
    job = Job(JOB, "beta", removal=Removal.FULL)
    gone = Cluster(nodes={name: Node(name, name) for name in nodes}, jobs={JOB: job})
    assert plan(gone, state, NOW)[JOB].due == due
