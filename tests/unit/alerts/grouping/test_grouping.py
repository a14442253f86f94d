"""Groups of the journal's events: failures 1, 2, 3 of a job, and the all-clear; one message for one cause."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from alerts.grouping.grouping import (
    Incident,
    IncidentState,
    NotificationGroup,
    group_events,
    revert_undelivered,
    worst_lag,
)
from alerts.routing.routes import Repeat
from replicator.errors import ErrorClass
from replicator.events import Event, JobRemoved, RunCancelled, RunFailed, RunStarted, RunSucceeded
from replicator.models import GuestId, JobId

JOB = JobId(100, 0)
HALF_HOUR = 1800.0
ALL = frozenset(f"{guest}-0" for guest in range(100, 400))
OWN, NODE = ErrorClass.ZFS, ErrorClass.NETWORK
"""A trouble of the job's own, and one of the target node."""


def failed(
    time: float,
    consecutive: int = 1,
    *,
    guest: GuestId = 100,
    error_class: ErrorClass = OWN,
    last_sync: float | None = 500.0,
) -> RunFailed:
    return RunFailed(
        time=time,
        job=JobId(guest, 0),
        run=consecutive,
        error_class=error_class,
        message="Node beta does not answer.",
        advice="Check it.",
        consecutive=consecutive,
        failing_since=1000.0,
        last_sync=last_sync,
        next_run=time + HALF_HOUR,
    )


def well(time: float, recovered_after: int = 1, *, guest: GuestId = 100) -> RunSucceeded:
    since = 1000.0 if recovered_after else None
    return RunSucceeded(time, JobId(guest, 0), 1, time - 10, 10.0, 5, recovered_after, since)


def grouped(
    batches: Sequence[Sequence[Event]], memory: IncidentState | None = None, active: Collection[str] = ALL
) -> tuple[list[NotificationGroup], IncidentState]:
    """The groups of batches of events, one after the other; all jobs go to beta."""
    known, number = memory or IncidentState(), 0
    groups: list[NotificationGroup] = []
    for batch in batches:
        numbered = list(enumerate(batch, start=number + 1))
        number += len(batch)
        found, known = group_events(numbered, known, target_of=lambda _: "beta", active=active, due=Repeat().due)
        groups += found
    return groups, known


def one_by_one(*events: Event) -> list[Event]:
    """The events that are reported when each comes in a batch of its own."""
    groups, _ = grouped([[event] for event in events])
    return [event for group in groups for _, event in group.events]


def given_up(group: NotificationGroup, memory: IncidentState) -> IncidentState:
    """The incidents after zsr gave up on a message."""
    before = {job: None if known is None else known.reported for job, known in group.incidents.items()}
    return revert_undelivered(before, group.node, memory)


def guests(group: NotificationGroup) -> list[GuestId]:
    """The guests that a message is about."""
    return [event.job.guest for _, event in group.events]


class TestOneJob:
    def test_its_first_three_failures_are_reported_and_the_fourth_is_not(self) -> None:
        failures = [failed(1000.0 + 600 * number, number) for number in range(1, 5)]
        assert one_by_one(*failures) == failures[:3]

    def test_its_success_after_failures_is_reported_and_a_usual_one_is_not(self) -> None:
        assert one_by_one(failed(1000), well(5000), well(6000, recovered_after=0)) == [failed(1000), well(5000)]

    def test_that_recovers_is_forgotten_so_the_next_failure_is_reported_as_the_first(self) -> None:
        failures = [failed(400 + 600.0 * number, number) for number in range(1, 8)]
        events: list[Event] = [*failures, well(9000, 7), failed(9600)]
        assert one_by_one(*events) == [*failures[:3], *events[7:]]

    def test_a_failure_is_reported_if_none_before_it_was(self) -> None:
        assert one_by_one(failed(90_000, 40)) == [failed(90_000, 40)]

    def test_that_is_removed_is_forgotten_without_a_message(self) -> None:
        groups, memory = grouped([[JobRemoved(2000.0, JOB)]], IncidentState({"100-0": Incident(reported=1000.0)}))
        assert (groups, memory) == ([], IncidentState())

    def test_starts_and_cancelled_runs_neither_report_nor_forget(self) -> None:
        before = IncidentState({"100-0": Incident(reported=1000.0, synced=500.0)})
        events: list[Event] = [RunStarted(2000.0, JOB, 1), RunCancelled(2000.0, JOB, 1)]
        assert grouped([events], before) == ([], before)

    def test_a_message_that_was_given_up_counts_as_not_reported(self) -> None:
        (group,), memory = grouped([[failed(90_000, 40)]])
        again, _ = grouped([[failed(91_800, 41)]], given_up(group, memory))
        assert len(again) == 1

    def test_of_which_nothing_was_reported_has_no_all_clear(self) -> None:
        (group,), memory = grouped([[failed(90_000, 1)]])
        assert grouped([[well(91_000)]], given_up(group, memory))[0] == []
        assert grouped([[well(91_000)]])[0] == []

    def test_failures_of_one_batch_are_reported_one_by_one(self) -> None:
        groups, _ = grouped([[failed(1000, 1), failed(1600, 2), well(2000, 2), failed(2600, 1)]])
        assert [len(group.events) for group in groups] == [1, 1, 1, 1]

    @given(st.lists(st.floats(min_value=60, max_value=100_000), min_size=4, max_size=80))
    def test_at_no_pace_more_than_the_first_three_failures_are_reported(self, gaps: list[float]) -> None:
        time, failures = 1000.0, []
        for number, gap in enumerate(gaps, start=1):
            time += gap
            failures.append(failed(time, number))
        found = one_by_one(*failures)
        assert found[0] == failures[0]
        assert len(found) <= 3

    def test_of_each_minute_is_reported_as_the_retry_ladder_would_try_it(self) -> None:
        found = one_by_one(*(failed(1000.0 + 60 * minute, minute + 1) for minute in range(120)))
        assert [event.time - 1000 for event in found] == [0, 5 * 60, 15 * 60]

    def test_of_each_minute_that_a_state_of_an_older_zsr_knows_is_not_reported_again(self) -> None:
        known = IncidentState({"100-0": Incident(reported=1000.0, synced=500.0)})
        assert grouped([[failed(1000.0 + 1800, 31)]], known)[0] == []


