"""``zsr notify test`` and ``zsr notify verify``: try all targets at the same time, and report the results."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from typing import assert_never

from alerts.channels.alertmanager import AlertmanagerSettings
from alerts.channels.apprise import known_scheme
from alerts.channels.base import SendStatus, Sent
from alerts.channels.factory import ChannelContext, create_channel
from alerts.channels.healthchecks import try_ping
from alerts.channels.settings import PingSettings, ServiceSettings
from alerts.channels.verify import Proof, verify_channel
from alerts.channels.webhook import WebhookSettings
from alerts.messages import message_writer
from alerts.notice import Notice, NoticeKind, Severity
from alerts.redaction import guarded_logs
from alerts.settings import AlertsSettings
from alerts.targets import Target
from replicator.models import JobId

TEST_TIMEOUT_SECONDS = 30.0
"""Seconds that a test message may take; a user waits for the result."""


@dataclass(frozen=True, slots=True)
class TrialResult:
    """The result for one target.

    Attributes:
        kind: its channel or URL scheme.
        reason: a sentence; empty when the message was delivered, or its credentials are proven.
        ok: whether the message was delivered, or a check found nothing wrong.
    """

    target: str
    kind: str
    status: SendStatus | Proof
    reason: str
    seconds: float
    ok: bool


@dataclass(frozen=True, slots=True)
class NullStore:
    """A store that keeps nothing: a test must not change the daemon's state."""

    def get(self, key: str) -> str | None:
        """Always None."""

    def items(self, prefix: str) -> dict[str, str]:
        """Always empty."""
        return {}

    def put(self, key: str, value: str | None) -> None:
        """Drop the value."""

    def put_all(self, notes: Mapping[str, str | None]) -> None:
        """Drop the values."""


async def try_targets(
    settings: AlertsSettings,
    targets: Iterable[Target],
    node: str,
    zone: tzinfo,
    *,
    job: JobId | None = None,
    limit: float = TEST_TIMEOUT_SECONDS,
) -> list[TrialResult]:
    """Send the test message through some targets at once; returns the results in their order.

    Args:
        settings: all of them, so that the messages look like real ones.
        targets: the targets to test.
        node: the name of this node.
        zone: the timezone of messages.
        job: the job whose check is pinged.
        limit: seconds that one may take.
    """
    # One guard for all: a second one would drop the records that the first listens to.
    with guarded_logs(settings.secrets) as guard:
        channel_context = ChannelContext(message_writer(settings, time.time, zone), guard, NullStore(), limit, limit)
        tried: Sequence[Target] = tuple(targets)
        all_sent = await asyncio.gather(
            *(_try(target, node, channel_context, job or JobId(100, 0)) for target in tried)
        )
    return [
        TrialResult(target.name, _kind(target), sent.status, sent.reason, sent.seconds, sent.ok)
        for target, sent in zip(tried, all_sent, strict=True)
    ]


async def verify_targets(
    settings: AlertsSettings, targets: Iterable[Target], *, limit: float = TEST_TIMEOUT_SECONDS
) -> list[TrialResult]:
    """Check some targets at once without sending a message; returns the results in their order."""
    with guarded_logs(settings.secrets):
        checked: Sequence[Target] = tuple(targets)
        found = await asyncio.gather(*(verify_channel(target.channel, limit) for target in checked))
    return [
        TrialResult(target.name, _kind(target), each.proof, each.reason, each.seconds, each.ok)
        for target, each in zip(checked, found, strict=True)
    ]


async def _try(target: Target, node: str, channel_context: ChannelContext, job: JobId) -> Sent:
    if isinstance(target.channel, PingSettings):
        return await try_ping(target.channel.url, job, channel_context.limit)
    channel = create_channel(target.name, target.channel, channel_context)
    if channel is None:
        return Sent(SendStatus.FAILED, "Its URL is not one that apprise understands.", 0.0)
    now = time.time()
    key = f"{node}/{target.name}/test/{now:.6f}"
    return await channel.send(Notice(key, NoticeKind.TEST, Severity.INFO, now, node, key, about=target.name))


def _kind(target: Target) -> str:
    match target.channel:
        case WebhookSettings():
            return "webhook"
        case AlertmanagerSettings():
            return "alertmanager"
        case PingSettings():
            return "ping"
        case ServiceSettings():
            return known_scheme(target.channel.url.text)
    assert_never(target.channel)
