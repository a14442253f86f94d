"""How much history of a job's runs is kept."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Retention:
    """How much history a job keeps: a number of runs or of seconds back, whichever is more."""

    runs: int = 100
    seconds: float = 30 * 86400.0
