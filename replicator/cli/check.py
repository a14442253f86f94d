"""``zsr check``: the health of this node's replication for Nagios, Icinga and other users of their plugins.

Output and exit status follow the Monitoring Plugins guidelines: one line with a verdict and performance data, details
below it; 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN. A check that cannot be done is UNKNOWN, also after a wrong option,
for which other commands exit with 2: here that would be a false alarm.
"""

from __future__ import annotations

import asyncio
import io
import sys
import time
from collections.abc import Sequence
from typing import Any, NoReturn

import click

from replicator.api.pvesr_jobs import PvesrJobs
from replicator.cli.completion import guest_ids
from replicator.cli.context import config_option, settings
from replicator.cli.guest_argument import GUEST
from replicator.cli.usage import explained
from replicator.cluster.replication_cfg import read_pvesr_jobs
from replicator.common.durations import words
from replicator.common.tasks import first_exception
from replicator.daemon.control import NoDaemonError, call
from replicator.daemon.drill_health import drill_findings
from replicator.daemon.health_check import (
    FAILURES,
    HealthFinding,
    HealthLevel,
    JobHealth,
    coverage_findings,
    daemon_findings,
    frozen_findings,
    job_health,
    pvesr_findings,
    replica_findings,
    silent_daemon,
    sorted_findings,
)
from replicator.daemon.moving_guests import moving_findings
from replicator.daemon.status_json import coverage_from_json, pvesr_from_json
from replicator.errors import ConfigError, ZsrError
from replicator.models import GuestId


class _Check(click.Command):
    """Exits with 3 and one line on standard output for all errors that other commands print on standard error."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        try:
            return super().make_context(info_name, args, parent, **extra)
        except click.ClickException as error:
            _end_unknown(explained(error))

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (click.exceptions.Exit, click.Abort):
            raise
        except Exception as error:  # noqa: BLE001 - the process' outermost frame: a monitor needs a verdict, no traceback
            cause = first_exception(error)
            expected = isinstance(cause, ZsrError | OSError)
            _end_unknown(str(cause) if expected else f"unexpected {type(cause).__name__}: {cause}")


def _end_unknown(why: str) -> NoReturn:
    click.echo(f"ZSR UNKNOWN - {_plain(why)}")
    sys.exit(HealthLevel.UNKNOWN)


@click.command(cls=_Check)
@click.option("--guest", type=GUEST, help="Only the jobs of this guest.", shell_complete=guest_ids)
@click.option("--rpo", "promise_only", is_flag=True, help="Check the promise only, not failures, nodes and settings.")
@click.option(
    "--warning",
    type=click.IntRange(1, 100),
    default=80,
    show_default=True,
    metavar="PERCENT",
    help="Warn when this part of a promise is used up.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True, max=3600),
    default=10.0,
    show_default=True,
    metavar="SECONDS",
    help="Longest time for the daemon's answer.",
)
@click.option("--verbose", "-v", is_flag=True, help="Details of healthy jobs too.")
@config_option
def check(guest: GuestId | None, promise_only: bool, warning: int, timeout: float, verbose: bool) -> None:
    """Report the health of replication, for Nagios and Icinga.

    Exit status: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a name must not end a check in a locale without its letters
    status, found = _ask(timeout, promise_only=promise_only)
    chosen = [job for job in status["jobs"] if guest is None or job["guest"] == guest]
    if guest is not None and not chosen:
        raise ConfigError(f"Guest {guest} has no job on node {status['node']}.", advice="See: zsr list.")
    if not found:
        targets = [job["target"] for job in chosen if job["enabled"]]
        found = daemon_findings(status, targets, promise_only=promise_only)
    if not promise_only:
        found += frozen_findings(status.get("frozen", {}), status["time"], guest)
        found += replica_findings(status.get("replicas", ()), guest)
        found += moving_findings(status.get("moving", ()), status["time"], guest)
        found += drill_findings(status.get("drills", ()), status["time"], guest)
        found += pvesr_findings(_pvesr(status), chosen)
        found += coverage_findings(coverage_from_json(status.get("coverage", ())), guest)
    jobs = sorted(
        (job_health(job, status["time"], warn_at=warning / 100, promise_only=promise_only) for job in chosen),
        key=lambda job: (-job.level, -job.used),
    )
    findings = sorted_findings([*found, *(finding for job in jobs for finding in job.findings)])
    level = max((finding.level for finding in findings), default=HealthLevel.OK)
    click.echo(f"ZSR {level.name} - {_headline(findings, jobs)}|{_performance(jobs, promise_only=promise_only)}")
    for finding in findings:
        if verbose or finding.level is not HealthLevel.OK:
            click.echo(f"[{finding.level.name}] {_plain(finding.text)}")
    click.get_current_context().exit(level)


