"""What may happen between two looks at the laws: acts of people and other tools, and runs. Pure.

Steps name things outright, so that a case goes on without those that were dropped: a step whose thing is not there does
nothing.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

from tests.lab.fuzz.configuration import Configuration, GuestPlan, JobPlan
from tests.lab.fuzz.listing import ASIDE, Entry, World
from tests.lab.fuzz.volumes import pairs, volumes

FOREIGN = ("daily-1", "daily-2", "autosnap_2026-11-30_00:00:00_hourly", "before upgrade")
"""Names that other tools and people give to their snapshots, on either side."""

RUN_STEPS = ("look", "snapshot", "plan", "put aside", "transfer", "prove", "remember", "tidy", "resume")
"""The steps at whose beginning a run dies."""

SHIFTS = (60, 900, 3600, 7200, 86400, 8 * 86400, -120, -3600)
"""Seconds by which a clock is shifted."""


@dataclass(frozen=True, slots=True)
class Step:
    """An act, at a dataset, a snapshot, or a job (``alpha:100-0``), with what it needs."""

    act: str
    at: str = ""
    to: str = ""
    number: int = 0

    @property
    def is_run(self) -> bool:
        """Whether zsr acts in it."""
        return self.act in ("run", "die", "delete", "adopt")

    @property
    def node(self) -> str:
        """Of a step at a job or guest: the source."""
        return self.at.partition(":")[0]

    @property
    def id(self) -> str:
        """Of a step at a job or guest: its number."""
        return self.at.partition(":")[2]

    def __str__(self) -> str:
        return " ".join(filter(None, (self.act, self.at, self.to, str(self.number or ""))))


def steps_to_json(steps: Sequence[Step]) -> str:
    return json.dumps([asdict(step) for step in steps])


def steps_from_json(text: str) -> list[Step]:
    return [Step(**each) for each in json.loads(text)]


@dataclass(frozen=True, slots=True)
class Scene:
    """What a step is drawn from."""

    dice: random.Random
    world: World
    configuration: Configuration

    def jobs(self) -> list[tuple[str, JobPlan]]:
        return [(node, job) for node in self.configuration.sources() for job in self.configuration.of(node)[1]]

    def guests(self) -> list[tuple[str, GuestPlan]]:
        return [(node, guest) for node in self.configuration.sources() for guest in self.configuration.of(node)[0]]

    def sources(self) -> list[Entry]:
        """The volumes of all guests that exist."""
        found = [
            volume[2]
            for node, guest in self.guests()
            for volume in volumes(self.configuration, node, guest, self.world)
        ]
        return [self.world.names[each] for each in found if each in self.world.names]

    def replicas(self) -> list[Entry]:
        """The replicas of all jobs, also those kept aside."""
        named = {each.replica for node, job in self.jobs() for each in pairs(self.configuration, node, job, self.world)}
        return [e for e in self.world.datasets() if e.name in named or ASIDE in e.name]

    def job(self) -> str:
        node, job = self.dice.choice(self.jobs())
        return f"{node}:{job.id}"


_OURS = "__replicate_"


def symbol(world: World, name: str) -> str:
    """A name without the times in it, so that it means the same in the next try: ``x@~1`` is the newest set of zsr.

    Of replicas that are kept aside ``zsr-diverged/~1`` is the newest one.
    """
    dataset, at, short = name.partition("@")
    if short.startswith(_OURS):
        short = f"~{[each.short for each in _sets(world, dataset)][::-1].index(short) + 1}"
    path, aside, _ = dataset.partition(ASIDE)
    if aside:
        dataset = f"{path}{ASIDE}~{_asides(world, path)[::-1].index(dataset) + 1}"
    return f"{dataset}{at}{short}"


def resolved(world: World, name: str) -> str:
    """The name that a symbol stands for; itself where there is none such."""
    dataset, at, short = name.partition("@")
    path, _, rest = dataset.partition(ASIDE)
    if rest.startswith("~"):
        dataset = _nth(_asides(world, path), rest) or dataset
    if short.startswith("~"):
        short = _nth([each.short for each in _sets(world, dataset)], short) or short
    return f"{dataset}{at}{short}"


def _nth(names: list[str], symbol: str) -> str:
    number = int(symbol[1:])
    return names[-number] if number <= len(names) else ""


def _sets(world: World, dataset: str) -> list[Entry]:
    return [each for each in world.snapshots(dataset) if each.short.startswith(_OURS)]


def _asides(world: World, path: str) -> list[str]:
    return [each.name for each in sorted(world.datasets(f"{path}{ASIDE[:-1]}"), key=lambda each: each.txg)]


def draw_step(scene: Scene) -> Step:
    """A step; a run where the one that was drawn has nothing to act on."""
    if not scene.jobs():
        return Step("clock", number=60)
    acts, weights = zip(*_DRAWN, strict=True)
    drawn = scene.dice.choices(acts, weights)[0](scene)
    return drawn or Step("run", scene.job())


def _run(scene: Scene) -> Step:
    return Step("run", scene.job())


def _die(scene: Scene) -> Step:
    step = scene.dice.choice(RUN_STEPS)
    delay = scene.dice.choice((0, 0, 1, 5, 20, 60)) if step in ("transfer", "prove", "tidy") else 0
    return Step("die", scene.job(), step, delay * 10 + scene.dice.choice((1, 1, 2)))


def _at(act: str, choose: Callable[[Scene], list[Entry]]) -> Callable[[Scene], Step | None]:
    def drawn(scene: Scene) -> Step | None:
        found = choose(scene)
        return Step(act, symbol(scene.world, scene.dice.choice(found).name)) if found else None

    return drawn


def _snapshot(scene: Scene) -> Step | None:
    found = [*scene.sources(), *scene.replicas()]
    if not found:
        return None
    return Step("snapshot", symbol(scene.world, scene.dice.choice(found).name), scene.dice.choice(FOREIGN))


def _snapshots_on(scene: Scene, where: list[Entry], *, ours: bool = True) -> list[Entry]:
    found = [each for entry in where for each in scene.world.snapshots(entry.name)]
    return [each for each in found if ours or not each.short.startswith("__")]


def _rename(scene: Scene) -> Step | None:
    found = scene.sources()
    if not found:
        return None
    old = scene.dice.choice(found)
    path, _, name = old.name.rpartition("/")
    kind, guest, *_ = name.split("-")
    new = f"{path}/{kind}-{guest}-disk-{scene.dice.randrange(6)}"
    return None if new in scene.world.names else Step("rename", old.name, new)


def _reassign(scene: Scene) -> Step | None:
    found = [(node, guest) for node, guest in scene.guests() if not guest.listed]
    sources = [each for each in scene.sources() if not scene.world.datasets(each.name)]
    if len(found) < 2 or not sources:
        return None
    old = scene.dice.choice(sources)
    node, to = scene.dice.choice(found)
    path, _, name = old.name.rpartition("/")
    new = f"{path}/{name.partition('-')[0]}-{to.id}-disk-{scene.dice.randrange(6, 9)}"
    return Step("rename", old.name, new) if old.place == node else None


def _exclude(scene: Scene) -> Step | None:
    node, guest = scene.dice.choice(scene.guests())
    if guest.excluded:
        return Step("include", f"{node}:{guest.id}", guest.excluded[0])
    found = volumes(scene.configuration, node, guest, scene.world)
    if not found:
        return None
    storage, name, _ = scene.dice.choice(found)
    return Step("exclude", f"{node}:{guest.id}", f"{storage}:{name}")


def _create(scene: Scene) -> Step | None:
    node, guest = scene.dice.choice(scene.guests())
    missing = [
        each for each in guest.volumes if f"{_path(scene, node, each.storage)}/{each.name}" not in scene.world.names
    ]
    if missing:
        plan = scene.dice.choice(missing)
        return Step("create", f"{_path(scene, node, plan.storage)}/{plan.name}", plan.kind)
    if guest.listed:
        return None
    storage = scene.dice.choice(scene.configuration.storages())
    name = f"subvol-{guest.id}-disk-{scene.dice.randrange(3, 6)}"
    return Step("create", f"{_path(scene, node, storage)}/{name}", "filesystem")


def _path(scene: Scene, node: str, storage: str) -> str:
    return scene.configuration.path(storage, node)


def _clone(scene: Scene) -> Step | None:
    found = _snapshots_on(scene, [each for each in scene.sources() if each.root == "-"])
    if not found:
        return None
    origin = scene.dice.choice(found)
    path, _, name = origin.dataset.rpartition("/")
    kind, guest, *_ = name.split("-")
    return Step("clone", symbol(scene.world, origin.name), f"{path}/{kind}-{guest}-disk-{scene.dice.randrange(9, 11)}")


def _edit(scene: Scene) -> Step:
    choices = ("keep=1", "keep=3", "keep=1h:15m", "snapshots=own", "snapshots=all", "grace=1h", "grace=7d", "grace=0")
    return Step("edit", scene.job(), scene.dice.choice(choices))


def _remake(scene: Scene) -> Step | None:
    return Step("delete", scene.job()) if len(scene.jobs()) > 1 or scene.dice.random() < 0.3 else None


_DRAWN: tuple[tuple[Callable[[Scene], Step | None], int], ...] = (
    (_run, 30),
    (_die, 9),
    (_at("write", Scene.sources), 12),
    (_snapshot, 9),
    (_at("retake", lambda scene: _snapshots_on(scene, scene.sources(), ours=False)), 3),
    (_at("drop", lambda scene: _snapshots_on(scene, scene.sources())), 3),
    (_at("drop", lambda scene: _snapshots_on(scene, scene.replicas())), 2),
    (_at("rollback", lambda scene: _snapshots_on(scene, scene.sources(), ours=False)), 3),
    (_at("rollback", lambda scene: _snapshots_on(scene, scene.sources())), 1),
    (_rename, 3),
    (_reassign, 3),
    (_exclude, 2),
    (_at("destroy", Scene.sources), 2),
    (_create, 4),
    (_clone, 2),
    (_at("child", Scene.sources), 1),
    (_at("activate", Scene.replicas), 2),
    (_at("settle", Scene.replicas), 2),
    (_at("scribble", Scene.replicas), 3),
    (_edit, 3),
    (_remake, 2),
    (lambda scene: Step("clock", number=scene.dice.choice(SHIFTS)), 6),
    (lambda scene: Step("forget", scene.dice.choice(scene.configuration.sources())), 1),
)
"""All acts with their weights."""
