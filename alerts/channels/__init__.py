"""The ways that a notice goes: mail, webhook, Alertmanager, and whatever apprise reaches."""
