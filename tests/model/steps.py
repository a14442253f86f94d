"""The steps of the protocol: what each node, its processes and the person in front of it can do next.

One step is one transaction of the store, one ``zfs`` command or channel program on one dataset, or the beginning or the
end of a receive. Between any two, anything else may happen.
"""

from __future__ import annotations

from collections.abc import Callable

from tests.model.advance import Rules, Steps, ends, goes_on, next_volume, transact
from tests.model.pushing import begin_receive, end_older_receives, prove, put_aside, raise_fence, snapshot, tidy, wait
from tests.model.returning import chosen_here, clone, fork_of, look, promote, set_one_aside
from tests.model.rules import Rule
from tests.model.world import MOVING, SETTLED, TAKING, Content, Disk, Record, Task, World


def steps_of(world: World, rules: Rules) -> Steps:
    """Yield what zsr can do next on any node that is up: the name of the step, and the world after it."""
    for node, each in enumerate(world.nodes):
        if not each.up:
            continue
        if each.task is not None:
            yield from _TASKS[each.task.kind, each.task.step](world, node, each.task, rules)
            continue
        if each.known != world.record:
            yield "read the record", world.with_node(node, known=world.record)
        if each.known is not None:
            yield from _beginnings(world, node, each.known, rules)


def _beginnings(world: World, node: int, known: Record, rules: Rules) -> Steps:
    own = known.owner == node
    here = world.disks[node]
    if own and known.phase == SETTLED:
        if any(each.epoch < known.epoch for each in here):
            yield "stamp again", _begin(world, node, Task("reopen", "stamp", known))
        if not world.nodes[node].running and all(_stamped(each, known) for each in here):
            if all(each.writable for each in here):
                yield "start the guest", world.with_node(node, running=known.epoch)
            else:
                yield "writable again", _begin(world, node, Task("reopen", "writable", known))
        for target in range(len(world.nodes)):
            if target != node and any(
                a.content != b.content or b.absent for a, b in zip(here, world.disks[target], strict=True)
            ):
                yield "begin a run", _begin(world, node, Task("push", "snapshot", known, target))
    if own and known.phase == MOVING:
        yield "move again", _begin(world, node, Task("move", "stop", known, known.to))
        yield "give up", _begin(world, node, Task("give up", "settle" if Rule.GIVE_UP in rules else "start", known))
    if own and known.phase == TAKING:
        yield "take", _begin(world, node, Task("take", "stamp", known))
    if not own and _may_release(known, here, rules) and any(each.writable or each.owner == node for each in here):
        yield "release", _begin(world, node, Task("release", "ask", known))
    if not own and any(each.claim for each in here):
        yield "withdraw", _begin(world, node, Task("withdraw", "unknown", known))


def _may_release(known: Record, here: tuple[Disk, ...], rules: Rules) -> bool:
    """Return whether a guest has been taken; or was given over by a move, which has made the volumes read-only."""
    given = known.phase == TAKING and (Rule.TAKEN_FIRST not in rules or not any(each.writable for each in here))
    return known.phase == SETTLED or given


def orders(world: World) -> Steps:
    """Yield what a person may order: a move on the owner, a recovery on another node."""
    for node, each in enumerate(world.nodes):
        if not each.up or each.task is not None or each.known is None:
            continue
        known = each.known
        if (
            world.left.moves
            and known.owner == node
            and known.phase == SETTLED
            and all(_stamped(disk, known) for disk in world.disks[node])
        ):
            for target in range(len(world.nodes)):
                if target != node:
                    spent = world._replace(left=world.left._replace(moves=world.left.moves - 1))
                    yield "order a move", _begin(spent, node, Task("move", "announce", known, target))
        if world.left.recoveries and known.owner != node:
            spent = world._replace(left=world.left._replace(recoveries=world.left.recoveries - 1))
            yield "order a recovery", _begin(spent, node, Task("recover", "claim", known))
        if world.left.returns and known.owner != node:
            spent = world._replace(left=world.left._replace(returns=world.left.returns - 1))
            for older in _older_sets(world.disks[node]):
                yield "order a return", _begin(spent, node, Task("recover", "claim", known, sent=(older,)))


