"""Writes a history into ``state.db`` by the code of version 0.1.0, which ``tools.former_data`` puts first in the path.

It is no part of this version: its imports are those of that one.
"""

# mypy: ignore-errors
from __future__ import annotations

import sys
from pathlib import Path

from alerts.notes import TargetNotes, key_of, notes_json
from alerts.policy import Incident
from alerts.policy import Memory as Incidents
from replicator.jobs import JobId, Synced

from replicator.errors import ErrorClass
from replicator.events import RunFailed, RunSucceeded
from replicator.state import State

BEGIN = 1_763_900_000.0
"""The first run, in November 2025; the runs are a quarter of an hour apart."""


def main(folder: Path) -> None:
    """Three runs of a job that succeed, and two that fail; one of another job; what messages were sent about them."""
    state = State.open(folder / "state.db")
    web, mail = JobId(100, 0), JobId(101, 0)
    for job in (web, mail):
        state.ensure_job(job, BEGIN - 60)
    for number in range(3):
        _succeed(state, web, BEGIN + 900 * number)
    _succeed(state, mail, BEGIN + 30)
    for consecutive, start in ((1, BEGIN + 2700), (2, BEGIN + 3000)):
        run = state.begin_run(web, start, owner="1-1-boot", missed=0)
        state.log(run, [(start, "info", "job 100-0: start"), (start + 1, "error", "no_space: tank is full.")])
        advice = "Free space."
        event = RunFailed(
            start + 2, web, run, ErrorClass.NO_SPACE, "tank is full.", advice, consecutive, BEGIN + 2700, BEGIN + 1800,
            start + 300 * consecutive,
        )  # fmt: skip
        state.finish_run(event, start=start, sent_bytes=0, resume_pending=True)
    incidents = Incidents({"100-0": Incident(BEGIN + 3002, BEGIN + 1800)})
    notes = TargetNotes(cursor=state.last_event(), memory=incidents, reminded=BEGIN, digested=BEGIN, following=3)
    state.memory("notify").put(key_of("admin"), notes_json(notes))
    state.close()


def _succeed(state: State, job: JobId, start: float) -> None:
    run = state.begin_run(job, start, owner="1-1-boot", missed=0)
    state.set_synced(job, Synced(start, int(start)))
    state.log(run, [(start, "info", f"job {job}: start"), (start + 5, "info", f"job {job}: done in 5.0 s")])
    state.finish_run(RunSucceeded(start + 5, job, run, start, 5.0, 1000), start=start, sent_bytes=1000, unreplicated=0)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
