"""Where the model begins, and what may happen in it; small worlds, each of which lets one kind of trouble happen."""

from __future__ import annotations

from tests.model.rules import Rule
from tests.model.world import Budget, Node, Record, World, beginning

RECOVERY = beginning(2, 1, Budget(writes=1, recoveries=1))
RECOVERY_KILLED = beginning(2, 1, Budget(writes=1, kills=1, recoveries=1))
RECOVERY_UNKNOWN = beginning(2, 1, Budget(writes=1, recoveries=1, unknown=1))
STAMPS_REMOVED = beginning(2, 1, Budget(writes=1, recoveries=1, inherits=1))
MOVE = beginning(2, 1, Budget(writes=1, moves=1))
MOVE_GIVEN_UP = beginning(2, 1, Budget(writes=1, kills=1, moves=1, unknown=1))
MOVE_IN_A_POWER_CUT = beginning(2, 1, Budget(writes=1, crashes=1, moves=1))
TWO_VOLUMES = beginning(2, 2, Budget(writes=1, recoveries=1, delays=1))


def two_pushers() -> World:
    """Return two nodes that send to a third one: the old owner, which has not read the record, and the new one."""
    world = beginning(3, 2, Budget())
    record = Record(1, 2)
    old, new = ("0.0",), ("fork 1 at 2",)
    for volume in range(2):
        world = world.with_disk(0, volume, content=old)
        world = world.with_disk(1, volume, owner=1, epoch=2, writable=True, content=new, snapshots=frozenset({(), new}))
    nodes = (Node(known=Record(0, 1)), Node(known=record, running=2), Node())
    return world._replace(record=record, nodes=nodes, written=frozenset({"0.0"}), recovered=True)


def spoilt(left: Budget, volumes: int = 1) -> World:
    """Return a guest of which the other node keeps two sets; the newer one, and a write after that, are spoilt."""
    world = beginning(2, volumes, left)
    sets, now = ("0.0",), ("0.0", "0.1")
    for volume in range(volumes):
        world = world.with_disk(0, volume, content=now, snapshots=frozenset({sets}))
        world = world.with_disk(1, volume, content=sets, snapshots=frozenset({(), sets}))
    owner = Node(known=world.record, running=1)
    return world._replace(
        nodes=(owner, Node(known=world.record)), written=frozenset(now), proven=(None, (sets,) * volumes), keep=2
    )


RETURN = spoilt(Budget(returns=1))
RETURN_KILLED = spoilt(Budget(kills=1, returns=1, delays=1))
RETURN_UNKNOWN = spoilt(Budget(returns=1, unknown=1))

SCENES: dict[str, World] = {
    "recovery": RECOVERY,
    "recovery, killed": RECOVERY_KILLED,
    "recovery, no answer of the store": RECOVERY_UNKNOWN,
    "recovery, stamps removed by hand": STAMPS_REMOVED,
    "move": MOVE,
    "move, killed and given up": MOVE_GIVEN_UP,
    "move, power cut": MOVE_IN_A_POWER_CUT,
    "recovery of two volumes": TWO_VOLUMES,
    "two nodes that send to a third": two_pushers(),
    "return to an older set, killed": RETURN_KILLED,
    "return to an older set, no answer of the store": RETURN_UNKNOWN,
    "return of two volumes to an older set": spoilt(Budget(returns=1, delays=1), volumes=2),
}

BIG: dict[str, World] = {
    "return to an older set, power cut, no answer": spoilt(Budget(writes=1, crashes=1, returns=1, unknown=1, delays=1)),
    "return of two volumes to an older set, killed": spoilt(Budget(kills=1, returns=1, delays=1), volumes=2),
    "move and recovery": beginning(2, 1, Budget(writes=2, kills=1, moves=1, recoveries=1)),
    "move and recovery, power cut, no answer": beginning(
        2, 1, Budget(writes=1, crashes=1, moves=1, recoveries=1, unknown=1)
    ),
    "three nodes": beginning(3, 1, Budget(writes=1, kills=1, recoveries=1)),
    "three nodes, two volumes, recovery": beginning(3, 2, Budget(writes=1, recoveries=1)),
}

_SHOWS = {
    Rule.RAISE_FIRST: two_pushers(),
    Rule.END_RECEIVES: two_pushers(),
    Rule.CLAIM: RETURN,
    Rule.OUTCOME: RETURN_UNKNOWN,
    Rule.COMPARE: TWO_VOLUMES,
    Rule.LOOK_AGAIN: RETURN,
    Rule.ASIDES_TOO: RETURN,
    Rule.TAKEN_FIRST: RETURN,
    Rule.FORK: STAMPS_REMOVED,
    Rule.GIVE_UP: MOVE_GIVEN_UP,
    Rule.STOP_FIRST: MOVE,
}


def shows(rule: Rule) -> World:
    """Return a world in which a law is broken without the rule."""
    return _SHOWS.get(rule, RECOVERY)
