"""``zsr simulate``: do these schedules keep their promises? A scenario file on a virtual clock."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Literal

import click
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from replicator.api.problem import Problem
from replicator.cli.output import format_option, print_table
from replicator.common.durations import words
from replicator.common.timezones import zone
from replicator.config.problems import Duration, SettingsError, ZoneName, problems_of, read_toml, shown
from replicator.errors import ConfigError
from replicator.models import DEFAULT_SCHEDULE, JobId
from replicator.schedule.calendar import CalendarError, CalendarEvent
from replicator.schedule.simulation import Result, Scenario, SimulatedJob, SimulatedRun, Simulation, Tally

LATEST = 7_258_118_400
"""2200-01-01 UTC, in unix seconds: no calendar event comes later."""


def _schedule(value: str) -> str:
    try:
        CalendarEvent.parse(value)
    except CalendarError as error:
        raise ValueError(error.what) from None
    return value


def _job_id(value: str) -> str:
    try:
        return str(JobId.parse(value))
    except ConfigError as error:
        raise ValueError(error.advice) from None


UnixTime = Annotated[float, Field(ge=0, le=LATEST, allow_inf_nan=False)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class _Job(_Table):
    id: Annotated[str, AfterValidator(_job_id)]
    target: str
    schedule: Annotated[str, AfterValidator(_schedule)] = DEFAULT_SCHEDULE
    duration: Duration = 0.0
    first_copy: Duration | None = None
    outcomes: Annotated[list[Literal["success", "failure", "unreachable"]], Field(min_length=1)] = ["success"]
    last_try: UnixTime = 0.0
    disabled: bool = False
    rpo: Annotated[Duration, Field(gt=0)] | None = None
    timezone: ZoneName | None = None


class _Scenario(_Table):
    start: UnixTime
    end: UnixTime
    timezone: ZoneName = "UTC"
    max_parallel: Annotated[int, Field(ge=1)] = 1
    job: list[_Job] = []


@click.command()
@click.argument("scenario", type=click.Path(path_type=Path))
@format_option
def simulate(scenario: Path, form: str) -> None:
    """Play the jobs of SCENARIO (a TOML file) on a virtual clock with the daemon's own rules."""
    simulation = Simulation(read_scenario(scenario))
    if form == "json":
        for run in simulation.play():
            sys.stdout.write(json.dumps(run_json(run)) + "\n")  # click.echo would flush each of the many lines
        sys.stdout.write(json.dumps({"summary": summary_json(simulation)}) + "\n")
        return
    for _ in simulation.play():
        pass
    _report(simulation)


def read_scenario(path: Path) -> Scenario:
    """Read and check a scenario file; raises SettingsError with all problems."""
    raw = read_toml(path, "Write one as docs/simulate.md shows.")
    problems = list(_contradictions(raw))
    try:
        model = _Scenario.model_validate(raw)
    except ValidationError as error:
        raise SettingsError(path, [*problems_of(error, _Scenario), *problems]) from None
    if problems:
        raise SettingsError(path, problems)
    return Scenario(
        start=model.start,
        end=model.end,
        jobs=tuple(_job(job, model.timezone) for job in model.job),
        max_parallel=model.max_parallel,
    )


def _contradictions(raw: dict[str, object]) -> Iterator[Problem]:
    """Yield the problems between keys; from the raw file, so that they are reported together with those within keys."""
    start, end = raw.get("start"), raw.get("end")
    if isinstance(start, int | float) and isinstance(end, int | float) and end < start:
        yield Problem("end", str(end), f"not before start ({start})")
    jobs = raw.get("job")
    seen: set[JobId] = set()
    for index, job in enumerate(jobs if isinstance(jobs, list) else []):
        with suppress(ConfigError, AttributeError, TypeError):  # no job, or no id: the model says so
            job_id = JobId.parse(job.get("id"))
            if job_id in seen:
                yield Problem(f"job.{index}.id", shown(job["id"]), "an id that no other job has")
            seen.add(job_id)


def _job(job: _Job, default_zone: str) -> SimulatedJob:
    return SimulatedJob(
        id=JobId.parse(job.id),
        target=job.target,
        event=CalendarEvent.parse(job.schedule),
        zone=zone(job.timezone or default_zone),
        duration=job.duration,
        outcomes=tuple(Result(outcome) for outcome in job.outcomes),
        last_try=job.last_try,
        disabled=job.disabled,
        rpo=job.rpo,
        first_copy=job.first_copy,
    )


def run_json(run: SimulatedRun) -> dict[str, object]:
    """Return one run as JSON; whole seconds are integers."""
    return {
        "time": _number(run.time),
        "job": str(run.job),
        "outcome": str(run.outcome),
        "consecutive_failures": run.consecutive_failures,
        "next_run": None if run.next_run is None else _number(run.next_run),
    }


def summary_json(simulation: Simulation) -> dict[str, object]:
    """Return the totals of all runs as JSON."""
    tallies = simulation.tallies
    return {
        "runs": sum(tally.runs for tally in tallies.values()),
        "failures": sum(tally.failures for tally in tallies.values()),
        "missed_runs": sum(tally.missed_runs for tally in tallies.values()),
        "rpo_breach_seconds": {str(job): _number(tally.breach) for job, tally in tallies.items()},
        "busy_fraction": simulation.busy_fraction,
    }


def _number(value: float) -> int | float:
    return int(value) if value == int(value) else value


def _verdict(tally: Tally, disabled: bool) -> str:
    if disabled:
        return "disabled"
    return "kept" if tally.breach == 0 else f"BROKEN for {words(tally.breach)}"


def _report(simulation: Simulation) -> None:
    disabled = {job.id for job in simulation.scenario.jobs if job.disabled}
    rows = [
        (
            str(job),
            str(tally.runs),
            str(tally.failures),
            str(tally.missed_runs),
            words(tally.worst_lag),
            words(tally.promise),
            _verdict(tally, job in disabled),
        )
        for job, tally in sorted(simulation.tallies.items())
    ]
    print_table(("JobID", "Runs", "Failed", "Missed", "WorstLag", "Promise", "Verdict"), rows)
    broken = [str(job) for job, tally in sorted(simulation.tallies.items()) if tally.breach > 0]
    missed = sum(tally.missed_runs for tally in simulation.tallies.values())
    busy = f"The node is busy {simulation.busy_fraction:.0%} of the time"
    if broken:
        click.echo(f"The schedule does not hold: {', '.join(broken)} broke the promise. {busy}.")
    elif missed:
        click.echo(f"Every promise is kept, though {missed} runs came too late for their slot. {busy}.")
    else:
        click.echo(f"The schedule holds. {busy}.")
