"""``zsr calendar``: when does a calendar event fire? Imports little, since scripts call it often."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, tzinfo
from typing import NoReturn

import click

from replicator.common.durations import words
from replicator.common.timezones import local_zone, zone
from replicator.display import displayable
from replicator.errors import ConfigError
from replicator.schedule.calendar import CalendarError, CalendarEvent

EXIT_WRONG_USE = 2


@click.group()
def calendar() -> None:
    """Calendar events, the schedules of jobs."""


@calendar.command("next")
@click.argument("spec", required=False)
@click.option("--after", metavar="TIME", help="Unix seconds or ISO 8601. [default: now]")
@click.option("--count", type=click.IntRange(1, 100_000), default=1, show_default=True, help="How many events.")
@click.option("--timezone", metavar="ZONE", help="Like Europe/Vienna. [default: the machine's]")
@click.option("--format", "form", type=click.Choice(["table", "json"]), default="table", show_default=True)
@click.option("--batch", is_flag=True, help="Read SPEC<TAB>TIME lines, write a JSON object for each.")
def next_events(spec: str | None, after: str | None, count: int, timezone: str | None, form: str, batch: bool) -> None:
    """Print when SPEC fires next, strictly after TIME."""
    its_zone = _zone(timezone)
    if batch and spec is not None:
        raise click.UsageError("With --batch the calendar events are read from standard input; leave SPEC out.")
    if batch:
        for line in _answers(sys.stdin.buffer, its_zone, count):
            sys.stdout.write(line)
        return
    if spec is None:
        raise click.UsageError("Give a calendar event like '*/15' or 'mon..fri 8:00', or --batch.")
    now = time.time()
    try:
        begin = now if after is None else parse_time(after, its_zone)
        event = CalendarEvent.parse(spec)
    except CalendarError as error:
        _fail(f"zsr: wrong calendar event:\n{error.with_caret()}")
    except ValueError as error:
        _fail(f"zsr: --after: {displayable(str(error))}")
    found = next_times(event, begin, count, its_zone)
    if event.doubt is not None:
        click.echo(f"zsr: {event.doubt}", err=True)
    if form == "json":
        click.echo(json.dumps({"spec": spec, "events": found}))
        return
    _print(event, found, its_zone, now)


def next_times(event: CalendarEvent, after: float, count: int, its_zone: tzinfo) -> list[int]:
    """Return the next events after a unix time, at most ``count``."""
    found: list[int] = []
    moment: float | None = after
    while len(found) < count and moment is not None:
        moment = event.next(moment, its_zone)
        if moment is not None:
            found.append(moment)
    return found


def parse_time(text: str, its_zone: tzinfo) -> float:
    """Return the unix seconds of a number or of ISO 8601 (without an offset: in the zone); else raises ValueError."""
    try:
        value = float(text)
    except ValueError:
        pass
    else:
        if abs(value) < 1e11:
            return value
    try:
        read = datetime.fromisoformat(text)
        return (read if read.tzinfo else read.replace(tzinfo=its_zone)).timestamp()
    except (ValueError, OverflowError):
        raise ValueError(
            f"'{text}' is no time: neither a date and time (ISO 8601, like 2026-11-23T08:00:00) nor unix seconds"
        ) from None


def moment(option: str, text: str, its_zone: tzinfo) -> float:
    """Return the unix seconds of an option's time, also as the tables print it; raises ConfigError if it is none."""
    try:
        found = parse_time(text.replace("_", "T"), its_zone)
    except ValueError as error:
        raise ConfigError(f"{option}: {error}.", advice="See the times: zsr restore-points ID.") from None
    if found < 0:
        raise ConfigError(f"{option}: '{text}' is before 1970.", advice="See the times: zsr restore-points ID.")
    return found


def _answers(lines: Iterable[bytes], its_zone: tzinfo, count: int) -> Iterator[str]:
    for line in lines:
        spec, _, at = line.decode("utf-8", "replace").rstrip("\r\n").partition("\t")
        yield json.dumps(_answer(spec, at, its_zone, count)) + "\n"


def _answer(spec: str, at: str, its_zone: tzinfo, count: int) -> dict[str, object]:
    if not at:
        return {"spec": spec, "error": "no TIME: a line is SPEC<TAB>TIME"}
    try:
        begin = parse_time(at, its_zone)
        return {"spec": spec, "events": next_times(CalendarEvent.parse(spec), begin, count, its_zone)}
    except (CalendarError, ValueError) as error:
        return {"spec": spec, "error": str(error)}


def _print(event: CalendarEvent, found: list[int], its_zone: tzinfo, now: float) -> None:
    click.echo(f"  Schedule: {event.spec or '(empty: daily at midnight)'}")
    if not found:
        click.echo("Next event: never again")
    for index, moment in enumerate(found):
        head = "Next event" if index == 0 else f"Event #{index + 1}"
        away = moment - now
        distance = f"{words(away)} left" if away >= 0 else f"{words(away)} ago"
        click.echo(f"{head:>10}: {_show(moment, its_zone)}")
        click.echo(f"  (in UTC): {_show(moment, UTC)}")
        click.echo(f"  From now: {distance}")


def _show(moment: int, its_zone: tzinfo) -> str:
    return datetime.fromtimestamp(moment, its_zone).strftime("%a %Y-%m-%d %H:%M:%S %Z")


def _zone(name: str | None) -> tzinfo:
    try:
        found: tzinfo = zone(name) if name else local_zone()
    except ValueError as error:
        _fail(f"zsr: {error}.")
    return UTC if str(found) == "UTC" else found


def _fail(text: str) -> NoReturn:
    click.echo(text, err=True)
    raise click.exceptions.Exit(EXIT_WRONG_USE)
