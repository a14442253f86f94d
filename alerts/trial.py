"""``zsr notify test``: one message through each target at the same time, and what became of it in words."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from alerts.channel import SendStatus, Sent
from alerts.messages import Message, sample_message
from alerts.plugin import all_secrets
from alerts.redaction import RedactingFilter, guarded_logs
from alerts.sender import Sender, known_scheme, make_service
from alerts.targets import Target

TRIAL_LIMIT = 30.0
"""Seconds a test message may take; somebody is waiting for the answer."""


@dataclass(frozen=True, slots=True)
class Trial:
    """The test of one target: ``kind`` is its URL's scheme, ``reason`` a sentence, empty when it was delivered."""

    target: str
    kind: str
    status: SendStatus
    reason: str
    seconds: float

    @property
    def ok(self) -> bool:
        """Whether the message was delivered."""
        return self.status is SendStatus.DELIVERED


async def try_targets(targets: Sequence[Target], node: str, *, limit: float = TRIAL_LIMIT) -> list[Trial]:
    """Send the test message through all targets at once; in the order of the targets."""
    # One guard for all: a second one would drop the records that the first listens to.
    with guarded_logs(all_secrets(targets)) as guard:

        async def one(target: Target) -> Trial:
            sent = await send_through(target, sample_message(target.name, node), guard, limit=limit)
            return Trial(target.name, known_scheme(target.url), sent.status, sent.reason, sent.seconds)

        return list(await asyncio.gather(*(one(target) for target in targets)))


async def send_through(target: Target, message: Message, guard: RedactingFilter, *, limit: float) -> Sent:
    """Send one message through one target, once, under a guard that knows the target's secrets."""
    service = make_service(target)
    if service is None:
        return Sent(SendStatus.FAILED, "Its URL is not one that apprise understands.", 0.0)
    return await Sender(service, guard, limit=limit).send(message)
