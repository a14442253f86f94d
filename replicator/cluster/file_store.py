"""The ``file`` store: one TOML file, edited by hand or by zsr; comments and order stay.

Written atomically (a new file beside it, synced, renamed) under a lock, and only if nobody changed it in between. A
damaged file is never overwritten.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import tzinfo
from pathlib import Path

import tomli
import tomlkit
from tomlkit.items import InlineTable, Table

from replicator.cluster.checks import refuse_dead_schedule, refuse_without_guest
from replicator.cluster.store import ChangedError, Cluster
from replicator.cluster.toml_schema import read_cluster
from replicator.common.durations import compact, words
from replicator.common.files import stamp_of
from replicator.common.timezones import zone
from replicator.config.problems import SettingsError
from replicator.errors import BusyError, ConfigError, DamagedStoreError, InternalError, NoSpaceError, ZsrError
from replicator.models import DEFAULT_KEEP, DEFAULT_SCHEDULE, Encryption, Job, JobId, Travelling
from replicator.schedule.calendar import CalendarError

LOCK_TIMEOUT_SECONDS = 10.0
_HINT = "Begin with a [nodes.NAME] table for each node, [storages.NAME] and [guests.ID] (docs/settings.md)."


@dataclass(frozen=True, slots=True)
class _Change:
    """A change in the making: what was there, and the jobs and the text as they shall be."""

    before: Cluster
    jobs: dict[JobId, Job]
    document: tomlkit.TOMLDocument


class FileStore:
    """The cluster in one file. ``zone`` is this node's, for the rule that a new schedule must fire once more."""

    def __init__(self, path: Path, zone: tzinfo, clock: Callable[[], float] = time.time) -> None:
        self._path = path
        self._zone = zone
        self._clock = clock

    def read(self) -> Cluster:
        """See `ClusterStore.read`."""
        return self._parse(self._text())

    def stamp(self) -> object:
        """See `ClusterStore.stamp`."""
        return stamp_of(self._path)

    def create_job(self, job: Job) -> None:
        """See `ClusterStore.create_job`."""
        with self._changing(None, f"Job {job.id} cannot be made") as change:
            if job.id in change.jobs:
                raise ConfigError(f"Job {job.id} exists already.", advice=f"Change it with: zsr update {job.id} ...")
            refuse_without_guest(change.before, job)
            self._refuse_dead(job)
            change.jobs[job.id] = job
            _add(change.document, str(job.id), _fill(tomlkit.table(), job, None))

    def update_job(self, job: Job, *, digest: str | None = None) -> None:
        """See `ClusterStore.update_job`."""
        with self._changing(digest, f"Job {job.id} cannot be changed so") as change:
            before = change.before.job(job.id)
            if (before.schedule, before.timezone) != (job.schedule, job.timezone):
                self._refuse_dead(job)
            change.jobs[job.id] = job
            _fill(change.document["jobs"][str(job.id)], job, before)

    def delete_job(self, job_id: JobId, *, only_if_removing: bool = False) -> None:
        """See `ClusterStore.delete_job`."""
        with self._changing(None, f"Job {job_id} cannot be taken out") as change:
            job = change.jobs.get(job_id)
            if job is not None and (job.removal or not only_if_removing):
                del change.jobs[job_id]
                del change.document["jobs"][str(job_id)]

    def _refuse_dead(self, job: Job) -> None:
        with suppress(CalendarError, ValueError):  # a wrong schedule or zone is told with all that is wrong
            refuse_dead_schedule(job, self._clock(), zone(job.timezone) if job.timezone else self._zone)

    def _text(self) -> str:
        try:
            return self._path.read_bytes().decode("utf-8")  # line ends as they are
        except FileNotFoundError:
            raise ConfigError(f"There is no cluster file '{self._path}'.", advice=_HINT) from None
        except OSError as error:
            raise ConfigError(
                f"Could not read the cluster file '{self._path}': {error.strerror}.",
                advice="Check its owner and rights.",
            ) from error
        except UnicodeDecodeError as error:
            raise DamagedStoreError(
                f"The cluster file '{self._path}' is not UTF-8 text: {error}.",
                advice="Mend it by hand; zsr leaves it alone.",
            ) from error

    def _parse(self, text: str) -> Cluster:
        try:
            raw = tomli.loads(text)
        except tomli.TOMLDecodeError as error:
            raise DamagedStoreError(
                f"The cluster file '{self._path}' is not TOML: {error}.",
                advice="Mend it by hand; zsr leaves it alone.",
            ) from error
        cluster, problems = read_cluster(raw, hashlib.sha256(text.encode()).hexdigest())
        if problems:
            raise SettingsError(self._path, problems)
        return cluster

    @contextmanager
    def _changing(self, digest: str | None, what: str) -> Iterator[_Change]:
        """Lock, read, let the caller change the document and the jobs, check the result as a whole, write it."""
        with self._locked():
            text = self._text()
            before = self._parse(text)
            if digest is not None and digest != before.digest:
                raise ChangedError(f"'{self._path}' was changed by somebody else in the meantime.")
            change = _Change(before, dict(before.jobs), tomlkit.parse(text))
            yield change
            fresh = tomlkit.dumps(change.document)
            if fresh == text:
                return
            self._check(fresh, change, what)
            if self._text() != text:  # somebody's editor does not know our lock
                raise ChangedError(f"'{self._path}' was changed by somebody else in the meantime.")
            self._replace(fresh)

    def _check(self, fresh: str, change: _Change, what: str) -> None:
        """Refuse what breaks a rule; and never write a text that says anything else than what was asked for."""
        try:
            after = self._parse(fresh)
        except SettingsError as error:
            raise SettingsError(self._path, error.problems, f"{what}; nothing was changed:") from None
        if after != replace(change.before, jobs=change.jobs, digest=after.digest):
            raise InternalError(
                f"Could not write the change into '{self._path}' without changing something else; it is as it was.",
                advice="Change it by hand: zsr takes it over by itself.",
            )

    @contextmanager
    def _locked(self) -> Iterator[None]:
        lock = self._path.with_name(self._path.name + ".lock")
        try:
            descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise ConfigError(f"Could not lock '{self._path}': {error.strerror}.") from error
        try:
            _wait_for_lock(descriptor, self._path)
            yield
        finally:
            os.close(descriptor)

    def _replace(self, text: str) -> None:
        target = self._path.resolve()  # a link stays a link
        fresh = target.with_name(f".{target.name}.new")
        try:
            found = target.stat()
            with fresh.open("w", encoding="utf-8", newline="") as file:
                os.fchmod(file.fileno(), found.st_mode & 0o7777)
                os.fchown(file.fileno(), found.st_uid, found.st_gid)
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(target)
            _sync_folder(target.parent)
        except OSError as error:
            with suppress(OSError):
                fresh.unlink(missing_ok=True)
            raise _not_written(self._path, error) from error


