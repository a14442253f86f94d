"""The writer of all messages, by the settings."""

from __future__ import annotations

from datetime import tzinfo

from alerts.delivery.context import Clock
from alerts.render.renderer import MessageWriter, Renderer
from alerts.settings import AlertsSettings


def message_writer(settings: AlertsSettings, clock: Clock, zone: tzinfo) -> MessageWriter:
    """The writer of all messages; ``zone``: the timezone of their times."""
    messages = settings.messages
    return MessageWriter(Renderer(messages.templates), clock, zone, messages.page, messages.dashboard)
