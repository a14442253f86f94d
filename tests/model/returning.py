"""The return to an older set, which a person chose: what is newer is set aside whole, and a clone gets its name."""

from __future__ import annotations

from tests.model.advance import Rules, Steps, goes_on, next_volume
from tests.model.pushing import set_aside
from tests.model.rules import Rule
from tests.model.world import Content, Disk, Record, Task, World


def fork_of(record: Record) -> str:
    """Return the write that only this owner makes at this epoch."""
    return f"fork {record.owner} at {record.epoch}"


def chosen_here(world: World, node: int, task: Task) -> Content | None:
    """Return the older set with which the guest goes on, at the epoch of a task; None: the newest."""
    chosen = world.nodes[node].chosen
    return chosen[1] if chosen is not None and chosen[0] == task.expects.epoch else None


def look(world: World, node: int, task: Task, rules: Rules) -> Steps:
    """See that what a person saw is there still, and remember the choice on this node's disk."""
    if not task.sent:
        yield "look", goes_on(world, node, task, "commit")
    elif Rule.LOOK_AGAIN in rules and any(task.sent[0] not in each.snapshots for each in world.disks[node]):
        yield "look (it is gone)", goes_on(world, node, task, "refused")
    else:
        yield (
            "look",
            goes_on(world.with_node(node, chosen=(task.expects.epoch + 1, task.sent[0])), node, task, "commit"),
        )


def set_one_aside(world: World, node: int, task: Task, rules: Rules) -> Steps:
    """Rename a volume that has anything newer; one that was set aside, cloned or forked before goes on from there."""
    disk, chosen = world.disks[node][task.volume], chosen_here(world, node, task)
    assert chosen is not None
    fork = fork_of(task.expects)
    if any(fork in each for each in disk.snapshots) or _is_as_of(disk, chosen, fork):
        yield "as it was chosen", next_volume(world, node, task, "set aside", "writable")
    elif disk.absent:
        yield "set aside before", goes_on(world, node, task, "clone", task.volume)
    elif _is_clone(disk, chosen):
        yield "cloned before", goes_on(world, node, task, "promote", task.volume)
    elif chosen in disk.snapshots:
        yield "set aside", goes_on(set_aside(world, node, task.volume), node, task, "clone", task.volume)


def clone(world: World, node: int, task: Task, rules: Rules) -> Steps:
    """Give a clone of the chosen set the volume's name; it has no snapshot of its own yet."""
    disk, chosen = world.disks[node][task.volume], chosen_here(world, node, task)
    assert chosen is not None
    if disk.absent and chosen in disk.kept:
        cloned = world.with_disk(node, task.volume, content=chosen, absent=False)
        yield "clone", goes_on(cloned, node, task, "promote", task.volume)


def promote(world: World, node: int, task: Task, rules: Rules) -> Steps:
    """Give the clone the snapshots up to the chosen set."""
    disk, chosen = world.disks[node][task.volume], chosen_here(world, node, task)
    assert chosen is not None
    moved = frozenset(each for each in disk.kept if each == chosen[: len(each)])
    promoted = world.with_disk(node, task.volume, snapshots=disk.snapshots | moved, kept=disk.kept - moved)
    yield "promote", next_volume(promoted, node, task, "set aside", "writable")


def _is_as_of(disk: Disk, chosen: Content, fork: str) -> bool:
    """Return whether a volume has the chosen set, and nothing newer but the write that no receive passes."""
    newer = any(each != chosen[: len(each)] for each in disk.snapshots)
    return disk.content in (chosen, (*chosen, fork)) and chosen in disk.snapshots and not newer


def _is_clone(disk: Disk, chosen: Content) -> bool:
    return not disk.absent and disk.content == chosen and chosen in disk.kept and not disk.snapshots
