"""The damaged files ``state.db`` that were moved aside: seen until a person removes them."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from pathlib import Path

from replicator.state.schema import DAMAGED

LOOK_SECONDS = 60.0
"""Seconds between two looks: a file comes only when a daemon starts, and goes when a person removes it."""

_log = logging.getLogger("zsr.daemon")


@dataclass
class DamagedStates:
    """The files in the folder of ``state.db``, by name (``names``), as of the last look that succeeded."""

    folder: Path
    names: tuple[str, ...] = ()

    def look(self) -> None:
        """Look again. Blocks. Nothing changes where the folder cannot be read."""
        try:
            found = [path.name for path in self.folder.iterdir() if DAMAGED in path.name]
        except OSError as error:
            _log.debug("'%s' was not read: %s", self.folder, error)
            return
        self.names = tuple(sorted(name for name in found if not name.endswith(("-wal", "-shm"))))

    async def keep_looking(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            await asyncio.to_thread(self.look)
