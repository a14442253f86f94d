"""A promise is so weak that nothing warns for weeks."""

from tests.support.states import State

STATE = State(
    key="monitoring 62",
    title="a promise is derived from a weekly schedule, so that nothing warns for 14 days",
    produced="zsr create-local-job 100-0 beta --schedule 'sat 02:00'",
    outside="a person asked for it: a note at its creation, of zsr config check and in each digest names it; "
    "zsr_job_rpo_seconds > 604800 finds such jobs.",
)
