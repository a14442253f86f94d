"""Walk through all states that the model can reach, and check the protocol's laws in each of them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from tests.model import chance, laws, steps
from tests.model.rules import Rule
from tests.model.world import SETTLED, World


@dataclass(frozen=True, slots=True)
class Violation:
    """A law that does not hold, and the steps that lead there."""

    law: str
    path: tuple[str, ...]

    def __str__(self) -> str:
        return "\n".join([self.law, *(f"  {number:2} {step}" for number, step in enumerate(self.path, 1))])


@dataclass(frozen=True, slots=True)
class Explored:
    """How many states were reached, the steps of tasks that were reached, and the first law that was broken."""

    states: int
    tasks: frozenset[tuple[str, str]]
    violation: Violation | None


def explore(begin: World, rules: frozenset[Rule], most: int = 2_000_000) -> Explored:
    """Reach every state; end at the first that breaks a law, or from which zsr cannot end well by itself."""
    came: dict[World, tuple[World, str] | None] = {begin: None}
    back: dict[World, list[World]] = {}
    tasks: set[tuple[str, str]] = set()
    waiting = deque([begin])
    while waiting:
        world = waiting.popleft()
        tasks.update((each.task.kind, each.task.step) for each in world.nodes if each.task is not None)
        for label, after, by_itself in _edges(world, rules):
            broken = laws.broken_by(world, label, after) or (None if after in came else laws.broken_in(after))
            if broken:
                return Explored(len(came), frozenset(tasks), Violation(broken, (*_path(came, world), label)))
            if by_itself:
                back.setdefault(after, []).append(world)
            if after not in came:
                came[after] = (world, label)
                waiting.append(after)
        assert len(came) <= most, f"more than {most} states"
    stuck = _stuck(came, back)
    found = None if stuck is None else Violation("zsr ends well by itself from every state", _path(came, stuck))
    return Explored(len(came), frozenset(tasks), found)


def _edges(world: World, rules: frozenset[Rule]) -> Iterator[tuple[str, World, bool]]:
    for label, after in steps.steps_of(world, rules):
        yield label, after, True
    for label, after in chance.goes_on(world):
        yield label, after, True
    for label, after in steps.orders(world):
        yield label, after, False
    for label, after in chance.happens(world):
        yield label, after, False


def _path(came: dict[World, tuple[World, str] | None], world: World) -> tuple[str, ...]:
    path: list[str] = []
    step = came[world]
    while step is not None:
        path.append(step[1])
        step = came[step[0]]
    return tuple(reversed(path))


def _stuck(came: dict[World, tuple[World, str] | None], back: dict[World, list[World]]) -> World | None:
    """Return a state from which no steps of zsr alone lead to a guest that runs, with equal replicas."""
    good = deque(each for each in came if ends_well(each))
    reached = set(good)
    while good:
        for before in back.get(good.popleft(), ()):
            if before not in reached:
                reached.add(before)
                good.append(before)
    return next((each for each in came if each not in reached), None)


def ends_well(world: World) -> bool:
    """Return whether the owner runs the guest, and every other node holds a replica of it."""
    record = world.record
    return (
        record.phase == SETTLED
        and world.nodes[record.owner].running == record.epoch
        and all(
            disk.content == world.disks[record.owner][volume].content
            and not (disk.writable or disk.claim or disk.absent)
            for node, volume, disk in world.each_disk()
            if node != record.owner
        )
    )
