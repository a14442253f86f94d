"""Compression of a stream to a remote host: zstd between the sender and the pump, and again before the receiver.

No failure can make a cut stream look complete: a ZFS stream ends with a record of its own, which receive waits for
whatever zstd reports of its frame. The exit status of the remote command is that of the receiver.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence

from replicator.errors import ConfigError
from replicator.hosts.host import Completed, StreamProcess
from replicator.hosts.local import LocalStreamProcess, start
from replicator.hosts.pump import sized_pipe

_COMPRESS = ("zstd", "-q", "-3", "-c")
_DECOMPRESS = 'zstd -q -dc | "$@"'


def decompressed_by(receive: Sequence[str]) -> list[str]:
    """Return the remote command that decompresses its stdin and pipes it to the receiver."""
    return ["sh", "-c", _DECOMPRESS, "zsr", *receive]


async def start_compressor(node: str, source: int) -> tuple[StreamProcess, int]:
    """Start zstd on a pipe's read end, which it takes over; return the process and the read end of its output.

    Raises:
        ConfigError: there is no zstd on this node.
    """
    reader, writer = sized_pipe()
    try:
        process = await start(_COMPRESS, stdin=source, stdout=writer)
    except FileNotFoundError:
        os.close(reader)
        raise ConfigError(
            f"Node {node} has no 'zstd', which is to compress its streams.",
            advice="Install it on both nodes (apt install zstd), or remove 'compression' from the cluster file.",
        ) from None
    finally:
        os.close(source)
        os.close(writer)
    return LocalStreamProcess(_COMPRESS, process), reader


class _NoCompressor:
    """The compressor of a stream that is not compressed: it has always ended with success."""

    async def wait(self) -> Completed:
        return Completed((), 0, "", "")

    async def ended(self) -> None:
        await asyncio.sleep(0)

    async def kill(self) -> None:
        await asyncio.sleep(0)


NO_COMPRESSOR: StreamProcess = _NoCompressor()
