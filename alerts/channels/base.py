"""The way a notice takes to one target: whoever carries one implements `Channel`, and says how it went."""

from __future__ import annotations

import logging
import traceback
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from alerts.notice import Notice

SEND_TIMEOUT_SECONDS = 60.0
"""Seconds that one attempt may take before it counts as failed."""

_log = logging.getLogger("zsr.alerts")


class SendStatus(StrEnum):
    """How one attempt ended. A time-out may still deliver later; it counts as failed."""

    DELIVERED = "ok"
    FAILED = "failed"
    TIMEOUT = "timeout"


@dataclass(frozen=True, slots=True)
class Sent:
    """One attempt: how it ended, why (a sentence without secrets, empty when delivered) and its seconds.

    ``permanent``: the receiver refused it for good, so that trying again helps only when somebody changes something.
    ``retry_after``: seconds that it asks to be left alone, where it says so.
    """

    status: SendStatus
    reason: str
    seconds: float
    permanent: bool = False
    retry_after: float | None = None

    @property
    def ok(self) -> bool:
        """Whether the message arrived."""
        return self.status is SendStatus.DELIVERED


def failed_inside(error: Exception, seconds: float) -> Sent:
    """An attempt that ended with an error which nobody expected; the lines of code that led there go to the log.

    The error's own words do not: they may hold a secret.
    """
    _log.error("An attempt failed inside zsr:\n%s", "".join(traceback.format_tb(error.__traceback__)))
    return Sent(SendStatus.FAILED, f"It failed inside zsr ({type(error).__name__}); this is a bug.", seconds)


class Channel(Protocol):
    """One target. It is asked one notice at a time."""

    async def send(self, notice: Notice) -> Sent:
        """Try once to deliver a notice, within a time limit of its own; never raises but for being cancelled.

        The same notice may be sent again, with the same key, also by a later process: a receiver that knows the key
        drops the second one.
        """