def _older_sets(disks: tuple[Disk, ...]) -> list[Content]:
    whole = frozenset.intersection(*(each.snapshots for each in disks))
    return sorted(whole, key=len)[:-1]


def _stamped(disk: Disk, record: Record) -> bool:
    return (disk.owner, disk.epoch) == (record.owner, record.epoch)


def _begin(world: World, node: int, task: Task) -> World:
    return world.with_node(node, task=task)


# --- a move


def _announce(world: World, node: int, task: Task, rules: Rules) -> Steps:
    yield from transact(world, node, task, task.expects._replace(phase=MOVING, to=task.target), "stop")


def _stop(world: World, node: int, task: Task, rules: Rules) -> Steps:
    if Rule.STOP_FIRST in rules:
        yield "stop the guest", goes_on(world.with_node(node, running=0), node, task, "read-only")
    else:
        yield "let it run", goes_on(world, node, task, "snapshot")


def _read_only(world: World, node: int, task: Task, rules: Rules) -> Steps:
    read_only = world.with_disk(node, task.volume, writable=False)
    if task.volume + 1 == len(world.disks[node]):
        read_only = read_only.with_node(node, running=0)
    then = "snapshot" if Rule.STOP_FIRST in rules else "hand over"
    yield "read-only", next_volume(read_only, node, task, "read-only", then)


def _hand_over(world: World, node: int, task: Task, rules: Rules) -> Steps:
    new = Record(task.target, task.expects.epoch + 1, TAKING, task.target)
    yield from transact(world, node, task, new, "done")


def _give_up(world: World, node: int, task: Task, rules: Rules) -> Steps:
    yield from transact(world, node, task, Record(node, task.expects.epoch), "done")


def _start_at_once(world: World, node: int, task: Task, rules: Rules) -> Steps:
    after = world
    for volume in range(len(world.disks[node])):
        after = after.with_disk(node, volume, writable=True)
    yield "start the guest", ends(after.with_node(node, running=task.expects.epoch), node)


# --- a recovery


def _claim(world: World, node: int, task: Task, rules: Rules) -> Steps:
    epoch = task.expects.epoch + 1
    if Rule.COMMIT_FIRST not in rules:
        early = world.with_disk(node, task.volume, owner=node, epoch=epoch)
        yield "stamp", next_volume(early, node, task, "claim", "commit")
        return
    claimed = world.with_disk(node, task.volume, claim=epoch if Rule.CLAIM in rules else 0)
    yield "claim", next_volume(claimed, node, task, "claim", "end receives")


def _commit(world: World, node: int, task: Task, rules: Rules) -> Steps:
    new = Record(node, task.expects.epoch + 1, TAKING, node)
    for label, after in transact(world, node, task, new, "done"):
        yield label, after._replace(recovered=True)


def _take_back(world: World, node: int, task: Task, rules: Rules) -> Steps:
    back = world.with_disk(node, task.volume, claim=0).with_node(node, chosen=None)
    yield "take the claim back", next_volume(back, node, task, task.step, "done")


def _outcome(world: World, node: int, task: Task, rules: Rules) -> Steps:
    """Learn what became of a transaction: if the record has not changed, change it, so that the transaction cannot.

    Its number alone changes. What the transaction would have done follows only from the record that is read then.
    """
    then = "refused" if task.kind in ("recover", "withdraw") else "done"
    if world.record != task.expects:
        yield "read the outcome", goes_on(world.with_node(node, known=world.record), node, task, "done")
    elif Rule.OUTCOME not in rules:
        yield "take it for refused", goes_on(world, node, task, then)
    else:
        record = world.record._replace(revision=world.record.revision + 1)
        after = world._replace(record=record).with_node(node, known=record)
        yield "outrun it", goes_on(after, node, task, then)


