"""How times and lengths are said."""

from __future__ import annotations

from alerts.text import distance, duration, ordinal


def test_durations_in_words() -> None:
    assert [duration(seconds) for seconds in (-5.0, 59.4, 97_200.0)] == ["0 seconds", "59 seconds", "1 day 3 hours"]


def test_distances_in_words() -> None:
    assert [distance(seconds) for seconds in (-2220.0, 0.2, 300.0)] == ["37 minutes ago", "now", "in 5 minutes"]


def test_ordinals() -> None:
    assert [ordinal(number) for number in (1, 2, 3, 4, 11, 12, 13, 21, 102, 111)] == [
        "1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "102nd", "111th",
    ]  # fmt: skip
