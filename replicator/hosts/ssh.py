"""Commands on another node: one open asyncssh connection per node; large streams through an OpenSSH child.

A small stream uses the open connection (no new handshake); a large one gets a process of its own, because
asyncssh encrypts in the event loop while OpenSSH uses another core. Both use the same known_hosts, keys and user.
A changed host key is class ``auth`` and is never overridden.
"""

from __future__ import annotations

import asyncio
import math
import os
import shlex
from asyncio.subprocess import DEVNULL
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import asyncssh

from replicator.config.ssh import SshSettings
from replicator.errors import ConfigError, ConnectionLostError, DeadlineError, NetworkError
from replicator.hosts.host import Completed, StderrTail, StreamProcess
from replicator.hosts.local import LocalStreamProcess, start
from replicator.hosts.ssh_errors import connect_error, openssh_error
from replicator.models import Node

CIPHERS = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com", "chacha20-poly1305@openssh.com", "aes128-ctr")
"""In order of speed on processors with AES instructions (reference/peers.md 4.1)."""

LARGE_STREAM_BYTES = 8 * 1024 * 1024
"""Expected size from which on a stream is worth the twelve round trips of an OpenSSH child."""

_REMOTE_PATH = '"$PATH:/usr/local/sbin:/usr/sbin:/sbin"'
_CONNECTION_LOST = (
    asyncssh.ConnectionLost,
    asyncssh.ChannelOpenError,
    asyncssh.DisconnectError,
    ConnectionError,
    BrokenPipeError,
)


def remote_command(argv: Sequence[str]) -> str:
    """Return an argv as a command line for the remote login shell; every word is quoted."""
    return f"env LC_ALL=C PATH={_REMOTE_PATH} {shlex.join(argv)}"


