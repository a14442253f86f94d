"""Retention of restore points: laws that hold for any points, and sixty days of runs."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replicator.common.clocks import CLOCK_SLACK_SECONDS
from replicator.schedule.retention import MAX_POINTS, RetentionPolicy, RetentionRule

MINUTE, HOUR, DAY = 60, 3600, 86400
NOW = 1_795_427_104
GRID = "6h:15m,7d:1h,30d:1d"

times = st.lists(st.integers(min_value=NOW - 90 * DAY, max_value=NOW), max_size=200)


@st.composite
def grids(draw: st.DrawFn) -> RetentionPolicy:
    intervals = sorted(draw(st.lists(st.integers(min_value=60, max_value=2 * DAY), min_size=1, max_size=4)))
    spans: list[int] = []
    for interval in intervals:
        least = max([interval, *(span + 1 for span in spans)])
        spans.append(draw(st.integers(min_value=least, max_value=least + 60 * interval)))
    return RetentionPolicy(rules=tuple(map(RetentionRule, spans, intervals)))


keeps = st.builds(RetentionPolicy, st.integers(min_value=1, max_value=20)) | grids()


@pytest.mark.parametrize("text", ["1", "5", "10000", "6h:15m", GRID, "1h30m:15m,14d:2h"])
def test_what_was_read_is_written_again(text: str) -> None:
    assert str(RetentionPolicy.parse(text)) == text


@pytest.mark.parametrize(
    ("text", "canonical"),
    [(" 05 ", "5"), ("2w : 90m", "14d:1h30m"), ("6H:15M, 168h:60m", "6h:15m,7d:1h"), ("3600:900", "1h:15m")],
)
def test_other_words_for_the_same_are_understood(text: str, canonical: str) -> None:
    assert str(RetentionPolicy.parse(text)) == canonical


@given(keeps)
def test_the_canonical_text_says_all(keep: RetentionPolicy) -> None:
    assert RetentionPolicy.parse(str(keep)) == keep


@pytest.mark.parametrize(
    "text",
    [
        *("", "0", "-1", "1.5", "10001", "99999999999", "many", "٣"),
        *("6h", "6h:", ":15m", "6h:15m,", "6h:15m:1m", "6h:0.5m7x", "1h:90.5s", "1000y:1d"),
    ],
)
def test_a_text_that_is_neither_number_nor_grid_is_refused_with_the_allowed_values(text: str) -> None:
    with pytest.raises(ValueError, match=r"1 to 10000, or a grid 'SPAN:INTERVAL"):
        RetentionPolicy.parse(text)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("7d:1h,6h:15m", "spans must grow, and 6h:15m stands after 7d:1h"),
        ("7d:1h,7d:2h", "spans must grow"),
        ("6h:1h,7d:15m", "intervals must not shrink, and 7d:15m stands after 6h:1h"),
        ("1h:30s", "an interval is at least 60 s, not 1h:30s"),
        ("1h:0", "an interval is at least 60 s"),
        ("15m:1h", "a span is at least as long as its interval, not 15m:1h"),
        ("365d:1m", "this grid keeps up to 525603 points"),
    ],
)
def test_a_grid_that_cannot_be_meant_is_refused_and_why(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        RetentionPolicy.parse(text)


def test_a_number_keeps_so_many_of_the_newest() -> None:
    assert RetentionPolicy.parse("2").stale([40, 10, 30, 20]) == {10, 20}


def test_fewer_points_than_the_number_are_all_kept() -> None:
    assert RetentionPolicy.parse("5").stale([10, 20]) == set()


def test_a_bucket_keeps_its_oldest_point() -> None:
    hour = NOW // HOUR * HOUR
    points = [hour + 5 * MINUTE, hour + 20 * MINUTE, hour + 50 * MINUTE, hour + HOUR]

    assert RetentionPolicy.parse("7d:1h").stale(points) == {hour + 20 * MINUTE, hour + 50 * MINUTE}


def test_points_beyond_the_last_span_are_stale() -> None:
    assert RetentionPolicy.parse(GRID).stale([NOW, NOW - 29 * DAY, NOW - 31 * DAY, NOW - 90 * DAY]) == {
        NOW - 31 * DAY,
        NOW - 90 * DAY,
    }


def test_a_point_as_old_as_the_last_span_is_kept_and_one_a_second_older_is_stale() -> None:
    oldest = NOW - 6 * HOUR

    assert RetentionPolicy.parse("6h:15m").stale([NOW, oldest, oldest - 1]) == {oldest - 1}


def test_ages_are_measured_from_the_newest_point_so_that_none_is_stale_without_a_new_one() -> None:
    last_year = [NOW - 365 * DAY, NOW - 366 * DAY]

    assert RetentionPolicy.parse(GRID).stale(last_year) == set()


class TestAPointOfTheFuture:
    """It was named by a clock that was wrong; what it holds is as good as any."""

    HISTORY = (NOW - 2 * DAY, NOW - DAY, NOW)

    def test_does_not_make_all_others_look_old_in_a_grid(self) -> None:
        points = [*self.HISTORY, NOW + 365 * DAY]

        assert RetentionPolicy.parse(GRID).stale(points, NOW + 1) == set()
        assert RetentionPolicy.parse(GRID).stale(points) == set(self.HISTORY)

    def test_is_the_first_to_go_by_number(self) -> None:
        points = [*self.HISTORY, NOW + 365 * DAY]

        assert RetentionPolicy.parse("3").stale(points, NOW + 1) == {NOW + 365 * DAY}

    def test_does_not_push_out_what_was_taken_after_a_clock_was_set_back(self) -> None:
        taken_later = NOW - 3 * DAY

        assert taken_later not in RetentionPolicy.parse("1").stale([*self.HISTORY, taken_later], taken_later)
        assert RetentionPolicy.parse(GRID).stale([*self.HISTORY, taken_later], taken_later) == set()

    def test_does_not_matter_where_there_is_no_other(self) -> None:
        assert RetentionPolicy.parse(GRID).stale([NOW + DAY], NOW) == set()


class TestAClockThatJumpsAhead:
    """It names the point of this run, and says that this is the present."""

    KEEP = RetentionPolicy.parse(GRID).counting_at_most(DAY)
    HISTORY = (NOW - 20 * DAY, NOW - 2 * DAY, NOW - DAY, NOW)

    def test_by_seconds_names_no_point_of_the_future(self) -> None:
        keep, before = RetentionPolicy.parse("2"), [NOW - 200, NOW - 100]
        assert keep.stale([*before, NOW + 60], NOW) == {NOW - 200}
        assert keep.stale([*before, NOW + 61], NOW) == {NOW + 61}

    @pytest.mark.parametrize("ahead", [40 * DAY, 365 * DAY])
    def test_makes_no_point_old_by_more_than_is_explained(self, ahead: int) -> None:
        assert self.KEEP.stale([*self.HISTORY, NOW + ahead], NOW + ahead) == set()

    def test_nor_in_the_runs_after_it_while_it_is_wrong(self) -> None:
        wrong = [NOW + 365 * DAY + number * 15 * MINUTE for number in range(8)]

        assert self.KEEP.stale([*self.HISTORY, *wrong], wrong[-1]) == set()

    def test_also_where_a_former_policy_counts(self) -> None:
        keep = RetentionPolicy.parse("1").with_former([GRID]).counting_at_most(DAY)

        assert keep.stale([*self.HISTORY, NOW + 365 * DAY], NOW + 365 * DAY) == set()

    def test_lets_old_points_go_when_so_much_time_has_passed_by_runs(self) -> None:
        points = [*self.HISTORY, *(NOW + number * DAY for number in range(1, 40))]

        assert set(self.HISTORY) <= self.KEEP.stale(points, points[-1])


caps = st.integers(min_value=DAY, max_value=60 * DAY)


@given(grids(), times, caps)
def test_where_no_gap_is_longer_than_what_counts_nothing_is_different(
    keep: RetentionPolicy, points: list[int], gap: int
) -> None:
    counted = keep.counting_at_most(gap)

    if all(later - earlier <= counted.longest_gap for earlier, later in pairwise(sorted(points))):
        assert counted.stale(points) == keep.stale(points)


@given(keeps, times, caps)
def test_what_is_kept_is_bounded_and_settled(keep: RetentionPolicy, points: list[int], gap: int) -> None:
    counted = keep.counting_at_most(gap)

    kept = set(points) - counted.stale(points)
    assert len(kept) <= keep.most
    assert counted.stale(sorted(kept)) == set()
    assert max(points, default=None) in {*kept, None}


@given(keeps, times, st.integers(min_value=NOW - 90 * DAY, max_value=NOW))
def test_with_a_clock_too_nothing_more_is_stale_when_the_stale_are_gone(
    keep: RetentionPolicy, points: list[int], now: int
) -> None:
    kept = set(points) - keep.stale(points, now)

    assert keep.stale(sorted(kept), now) == set()
    assert bool(kept) == bool(points)
    assert max((point for point in points if point <= now + CLOCK_SLACK_SECONDS), default=None) in {*kept, None}


@given(keeps, times)
def test_the_newest_is_never_stale(keep: RetentionPolicy, points: list[int]) -> None:
    assert max(points, default=None) not in keep.stale(points)


@given(keeps, times, st.randoms(use_true_random=False))
def test_the_order_does_not_matter(keep: RetentionPolicy, points: list[int], order: random.Random) -> None:
    shuffled = list(points)
    order.shuffle(shuffled)

    assert keep.stale(shuffled) == keep.stale(points)


@given(keeps, times)
def test_only_what_is_there_is_stale(keep: RetentionPolicy, points: list[int]) -> None:
    assert keep.stale(points) <= set(points)


@given(keeps, times)
def test_when_the_stale_are_gone_nothing_more_is_stale(keep: RetentionPolicy, points: list[int]) -> None:
    kept = set(points) - keep.stale(points)

    assert keep.stale(sorted(kept)) == set()


@given(keeps, times)
def test_what_is_kept_is_bounded(keep: RetentionPolicy, points: list[int]) -> None:
    assert len(set(points) - keep.stale(points)) <= keep.most


@given(grids(), times)
def test_of_each_bucket_that_had_a_point_within_the_span_one_is_kept(keep: RetentionPolicy, points: list[int]) -> None:
    newest, start = max(points, default=NOW), -1
    kept = set(points) - keep.stale(points)

    for rule in keep.rules:
        had = {p // rule.interval for p in points if start < newest - p <= rule.span}
        have = {p // rule.interval for p in kept if start < newest - p <= rule.span}
        assert have == had
        start = rule.span


def run_after_run(keep: RetentionPolicy, moments: list[int]) -> list[set[int]]:
    """What is kept after each run, when each run adds its point and destroys the stale ones."""
    kept: set[int] = set()
    history = []
    for moment in moments:
        kept = kept | {moment}
        kept -= keep.stale(sorted(kept))
        history.append(kept)
    return history


def sixty_days(seed: int, *, jitter: int) -> list[int]:
    """A run every 15 minutes, late by up to ``jitter`` seconds."""
    late = random.Random(seed)
    return [NOW + number * 15 * MINUTE + late.randint(0, jitter) for number in range(60 * 96)]


@pytest.mark.parametrize("grid", [GRID, "1h:15m,2d:40m,20d:7h", "30d:1d", "3h:15m,12h:1h"])
@pytest.mark.parametrize("jitter", [0, 5 * MINUTE, 14 * MINUTE])
def test_sixty_days_of_runs_leave_every_span_covered(grid: str, jitter: int) -> None:
    keep = RetentionPolicy.parse(grid)
    history = run_after_run(keep, sixty_days(seed=jitter, jitter=jitter))
    slack = 15 * MINUTE + jitter

    for kept in history[len(history) // 2 :: 97]:  # from when the grid is full; all hours of the day come about
        newest, finer = max(kept), 0
        for rule in keep.rules:
            reach = rule.span - rule.interval - finer - slack
            inside = sorted(point for point in kept if newest - point <= rule.span)
            assert newest - inside[0] >= reach, f"{rule} is not covered to its end"
            gaps = [later - earlier for earlier, later in pairwise(inside)]
            assert max(gaps, default=0) <= rule.interval + finer + slack, f"{rule} has a gap"
            finer = rule.interval
        assert len(kept) <= keep.most


def test_a_number_stays_the_number_for_sixty_days() -> None:
    moments = sixty_days(seed=1, jitter=MINUTE)

    assert run_after_run(RetentionPolicy.parse("5"), moments)[-1] == set(moments[-5:])


def test_the_most_is_what_can_be() -> None:
    assert RetentionPolicy.parse("7").most == 7
    assert RetentionPolicy.parse(str(MAX_POINTS)).most == MAX_POINTS


@given(st.lists(st.integers(0, 10_000_000), max_size=60), st.sampled_from(["1", "3", "6h:15m", "7d:1d"]))
def test_what_a_former_policy_keeps_is_not_stale(times: list[int], former: str) -> None:
    for text in ("1", "2", "30d:1d"):
        own = RetentionPolicy.parse(text)
        found = own.with_former([former]).stale(times)
        assert found == own.stale(times) & RetentionPolicy.parse(former).stale(times)


def test_a_former_policy_that_is_no_text_of_today_keeps_nothing() -> None:
    assert RetentionPolicy.parse("1").with_former(["of 1999"]).stale([1, 2]) == {1}
