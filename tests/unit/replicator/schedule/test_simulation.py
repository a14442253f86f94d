"""The virtual clock: known runs, the same order as the daemon's, and what the runs add up to."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from replicator.models import JobId
from replicator.schedule.calendar import CalendarEvent
from replicator.schedule.scheduler import Scheduled, choose
from replicator.schedule.simulation import Result, Scenario, SimulatedJob, SimulatedRun, Simulation, Tally

SUCCESS, FAILURE, UNREACHABLE = Result.SUCCESS, Result.FAILURE, Result.UNREACHABLE


def job(text: str = "900-0", *outcomes: Result, schedule: str = "*/15", duration: float = 0.0) -> SimulatedJob:
    event = CalendarEvent.parse(schedule)
    return SimulatedJob(JobId.parse(text), "node2", event, UTC, duration=duration, outcomes=outcomes or (SUCCESS,))


@dataclass(frozen=True)
class Played:
    runs: list[SimulatedRun]
    simulation: Simulation

    @property
    def starts(self) -> list[float]:
        return [run.time for run in self.runs]

    def tally(self, text: str = "900-0") -> Tally:
        return self.simulation.tallies[JobId.parse(text)]


def play(*jobs: SimulatedJob, start: float = 1000, end: float = 8200, max_parallel: int = 1) -> Played:
    simulation = Simulation(Scenario(start, end, jobs, max_parallel))
    return Played(list(simulation.play()), simulation)


def test_a_job_that_only_fails_climbs_the_ladder() -> None:
    played = play(job("900-0", FAILURE, schedule="daily"))

    assert played.starts == [1000, 1300, 1900, 2800, 4600, 6400, 8200]
    assert [run.consecutive_failures for run in played.runs] == [1, 2, 3, 4, 5, 6, 7]
    assert [run.next_run for run in played.runs] == [1300, 1900, 2800, 4600, 6400, 8200, 10000]


def test_a_job_that_only_fails_is_tried_at_each_slot_and_between_them_by_the_ladder() -> None:
    played = play(job("900-0", FAILURE), end=4600)

    assert played.starts == [1000, 1300, 1800, 2700, 3600, 4500]
    assert [run.next_run for run in played.runs] == [1300, 1800, 2700, 3600, 4500, 5400]
    assert played.tally().missed_runs == 0


def test_the_first_success_brings_the_schedule_back() -> None:
    played = play(job("900-0", FAILURE, FAILURE, SUCCESS), end=3600)

    assert played.starts == [1000, 1300, 1800, 2700, 3600]
    assert [run.consecutive_failures for run in played.runs] == [1, 2, 0, 0, 0]


class TestFirstCopy:
    def test_it_makes_no_other_job_late(self) -> None:
        played = play(replace(job("900-0"), first_copy=3600), job("901-0", schedule="*/5", duration=60), end=4000)

        assert [run.time for run in played.runs if str(run.job) == "901-0"] == [1000, *range(1200, 4000, 300)]
        assert [run.time for run in played.runs if str(run.job) == "900-0"] == [1000]

    def test_one_goes_on_at_a_time(self) -> None:
        jobs = [replace(job(text), first_copy=1000) for text in ("900-0", "901-0")]

        played = play(*jobs, end=4000)

        assert [(run.time, str(run.job)) for run in played.runs] == [
            (1000, "900-0"), (1000, "901-0"), (2000, "900-0"), (2700, "900-0"),
            (3000, "901-0"), (3600, "900-0"), (3600, "901-0"),
        ]  # fmt: skip

    def test_it_is_the_first_run_that_succeeds(self) -> None:
        one = replace(job("900-0", FAILURE, SUCCESS, duration=10), first_copy=1000)

        played = play(one, end=3600)

        assert played.starts == [1000, 1300, 2300, 2700, 3600]

    def test_it_counts_for_the_promise_and_not_for_the_time_in_which_the_node_is_busy(self) -> None:
        played = play(replace(job("900-0"), first_copy=3600), end=4600)

        assert played.tally().worst_lag == 3600
        assert played.simulation.busy_fraction == 0


def test_a_run_due_at_the_start_and_one_at_the_end_count() -> None:
    assert play(replace(job(), last_try=100), start=900, end=1800).starts == [900, 1800]


def test_a_scenario_may_begin_at_zero_and_last_no_time() -> None:
    assert play(job(), start=0, end=1800).starts == [0, 900, 1800]
    played = play(job(duration=60), start=1000, end=1000)
    assert played.starts == [1000]
    assert played.simulation.busy_fraction == 0


def test_a_disabled_job_never_runs_and_breaks_no_promise() -> None:
    played = play(replace(job(), disabled=True), job("901-0"))

    assert {str(run.job) for run in played.runs} == {"901-0"}
    assert played.tally() == Tally(promise=1800)


def test_a_job_whose_schedule_is_over_runs_once_and_has_no_next_run() -> None:
    assert [(run.time, run.next_run) for run in play(job(schedule="1970-1-1")).runs] == [(1000, None)]


def test_a_run_longer_than_the_interval_is_followed_by_the_next_at_once() -> None:
    played = play(job(duration=1000), end=4000)

    assert played.starts == [1000, 2000, 3000, 4000]


def test_one_run_holds_up_all_others_and_the_earliest_due_goes_first() -> None:
    long = replace(job("900-0", duration=1000), last_try=100)
    early = replace(job("902-0", schedule="*:16"), last_try=100)
    late = replace(job("901-0", schedule="*:17"), last_try=100)

    played = play(late, early, long, start=900, end=1900)

    assert [(str(run.job), run.time) for run in played.runs] == [
        ("900-0", 900),
        ("902-0", 1900),
        ("901-0", 1900),
        ("900-0", 1900),
    ]


def test_two_jobs_of_one_guest_do_not_run_at_once_even_where_there_is_room() -> None:
    played = play(
        job("900-0", duration=100), job("900-1", duration=100), job("901-0", duration=100), end=1500, max_parallel=3
    )

    assert [(str(run.job), run.time) for run in played.runs] == [("900-0", 1000), ("901-0", 1000), ("900-1", 1100)]


def test_an_unreachable_target_is_probed_each_minute_and_its_job_due_when_it_answers() -> None:
    played = play(job("900-0", UNREACHABLE, SUCCESS), end=1800)

    assert played.starts == [1000, 1060, 1800]
    assert [run.consecutive_failures for run in played.runs] == [1, 0, 0]


def test_a_probe_during_the_attempt_itself_does_not_count() -> None:
    assert play(job("900-0", UNREACHABLE, SUCCESS, duration=130), end=1700).starts == [1000, 1180]


def test_a_target_that_stays_unreachable_is_tried_up_the_ladder() -> None:
    played = play(job("900-0", UNREACHABLE, UNREACHABLE, UNREACHABLE, FAILURE, SUCCESS), end=2700)

    assert played.starts == [1000, 1300, 1800, 1860, 2700]
    assert [run.next_run for run in played.runs] == [1300, 1800, 2700, 2700, 3600]
    assert played.tally().failures == 4


@pytest.mark.parametrize("outcome", [SUCCESS, FAILURE])
def test_no_slot_is_missed_because_a_job_fails(outcome: Result) -> None:
    assert play(job("900-0", outcome)).tally().missed_runs == 0


def test_slots_that_pass_during_a_long_run_are_missed_also_at_the_end() -> None:
    assert play(job(duration=100_000), end=1000 + 4 * 900).tally().missed_runs == 3


def test_before_the_first_success_the_promise_counts_from_the_start() -> None:
    assert play(job("900-0", FAILURE)).tally().breach == 8200 - 1000 - 1800


def test_last_sync_is_the_start_of_the_run_and_moves_when_it_succeeds() -> None:
    slow = replace(job(duration=600), rpo=900.0)

    # 1000 → 1600: synced as of 1000; 1800 → 2400: the promise breaks at 1900, kept again from 2400 (as of 1800)
    assert play(slow, end=2500).tally().breach == 500


def test_a_failed_run_moves_nothing() -> None:
    played = play(replace(job("900-0", SUCCESS, FAILURE), rpo=1000.0), end=3000)

    assert played.tally().breach == 3000 - 2000
    assert played.tally().worst_lag == 2000


def test_a_promise_kept_for_the_whole_time_has_no_breach() -> None:
    assert play(job(), end=100_000).tally().breach == 0


def test_the_busy_fraction_ends_with_the_scenario_and_knows_the_slots() -> None:
    assert play(job(duration=450), start=900, end=1800 + 225).simulation.busy_fraction == (450 + 225) / 1125
    assert play(job(duration=10_000), start=0, end=100, max_parallel=2).simulation.busy_fraction == 0.5


jobs_at_random = st.lists(
    st.builds(
        SimulatedJob,
        st.builds(JobId, st.integers(100, 103), st.integers(0, 2)),
        st.just("node2"),
        st.sampled_from(["*/15", "*/5", "*:7", "1:00", "minutely"]).map(CalendarEvent.parse),
        st.just(UTC),
        duration=st.sampled_from([0.0, 1.5, 60.0, 400.0, 2000.0]),
        outcomes=st.lists(st.sampled_from([SUCCESS, SUCCESS, FAILURE]), min_size=1, max_size=4).map(tuple),
        last_try=st.sampled_from([0.0, 500.0, 1000.0]),
        disabled=st.sampled_from([False, False, True]),
    ),
    unique_by=lambda simulated: simulated.id,
    max_size=6,
)


@given(jobs_at_random, st.integers(1, 3))
@settings(max_examples=80, deadline=None)
def test_two_runs_of_one_guest_never_overlap_and_never_more_than_allowed_go_on(
    jobs: list[SimulatedJob], max_parallel: int
) -> None:
    played = play(*jobs, max_parallel=max_parallel)

    durations = {one.id: one.duration for one in jobs}
    for index, run in enumerate(played.runs):
        going_on = [other for other in played.runs[:index] if other.time + durations[other.job] > run.time]
        assert len(going_on) < max_parallel
        assert run.job.guest not in {other.job.guest for other in going_on}
    assert played.starts == sorted(played.starts)


@given(jobs_at_random, st.integers(1, 3))
@settings(max_examples=80, deadline=None)
def test_the_clock_plays_what_the_daemons_own_choice_would(jobs: list[SimulatedJob], max_parallel: int) -> None:
    assert [(run.time, run.job) for run in play(*jobs, end=4000, max_parallel=max_parallel).runs] == chosen_by_scan(
        jobs, 1000, 4000, max_parallel
    )


def chosen_by_scan(jobs: list[SimulatedJob], start: int, end: int, max_parallel: int) -> list[tuple[float, JobId]]:
    """The starts, by asking `choose` at every half second. Durations are multiples of that."""
    facts = {one.id: one for one in jobs}
    states = {
        one.id: Scheduled(one.id, one.event, one.zone, last_try=one.last_try, disabled=one.disabled) for one in jobs
    }
    tries = dict.fromkeys(facts, 0)
    running: dict[JobId, float] = {}
    found = []
    for half in range(2 * start, 2 * end + 1):
        now = half / 2
        while True:
            running = {job_id: until for job_id, until in running.items() if until > now}
            idle = [state for state in states.values() if state.id not in running]
            chosen = choose(idle, running.keys(), now, max_parallel)
            if chosen is None:
                break
            outcomes = facts[chosen.id].outcomes
            won = outcomes[min(tries[chosen.id], len(outcomes) - 1)] is SUCCESS
            failures = 0 if won else chosen.consecutive_failures + 1
            states[chosen.id] = replace(chosen, last_try=now, consecutive_failures=failures)
            tries[chosen.id] += 1
            running[chosen.id] = now + facts[chosen.id].duration
            found.append((now, chosen.id))
    return found


def test_ten_thousand_jobs_are_played_through() -> None:
    crowd = [job(f"{100 + number}-0", duration=0.01) for number in range(10_000)]

    played = play(*crowd, start=9000, end=9000 + 4 * 900)

    assert len(played.runs) >= 4 * 10_000
    assert all(tally.breach == 0 for tally in played.simulation.tallies.values())