# --- taking a guest


def _end_receives(world: World, node: int, task: Task, rules: Rules) -> Steps:
    after = world
    if Rule.END_RECEIVES in rules:
        for volume in range(len(world.disks[node])):
            after = after.with_disk(node, volume, receive=None)
    yield "end receives", goes_on(after, node, task, "choose" if task.kind == "take" else "look")


def _choose(world: World, node: int, task: Task, rules: Rules) -> Steps:
    """Go back to the newest set that is whole here, unless the volumes were forked already."""
    disks = world.disks[node]
    fork = fork_of(task.expects)
    if chosen_here(world, node, task) is not None:
        yield "choose", goes_on(world, node, task, "set aside")
        return
    if any(_is_forked(disk, fork) for disk in disks):
        yield "choose", goes_on(world, node, task, "writable")
        return
    whole = frozenset.intersection(*(disk.snapshots for disk in disks))
    after = world
    for volume in range(len(disks)):
        after = put_aside(after, node, volume, whole)
    yield "choose", goes_on(after, node, task._replace(sent=(max(whole, key=len),)), "writable")


def _stamp(world: World, node: int, task: Task, rules: Rules) -> Steps:
    stamped = world.with_disk(node, task.volume, owner=node, epoch=task.expects.epoch, claim=0)
    yield "stamp", next_volume(stamped, node, task, "stamp", "end receives" if task.kind == "take" else "done")


def _write(world: World, node: int, task: Task, rules: Rules) -> Steps:
    """Write a little, so that no receive fits any more."""
    disk, fork = world.disks[node][task.volume], fork_of(task.expects)
    after = world
    if Rule.FORK in rules and fork not in disk.content:
        after = world.with_disk(node, task.volume, content=(*disk.content, fork))
    yield "write a little", next_volume(after, node, task, "write", "compare")


def _compare(world: World, node: int, task: Task, rules: Rules) -> Steps:
    """See whether a receive that was late came before the write; then what it brought is put aside like the rest.

    Where no older set was chosen, a person says so.
    """
    chosen, fork = chosen_here(world, node, task), fork_of(task.expects)
    contents = {disk.content for disk in world.disks[node]}
    same = len(contents) == 1 if chosen is None else contents <= {chosen, (*chosen, fork)}
    if Rule.COMPARE in rules and not same and not any(_is_forked(each, fork) for each in world.disks[node]):
        yield "compare (they differ)", goes_on(world, node, task, "choose")
    else:
        yield "compare", goes_on(world, node, task, "fork")


def _is_forked(disk: Disk, fork: str) -> bool:
    return any(fork in each for each in disk.snapshots)


def _fork(world: World, node: int, task: Task, rules: Rules) -> Steps:
    disk = world.disks[node][task.volume]
    after = world
    if Rule.FORK in rules and not _is_forked(disk, fork_of(task.expects)):
        after = world.with_disk(node, task.volume, snapshots=disk.snapshots | {disk.content})
    yield "fork", next_volume(after, node, task, "fork", "settle")


def _writable(world: World, node: int, task: Task, rules: Rules) -> Steps:
    then = "write" if task.kind == "take" else "done"
    yield "writable", next_volume(world.with_disk(node, task.volume, writable=True), node, task, "writable", then)


def _settle(world: World, node: int, task: Task, rules: Rules) -> Steps:
    yield from transact(world, node, task, Record(node, task.expects.epoch), "done")


# --- the node that is no owner any more


def _ask(world: World, node: int, task: Task, rules: Rules) -> Steps:
    if world.nodes[node].running and Rule.NOT_IN_USE in rules:
        stopped = world.with_node(node, running=0)
        yield "the guest is stopped by its person", ends(stopped, node)
    else:
        yield "not in use", goes_on(world, node, task, "read-only")


