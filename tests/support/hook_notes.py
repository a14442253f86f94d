"""A recorder of hooks that keeps its calls, for tests without a ``state.db``."""

from __future__ import annotations

from dataclasses import dataclass, field

from replicator.errors import ZsrError
from replicator.models import Guest, GuestId, Hook


@dataclass
class HookNotes:
    """Keeps what hooks did, as `replicator.replication.hooks.HookRecorder`.

    ``done`` gets a word for each call. ``refuses``: that call raises the error instead.
    """

    done: list[str] = field(default_factory=list)
    frozen: set[GuestId] = field(default_factory=set)
    refuses: dict[str, ZsrError] = field(default_factory=dict)

    async def freezing(self, guest: Guest, thaw: str) -> bool:
        """See `HookRecorder.freezing`."""
        self._note("recorded")
        known = guest.id in self.frozen
        self.frozen.add(guest.id)
        return known

    async def thawed(self, guest: Guest) -> None:
        """See `HookRecorder.thawed`."""
        self._note("forgotten")
        self.frozen.discard(guest.id)

    async def froze(self, guest: Guest) -> None:
        """See `HookRecorder.froze`."""
        self._note("froze")

    async def failed(self, guest: Guest, hook: Hook) -> None:
        """See `HookRecorder.failed`."""
        self._note(f"{hook} failed")

    async def thaw_failed(self, guest: Guest, message: str) -> None:
        """See `HookRecorder.thaw_failed`."""
        self._note("thaw failed, frozen")

    def _note(self, word: str) -> None:
        if word in self.refuses:
            raise self.refuses[word]
        self.done.append(word)