def _ask(timeout: float, *, promise_only: bool) -> tuple[dict[str, Any], list[HealthFinding]]:
    """Return the daemon's status; without a daemon that answers, the recorded state, and a finding about that."""
    node = settings()

    async def asked() -> Any:
        async with asyncio.timeout(timeout):
            return await call(node.control, {"verb": "status"})

    try:
        return asyncio.run(asked()), []
    except NoDaemonError:
        why = "the daemon is not running, so nothing is replicated; this is the last recorded state"
    except TimeoutError:
        why = f"the daemon does not answer within {words(timeout)}; this is the last recorded state"
    from replicator.cli.status import remembered, remembered_frozen  # noqa: PLC0415 - quick start with a daemon

    jobs, frozen = remembered(node), remembered_frozen(node)
    status = {"jobs": jobs, "frozen": frozen, "node": node.node, "time": time.time()}
    return status, [silent_daemon(why, promise_only=promise_only)]


def _pvesr(status: dict[str, Any]) -> PvesrJobs:
    """Return the replication jobs of Proxmox VE as the daemon knows them; without one, as the file says."""
    if "pvesr" in status:
        return pvesr_from_json(status["pvesr"])
    return read_pvesr_jobs(settings().pvesr_jobs)


def _headline(findings: Sequence[HealthFinding], jobs: Sequence[JobHealth]) -> str:
    """Return the worst finding and the number of others; without any, the promise with the least margin."""
    bad = [finding for finding in findings if finding.level is not HealthLevel.OK]
    if bad:
        return _plain(bad[0].text) + (f" (and {len(bad) - 1} more)" if len(bad) > 1 else "")
    if not jobs:
        return "this node has no jobs"
    held = [job for job in jobs if job.rpo is not None]
    worst = max(held, key=lambda job: job.used, default=None)
    if worst is None or worst.rpo is None:
        return f"{_jobs(len(jobs))}, and nothing is promised"
    margin = "no copy yet, but time for it" if worst.lag is None else f"{words(worst.lag)} of {words(worst.rpo)}"
    return f"{len(held)} of {_jobs(len(jobs))} with a promise, all kept; least margin: {worst.id}, {margin}"


def _jobs(count: int) -> str:
    return f"{count} job{'' if count == 1 else 's'}"


def _performance(jobs: Sequence[JobHealth], *, promise_only: bool) -> str:
    """Return the totals, then each job's numbers, worst first, for monitors that cut long lines.

    ``label=value[unit];warn;crit;min`` each; a value above a threshold exceeds it. U is an unknown value.
    """
    broken = sum(1 for job in jobs if job.level is HealthLevel.CRITICAL)
    items = [f"jobs={len(jobs)};;;0", f"promises_broken={broken};;0;0"]
    for job in jobs:
        limits = ";;" if job.rpo is None else f";{_number(job.warning)};{_number(job.rpo)}"
        items.append(f"{job.id}_lag={'U' if job.lag is None else f'{_number(job.lag)}s'}{limits};0")
        if not promise_only:
            items.append(f"{job.id}_failures={job.failures};{FAILURES - 1};;0")
        if job.unreplicated is not None:
            items.append(f"{job.id}_unreplicated={job.unreplicated}B;;;0")
    return " ".join(items)


def _number(value: float | None) -> str:
    return "" if value is None else f"{round(value, 3):.12g}"


def _plain(text: str) -> str:
    """Return a text on one line, without the bar at which performance data begin."""
    return " ".join(text.replace("|", "/").split())
