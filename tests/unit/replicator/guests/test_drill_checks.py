"""What a drill checks in a disk, and what the end of a check means."""

from __future__ import annotations

import pytest

from replicator.guests.drill_checks import (
    LONGEST_WORDS,
    PROGRAMS,
    Judgement,
    Part,
    checked,
    disk_of,
    environment,
    judge,
    quoted,
    read,
    why_read,
)

VOLUME = "tank:vm-100-disk-0"
ROOT = Part(2, 1 << 20, 31 << 30, "ext4")

GPT = """\
device /dev/zd16
part 0 0 34359738368
part 1 1048576 536870912
kind vfat
part 2 537919488 33821818880
kind ext4
"""


class TestADisk:
    def test_is_checked_by_its_partitions_where_it_has_some(self) -> None:
        disk = disk_of(GPT)
        assert disk.device == "/dev/zd16"
        assert [(part.number, part.kind) for part in disk.parts] == [(1, "vfat"), (2, "ext4")]
        assert disk.parts[1].offset == 537919488

    def test_is_one_part_without_a_partition_table(self) -> None:
        [whole] = disk_of("device /dev/zd16\npart 0 0 1048576\nkind xfs\n").parts
        assert (whole.number, whole.kind, whole.words) == (0, "xfs", "xfs")

    def test_without_a_known_filesystem_is_one_part_too(self) -> None:
        [whole] = disk_of("device /dev/zd16\npart 0 0 1048576\n").parts
        assert (whole.kind, whole.program) == ("", None)

    def test_has_no_device_where_none_came(self) -> None:
        assert disk_of("").device == ""

    def test_says_which_programs_are_missing_to_look_into_it(self) -> None:
        assert disk_of("device /dev/zd16\nmissing partx\npart 0 0 512\n").missing == ("partx",)


@pytest.mark.parametrize(
    ("kind", "status", "output", "judgement"),
    [
        ("ext4", 0, "clean", Judgement.SOUND),
        ("ext4", 4, "Free blocks count wrong", Judgement.DAMAGED),
        (
            "ext4",
            4,
            "Warning: skipping journal recovery because doing a read-only filesystem check.",
            Judgement.UNCLEAN,
        ),
        ("ext4", 8, "Bad magic number in super-block", Judgement.DAMAGED),
        ("ext4", 8, "has unsupported feature(s): FEATURE_C12", Judgement.UNCHECKED),
        ("ext4", 127, "e2fsck: not found", Judgement.UNCHECKED),
        ("ext4", 137, "Pass 1", Judgement.UNCHECKED),
        ("xfs", 1, "bad magic", Judgement.DAMAGED),
        ("xfs", 1, "ALERT: The filesystem has valuable metadata changes in a log which is being", Judgement.UNCLEAN),
        ("btrfs", 1, "checksum verify failed", Judgement.DAMAGED),
        ("btrfs", 1, "warning, device 2 is missing", Judgement.UNCHECKED),
        ("vfat", 1, "0x41: Dirty bit is set. Fs was not properly unmounted", Judgement.UNCLEAN),
        ("vfat", 1, "FATs differ", Judgement.DAMAGED),
    ],
)
def test_an_end_means(kind: str, status: int, output: str, judgement: Judgement) -> None:
    assert judge(PROGRAMS[kind], status, output) is judgement


def test_no_program_may_write() -> None:
    allowed = {"e2fsck": "-n", "xfs_repair": "-n", "btrfs": "--readonly", "fsck.fat": "-n"}
    for program in PROGRAMS.values():
        assert allowed[program.argv[0]] in program.argv


def test_a_sound_or_damaged_filesystem_needs_no_reading() -> None:
    program = PROGRAMS["ext4"]
    sound = checked(VOLUME, ROOT, program, 0, "")
    damaged = checked(VOLUME, ROOT, program, 4, "Pass 1\nInode 2 is a mess\n")
    assert sound is not None
    assert damaged is not None
    assert str(sound) == f"{VOLUME}: partition 2 (ext4): e2fsck found no fault"
    assert not sound.is_damaged
    assert str(damaged) == f"{VOLUME}: partition 2 (ext4): e2fsck found faults: Pass 1 / Inode 2 is a mess"
    assert damaged.is_damaged


@pytest.mark.parametrize(
    ("status", "output", "why"),
    [
        (4, "skipping journal recovery", "its journal was not replayed, as after a power cut"),
        (127, "", "e2fsck cannot be run on that node"),
        (8, "unsupported feature", "e2fsck cannot check it: unsupported feature"),
    ],
)
def test_what_cannot_be_judged_is_read_to_its_end_and_the_result_says_why(status: int, output: str, why: str) -> None:
    assert checked(VOLUME, ROOT, PROGRAMS["ext4"], status, output) is None
    found = read(VOLUME, ROOT, 0, "", why_read(ROOT, status, output))
    assert not found.is_damaged
    assert "partition 2 (ext4): 31.0 GiB read to the end; " in found.text
    assert found.text.endswith(why)


def test_what_cannot_be_read_has_failed() -> None:
    found = read(VOLUME, Part(0, 0, 512), 1, "dd: error reading '/dev/zd0': Input/output error", "")
    assert found.is_damaged
    assert "cannot be read to its end: dd: error reading" in found.text


def test_a_programs_words_are_short_and_on_one_line() -> None:
    assert quoted("a\n\n  b   c\nd\ne\n", 1) == "b c / d / e"
    assert len(quoted("x" * 10_000, 1)) <= LONGEST_WORDS + 3
    assert quoted("\n", 3) == "exit status 3"


def test_a_guests_own_check_gets_its_clones() -> None:
    clones = [("tank:a", "tank/x/a-1-drill", "/dev/zvol/tank/x/a-1-drill"), ("tank:b", "tank/x/b", "/run/zsr/drills/b")]
    assert [*environment(100, "100-0", "beta", 1_800_000_000, clones)] == [
        "ZSR_DRILL_GUEST=100",
        "ZSR_DRILL_JOB=100-0",
        "ZSR_DRILL_NODE=beta",
        "ZSR_DRILL_TIME=1800000000",
        "ZSR_DRILL_COUNT=2",
        "ZSR_DRILL_PLACES=/dev/zvol/tank/x/a-1-drill\n/run/zsr/drills/b",
        "ZSR_DRILL_VOLUME_1=tank:a",
        "ZSR_DRILL_CLONE_1=tank/x/a-1-drill",
        "ZSR_DRILL_PLACE_1=/dev/zvol/tank/x/a-1-drill",
        "ZSR_DRILL_VOLUME_2=tank:b",
        "ZSR_DRILL_CLONE_2=tank/x/b",
        "ZSR_DRILL_PLACE_2=/run/zsr/drills/b",
    ]
