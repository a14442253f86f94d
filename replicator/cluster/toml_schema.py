"""The TOML of a cluster: read into facts, with all problems reported at once. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    create_model,
    model_validator,
)

from replicator.api.problem import Problem
from replicator.cluster.checks import cluster_problems
from replicator.cluster.file_format import FORMAT_KEY
from replicator.cluster.followed_guests import followed
from replicator.cluster.guest_files import refused_path
from replicator.cluster.job_fields import FIELDS, JobField, default_of, stored_values
from replicator.cluster.model import Cluster
from replicator.cluster.nesting import with_others
from replicator.cluster.node_fields import NO_NETWORK, checked_address, checked_network, checked_user
from replicator.cluster.runtimes import runtime_of
from replicator.config.problems import Duration, Moment, NodeName, problems_of, shown
from replicator.errors import ConfigError
from replicator.ids import GROUP_ALLOWED, GroupName, group_name
from replicator.job_choices import FreezeFailure
from replicator.models import (
    DRILL_TIMEOUT_SECONDS,
    MAX_EPOCH,
    Guest,
    GuestId,
    Job,
    JobId,
    Node,
    Runtime,
    Storage,
    Volume,
)
from replicator.schedule.rates import ALLOWED as RATE_ALLOWED
from replicator.schedule.rates import parse_rates

SECTIONS = ("nodes", "storages", "guests", "groups", "jobs", "defaults")
NO_DRILL = "off"
"""The ``drill`` of a guest that has no schedule although there is one in ``defaults``."""
VOLUME_ALLOWED = "storage:name, e.g. 'local-zfs:vm-100-disk-0'"
LISTED_ALLOWED = f'{VOLUME_ALLOWED}, or a table {{ volume = "storage:name", replicate = false }}'


def _volume(value: str) -> str:
    storage, colon, name = value.partition(":")
    if not (storage and colon and name):
        raise ValueError(VOLUME_ALLOWED)
    return value


def _rates(value: object) -> tuple[str, ...]:
    """Read one rate, a number or a text, or a list of them."""
    listed = value if isinstance(value, list) else [value]
    texts = tuple(str(each) for each in listed)
    try:
        parse_rates(texts)
    except ConfigError:
        raise ValueError(RATE_ALLOWED) from None
    return texts


def _runtime(value: str) -> str:
    runtime_of(value)
    return value


def _file(value: str) -> str:
    if (allowed := refused_path(value)) is not None:
        raise ValueError(allowed)
    return value


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class _Node(_Entry):
    address: Annotated[str, Field(min_length=1), AfterValidator(checked_address)]
    port: Annotated[int, Field(ge=1, le=65535)] = 22
    user: Annotated[str, AfterValidator(checked_user)] = "root"
    stream: Literal["auto", "asyncssh", "openssh"] = "auto"
    compression: Literal["none", "zstd"] = "none"
    rate: Annotated[tuple[str, ...], BeforeValidator(_rates)] = ()
    replication_network: Annotated[str, AfterValidator(checked_network)] | None = None
    zsr: bool = True
    disabled: bool = False
    disabled_until: Moment | None = None


class _Storage(_Entry):
    path: str
    nodes: list[str] | None = None
    paths: dict[str, str] = {}


class _Listed(_Entry):
    """A volume in a guest's list: its name alone, or a table that may exclude it, or what lies below it."""

    volume: Annotated[str, AfterValidator(_volume)]
    replicate: bool = True
    children: bool | None = None

    @model_validator(mode="before")
    @classmethod
    def _name_alone(cls, value: object) -> object:
        if isinstance(value, str):
            return {"volume": _volume(value)}
        if not isinstance(value, Mapping):
            raise ValueError(LISTED_ALLOWED)  # noqa: TRY004 - pydantic passes on the text of a ValueError only
        return value


class _Listing(_Entry):
    """What guests and groups have in common."""

    name: str = ""
    node: str
    children: bool = True
    freeze: str | None = None
    thaw: str | None = None
    hook_timeout: Annotated[Duration, Field(gt=0)] = 60.0
    on_freeze_failure: Literal["warning", "error"] = "warning"
    epoch: Annotated[int, Field(ge=1, le=MAX_EPOCH)] = 1
    runtime: Annotated[str, AfterValidator(_runtime)] | None = None
    start: str | None = None
    stop: str | None = None
    status: str | None = None
    stop_timeout: Annotated[Duration, Field(gt=0)] = 180.0
    moving_to: str | None = None
    drill: str | None = None
    check: Annotated[str, Field(min_length=1)] | None = None
    drill_timeout: Annotated[Duration, Field(gt=0)] | None = None
    files: list[Annotated[str, AfterValidator(_file)]] = []

    @model_validator(mode="after")
    def _one_runtime(self) -> Self:
        own = (self.start, self.stop, self.status)
        if any(own) and not all(own):
            raise ValueError("start, stop and status go together")
        if any(own) and self.runtime is not None:
            raise ValueError("either a runtime, or start, stop and status")
        return self


