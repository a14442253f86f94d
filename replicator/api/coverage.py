"""The volumes of guests that no job replicates."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from replicator.models import JobId


class Gap(StrEnum):
    """The reason why no job replicates a volume of a guest that has a job.

    NOT_LISTED: the guest's list of volumes leaves it out. STORAGE: the guest's storages, or the nodes of the storage,
    do. CHILD: it lies below one of the guest's volumes, of which the settings say so (``children = false``). EXCLUDED:
    the settings say so of the volume itself.
    """

    NOT_LISTED = "not-listed"
    STORAGE = "storage"
    CHILD = "child"
    EXCLUDED = "excluded"


@dataclass(frozen=True, order=True, slots=True)
class UncoveredVolume:
    """A dataset on this node that no job replicates, although its guest has a job."""

    dataset: str
    reason: Gap

    @property
    def is_wanted(self) -> bool:
        """Whether a setting leaves it out by name, or as a child."""
        return self.reason in (Gap.CHILD, Gap.EXCLUDED)


@dataclass(frozen=True, slots=True)
class GuestCoverage:
    """The jobs of a guest of this node (without those being removed), and what they leave out, by dataset."""

    name: str
    jobs: tuple[JobId, ...]
    uncovered: tuple[UncoveredVolume, ...] = ()

    @property
    def forgotten(self) -> tuple[UncoveredVolume, ...]:
        """What is left out though no setting says that it is to be."""
        return tuple(each for each in self.uncovered if not each.is_wanted)
