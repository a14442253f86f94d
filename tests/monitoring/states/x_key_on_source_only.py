"""The key of raw replicas exists on their source only."""

from tests.support.states import State

STATE = State(
    key="invented 29",
    title="a raw replica is whole, and the only key that opens it was on the source that died",
    produced="keylocation=file:///root/tank.key on the source, and no other copy of that file",
    outside="No program can know whether a person still has the key. Each quarter, on the target: zfs load-key -n "
    "DATASET with the key from where it is kept, and start a guest from a clone of its replica.",
)
