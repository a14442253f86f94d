"""``zsr log``: the log of a run, step by step, with the raw messages of zfs."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import datetime, tzinfo

import click

from replicator.cli.completion import job_ids
from replicator.cli.context import config_option, open_state, settings, store
from replicator.cli.output import format_option, local_time, print_json, print_table
from replicator.common.process_identity import is_alive
from replicator.config.settings import Settings
from replicator.display import displayable
from replicator.errors import ConfigError
from replicator.models import JobId
from replicator.state.run_log import LogLine
from replicator.state.runs import RunRecord
from replicator.state.stores import State

_LOOK_AGAIN_SECONDS = 0.5


@click.command()
@click.argument("job_id", metavar="ID", shell_complete=job_ids)
@click.option("--run", "number", type=int, help="The run of this number; see --runs. [default: the newest]")
@click.option("--runs", is_flag=True, help="List the newest runs instead.")
@click.option("--follow", is_flag=True, help="Follow the run until it ends; with --format json one object per line.")
@format_option
@config_option
def log(job_id: str, number: int | None, runs: bool, follow: bool, form: str) -> None:
    """Print the log of job ID's newest run, or of another one."""
    node = settings()
    job = JobId.parse(job_id)
    if runs and (follow or number is not None):
        raise click.UsageError("--runs lists the runs: leave out --run and --follow.")
    with open_state(node) as state:
        records = state.runs.all(job)
        if not records:
            raise _unknown(state, job, node)
        if runs:
            _print_runs(records, form, node.timezone)
        else:
            _print_log(state, _wanted(job, records, number), form, node.timezone, follow=follow)


def _unknown(state: State, job: JobId, node: Settings) -> ConfigError:
    """Return the error about a job without runs here."""
    cluster = store(node).read()
    known = ", ".join([*map(str, sorted(cluster.jobs)), *(f"{each} (removed)" for each in state.runs.former_jobs())])
    if job in cluster.jobs and (source := cluster.source(cluster.jobs[job])) != node.node:
        return ConfigError(f"Job {job} runs on {source}, not on {node.node}.", advice="Ask there.")
    if job in cluster.jobs:
        return ConfigError(f"Job {job} has not run yet.", advice=f"Run it: zsr run --id {job}.")
    return ConfigError(f"There is no job {job}.", advice=f"Known jobs: {known or 'none'}.")


def _wanted(job: JobId, records: list[RunRecord], number: int | None) -> RunRecord:
    record = next((r for r in records if number in (None, r.id)), None)
    if record is None:
        known = ", ".join(str(r.id) for r in records[:10])
        raise ConfigError(f"Job {job} has no run {number}.", advice=f"The newest are: {known}.")
    return record


def _print_runs(records: list[RunRecord], form: str, zone: tzinfo) -> None:
    if form == "json":
        print_json([_record_json(record) for record in records])
        return
    rows = [
        (
            str(record.id),
            local_time(record.start, zone),
            "-" if record.finish is None else f"{record.finish - record.start:.1f}",
            str(record.sent_bytes) if record.finish else "-",
            str(record.outcome) if record.outcome else "running" if is_alive(record.owner) else "cut off",
            record.message or "",
        )
        for record in records
    ]
    print_table(("Run", "Start", "Duration", "SentBytes", "Outcome", "Error"), rows)


def _print_log(state: State, record: RunRecord, form: str, zone: tzinfo, *, follow: bool) -> None:
    if form == "json" and not follow:
        print_json({**_record_json(record), "lines": [_line_json(line) for line in state.logs.lines(record.id)]})
        return
    show: Callable[[LogLine], str] = (
        (lambda line: json.dumps(_line_json(line), ensure_ascii=False))
        if form == "json"
        else (lambda line: _line_text(line, zone))
    )
    seen, going = 0, True
    while going:
        going = follow and _is_going(state, record)  # asked before the lines are read, so that the last are not missed
        for line in state.logs.lines(record.id, seen):
            click.echo(show(line))
            seen = line.number
        if going:
            time.sleep(_LOOK_AGAIN_SECONDS)


def _is_going(state: State, record: RunRecord) -> bool:
    return is_alive(record.owner) and any(run.id == record.id for run in state.runs.unfinished())


def _line_text(line: LogLine, zone: tzinfo) -> str:
    mark = "" if line.level == "info" else f"{line.level}: "
    return f"{datetime.fromtimestamp(line.time, zone):%Y-%m-%d %H:%M:%S} {mark}{displayable(line.text)}"


def _line_json(line: LogLine) -> dict[str, object]:
    return {"t": line.time, "l": line.level, "m": line.text}


def _record_json(record: RunRecord) -> dict[str, object]:
    return {
        "run": record.id,
        "job": str(record.job),
        "start": record.start,
        "finish": record.finish,
        "outcome": str(record.outcome) if record.outcome else None,
        "error_class": str(record.error_class) if record.error_class else None,
        "message": record.message,
        "sent_bytes": record.sent_bytes,
        "last_sync": record.last_sync,
    }
