"""Channels send notices: mail, webhook, Alertmanager, and the services of apprise."""
