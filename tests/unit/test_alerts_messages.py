"""The words of a message, as somebody reads them at night."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, tzinfo
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.messages import TITLE_SEEN, Kind, Message, distance, duration, ordinal
from alerts.noticing import Sender, telling_notice
from alerts.policy import Incident, Memory, Telling
from alerts.wording import compose
from replicator.errors import ErrorClass
from replicator.events import RunFailed, RunSucceeded
from replicator.jobs import Guest, JobId, Removal
from replicator.plugins import JobStatus, Status
from tests import statuses

NOW = statuses.NOW  # 2027-01-15 08:00:00 UTC
JOB = JobId(100, 0)


def event(consecutive: int = 2, message: str = "Node beta does not answer on port 22.") -> RunFailed:
    return RunFailed(
        time=NOW - 120,
        job=JOB,
        run=7,
        error_class=ErrorClass.NETWORK,
        message=message,
        advice="Check that the node is up.",
        consecutive=consecutive,
        failing_since=NOW - 4500,
        last_sync=NOW - 5400,
        next_run=NOW + 780,
    )


def job(name: str = "web", **changes: object) -> JobStatus:
    picture = statuses.failing()
    return replace(picture, guest=Guest(id=100, name=name, node="alpha"), **changes)  # type: ignore[arg-type]


def told(
    happened: RunFailed | RunSucceeded, picture: Status, zone: tzinfo = UTC, synced: float | None = None
) -> Message:
    telling = Telling(((1, happened),), {str(happened.job): Incident(None, synced)})
    return compose(telling_notice(telling, picture, Memory(), Sender("alpha", "mail")), NOW, zone)


def failure(status: JobStatus | None = None, failed: RunFailed | None = None) -> Message:
    return told(failed or event(), statuses.status(status or job()))


def test_a_failure_tells_all_that_is_asked_at_night() -> None:
    assert failure().body.splitlines() == [
        "Job 100-0: replication of guest 100 web from alpha to beta failed for the 2nd time in a row.",
        "",
        "What happened: Node beta does not answer on port 22. (class: network)",
        "Failing since: 2027-01-15 06:45:00 (1 hour 15 minutes ago)",
        "If alpha died now, guest 100 web would fall back to 2027-01-15 06:30:00 "
        "(1 hour 30 minutes ago; promised: 30 minutes). The promise is broken.",
        "Next try: 2027-01-15 08:13:00 (in 13 minutes)",
        "What to do: Check that the node is up.",
        "Log of the run: zsr log 100-0",
        "",
        "Sent by zsr on alpha; times are in UTC.",
    ]


def test_the_title_says_guest_and_what() -> None:
    assert failure().title == "Guest 100 web: replication failed (network), to beta"


def test_a_promise_that_still_holds_is_not_called_broken() -> None:
    kept = job(rpo=7200.0)
    assert "promised: 2 hours)." in failure(kept).body
    assert "broken" not in failure(kept).body


def test_a_guest_without_a_replica_is_told_as_such() -> None:
    picture = statuses.failing(ever_synced=False)
    assert "would be lost; there is no replica on beta yet" in failure(picture).body


def test_a_job_that_was_removed_meanwhile_is_still_told_with_what_the_event_knows() -> None:
    message = told(event(), statuses.status())
    assert message.title.startswith("Guest 100: replication failed")
    assert "fall back to 2027-01-15 06:30:00" in message.body


def test_a_failing_removal_is_called_a_removal() -> None:
    removed = job()
    removed = replace(removed, job=replace(removed.job, removal=Removal.FULL))
    assert failure(removed).title == "Guest 100 web: removal failed (network), to beta"


def test_times_are_those_of_the_zone() -> None:
    message = told(event(), statuses.status(job()), ZoneInfo("Europe/Vienna"))
    assert "Failing since: 2027-01-15 07:45:00" in message.body
    assert "times are in CET" in message.body


def test_the_all_clear_tells_how_long_how_often_and_how_bad() -> None:
    succeeded = RunSucceeded(NOW, JOB, 9, NOW - 20, 20.0, 5, recovered_after=6, failing_since=NOW - 7200)
    message = told(succeeded, statuses.status(job()), synced=NOW - 8100)
    assert message.kind is Kind.RECOVERED
    assert message.title == "Guest 100 web: replication is well again, to beta"
    assert message.body.splitlines()[2:7] == [
        "Last sync: 2027-01-15 07:59:40 (20 seconds ago)",
        "It had been failing since 2027-01-15 06:00:00, for 2 hours.",
        "Failed runs: 6",
        "The replica was up to 2 hours 15 minutes old meanwhile (promised: 30 minutes).",
        "There is nothing to do.",
    ]


def test_line_breaks_in_names_and_errors_forge_no_line_and_no_header() -> None:
    message = failure(job("web\r\nBcc: all@example.org"), event(message="broken\nWhat to do: nothing"))
    assert "\n" not in message.title
    assert "\nBcc" not in message.body
    assert message.body.count("\nWhat to do:") == 1


@given(
    name=st.text(max_size=80),
    target=st.text(min_size=1, max_size=80),
    error_class=st.sampled_from(ErrorClass),
    number=st.integers(min_value=100, max_value=999_999_999),
    consecutive=st.integers(min_value=1, max_value=10_000),
)
def test_the_first_characters_of_a_title_always_say_guest_and_what(
    name: str, target: str, error_class: ErrorClass, number: int, consecutive: int
) -> None:
    failed = replace(event(consecutive), job=JobId(number, 0), error_class=error_class)
    picture = statuses.failing(f"{number}-0", error_class=error_class)
    picture = replace(picture, guest=Guest(number, name, "alpha"), job=replace(picture.job, target=target))
    title = failure(picture, failed).title
    assert title.startswith(f"Guest {number}")
    assert "fail" in title[:TITLE_SEEN]
    assert title.isprintable()


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
