"""The replica of a raw job has another key than its source, so that it would be sent readable."""

from replicator.errors import ErrorClass
from tests.support.state_fleets import failing_state

STATE = failing_state(
    key="monitoring 76",
    title="a raw replica was downgraded to readable",
    produced="zfs change-key -i on the replica; the run is refused before a byte is sent",
    error_class=ErrorClass.ENCRYPTION,
    message="Volume local-zfs:vm-100-disk-0 is encrypted and the job sends it raw, but its replica is not raw.",
)
