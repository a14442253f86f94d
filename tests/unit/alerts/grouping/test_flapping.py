"""A job that fails and recovers again and again: reported once, held back meanwhile, and once when it has settled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from alerts.grouping.flapping import SETTLED_SECONDS, TIMES, WINDOW_SECONDS, Flaps, sift
from alerts.grouping.grouping import IncidentState, NotificationGroup, group_events, worst_lag
from alerts.routing.routes import Repeat
from replicator.errors import ErrorClass
from replicator.events import Event, JobRemoved, RunFailed, RunSucceeded
from replicator.models import JobId

HOUR = 3600.0
OWN, NODE = ErrorClass.ZFS, ErrorClass.NETWORK


def failed(
    time: float, consecutive: int = 1, *, guest: int = 100, error_class: ErrorClass = OWN, since: float | None = None
) -> RunFailed:
    """A failed run; the failures before it were ten minutes apart, if nothing else is said."""
    begin = time - 600 * (consecutive - 1) if since is None else since
    return RunFailed(time, JobId(guest, 0), 1, error_class, "It broke.", "", consecutive, begin, begin - 900, None)


def well(time: float, after: int = 1, *, guest: int = 100) -> RunSucceeded:
    return RunSucceeded(time, JobId(guest, 0), 1, time - 10, 10.0, 5, after, time - 600)


@dataclass
class Route:
    """The messages of a route, batch by batch."""

    memory: IncidentState = field(default_factory=IncidentState)
    flaps: Flaps = field(default_factory=dict)
    number: int = 0
    said: list[str] = field(default_factory=list)
    last: NotificationGroup | None = None

    def take(self, *events: Event, now: float) -> list[str]:
        numbered = list(enumerate(events, start=self.number + 1))
        self.number += len(events)
        sieve, memory = sift(numbered, self.flaps, self.memory, now)
        groups, self.memory = group_events(
            sieve.kept,
            memory,
            target_of=lambda _: "beta",
            active={f"{guest}-0" for guest in range(100, 400)},
            due=Repeat().due,
        )
        self.flaps = sieve.flaps
        said = []
        for group in groups:
            flapping = all(number in sieve.flapping for number, _ in group.events)
            said.append(f"{'flap ' if flapping else ''}{'failed' if group.is_failure else 'well'}")
            self.last = group
        self.said += said
        return said

    def flap(self, begin: float, times: int = TIMES, guests: Sequence[int] = (100,), error: ErrorClass = OWN) -> float:
        """Fail and recover so often, an hour apart; the time of the last recovery."""
        time = begin
        for number in range(times):
            time = begin + number * HOUR
            self.take(*(failed(time, guest=guest, error_class=error) for guest in guests), now=time)
            time += 900
            self.take(*(well(time, guest=guest) for guest in guests), now=time)
        return time


def test_the_third_time_is_reported_as_flapping_and_what_follows_is_held() -> None:
    route = Route()
    route.flap(0.0, times=6)
    assert route.said == ["failed", "well", "failed", "well", "flap failed"]


def test_failures_that_are_far_apart_are_reported_one_by_one() -> None:
    route = Route()
    for number in range(5):
        route.flap(number * WINDOW_SECONDS / 2, times=1)
    assert route.said == ["failed", "well"] * 5


def test_one_that_goes_on_failing_is_not_flapping() -> None:
    route = Route()
    for number in range(1, 5):
        route.take(failed(number * 600.0, number), now=number * 600.0)
    assert route.said == ["failed"] * 3


def test_the_all_clear_comes_when_it_has_settled_with_all_that_was_held() -> None:
    route = Route()
    last = route.flap(0.0, times=5)
    failure = last - 900
    assert route.take(now=failure + SETTLED_SECONDS - 1) == []
    assert route.take(now=failure + SETTLED_SECONDS) == ["flap well"]
    assert route.last is not None
    (_, event) = route.last.events[0]
    assert isinstance(event, RunSucceeded)
    assert (event.failing_since, event.recovered_after) == (0.0, 5)
    assert worst_lag(event, route.last.incidents["100-0"]) == 1800.0
    assert (route.take(now=failure + 2 * SETTLED_SECONDS), dict(route.flaps)) == ([], {})


def test_after_it_has_settled_it_is_reported_like_any_other() -> None:
    route = Route()
    last = route.flap(0.0)
    route.take(now=last + SETTLED_SECONDS)
    assert route.take(failed(last + SETTLED_SECONDS + 60), now=last + SETTLED_SECONDS + 60) == ["failed"]


def test_one_that_failed_again_has_no_earlier_all_clear_to_come() -> None:
    route = Route()
    last = route.flap(0.0)
    route.take(failed(last + 600), now=last + 600)
    assert route.take(now=last + 600 + SETTLED_SECONDS) == []


def test_one_that_does_not_recover_any_more_is_reported_by_the_ladder() -> None:
    route = Route()
    last = route.flap(0.0)
    kinds = [route.take(failed(last + 600 * number, number), now=last + 600 * number) for number in (1, 2, 3, 4)]
    assert kinds == [[], [], ["failed"], []]


def test_three_failures_of_three_minutes_do_not_make_a_flapping_job_a_failing_one() -> None:
    route = Route()
    last = route.flap(0.0)
    times = [last + 60 * number for number in range(1, 30)]
    said = [route.take(failed(time, number, since=times[0]), now=time) for number, time in enumerate(times, start=1)]
    assert [time - times[0] for time, kinds in zip(times, said, strict=True) if kinds] == [15 * 60]


def test_two_hundred_jobs_that_flap_together_are_one_message_and_one_when_all_have_settled() -> None:
    route, guests = Route(), range(100, 300)
    last = route.flap(0.0, times=4, guests=guests, error=NODE)
    assert route.said == ["failed", "well", "failed", "well", "flap failed"]
    route.take(*(failed(last + 60, guest=guest) for guest in (100,)), well(last + 120), now=last + 120)
    assert route.take(now=last - 900 + SETTLED_SECONDS) == []
    assert route.take(now=last + 60 + SETTLED_SECONDS) == ["flap well"]
    assert route.last is not None
    assert len(route.last.events) == 200


def test_a_node_that_fails_others_while_a_flapping_job_is_well_is_reported() -> None:
    route = Route()
    last = route.flap(0.0, error=NODE)
    others = [failed(last + 60, guest=guest, error_class=NODE) for guest in range(101, 110)]
    assert route.take(*others, now=last + 60) == ["failed"]


def test_a_job_that_is_removed_is_forgotten() -> None:
    route = Route()
    last = route.flap(0.0)
    route.take(JobRemoved(last + 60, JobId(100, 0)), now=last + 60)
    assert (dict(route.flaps), route.take(now=last + 2 * SETTLED_SECONDS)) == ({}, [])


STEPS = st.lists(st.tuples(st.booleans(), st.floats(1, 7200), st.integers(100, 102), st.booleans()), max_size=60)


@given(steps=STEPS)
def test_nothing_stays_held_or_remembered_when_all_have_recovered(
    steps: list[tuple[bool, float, int, bool]],
) -> None:
    route, now, rows = Route(), 0.0, dict.fromkeys((100, 101, 102), 0)
    for fails, pause, guest, node in steps:
        now += pause
        rows[guest] = rows[guest] + 1 if fails else 0
        route.take(
            failed(now, rows[guest], guest=guest, error_class=NODE if node else OWN)
            if fails
            else well(now, guest=guest),
            now=now,
        )
    route.take(*(well(now + 1, guest=guest) for guest in rows), now=now + 1)
    route.take(now=now + WINDOW_SECONDS + 1)
    assert (route.memory, dict(route.flaps)) == (IncidentState(), {})
