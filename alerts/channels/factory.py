"""From the settings of a target to the channel that reaches it."""

from __future__ import annotations

from dataclasses import dataclass

from alerts.channels.alertmanager import AlertmanagerChannel, AlertmanagerSettings, Lasting
from alerts.channels.apprise import AppriseChannel, make_service
from alerts.channels.base import SEND_TIMEOUT_SECONDS
from alerts.channels.email import MailChannel
from alerts.channels.email_url import mail_settings
from alerts.channels.settings import ChannelConfig, PingSettings
from alerts.channels.webhook import WebhookChannel, WebhookSettings
from alerts.redaction import RedactingFilter
from alerts.render.renderer import MessageWriter
from replicator.api.plugin import PluginStore

AnyChannel = MailChannel | AppriseChannel | WebhookChannel | AlertmanagerChannel


@dataclass(frozen=True, slots=True)
class ChannelContext:
    """What channels share. ``guard`` must know all secrets of all ways; ``memory``: the plugin's notes."""

    writer: MessageWriter
    guard: RedactingFilter
    memory: PluginStore
    limit: float = SEND_TIMEOUT_SECONDS


def create_channel(name: str, way: ChannelConfig, channel_context: ChannelContext) -> AnyChannel | None:
    """The channel of the target with a name; None for pings, which carry no notices, and for what apprise refuses."""
    match way:
        case WebhookSettings():
            return WebhookChannel(way, channel_context.writer, limit=channel_context.limit)
        case AlertmanagerSettings():
            lasting = Lasting(channel_context.memory, f"alertmanager/{name}")
            return AlertmanagerChannel(way, channel_context.writer, lasting, limit=channel_context.limit)
        case PingSettings():
            return None
    mail = mail_settings(way.url.text)
    if mail is not None:
        return MailChannel(mail, channel_context.writer, way.url.derived, limit=channel_context.limit)
    service = make_service(way.url.text)
    return (
        None
        if service is None
        else AppriseChannel(service, channel_context.writer, channel_context.guard, limit=channel_context.limit)
    )
