"""What a route wants and when: matches, quiet hours, and settings that are wrong."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.foreign import Foreign
from alerts.notice import Notice, NoticeKind, Severity
from alerts.routing.quiet_hours import Window
from alerts.routing.routes import Match, Quiet, Repeat, Route, held_until, read_route, reasons_against
from alerts.subject import Subject
from replicator.models import JobId

VIENNA = ZoneInfo("Europe/Vienna")


def subject(guest: int, target: str = "beta") -> Subject:
    return Subject(JobId(guest, 0), guest, "web", "alpha", target)


NOTICE = Notice("k", NoticeKind.FAILED, Severity.WARNING, 0.0, "alpha", "t", subjects=(subject(100), subject(101)))


def at(text: str, zone: ZoneInfo = VIENNA) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=zone).timestamp()


class TestAMatch:
    def test_that_says_nothing_wants_all(self) -> None:
        assert reasons_against(Match(), NOTICE) == []

    @pytest.mark.parametrize(
        ("match", "reason"),
        [
            (Match(severity=frozenset({Severity.CRITICAL})), "severity warning is not one of critical"),
            (Match(event=frozenset({NoticeKind.DIGEST})), "event failed is not one of digest"),
            (Match(guest=frozenset({7})), "guest 100 is not one of 7"),
            (Match(job=frozenset({JobId(100, 1)})), "job 100-0 is not one of 100-1"),
            (Match(target=frozenset({"gamma"})), "target beta is not one of gamma"),
        ],
    )
    def test_says_why_not(self, match: Match, reason: str) -> None:
        assert reasons_against(match, NOTICE) == [reason]

    def test_of_failures_wants_flapping_jobs_too(self) -> None:
        flapping = replace(NOTICE, kind=NoticeKind.FLAPPING)
        assert reasons_against(Match(event=frozenset({NoticeKind.FAILED})), flapping) == []

    def test_wants_a_notice_about_several_jobs_for_one_of_them(self) -> None:
        assert reasons_against(Match(guest=frozenset({101})), NOTICE) == []

    def test_for_failures_wants_a_silent_node_whose_jobs_fail(self) -> None:
        silent = replace(NOTICE, kind=NoticeKind.TARGET_UNREACHABLE, about="beta")
        match = Match(event=frozenset({NoticeKind.FAILED}))
        assert reasons_against(match, silent) == []
        assert reasons_against(match, replace(silent, subjects=())) != []

    def test_asks_the_labels_of_what_another_program_said(self) -> None:
        foreign = replace(NOTICE, subjects=(), foreign=Foreign("t", "x", (("guest", "100"),)))
        assert reasons_against(Match(guest=frozenset({100})), foreign) == []
        assert reasons_against(Match(guest=frozenset({101})), foreign) == ["guest 100 is not one of 101"]


class TestQuietHours:
    @pytest.mark.parametrize(
        ("window", "now", "end"),
        [
            ("22:00-07:00", "2026-11-23T23:00", "2026-11-24T07:00"),
            ("22:00-07:00", "2026-11-24T06:59", "2026-11-24T07:00"),
            ("22:00-07:00", "2026-11-24T07:00", None),
            ("mon..fri 22:00-7:00", "2026-11-28T03:00", "2026-11-28T07:00"),
            ("mon..fri 22:00-7:00", "2026-11-28T23:00", None),
            ("sat,sun 0:00-24:00", "2026-11-28T10:00", "2026-11-30T00:00"),
            ("fri..mon 12:00-13:00", "2026-11-23T12:30", "2026-11-23T13:00"),
        ],
    )
    def test_end_when_the_window_says_in_local_time(self, window: str, now: str, end: str | None) -> None:
        found = Window.parse(window).end(at(now), VIENNA)
        assert found == (None if end is None else at(end))

    def test_are_as_long_as_the_clock_says_in_the_night_of_the_change(self) -> None:
        assert Window.parse("22:00-07:00").end(at("2026-10-24T23:00"), VIENNA) == at("2026-10-25T07:00")

    @pytest.mark.parametrize("text", ["", "22-6", "25:00-07:00", "22:00-22:00", "moo 1:00-2:00", "mon..x 1:00-2:00"])
    def test_that_are_none_are_refused(self, text: str) -> None:
        with pytest.raises(ValueError, match="window like"):
            Window.parse(text)

    def test_may_let_through_what_is_severe(self) -> None:
        quiet = Quiet(Window.parse("22:00-07:00"), below=Severity.CRITICAL)
        night = at("2026-11-23T23:00")
        assert held_until(quiet, Severity.WARNING, night, VIENNA) == at("2026-11-24T07:00")
        assert held_until(quiet, Severity.CRITICAL, night, VIENNA) is None

    @given(st.floats(min_value=0, max_value=4e9), st.integers(0, 1439), st.integers(1, 1439))
    def test_hold_nothing_longer_than_a_day_and_are_over_at_their_end(
        self, now: float, begin: int, length: int
    ) -> None:
        end = (begin + length) % 1440
        window = Window.parse(f"{begin // 60}:{begin % 60:02}-{end // 60}:{end % 60:02}")
        found = window.end(now, ZoneInfo("UTC"))
        if found is not None:
            assert now < found <= now + 86_400
            assert window.end(found, ZoneInfo("UTC")) is None


class TestTheLadder:
    def test_reports_the_failures_it_names_and_one_that_was_never_reported(self) -> None:
        due = Repeat(frozenset({2, 5})).due
        reported = ((1, False), (2, False), (3, True), (4, False), (5, True))
        assert [due(step - 1, step, again) for step, again in reported] == [False, True, False, True, True]

    def test_reports_a_step_that_it_names_once_and_also_where_failures_passed_over_it(self) -> None:
        due = Repeat(frozenset({2, 5})).due
        assert [due(1, 3, True), due(2, 2, True), due(5, 5, True), due(3, 7, True)] == [True, False, False, True]

    def test_without_numbers_reports_nothing_at_once(self) -> None:
        assert not Repeat(frozenset()).due(39, 40, False)


class TestSettings:
    def test_are_read(self) -> None:
        table = {
            "match": {"severity": ["critical", "warning"], "guest": 100, "job": "101-0", "target": ["beta"]},
            "quiet": {"window": "22:00-07:00", "mode": "drop", "below": "critical"},
            "repeat": {"failures": [1], "then": "off"},
            "digest": "weekly fri 17:00",
        }
        route, problems = read_route("0", table)
        assert problems == []
        assert route.match.guest == {100}
        assert route.match.job == {JobId(101, 0)}
        assert route.quiet == Quiet(Window.parse("22:00-07:00"), drop=True, below=Severity.CRITICAL)
        assert route.repeat == Repeat(frozenset({1}), None)
        assert route.digest is not None
        assert route.digest.next(at("2026-11-23T08:00"), VIENNA) == at("2026-11-27T17:00")

    def test_that_are_absent_are_the_defaults(self) -> None:
        route, problems = read_route("0", {})
        assert (route, problems) == (Route(), [])
        assert route.repeat.then is not None
        assert route.repeat.then.next(at("2026-11-23T09:00"), UTC) == at("2026-11-24T08:00", ZoneInfo("UTC"))

    def test_a_window_alone_is_enough_for_quiet_hours(self) -> None:
        assert read_route("0", {"quiet": "22:00-07:00"})[0].quiet == Quiet(Window.parse("22:00-07:00"))

    def test_that_are_wrong_are_all_reported_at_once(self) -> None:
        table = {
            "match": {"severity": "loud", "guest": 7, "job": "x", "colour": "red", "event": ["failed", "nothing"]},
            "quiet": {"window": "22-7", "mode": "shout", "below": "all"},
            "repeat": {"failures": [0], "then": "hourly"},
            "digest": "daily mon 08:00",
        }
        keys = [problem.key for problem in read_route("3", table)[1]]
        assert keys == [
            "3.match.colour", "3.match.severity", "3.match.event", "3.match.guest", "3.match.job",
            "3.quiet.mode", "3.quiet.below", "3.quiet.window", "3.repeat.failures", "3.repeat.then", "3.digest",
        ]  # fmt: skip

    @pytest.mark.parametrize("key", ["match", "quiet", "repeat"])
    def test_that_are_no_table_are_reported(self, key: str) -> None:
        assert read_route("0", {key: 5})[1][0].key == f"0.{key}"
