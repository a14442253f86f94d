"""How a task goes on: to its next step or volume, or through a transaction of the store."""

from __future__ import annotations

from collections.abc import Iterator

from tests.model.rules import Rule
from tests.model.world import Record, Task, World

Rules = frozenset[Rule]
Steps = Iterator[tuple[str, World]]


def goes_on(world: World, node: int, task: Task, step: str, volume: int = 0) -> World:
    return world.with_node(node, task=task._replace(step=step, volume=volume))


def next_volume(world: World, node: int, task: Task, step: str, then: str) -> World:
    """Return the task at its next volume, or, after the last, at its next step."""
    if task.volume + 1 < len(world.disks[node]):
        return goes_on(world, node, task, step, task.volume + 1)
    return goes_on(world, node, task, then)


def ends(world: World, node: int) -> World:
    return world.with_node(node, task=None)


def transact(world: World, node: int, task: Task, new: Record, then: str) -> Steps:
    """Yield the outcomes of a compare-and-swap from what the task expects: done, refused, or unknown."""
    new = new._replace(revision=task.expects.revision + 1)
    if world.record == task.expects:
        done = world._replace(record=new).with_node(
            node, known=new, task=task._replace(expects=new, step=then, volume=0)
        )
        yield "commit", done
    else:
        yield "commit (refused)", goes_on(world, node, task, "refused")
    if world.left.unknown and world.late is None:
        lost = world._replace(late=(task.expects, new), left=world.left._replace(unknown=world.left.unknown - 1))
        yield "commit (no answer)", goes_on(lost, node, task, "unknown")