def _not_written(path: Path, error: OSError) -> ZsrError:
    what = f"Could not write '{path}': {error.strerror}."
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return NoSpaceError(what, advice="It is as it was; free space and try again.")
    return ConfigError(what, advice="It is as it was; check owner and rights of the file and its folder.")


def _wait_for_lock(descriptor: int, path: Path) -> None:
    end = time.monotonic() + LOCK_TIMEOUT_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > end:
                raise BusyError(
                    f"'{path}' is being changed by somebody else for {words(LOCK_TIMEOUT_SECONDS)}."
                ) from None
            time.sleep(0.05)
        else:
            return


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _add(document: tomlkit.TOMLDocument, key: str, table: Table) -> None:
    """Put a job's table behind the other jobs."""
    jobs = document.setdefault("jobs", tomlkit.table(is_super_table=True))
    if isinstance(jobs, InlineTable):
        inline = tomlkit.inline_table()
        inline.update(table.unwrap())
        jobs[key] = inline
    else:
        jobs[key] = table


def _fill(table: Table, job: Job, before: Job | None) -> Table:
    """Write into a job's table what differs from before; what is at its default is left out, or taken out.

    What did not change keeps the words that somebody chose for it.
    """
    old = None if before is None else _values(before)
    for key, value in _values(job).items():
        if old is not None and old[key] == value:
            continue
        if value is None:
            table.pop(key, None)
        else:
            table[key] = value
    return table


def _keep(job: Job) -> int | str | None:
    if job.keep == DEFAULT_KEEP:
        return None
    return int(job.keep) if job.keep.isdecimal() else job.keep


def _values(job: Job) -> dict[str, object]:
    """A job as it is written; None is left out."""
    whole_rpo = job.rpo is not None and job.rpo == int(job.rpo)
    return {
        "target": job.target,
        "schedule": job.schedule if job.schedule != DEFAULT_SCHEDULE else None,
        "rate": int(job.rate) if job.rate is not None and float(job.rate).is_integer() else job.rate,
        "comment": job.comment or None,
        "disabled": job.disabled or None,
        "rpo": compact(job.rpo) if job.rpo is not None and whole_rpo else job.rpo,
        "timezone": job.timezone,
        "keep": _keep(job),
        "snapshots": str(job.snapshots) if job.snapshots is not Travelling.ALL else None,
        "encryption": str(job.encryption) if job.encryption is not Encryption.RAW else None,
        "removal": None if job.removal is None else str(job.removal),
    }
