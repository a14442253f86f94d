"""The node of the lab, from inside: zfs commands, contents of datasets, its clock, and pools that play nodes."""

from __future__ import annotations

import ctypes
import errno
import hashlib
import os
import shutil
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from tests.lab.fuzz.configuration import FOLDER_NAME
from tests.lab.fuzz.listing import FIELDS, World

POOLS = ("alpha", "beta", "gamma")
FOLDER = Path(FOLDER_NAME)
KEY = FOLDER / "key"
_LOOK = FOLDER / "look"
_MS_RDONLY = 1
_LIBC = ctypes.CDLL(None, use_errno=True)


class ActFailedError(Exception):
    """A command of a step was refused: the step does nothing."""


def zfs(*arguments: str) -> str:
    """Run ``zfs``; what it writes.

    Raises:
        ActFailedError: its status is not 0.
    """
    done = subprocess.run(["zfs", *arguments], capture_output=True, text=True, check=False, timeout=60)
    if done.returncode != 0:
        raise ActFailedError(f"zfs {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout


def shell(line: str) -> str:
    """Run a line of shell, as people type it.

    Raises:
        ActFailedError: its status is not 0.
    """
    done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=False, timeout=120)
    if done.returncode != 0:
        raise ActFailedError(f"{line}: {done.stderr.strip()}")
    return done.stdout


def make_pools() -> None:
    """Three empty pools on the first disk, and nothing else of before."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    KEY.write_bytes(b"k" * 32)
    parts = "".join(f"/dev/ubdb{number} " for number in (1, 2, 3))
    names = " ".join(POOLS)
    shell(
        "for p in $(zpool list -Ho name); do zpool destroy -f $p; done; blkdiscard -f /dev/ubdb 2>/dev/null || "
        "wipefs -qa /dev/ubdb; printf ',1200M\\n,1200M\\n,1200M\\n' | sfdisk -q --label gpt /dev/ubdb; udevadm settle; "
        f"set -- {parts}; for p in {names}; do zpool create -f -O sync=disabled -O atime=off $p $1 || exit 1; "
        "shift; done"
    )


def clear() -> None:
    """Empty the pools and forget all files, as before the first case."""
    kill_leftovers()
    for dataset in zfs("list", "-Ho", "name", "-d", "1", *POOLS).split():
        if "/" in dataset:
            with suppress(ActFailedError):
                zfs("destroy", "-R", "-f", dataset)
    left = [name for name in zfs("list", "-Ho", "name", "-d", "1", *POOLS).split() if "/" in name]
    if left:
        make_pools()
    for name in ("alpha", "omega"):
        shutil.rmtree(FOLDER / name, ignore_errors=True)
    for mark in FOLDER.glob("frozen-*"):
        mark.unlink()


def kill_leftovers() -> None:
    """Wait until the zfs processes that a killed run left have ended; end those that do not."""
    for _ in range(100):
        alive = leftovers()
        if not alive:
            return
        time.sleep(0.02)
    for pid in alive:
        with suppress(ProcessLookupError):
            os.kill(pid, 9)
    time.sleep(0.05)


def leftovers() -> list[int]:
    """The ids of processes that send or receive."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            with suppress(OSError):
                words = (folder / "cmdline").read_bytes().split(b"\0")
                if words[0].endswith(b"zfs") and len(words) > 1 and words[1] in (b"send", b"receive"):
                    found.append(int(folder.name))
    return found


def look() -> World:
    """List everything on all pools."""
    return World.read(zfs("list", "-Hp", "-t", "all", "-o", ",".join(FIELDS), "-r", *POOLS))


# --- contents


def digest_of(place: Path) -> str:
    """The checksum of a zvol's device, or of all files below a mount point, without file systems mounted inside it."""
    total = hashlib.sha256()
    if not place.is_dir():
        total.update(place.read_bytes())
        return total.hexdigest()[:16]
    device = place.stat().st_dev
    for folder, folders, files in os.walk(place):
        folders[:] = sorted(each for each in folders if (Path(folder) / each).stat().st_dev == device)
        for name in sorted(files):
            path = Path(folder) / name
            total.update(str(path.relative_to(place)).encode() + b"\0" + path.read_bytes())
    return total.hexdigest()[:16]


def live_digest(dataset: str, kind: str) -> str:
    """The checksum of what a dataset holds now.

    Raises:
        ActFailedError: it cannot be read.
    """
    if kind == "volume":
        return digest_of(device(dataset))
    place = Path(f"/{dataset}")
    if not place.is_mount():
        raise ActFailedError(f"{dataset} is not mounted")
    return digest_of(place)


def device(dataset: str) -> Path:
    """The device of a zvol, once it is there.

    Raises:
        ActFailedError: it does not come.
    """
    place = Path(f"/dev/zvol/{dataset}")
    for _ in range(250):
        if place.exists():
            return place
        time.sleep(0.02)
    raise ActFailedError(f"{place} does not come")


def digest(snapshot: str, kind: str, *, locked: bool) -> str:
    """The checksum of what a snapshot holds, of a ``locked`` one with its key loaded meanwhile."""
    dataset = snapshot.partition("@")[0]
    if locked:
        zfs("load-key", "-L", f"file://{KEY}", dataset)
    try:
        return _volume_digest(snapshot) if kind == "volume" else _files_digest(snapshot)
    finally:
        if locked:
            with suppress(ActFailedError):
                zfs("unload-key", dataset)


def _files_digest(snapshot: str) -> str:
    _LOOK.mkdir(exist_ok=True)
    if _LIBC.mount(snapshot.encode(), str(_LOOK).encode(), b"zfs", _MS_RDONLY, None) != 0:
        raise ActFailedError(f"mount {snapshot}: {os.strerror(ctypes.get_errno())}")
    try:
        return digest_of(_LOOK)
    finally:
        _LIBC.umount2(str(_LOOK).encode(), 2)


def _volume_digest(snapshot: str) -> str:
    pool = snapshot.partition("/")[0]
    zfs("clone", "-o", "readonly=on", snapshot, f"{pool}/look")
    try:
        return digest_of(device(f"{pool}/look"))
    finally:
        _destroy_patiently(f"{pool}/look")


def _destroy_patiently(dataset: str) -> None:
    for _ in range(50):
        with suppress(ActFailedError):
            zfs("destroy", dataset)
            return
        time.sleep(0.05)
    raise ActFailedError(f"{dataset} stays busy")


def _opened(zvol: Path) -> BinaryIO:
    """Open a zvol for writing; one that was made writable lets that be seen once udev has closed it."""
    for _ in range(100):
        try:
            return zvol.open("r+b")
        except OSError as error:
            if error.errno not in (errno.EROFS, errno.EBUSY):
                raise
            time.sleep(0.05)
    raise ActFailedError(f"{zvol} stays read-only")


def write(dataset: str, kind: str, seed: int) -> None:
    """Write other bytes into a dataset that is in use; those of a filesystem are not on the disk yet."""
    text = hashlib.sha256(str(seed).encode()).digest() * (512 + seed % 7 * 256)
    if kind == "volume":
        with _opened(device(dataset)) as disk:
            disk.write(text)
            disk.flush()
            os.fsync(disk.fileno())
    else:
        place = Path(f"/{dataset}")
        if not place.is_mount():
            raise ActFailedError(f"{dataset} is not mounted")
        (place / f"file{seed % 3}").write_bytes(text)


# --- clock


def shift_clock(seconds: float) -> None:
    """Let the node's clock jump."""
    time.clock_settime(time.CLOCK_REALTIME, time.time() + seconds)
