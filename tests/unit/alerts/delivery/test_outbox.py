"""Which message goes next, when it is tried again, and when it is given up."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.channels.base import SendStatus, Sent
from alerts.delivery.outbox import BACKOFF_SECONDS, GIVE_UP_AFTER_SECONDS, MOST_ATTEMPTS, Entry, next_due, next_entry
from alerts.notice import Notice, NoticeKind, Severity

NOW = 1_800_000_000.0


def entry(number: int, thread: str = "", *, attempts: int = 0, tried: float = 0.0, not_before: float = 0.0) -> Entry:
    notice = Notice(f"k{number}", NoticeKind.FAILED, Severity.WARNING, NOW, "alpha", thread or f"t{number}")
    return Entry(number, notice, NOW, not_before, attempts, tried)


def test_the_oldest_goes_first() -> None:
    assert next_entry([entry(1), entry(2)], NOW) == entry(1)


def test_one_that_its_server_refuses_does_not_delay_another() -> None:
    refused = entry(1, attempts=1, tried=NOW)
    assert next_entry([refused, entry(2)], NOW) == entry(2)
    assert next_entry([refused], NOW) is None
    assert next_due([refused], NOW) == NOW + BACKOFF_SECONDS[0]


def test_messages_of_one_thread_keep_their_order() -> None:
    trouble, clear = entry(1, "t", attempts=1, tried=NOW), entry(2, "t")
    assert next_entry([trouble, clear], NOW) is None
    assert next_entry([clear], NOW) == clear


def test_quiet_hours_hold_one_until_they_are_over() -> None:
    held = entry(1, not_before=NOW + 3600)
    assert next_entry([held], NOW + 3599) is None
    assert next_entry([held], NOW + 3600) == held


def test_what_may_go_passes_what_quiet_hours_hold_in_its_thread() -> None:
    held, page = entry(1, "t", not_before=NOW + 3600), entry(2, "t")
    assert next_entry([held, page], NOW) == page
    assert next_due([held], NOW) == NOW + 3600
    assert next_entry([held, page], NOW + 3600) == held


def test_an_all_clear_passes_nothing() -> None:
    held, clear = entry(1, "t", not_before=NOW + 3600), entry(2, "t")
    for end in (replace(clear.notice, closes=True), replace(clear.notice, kind=NoticeKind.RECOVERED)):
        assert next_entry([held, replace(clear, notice=end)], NOW) is None


def test_a_message_that_is_tried_again_is_not_held_and_keeps_its_place() -> None:
    tried, page = entry(1, "t", attempts=1, tried=NOW, not_before=NOW + 60), entry(2, "t")
    assert next_entry([tried, page], NOW) is None


def test_the_pauses_grow_to_an_hour() -> None:
    tried = [entry(1, attempts=attempts, tried=NOW).due(NOW) - NOW for attempts in range(1, 8)]
    assert tried == [*BACKOFF_SECONDS, BACKOFF_SECONDS[-1], BACKOFF_SECONDS[-1]]


def test_a_server_that_asks_for_a_pause_gets_it_if_it_is_longer() -> None:
    for asked, pause in ((5.0, BACKOFF_SECONDS[0]), (600.0, 600.0)):
        busy = entry(1).failed(NOW, Sent(SendStatus.FAILED, "It is busy.", 0.0, retry_after=asked))
        assert busy.due(NOW) == NOW + pause


def test_a_refusal_for_good_is_tried_again_rarely_in_case_it_is_fixed() -> None:
    refused = entry(1).failed(NOW, Sent(SendStatus.FAILED, "No.", 0.0, permanent=True))
    assert refused.due(NOW) == NOW + BACKOFF_SECONDS[-1]


def test_a_clock_that_was_set_back_holds_nothing() -> None:
    waiting = [entry(1, attempts=3, tried=NOW), entry(2, not_before=NOW + 60)]
    assert [each.due(NOW - 86_400) for each in waiting] == [0.0, 0.0]


@pytest.mark.parametrize(
    ("attempts", "age", "hopeless"),
    [
        (20, GIVE_UP_AFTER_SECONDS - 1, False),
        (20, GIVE_UP_AFTER_SECONDS, True),
        (1, 10 * GIVE_UP_AFTER_SECONDS, False),
        (MOST_ATTEMPTS, 0.0, True),
    ],
)
def test_it_is_given_up_when_it_is_a_day_old_and_was_really_tried(attempts: int, age: float, hopeless: bool) -> None:
    assert entry(1, attempts=attempts).is_hopeless(NOW + age) is hopeless


def test_the_day_begins_when_quiet_hours_let_it_go() -> None:
    end = NOW + 9 * 3600
    tried = entry(1, attempts=20, not_before=end)
    assert not tried.is_hopeless(end + GIVE_UP_AFTER_SECONDS - 1)
    assert tried.is_hopeless(end + GIVE_UP_AFTER_SECONDS)


@given(st.lists(st.tuples(st.integers(0, 2), st.booleans()), max_size=30))
def test_whatever_fails_each_message_arrives_once_and_in_the_order_of_its_thread(steps: list[tuple[int, bool]]) -> None:
    outbox = [entry(number, f"t{thread}") for number, (thread, _) in enumerate(steps, start=1)]
    answers = [ok for _, ok in steps]
    arrived, now = list[Entry](), NOW
    while outbox:
        found = next_entry(outbox, now)
        if found is None:
            now = next_due(outbox, now) or now
            continue
        if answers and not answers.pop():
            outbox = [replace(each, attempts=1, tried=now) if each is found else each for each in outbox]
        else:
            arrived.append(found)
            outbox.remove(found)
    assert sorted(each.number for each in arrived) == list(range(1, len(steps) + 1))
    for thread in ("t0", "t1", "t2"):
        numbers = [each.number for each in arrived if each.notice.thread == thread]
        assert numbers == sorted(numbers)
