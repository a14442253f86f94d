"""The tolerance for clocks that were set back or forth."""

from __future__ import annotations

CLOCK_SLACK_SECONDS = 60.0
"""Seconds that a recorded time may lie in the future before the clock that wrote it is distrusted."""
