"""The laws that hold in every state and on every step, whatever happens (the guarantees of guests that move)."""

from __future__ import annotations

from tests.model.world import SETTLED, World


def broken_in(world: World) -> str | None:
    """Return the law that does not hold in a state; None if all hold."""
    for law, holds in (
        ("never two nodes run the guest at one epoch", _one_runs_at_an_epoch),
        ("a fence is never ahead of the store", _no_fence_ahead),
        ("no write is nowhere", _every_write_is_somewhere),
        ("a proven set stays until something newer is proven", _proven_stays),
        ("a planned move loses no write", _planned_moves_lose_nothing),
    ):
        if not holds(world):
            return law
    return None


def broken_by(before: World, step: str, after: World) -> str | None:
    """Return the law that a step breaks; None if all hold."""
    for law, holds in (
        ("no content changes under a running guest", _nothing_changes_under_a_guest),
        ("no order of an older epoch changes a guest of which newer content is there", _no_old_order),
        ("a replica does not change while its recovery may take effect", _a_recovery_is_let_alone),
        ("no guest is started on volumes that are read-only or of another owner", _starts_on_its_own),
        ("a guest is started on volumes of one set", _starts_on_one_set),
    ):
        if not holds(before, step, after):
            return law
    return None


def _one_runs_at_an_epoch(world: World) -> bool:
    epochs = [each.running for each in world.nodes if each.running]
    return len(epochs) == len(set(epochs))


def _no_fence_ahead(world: World) -> bool:
    return all(disk.epoch <= world.record.epoch for _, _, disk in world.each_disk())


def _every_write_is_somewhere(world: World) -> bool:
    for volume in range(len(world.disks[0])):
        there: set[str] = set()
        for disks in world.disks:
            disk = disks[volume]
            there.update(*disk.kept, *disk.snapshots, disk.content)
        if not world.written <= there:
            return False
    return True


def _nothing_changes_under_a_guest(before: World, step: str, after: World) -> bool:
    return step == "write" or all(
        disk.content == after.disks[node][volume].content
        for node, volume, disk in before.each_disk()
        if before.nodes[node].running and after.nodes[node].running
    )


def _no_old_order(before: World, step: str, after: World) -> bool:
    """A receive may end while the fence is being raised, but not onto a guest of which newer content is there."""
    if step != "receive ends":
        return True
    for node, volume, disk in before.each_disk():
        here = before.disks[node]
        newest = max(each.epoch if each.owner == node else each.forked for each in here)
        if disk.content != after.disks[node][volume].content and disk.receive and disk.receive.epoch < newest:
            return False
    return True


def _a_recovery_is_let_alone(before: World, step: str, after: World) -> bool:
    if step not in ("receive ends", "put aside"):
        return True
    return all(
        disk.content == after.disks[node][volume].content
        for node, volume, disk in before.each_disk()
        if _recovers(before, node)
    )


def _recovers(world: World, node: int) -> bool:
    task = world.nodes[node].task
    if task is not None and task.kind == "recover" and task.step in ("commit", "unknown"):
        return True
    if world.late is None or world.late[0] != world.record:
        return False
    expected, new = world.late
    return new.owner == node and expected.phase == SETTLED


def _proven_stays(world: World) -> bool:
    for node, proven in enumerate(world.proven):
        for volume, content in enumerate(proven or ()):
            disk = world.disks[node][volume]
            if content not in disk.snapshots and content not in disk.kept:
                return False
    return True


def _planned_moves_lose_nothing(world: World) -> bool:
    if world.recovered or world.record.phase != SETTLED:
        return True
    return all(world.written <= set(disk.content) for disk in world.disks[world.record.owner])


def _started(before: World, after: World) -> list[int]:
    nodes = zip(before.nodes, after.nodes, strict=True)
    return [node for node, (was, now) in enumerate(nodes) if now.running and not was.running]


def _starts_on_its_own(before: World, step: str, after: World) -> bool:
    return all(
        disk.writable and disk.owner == node and disk.epoch == after.nodes[node].running
        for node in _started(before, after)
        for disk in after.disks[node]
    )


def _starts_on_one_set(before: World, step: str, after: World) -> bool:
    return all(len({disk.content for disk in after.disks[node]}) == 1 for node in _started(before, after))
