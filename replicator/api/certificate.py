"""The period in which a certificate is valid, and when its end is near. Pure."""

from __future__ import annotations

from dataclasses import dataclass

WARNING_SECONDS = 14 * 86400.0
"""Seconds before the end from which on there is a warning (as ZsrCertificateExpiring)."""
CRITICAL_SECONDS = 3 * 86400.0
"""Seconds before the end from which on it is critical (as ZsrCertificateLastDays)."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate that a server presents: its file, and when its validity begins and ends (unix times).

    Of a chain, the period in which all of it is valid. One that is made for a few days is renewed in the last of them,
    so its end is near only when a quarter of its period is left.
    """

    file: str
    begin: float
    end: float

    def is_ending(self, now: float) -> bool:
        """Whether it should have been renewed."""
        return self.end - now < min(WARNING_SECONDS, (self.end - self.begin) / 4)

    def is_almost_over(self, now: float) -> bool:
        """Whether its end is so near that it cannot wait, or past."""
        return self.end - now < min(CRITICAL_SECONDS, (self.end - self.begin) / 8)
