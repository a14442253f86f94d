"""A writer that keeps changing the guests' files, within a bounded size."""

from __future__ import annotations

import asyncio
import itertools
import random
from pathlib import Path

_FILES = 16
_PART = 64 * 1024
PAUSE = 2.0
"""Seconds between two changes of each filesystem."""


def change(folder: Path, turn: int, source: random.Random) -> None:
    """One change of a filesystem: a line in a journal, a file rewritten, sometimes one removed."""
    with (folder / "journal").open("a" if turn % 1000 else "w", encoding="utf-8") as journal:
        journal.write(f"turn {turn}\n")
    (folder / f"file-{turn % _FILES:02}").write_bytes(source.randbytes(_PART))
    if turn % 5 == 0:
        (folder / f"file-{source.randrange(_FILES):02}").unlink(missing_ok=True)


async def write(folders: list[Path]) -> None:
    """Change every folder again and again, until cancelled."""
    source = random.Random()  # noqa: S311 - content, not a secret
    for turn in itertools.count(1):
        for folder in folders:
            await asyncio.to_thread(change, folder, turn, source)
        await asyncio.sleep(PAUSE)
