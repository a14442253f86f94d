"""What a drill checks in a disk, and what the end of a check means. Pure.

A set is what a power cut would have left: a filesystem of it may have a journal that was not replayed. A program that
only reads does not replay it, and then finds what the journal would repair. That is no damage, so such a filesystem is
read to its end instead.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from replicator.common.sizes import size
from replicator.display import shortened
from replicator.models import GuestId

LONGEST_WORDS = 300
"""Characters of a program's output that a result quotes."""

TIMED_OUT = (124, 137)
"""The exit statuses of ``timeout`` for a command that did not end in time, or that had to be killed."""
KILLED = 128
"""Above this an exit status is a signal's: a program that was killed, for its memory perhaps, has found nothing."""
NOT_RUN = (126, 127)
"""The exit statuses of a shell for a program that cannot be run, or is not there."""


class Judgement(StrEnum):
    """What a check says of a filesystem. UNCLEAN: its journal was not replayed; UNCHECKED: it could not be checked."""

    SOUND = "sound"
    UNCLEAN = "unclean"
    DAMAGED = "damaged"
    UNCHECKED = "unchecked"


@dataclass(frozen=True, slots=True)
class Program:
    """A program that checks a filesystem without writing.

    Attributes:
        argv: without the device.
        unclean: what it says where it ignored a journal or a mark of use.
        unable: what it says where it does not know the filesystem's features, or lacks another device.
    """

    argv: tuple[str, ...]
    unclean: tuple[str, ...] = ()
    unable: tuple[str, ...] = ()


_E2FSCK = Program(
    ("e2fsck", "-f", "-n"),
    unclean=("skipping journal recovery",),
    unable=("unsupported feature", "newer version of e2fsck"),
)
_FAT = Program(("fsck.fat", "-n"), unclean=("Dirty bit is set",))
PROGRAMS: Mapping[str, Program] = {
    "ext2": _E2FSCK,
    "ext3": _E2FSCK,
    "ext4": _E2FSCK,
    "xfs": Program(
        ("xfs_repair", "-n"),
        unclean=("valuable metadata changes in a log", "metadata changes in the log"),
        unable=("unsupported filesystem features", "unknown feature", "external log"),
    ),
    "btrfs": Program(("btrfs", "check", "--readonly"), unable=("is missing", "unsupported option", "unsupported RO")),
    "vfat": _FAT,
}
"""The programs by the filesystem's name, as ``blkid`` has it."""


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a disk: a partition, or (number 0) the whole.

    Attributes:
        offset, length: in bytes.
        kind: of the filesystem, as ``blkid`` calls it; empty: none is known.
    """

    number: int
    offset: int
    length: int
    kind: str = ""

    @property
    def program(self) -> Program | None:
        """The program that checks it; None: there is none for this kind."""
        return PROGRAMS.get(self.kind)

    @property
    def words(self) -> str:
        """The part in words: ``partition 2 (ext4)``."""
        kind = self.kind or "no filesystem is known"
        return f"partition {self.number} ({kind})" if self.number else kind


@dataclass(frozen=True, slots=True)
class Disk:
    """What was found in a disk.

    Attributes:
        device: the path of its device; empty: it has none.
        parts: what to check, in order; gaps between partitions are left out.
        missing: the programs that were needed to look, and are not there.
    """

    device: str
    parts: tuple[Part, ...] = ()
    missing: tuple[str, ...] = ()


def disk_of(text: str) -> Disk:
    """Return what the script `drill_scripts.PROBE` printed about a disk."""
    device, missing, parts = "", [], []
    for line in text.splitlines():
        match line.split():
            case ["device", path]:
                device = path
            case ["missing", program]:
                missing.append(program)
            case ["part", number, offset, length]:
                parts.append(Part(int(number), int(offset), int(length)))
            case ["kind", kind] if parts:
                last = parts.pop()
                parts.append(Part(last.number, last.offset, last.length, kind))
    inner = [part for part in parts if part.number and part.length]
    whole = [part for part in parts if not part.number]
    return Disk(device, tuple(inner or whole), tuple(missing))


def judge(program: Program, status: int, output: str) -> Judgement:
    """Return what the end of a program means that ended in time."""
    if status == 0:
        return Judgement.SOUND
    if status in NOT_RUN or status > KILLED or any(words in output for words in program.unable):
        return Judgement.UNCHECKED
    if any(words in output for words in program.unclean):
        return Judgement.UNCLEAN
    return Judgement.DAMAGED


@dataclass(frozen=True, slots=True)
class Finding:
    """What a drill found in one volume, or in a part of it.

    Attributes:
        volume: ``storage:name``.
        text: a sentence without its full stop.
        is_damaged: it is not as it should be.
    """

    volume: str
    text: str
    is_damaged: bool = False

    def __str__(self) -> str:
        return f"{self.volume}: {self.text}"


def checked(volume: str, part: Part, program: Program, status: int, output: str) -> Finding | None:
    """Return the finding of a program's end; None: the part has to be read to its end."""
    name = program.argv[0]
    match judge(program, status, output):
        case Judgement.SOUND:
            return Finding(volume, f"{part.words}: {name} found no fault")
        case Judgement.DAMAGED:
            return Finding(volume, f"{part.words}: {name} found faults: {quoted(output, status)}", is_damaged=True)
    return None


def why_read(part: Part, status: int | None, output: str) -> str:
    """Return why a part is read to its end and not checked, or not only; empty: there is no program for it."""
    program = part.program
    if program is None or status is None:
        return ""
    name = program.argv[0]
    if judge(program, status, output) is Judgement.UNCLEAN:
        return f"{name} cannot judge it, since its journal was not replayed, as after a power cut"
    if status in NOT_RUN:
        return f"{name} cannot be run on that node"
    return f"{name} cannot check it: {quoted(output, status)}"


def read(volume: str, part: Part, status: int, output: str, why: str) -> Finding:
    """Return the finding of a part that was read to its end."""
    because = f"; {why}" if why else ""
    if status != 0:
        return Finding(volume, f"{part.words}: cannot be read to its end: {quoted(output, status)}", is_damaged=True)
    return Finding(volume, f"{part.words}: {size(part.length)} read to the end{because}")


def quoted(output: str, status: int) -> str:
    """Return the last words of a program, on one line."""
    lines = [" ".join(line.split()) for line in output.splitlines() if line.strip()]
    return shortened(" / ".join(lines[-3:]), LONGEST_WORDS) or f"exit status {status}"


def environment(
    guest: GuestId, job: str, node: str, time: int, clones: Iterable[tuple[str, str, str]]
) -> Iterator[str]:
    """Yield the environment of a guest's own check, ``NAME=value`` each.

    ``clones`` are a volume (``storage:name``), its clone's dataset, and the clone's device or folder.
    """
    everything = list(clones)
    yield f"ZSR_DRILL_GUEST={guest}"
    yield f"ZSR_DRILL_JOB={job}"
    yield f"ZSR_DRILL_NODE={node}"
    yield f"ZSR_DRILL_TIME={time}"
    yield f"ZSR_DRILL_COUNT={len(everything)}"
    places = "\n".join(place for _, _, place in everything)
    yield f"ZSR_DRILL_PLACES={places}"
    for number, (volume, clone, place) in enumerate(everything, start=1):
        yield f"ZSR_DRILL_VOLUME_{number}={volume}"
        yield f"ZSR_DRILL_CLONE_{number}={clone}"
        yield f"ZSR_DRILL_PLACE_{number}={place}"
