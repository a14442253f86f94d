"""A run that dies at one of its steps."""

from __future__ import annotations

import os
import signal
import threading
from functools import partial

from replicator.daemon import one_shot
from replicator.daemon.run_worker import Worker
from replicator.replication.progress import Progress, Step


class _Doomed(Progress):
    """A progress that ends this process, as ``kill -9`` does, some seconds after the nth beginning of a step."""

    def __init__(self, last: str, nth: int, delay: float) -> None:
        super().__init__()
        self._last, self._left, self._delay = last, nth, delay

    async def begin(self, step: Step) -> None:
        if step == self._last:
            self._left -= 1
            if self._left == 0:
                if not self._delay:
                    _die()
                threading.Timer(self._delay, _die).start()  # no loop that waits may put it off
        await super().begin(step)


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def doom(step: str, nth: int, delay: float) -> None:
    """Let the runs of this process die."""
    vars(one_shot)["Worker"] = partial(Worker, progress=partial(_Doomed, step, nth, delay))
