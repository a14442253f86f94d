"""All settings of notifications: ``[[notify]]``, ``[notify_messages]`` and ``[notify_receiver]``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from alerts.channels.settings import secrets_of_channel
from alerts.inbound import alertmanager_webhook
from alerts.inbound.alertmanager_webhook import ReceiverSettings, read_receiver
from alerts.render import settings as message_settings
from alerts.render.settings import MessageSettings, read_message_settings
from alerts.targets import Target, read_targets
from replicator.api.problem import Problem

SECTION = "notify"
SECTIONS = (SECTION, message_settings.SECTION, alertmanager_webhook.SECTION)


@dataclass(frozen=True, slots=True)
class AlertsSettings:
    """The valid part of the settings. ``receiver`` None: nothing listens."""

    targets: tuple[Target, ...] = ()
    messages: MessageSettings = field(default_factory=MessageSettings)
    receiver: ReceiverSettings | None = None

    @property
    def secrets(self) -> frozenset[str]:
        """All texts that must not be shown."""
        token = self.receiver.token.derived if self.receiver is not None else frozenset()
        return token.union(*(secrets_of_channel(target.channel) for target in self.targets))


def read_settings(sections: Mapping[str, object], environ: Mapping[str, str]) -> tuple[AlertsSettings, list[Problem]]:
    """The settings and their problems; keys begin with the section's name. Reads files, sends nothing.

    Args:
        sections: by name; absent ones are left out.
        environ: where ``env:`` and ``credential:`` are looked up.
    """
    targets, wrong_targets = read_targets(sections.get(SECTION), environ)
    messages, wrong_messages = read_message_settings(sections.get(message_settings.SECTION))
    receiving, wrong_receiver = read_receiver(sections.get(alertmanager_webhook.SECTION), environ)
    problems = [
        *placed(SECTION, wrong_targets),
        *placed(message_settings.SECTION, wrong_messages),
        *placed(alertmanager_webhook.SECTION, wrong_receiver),
    ]
    return AlertsSettings(targets, messages, receiving), problems


def placed(section: str, problems: Iterable[Problem]) -> Iterator[Problem]:
    """Problems with the section's name in front of their keys."""
    return (replace(each, key=f"{section}.{each.key}" if each.key else section) for each in problems)
