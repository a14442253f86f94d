"""A guest is restored, and replicated while the restore still writes.

The message names the replicas that are kept: until the new volumes are whole, those are the copy to use.
"""

from dataclasses import replace

from tests.monitoring.states import s10_number_used_again

STATE = replace(
    s10_number_used_again.STATE,
    key="states 12",
    title="a guest is restored, and replicated while the restore still writes",
    produced="qmrestore --force of a running guest; a run before it has ended",
)
