"""The rules of the protocol, each of which the model can do without, to see what happens then.

Three rules are built in, since no law of this model needs them. A guest is started only after the record was read since
the boot: a node that cannot reach the store may know an old one all the same. The node that takes a guest holds its
lock: claims on all volumes do the same. An order compares the stamps of all volumes: the new owner has stamped all.
"""

from __future__ import annotations

from enum import Enum


class Rule(Enum):
    """One rule; its value says it."""

    RAISE_FIRST = "an owner stamps all volumes of the guest on a target before it sends the first byte there"
    END_RECEIVES = "who takes a guest first ends the receives of older epochs"
    COMMIT_FIRST = "an epoch is written on a volume only after it was committed in the store"
    CLAIM = "a recovery claims the replica before it commits, and nothing is received there meanwhile"
    OUTCOME = "a claim stays while its transaction may still take effect"
    FORK = "a volume gets a write and a snapshot of its own before it becomes writable"
    COMPARE = "when no receive fits any more, the volumes are compared once more, before the guest can start on them"
    GIVE_UP = "giving up a move is a transaction, before the guest is started"
    NOT_IN_USE = "a node makes its volumes replicas only while nothing has them open"
    TAKEN_FIRST = "a node makes its volumes replicas only when the guest's new node has taken it"
    KEEP_NEWER = "a node that makes its volumes replicas keeps aside what is newer"
    LOOK_AGAIN = "a recovery looks at the replicas once more when they are claimed, before it commits"
    ASIDES_TOO = "an order compares the stamps of what was set aside too, while nothing has its name"
    STOP_FIRST = "a move stops the guest and makes its volumes read-only before it takes the last set"


ALL = frozenset(Rule)
