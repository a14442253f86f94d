"""Compression of a stream on its way to a far host: zstd between the sender and the pump, and before the receiver.

No failure can make a cut stream look whole: a ZFS stream ends with a record of its own, which receive waits for,
whatever zstd says of its frame. The exit status of the far side is that of the receiver.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence

from replicator.errors import ConfigError
from replicator.hosts.host import Completed, StreamProcess
from replicator.hosts.local import LocalStreamProcess, start
from replicator.hosts.pump import sized_pipe

_PACK = ("zstd", "-q", "-3", "-c")
_UNPACK = 'zstd -q -dc | "$@"'


def unpacked_by(receive: Sequence[str]) -> list[str]:
    """The far command that unpacks what it reads, and hands it to the receiver."""
    return ["sh", "-c", _UNPACK, "zsr", *receive]


async def start_packer(node: str, source: int) -> tuple[StreamProcess, int]:
    """Start zstd behind a pipe's read end, which it takes over: the process and the read end of what it packs.

    Raises:
        ConfigError: there is no zstd on this node.
    """
    reader, writer = sized_pipe()
    try:
        process = await start(_PACK, stdin=source, stdout=writer)
    except FileNotFoundError:
        os.close(reader)
        raise ConfigError(
            f"Node {node} has no 'zstd', with which its streams are to be compressed.",
            advice="Install it on both nodes (apt install zstd), or take out 'compression' in the cluster file.",
        ) from None
    finally:
        os.close(source)
        os.close(writer)
    return LocalStreamProcess(_PACK, process), reader


class _NoPacker:
    """Stands where nothing is packed: it has always ended well."""

    async def wait(self) -> Completed:
        return Completed((), 0, "", "")

    async def ended(self) -> None:
        await asyncio.sleep(0)

    async def kill(self) -> None:
        await asyncio.sleep(0)


NO_PACKER: StreamProcess = _NoPacker()
