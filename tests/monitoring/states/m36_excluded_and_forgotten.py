"""A volume is excluded, and it is forgotten that it is."""

from replicator.api.coverage import Gap
from tests.support.states import State, uncovered

STATE = State(
    key="monitoring 36",
    title="a volume is excluded by the settings, and that is forgotten",
    produced="replicate = false at a volume",
    fleet=uncovered("rpool/data/vm-100-disk-9", Gap.EXCLUDED),
    outside="zsr cannot know that it was forgotten: each digest, zsr coverage, zsr_guest_uncovered_volumes with "
    "reason=excluded and the panel 'Not protected' name it, for a person to read once in a while.",
)
