"""The daily check of a target: when it is made, and to whom a failure is reported."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import UTC

import pytest

from alerts.channels.verify import Proof, Verified
from alerts.delivery.context import DeliveryContext
from alerts.delivery.daily_check import (
    AGAIN_AFTER_SECONDS,
    FIRST_AFTER_SECONDS,
    INTERVAL_SECONDS,
    RETRIES,
    RETRY_SECONDS,
    CheckState,
    DailyCheck,
    next_check,
)
from alerts.delivery.store import Counters, Writes
from alerts.notice import Notice, NoticeKind, Severity
from tests.support import statuses
from tests.support.notify import counts

GOOD = Verified(Proof.PROVEN, "", 0.1)
BAD = Verified(Proof.FAILED, "The mail server refused the log-in: 535 no", 0.1)


@dataclass
class Checked:
    """A target whose checks give these results, the last one again and again; waits end at once."""

    results: list[Verified]
    core: statuses.FakeCore = field(default_factory=statuses.FakeCore)
    now: float = statuses.NOW
    made: int = 0
    slept: list[float] = field(default_factory=list)
    reported: list[Notice] = field(default_factory=list)
    most_waits: int = 100

    def check(self) -> DailyCheck:
        store = self.core.memory("notify")
        context = DeliveryContext(
            self.core, "alpha", store, Counters(store, ["mail"]), lambda: self.now, self.sleep, UTC, 0.0
        )
        return DailyCheck("mail", self.verify, context, broadcast=self.broadcast, sleep=self.sleep)

    async def verify(self) -> Verified:
        self.made += 1
        return self.results.pop(0) if len(self.results) > 1 else self.results[0]

    async def sleep(self, seconds: float) -> None:
        if len(self.slept) == self.most_waits:
            raise asyncio.CancelledError
        self.slept.append(seconds)
        self.now += seconds

    def broadcast(self, notice: Notice) -> Writes:
        self.reported.append(notice)
        return {}


async def test_a_target_that_is_well_is_checked_once_a_day_and_nothing_is_said() -> None:
    target = Checked([GOOD], most_waits=4)
    with pytest.raises(asyncio.CancelledError):
        await target.check().run()
    assert target.slept == [FIRST_AFTER_SECONDS, 0.0, INTERVAL_SECONDS, INTERVAL_SECONDS]
    assert (target.made, target.reported) == (3, [])


async def test_a_failure_that_lasts_is_reported_once_and_its_end_once() -> None:
    target = Checked([BAD] * (RETRIES + 1) + [BAD] * (RETRIES + 1) + [GOOD])
    check = target.check()
    for _ in range(4):
        await check.check()
    down, up = target.reported
    assert (down.kind, down.about, down.severity) == (NoticeKind.UNDELIVERED, "mail", Severity.WARNING)
    assert down.text == f"Its daily check failed: {BAD.reason}"
    assert (up.kind, up.thread, up.closes) == (NoticeKind.RECOVERED, down.thread, True)
    assert counts(target.core)["mail"]["failure"] == 2 * (RETRIES + 1)


async def test_a_server_that_is_back_soon_is_not_reported() -> None:
    target = Checked([BAD, GOOD])
    await target.check().check()
    assert (target.reported, target.slept) == ([], [RETRY_SECONDS])


async def test_a_restart_neither_repeats_the_report_nor_forgets_it() -> None:
    target = Checked([BAD])
    await target.check().check()
    await target.check().check()
    assert len(target.reported) == 1
    target.results = [GOOD]
    await target.check().check()
    assert [each.kind for each in target.reported] == [NoticeKind.UNDELIVERED, NoticeKind.RECOVERED]


def test_the_next_check_is_a_day_later_or_an_hour_after_a_failure() -> None:
    now = statuses.NOW
    assert next_check(CheckState(), now) == 0
    assert next_check(CheckState(now - 3600), now) == INTERVAL_SECONDS - 3600
    assert next_check(CheckState(now - 60, "t"), now) == AGAIN_AFTER_SECONDS - 60
    assert next_check(CheckState(now + 3600), now) == 0, "the clock was set back"


async def test_a_damaged_value_counts_as_none() -> None:
    target = Checked([GOOD])
    target.core.memory("notify").put("check/mail", '{"at": 1}')
    await target.check().check()
    assert target.made == 1
