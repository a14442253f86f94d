"""The guest of a job is no longer in the cluster file."""

from dataclasses import replace

from replicator.errors import ErrorClass
from tests.support.state_fleets import failing, failing_state
from tests.support.states import Fleet

ERROR = (ErrorClass.CONFIG, "Guest 100 is not in the cluster store.")


def _fleet(since: int) -> Fleet:
    """The failing job, of whose guest no name is known any more."""
    found = failing(since, *ERROR)
    alpha = found["alpha"]
    return {**found, "alpha": alpha and replace(alpha, jobs=tuple(replace(each, guest=None) for each in alpha.jobs))}


STATE = replace(
    failing_state(
        "monitoring 26",
        "the guest of a job is no longer in the cluster file",
        "the guest's table is deleted from cluster.toml",
        *ERROR,
    ),
    fleet=_fleet,
)
