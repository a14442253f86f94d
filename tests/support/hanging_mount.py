"""A mount that hangs: a folder behind FUSE whose server is stopped, as one of NFS whose server is gone.

``python -m tests.support.hanging_mount PLACE FOLDER`` serves the files of a folder at a place, until it is killed. It
knows enough of the protocol (linux/fuse.h) to look at files and to read them.
"""

from __future__ import annotations

import ctypes
import errno
import os
import signal
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

_HEADER = struct.Struct("<IIQQIIII")
_LOOKUP, _FORGET, _GETATTR, _OPEN, _READ, _RELEASE, _FLUSH, _INIT, _OPENDIR, _RELEASEDIR, _FORGETS = (
    1, 2, 3, 14, 15, 18, 25, 26, 27, 29, 42
)  # fmt: skip
_SILENT = (_FORGET, _FORGETS)


@dataclass
class _Server:
    """The files by their number; that of the folder is 1."""

    folder: Path
    files: dict[int, Path] = field(default_factory=dict)

    def attributes(self, number: int) -> bytes:
        found = self.files[number].lstat()
        times = (found.st_atime_ns, found.st_mtime_ns, found.st_ctime_ns)
        seconds, parts = ([each // 10**9 for each in times], [each % 10**9 for each in times])
        return struct.pack(
            "<6Q10I", number, found.st_size, found.st_blocks, *seconds, *parts, found.st_mode, found.st_nlink,
            found.st_uid, found.st_gid, 0, 4096, 0,
        )  # fmt: skip

    def lookup(self, number: int, body: bytes) -> bytes:
        path = self.files[number] / body.split(b"\0")[0].decode()
        path.lstat()
        found = next((each for each, known in self.files.items() if known == path), len(self.files) + 1)
        self.files[found] = path
        return struct.pack("<QQQQII", found, 0, 0, 0, 0, 0) + self.attributes(found)

    def read(self, number: int, body: bytes) -> bytes:
        _, offset, size = struct.unpack_from("<QQI", body)
        return self.files[number].read_bytes()[offset : offset + size]

    def answer(self, order: int, number: int, body: bytes) -> bytes:
        orders: Mapping[int, Callable[[], bytes]] = {
            _INIT: lambda: struct.pack("<IIIIHHIIHH8I", 7, 31, 65536, 0, 12, 10, 131072, 1, 0, 0, *[0] * 8),
            _LOOKUP: lambda: self.lookup(number, body),
            _GETATTR: lambda: struct.pack("<QII", 0, 0, 0) + self.attributes(number),
            _OPEN: lambda: struct.pack("<QII", 0, 1, 0),
            _OPENDIR: lambda: struct.pack("<QII", 0, 1, 0),
            _READ: lambda: self.read(number, body),
            _RELEASE: bytes,
            _RELEASEDIR: bytes,
            _FLUSH: bytes,
        }
        if order not in orders:
            raise OSError(errno.ENOSYS, "not here")
        return orders[order]()

    def serve(self, device: int) -> None:
        self.files[1] = self.folder
        while True:
            request = os.read(device, 1 << 20)
            _, order, key, number, *_ = _HEADER.unpack_from(request)
            if order in _SILENT:
                continue
            try:
                error, answer = 0, self.answer(order, number, request[_HEADER.size :])
            except OSError as refused:
                error, answer = -(refused.errno or errno.EIO), b""
            os.write(device, struct.pack("<IiQ", 16 + len(answer), error, key) + answer)


def _mount(place: str) -> int:
    device = os.open("/dev/fuse", os.O_RDWR)
    options = f"fd={device},rootmode=40000,user_id=0,group_id=0,allow_other".encode()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(b"hanging", place.encode(), b"fuse.hanging", 0, options) != 0:
        sys.exit(os.strerror(ctypes.get_errno()))
    return device


@dataclass(frozen=True)
class HangingMount:
    """A mounted folder; ``source`` is what it shows."""

    place: Path
    source: Path
    server: subprocess.Popen[bytes]

    def hang(self) -> None:
        """Answer nothing from now on."""
        self.server.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Answer again, also what was asked meanwhile."""
        self.server.send_signal(signal.SIGCONT)


@contextmanager
def hanging_mount(place: Path, source: Path) -> Iterator[HangingMount]:
    """Mount a folder while the body runs."""
    argv = [sys.executable, "-m", "tests.support.hanging_mount", str(place), str(source)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as server:
        assert server.stdout is not None
        if not server.stdout.readline():
            pytest.skip("needs the right to mount FUSE")
        try:
            yield HangingMount(place, source, server)
        finally:
            server.kill()
            subprocess.run(["umount", "--lazy", str(place)], check=False, capture_output=True)


if __name__ == "__main__":
    fuse = _mount(sys.argv[1])
    os.write(1, b"mounted\n")
    _Server(Path(sys.argv[2])).serve(fuse)
