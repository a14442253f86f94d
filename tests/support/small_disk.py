"""Disks of one's own with faults: a small one that fills, and one that the kernel sets read-only after an error."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True)
class Disk:
    """A mounted ext4 in a file; ``device`` is its loop device. ``enter``: the command that enters its namespace."""

    folder: Path
    image: Path
    device: str
    enter: tuple[str, ...] = ()

    def run(self, *argv: str) -> None:
        """Run a command that sees the disk."""
        subprocess.run([*self.enter, *argv], check=True, capture_output=True)

    def fail(self) -> None:
        """Let the kernel meet an error of this disk, as a broken sector makes one: all of it is read-only then."""
        Path(f"/sys/fs/ext4/{Path(self.device).name}/trigger_fs_error").write_text("1")

    def fill(self) -> None:
        """Take all the room."""
        self.run("sh", "-c", f"dd if=/dev/zero of={self.folder}/ballast bs=1k; test -s {self.folder}/ballast")

    def make_room(self) -> None:
        """Give back what `fill` took."""
        self.run("rm", f"{self.folder}/ballast")

    def replace(self) -> None:
        """Repair it, and mount it again."""
        self.run("umount", "--lazy", str(self.folder))
        subprocess.run(["e2fsck", "-p", "-f", str(self.image)], check=False, capture_output=True)
        _mount(self.image, self.folder, self.enter)


def _mount(image: Path, folder: Path, enter: Sequence[str]) -> str:
    argv = [*enter, "mount", "-o", "loop,errors=remount-ro", str(image), str(folder)]
    if subprocess.run(argv, capture_output=True, check=False).returncode != 0:
        pytest.skip("needs the right to mount a loop device")
    argv = [*enter, "findmnt", "-no", "SOURCE", str(folder)]
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout.strip()


@contextmanager
def mounted_disk(folder: Path, megabytes: int = 4, *, enter: Sequence[str] = ()) -> Iterator[Disk]:
    """Mount a small ext4 while the body runs."""
    image = folder.with_name(f"{folder.name}.image")
    with image.open("wb") as file:
        file.truncate(megabytes * 1024 * 1024)
    argv = ["mkfs.ext4", "-q", "-b", "4096", "-m", "0", "-O", "^has_journal", str(image)]  # the blocks of larger ones
    subprocess.run(argv, check=True, capture_output=True)
    folder.mkdir(exist_ok=True)
    disk = Disk(folder, image, _mount(image, folder, enter), tuple(enter))
    try:
        yield disk
    finally:
        disk.run("umount", "--lazy", str(folder))
