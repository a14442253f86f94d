"""Pools of sparse files on this machine's real ZFS, which are removed without a trace.

The demo and tests/zfs get their ZFS here. Everything that a sandbox creates is recorded first (`demo.records`); leaving
it removes all, and entering one removes what killed ones left.
"""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from demo import engine
from demo.engine import SandboxError, run, run_patiently
from demo.processes import Process
from demo.records import Record, Records

MIB = 1024 * 1024
POOL_SIZE = 256 * MIB


@dataclass(frozen=True, slots=True)
class Pool:
    """A pool of one sparse file; ``mountpoint`` is where its root filesystem is mounted."""

    name: str
    mountpoint: Path
    file: Path


class Sandbox:
    """A context in which there is a real ZFS and a folder; pools and processes in it end with it.

    Entering raises SandboxError when no real ZFS can be had. Not for use from several threads.
    """

    def __init__(self, name: str = "sandbox", records: Records | None = None) -> None:
        self._name = name
        self._records = records or Records()
        self._record: Record | None = None
        self._children: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Sandbox:
        with self._records.locked():
            clear_leftovers(self._records)
            engine.start(self._records)
            directory = Path(tempfile.mkdtemp(prefix=f"zsr-{self._name}-"))
            self._record = Record(Process.of(os.getpid()), str(directory))
            self._records.write(self._record)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        record = self._belongings
        with self._records.locked():
            _clear(record)
            for child in self._children:
                child.wait()
            self._records.forget(record)
            self._record = None
            if not self._records.all():
                engine.stop(self._records)

    @property
    def directory(self) -> Path:
        """The sandbox's own folder; it goes with the sandbox."""
        return Path(self._belongings.directory)

    def pool(self, role: str, size: int = POOL_SIZE) -> Pool:
        """Create a pool for a role ("source"); its name is not used by any other process. ``size`` in bytes."""
        pool = Pool(f"zsr{os.getpid()}-{role}", self.directory / role, self.directory / f"{role}.pool")
        self._write(self._belongings.with_pool(pool.name))
        with pool.file.open("wb") as file:
            file.truncate(size)
        # without a cache file the pool is not imported again at the next boot
        create = ("zpool", "create", "-o", "cachefile=none", "-O", f"mountpoint={pool.mountpoint}")
        run(*create, pool.name, str(pool.file))
        return pool

    def destroy(self, pool: Pool) -> None:
        """Destroy a pool, imported or exported, with its file."""
        _destroy(pool.name)
        _unmount_below(pool.mountpoint)
        pool.file.unlink(missing_ok=True)
        if pool.mountpoint.exists():
            shutil.rmtree(pool.mountpoint)
        self._write(self._belongings.without_pool(pool.name))

    def spawn(self, start: Callable[[], subprocess.Popen[bytes]]) -> subprocess.Popen[bytes]:
        """Start a child that ends with the sandbox, also when the sandbox's own process is killed."""
        child = start()
        self._children.append(child)
        self._write(self._belongings.with_child(Process.of(child.pid)))
        return child

    @staticmethod
    def zfs(*arguments: str) -> str:
        """Run ``zfs`` and return what it writes; raises SandboxError."""
        return run("zfs", *arguments)

    def mountpoint(self, dataset: str) -> Path:
        """Where a filesystem is (to be) mounted."""
        return Path(self.zfs("get", "-H", "-o", "value", "mountpoint", dataset).strip())

    def fill(self, dataset: str, size: int = MIB, seed: int = 0) -> None:
        """Write about ``size`` bytes of files into a mounted filesystem: the same ones for the same seed."""
        source = random.Random(seed)  # noqa: S311 - content, not a secret
        top = self.mountpoint(dataset) / f"files {seed}"  # a name with a space, as users have them
        (top / "deep").mkdir(parents=True, exist_ok=True)
        part = max(1, size // 4)
        for name in ("one", "two", "deep/three", "deep/four ü"):
            (top / name).write_bytes(source.randbytes(part))
        (top / "empty").touch()
        link = top / "link"
        link.unlink(missing_ok=True)
        link.symlink_to("deep/three")

    def digest(self, snapshot: str) -> str:
        """SHA-256 over names, kinds, modes and content of everything in a filesystem's snapshot.

        It looks through a clone that is gone afterwards: that works mounted or not, on source and replica alike.
        """
        pool = snapshot.partition("/")[0].partition("@")[0]
        place = self.directory / "look"
        clone = f"{pool}/zsr-look"
        self.zfs("clone", "-o", f"mountpoint={place}", "-o", "readonly=on", snapshot, clone)
        try:
            if not os.path.ismount(place):
                self.zfs("mount", clone)
            return tree_digest(place)
        finally:
            run_patiently("zfs", "destroy", clone)

    @property
    def _belongings(self) -> Record:
        if self._record is None:
            raise SandboxError("the sandbox is not open: use it in a 'with' statement")
        return self._record

    def _write(self, record: Record) -> None:
        self._records.write(record)
        self._record = record


def tree_digest(top: Path) -> str:
    """SHA-256 over relative names, kinds, modes, link targets and content below a folder."""
    total = hashlib.sha256()
    for path in sorted(top.rglob("*")):
        facts = path.lstat()
        total.update(f"{path.relative_to(top)}\0{facts.st_mode:o}\0".encode(errors="surrogateescape"))
        if stat.S_ISLNK(facts.st_mode):
            total.update(os.fsencode(path.readlink()))
        elif stat.S_ISREG(facts.st_mode):
            with path.open("rb") as file:
                total.update(hashlib.file_digest(file, "sha256").digest())
    return total.hexdigest()


def clear_leftovers(records: Records) -> list[str]:
    """Clear away what sandboxes left whose process is gone; returns their folders. To be called under the lock."""
    cleared = []
    for record in records.all():
        if record.owner.alive():
            continue
        _clear(record)
        records.forget(record)
        cleared.append(record.directory)
    return cleared


def mounts_below(directory: Path) -> list[Path]:
    """Every mount point in a folder, the deepest first."""
    points = [
        Path(line.split()[1].encode().decode("unicode_escape"))
        for line in Path("/proc/mounts").read_text().splitlines()
    ]
    return sorted((point for point in points if point.is_relative_to(directory)), reverse=True)


def _clear(record: Record) -> None:
    for child in record.children:
        child.end()
    for pool in record.pools:
        _destroy(pool)
    directory = Path(record.directory)
    _unmount_below(directory)
    if directory.exists():
        shutil.rmtree(directory)


def _destroy(pool: str) -> None:
    """Destroy a pool if it is there. A dead zfs-fuse took its pools with it; only mounts and files are left then."""
    if engine.answers() and pool in engine.pool_names():
        run_patiently("zpool", "destroy", "-f", pool)


def _unmount_below(directory: Path) -> None:
    for point in mounts_below(directory):
        with suppress(SandboxError):  # unmounting one may have taken the next with it
            run("umount", "-l", str(point))
    left = mounts_below(directory)
    if left:
        raise SandboxError(f"still mounted: {', '.join(map(str, left))}; nothing there was deleted")
