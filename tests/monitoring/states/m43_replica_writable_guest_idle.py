"""The replica was made writable, and nothing is written to the guest."""

from replicator.errors import ErrorClass
from tests.support.state_fleets import failing_state

STATE = failing_state(
    key="monitoring 43",
    title="the replica was made writable, and the guest is idle",
    produced="zfs set readonly=off on the replica; a run looks at it also when nothing was written to the guest",
    error_class=ErrorClass.TARGET_ACTIVE,
    message="The replica on beta is writable.",
)
