"""``zsr run``, ``schedule-now``, ``cancel``: run a job, or stop its run."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import closing

import click

from replicator.cli.completion import job_ids
from replicator.cli.context import ask_daemon, config_option, open_state, settings, state_for_runs, store
from replicator.common.tasks import until_stopped
from replicator.config.settings import Settings
from replicator.daemon.control import LostDaemonError, NoDaemonError
from replicator.errors import BusyError, ConfigError
from replicator.models import JobId, Outcome


class CancelledRunError(BusyError):
    """The run was cancelled on request; that is no failure of the job, but nothing was verified."""


@click.command()
@click.option(
    "--id",
    "job_id",
    metavar="ID",
    help="Only this job, whatever its schedule. [default: all that are due]",
    shell_complete=job_ids,
)
@click.option("--verbose", is_flag=True, help="Print the log while it runs.")
@config_option
def run(job_id: str | None, verbose: bool) -> None:
    """Run a job now: through the daemon if it runs, otherwise in the foreground."""
    node = settings()
    wanted = None if job_id is None else JobId.parse(job_id)
    say = _print if verbose else _be_silent
    try:
        if wanted is not None:
            outcome = ask_daemon(node, {"verb": "run", "job": str(wanted)}, say)
            if outcome == Outcome.CANCELLED:
                raise CancelledRunError(f"The run of job {wanted} was cancelled.", advice="")
            well = outcome == Outcome.SUCCESS
        else:
            ask_daemon(node, {"verb": "ping"})
            click.echo("The daemon is running and starts due jobs itself; name a job with --id.", err=True)
            return
    except LostDaemonError:  # the run may have been done, or be cut off: no second one was requested
        raise
    except NoDaemonError:
        if wanted is not None:
            _refuse_others(node, wanted)
        well = in_foreground(node, wanted, say)
    if not well:
        for line in _failures(node, wanted):
            click.echo(f"zsr: {line}", err=True)
        click.get_current_context().exit(1)


def _failures(node: Settings, wanted: JobId | None) -> Iterator[str]:
    """Yield a sentence for each job whose last run failed, of one job or of all here."""
    with open_state(node) as state:
        failed = {job: each.failure for job, each in state.jobs.all().items() if each.failure and wanted in (None, job)}
    for job, failure in sorted(failed.items()):
        yield f"Job {job} failed: {failure.message} {failure.advice}".rstrip() + f" See: zsr log {job}"
    if not failed:
        yield f"The run failed; see: zsr log {wanted or 'ID'}"


def in_foreground(
    node: Settings, wanted: JobId | None, say: Callable[[str], None], reseed: tuple[str, ...] | None = None
) -> bool:
    """Run a job, or all that are due, in this process; with ``reseed`` it sends these volumes again (empty: all).

    Return whether all went well.

    Raises:
        CancelledRunError: a signal stopped it.
    """
    from replicator.daemon.one_shot import run_jobs  # noqa: PLC0415 - quick start when the daemon does it

    with closing(state_for_runs(node)) as state:
        try:
            return asyncio.run(until_stopped(run_jobs(node, store(node), state, wanted, say, reseed)))
        except asyncio.CancelledError:
            raise CancelledRunError("The run was stopped by a signal.", advice="") from None


def _print(line: str) -> None:
    click.echo(line)


def _be_silent(_: str) -> None:
    """Print nothing: without --verbose only the outcome counts."""


@click.command("schedule-now")
@click.argument("job_id", metavar="ID", shell_complete=job_ids)
@config_option
def schedule_now(job_id: str) -> None:
    """Let job ID run at the next possible moment, whatever its schedule."""
    node = settings()
    wanted = JobId.parse(job_id)
    try:
        ask_daemon(node, {"verb": "schedule-now", "job": str(wanted)})
    except NoDaemonError:
        _refuse_others(node, wanted)
        with open_state(node) as state:
            state.jobs.schedule_now(wanted)
        click.echo(
            f"No daemon runs on {node.node}. Start it, and it begins with job {wanted}: systemctl start zsr", err=True
        )


def _refuse_others(node: Settings, wanted: JobId) -> None:
    """Refuse a job that does not exist or belongs to another node, where no daemon is there to do so."""
    cluster = store(node).read()
    job = cluster.job(wanted)
    if job not in cluster.jobs_of(node.node):
        raise ConfigError(
            f"Job {wanted} belongs to node {cluster.source(job)}, not to {node.node}.", advice="Type it there."
        )


@click.command()
@click.argument("job_id", metavar="ID", shell_complete=job_ids)
@config_option
def cancel(job_id: str) -> None:
    """Cancel the run of job ID that is going on; it does not count as a failure."""
    node, wanted = settings(), JobId.parse(job_id)
    try:
        ask_daemon(node, {"verb": "cancel", "job": str(wanted)})
    except LostDaemonError:
        raise
    except NoDaemonError:
        _refuse_others(node, wanted)
        raise