class _Guest(_Listing):
    storages: list[str] = []
    volumes: list[_Listed] = []


class _Group(_Listing):
    """A guest that has a name and no number: its volumes are listed, since no name of a dataset shows whose it is."""

    volumes: list[_Listed]

    @model_validator(mode="after")
    def _some_volume(self) -> Self:
        if not any(entry.replicate for entry in self.volumes):
            raise ValueError("volumes: at least one that is replicated; a group's are listed by hand")
        return self


class _Defaults(_Entry):
    """What counts for nodes and guests that do not say otherwise."""

    replication_network: Annotated[str, AfterValidator(checked_network)] | None = None
    drill: str | None = None
    drill_timeout: Annotated[Duration, Field(gt=0)] = DRILL_TIMEOUT_SECONDS


def job_model(fields: Sequence[JobField] = FIELDS, kind: type[Job] = Job) -> type[_Entry]:
    """Return the model of a job's table in the cluster's file."""
    settings: dict[str, Any] = {field.name: (field.annotation, default_of(field, kind)) for field in fields}
    return create_model("_Job", __base__=_Entry, target=(str, ...), source=(str | None, None), **settings)


_Job = job_model()

E = TypeVar("E", bound=_Entry)
_NAME: TypeAdapter[str] = TypeAdapter(NodeName)
_PLACEHOLDER_PATH = "wrong"


def _meant(key: str) -> str:
    close = get_close_matches(key, SECTIONS, n=1)
    return f"; did you mean '{close[0]}'?" if close else ""


class _Reader:
    """Reads section by section and gathers the problems; a wrong entry is reported once and left out."""

    def __init__(self, raw: Mapping[str, object]) -> None:
        self._raw = raw
        self.problems = [
            Problem(key, "...", f"unknown section; known: {', '.join(SECTIONS)}{_meant(key)}")
            for key in raw
            if key not in (*SECTIONS, FORMAT_KEY)
        ]
        self.wrong: set[str] = set()

    def entries(self, section: str, model: type[E]) -> dict[str, E]:
        """Return the valid entries of a section by key."""
        table = self._raw.get(section, {})
        if not isinstance(table, Mapping):
            self.problems.append(Problem(section, shown(table), f"tables, each [{section}.SOMETHING]"))
            return {}
        found = {}
        for key, value in table.items():
            place = f"{section}.{key}"
            try:
                found[key] = model.model_validate(value)
            except ValidationError as error:
                for problem in problems_of(error, model):
                    self.refuse(place, problem.key, problem.value, problem.allowed)
        return found

    def table(self, section: str, model: type[E]) -> E:
        """Return a section that is one table; if it is wrong, as if it were not there."""
        value = self._raw.get(section, {})
        try:
            return model.model_validate(value)
        except ValidationError as error:
            for problem in problems_of(error, model):
                self.refuse(section, problem.key, problem.value, problem.allowed)
        return model()

    def refuse(self, place: str, key: str, value: str, allowed: str) -> None:
        """Add a problem of the entry at a place."""
        self.wrong.add(place)
        self.problems.append(Problem(f"{place}.{key}" if key else place, value, allowed))

    def names_of(self, section: str) -> list[str]:
        """Return the keys of wrong entries of a section."""
        return [place.partition(".")[2] for place in sorted(self.wrong) if place.partition(".")[0] == section]


def read_cluster(raw: Mapping[str, object], digest: str) -> tuple[Cluster, list[Problem]]:
    """Return the cluster of TOML's plain values, and all problems; the cluster is valid only if there are none.

    A wrong entry is reported once, and not again for the entries that name it.
    """
    reader = _Reader(raw)
    defaults = reader.table("defaults", _Defaults)
    nodes = _nodes(reader, defaults)
    storages = {name: _storage(name, entry) for name, entry in reader.entries("storages", _Storage).items()}
    guests = with_others(_guests(reader, defaults), storages)
    jobs = followed(_jobs(reader), guests)
    cluster = Cluster(nodes, storages, guests, jobs, digest)
    return cluster, [*reader.problems, *_of_the_whole(cluster, reader)]


def _of_the_whole(cluster: Cluster, reader: _Reader) -> list[Problem]:
    """Return the problems between the entries, with placeholders for those that are wrong in themselves."""
    placeholder = Cluster(
        nodes={**{name: Node(name, "?") for name in reader.names_of("nodes")}, **cluster.nodes},
        storages={
            **{name: Storage(name, _PLACEHOLDER_PATH) for name in reader.names_of("storages")},
            **cluster.storages,
        },
        guests={
            **{int(name): Guest(int(name), "", "") for name in reader.names_of("guests") if name.isdecimal()},
            **{GroupName(name): Guest(GroupName(name), "", "") for name in reader.names_of("groups")},
            **cluster.guests,
        },
        jobs=cluster.jobs,
    )
    reported = tuple(f"{place}." for place in reader.wrong)
    return [problem for problem in cluster_problems(placeholder) if not f"{problem.key}.".startswith(reported)]


