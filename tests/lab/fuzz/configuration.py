"""A drawn cluster: guests with volumes, jobs, storages, hooks, and a second source; as facts and as TOML. Pure."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

FOLDER_NAME = os.environ.get("FUZZ_FOLDER") or "/run/fuzz"
"""Where everything is kept that is not on a pool."""

NODES = ("alpha", "beta", "gamma", "delta")
SECOND = "omega"
"""The second, independent source: another zsr with files, state and volumes of its own, and the same target."""

HOMES = {"alpha": "alpha", "beta": "beta", "gamma": "gamma", "delta": "gamma/delta", SECOND: f"gamma/{SECOND}"}
"""Below which dataset everything of a node lies."""

LAYOUTS: Mapping[str, Mapping[str, tuple[str, str]]] = {
    "one": {"data": ("data", "data")},
    "two": {"data": ("data", "data"), "fast": ("fast", "fast")},
    "nested": {"data": ("data", "data"), "fast": ("data/fast", "data/fast")},
    "nested there": {"data": ("data", "data"), "fast": ("fast", "data/fast")},
    "one path": {"data": ("data", "data"), "fast": ("data", "data")},
}
"""For each layout the storages with their paths on sources and on targets."""

KEEPS = ("1", "1", "2", "3", "1h:15m,1d:1h", "2h:30m")
GRACES = ("0", "1h", "7d", "never", "")
HOOKS = (*[""] * 8, *["well"] * 3, *["freeze fails"] * 2, "thaw fails", "freeze must not fail")
TOOLS = ("pvesr", "syncoid", "zrepl")
SETTINGS = ("keep", "snapshots", "encryption", "grace", "foreign")


@dataclass(frozen=True, slots=True)
class VolumePlan:
    """A volume as it is created: its storage and name, ``kind`` zvol or filesystem, and whether it is encrypted."""

    storage: str
    name: str
    kind: str = "filesystem"
    encrypted: bool = False
    child: bool = False


@dataclass(frozen=True, slots=True)
class GuestPlan:
    """A guest; its volumes are found by name, unless they are ``listed``. ``excluded`` are ``storage:name``."""

    id: int
    volumes: tuple[VolumePlan, ...] = ()
    listed: bool = False
    hooks: str = ""
    excluded: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class JobPlan:
    """A job; ``adopted`` names the tool that made the replicas before. Empty settings stand at their default."""

    guest: int
    number: int
    target: str
    keep: str = "1"
    snapshots: str = ""
    encryption: str = ""
    grace: str = ""
    foreign: str = ""
    adopted: str = ""

    @property
    def id(self) -> str:
        return f"{self.guest}-{self.number}"


@dataclass(frozen=True, slots=True)
class Configuration:
    """The cluster of node alpha, and what the second source has (nothing where ``second`` is empty)."""

    layout: str = "one"
    guests: tuple[GuestPlan, ...] = ()
    jobs: tuple[JobPlan, ...] = ()
    bookmarks: bool = True
    second: tuple[GuestPlan, ...] = ()
    second_jobs: tuple[JobPlan, ...] = ()

    @classmethod
    def from_json(cls, text: str) -> Configuration:
        raw: dict[str, Any] = json.loads(text)
        return cls(
            raw["layout"],
            tuple(_guest(each) for each in raw["guests"]),
            tuple(JobPlan(**each) for each in raw["jobs"]),
            raw["bookmarks"],
            tuple(_guest(each) for each in raw["second"]),
            tuple(JobPlan(**each) for each in raw["second_jobs"]),
        )

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    def of(self, node: str) -> tuple[tuple[GuestPlan, ...], tuple[JobPlan, ...]]:
        """The guests and jobs of a source."""
        return (self.second, self.second_jobs) if node == SECOND else (self.guests, self.jobs)

    def sources(self) -> tuple[str, ...]:
        return ("alpha", SECOND) if self.second else ("alpha",)

    def guest(self, node: str, number: int) -> GuestPlan | None:
        return next((each for each in self.of(node)[0] if each.id == number), None)

    def job(self, node: str, job: str) -> JobPlan | None:
        return next((each for each in self.of(node)[1] if each.id == job), None)

    def with_guest(self, node: str, guest: GuestPlan) -> Configuration:
        """The same with another plan of one guest."""
        changed = tuple(guest if each.id == guest.id else each for each in self.of(node)[0])
        return replace(self, second=changed) if node == SECOND else replace(self, guests=changed)

    def with_jobs(self, node: str, jobs: tuple[JobPlan, ...]) -> Configuration:
        return replace(self, second_jobs=jobs) if node == SECOND else replace(self, jobs=jobs)

    def path(self, storage: str, node: str) -> str:
        """The path of a storage on a node."""
        here, there = LAYOUTS[self.layout][storage]
        return f"{HOMES[node]}/{here if node in ('alpha', SECOND) else there}"

    def storages(self) -> tuple[str, ...]:
        return tuple(LAYOUTS[self.layout])


def _guest(raw: Mapping[str, Any]) -> GuestPlan:
    volumes = tuple(VolumePlan(**each) for each in raw["volumes"])
    return GuestPlan(raw["id"], volumes, raw["listed"], raw["hooks"], tuple(raw["excluded"]))


# --- as TOML


def cluster_toml(configuration: Configuration, node: str) -> str:
    """The cluster file of a source."""
    guests, jobs = configuration.of(node)
    lines = [f'[nodes.{each}]\naddress = "local"' for each in (node, *NODES[1:])]
    for storage in configuration.storages():
        paths = ", ".join(f'{each} = "{configuration.path(storage, each)}"' for each in NODES[1:])
        lines.append(
            f'[storages.{storage}]\npath = "{configuration.path(storage, node)}"\npaths = {{ {paths} }}',
        )
    lines += [_guest_toml(node, guest) for guest in guests]
    lines += [_job_toml(job) for job in jobs]
    return "\n".join(lines) + "\n"


def _guest_toml(node: str, guest: GuestPlan) -> str:
    lines = [f'[guests.{guest.id}]\nname = "g{guest.id}"\nnode = "{node}"']
    listed = [f'"{each.storage}:{each.name}"' for each in guest.volumes] if guest.listed else []
    listed = [each for each in listed if each.strip('"') not in guest.excluded]
    listed += [f'{{ volume = "{each}", replicate = false }}' for each in guest.excluded]
    if listed:
        lines.append(f"volumes = [{', '.join(listed)}]")
    if guest.hooks:
        mark = frozen_mark(node, guest.id)
        freeze = f"touch {mark}" + ("; false" if guest.hooks.startswith("freeze") else "")
        thaw = f"rm -f {mark}" + ("; false" if guest.hooks == "thaw fails" else "")
        lines.append(f'freeze = "{freeze}"\nthaw = "{thaw}"')
        lines.append(f'on_freeze_failure = "{"error" if guest.hooks == "freeze must not fail" else "warning"}"')
    return "\n".join(lines)


def frozen_mark(node: str, guest: int) -> str:
    """The file that is there while a guest is frozen."""
    return f"{FOLDER_NAME}/frozen-{node}-{guest}"


def _job_toml(job: JobPlan) -> str:
    settings = {key: getattr(job, key) for key in SETTINGS}
    lines = [f'[jobs.{job.id}]\ntarget = "{job.target}"']
    lines += [f'{key} = "{value}"' for key, value in settings.items() if value]
    return "\n".join(lines)


# --- drawn


def draw(dice: random.Random, settings: Collection[str]) -> Configuration:
    """A cluster; ``settings`` are those of `SETTINGS` that this zsr knows."""
    layout = dice.choice(tuple(LAYOUTS))
    guests = tuple(_draw_guest(dice, number, layout) for number in (100, 101, 1001)[: dice.choice((1, 1, 2, 3))])
    jobs = tuple(job for guest in guests for job in _draw_jobs(dice, guest, settings))
    second: tuple[GuestPlan, ...] = ()
    if dice.random() < 0.3:
        second = (_draw_guest(dice, dice.choice((200, 100)), layout),)
    others = tuple(
        replace(job, target=jobs[0].target) for guest in second for job in _draw_jobs(dice, guest, settings)[:1]
    )
    return Configuration(layout, guests, jobs, dice.random() < 0.7, second, others)


def _draw_guest(dice: random.Random, number: int, layout: str) -> GuestPlan:
    volumes = []
    for index in range(dice.choice((1, 1, 2, 3))):
        zvol = dice.random() < 0.25
        name = f"vm-{number}-disk-{index}" if zvol else f"subvol-{number}-disk-{index}"
        storage = dice.choice(tuple(LAYOUTS[layout]))
        child = not zvol and dice.random() < 0.1
        volumes.append(VolumePlan(storage, name, "volume" if zvol else "filesystem", dice.random() < 0.15, child))
    return GuestPlan(number, tuple(volumes), dice.random() < 0.2, dice.choice(HOOKS))


def _draw_jobs(dice: random.Random, guest: GuestPlan, settings: Collection[str]) -> list[JobPlan]:
    targets = dice.sample(NODES[1:], dice.choice((1, 1, 1, 2, 3)))
    encrypted = any(volume.encrypted for volume in guest.volumes)
    found = []
    for number, target in enumerate(targets):
        drawn = {
            "keep": dice.choice(KEEPS),
            "snapshots": dice.choice(("", "", "own")),
            "encryption": dice.choice(("", "", "decrypted")) if encrypted else "",
            "grace": dice.choice(GRACES),
            "foreign": dice.choice(("", "mirror", "keep")),
        }
        known = {key: value for key, value in drawn.items() if key in settings}
        adopted = dice.choice(TOOLS) if dice.random() < 0.15 else ""
        found.append(JobPlan(guest.id, number, target, adopted=adopted, **known))
    return found
