"""Lines of ``zsr doctor``: what another machine said never reaches a terminal as it is, and the worst level counts."""

from __future__ import annotations

import pytest

from replicator.api.doctor import Level, Line, Subject, worst
from replicator.errors import ZsrError

SUBJECT = Subject("shell", "beta")


def test_control_characters_of_another_machine_are_shown_and_not_sent() -> None:
    line = SUBJECT.warn("It prints \x1b]0;owned\x07 and \x9b31m.", "Remove\x1b[2J it.")

    assert "\x1b" not in line.text + line.advice
    assert "\x9b" not in line.text
    assert "^[]0;owned^G" in line.text


def test_a_text_is_one_line_of_bounded_length() -> None:
    line = SUBJECT.unknown("a\nb\t c" + "x" * 10_000)

    assert line.text.startswith("a b c")
    assert len(line.text) < 700


@pytest.mark.parametrize(
    ("levels", "counts"),
    [
        ([], Level.OK),
        ([Level.OK, Level.OFF], Level.OK),
        ([Level.OK, Level.UNKNOWN], Level.UNKNOWN),
        ([Level.UNKNOWN, Level.WARN], Level.WARN),
        ([Level.WARN, Level.FAIL, Level.UNKNOWN], Level.FAIL),
    ],
)
def test_the_worst_level_counts(levels: list[Level], counts: Level) -> None:
    assert worst(Line("zfs", "alpha", level, "") for level in levels) is counts


def test_a_failure_has_something_to_do_also_where_its_error_has_not() -> None:
    error = ZsrError("It broke.")
    error.advice = ""

    assert SUBJECT.failed(error).advice
