"""Patterns of the snapshots that travel."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replicator.common.snapshot_patterns import SnapshotPatterns, canonical, lua_pattern


@pytest.mark.parametrize(
    ("text", "fit", "others"),
    [
        ("all", ["a", "autosnap_1", "x y"], []),
        ("own", [], ["a", "autosnap_1"]),
        ("autosnap_*,!*_hourly", ["autosnap_1_daily"], ["autosnap_1_hourly", "mine"]),
        ("!*_hourly", ["mine"], ["autosnap_1_hourly"]),
        ("day?", ["day1"], ["day", "day10", "Day1"]),
        ("v1.0,w", ["v1.0"], ["v1x0"]),
    ],
)
def test_a_name_travels_if_it_fits_and_is_not_excluded(text: str, fit: list[str], others: list[str]) -> None:
    patterns = SnapshotPatterns.parse(text)

    assert [name for name in [*fit, *others] if patterns.fits(name)] == fit


@pytest.mark.parametrize("wrong", ["", "none", "a,,b", "[ab]", "a@b", "!", "a/b", 'a"'])
def test_what_no_name_can_fit_is_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match="patterns"):
        SnapshotPatterns.parse(wrong)


def test_spaces_around_patterns_do_not_count() -> None:
    assert canonical("autosnap_* , !*_hourly") == "autosnap_*,!*_hourly"


def _as_regex(pattern: str) -> str:
    """A Lua pattern as a regular expression: ``%`` escapes there, and nothing else of it differs here."""
    return re.sub(r"%(.)", lambda found: re.escape(found[1]), pattern)


@given(st.text("ab_-.:*? ", min_size=1), st.text("ab_-.: ", min_size=1))
def test_lua_agrees_with_python(pattern: str, name: str) -> None:
    """The program on the source decides by it whether an idle guest has something to send."""
    fits = SnapshotPatterns((pattern,)).fits(name)

    assert (re.search(_as_regex(lua_pattern(pattern)), name) is not None) == fits
