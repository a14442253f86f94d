"""The memory of the process that moves 4 GiB to an SSH server on loopback, both ways; `python -m bench.memory`.

The server is asyncssh's in a process of its own: its own speed is not part of the measurement.
"""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import asyncssh

from bench.env import save
from bench.pump import GIB, producer, resident
from replicator.config.ssh import SshSettings
from replicator.hosts.local import LocalHost
from replicator.hosts.ssh import SshHost
from replicator.hosts.stream import Limits, stream
from replicator.models import Node


async def _swallow(process: asyncssh.SSHServerProcess[bytes]) -> None:
    """Read all that comes and end well, whatever the command was."""
    while await process.stdin.read(2**20):
        pass
    process.exit(0)


async def _serve(folder: Path) -> None:
    server = await asyncssh.listen(
        "127.0.0.1",
        0,
        server_host_keys=[str(folder / "key")],
        authorized_client_keys=str(folder / "key.pub"),
        process_factory=_swallow,
        encoding=None,
    )
    sys.stdout.write(f"{server.get_port()}\n")
    sys.stdout.flush()
    await server.wait_closed()


async def _grown(node: Node, settings: SshSettings, size: int) -> dict[str, object]:
    """Seconds, own processor time and the memory before, at most and after, all of one transfer."""
    far = SshHost(node, settings)
    seen: list[int] = []

    async def move(count: int) -> None:
        end = await stream(
            LocalHost("here"),
            producer(count),
            far,
            ["cat"],
            limits=Limits(rate=None, stall=60.0),
            expected_bytes=count,
            on_progress=lambda _: seen.append(resident()),
        )
        if end.moved != count or not end.receiver.ok:
            raise AssertionError(f"{end}")

    try:
        await move(GIB // 4)  # memory that is loaded and filled once is no growth
        before, begin, own = resident(), time.monotonic(), time.process_time()
        seen.clear()
        await move(size)
        return {
            "stream": node.stream,
            "gib": size / GIB,
            "seconds": round(time.monotonic() - begin, 1),
            "own_cpu_seconds_per_gib": round((time.process_time() - own) / size * GIB, 2),
            "grown_mib": round((max(seen) - before) / 2**20, 2),
            "after_mib": round((resident() - before) / 2**20, 2),
        }
    finally:
        await far.close()


def measure(size: int) -> list[dict[str, object]]:
    """Both ways of the bytes, against a server that lives as long."""
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        key = asyncssh.generate_private_key("ssh-ed25519")
        key.write_private_key(folder / "key")
        (folder / "key").chmod(0o600)
        key.write_public_key(folder / "key.pub")
        argv = [sys.executable, "-m", "bench.memory", "--serve", temporary]
        with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as server:
            try:
                port = int(server.stdout.readline()) if server.stdout is not None else 0
                known = f"[127.0.0.1]:{port} {key.export_public_key().decode()}"
                (folder / "known").write_text(known)
                settings = SshSettings(str(folder / "known"), (str(folder / "key"),), agent=False)
                return [
                    asyncio.run(_grown(Node("there", "127.0.0.1", port, "root", stream=way), settings, size))
                    for way in ("asyncssh", "openssh")
                ]
            finally:
                server.terminate()


def main() -> None:
    """Measure and write bench/results/memory.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gib", type=float, default=4)
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve is not None:
        with suppress(KeyboardInterrupt):
            asyncio.run(_serve(options.serve))
        return
    result = measure(int(options.gib * GIB))
    sys.stdout.write(f"{result}\nwritten: {save('memory', {'memory': result})}\n")


if __name__ == "__main__":
    main()
