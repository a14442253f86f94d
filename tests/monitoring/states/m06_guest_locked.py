"""A guest's lock is held forever."""

from dataclasses import replace

from alerts.notice import Severity
from replicator.errors import ErrorClass
from tests.support.states import BEGIN, Alert, Fleet, State, job, moment, source, target


def _fleet(since: int) -> Fleet:
    minute, before = BEGIN + since, job(BEGIN)
    nightly = replace(before, next_run=moment(BEGIN), rpo=2 * 86_400.0)
    failures = {ErrorClass.BUSY: 6 * since}
    status = replace(source(minute, nightly), queue_length=1, scheduler_lag=since * 60.0, start_failures=failures)
    return {"alpha": status, "beta": target(minute, held=before.state.last_sync)}


STATE = State(
    key="monitoring 6",
    title="a guest's lock is held forever",
    produced="SIGSTOP for a `zsr run` in the foreground, of a guest on a node with a nightly job",
    fleet=_fleet,
    lasts=90,
    alerts=(
        Alert("ZsrSchedulerStuck", Severity.CRITICAL, 32, {"instance": "alpha"}),
        Alert("ZsrRunsCannotBegin", Severity.WARNING, 32, {"instance": "alpha"}),
    ),
    why_silent="the promise of two days holds; the daemon's log names the holder.",
)
