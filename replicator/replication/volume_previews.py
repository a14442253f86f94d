"""The preview of each volume: its action with base, bytes, flags, properties and preparations. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from replicator.common.snapshot_patterns import Travelling
from replicator.models import Volume
from replicator.replication.foreseen import Facts, Foreseen
from replicator.replication.keys import is_below_encrypted, is_raw
from replicator.replication.legs import Leg, outdated_name
from replicator.replication.plan import (
    CloneFromDiverged,
    Conflict,
    Disown,
    Full,
    Incremental,
    Preparation,
    Promote,
    Rollback,
    SetAside,
    TagForeignSnapshots,
    VolumePair,
)
from replicator.replication.preview import Does, PreparationStep, VolumePreview
from replicator.replication.snapshot_sets import unreplicated_bytes
from replicator.replication.streams import replica_properties, send_argv
from replicator.replication.trees import BringBack, MoveAway, Rename
from replicator.zfs.commands import ENCRYPTION, IGNORED_PROPERTIES, LIMITS, VOLUME_LIMITS
from replicator.zfs.dataset_names import aside_name
from replicator.zfs.features import Features
from replicator.zfs.model import MADE_HERE, Bookmark, Snapshot


@dataclass(frozen=True, slots=True)
class Asked:
    """What only the nodes can say about the streams of a run.

    Attributes:
        source, target: the features of both sides.
        sizes: the estimated bytes of the volumes for which the inventory does not say it.
        portable: the properties of the volumes whose stream cannot carry them.
    """

    source: Features
    target: Features
    sizes: Mapping[Volume, int | None] = field(default_factory=dict)
    portable: Mapping[Volume, Mapping[str, str]] = field(default_factory=dict)

    @property
    def common(self) -> Features:
        """The features that both sides have."""
        return self.source.common(self.target)


def volume_previews(facts: Facts, foreseen: Foreseen, asked: Asked) -> tuple[VolumePreview, ...]:
    """Return the preview of each volume."""
    actions = foreseen.actions
    return tuple(_preview(facts, foreseen, asked, pair, actions.get(pair.volume)) for pair in foreseen.pairs)


def counted_bytes(action: Full | Incremental) -> int | None:
    """Return the bytes to send as far as the inventory says it; None where the send has to be asked.

    Of a clone it says what was written since its origin, and a full copy has the origin too.
    """
    if isinstance(action, Incremental):
        return unreplicated_bytes(action.pair.source, action.base) if isinstance(action.base, Snapshot) else None
    source = action.pair.source
    return None if source.snapshots or source.origin is not None else unreplicated_bytes(source, None)


def _preview(
    facts: Facts, foreseen: Foreseen, asked: Asked, pair: VolumePair, action: Full | Incremental | Conflict | None
) -> VolumePreview:
    names = (pair.volume, pair.source.name, pair.target_name)
    resume = foreseen.resumes.get(pair.volume)
    if isinstance(action, Conflict):
        return VolumePreview(*names, Does.CONFLICT, resume=resume, error=action.error)
    if action is None or foreseen.unchanged:
        return VolumePreview(*names, Does.UNCHANGED, base=f"@{foreseen.new}", bytes=0, resume=resume)
    job, source = facts.job, pair.source
    raw = is_raw(job, action)
    argv = send_argv(asked.common, action, _whole(action, foreseen.new, job.snapshots), raw=raw)
    counted = counted_bytes(action)
    return VolumePreview(
        *names,
        Does.INCREMENTAL if isinstance(action, Incremental) else Does.FULL,
        base=_base(action),
        bytes=asked.sizes.get(pair.volume) if counted is None else counted,
        flags=tuple(word for word in argv if word.startswith("-")),
        properties=replica_properties(
            job,
            facts.way.source,
            source,
            asked.portable.get(pair.volume),
            fence=facts.way.fence if isinstance(action, Full) else None,
        ),
        ignored=_ignored(action, raw=raw) if asked.target.receive_properties else (),
        preparations=(
            *(each for step in action.preparations for each in _steps(action.pair, step)),
            *_making_room(action),
        ),
        resume=resume,
    )


def _making_room(action: Full | Incremental) -> Iterator[PreparationStep]:
    name = action.pair.target_name
    for each in action.outdated if isinstance(action, Incremental) else ():
        yield PreparationStep("rename", f"{name}@{each.name}", f"{name}@{outdated_name(name, each)}")


def _whole(action: Full | Incremental, new: str, snapshots: str) -> Leg:
    """Return the leg that stands for all of an action's."""
    base = action.base if isinstance(action, Incremental) else None
    return Leg(base, new, between=isinstance(base, Snapshot) and snapshots != Travelling.OWN)


def _ignored(action: Full | Incremental, *, raw: bool) -> tuple[str, ...]:
    """Return the properties of the stream that receive leaves out."""
    encrypts = isinstance(action, Full) and not raw and is_below_encrypted(action.pair)
    ours = VOLUME_LIMITS if action.pair.source.is_volume else (*IGNORED_PROPERTIES, *LIMITS)
    return (*ours, *((ENCRYPTION,) if encrypts else ()))


def _base(action: Full | Incremental) -> str | None:
    if isinstance(action, Full):
        return None
    return f"{'#' if isinstance(action.base, Bookmark) else '@'}{action.base.name}"


def _steps(pair: VolumePair, step: Preparation) -> list[PreparationStep]:
    name = pair.target_name
    match step:
        case Rollback(permit):
            steps = [PreparationStep("rollback", name, f"{name}@{permit.to.name}")]
        case MoveAway(to=place):
            steps = [PreparationStep("rename", name, place)]
        case Rename(old):
            steps = [PreparationStep("rename", old, name)]
        case SetAside(base, holds):
            aside = aside_name(pair.target_path, pair.volume.name, None, holds)
            clone = [] if base is None else [PreparationStep("clone", f"{aside}@{base.name}", name)]
            steps = [PreparationStep("set-aside", name, aside), *clone]
        case CloneFromDiverged(diverged, base):
            steps = [PreparationStep("clone", f"{diverged}@{base.name}", name)]
        case TagForeignSnapshots(names):
            steps = [PreparationStep("tag", f"{name}@{each}", f"zsr:job={MADE_HERE}") for each in names]
        case Disown(name=kept):
            steps = [PreparationStep("tag", kept, f"zsr:job={MADE_HERE}")]
        case BringBack(aside, parts):
            steps = [PreparationStep("rename", part, f"{name}{part[len(aside) :]}") for part in parts]
        case Promote():
            steps = [PreparationStep("promote", name)]
    return steps
