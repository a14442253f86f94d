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
    if before.disks is not after.disks:
        if not _nothing_changes_under_a_guest(before, step, after):
            return "no content changes under a running guest"
        if not _no_old_order(before, step, after):
            return "no order of an older epoch changes a guest of which newer content is there"
    for node in _started(before, after):
        for law, holds in (
            ("no guest is started on volumes that are read-only or of another owner", _starts_on_its_own),
            ("a guest is started on volumes of one set", _starts_on_one_set),
            ("a guest goes on from the older set that was chosen", _starts_as_chosen),
        ):
            if not holds(after, node):
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
        newest = max(each.forked for each in here)
        if disk.content != after.disks[node][volume].content and disk.receive and disk.receive.epoch < newest:
            return False
    return True


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
    if before.nodes is after.nodes:
        return []
    return [node for node, now in enumerate(after.nodes) if now.running and not before.nodes[node].running]


def _starts_on_its_own(world: World, node: int) -> bool:
    epoch = world.nodes[node].running
    return all(disk.writable and disk.owner == node and disk.epoch == epoch for disk in world.disks[node])


def _starts_on_one_set(world: World, node: int) -> bool:
    return len({disk.content for disk in world.disks[node]}) == 1


def _starts_as_chosen(world: World, node: int) -> bool:
    chosen, epoch = world.nodes[node].chosen, world.nodes[node].running
    if chosen is None or chosen[0] != epoch:
        return True
    found = [disk.content for disk in world.disks[node]]
    written = [tuple(each for each in content if not each.startswith(f"{node}.")) for content in found]
    return all(each == (*chosen[1], f"fork {node} at {epoch}") for each in written)
