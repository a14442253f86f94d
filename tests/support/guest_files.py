"""Files of a guest, for tests: as they are read, as they are kept, and a node that counts what it is asked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from replicator.common.kept_files import Kept, KeptFile, Version
from replicator.hosts.host import Completed
from replicator.hosts.local import LocalHost
from replicator.zfs.client import ZfsClient

XML, UNIT = "/etc/libvirt/qemu/web.xml", "/etc/systemd/system/web.service"


def kept_file(path: str = XML, content: bytes = b"<domain/>\n", *, mode: int = 0o644) -> KeptFile:
    """A file of root's."""
    return KeptFile(path, mode, "root", "root", 0, 0, content)


def version(set_time: int, read: int | None = None, file: KeptFile | None = None) -> Version:
    """A version of a set, read at its moment."""
    return Version(set_time, set_time if read is None else read, (file or kept_file()).digest)


def kept(*versions: Version, path: str = XML, drafts: tuple[str, ...] = ()) -> Kept:
    """What a node keeps of one file."""
    return Kept({path: versions} if versions else {}, drafts)


class CountingHost(LocalHost):
    """A node that is this machine; ``asked`` are the scripts that it ran."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.asked: list[str] = []

    async def run(self, argv: Sequence[str], *, limit: float, stdin: str = "") -> Completed:
        self.asked.append(argv[2])
        return await super().run(argv, limit=limit, stdin=stdin)


class NodeWithFiles:
    """The part of a node's client that files need."""

    def __init__(self, node: str) -> None:
        self.node, self.host = node, CountingHost(node)

    @property
    def client(self) -> ZfsClient:
        """It, as a client."""
        return cast("ZfsClient", self)
