"""One log line for each run at the daemon's logger: start at debug, end at info, failure at warning."""

from __future__ import annotations

import logging

from replicator.common.log_format import facts
from replicator.daemon.active_run import ActiveRun, RunEnd
from replicator.events import JobRemoved, RunCancelled, RunFailed, RunSucceeded
from replicator.models import Outcome

_log = logging.getLogger("zsr.daemon")


def log_start(active: ActiveRun) -> None:
    """Log that a run has started."""
    what = "removal" if active.job.removal else "run"
    _log.debug("Job %s: %s %d to %s started.", active.job.id, what, active.run, active.job.target, extra=_facts(active))


def log_end(active: ActiveRun, end: RunEnd) -> None:
    """Log how a run ended, with its duration and, where it counts, the bytes that it sent."""
    job, run, seconds = active.job, active.run, max(0.0, end.time - active.start)
    sent = active.progress.sent_bytes
    known = {"duration": round(seconds, 3), "sent_bytes": sent}
    match end:
        case RunSucceeded():
            extra = _facts(active, outcome=Outcome.SUCCESS, **known)
            text = "Job %s: run %d to %s succeeded in %.1f s, %d bytes sent."
            _log.info(text, job.id, run, job.target, seconds, sent, extra=extra)
        case RunFailed():
            extra = _facts(active, outcome=Outcome.FAILURE, error_class=end.error_class, **known)
            text = "Job %s: run %d to %s failed after %.1f s, %d bytes sent: %s: %s"
            _log.warning(text, job.id, run, job.target, seconds, sent, end.error_class, end.message, extra=extra)
        case RunCancelled():
            extra = _facts(active, outcome=Outcome.CANCELLED, **known)
            text = "Job %s: run %d to %s was cancelled after %.1f s, %d bytes sent."
            _log.info(text, job.id, run, job.target, seconds, sent, extra=extra)
        case JobRemoved():
            extra = _facts(active, outcome=Outcome.SUCCESS, duration=known["duration"])
            _log.info("Job %s was removed in %.1f s (removal: %s).", job.id, seconds, job.removal, extra=extra)


def _facts(active: ActiveRun, **more: object) -> dict[str, object]:
    return facts(job=str(active.job.id), run=active.run, target=active.job.target, **more)
