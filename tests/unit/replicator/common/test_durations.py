"""Durations: the forms that people may write, and the form that messages have."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replicator.common.durations import LONGEST_SECONDS, compact, parse_duration, words


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        (0, 0),
        (90, 90),
        (1.5, 1.5),
        ("90", 90),
        ("90s", 90),
        ("15m", 900),
        ("2h", 7200),
        ("1d", 86400),
        ("1w", 604800),
        ("1h30m", 5400),
        ("1 h 30 m", 5400),
        (" 15M ", 900),
        ("0.5h", 1800),
    ],
)
def test_a_length_of_time_is_seconds_or_numbers_with_units(written: object, seconds: float) -> None:
    assert parse_duration(written) == seconds


@pytest.mark.parametrize(
    "written",
    [
        "",
        "m",
        "fast",
        "15 minutes",
        "1h later",
        "-5m",
        "1.5.5h",
        -1,
        True,
        None,
        [],
        float("inf"),
        float("nan"),
        10**400,
    ],
)
def test_anything_else_is_refused_with_what_is_allowed(written: object) -> None:
    with pytest.raises(ValueError, match="number of seconds, or text like '90s'"):
        parse_duration(written)


@given(st.integers(0, int(LONGEST_SECONDS)))
def test_what_is_written_compactly_reads_as_the_same_seconds(seconds: int) -> None:
    assert parse_duration(compact(seconds)) == seconds


@given(st.integers(0, int(LONGEST_SECONDS)))
def test_a_compact_length_is_one_word(seconds: int) -> None:
    assert len(compact(seconds).split()) == 1


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0 s"),
        (37, "37 s"),
        (90, "1 min 30 s"),
        (300, "5 min"),
        (330, "5 min"),
        (7500, "2 h 5 min"),
        (7199, "2 h"),
        (7200, "2 h"),
        (273600, "3 d 4 h"),
        (-300, "5 min"),
    ],
)
def test_people_read_at_most_two_units(seconds: float, said: str) -> None:
    assert words(seconds) == said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0 seconds"),
        (1, "1 second"),
        (59.4, "59 seconds"),
        (90, "1 minute 30 seconds"),
        (2220, "37 minutes"),
        (3600, "1 hour"),
        (7199, "2 hours"),
        (97_200, "1 day 3 hours"),
        (10 * 86_400, "10 days"),
    ],
)
def test_units_can_be_written_in_full(seconds: float, said: str) -> None:
    assert words(seconds, full=True) == said
