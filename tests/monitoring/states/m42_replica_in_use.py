"""The replica was made writable, and the guest changes."""

from replicator.errors import ErrorClass
from tests.support.state_fleets import failing_state

STATE = failing_state(
    key="monitoring 42",
    title="the replica was made writable, and the guest changes",
    produced="zfs set readonly=off on the replica, and a write to the guest",
    error_class=ErrorClass.TARGET_ACTIVE,
    message="The replica on beta is writable.",
)
