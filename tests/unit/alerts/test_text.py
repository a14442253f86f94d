"""How times and lengths are said."""

from __future__ import annotations

import pytest

from alerts.text import distance, duration, ordinal


@pytest.mark.parametrize(
    ("seconds", "words"),
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
def test_durations_in_words(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_distances_in_words() -> None:
    assert [distance(seconds) for seconds in (-2220.0, 0.2, 300.0)] == ["37 minutes ago", "now", "in 5 minutes"]


def test_ordinals() -> None:
    assert [ordinal(number) for number in (1, 2, 3, 4, 11, 12, 13, 21, 102, 111)] == [
        "1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "102nd", "111th",
    ]  # fmt: skip
