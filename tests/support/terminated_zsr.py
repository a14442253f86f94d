"""``zsr daemon`` that gets a SIGTERM at the beginning of a step of a run, as `hurried_zsr` otherwise.

The environment variable `STEP` names the step. The signal is a real one, and comes to whatever the run does then.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

from replicator.replication.progress import Progress, Step
from tests.support import hurried_zsr

STEP = "ZSR_TEST_TERMINATED_AT"
"""The step's value."""
REACHED = "ZSR_TEST_REACHED"
"""A file that is made when the step begins, and the signal is sent."""


def end_at(step: Step, reached: Path) -> None:
    """Send this process a SIGTERM when a run begins a step."""
    begin = Progress.begin

    def end() -> None:
        if not reached.exists():
            reached.touch()
            os.kill(os.getpid(), signal.SIGTERM)

    async def wrapped(self: Progress, begun: Step) -> None:
        await begin(self, begun)
        if begun is step:
            end()

    setattr(Progress, "begin", wrapped)  # noqa: B010 - mypy knows it as a method


if __name__ == "__main__":
    if STEP in os.environ:
        end_at(Step(os.environ[STEP]), Path(os.environ[REACHED]))
    hurried_zsr.main()
