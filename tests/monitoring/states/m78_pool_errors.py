"""A pool has errors, or a device of it is gone."""

from tests.support.states import State

STATE = State(
    key="monitoring 78",
    title="a pool has errors, or one of its devices is gone",
    produced="zpool offline of a device",
    outside="Let zfs_exporter, node_exporter or ZED watch the pools; zsr checks none of their devices.",
)
