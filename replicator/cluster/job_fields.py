"""The settings of a job: each field once, for the cluster's file, the command line and JSON. Pure.

A new setting of a job needs a field in `replicator.models.Job`, an entry here, and its line in the docs.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from replicator.common.durations import ALLOWED, compact, parse_duration
from replicator.common.snapshot_patterns import Travelling, canonical
from replicator.config.problems import Duration, Moment, ZoneName
from replicator.job_choices import Encryption, Foreign, Removal
from replicator.models import DEFAULT_KEEP, DEFAULT_SCHEDULE, Job
from replicator.schedule.grace import NEVER, NEW_GRACE_SECONDS
from replicator.schedule.retention import RetentionPolicy


@dataclass(frozen=True, slots=True)
class JobField:
    """One setting of a job.

    Attributes:
        name: the attribute of `Job`, and the key in the cluster's file.
        annotation: the type in the cluster's file, for pydantic.
        help: the help text of the option; None: there is no option, but ``update --delete`` knows it.
        option: the name of the option, and the key in JSON, where that is not ``name``.
        metavar: the placeholder for the option's value in help texts.
        parse: makes the value of the option's text; raises ValueError with the allowed values.
        choices: the allowed values, where they are few; values of `Job` have this type.
        stored: makes the value for the cluster's file.
        shown: makes the value for JSON.
    """

    name: str
    annotation: Any
    help: str | None
    option: str = ""
    metavar: str = "TEXT"
    parse: Callable[[str], object] = str
    choices: type[StrEnum] | None = None
    stored: Callable[[Any], object] = lambda value: value
    shown: Callable[[Any], object] = lambda value: value

    @property
    def key(self) -> str:
        """The name of the option, and the key in JSON."""
        return self.option or self.name

    @property
    def is_flag(self) -> bool:
        """Whether the option takes no value."""
        return self.annotation is bool

    def value(self, read: Any) -> Any:
        """Return the value for `Job` of one that was read from the cluster's file or from an option."""
        return read if read is None or self.choices is None else self.choices(read)

    def json(self, job: Job) -> object:
        """Return a job's value for JSON."""
        value = getattr(job, self.name)
        return self.shown(value) if value is None or self.choices is None else str(value)


HIGHEST_RATE = 1e6
"""MB per second: more than any line has, so a higher one is a slip, like bytes instead of megabytes."""


def _parse_rate(text: str) -> float:
    allowed = f"a number, at least 1 (MB per second) and at most {HIGHEST_RATE:.0f}; leave it out for no limit"
    try:
        rate = float(text)
    except ValueError:
        raise ValueError(allowed) from None
    if not 1 <= rate <= HIGHEST_RATE:
        raise ValueError(allowed)
    return rate


def _parse_keep(text: str) -> str:
    return str(RetentionPolicy.parse(text))


def _read_keep(value: object) -> str:
    """Return restore points as their canonical text, whether given as a number or as text."""
    return _parse_keep("" if isinstance(value, bool) or not isinstance(value, int | str) else str(value))


def _read_snapshots(value: object) -> str:
    """Return which snapshots travel as canonical text, whether given as text or as a list of patterns."""
    if isinstance(value, list) and value and all(isinstance(each, str) and "," not in each for each in value):
        return canonical(",".join(value))
    return canonical(value if isinstance(value, str) else "")


def _parse_grace(value: object) -> float:
    if value == "never":
        return NEVER
    try:
        return parse_duration(value)
    except ValueError:
        raise ValueError(f"{ALLOWED}; or 'never'") from None


def _stored_duration(seconds: float) -> object:
    return compact(seconds) if float(seconds).is_integer() else seconds


def stored_moment(moment: float) -> datetime:
    """Return a unix time as TOML has it."""
    return datetime.fromtimestamp(round(moment), UTC)


def _whole(value: float) -> int | float:
    return int(value) if float(value).is_integer() else value


_ANY_OF: Any = Literal


def _choice(name: str, choices: type[StrEnum], text: str | None, *, optional: bool = False) -> JobField:
    allowed = _ANY_OF[tuple(map(str, choices))]
    return JobField(name, allowed | None if optional else allowed, text, choices=choices, stored=str)


FIELDS: tuple[JobField, ...] = (
    JobField(
        "schedule",
        Annotated[str, Field(max_length=128)],
        f"Calendar event, see zsr calendar next. [default: {DEFAULT_SCHEDULE}]",
    ),
    JobField(
        "rate",
        float | None,
        "At most so many MB (10^6 bytes) per second, 1 or more.",
        metavar="FLOAT",
        parse=_parse_rate,
        stored=_whole,
    ),
    JobField("comment", Annotated[str, Field(max_length=4096)], "For people."),
    JobField("disabled", bool, "Do not run it.", option="disable"),
    JobField("disabled_until", Moment | None, None, stored=stored_moment),
    JobField(
        "rpo",
        Duration | None,
        "The promise, like 30m. [default: twice the schedule's longest gap]",
        metavar="DURATION",
        parse=parse_duration,
        stored=_stored_duration,
    ),
    JobField("timezone", ZoneName | None, "Zone of the schedule. [default: the node's]"),
    JobField(
        "keep",
        Annotated[str, BeforeValidator(_read_keep)],
        f"Restore points on the target: 5, or 6h:15m,7d:1h,30d:1d. [default: {DEFAULT_KEEP}]",
        metavar="KEEP",
        parse=_parse_keep,
        stored=lambda keep: int(keep) if keep.isdecimal() else keep,
    ),
    JobField(
        "snapshots",
        Annotated[str, BeforeValidator(_read_snapshots)],
        "Which travel: all, own (zsr's), or patterns: 'autosnap_*,!*_hourly'. [default: all]",
        metavar="PATTERNS",
        parse=canonical,
        stored=lambda snapshots: snapshots if snapshots in set(Travelling) else snapshots.split(","),
        shown=str,
    ),
    _choice(
        "foreign",
        Foreign,
        "What becomes of others' snapshots on the target that are gone from the source: they go too, or stay. "
        "[default: keep; mirror for a new job]",
    ),
    _choice("encryption", Encryption, "How encrypted volumes travel. [default: raw]"),
    JobField(
        "grace",
        Annotated[float, BeforeValidator(_parse_grace)],
        "How long the replica of a vanished volume is kept: a duration, 0, or never. "
        f"[default: never; {compact(NEW_GRACE_SECONDS)} for a new job]",
        metavar="DURATION",
        parse=_parse_grace,
        stored=lambda grace: "never" if grace == NEVER else _stored_duration(grace),
        shown=lambda grace: None if grace == NEVER else grace,
    ),
    _choice("removal", Removal, None, optional=True),
)
"""All settings of a job but its id, its target, and its source, which zsr writes by itself."""


def default_of(field: JobField, kind: type[Job] = Job) -> Any:
    """Return the value of a job that does not set a field."""
    return next(each.default for each in dataclasses.fields(kind) if each.name == field.name)


def stored_values(job: Job, fields: Sequence[JobField] = FIELDS) -> Mapping[str, object]:
    """Return a job as the cluster's file has it; None for a value at its default, which is left out."""
    values: dict[str, object] = {"target": job.target, "source": job.source}
    for field in fields:
        value = getattr(job, field.name)
        values[field.name] = None if value == default_of(field, type(job)) else field.stored(value)
    return values


def json_values(job: Job, fields: Sequence[JobField] = FIELDS) -> dict[str, object]:
    """Return a job's settings for JSON."""
    return {field.key: field.json(job) for field in fields}
