"""The settings of this node, ``/etc/zsr/zsr.toml``: read, checked as a whole, and handed on as frozen facts.

All errors are told at once, each with key, value and what is allowed (DESIGN 9). A section that belongs to a plugin
is checked by that plugin; the core never prints its values, because they hold secrets.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from importlib.metadata import entry_points
from pathlib import Path
from typing import Annotated, Literal, get_args
from zoneinfo import ZoneInfo

import tomli
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from replicator.durations import parse_duration
from replicator.errors import ConfigError
from replicator.hosts.settings import SshSettings
from replicator.plugins import ENTRY_POINT_GROUP, InspectingPlugin, Plugin, Problem
from replicator.pruning import Retention
from replicator.zones import local_zone, zone

DEFAULT_PATH = Path("/etc/zsr/zsr.toml")
_LONGEST_SOCKET_PATH = 107  # unix(7): sun_path holds 108 bytes with the end
NODE_NAME = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"


class SettingsError(ConfigError):
    """A file of settings is wrong; ``problems`` holds all that is wrong with it.

    ``heading`` stands above them; by default it names the file and their number.
    """

    def __init__(self, path: Path, problems: Sequence[Problem], heading: str = "") -> None:
        lines = "".join(f"\n  {problem}" for problem in problems)
        heading = heading or f"{path}: {len(problems)} wrong setting{'s' if len(problems) > 1 else ''}:"
        super().__init__(f"{heading}{lines}")
        self.path = path
        self.problems = tuple(problems)


def _duration(value: object) -> float:
    return parse_duration(value)


def _zone_name(value: str) -> str:
    zone(value)
    return value


def _node_name(value: str) -> str:
    if not re.fullmatch(NODE_NAME, value, re.ASCII):
        raise ValueError("letters, digits and hyphens, beginning and ending with a letter or digit")
    return value


def _absolute(value: str) -> str:
    if not Path(value).is_absolute():
        raise ValueError("an absolute path, beginning with '/'")
    return value


def _socket_path(value: str) -> str:
    if len(os.fsencode(_absolute(value))) > _LONGEST_SOCKET_PATH:
        raise ValueError(f"a path of at most {_LONGEST_SOCKET_PATH} bytes, for it is that of a unix socket")
    return value


def _key_list(value: object) -> object:
    return [value] if isinstance(value, str) else value


Duration = Annotated[float, BeforeValidator(_duration)]
NodeName = Annotated[str, AfterValidator(_node_name)]
SocketPath = Annotated[str, AfterValidator(_socket_path)]
HomePath = Annotated[str, AfterValidator(os.path.expanduser)]
AbsolutePath = Annotated[str, AfterValidator(_absolute)]
ZoneName = Annotated[str, AfterValidator(_zone_name)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class _Cluster(_Section):
    store: Literal["file"] = "file"
    path: AbsolutePath = "/etc/zsr/cluster.toml"


class _History(_Section):
    runs: Annotated[int, Field(ge=1)] = 100
    days: Annotated[int, Field(ge=0)] = 30


class _Zfs(_Section):
    command_timeout: Annotated[Duration, Field(gt=0)] = 60.0
    stall_timeout: Annotated[Duration, Field(gt=0)] = 300.0


class _Ssh(_Section):
    known_hosts: HomePath | None = None
    key: Annotated[list[HomePath], BeforeValidator(_key_list)] = []
    agent: bool = True
    connect_timeout: Annotated[Duration, Field(gt=0)] = 10.0
    keepalive: Annotated[Duration, Field(gt=0)] = 15.0


class _File(_Section):
    node: NodeName
    timezone: ZoneName | None = None
    max_parallel: Annotated[int, Field(ge=1, le=32)] = 1
    state_dir: AbsolutePath = "/var/lib/zsr"
    control: SocketPath = "/run/zsr/control.sock"
    cluster: _Cluster = _Cluster()
    history: _History = _History()
    zfs: _Zfs = _Zfs()
    ssh: _Ssh = _Ssh()


@dataclass(frozen=True, slots=True)
class Settings:
    """The checked settings of this node. ``sections`` are the plugins' own, by name (absent ones left out)."""

    path: Path
    node: str
    timezone: ZoneInfo
    max_parallel: int
    state_dir: Path
    control: Path
    cluster_path: Path
    retention: Retention
    command_timeout: float
    stall_timeout: float
    ssh: SshSettings
    sections: Mapping[str, object]


def load_plugins() -> dict[str, Plugin]:
    """The installed plugins by the names of their entry points."""
    plugins: dict[str, Plugin] = {}
    for entry in sorted(entry_points(group=ENTRY_POINT_GROUP), key=lambda entry: entry.name):
        try:
            plugin = entry.load()()
        except (ImportError, AttributeError) as error:
            raise ConfigError(f"The plugin '{entry.name}' ({entry.value}) cannot be loaded: {error}.") from error
        plugins[entry.name] = plugin
    return plugins


def default_path() -> Path:
    """Where the settings are when nobody says: ``$ZSR_CONFIG`` or ``/etc/zsr/zsr.toml``."""
    return Path(os.environ.get("ZSR_CONFIG") or DEFAULT_PATH)


