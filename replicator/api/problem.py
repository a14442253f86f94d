"""A wrong setting, as the core and every plugin report it."""

from __future__ import annotations

from dataclasses import dataclass

from replicator.display import shortened

_LONGEST_KEY = 120
_LONGEST_VALUE = 100


@dataclass(frozen=True, slots=True)
class Problem:
    """One wrong setting: its key, its value, and the allowed values. Never contains a secret."""

    key: str
    value: str
    allowed: str

    def __str__(self) -> str:
        return f"{shortened(self.key, _LONGEST_KEY)} = {shortened(self.value, _LONGEST_VALUE)}: {self.allowed}"
