"""The ``file`` store: one TOML file, edited by hand or by zsr; comments and order stay.

Written atomically (a new file beside it, synced, renamed) under a lock, and only if nobody changed it in between. A
damaged file is never overwritten.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import tzinfo
from pathlib import Path
from typing import Annotated, Literal

import tomlkit
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import Table

from replicator.calendar import CalendarError
from replicator.cluster.rules import cluster_problems, refuse_dead_schedule
from replicator.cluster.store import Cluster
from replicator.config import Duration, NodeName, SettingsError, ZoneName, problems_of
from replicator.durations import words
from replicator.errors import BusyError, ConfigError, DamagedStoreError, NoSpaceError
from replicator.jobs import DEFAULT_SCHEDULE, FreezeFailure, Guest, Job, JobId, Node, Removal, Storage, Volume
from replicator.plugins import Problem
from replicator.zones import zone

LOCK_PATIENCE = 10.0
_HINT = "Begin with a [nodes.NAME] table for each node, [storages.NAME] and [guests.ID] (docs/settings.md)."


def _volume(value: str) -> str:
    storage, colon, name = value.partition(":")
    if not (storage and colon and name):
        raise ValueError("storage:name, e.g. 'local-zfs:vm-100-disk-0'")
    return value


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class _Node(_Entry):
    address: Annotated[str, Field(min_length=1)]
    port: Annotated[int, Field(ge=1, le=65535)] = 22
    user: Annotated[str, Field(min_length=1)] = "root"
    stream: Literal["auto", "asyncssh", "openssh"] = "auto"


class _Storage(_Entry):
    path: str
    nodes: list[str] | None = None
    paths: dict[str, str] = {}


class _Guest(_Entry):
    name: str = ""
    node: str
    storages: list[str] = []
    volumes: list[Annotated[str, AfterValidator(_volume)]] = []
    freeze: str | None = None
    thaw: str | None = None
    hook_timeout: Annotated[Duration, Field(gt=0)] = 60.0
    on_freeze_failure: Literal["warning", "error"] = "warning"


class _Job(_Entry):
    target: str
    schedule: Annotated[str, Field(max_length=128)] = DEFAULT_SCHEDULE
    rate: float | None = None
    comment: Annotated[str, Field(max_length=4096)] = ""
    disabled: bool = False
    rpo: Duration | None = None
    timezone: ZoneName | None = None
    removal: Literal["full", "local"] | None = None


class _File(_Entry):
    nodes: dict[NodeName, _Node] = {}
    storages: dict[str, _Storage] = {}
    guests: dict[str, _Guest] = {}
    jobs: dict[str, _Job] = {}


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
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino

    def create_job(self, job: Job) -> None:
        """See `ClusterStore.create_job`."""
        with self._changing(None) as (cluster, document):
            self._refuse_dead(job)
            if job.id in cluster.jobs:
                raise ConfigError(f"Job {job.id} exists already.", advice=f"Change it with: zsr update {job.id} ...")
            jobs = document.setdefault("jobs", tomlkit.table(is_super_table=True))
            jobs.append(str(job.id), _fill(tomlkit.table(), job))

    def update_job(self, job: Job, *, digest: str | None = None) -> None:
        """See `ClusterStore.update_job`."""
        with self._changing(digest) as (cluster, document):
            if cluster.job(job.id).schedule != job.schedule:
                self._refuse_dead(job)
            _fill(document["jobs"][_key(document, job.id)], job)

    def delete_job(self, job_id: JobId) -> None:
        """See `ClusterStore.delete_job`."""
        with self._changing(None) as (cluster, document):
            if job_id in cluster.jobs:
                del document["jobs"][_key(document, job_id)]

    def _refuse_dead(self, job: Job) -> None:
        with suppress(CalendarError):  # a wrong schedule is told with all that is wrong
            refuse_dead_schedule(job, self._clock(), zone(job.timezone) if job.timezone else self._zone)

    def _text(self) -> str:
        try:
            return self._path.read_text(encoding="utf-8")
        except FileNotFoundError:
            raise ConfigError(f"There is no cluster file '{self._path}'.", advice=_HINT) from None
        except (OSError, UnicodeDecodeError) as error:
            raise DamagedStoreError(f"Could not read the cluster file '{self._path}': {error}.") from error

    def _parse(self, text: str) -> Cluster:
        try:
            raw = tomlkit.parse(text).unwrap()
        except TOMLKitError as error:
            raise DamagedStoreError(
                f"The cluster file '{self._path}' is not TOML: {error}.",
                advice="Mend it by hand; zsr leaves it alone.",
            ) from error
        try:
            cluster = _cluster(_File.model_validate(raw), hashlib.sha256(text.encode()).hexdigest(), self._path)
        except ValidationError as error:
            known = [*_Node.model_fields, *_Storage.model_fields, *_Guest.model_fields, *_Job.model_fields]
            raise SettingsError(self._path, problems_of(error, known)) from None
        problems = cluster_problems(cluster)
        if problems:
            raise SettingsError(self._path, problems)
        return cluster

    @contextmanager
    def _changing(self, digest: str | None) -> Iterator[tuple[Cluster, tomlkit.TOMLDocument]]:
        """Lock, read, let the caller change the document, check the result as a whole, write it."""
        with self._locked():
            text = self._text()
            cluster = self._parse(text)
            if digest is not None and digest != cluster.digest:
                raise ConfigError(
                    f"'{self._path}' was changed by somebody else in the meantime.", advice="Read it again and retry."
                )
            document = tomlkit.parse(text)
            yield cluster, document
            fresh = tomlkit.dumps(document)
            self._parse(fresh)
            if fresh != text:
                self._replace(fresh)

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
        fresh = self._path.with_name(f".{self._path.name}.new")
        try:
            found = self._path.stat()
            with fresh.open("w", encoding="utf-8") as file:
                os.fchmod(file.fileno(), found.st_mode & 0o7777)
                os.fchown(file.fileno(), found.st_uid, found.st_gid)
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(self._path)
            _sync_folder(self._path.parent)
        except OSError as error:
            fresh.unlink(missing_ok=True)
            raise NoSpaceError(
                f"Could not write '{self._path}': {error.strerror}.",
                advice="It is as it was; free space and retry.",
            ) from error


def _wait_for_lock(descriptor: int, path: Path) -> None:
    end = time.monotonic() + LOCK_PATIENCE
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > end:
                raise BusyError(f"'{path}' is being changed by somebody else for {words(LOCK_PATIENCE)}.") from None
            time.sleep(0.05)
        else:
            return


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _key(document: tomlkit.TOMLDocument, job_id: JobId) -> str:
    """The key under which a job stands (``0100-01`` would be the same job as ``100-1``, but is refused on read)."""
    return next(str(key) for key in document["jobs"] if JobId.parse(str(key)) == job_id)


def _fill(table: Table, job: Job) -> Table:
    """Write a job's values into its table; what is at its default is left out, or taken out."""
    values: dict[str, object] = {
        "target": job.target,
        "schedule": job.schedule if job.schedule != DEFAULT_SCHEDULE else None,
        "rate": None if job.rate is None else int(job.rate) if job.rate == int(job.rate) else job.rate,
        "comment": job.comment or None,
        "disabled": True if job.disabled else None,
        "rpo": None if job.rpo is None else int(job.rpo) if job.rpo == int(job.rpo) else job.rpo,
        "timezone": job.timezone,
        "removal": None if job.removal is None else str(job.removal),
    }
    for key, value in values.items():
        if value is None:
            table.pop(key, None)
        elif table.get(key) != value:
            table[key] = value
    return table


