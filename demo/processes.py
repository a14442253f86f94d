"""Processes identified by pid and start time, so that a wrong one can never be ended."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_START_TIME_FIELD = 19
"""Index of ``starttime`` in /proc/PID/stat, counted after the command's closing bracket (proc(5), field 22)."""


def _stat(pid: int) -> tuple[str, int] | None:
    """State letter and start time (clock ticks since boot) of a pid; None when there is no such process."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = text.rpartition(")")[2].split()
    return fields[0], int(fields[_START_TIME_FIELD])


@dataclass(frozen=True, slots=True)
class Process:
    """One process of this boot. A pid that was given away again has another start time and is another process."""

    pid: int
    started: int

    @classmethod
    def of(cls, pid: int) -> Process:
        """The process that has this pid now; raises ProcessLookupError when there is none."""
        found = _stat(pid)
        if found is None:
            raise ProcessLookupError(f"there is no process {pid}")
        return cls(pid, found[1])

    def alive(self) -> bool:
        """Whether it still runs; one that has ended and was not yet waited for (a zombie) does not."""
        found = _stat(self.pid)
        return found is not None and found[1] == self.started and found[0] not in "ZX"

    def end(self, patience: float = 10.0) -> None:
        """Ask it to end, wait up to ``patience`` seconds, then kill it, with its session if it leads one."""
        self._signal(signal.SIGTERM)
        if not self._gone_within(patience):
            self._signal(signal.SIGKILL)
            self._gone_within(patience)

    def _signal(self, number: signal.Signals) -> None:
        if not self.alive():
            return
        with suppress(ProcessLookupError):
            if os.getpgid(self.pid) == self.pid and number is signal.SIGKILL:
                os.killpg(self.pid, number)
            else:
                os.kill(self.pid, number)

    def _gone_within(self, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while self.alive():
            if time.monotonic() > deadline:
                return False
            with suppress(ChildProcessError):
                os.waitpid(self.pid, os.WNOHANG)
            time.sleep(0.01)
        return True
