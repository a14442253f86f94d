"""Creates the channel of a target from its settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import assert_never

from alerts.channels.alertmanager import ActiveAlerts, AlertmanagerChannel, AlertmanagerSettings
from alerts.channels.apprise import AppriseChannel, make_service
from alerts.channels.base import SEND_TIMEOUT_SECONDS
from alerts.channels.email import MailChannel
from alerts.channels.email_url import mail_settings
from alerts.channels.settings import ChannelConfig, PingSettings, ServiceSettings
from alerts.channels.smtp import RFC_WAITS, Waits
from alerts.channels.webhook import WebhookChannel, WebhookSettings
from alerts.redaction import RedactingFilter
from alerts.render.renderer import MessageWriter
from replicator.api.plugin import PluginStore

AnyChannel = MailChannel | AppriseChannel | WebhookChannel | AlertmanagerChannel


@dataclass(frozen=True, slots=True)
class ChannelContext:
    """Dependencies shared by all channels. ``guard`` must know the secrets of all of them.

    ``limit``: seconds of one attempt; that of a mail may take as long as the steps of SMTP (``waits``), or
    ``mail_limit``.
    """

    writer: MessageWriter
    guard: RedactingFilter
    store: PluginStore
    limit: float = SEND_TIMEOUT_SECONDS
    mail_limit: float | None = None
    waits: Waits = RFC_WAITS


def create_channel(name: str, settings: ChannelConfig, channel_context: ChannelContext) -> AnyChannel | None:
    """The channel of a target; None for pings, which send no notices, and for what apprise does not accept."""
    match settings:
        case WebhookSettings():
            return WebhookChannel(settings, channel_context.writer, limit=channel_context.limit)
        case AlertmanagerSettings():
            active = ActiveAlerts(channel_context.store, f"alertmanager/{name}")
            return AlertmanagerChannel(settings, channel_context.writer, active, limit=channel_context.limit)
        case PingSettings():
            return None
        case ServiceSettings():
            return _service_channel(settings, channel_context)
    assert_never(settings)


def _service_channel(settings: ServiceSettings, channel_context: ChannelContext) -> AnyChannel | None:
    writer, secrets = channel_context.writer, settings.url.derived
    mail = mail_settings(settings.url.text)
    if mail is not None:
        return MailChannel(mail, writer, secrets, limit=channel_context.mail_limit, waits=channel_context.waits)
    service = make_service(settings.url.text)
    return (
        None if service is None else AppriseChannel(service, writer, channel_context.guard, limit=channel_context.limit)
    )