class SshHost:
    """A node reached over SSH. It connects when needed, and again after a lost connection."""

    def __init__(self, node: Node, settings: SshSettings) -> None:
        self._node = node
        self._settings = settings
        self._connection: asyncssh.SSHClientConnection | None = None
        self._connecting = asyncio.Lock()

    @property
    def name(self) -> str:
        """The node's name."""
        return self._node.name

    @property
    def compression(self) -> str:
        """See `Host.compression`."""
        return self._node.compression

    async def run(self, argv: Sequence[str], *, limit: float, stdin: str = "") -> Completed:
        """See `Host.run`."""
        connection = await self._connect()
        # The remote command has a limit of its own: closing a channel ends nothing on the other side.
        command = remote_command(["timeout", "-k", "5", str(math.ceil(limit) + 1), *argv])
        process: asyncssh.SSHClientProcess[bytes] | None = None
        try:
            async with asyncio.timeout(limit):
                process = await _opened(connection, command)
                with suppress(BrokenPipeError):  # it has ended already; its status gives the reason
                    process.stdin.write(stdin.encode())
                    process.stdin.write_eof()
                done = await process.wait(check=False)
        except TimeoutError:
            raise DeadlineError(
                f"'{' '.join(argv[:3])}' on {self.name} did not end within {limit:.0f} s.", node=self.name
            ) from None
        except (*_CONNECTION_LOST, OSError) as error:
            raise self._lost(error) from error
        finally:
            if process is not None:  # or each cancelled command would keep one of the node's few channels
                process.close()
        if done.exit_status is None and not done.exit_signal:
            raise self._lost(None)
        status = -1 if done.exit_status is None else done.exit_status
        return Completed(tuple(argv), status, _text(done.stdout), _text(done.stderr))

    async def start_source(self, argv: Sequence[str], stdout: int) -> StreamProcess:
        """See `Host.start_source`."""
        try:
            connection = await self._connect()
            with _duplicate(stdout) as copy:
                process = await self._start_remote(connection, argv, stdout=copy)
        except (*_CONNECTION_LOST, OSError) as error:
            raise self._lost(error) from error
        finally:
            os.close(stdout)
        return SshStreamProcess(self, argv, process)

    async def start_sink(self, argv: Sequence[str], stdin: int, *, expected_bytes: int | None) -> StreamProcess:
        """See `Host.start_sink`."""
        try:
            if self._wants_child(expected_bytes):
                return OpenSshStreamProcess(self, argv, await self._start_child(argv, stdin))
            connection = await self._connect()
            with _duplicate(stdin) as copy:
                process = await self._start_remote(connection, argv, stdin=copy)
        except (*_CONNECTION_LOST, OSError) as error:
            raise self._lost(error) from error
        finally:
            os.close(stdin)
        return SshStreamProcess(self, argv, process)

    async def _start_remote(
        self, connection: asyncssh.SSHClientConnection, argv: Sequence[str], **ends: int
    ) -> asyncssh.SSHClientProcess[bytes]:
        """Start a stream's remote process; a server that answers but starts nothing must not block the run."""
        limit = self._settings.connect_timeout
        try:
            async with asyncio.timeout(limit):
                return await connection.create_process(remote_command(argv), encoding=None, **ends)
        except TimeoutError:
            raise self._lost(f"it did not start '{' '.join(argv[:2])}' within {limit:.0f} s") from None

    async def _start_child(self, argv: Sequence[str], stdin: int) -> asyncio.subprocess.Process:
        try:
            return await start(self._openssh(argv), stdin=stdin, stdout=DEVNULL)
        except FileNotFoundError:
            raise ConfigError(
                "This node has no 'ssh', which carries large streams.",
                node=self.name,
                advice='Install it (apt install openssh-client), or set the node\'s stream = "asyncssh".',
            ) from None

    def _wants_child(self, expected_bytes: int | None) -> bool:
        if self._node.stream == "auto":
            return expected_bytes is None or expected_bytes >= LARGE_STREAM_BYTES
        return self._node.stream == "openssh"

    def _openssh(self, argv: Sequence[str]) -> list[str]:
        settings = self._settings
        options = {
            "BatchMode": "yes",
            "StrictHostKeyChecking": "yes",
            "Ciphers": ",".join(CIPHERS),
            "Compression": "no",
            "ConnectTimeout": str(max(1, round(settings.connect_timeout))),
            # Its timer costs a call for every 32 KiB; the open connection's keepalive detects a lost node (`reach`).
            "ServerAliveInterval": "0",
        }
        if settings.known_hosts is not None:
            options |= {"UserKnownHostsFile": f'"{settings.known_hosts}"', "GlobalKnownHostsFile": "/dev/null"}
        command = ["ssh", "-T", "-x", "-p", str(self._node.port)]
        for key, value in options.items():
            command += ["-o", f"{key}={value}"]
        for key in settings.keys:
            command += ["-i", key]
        if not settings.agent:
            command += ["-o", "IdentityAgent=none"]
        return [*command, "--", f"{self._node.user}@{self._node.address}", remote_command(argv)]

    async def probe(self) -> None:
        """See `Host.probe`; a connection that is already open has to answer."""
        connection = await self._connect()
        try:
            async with asyncio.timeout(self._settings.connect_timeout):
                async with connection.create_process("true") as process:
                    await process.wait(check=False)
        except TimeoutError:
            raise NetworkError(f"Node {self.name} does not answer on its open connection.", node=self.name) from None
        except (*_CONNECTION_LOST, OSError) as error:
            raise self._lost(error) from error

    async def reach(self) -> None:
        """See `Host.reach`; the open connection's own keepalive closes it when the node is silent."""
        await self._connect()

    async def close(self) -> None:
        """See `Host.close`."""
        if self._connection is not None:
            self._connection.abort()
            self._connection = None

    async def _connect(self) -> asyncssh.SSHClientConnection:
        async with self._connecting:
            if self._connection is None or self._connection.is_closed():
                self._connection = await self._open()
            return self._connection

    async def _open(self) -> asyncssh.SSHClientConnection:
        settings = self._settings
        node = self._node
        known: dict[str, object] = {"known_hosts": settings.known_hosts or _usual_known_hosts()}
        if settings.keys:
            known["client_keys"] = list(settings.keys)
        if not settings.agent:
            known["agent_path"] = None
        try:
            async with asyncio.timeout(settings.connect_timeout * 2):
                return await asyncssh.connect(
                    node.address,
                    node.port,
                    username=node.user,
                    connect_timeout=settings.connect_timeout,
                    login_timeout=settings.connect_timeout,
                    keepalive_interval=settings.keepalive,
                    keepalive_count_max=3,
                    encryption_algs=list(CIPHERS),
                    compression_algs=["none"],
                    rekey_bytes=16 * 2**30,
                    **known,
                )
        except (TimeoutError, OSError, ValueError, asyncssh.Error) as error:
            raise connect_error(node, error) from error

    def _lost(self, error: BaseException | str | None) -> ConnectionLostError:
        if self._connection is not None:
            self._connection.abort()
            self._connection = None
        reason = f": {error}" if error is not None and str(error) else ""
        return ConnectionLostError(f"The connection to node {self.name} was lost{reason}.", node=self.name)