def read_toml(path: Path, hint: str) -> dict[str, object]:
    """A TOML file as plain values; raises ConfigError that says what to do if there is none, or where it is wrong."""
    try:
        return tomli.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"There is no file '{path}'.", advice=hint) from None
    except OSError as error:
        raise ConfigError(
            f"Could not read '{path}': {error.strerror}.", advice="Check its owner and rights."
        ) from error
    except (tomli.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"'{path}' is not TOML: {error}.", advice="Nothing was changed.") from error


def load_settings(path: Path) -> Settings:
    """Read and check the settings.

    Raises:
        SettingsError: with all that is wrong; ConfigError if the file cannot be read at all.
    """
    raw = read_toml(path, 'Write one with at least: node = "this-nodes-name" (docs/settings.md), or give --config.')
    plugins = load_plugins()
    known = [section for plugin in plugins.values() for section in plugin.sections]
    sections = {key: raw.pop(key) for key in known if key in raw}
    problems: list[Problem] = []
    try:
        model = _File.model_validate(raw)
    except ValidationError as error:
        problems += problems_of(error, _File, also=known)
        model = None
    for plugin in plugins.values():
        problems += plugin.check(sections_of(plugin, sections))
    if problems or model is None:
        raise SettingsError(path, problems)
    return Settings(
        path=path,
        node=model.node,
        timezone=zone(model.timezone) if model.timezone else local_zone(),
        max_parallel=model.max_parallel,
        state_dir=Path(model.state_dir),
        control=Path(model.control),
        cluster_path=Path(model.cluster.path),
        retention=Retention(model.history.runs, model.history.days * 86400.0),
        command_timeout=model.zfs.command_timeout,
        stall_timeout=model.zfs.stall_timeout,
        ssh=SshSettings(
            known_hosts=model.ssh.known_hosts,
            keys=tuple(model.ssh.key),
            agent=model.ssh.agent,
            connect_timeout=model.ssh.connect_timeout,
            keepalive=model.ssh.keepalive,
        ),
        sections=sections,
    )


def sections_of(plugin: Plugin, sections: Mapping[str, object]) -> dict[str, object]:
    """Those of all sections that belong to a plugin, which may hold secrets that are no other's to see."""
    return {name: sections[name] for name in plugin.sections if name in sections}


def inspect_plugins(settings: Settings) -> None:
    """Look into the files that plugins' sections name; raises SettingsError with all that is wrong with them."""
    problems = [
        problem
        for plugin in load_plugins().values()
        if isinstance(plugin, InspectingPlugin)
        for problem in plugin.inspect(sections_of(plugin, settings.sections))
    ]
    if problems:
        raise SettingsError(settings.path, problems)


def problems_of(error: ValidationError, model: type[BaseModel], *, also: Iterable[str] = ()) -> list[Problem]:
    """What pydantic found, as our problems; an unknown key is told with the known one that it resembles.

    The value of an unknown key is not shown: it may be a misspelt section of a plugin, and hold secrets.

    Args:
        error: what pydantic found.
        model: what the values were checked against.
        also: further keys that may stand at the top.
    """
    problems = []
    for detail in error.errors(include_url=False):
        key = ".".join(str(part) for part in detail["loc"])
        match detail["type"]:
            case "extra_forbidden":
                known = _known_keys(model, detail["loc"][:-1]) + (list(also) if len(detail["loc"]) == 1 else [])
                close = get_close_matches(str(detail["loc"][-1]), known, n=1)
                hint = f"did you mean '{close[0]}'?" if close else f"known: {', '.join(sorted(known))}"
                problems.append(Problem(key, "...", f"unknown key; {hint}"))
            case "missing":
                problems.append(Problem(key, "(missing)", "this key is required"))
            case _:
                problems.append(Problem(key, shown(detail["input"]), detail["msg"].removeprefix("Value error, ")))
    return problems


def shown(value: object) -> str:
    """A wrong value as it is told: text and numbers as they stand, cut when long; of the rest only the kind."""
    if isinstance(value, dict):
        return "(a table)"
    if isinstance(value, list | tuple):
        return "(a list)"
    text = str(value).lower() if isinstance(value, bool) else repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _known_keys(model: type[BaseModel], place: Sequence[int | str]) -> list[str]:
    """The keys that a model allows at a place inside it; the numbers in a place are those of a list's entries."""
    for part in place:
        if isinstance(part, int):
            continue
        field = model.model_fields.get(part)
        kinds = [] if field is None else [field.annotation, *get_args(field.annotation)]
        inner = next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)), None)
        if inner is None:
            return []
        model = inner
    return list(model.model_fields)


def cluster_path(path: Path) -> Path:
    """Where the settings say that the cluster's file is, even if other settings are wrong.

    Raises:
        ConfigError: the settings cannot be read, or say nothing of use.
    """
    section = read_toml(path, "").get("cluster", {})
    try:
        return Path(_Cluster.model_validate(section).path)
    except ValidationError as error:
        raise SettingsError(path, problems_of(error, _Cluster)) from None
