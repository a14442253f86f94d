"""From the settings of a target to the channel that reaches it."""

from __future__ import annotations

from dataclasses import dataclass

from alerts.channel import SEND_LIMIT
from alerts.channels.alertmanager import AlertmanagerChannel, AlertmanagerSettings, Lasting
from alerts.channels.mail import MailChannel
from alerts.channels.mailto import mail_settings
from alerts.channels.services import AppriseChannel
from alerts.channels.settings import PingSettings, Way
from alerts.channels.webhook import WebhookChannel, WebhookSettings
from alerts.redaction import RedactingFilter
from alerts.sender import make_service
from alerts.words.scribe import Scribe
from replicator.plugins import Memory

AnyChannel = MailChannel | AppriseChannel | WebhookChannel | AlertmanagerChannel


@dataclass(frozen=True, slots=True)
class Office:
    """What channels share. ``guard`` must know all secrets of all ways; ``memory``: the plugin's notes."""

    scribe: Scribe
    guard: RedactingFilter
    memory: Memory
    limit: float = SEND_LIMIT


def make_channel(name: str, way: Way, office: Office) -> AnyChannel | None:
    """The channel of the target with a name; None for pings, which carry no notices, and for what apprise refuses."""
    match way:
        case WebhookSettings():
            return WebhookChannel(way, office.scribe, limit=office.limit)
        case AlertmanagerSettings():
            lasting = Lasting(office.memory, f"alertmanager/{name}")
            return AlertmanagerChannel(way, office.scribe, lasting, limit=office.limit)
        case PingSettings():
            return None
    mail = mail_settings(way.url.text)
    if mail is not None:
        return MailChannel(mail, office.scribe, way.url.derived, limit=office.limit)
    service = make_service(way.url.text)
    return None if service is None else AppriseChannel(service, office.scribe, office.guard, limit=office.limit)
