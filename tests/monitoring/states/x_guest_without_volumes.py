"""A job replicates a guest whose number was mistyped, so that it has no volumes."""

from replicator.errors import ErrorClass
from tests.support.state_fleets import failing_state

STATE = failing_state(
    key="invented 9",
    title="the guest of a job has no volumes, since its number or storage was mistyped",
    produced="[guests.1000] for guest 100, and zsr create-local-job 1000-0 beta",
    error_class=ErrorClass.CONFIG,
    message="Guest 100 (web) has no volumes on node alpha.",
)
