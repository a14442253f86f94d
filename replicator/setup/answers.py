"""The answers that ``zsr setup`` needs, as a TOML file holds them: read with all problems, and printed again. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import tomlkit
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from replicator.api.problem import Problem
from replicator.cluster.checks import DATASET_ALLOWED, is_dataset_path
from replicator.config.problems import AbsolutePath, NodeName, problems_of
from replicator.errors import ConfigError
from replicator.models import DEFAULT_SCHEDULE
from replicator.schedule.calendar import CalendarEvent
from replicator.schedule.retention import RetentionPolicy

ADDRESS_ALLOWED = "a host name or an IP alone, like 10.0.0.11; its port and user are answers of their own"
STORAGE_ALLOWED = "letters, digits, '.', '_' and '-', beginning with a letter or digit"
FINGERPRINT_ALLOWED = (
    "'SHA256:' and 43 characters, as this prints on that node: ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub"
)
TARGET_ALLOWED = "a-z, 0-9 and '-', at most 40 characters"
USUAL_KEEP = "6h:15m,7d:1d"
"""Restore points of a new job: enough to go back to the day before something was deleted."""
_FINGERPRINT = re.compile(r"SHA256:[A-Za-z0-9+/]{43}", re.ASCII)


def address(value: str) -> str:
    """Return a host name or an IP; raises ValueError with what is allowed."""
    if re.fullmatch(r"[A-Za-z0-9_.:%-]+", value, re.ASCII) is None or re.fullmatch(r"[^:]*:\d+", value):
        raise ValueError(ADDRESS_ALLOWED)
    if value == "local":
        raise ValueError("an address at which it is reached by other machines, not 'local'")
    return value


def dataset(value: str) -> str:
    """Return the path of a dataset; raises ValueError with what is allowed."""
    if not is_dataset_path(value):
        raise ValueError(DATASET_ALLOWED)
    return value


def storage_name(value: str) -> str:
    """Return the name of a storage; raises ValueError with what is allowed."""
    if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", value, re.ASCII) is None:
        raise ValueError(STORAGE_ALLOWED)
    return value


def fingerprint(value: str) -> str:
    """Return the fingerprint of a host key; raises ValueError with what is allowed."""
    if _FINGERPRINT.fullmatch(value) is None:
        raise ValueError(FINGERPRINT_ALLOWED)
    return value


def calendar_event(value: str) -> str:
    """Return a calendar event; raises ValueError with what is wrong."""
    try:
        CalendarEvent.parse(value)
    except ConfigError as error:
        raise ValueError(f"a calendar event, like '*/15' or 'mon..fri 22:30' ({error.what})") from None
    return value


def restore_points(value: str) -> str:
    """Return how many restore points are kept; raises ValueError with what is allowed."""
    RetentionPolicy.parse(value)
    return value


def target_name(value: str) -> str:
    """Return the name of a target of messages; raises ValueError with what is allowed."""
    if re.fullmatch(r"[a-z0-9-]{1,40}", value, re.ASCII) is None:
        raise ValueError(TARGET_ALLOWED)
    return value


def url(value: str) -> str:
    """Return the URL of a Prometheus; raises ValueError with what is allowed."""
    if re.fullmatch(r"https?://[^\s/]+(/\S*)?", value) is None:
        raise ValueError("a URL, like http://mon.example.org:9090")
    return value


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class ThisNode(_Part):
    """A node: its name, and how others log in to it."""

    name: NodeName
    address: Annotated[str, AfterValidator(address)]
    port: Annotated[int, Field(ge=1, le=65535)] = 22
    user: Annotated[str, Field(pattern=r"^[a-z_][a-z0-9_.-]*\$?$")] = "root"


class StorageAnswer(_Part):
    """The storage: its name in the cluster file, and its dataset on this node."""

    name: Annotated[str, AfterValidator(storage_name)]
    path: Annotated[str, AfterValidator(dataset)]


class SshAnswer(_Part):
    """The private key with which this node logs in; it is made if there is none."""

    key: AbsolutePath


class OtherNode(ThisNode):
    """Another node. ``host_key`` is the fingerprint of its host's key, ``path`` the storage's dataset there.

    ``zsr``: it runs a daemon of its own. ``files``: its files are written too. ``way_back``: it gets a key with which
    it may log in here.
    """

    host_key: Annotated[str, AfterValidator(fingerprint)]
    path: Annotated[str, AfterValidator(dataset)] | None = None
    zsr: bool = True
    files: bool = True
    way_back: bool = True


class GuestAnswer(_Part):
    """A guest of this node, and where it is replicated to; ``volumes`` where they are not found by name."""

    id: Annotated[int, Field(ge=100, le=999_999_999)]
    target: NodeName
    name: str = ""
    volumes: list[str] = []
    schedule: Annotated[str, AfterValidator(calendar_event)] = DEFAULT_SCHEDULE
    keep: Annotated[str, AfterValidator(restore_points)] = USUAL_KEEP


class NotifyAnswer(_Part):
    """Where messages go; ``test``: a test message is sent before anything is written."""

    name: Annotated[str, AfterValidator(target_name)]
    url: Annotated[str, Field(min_length=1)]
    test: bool = True


class MetricsAnswer(_Part):
    """The Prometheus that reads this node's metrics."""

    prometheus: Annotated[str, AfterValidator(url)]