def _cluster(file: _File, digest: str, path: Path) -> Cluster:
    problems: list[Problem] = []
    guests: dict[int, Guest] = {}
    jobs: dict[JobId, Job] = {}
    for key, guest in file.guests.items():
        if not key.isdecimal() or str(int(key)) != key:
            problems.append(Problem(f"guests.{key}", repr(key), "a guest's number, 100 or more"))
            continue
        guests[int(key)] = _guest(int(key), guest)
    for key, job in file.jobs.items():
        try:
            job_id = JobId.parse(key)
        except ConfigError as error:
            problems.append(Problem(f"jobs.{key}", repr(key), error.advice))
            continue
        jobs[job_id] = _job(job_id, job)
    if problems:
        raise SettingsError(path, problems)
    return Cluster(
        nodes={name: Node(name, node.address, node.port, node.user, node.stream) for name, node in file.nodes.items()},
        storages={name: _storage(name, storage) for name, storage in file.storages.items()},
        guests=guests,
        jobs=jobs,
        digest=digest,
    )


def _storage(name: str, storage: _Storage) -> Storage:
    nodes = None if storage.nodes is None else frozenset(storage.nodes)
    return Storage(name, storage.path, nodes, tuple(storage.paths.items()))


def _guest(number: int, guest: _Guest) -> Guest:
    return Guest(
        id=number,
        name=guest.name or str(number),
        node=guest.node,
        storages=tuple(guest.storages),
        volumes=tuple(Volume(*volume.split(":", 1)) for volume in guest.volumes),
        freeze=guest.freeze,
        thaw=guest.thaw,
        hook_timeout=guest.hook_timeout,
        on_freeze_failure=FreezeFailure(guest.on_freeze_failure),
    )


def _job(job_id: JobId, job: _Job) -> Job:
    return Job(
        id=job_id,
        target=job.target,
        schedule=job.schedule,
        rate=job.rate,
        comment=job.comment,
        disabled=job.disabled,
        rpo=job.rpo,
        timezone=job.timezone,
        removal=Removal(job.removal) if job.removal else None,
    )
