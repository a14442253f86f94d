"""The acts of people and other tools, done on the node."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from tests.lab.fuzz.configuration import HOMES, Configuration, JobPlan, VolumePlan
from tests.lab.fuzz.listing import World
from tests.lab.fuzz.machine import KEY, ActFailedError
from tests.lab.fuzz.played_on import Machine
from tests.lab.fuzz.steps import Step
from tests.lab.fuzz.volumes import pairs
from tests.lab.fuzz.zsr import forget


@dataclass(frozen=True, slots=True)
class Stage:
    """What an act knows: all that is there, the cluster as it is configured, and a number for what it writes."""

    world: World
    configuration: Configuration
    seed: int
    machine: Machine

    def kind(self, dataset: str) -> str:
        """Whether a dataset is a volume or a filesystem.

        Raises:
            ActFailedError: it does not exist.
        """
        if dataset not in self.world.names:
            raise ActFailedError(f"{dataset} is not there")
        return self.world.names[dataset].kind


def create_homes(machine: Machine, configuration: Configuration) -> None:
    """The storages of all nodes, without volumes."""
    nodes = (*configuration.sources(), "beta", "gamma", "delta")
    paths = {configuration.path(storage, node) for node in nodes for storage in configuration.storages()}
    for path in sorted(paths):
        machine.zfs("create", "-p", path)


def create_volumes(machine: Machine, configuration: Configuration) -> list[str]:
    """The volumes of all guests, with something in each; their datasets."""
    made = []
    for node in configuration.sources():
        for guest in configuration.of(node)[0]:
            for index, plan in enumerate(guest.volumes):
                name = f"{configuration.path(plan.storage, node)}/{plan.name}"
                create(machine, name, plan, guest.id * 10 + index)
                made.append(name)
    return made


def create(machine: Machine, name: str, plan: VolumePlan, seed: int) -> None:
    """Create a volume."""
    options = []
    if plan.encrypted:
        options += ["-o", "encryption=on", "-o", "keyformat=raw", "-o", f"keylocation=file://{KEY}"]
    machine.zfs("create", *options, *(("-V", "1M") if plan.kind == "volume" else ()), name)
    machine.write(name, plan.kind, seed)
    if plan.child:
        machine.zfs("create", f"{name}/child")
        machine.write(f"{name}/child", "filesystem", seed + 1)


def act(step: Step, stage: Stage) -> Configuration:
    """Do a step in which zsr has no part; the configuration after it.

    Raises:
        ActFailedError: it could not be done.
    """
    return ACTS[step.act](step, stage) or stage.configuration


def _write(step: Step, stage: Stage) -> None:
    stage.machine.write(step.at, stage.kind(step.at), stage.seed)


def _snapshot(step: Step, stage: Stage) -> None:
    stage.machine.zfs("snapshot", f"{step.at}@{step.to}")


def _retake(step: Step, stage: Stage) -> None:
    dataset = step.at.partition("@")[0]
    stage.machine.zfs("destroy", step.at)
    stage.machine.write(dataset, stage.kind(dataset), stage.seed)
    stage.machine.zfs("snapshot", step.at)


def _drop(step: Step, stage: Stage) -> None:
    stage.machine.zfs("destroy", step.at)


def _rollback(step: Step, stage: Stage) -> None:
    stage.machine.zfs("rollback", "-r", step.at)


def _rename(step: Step, stage: Stage) -> Configuration:
    stage.machine.zfs("rename", step.at, step.to)
    old, new = step.at.rpartition("/")[2], step.to.rpartition("/")[2]
    configuration = stage.configuration
    for node in configuration.sources():
        for guest in configuration.of(node)[0]:
            if guest.listed and step.at.startswith(f"{HOMES[node]}/"):
                volumes = tuple(replace(each, name=new) if each.name == old else each for each in guest.volumes)
                configuration = configuration.with_guest(node, replace(guest, volumes=volumes))
    return configuration


def _exclude(step: Step, stage: Stage) -> Configuration:
    guest = stage.configuration.guest(step.node, int(step.id))
    if guest is None:
        raise ActFailedError(f"no guest {step.at}")
    return stage.configuration.with_guest(step.node, replace(guest, excluded=(step.to,)))


def _include(step: Step, stage: Stage) -> Configuration:
    guest = stage.configuration.guest(step.node, int(step.id))
    if guest is None:
        raise ActFailedError(f"no guest {step.at}")
    return stage.configuration.with_guest(step.node, replace(guest, excluded=()))


def _destroy(step: Step, stage: Stage) -> None:
    stage.machine.zfs("destroy", "-r", step.at)


def _create(step: Step, stage: Stage) -> None:
    create(stage.machine, step.at, VolumePlan("", step.at.rpartition("/")[2], step.to), stage.seed)


def _clone(step: Step, stage: Stage) -> None:
    stage.machine.zfs("clone", step.at, step.to)


def _child(step: Step, stage: Stage) -> None:
    if stage.kind(step.at) == "volume":
        raise ActFailedError("a volume has no children")
    stage.machine.zfs("create", f"{step.at}/child")
    stage.machine.write(f"{step.at}/child", "filesystem", stage.seed)


def _activate(step: Step, stage: Stage) -> None:
    kind = stage.kind(step.at)
    stage.machine.zfs("set", "readonly=off", step.at)
    if kind == "filesystem":
        stage.machine.zfs("set", "canmount=on", step.at)
        stage.machine.zfs("mount", step.at)
    stage.machine.write(step.at, kind, stage.seed, sync=True)


def settle(machine: Machine, dataset: str, kind: str) -> None:
    """Make a replica a replica again."""
    if kind == "filesystem":
        with suppress(ActFailedError):
            machine.zfs("unmount", dataset)
    machine.zfs("set", "readonly=on", dataset)


def _settle(step: Step, stage: Stage) -> None:
    settle(stage.machine, step.at, stage.kind(step.at))


def _scribble(step: Step, stage: Stage) -> None:
    try:
        _activate(step, stage)
    finally:
        settle(stage.machine, step.at, stage.kind(step.at))


def _edit(step: Step, stage: Stage) -> Configuration:
    key, _, value = step.to.partition("=")
    jobs = stage.configuration.of(step.node)[1]
    settings: Mapping[str, Any] = {key: value}
    changed = tuple(replace(job, **settings) if job.id == step.id else job for job in jobs)
    return stage.configuration.with_jobs(step.node, changed)


def _clock(step: Step, stage: Stage) -> None:
    stage.machine.shift_clock(step.number)


def _forget(step: Step, _: Stage) -> None:
    forget(step.at)


def _by_tool(step: Step, stage: Stage) -> None:
    """Replicate a guest as another tool does, so that its replicas can be adopted."""
    job = stage.configuration.job(step.node, step.id)
    if job is None:
        raise ActFailedError(f"no job {step.at}")
    name = TOOL_NAMES[step.to](step.node, job)
    for pair in pairs(stage.configuration, step.node, job, stage.world):
        stage.machine.zfs("snapshot", f"{pair.source.name}@{name}")
        raw = ["-w"] if pair.source.root != "-" and step.to != "syncoid" else []
        stage.machine.pipe([*raw, f"{pair.source.name}@{name}"], ["-u", "-F", pair.replica])
        if step.to == "zrepl":
            stage.machine.zfs(
                "bookmark", f"{pair.source.name}@{name}", f"{pair.source.name}#zrepl_CURSOR_G_{pair.source.guid}_J_push"
            )
        else:
            stage.machine.zfs("set", "readonly=on", pair.replica)


TOOL_NAMES: Mapping[str, Callable[[str, JobPlan], str]] = {
    "pvesr": lambda _, job: f"__replicate_{job.id}_1700000000__",
    "syncoid": lambda node, _: f"syncoid_{node}_2026-11-01:00:00:00-GMT00:00",
    "zrepl": lambda *_: "zrepl_20261101_000000_000",
}
"""How each tool names its snapshots."""

ACTS: Mapping[str, Callable[[Step, Stage], Configuration | None]] = {
    "write": _write,
    "snapshot": _snapshot,
    "retake": _retake,
    "drop": _drop,
    "rollback": _rollback,
    "rename": _rename,
    "exclude": _exclude,
    "include": _include,
    "destroy": _destroy,
    "create": _create,
    "clone": _clone,
    "child": _child,
    "activate": _activate,
    "settle": _settle,
    "scribble": _scribble,
    "edit": _edit,
    "clock": _clock,
    "forget": _forget,
    "by tool": _by_tool,
}
"""Each act by its name."""
