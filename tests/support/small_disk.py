"""Disks of one's own with faults: a small one that fills, and one that the kernel sets read-only after an error."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True)
class Disk:
    """A mounted ext4 in a file; ``device`` is its loop device."""

    folder: Path
    image: Path
    device: str

    def fail(self) -> None:
        """Let the kernel meet an error of this disk, as a broken sector makes one: all of it is read-only then."""
        Path(f"/sys/fs/ext4/{Path(self.device).name}/trigger_fs_error").write_text("1")

    def fill(self) -> Path:
        """Take all the room; the file that has it."""
        ballast = self.folder / "ballast"
        with ballast.open("wb", buffering=0) as file, suppress(OSError):
            while True:
                file.write(b"x" * 1024)
        return ballast

    def replace(self) -> None:
        """Repair it, and mount it again."""
        subprocess.run(["umount", "--lazy", str(self.folder)], check=True)
        subprocess.run(["e2fsck", "-p", "-f", str(self.image)], check=False, capture_output=True)
        _mount(self.image, self.folder)


def _mount(image: Path, folder: Path) -> str:
    argv = ["mount", "-o", "loop,errors=remount-ro", str(image), str(folder)]
    if subprocess.run(argv, capture_output=True, check=False).returncode != 0:
        pytest.skip("needs the right to mount a loop device")
    found = subprocess.run(["findmnt", "-no", "SOURCE", str(folder)], capture_output=True, text=True, check=True)
    return found.stdout.strip()


@contextmanager
def mounted_disk(folder: Path, megabytes: int = 4) -> Iterator[Disk]:
    """Mount a small ext4 while the body runs."""
    image = folder.with_name(f"{folder.name}.image")
    with image.open("wb") as file:
        file.truncate(megabytes * 1024 * 1024)
    subprocess.run(["mkfs.ext4", "-q", "-m", "0", "-O", "^has_journal", str(image)], check=True, capture_output=True)
    folder.mkdir(exist_ok=True)
    disk = Disk(folder, image, _mount(image, folder))
    try:
        yield disk
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
