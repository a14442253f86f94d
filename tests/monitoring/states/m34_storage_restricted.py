"""The storage is not allowed on the target."""

from replicator.errors import ErrorClass
from tests.support.state_fleets import failing_state

STATE = failing_state(
    key="monitoring 34",
    title="the storage is not allowed on the target",
    produced="nodes of the storage without beta",
    error_class=ErrorClass.STORAGE_RESTRICTED,
    message="Storage local-zfs is not on beta.",
)
