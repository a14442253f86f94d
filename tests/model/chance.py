"""What happens by itself, or against anybody's will: writes, ends of receives, kills, power cuts, lost answers."""

from __future__ import annotations

from collections.abc import Iterator

from tests.model.world import NOBODY, Disk, World

Steps = Iterator[tuple[str, World]]


def goes_on(world: World) -> Steps:
    """Yield what ends by itself sooner or later: receives, transactions under way, a node's boot."""
    for node, volume, disk in world.each_disk():
        if disk.receive is not None and world.nodes[node].up:
            yield "receive ends", world.with_disk(node, volume, **_received(disk))
            if not any(each.task is not None and each.task.target == node for each in world.nodes):
                yield "receive is cut", world.with_disk(node, volume, receive=None)
    if world.late is not None:
        expected, new = world.late
        if world.record == expected:
            yield "late commit", world._replace(record=new, late=None)
        yield "lost commit", world._replace(late=None)
    for node, each in enumerate(world.nodes):
        if not each.up:
            yield "boot", world.with_node(node, up=True)


def _received(disk: Disk) -> dict[str, object]:
    """Return what a receive does when its last byte came: nothing, if the volume is not what it began with.

    ZFS receives onto a volume that is writable, as long as nothing was written since the base.
    """
    receive = disk.receive
    assert receive is not None
    if (None if disk.absent else disk.content) != receive.base:
        return {"receive": None}
    return {
        "receive": None,
        "absent": False,
        "content": receive.content,
        "snapshots": disk.snapshots | {receive.content},
    }


def happens(world: World) -> Steps:
    """Yield what may happen as long as the budget lasts."""
    left = world.left
    for node, each in enumerate(world.nodes):
        if left.writes and each.up and each.running and all(disk.writable for disk in world.disks[node]):
            yield "write", _written(world, node)
        if left.kills and each.task is not None:
            yield "kill", world._replace(left=left._replace(kills=left.kills - 1)).with_node(node, task=None)
        if left.crashes and each.up:
            yield "power cut", _cut(world, node)
    if left.inherits:
        spent = world._replace(left=left._replace(inherits=left.inherits - 1))
        for node, volume, disk in world.each_disk():
            if disk.owner >= 0:
                yield "zfs inherit", spent.with_disk(node, volume, owner=NOBODY, epoch=0)


def _written(world: World, node: int) -> World:
    token = f"{node}.{len(world.written)}"
    after = world._replace(left=world.left._replace(writes=world.left.writes - 1), written=world.written | {token})
    for volume, disk in enumerate(world.disks[node]):
        after = after.with_disk(node, volume, content=(*disk.content, token))
    return after


def _cut(world: World, node: int) -> World:
    after = world._replace(left=world.left._replace(crashes=world.left.crashes - 1))
    after = after.with_node(node, up=False, running=0, task=None, known=None)
    for volume in range(len(world.disks[node])):
        after = after.with_disk(node, volume, receive=None)
    return after
