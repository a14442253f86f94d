"""The moves and recoveries of guests that this node did, in ``state.db``."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from replicator.api.moves import GuestMoves
from replicator.events import GuestMoved
from replicator.ids import stored_guest
from replicator.state.database import Database
from replicator.state.journal import record_event
from replicator.state.plugin_store import SqlitePluginStore, write_notes

STORE = "zsr.moves"
"""The name under which `memory` has them; no plugin has it."""


@dataclass(frozen=True, slots=True)
class Moves:
    """Records moves. Blocks."""

    database: Database

    def record(self, event: GuestMoved) -> None:
        """Count a move, and write it into the journal; nothing is done for an epoch that was recorded already."""
        known = {each.guest: each for each in self.all()}.get(event.job.guest)
        if known is not None and known.epoch == event.epoch:
            return
        after = GuestMoves(
            guest=event.job.guest,
            moved=(0 if known is None else known.moved) + (not event.recovered),
            recovered=(0 if known is None else known.recovered) + event.recovered,
            time=event.time,
            former=event.former,
            node=event.node,
            epoch=event.epoch,
            downtime=event.downtime,
        )
        with self.database.transaction() as db:
            write_notes(db, STORE, {str(event.job.guest): json.dumps(asdict(after))})
            record_event(db, event)

    def all(self) -> tuple[GuestMoves, ...]:
        """Return what is known of each guest, by its number."""
        with self.database.decoding():
            texts = SqlitePluginStore(self.database, STORE).items("").values()
            read = [json.loads(text) for text in texts]
            found = [GuestMoves(**{**values, "guest": stored_guest(values["guest"])}) for values in read]
        return tuple(sorted(found, key=lambda each: each.guest))
