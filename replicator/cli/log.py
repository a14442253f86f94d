"""``zsr log``: what a run did, step by step, with the raw words of zfs."""

from __future__ import annotations

import time

import click

from replicator.cli.node import config_option, settings, state
from replicator.cli.output import format_option, print_json
from replicator.errors import ConfigError
from replicator.jobs import JobId
from replicator.processes import is_alive
from replicator.state import LogLine, RunRecord, State


@click.command()
@click.argument("job_id", metavar="ID")
@click.option("--run", "number", type=int, help="The run of this number; see --runs. [default: the newest]")
@click.option("--runs", is_flag=True, help="List the newest runs instead.")
@click.option("--follow", is_flag=True, help="Go on until the run ends.")
@format_option
@config_option
def log(job_id: str, number: int | None, runs: bool, follow: bool, form: str) -> None:
    """Print the log of job ID's newest run, or of another one."""
    memory = state(settings())
    try:
        records = memory.runs(JobId.parse(job_id), limit=100 if number is None else -1)
        if not records:
            raise ConfigError(f"Job {job_id} has not run on this node.")
        if runs:
            _print_runs(records, form)
            return
        record = next((r for r in records if number in (None, r.id)), None)
        if record is None:
            known = ", ".join(str(r.id) for r in records[:10])
            raise ConfigError(f"Job {job_id} has no run {number}.", advice=f"The newest are: {known}.")
        _print_log(memory, record, form, follow=follow)
    finally:
        memory.close()


def _print_runs(records: list[RunRecord], form: str) -> None:
    if form == "json":
        print_json([_record_json(record) for record in records])
        return
    for record in records:
        outcome = str(record.outcome) if record.outcome else "running"
        click.echo(f"{record.id:>6}  {_time(record.start)}  {outcome:<9}  {record.message or ''}".rstrip())


def _print_log(memory: State, record: RunRecord, form: str, *, follow: bool) -> None:
    lines = memory.run_log(record.id)
    if form == "json":
        print_json(
            {**_record_json(record), "lines": [{"t": line.time, "l": line.level, "m": line.text} for line in lines]}
        )
        return
    seen = _print_lines(lines, 0)
    while follow:
        going = any(run.id == record.id and is_alive(run.owner) for run in memory.interrupted_runs())
        seen = _print_lines(memory.run_log(record.id, seen), seen)
        if not going:
            return
        time.sleep(0.5)


def _print_lines(lines: list[LogLine], seen: int) -> int:
    for line in lines:
        mark = "" if line.level == "info" else f"{line.level}: "
        click.echo(f"{_time(line.time)} {mark}{line.text}")
        seen = line.number
    return seen


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


def _time(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))