def _nodes(reader: _Reader, defaults: _Defaults) -> dict[str, Node]:
    nodes = {}
    for name, entry in reader.entries("nodes", _Node).items():
        try:
            _NAME.validate_python(name)
        except ValidationError as error:
            reader.refuse(f"nodes.{name}", "", repr(name), error.errors()[0]["msg"].removeprefix("Value error, "))
            continue
        nodes[name] = Node(name, **{**entry.model_dump(), "replication_network": _network_of(entry, defaults)})
    return nodes


def _network_of(node: _Node, defaults: _Defaults) -> str | None:
    found = node.replication_network or defaults.replication_network
    return None if found == NO_NETWORK or node.address == "local" else found


def _guests(reader: _Reader, defaults: _Defaults) -> dict[GuestId, Guest]:
    guests: dict[GuestId, Guest] = {}
    for key, entry in reader.entries("guests", _Guest).items():
        if key.isdecimal() and str(int(key)) == key:
            guests[int(key)] = _guest(int(key), entry, defaults)
        else:
            named = f"; or, as a group: [groups.{key}]" if group_name(key) else ""
            reader.refuse(f"guests.{key}", "", repr(key), f"a guest's number, 100 or more{named}")
    for key, group in reader.entries("groups", _Group).items():
        if (name := group_name(key)) is None:
            reader.refuse(f"groups.{key}", "", repr(key), GROUP_ALLOWED)
        else:
            guests[name] = _guest(name, group, defaults)
    return guests


def _jobs(reader: _Reader) -> dict[JobId, Job]:
    jobs = {}
    for key, entry in reader.entries("jobs", _Job).items():
        try:
            job_id = JobId.parse(key)
        except ConfigError as error:
            reader.refuse(f"jobs.{key}", "", repr(key), error.advice)
            continue
        if str(job_id) != key:
            reader.refuse(f"jobs.{key}", "", repr(key), f"no leading zeros: {job_id}")
            continue
        jobs[job_id] = job_of(job_id, entry)
    return jobs


def _storage(name: str, storage: _Storage) -> Storage:
    nodes = None if storage.nodes is None else frozenset(storage.nodes)
    return Storage(name, storage.path, nodes, tuple(storage.paths.items()))


def _listed(entry: _Listed) -> Volume:
    return Volume(*entry.volume.split(":", 1))


def _guest(number: GuestId, guest: _Guest | _Group, defaults: _Defaults) -> Guest:
    drill = guest.drill if guest.drill is not None else defaults.drill
    return Guest(
        id=number,
        name=guest.name or str(number),
        node=guest.node,
        storages=tuple(guest.storages) if isinstance(guest, _Guest) else (),
        volumes=tuple(_listed(entry) for entry in guest.volumes if entry.replicate),
        excluded=frozenset(_listed(entry) for entry in guest.volumes if not entry.replicate),
        children=guest.children,
        children_of=tuple((_listed(each), each.children) for each in guest.volumes if each.children is not None),
        freeze=guest.freeze,
        thaw=guest.thaw,
        hook_timeout=guest.hook_timeout,
        on_freeze_failure=FreezeFailure(guest.on_freeze_failure),
        epoch=guest.epoch,
        runtime=_runtime_of(guest),
        stop_timeout=guest.stop_timeout,
        moving_to=guest.moving_to,
        drill=None if drill == NO_DRILL else drill,
        drill_off=drill == NO_DRILL,
        check=guest.check,
        drill_timeout=guest.drill_timeout or defaults.drill_timeout,
        files=tuple(guest.files),
    )


def _runtime_of(guest: _Listing) -> Runtime | None:
    if guest.start is not None and guest.stop is not None and guest.status is not None:
        return Runtime(guest.start, guest.stop, guest.status)
    return None if guest.runtime is None else runtime_of(guest.runtime)


def job_of(job_id: JobId, entry: BaseModel, fields: Sequence[JobField] = FIELDS, kind: type[Job] = Job) -> Job:
    """Return the job of a checked table."""
    values = entry.model_dump()
    settings = {field.name: field.value(values[field.name]) for field in fields}
    return kind(id=job_id, target=values["target"], source=values["source"], **settings)


def job_entry_problems(job: Job) -> list[Problem]:
    """Return the problems of a job in itself, as it would stand in the cluster's file."""
    values = {key: value for key, value in stored_values(job).items() if value is not None}
    reader = _Reader({"jobs": {str(job.id): values}})
    reader.entries("jobs", _Job)
    return reader.problems
