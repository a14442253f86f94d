"""A push: the sending of a set to a target, by a run or as the last one of a move."""

from __future__ import annotations

from tests.model.advance import Rules, Steps, ends, goes_on, next_volume
from tests.model.rules import Rule
from tests.model.world import Content, Disk, Receive, Task, World


def _refuses(disk: Disk, epoch: int, sender: int, rules: Rules) -> bool:
    if disk.absent and Rule.ASIDES_TOO not in rules:
        return False
    if disk.claim and Rule.CLAIM in rules:
        return True
    return disk.fence > epoch or (disk.epoch == epoch and disk.owner != sender)


def _fenced(world: World, node: int, task: Task, rules: Rules) -> bool:
    there = world.disks[task.target]
    return any(_refuses(each, task.expects.epoch, node, rules) for each in there)


def _has_no_base(ours: Disk, there: Disk) -> bool:
    """Return whether both sides have the volume without a common snapshot: a conflict, found before any change."""
    return not there.absent and not ours.snapshots & there.snapshots


def snapshot(world: World, node: int, task: Task, rules: Rules) -> Steps:
    sent = tuple(each.content for each in world.disks[node])
    after = world
    for volume, each in enumerate(world.disks[node]):
        after = after.with_disk(node, volume, snapshots=each.snapshots | {each.content})
    yield "snapshot", goes_on(after, node, task._replace(sent=sent), "fence" if Rule.RAISE_FIRST in rules else "begin")


def raise_fence(world: World, node: int, task: Task, rules: Rules) -> Steps:
    """Stamp the target's volumes before anything is sent, so that no older order comes in between."""
    if not world.nodes[task.target].up:
        return
    if _fenced(world, node, task, rules):
        yield "refused", ends(world, node)
        return
    if any(map(_has_no_base, world.disks[node], world.disks[task.target])):
        yield "conflict", ends(world, node)
        return
    stamped = world.with_disk(task.target, task.volume, owner=node, epoch=task.expects.epoch)
    yield "raise the fence", next_volume(stamped, node, task, "fence", "end receives")


def end_older_receives(world: World, node: int, task: Task, rules: Rules) -> Steps:
    if not world.nodes[task.target].up:
        return
    after = world
    for volume, disk in enumerate(world.disks[task.target]):
        older = disk.receive is not None and disk.receive.epoch < task.expects.epoch
        if older and Rule.END_RECEIVES in rules:
            after = after.with_disk(task.target, volume, receive=None)
    yield "end older receives", goes_on(after, node, task, "begin")


def begin_receive(world: World, node: int, task: Task, rules: Rules) -> Steps:
    there = world.disks[task.target][task.volume]
    content = task.sent[task.volume]
    if not world.nodes[task.target].up:
        return
    if _fenced(world, node, task, rules):
        yield "refused", ends(world, node)
        if world.left.delays and not there.absent and there.content in world.disks[node][task.volume].snapshots:
            delayed = world._replace(left=world.left._replace(delays=world.left.delays - 1))
            receive = Receive(task.expects.epoch, there.content, content)
            yield "receive begins late", _receives(delayed, node, task, receive)
        return
    if there.absent:
        yield "receive of all begins", _receives(world, node, task, Receive(task.expects.epoch, None, content))
        return
    if there.content == content:
        yield "nothing to send", _after_receive(world, node, task)
        return
    mine = world.disks[node][task.volume].snapshots
    if there.content not in mine:
        if there.writable or world.nodes[task.target].running:
            yield "in use", ends(world, node)
        elif _has_no_base(world.disks[node][task.volume], there):
            yield "conflict", ends(world, node)
        else:
            yield "put aside", put_aside(world, task.target, task.volume, mine)
        return
    if there.writable:
        yield "in use", ends(world, node)
        return
    yield "receive begins", _receives(world, node, task, Receive(task.expects.epoch, there.content, content))


def _receives(world: World, node: int, task: Task, receive: Receive) -> World:
    return goes_on(world.with_disk(task.target, task.volume, receive=receive), node, task, "wait", task.volume)


def put_aside(world: World, node: int, volume: int, common: frozenset[Content]) -> World:
    """Return the world with what a volume has beyond its newest common snapshot kept aside; without one, with all."""
    disk = world.disks[node][volume]
    shared = sorted((each for each in disk.snapshots & common), key=len)
    if not shared:
        return set_aside(world, node, volume)
    base = shared[-1]
    newer = {each for each in (*disk.snapshots, disk.content) if base[: len(each)] != each}
    return world.with_disk(
        node, volume, content=base, snapshots=disk.snapshots - newer, kept=disk.kept | newer, receive=None
    )


def set_aside(world: World, node: int, volume: int) -> World:
    """Return the world with a volume renamed, so that nothing has its name."""
    disk = world.disks[node][volume]
    return world.with_disk(
        node, volume, content=(), snapshots=frozenset(), kept=disk.kept | disk.snapshots | {disk.content},
        writable=False, receive=None, absent=True,
    )  # fmt: skip


def _after_receive(world: World, node: int, task: Task) -> World:
    return next_volume(world, node, task, "begin", "prove")


def wait(world: World, node: int, task: Task, rules: Rules) -> Steps:
    there = world.disks[task.target][task.volume]
    if there.receive is not None:
        return
    if task.sent[task.volume] in there.snapshots:
        yield "received", _after_receive(world, node, task)
    else:
        yield "cut off", ends(world, node)


def prove(world: World, node: int, task: Task, rules: Rules) -> Steps:
    if not world.nodes[task.target].up:
        return
    there = world.disks[task.target]
    whole = all(content in disk.snapshots for content, disk in zip(task.sent, there, strict=True))
    if not whole or _fenced(world, node, task, rules):
        yield "not proven", ends(world, node)
        return
    proven = tuple(task.sent if index == task.target else each for index, each in enumerate(world.proven))
    after = world._replace(proven=proven)
    for volume in range(len(there)):
        after = after.with_disk(task.target, volume, owner=node, epoch=task.expects.epoch)
    then = _after_proof(world, task, rules)
    yield "prove", ends(after, node) if then is None else goes_on(after, node, task, then)


def _after_proof(world: World, task: Task, rules: Rules) -> str | None:
    if task.kind == "move":
        return "hand over" if Rule.STOP_FIRST in rules else "read-only"
    return "tidy" if world.keep else None


def tidy(world: World, node: int, task: Task, rules: Rules) -> Steps:
    """Destroy the older sets of a volume on both sides; one program compares the stamps and destroys."""
    if not world.nodes[task.target].up:
        return
    if _fenced(world, node, task, rules):
        yield "refused", ends(world, node)
        return
    after = world
    for where, keep in ((task.target, world.keep), (node, 1)):
        held = world.disks[where][task.volume].snapshots
        after = after.with_disk(where, task.volume, snapshots=_newest(held, keep))
    if task.volume + 1 < len(world.disks[node]):
        yield "tidy", goes_on(after, node, task, "tidy", task.volume + 1)
    else:
        yield "tidy", ends(after, node)


def _newest(snapshots: frozenset[Content], keep: int) -> frozenset[Content]:
    sets = sorted((each for each in snapshots if not each or not each[-1].startswith("fork")), key=len)
    return snapshots - frozenset(sets[:-keep])
