"""Clocks that differ, and clocks that nothing keeps right."""

from __future__ import annotations

import pytest

from replicator.api.doctor import Level, Subject
from replicator.doctor import clocks

CLOCK = Subject("clock", "beta")


@pytest.mark.parametrize(
    ("ahead", "level"),
    [(0.3, Level.OK), (-1.9, Level.OK), (4.0, Level.WARN), (-31.0, Level.FAIL), (2820.0, Level.FAIL)],
)
def test_a_difference_is_judged_as_the_alert_rule_does(ahead: float, level: Level) -> None:
    assert clocks.skew(CLOCK, ahead).level is level


def test_a_difference_says_its_length_and_direction() -> None:
    assert clocks.skew(CLOCK, -2820.0).text == "The clock of beta is 47 min behind this node's."
    assert clocks.skew(CLOCK, 40.0).text == "The clock of beta is 40 s ahead of this node's."


def test_a_clock_that_cannot_be_read_is_unknown() -> None:
    assert clocks.skew(CLOCK, None).level is Level.UNKNOWN


@pytest.mark.parametrize(
    ("printed", "level"),
    [
        ("NTPSynchronized=yes\n", Level.OK),
        ("NTPSynchronized=no\n", Level.WARN),
        ("sh: timedatectl: not found\n", Level.UNKNOWN),
        ("", Level.UNKNOWN),
    ],
)
def test_what_systemd_says_of_a_clock_is_read(printed: str, level: Level) -> None:
    assert clocks.synchronized(Subject("time-sync", "beta"), is_kept=clocks.is_kept(printed)).level is level
