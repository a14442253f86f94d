"""Names of the snapshots that zsr takes: make one, parse one, find out whose it is. Pure.

The format is the peer's: ``__replicate_<job>_<unix time>__``. All snapshots of one run have one name, so the time is
that of a set.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from replicator.ids import JOB_PATTERN
from replicator.models import GuestId, JobId

PREFIX = "__replicate_"
"""Every name begins with this."""

_NAME = re.compile(rf"{PREFIX}(?P<job>{JOB_PATTERN})_(?P<time>[0-9]{{1,12}})__", re.ASCII)


@dataclass(frozen=True, slots=True)
class SnapshotName:
    """The parts of a name: the job that took the snapshot, and the unix time of its set."""

    job: JobId
    set_time: int


def snapshot_name(job: JobId, set_time: int) -> str:
    """Return the name of a job's snapshots of the set of a unix time."""
    return f"{job_prefix(job)}{set_time}__"


def job_prefix(job: JobId) -> str:
    """Return the beginning of the names of one job's snapshots."""
    return f"{PREFIX}{job}_"


def guest_prefix(guest: GuestId) -> str:
    """Return the beginning of the names of the snapshots of all jobs of a guest."""
    return f"{PREFIX}{guest}-"


LONGEST_NAME = 255
"""Characters of a name of ZFS, that of the dataset included (ZFS_MAX_DATASET_NAME_LEN)."""

LATEST_SET = 10**12 - 1
"""The latest time that a name can have."""


def room(job: JobId, dataset: str) -> int:
    """Return how many characters more a dataset's name could have, for its snapshots of a job; below 0: too long."""
    return LONGEST_NAME - len(dataset) - len(f"@{snapshot_name(job, 9_999_999_999)}")


def parse_snapshot_name(name: str) -> SnapshotName | None:
    """Return the parts of a snapshot's or bookmark's name; None if neither zsr nor its peer gave it."""
    match = _NAME.fullmatch(name)
    return SnapshotName(JobId.parse(match["job"]), int(match["time"])) if match else None


ADOPTED_PREFIX = "zsr-adopted_"
"""Begins the names that adoption gives to another tool's snapshots, so that the other tool finds them no more."""

_ADOPTED = re.compile(rf"{ADOPTED_PREFIX}{JOB_PATTERN}_[0-9]{{1,12}}\.*", re.ASCII)


def adopted_name(name: SnapshotName) -> str:
    """Return the name that adoption gives to another tool's snapshot."""
    return f"{ADOPTED_PREFIX}{name.job}_{name.set_time}"


def is_adopted_name(name: str) -> bool:
    """Return whether adoption gave a snapshot its name."""
    return _ADOPTED.fullmatch(name) is not None


def job_of(name: str) -> JobId | None:
    """Return the job whose snapshot or bookmark bears a name; None if it is no job's."""
    parts = parse_snapshot_name(name)
    return None if parts is None else parts.job
