"""A filesystem of a guest has a child, and the settings leave its children out."""

from replicator.api.coverage import Gap
from tests.support.states import State, uncovered

STATE = State(
    key="monitoring 35",
    title="a filesystem of a guest has a child, and the settings leave out its children",
    produced="zfs create below subvol-100-disk-0, with children = false",
    fleet=uncovered("rpool/data/subvol-100-disk-0/home", Gap.CHILD),
    outside="without that setting the child is a volume of the guest, and is replicated. With it zsr cannot know that "
    "this one is missed: each digest, zsr coverage, zsr_guest_uncovered_volumes with reason=child and the panel 'Not "
    "protected' name it.",
)