class TestWorstLag:
    def test_is_counted_from_the_sync_before_the_failures(self) -> None:
        _, memory = grouped([[failed(1000, last_sync=500.0)]])
        assert worst_lag(well(4100), memory.incidents["100-0"]) == 3600

    def test_is_not_known_where_there_was_no_replica(self) -> None:
        _, memory = grouped([[failed(1000, last_sync=None)]])
        assert worst_lag(well(4100), memory.incidents["100-0"]) is None


class TestJobsOfOwnTroubles:
    def test_that_fail_together_with_one_class_are_one_message(self) -> None:
        (group,), _ = grouped([[failed(1000, guest=100), failed(1005, guest=101), failed(1006, guest=102)]])
        assert guests(group) == [100, 101, 102]

    def test_that_fail_together_with_different_classes_are_not(self) -> None:
        groups, _ = grouped([[failed(1000, guest=100), failed(1005, guest=101, error_class=ErrorClass.BUSY)]])
        assert [guests(group) for group in groups] == [[100], [101]]

    def test_that_fail_later_are_reported_too(self) -> None:
        groups, _ = grouped([[failed(1000, guest=100)], [failed(2000, guest=101)]])
        assert [guests(group) for group in groups] == [[100], [101]]

    def test_whose_target_is_not_known_are_reported_one_by_one(self) -> None:
        numbered = [(1, failed(1000, guest=100)), (2, failed(1001, guest=101))]
        groups, _ = group_events(numbered, IncidentState(), target_of=lambda _: "", active=ALL, due=Repeat().due)
        assert [guests(group) for group in groups] == [[100], [101]]


def of_node(time: float, guest: GuestId, consecutive: int = 1) -> RunFailed:
    return failed(time, consecutive, guest=guest, error_class=NODE)


