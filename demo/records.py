"""Records of what each sandbox on this machine owns, written before it is created, so that a killed one can be removed.

The records lie in /run: they are gone after a reboot, as are the pools, processes and mounts they speak of.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from demo.processes import Process
from replicator.common.files import lock_file

RUN_DIRECTORY = Path("/run/zsr-sandbox")


@dataclass(frozen=True, slots=True)
class Record:
    """The belongings of one sandbox: its owner, folder, pools and child processes."""

    owner: Process
    directory: str
    pools: tuple[str, ...] = ()
    children: tuple[Process, ...] = ()

    @classmethod
    def from_json(cls, facts: Any) -> Record:
        """Read what `Records.write` wrote."""
        return cls(
            Process(**facts["owner"]),
            facts["directory"],
            tuple(facts["pools"]),
            tuple(Process(**child) for child in facts["children"]),
        )

    def with_pool(self, name: str) -> Record:
        """The record with one pool more."""
        return replace(self, pools=(*self.pools, name))

    def without_pool(self, name: str) -> Record:
        """The record with one pool less."""
        return replace(self, pools=tuple(pool for pool in self.pools if pool != name))

    def with_child(self, child: Process) -> Record:
        """The record with one child more; those that have ended are dropped."""
        return replace(self, children=(*(old for old in self.children if old.alive()), child))


class Records:
    """The folder of records, and the lock that all sandboxes of this machine share."""

    def __init__(self, directory: Path = RUN_DIRECTORY) -> None:
        self.directory = directory

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the machine's lock: for starting and ending the engine, and for clearing away."""
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = lock_file(self.directory / "lock", timeout_seconds=math.inf)
        try:
            yield
        finally:
            os.close(descriptor)

    def write(self, record: Record) -> None:
        """Put a record down, in place of the one with the same folder."""
        path = self._path(record)
        draft = path.with_suffix(".new")
        draft.write_text(json.dumps(asdict(record)))
        draft.replace(path)

    def forget(self, record: Record) -> None:
        """Drop a record: all it speaks of is gone."""
        self._path(record).unlink(missing_ok=True)

    def all(self) -> list[Record]:
        """Every record of this machine, oldest name first."""
        return [Record.from_json(json.loads(path.read_text())) for path in sorted(self.directory.glob("*.json"))]

    def engine(self) -> Process | None:
        """The zfs-fuse that a sandbox started, if it still runs."""
        try:
            pid, started = self._engine_path.read_text().split()
        except (FileNotFoundError, ValueError):
            return None
        process = Process(int(pid), int(started))
        return process if process.alive() else None

    def write_engine(self, process: Process | None) -> None:
        """Note which zfs-fuse is ours (None: none is)."""
        if process is None:
            self._engine_path.unlink(missing_ok=True)
        else:
            self._engine_path.write_text(f"{process.pid} {process.started}")

    @property
    def _engine_path(self) -> Path:
        return self.directory / "engine"

    def _path(self, record: Record) -> Path:
        return self.directory / f"{Path(record.directory).name}.json"
