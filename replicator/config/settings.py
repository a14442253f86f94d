"""The settings of this node, ``/etc/zsr/zsr.toml``: read, checked as a whole, and returned as frozen facts.

All errors are reported at once, each with key, value and allowed values (architecture.md, "Bad input"). A section that
belongs to a plugin is checked by that plugin; the core never prints its values, because they hold secrets.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from replicator.api.plugin import InspectingPlugin, NotingPlugin
from replicator.api.problem import Problem
from replicator.common.history import Retention
from replicator.common.timezones import local_zone, zone
from replicator.config.plugins import load_plugins, sections_of
from replicator.config.problems import (
    AbsolutePath,
    Duration,
    HomePath,
    NodeName,
    SettingsError,
    SocketPath,
    ZoneName,
    problems_of,
    read_toml,
)
from replicator.config.ssh import SshSettings
from replicator.models import Job

DEFAULT_PATH = Path("/etc/zsr/zsr.toml")
DEFAULT_STATE_DIR = "/var/lib/zsr"


def _key_list(value: object) -> object:
    if not isinstance(value, str | list):
        raise ValueError("the path of a key in quotes, or a list of them")  # noqa: TRY004 - as pydantic passes it on
    return [value] if isinstance(value, str) else value


def _url(value: str) -> str:
    if not re.match(r"https?://[^\s/]+", value):
        raise ValueError("a URL, like 'http://mon.example.org:9090'")
    return value


def _auto_or_bool(value: object) -> object:
    if value != "auto" and not isinstance(value, bool):
        raise ValueError("true or false, without quotes, or 'auto'")
    return value


PROXMOX_CONFIG = Path("/etc/pve")
"""There on nodes of Proxmox VE, which rolls back without ``-r``: a later bookmark is in the way of that."""


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
    bookmarks: Annotated[bool | str, BeforeValidator(_auto_or_bool)] = "auto"


class _Ssh(_Section):
    known_hosts: HomePath | None = None
    key: Annotated[list[HomePath], BeforeValidator(_key_list)] = []
    agent: bool = True
    connect_timeout: Annotated[Duration, Field(gt=0)] = 10.0
    keepalive: Annotated[Duration, Field(gt=0)] = 15.0


class _Doctor(_Section):
    prometheus: Annotated[str, AfterValidator(_url)] | None = None


class _File(_Section):
    node: NodeName
    timezone: ZoneName | None = None
    max_parallel: Annotated[int, Field(ge=1, le=32)] = 1
    state_dir: AbsolutePath = DEFAULT_STATE_DIR
    control: SocketPath = "/run/zsr/control.sock"
    cluster: _Cluster = _Cluster()
    history: _History = _History()
    zfs: _Zfs = _Zfs()
    ssh: _Ssh = _Ssh()
    doctor: _Doctor = _Doctor()


@dataclass(frozen=True, slots=True)
class ClusterSettings:
    """Where the cluster is kept: the kind of store, and its path."""

    store: str
    path: Path


@dataclass(frozen=True, slots=True)
class Settings:
    """The checked settings of this node. ``sections`` are the plugins' own, by name (absent ones left out).

    ``bookmarks``: whether each snapshot set is bookmarked on this node. ``pvesr_jobs``: the file with the replication
    jobs of Proxmox VE, where this is a node of it. ``prometheus``: the URL of the one that ``zsr doctor`` asks.
    """

    path: Path
    node: str
    timezone: ZoneInfo
    max_parallel: int
    state_dir: Path
    control: Path
    cluster: ClusterSettings
    retention: Retention
    command_timeout: float
    stall_timeout: float
    bookmarks: bool
    pvesr_jobs: Path
    ssh: SshSettings
    sections: Mapping[str, object]
    prometheus: str | None = None


def changed_keys(before: Settings, after: Settings) -> tuple[str, ...]:
    """Return the keys of ``zsr.toml`` whose values differ, without the values; of a plugin's section only its name."""
    fields = {
        "node": "node", "timezone": "timezone", "max_parallel": "max_parallel", "state_dir": "state_dir",
        "control": "control", "cluster": "cluster", "retention": "history", "command_timeout": "zfs.command_timeout",
        "stall_timeout": "zfs.stall_timeout", "bookmarks": "zfs.bookmarks", "ssh": "ssh",
    }  # fmt: skip
    own = [key for name, key in fields.items() if getattr(before, name) != getattr(after, name)]
    names = sorted({*before.sections, *after.sections})
    return (*own, *(name for name in names if before.sections.get(name) != after.sections.get(name)))


def default_path() -> Path:
    """Return where the settings are by default: ``$ZSR_CONFIG`` or ``/etc/zsr/zsr.toml``."""
    return Path(os.environ.get("ZSR_CONFIG") or DEFAULT_PATH)


def load_settings(path: Path) -> Settings:
    """Read and check the settings.

    Raises:
        SettingsError: with all problems; ConfigError if the file cannot be read at all.
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
        cluster=ClusterSettings(model.cluster.store, Path(model.cluster.path)),
        retention=Retention(model.history.runs, model.history.days * 86400.0),
        command_timeout=model.zfs.command_timeout,
        stall_timeout=model.zfs.stall_timeout,
        bookmarks=not PROXMOX_CONFIG.is_dir() if model.zfs.bookmarks == "auto" else bool(model.zfs.bookmarks),
        pvesr_jobs=PROXMOX_CONFIG / "replication.cfg",
        ssh=_ssh_settings(model.ssh),
        sections=sections,
        prometheus=model.doctor.prometheus,
    )


def _ssh_settings(model: _Ssh) -> SshSettings:
    return SshSettings(
        known_hosts=model.known_hosts,
        keys=tuple(model.key),
        agent=model.agent,
        connect_timeout=model.connect_timeout,
        keepalive=model.keepalive,
    )


def inspect_plugins(settings: Settings) -> None:
    """Check the files that plugins' sections name; raises SettingsError with all their problems."""
    problems = [
        problem
        for plugin in load_plugins().values()
        if isinstance(plugin, InspectingPlugin)
        for problem in plugin.inspect(sections_of(plugin, settings.sections))
    ]
    if problems:
        raise SettingsError(settings.path, problems)


def plugin_notes(settings: Settings, jobs: Sequence[Job]) -> list[str]:
    """Return the remarks of plugins on settings that are valid; ``jobs`` are those of this node."""
    return [
        note
        for plugin in load_plugins().values()
        if isinstance(plugin, NotingPlugin)
        for note in plugin.notes(sections_of(plugin, settings.sections), jobs)
    ]


def cluster_settings(path: Path) -> ClusterSettings:
    """Return where the settings say that the cluster is kept, even if other settings are wrong.

    Raises:
        ConfigError: the settings cannot be read, or their section about the cluster is wrong.
    """
    section = read_toml(path, "").get("cluster", {})
    try:
        model = _Cluster.model_validate(section)
    except ValidationError as error:
        raise SettingsError(path, problems_of(error, _Cluster)) from None
    return ClusterSettings(model.store, Path(model.path))
