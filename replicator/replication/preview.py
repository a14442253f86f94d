"""The preview of a run, as ``zsr plan`` reports it: what would be sent, prepared, destroyed, kept and refused. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from replicator.errors import ZsrError
from replicator.models import GuestId, JobId, Volume
from replicator.zfs.permits import Law


class When(StrEnum):
    """The moment of a run at which something would be destroyed."""

    LOOK = "before the snapshot"
    PREPARE = "before the transfer"
    PROVEN = "after the proof"
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class Destruction:
    """One thing that a run would destroy, or that it leaves although it is not needed.

    Attributes:
        what: the snapshot (``dataset@name``), bookmark (``dataset#name``), dataset or half-received state.
        node: where it is.
        when: at which moment of the run; `When.NEVER` for a refusal.
        permitted: whether the run may destroy it.
        law: the law that decides.
        why: the reason, in a few words.
        until: when that changes by itself, if nothing else does (unix time); None: it does not.
    """

    what: str
    node: str
    when: When
    permitted: bool
    law: Law
    why: str
    until: float | None = None


class Does(StrEnum):
    """What a run does with a volume."""

    FULL = "full"
    INCREMENTAL = "incremental"
    UNCHANGED = "unchanged"
    CONFLICT = "conflict"


@dataclass(frozen=True, slots=True)
class PreparationStep:
    """One order to the target before a volume is received: a ``step`` on ``dataset``, and what it leads ``to``."""

    step: str
    dataset: str
    to: str = ""


@dataclass(frozen=True, slots=True)
class Resume:
    """A half-received state on the target: it is ``resumed``, or it is dropped because it is ``useless``.

    ``snapshot`` (``dataset@name``) and ``bytes`` (still to be sent) are those of its token; ``bytes`` is None where the
    source does not say it.
    """

    snapshot: str
    bytes: int | None
    useless: str | None = None

    @property
    def resumed(self) -> bool:
        """Whether it is resumed."""
        return self.useless is None


@dataclass(frozen=True, slots=True)
class VolumePreview:
    """What a run would do with one volume.

    Attributes:
        volume: the volume; ``source`` and ``target`` are its datasets on the two nodes.
        does: full, incremental, unchanged or conflict.
        base: the snapshot or bookmark to begin with, as ``@name`` or ``#name``; None for a full transfer.
        bytes: how many are expected; None where that is not known.
        flags: those of ``zfs send``.
        properties: those that receive sets on the replica, in addition to those of the stream.
        ignored: properties of the stream that receive leaves out.
        preparations: the steps on the target before the transfer, in their order.
        resume: the half-received state that is there, if any.
        error: the conflict, if there is one.
    """

    volume: Volume
    source: str
    target: str
    does: Does
    base: str | None = None
    bytes: int | None = None
    flags: tuple[str, ...] = ()
    properties: Mapping[str, str] = field(default_factory=dict)
    ignored: tuple[str, ...] = ()
    preparations: tuple[PreparationStep, ...] = ()
    resume: Resume | None = None
    error: ZsrError | None = None


@dataclass(frozen=True, slots=True)
class Preview:
    """What a run would do, given what both sides hold now.

    Attributes:
        job, guest, guest_name: the job and its guest.
        source, target: the nodes.
        volumes: one for each volume of the guest.
        destructions: what the run would destroy, and what it leaves.
        notes: what else a reader has to know, in sentences.
    """

    job: JobId
    guest: GuestId
    guest_name: str
    source: str
    target: str
    volumes: tuple[VolumePreview, ...]
    destructions: tuple[Destruction, ...]
    notes: tuple[str, ...] = ()

    @property
    def goes_ahead(self) -> bool:
        """Whether the run would not be refused: no volume is in conflict."""
        return all(volume.error is None for volume in self.volumes)

    @property
    def unchanged(self) -> bool:
        """Whether the run would send nothing, because nothing was written and nothing is half received."""
        return all(volume.does is Does.UNCHANGED and volume.resume is None for volume in self.volumes)
