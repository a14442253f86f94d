"""All volumes of a guest are gone."""

from replicator.errors import ErrorClass
from tests.support.state_fleets import failing_state

STATE = failing_state(
    key="monitoring 29",
    title="all volumes of a guest are gone",
    produced="zfs destroy of each volume of the guest on its source",
    error_class=ErrorClass.STORAGE_MISSING,
    message="Guest 100 has no volumes.",
)
