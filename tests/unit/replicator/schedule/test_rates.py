"""Rates by weekday and hour: their meaning, and which are refused."""

from __future__ import annotations

from datetime import datetime

import pytest

from replicator.errors import ConfigError
from replicator.schedule.rates import parse_rate, parse_rates, rate_at

MB = 10**6


def at(text: str) -> datetime:
    """A moment of the week in which 2026-11-30 is the Monday."""
    return datetime.fromisoformat(f"2026-{text}")


@pytest.mark.parametrize(
    ("rules", "moment", "rate"),
    [
        (["10"], "11-30 03:00", 10),
        (["10 mon..fri 8..18"], "11-30 08:00", 10),
        (["10 mon..fri 8..18"], "11-30 17:59", 10),
        (["10 mon..fri 8..18"], "11-30 18:00", None),
        (["10 mon..fri 8..18"], "11-30 07:59", None),
        (["10 mon..fri 8..18"], "11-29 12:00", None),
        (["10 mon..fri 8..18", "50"], "11-29 12:00", 50),
        (["10 mon..fri 8..18", "50"], "11-30 12:00", 10),
        (["10 22..6"], "11-30 23:30", 10),
        (["10 22..6"], "11-30 05:59", 10),
        (["10 22..6"], "11-30 06:00", None),
        (["2.5 sat,sun"], "11-28 00:00", 2.5),
        (["10 fri..mon"], "11-30 12:00", 10),
        (["10 fri..mon"], "12-01 12:00", None),
        (["10 Monday 8"], "11-30 08:59", 10),
        (["10 8,12..14"], "11-30 13:00", 10),
        (["10 8,12..14"], "11-30 09:00", None),
        (["10 0..24"], "11-30 23:59", 10),
        (["10 18..24"], "11-30 23:59", 10),
        ([], "11-30 12:00", None),
    ],
)
def test_the_first_rule_that_holds_counts(rules: list[str], moment: str, rate: float | None) -> None:
    assert rate_at(parse_rates(rules), at(moment)) == (None if rate is None else rate * MB)


@pytest.mark.parametrize(
    "text",
    ["", "fast", "0.5", "-1", "inf", "nan", "10 mon 8 9", "10 8..25", "10 mon..xyz", "10 mon tue", "mon 10", "10 8.."],
)
def test_anything_else_is_refused_in_a_sentence(text: str) -> None:
    with pytest.raises(ConfigError, match="wrong rate"):
        parse_rate(text)
