"""The daily check of a target: a log-in that expired in quiet times is reported before it is needed.

It sends nothing (`alerts.channels.verify`). What fails is reported to the other targets, logged, and counted as a
failed attempt of the target.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from alerts.channels.verify import Verified
from alerts.delivery.context import DeliveryContext, Sleep
from alerts.delivery.store import Writes
from alerts.grouping.notices import NoticeSource
from alerts.notice import Notice, NoticeKind

FIRST_AFTER_SECONDS = 300.0
"""Seconds after the daemon's start before the first check of a target, since the network may still be starting."""
INTERVAL_SECONDS = 86_400.0
AGAIN_AFTER_SECONDS = 3600.0
"""Seconds between two checks of a target that fails."""
RETRY_SECONDS = 600.0
RETRIES = 2
"""Repetitions before a failure is reported: a mail server that is restarted is back by then."""

_log = logging.getLogger("zsr.alerts")


@dataclass(frozen=True, slots=True)
class CheckState:
    """When a target was checked last (unix time; 0: never), and the thread in which its failure was reported."""

    at: float = 0.0
    thread: str = ""


class DailyCheck:
    """Checks one target each day.

    Args:
        target: its name.
        verify: checks it once.
        context: what all workers share.
        broadcast: enqueues a notice for all other targets; returns the writes that this makes.
        sleep: how to wait until the next check.
    """

    def __init__(
        self,
        target: str,
        verify: Callable[[], Awaitable[Verified]],
        context: DeliveryContext,
        *,
        broadcast: Callable[[Notice], Writes],
        sleep: Sleep,
    ) -> None:
        self._target = target
        self._verify = verify
        self._context = context
        self._broadcast = broadcast
        self._sleep = sleep

    async def run(self) -> None:
        """Check until cancelled."""
        await self._sleep(FIRST_AFTER_SECONDS)
        while True:
            await self._sleep(next_check(self._state(), self._context.now))
            await self.check()

    async def check(self) -> None:
        """Check once, with repetitions, and report what changed."""
        verified = await self._verify()
        for _ in range(RETRIES):
            if verified.ok:
                break
            self._count_failure(verified)
            await self._sleep(RETRY_SECONDS)
            verified = await self._verify()
        if not verified.ok:
            self._count_failure(verified)
        state, writes = self._state(), Writes()
        thread = state.thread
        if not verified.ok and not thread:
            notice = self._notice(NoticeKind.UNDELIVERED, "", f"Its daily check failed: {verified.reason}")
            thread = notice.thread
            writes = self._broadcast(notice)
        elif verified.ok and thread:
            writes = self._broadcast(self._notice(NoticeKind.RECOVERED, thread, "Its daily check found nothing wrong."))
            thread = ""
        self._context.store.put_all({**writes, self._key: json.dumps([self._context.now, thread])})

    def _count_failure(self, verified: Verified) -> None:
        _log.error("The daily check of notification target '%s' failed: %s", self._target, verified.reason)
        self._context.store.put_all(self._context.counters.add(self._target, "failure"))

    def _notice(self, kind: NoticeKind, thread: str, text: str) -> Notice:
        now, node = self._context.now, self._context.node
        key = NoticeSource(node, self._target).key(f"check-{kind}", now, 0)
        closes = bool(thread)
        severity = kind.facts.severity
        return Notice(
            key,
            kind,
            severity,
            now,
            node,
            thread or key,
            opens=not closes,
            closes=closes,
            about=self._target,
            text=text,
        )

    @property
    def _key(self) -> str:
        return f"check/{self._target}"

    def _state(self) -> CheckState:
        """What was stored; a damaged value counts as none."""
        try:
            at, thread = json.loads(self._context.store.get(self._key) or '[0, ""]')
            return CheckState(float(at), str(thread))
        except (ValueError, TypeError):
            return CheckState()


def next_check(state: CheckState, now: float) -> float:
    """Seconds until the next check; none to wait after a clock that was set back."""
    pause = AGAIN_AFTER_SECONDS if state.thread else INTERVAL_SECONDS
    return min(max(0.0, state.at + pause - now), pause) if state.at <= now else 0.0
