"""Alerts that other programs post to zsr."""