def _usual_known_hosts() -> list[str] | bytes:
    """Return the files that OpenSSH reads by default; without any, no host key is known."""
    usual = (Path("~/.ssh/known_hosts").expanduser(), Path("/etc/ssh/ssh_known_hosts"))
    return [str(path) for path in usual if path.is_file()] or b""


async def _opened(connection: asyncssh.SSHClientConnection, command: str) -> asyncssh.SSHClientProcess[bytes]:
    """Open a command's channel; after a cancel it is closed as soon as it is open."""
    opening = asyncio.ensure_future(connection.create_process(command, encoding=None))
    try:
        return await asyncio.shield(opening)
    except asyncio.CancelledError:
        opening.add_done_callback(_close_late)
        raise


def _close_late(opening: asyncio.Future[asyncssh.SSHClientProcess[bytes]]) -> None:
    if not opening.cancelled() and opening.exception() is None:
        opening.result().close()


@contextmanager
def _duplicate(descriptor: int) -> Iterator[int]:
    """Duplicate a descriptor that the body hands over; it is closed if the body fails."""
    copy = os.dup(descriptor)
    try:
        yield copy
    except BaseException:
        os.close(copy)
        raise


class SshStreamProcess:
    """A remote process at one end of a stream on the open connection."""

    def __init__(self, host: SshHost, argv: Sequence[str], process: asyncssh.SSHClientProcess[bytes]) -> None:
        self._host = host
        self._argv = tuple(argv)
        self._process = process

    async def wait(self) -> Completed:
        """See `StreamProcess.wait`."""
        tail = StderrTail()
        try:
            while data := await self._process.stderr.read(8192):
                tail.feed(data)
            await self._process.wait_closed()
        except (*_CONNECTION_LOST, OSError) as error:
            raise self._host._lost(error) from error
        status = self._process.exit_status
        if status is None and not self._process.exit_signal:
            raise self._host._lost(None)
        return Completed(self._argv, -1 if status is None else status, "", tail.text())

    async def ended(self) -> None:
        """See `StreamProcess.ended`."""
        await self._process.wait_closed()

    async def kill(self) -> None:
        """See `StreamProcess.kill`."""
        self._process.close()


class OpenSshStreamProcess(LocalStreamProcess):
    """A remote process behind an OpenSSH child. Exit status 255 is the connection's, not the command's."""

    def __init__(self, host: SshHost, argv: Sequence[str], process: asyncio.subprocess.Process) -> None:
        super().__init__(argv, process)
        self._host = host

    async def wait(self) -> Completed:
        """See `StreamProcess.wait`."""
        done = await super().wait()
        if done.status != SSH_FAILED:
            return done
        raise openssh_error(self._host.name, done.stderr)


SSH_FAILED = 255
"""Exit status of the OpenSSH client when the connection failed."""


def _text(data: bytes | str | None) -> str:
    return data.decode(errors="replace") if isinstance(data, bytes) else data or ""