class TestADeadNode:
    def test_is_one_message_however_many_jobs_fail_and_when(self) -> None:
        first = [of_node(1000 + guest, guest) for guest in range(100, 105)]
        later = [[of_node(1100.0 + 10 * guest, guest)] for guest in range(105, 300)]
        again = [[of_node(5000.0 + guest, guest, 2)] for guest in range(100, 300)]
        groups, _ = grouped([first, *later, *again])
        assert [guests(group) for group in groups] == [[100, 101, 102, 103, 104]]

    def test_is_well_again_in_one_message_when_the_last_job_is(self) -> None:
        batches: list[list[Event]] = [
            [of_node(1000, 100), of_node(1001, 101)],
            [well(2000, guest=100)],
            [well(2100, guest=101)],
        ]
        _, clear = grouped(batches)[0]
        assert (clear.is_failure, guests(clear)) == (False, [100, 101])

    def test_a_job_that_fails_again_before_that_is_in_it_still(self) -> None:
        start: list[list[Event]] = [
            [of_node(1000, 100), of_node(1001, 101)],
            [well(2000, guest=100)],
            [of_node(2050, 100)],
        ]
        assert len(grouped([*start, [well(2100, guest=101)]])[0]) == 1
        _, clear = grouped([*start, [well(2100, guest=101)], [well(2200, guest=100)]])[0]
        assert guests(clear) == [101, 100]

    def test_its_all_clear_waits_for_no_job_that_is_switched_off(self) -> None:
        batches: list[list[Event]] = [[of_node(1000, 100), of_node(1001, 101)], [well(2000, guest=100)]]
        assert len(grouped([*batches, []])[0]) == 1
        _, memory = grouped(batches)
        clear, after = grouped([[]], memory, active=())
        assert [guests(group) for group in clear] == [[100]]
        assert after == IncidentState()

    def test_its_all_clear_comes_when_the_last_failing_job_is_removed(self) -> None:
        batches: list[list[Event]] = [
            [of_node(1000, 100), of_node(1001, 101)],
            [well(2000, guest=100)],
            [JobRemoved(2100, JobId(101, 0))],
        ]
        _, clear = grouped(batches)[0]
        assert guests(clear) == [100]

    def test_with_one_job_goes_by_the_ladder_of_that_job(self) -> None:
        failures = [of_node(1000.0 + 600 * number, 100, number) for number in range(1, 5)]
        assert one_by_one(*failures) == failures[:3]

    def test_a_job_with_another_trouble_is_reported_by_itself(self) -> None:
        batches: list[list[Event]] = [
            [of_node(1000, 100), of_node(1001, 101)],
            [failed(2000, 2, guest=100)],
            [well(2100, guest=101)],
        ]
        groups, memory = grouped(batches)
        assert [guests(group) for group in groups] == [[100, 101], [100], [101]]
        assert set(memory.incidents) == {"100-0"}

    def test_is_reported_again_when_its_message_was_given_up(self) -> None:
        (group,), memory = grouped([[of_node(1000, 100), of_node(1001, 101)]])
        _, memory = grouped([[of_node(1500, 102)]], memory)
        again, _ = grouped([[of_node(90_000, 102, 9)]], given_up(group, memory))
        assert [guests(each) for each in again] == [[102]]


class TestThreads:
    def test_all_messages_of_a_trouble_are_in_one(self) -> None:
        batches: list[list[Event]] = [[failed(1000)], [failed(1300, 2)], [well(2000, 2)], [failed(3000)]]
        first, second, clear, other = grouped(batches)[0]
        assert first.thread == second.thread == clear.thread
        assert other.thread != first.thread

    def test_a_silent_node_has_one_for_all_jobs_also_for_those_that_fail_later(self) -> None:
        batches: list[list[Event]] = [[of_node(1000, 100), of_node(1001, 101)], [of_node(2000, 102)]]
        (group,), memory = grouped(batches)
        assert {incident.thread for incident in memory.incidents.values()} == {group.thread}


KINDS = st.sampled_from(["own", "node", "well"])
STEPS = st.lists(st.tuples(st.integers(100, 104), KINDS, st.floats(min_value=1, max_value=50_000)), max_size=60)


@given(STEPS, st.lists(st.integers(1, 10), max_size=60))
def test_every_trouble_that_was_reported_ends_in_exactly_one_all_clear(
    steps: list[tuple[int, str, float]], cuts: list[int]
) -> None:
    batches = cut(journal(steps), cuts)
    groups, memory = grouped(batches)
    assert memory == IncidentState()
    troubled: set[GuestId] = set()
    for group in groups:
        if group.is_failure:
            troubled |= {event.job.guest for _, event in group.events}
            continue
        cleared = guests(group)
        assert len(set(cleared)) == len(cleared)
        troubled -= set(cleared)
    assert not troubled


@given(STEPS, st.lists(st.integers(1, 10), max_size=60))
def test_no_event_is_reported_twice(steps: list[tuple[int, str, float]], cuts: list[int]) -> None:
    groups, _ = grouped(cut(journal(steps), cuts))
    numbers = [number for group in groups for number, _ in group.events]
    assert len(numbers) == len(set(numbers))


def journal(steps: list[tuple[int, str, float]]) -> list[Event]:
    """A life of five jobs in which all are well in the end."""
    time, count, events = 1000.0, dict.fromkeys(range(100, 105), 0), list[Event]()
    for guest, kind, gap in [*steps, *((guest, "well", 60.0) for guest in range(100, 105))]:
        time += gap
        if kind == "well":
            events.append(well(time, count[guest], guest=guest))
            count[guest] = 0
        else:
            count[guest] += 1
            events.append(replace(of_node(time, guest, count[guest]), error_class=OWN if kind == "own" else NODE))
    return events


def cut(events: list[Event], sizes: list[int]) -> list[list[Event]]:
    """Events in batches of these sizes, and one with the rest."""
    batches = []
    for size in sizes:
        batches.append(events[:size])
        events = events[size:]
    return [*batches, events]
