"""The protocol of channels, and the result of one attempt."""

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
    """The result of one attempt, the reason (a sentence without secrets, empty when delivered), and its seconds.

    ``permanent``: the receiver refused it for good, so that another attempt helps only after a change of the settings.
    ``retry_after``: seconds that the receiver asks to wait.
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
    """The result of an attempt that ended with an unexpected error; its traceback goes to the log.

    The error's message does not: it may hold a secret.
    """
    _log.error("An attempt failed inside zsr:\n%s", "".join(traceback.format_tb(error.__traceback__)))
    return Sent(SendStatus.FAILED, f"It failed inside zsr ({type(error).__name__}); this is a bug.", seconds)


class Channel(Protocol):
    """Sends the notices of one target, one at a time."""

    async def send(self, notice: Notice) -> Sent:
        """Try once to deliver a notice, within a time limit of its own; raises nothing but CancelledError.

        The same notice may be sent again with the same key, also by a later process: a receiver that knows the key
        drops the second one.
        """