class Answers(_Part):
    """All answers. ``notify`` None: messages stay as they are. ``metrics`` None: so does the exporter."""

    node: ThisNode
    storage: StorageAnswer
    ssh: SshAnswer
    nodes: Annotated[list[OtherNode], Field(min_length=1)]
    guests: list[GuestAnswer]
    notify: NotifyAnswer | None = None
    metrics: MetricsAnswer | None = None

    def path_on(self, node: OtherNode) -> str:
        """Return the dataset of the storage on another node."""
        return node.path or self.storage.path


def checked(part: type[BaseModel], key: str, value: object) -> Any:
    """Return a value for an answer; raises ValueError with what is allowed."""
    try:
        return TypeAdapter(part.model_fields[key].rebuild_annotation()).validate_python(value)
    except ValidationError as error:
        raise ValueError(error.errors()[0]["msg"].removeprefix("Value error, ")) from None


def read_answers(raw: Mapping[str, object]) -> tuple[Answers | None, list[Problem]]:
    """Return the answers in plain values of TOML, or all that is wrong with them."""
    try:
        answers = Answers.model_validate(raw)
    except ValidationError as error:
        return None, problems_of(error, Answers)
    problems = list(_between(answers))
    return (None if problems else answers), problems


def _between(answers: Answers) -> Iterator[Problem]:
    """Yield what is wrong between answers that are right in themselves."""
    names = [answers.node.name, *(node.name for node in answers.nodes)]
    for number, node in enumerate(answers.nodes):
        if node.name in names[: number + 1]:
            yield Problem(f"nodes.{number}.name", repr(node.name), "a name that no other node has")
    known = ", ".join(names[1:])
    ids = [guest.id for guest in answers.guests]
    for number, guest in enumerate(answers.guests):
        if guest.target not in names[1:]:
            yield Problem(f"guests.{number}.target", repr(guest.target), f"one of the other nodes: {known}")
        if guest.id in ids[:number]:
            yield Problem(f"guests.{number}.id", str(guest.id), "a number that no other guest has")
        for volume in guest.volumes:
            if not volume.startswith(f"{answers.storage.name}:"):
                allowed = f"volumes of the storage, like '{answers.storage.name}:web'"
                yield Problem(f"guests.{number}.volumes", repr(volume), allowed)


def answers_text(answers: Answers) -> str:
    """Return the answers as a file that ``zsr setup --answers`` reads; what is at its default is left out."""
    plain = answers.model_dump(exclude_defaults=True)
    head = "# Answers for: zsr setup --answers FILE"
    if answers.notify is not None:
        head += "\n# The URL of [notify] may hold a password: keep this file from others."
    tables_last = sorted(plain.items(), key=lambda each: isinstance(each[1], dict) or bool(each[1]))
    return f"{head}\n{tomlkit.dumps(dict(tables_last))}"
