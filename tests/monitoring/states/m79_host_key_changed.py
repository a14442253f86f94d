"""The target's host key changed."""

from replicator.errors import ErrorClass
from tests.support.state_fleets import failing_state

STATE = failing_state(
    key="monitoring 79",
    title="the target's host key changed",
    produced="ssh-keygen -A on a reinstalled beta",
    error_class=ErrorClass.AUTH,
    message="The host key of beta is not the known one.",
)