def _release_read_only(world: World, node: int, task: Task, rules: Rules) -> Steps:
    yield (
        "read-only",
        next_volume(world.with_disk(node, task.volume, writable=False), node, task, "read-only", "keep newer"),
    )


def _keep_newer(world: World, node: int, task: Task, rules: Rules) -> Steps:
    owner = task.expects.owner
    if not world.nodes[owner].up:
        return
    common = world.disks[owner][task.volume].snapshots
    after = put_aside(world, node, task.volume, common)
    if Rule.KEEP_NEWER not in rules:
        after = after.with_disk(node, task.volume, kept=world.disks[node][task.volume].kept)
    yield "keep what is newer", next_volume(after, node, task, "keep newer", "stamp")


def _release_stamp(world: World, node: int, task: Task, rules: Rules) -> Steps:
    record = task.expects
    disk = world.disks[node][task.volume]
    if disk.epoch > record.epoch:
        yield "read the record first", ends(world, node)
        return
    stamped = world.with_disk(node, task.volume, owner=record.owner, epoch=record.epoch, claim=0)
    yield "stamp", next_volume(stamped, node, task, "stamp", "done")


def _done(world: World, node: int, task: Task, rules: Rules) -> Steps:
    yield "done", ends(world, node)


_Step = Callable[[World, int, Task, Rules], Steps]
_TASKS: dict[tuple[str, str], _Step] = {
    ("push", "snapshot"): snapshot,
    ("push", "fence"): raise_fence,
    ("push", "end receives"): end_older_receives,
    ("push", "begin"): begin_receive,
    ("push", "wait"): wait,
    ("push", "prove"): prove,
    ("push", "tidy"): tidy,
    ("move", "announce"): _announce,
    ("move", "stop"): _stop,
    ("move", "snapshot"): snapshot,
    ("move", "fence"): raise_fence,
    ("move", "end receives"): end_older_receives,
    ("move", "begin"): begin_receive,
    ("move", "wait"): wait,
    ("move", "prove"): prove,
    ("move", "read-only"): _read_only,
    ("move", "hand over"): _hand_over,
    ("move", "refused"): _done,
    ("move", "unknown"): _outcome,
    ("move", "done"): _done,
    ("give up", "settle"): _give_up,
    ("give up", "start"): _start_at_once,
    ("give up", "refused"): _done,
    ("give up", "unknown"): _outcome,
    ("give up", "done"): _done,
    ("recover", "claim"): _claim,
    ("recover", "end receives"): _end_receives,
    ("recover", "look"): look,
    ("recover", "commit"): _commit,
    ("recover", "refused"): _take_back,
    ("recover", "unknown"): _outcome,
    ("recover", "done"): _done,
    ("reopen", "stamp"): _stamp,
    ("reopen", "writable"): _writable,
    ("reopen", "done"): _done,
    ("withdraw", "unknown"): _outcome,
    ("withdraw", "refused"): _take_back,
    ("withdraw", "done"): _done,
    ("take", "end receives"): _end_receives,
    ("take", "choose"): _choose,
    ("take", "stamp"): _stamp,
    ("take", "set aside"): set_one_aside,
    ("take", "clone"): clone,
    ("take", "promote"): promote,
    ("take", "writable"): _writable,
    ("take", "write"): _write,
    ("take", "compare"): _compare,
    ("take", "fork"): _fork,
    ("take", "settle"): _settle,
    ("take", "refused"): _done,
    ("take", "unknown"): _outcome,
    ("take", "done"): _done,
    ("release", "ask"): _ask,
    ("release", "read-only"): _release_read_only,
    ("release", "keep newer"): _keep_newer,
    ("release", "stamp"): _release_stamp,
    ("release", "done"): _done,
}
STEP_NAMES = frozenset(_TASKS) - {("give up", "start")}
"""Task and step of all that a process of zsr does in the protocol; one is only taken without its rule."""
