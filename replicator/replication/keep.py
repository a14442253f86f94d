"""Interim: replaced as a whole by the owner of the restore-point policy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Keep:
    """The newest N."""

    count: int

    @classmethod
    def parse(cls, text: str) -> Keep:
        """Read a number."""
        return cls(int(text))

    def stale(self, times: Sequence[int]) -> set[int]:
        """All but the newest."""
        return set(sorted(times)[: -self.count])
