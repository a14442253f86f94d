"""Commands on another node: one open asyncssh connection per node; large streams through an OpenSSH child.

A small stream uses the open connection (no new handshake); a large one gets a process of its own, because
asyncssh encrypts in the event loop while OpenSSH uses another core. Both use the same known_hosts, keys, user and
configuration (`replicator.hosts.openssh`). A changed host key is class ``auth`` and is never overridden.
"""

from __future__ import annotations

import asyncio
import logging
import math
import os
from asyncio.subprocess import DEVNULL
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import asyncssh

from replicator.config.ssh import SshSettings
from replicator.display import shortened
from replicator.errors import AuthError, ConfigError, ConnectionLostError, DeadlineError, NetworkError, ZsrError
from replicator.hosts.connecting import connect
from replicator.hosts.host import Completed, Host, StderrTail, StreamProcess, read_output
from replicator.hosts.known_hosts import KnownHosts
from replicator.hosts.left_behind import LeftBehind
from replicator.hosts.local import LocalHost, LocalStreamProcess, start
from replicator.hosts.logins import Logins
from replicator.hosts.openssh import openssh_argv, user_config
from replicator.hosts.remote_shell import printed, remote_command
from replicator.hosts.replication_network import Way, ask_address, lies_inside, parse_network
from replicator.hosts.sessions import Sessions
from replicator.hosts.ssh_errors import openssh_error
from replicator.models import Node

_log = logging.getLogger("zsr.ssh")

LARGE_STREAM_BYTES = 8 * 1024 * 1024
"""Expected size from which on a stream is worth the twelve round trips of an OpenSSH child."""

_QUOTED = 200
"""Characters of what a login shell prints that are quoted."""

_CONNECTION_LOST = (
    asyncssh.ConnectionLost,
    asyncssh.ChannelOpenError,
    asyncssh.DisconnectError,
    ConnectionError,
    BrokenPipeError,
)


class SshHost:
    """A node reached over SSH. It connects when needed, and again after a lost connection.

    ``known_hosts``: the reader that all nodes share, so that a bad line is reported once. ``here``: this machine, which
    needs an address in the replication network too.
    """

    def __init__(
        self, node: Node, settings: SshSettings, known_hosts: KnownHosts | None = None, here: Host | None = None
    ) -> None:
        self._node = node
        self._settings = settings
        self._known_hosts = known_hosts or KnownHosts(settings.known_hosts)
        self._here = here or LocalHost("this node")
        self._way = Way(node.address)
        self._connection: asyncssh.SSHClientConnection | None = None
        self._connecting = asyncio.Lock()
        self._sessions = self._new_sessions()
        self._logins = Logins(self._login_files)
        self._left_behind = LeftBehind(node.name)
        self._noise: str | None = None

    @property
    def name(self) -> str:
        """The node's name."""
        return self._node.name

    @property
    def compression(self) -> str:
        """See `Host.compression`."""
        return self._node.compression

    @property
    def noise(self) -> str | None:
        """The beginning of what the login shell last printed of its own; None: nothing so far."""
        return None if self._noise is None else _beginning(self._noise)

    async def run(self, argv: Sequence[str], *, limit: float, stdin: str = "") -> Completed:
        """See `Host.run`; the time in which a session is waited for does not count."""
        await self._left_behind.refuse(argv)
        connection = await self._connect()
        # The remote command has a limit of its own: closing a channel ends nothing on the other side.
        command = remote_command(["timeout", "-k", "5", str(math.ceil(limit) + 1), *argv])
        sessions, words = self._sessions, " ".join(argv[:3])
        process: asyncssh.SSHClientProcess[bytes] | None = None
        try:
            process = await sessions.open(lambda: self._open_session(command, limit))
            async with asyncio.timeout(limit):
                with suppress(BrokenPipeError):  # it has ended already; its status gives the reason
                    process.stdin.write(stdin.encode())
                    process.stdin.write_eof()
                stdout, stderr = await read_output(words, self.name, process.stdout, process.stderr)
                await process.wait_closed()
        except TimeoutError:
            if process is not None:
                self._leave_behind(connection, argv, process)
                sessions.ended(process)
                process = None
            raise DeadlineError(f"'{words}' on {self.name} did not end within {limit:.0f} s.", node=self.name) from None
        except (*_CONNECTION_LOST, OSError) as error:
            raise self._lost(error) from error
        finally:
            if process is not None:  # or each cancelled command would keep one of the node's few channels
                process.close()
                sessions.ended(process)
        if process.exit_status is None and not process.exit_signal:
            raise self._lost(None)
        status = -1 if process.exit_status is None else process.exit_status
        return self._completed(argv, status, stdout, stderr)

    def _leave_behind(
        self,
        connection: asyncssh.SSHClientConnection,
        argv: Sequence[str],
        process: asyncssh.SSHClientProcess[bytes],
    ) -> None:
        """Keep the channel of a command that has not ended in time: only its close shows that the command is gone."""

        def has_ended() -> bool:
            ended = process.exit_status is not None or bool(process.exit_signal) or connection.is_closed()
            if ended:
                process.close()
            return ended

        self._left_behind.add(argv, has_ended)

    def _completed(self, argv: Sequence[str], status: int, stdout: str, stderr: str) -> Completed:
        """Return the result of a command without what its login shell printed.

        Raises:
            ConfigError: the login shell did something else than what it was given, and well.
        """
        output = printed(stdout)
        if status == 0 and not output.begun:
            raise ConfigError(
                f"The login shell of node {self.name} prints text: {_beginning(stdout)!r}, and does not run commands.",
                node=self.name,
                advice="Check the shell of that user there, and ForceCommand in its sshd_config.",
            )
        if output.noise and output.noise != self._noise:
            self._noise = output.noise
            text = _beginning(output.noise)
            _log.warning("The login shell of node %s prints text: %r; remove it from its profile.", self.name, text)
        return Completed(tuple(argv), status, output.text, printed(stderr).text)

    async def start_source(self, argv: Sequence[str], stdout: int) -> StreamProcess:
        """See `Host.start_source`."""
        try:
            return await self._start_stream(argv, {"stdout": stdout})
        finally:
            os.close(stdout)

    async def start_sink(
        self, argv: Sequence[str], stdin: int, *, expected_bytes: int | None, stdout: int | None = None
    ) -> StreamProcess:
        """See `Host.start_sink`."""
        ends = {"stdin": stdin} if stdout is None else {"stdin": stdin, "stdout": stdout}
        try:
            if stdout is None and self._wants_child(expected_bytes):
                if self._node.replication_network is not None:  # its address in there is found by connecting
                    await self._connect()
                self._logins.refuse_too_soon()
                return OpenSshStreamProcess(self, argv, await self._start_child(argv, stdin))
            return await self._start_stream(argv, ends)
        finally:
            for descriptor in ends.values():
                os.close(descriptor)

    async def _start_stream(self, argv: Sequence[str], ends: Mapping[str, int]) -> StreamProcess:
        """Start a stream's remote process; a server that answers but starts nothing must not block the run."""
        limit, command = self._settings.connect_timeout, remote_command(argv, marked=False)

        async def attempt() -> asyncssh.SSHClientProcess[bytes]:
            with _duplicates(ends) as copies:
                connection = await self._connect()
                async with asyncio.timeout(limit):
                    return await connection.create_process(command, encoding=None, **copies)

        try:
            await self._connect()
            sessions = self._sessions
            return SshStreamProcess(self, sessions, argv, await sessions.open(attempt))
        except TimeoutError:
            raise self._lost(f"it did not start '{' '.join(argv[:2])}' within {limit:.0f} s") from None
        except (*_CONNECTION_LOST, OSError) as error:
            raise self._lost(error) from error

    async def _open_session(self, command: str, limit: float) -> asyncssh.SSHClientProcess[bytes]:
        connection = await self._connect()
        async with asyncio.timeout(limit):
            return await _opened(connection, command)

    async def _start_child(self, argv: Sequence[str], stdin: int) -> asyncio.subprocess.Process:
        command = remote_command(argv, marked=False)
        try:
            child = openssh_argv(self._node, self._settings, self._known_hosts.files(), command, self._way)
            return await start(child, stdin=stdin, stdout=DEVNULL)
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

    async def probe(self) -> None:
        """See `Host.probe`; a connection that is already open has to answer."""
        connection = await self._connect()
        try:
            async with asyncio.timeout(self._settings.connect_timeout):
                async with connection.create_process(remote_command(["true"])) as process:
                    await process.wait(check=False)
        except asyncssh.ChannelOpenError as error:  # to refuse a session is an answer
            if connection.is_closed():
                raise self._lost(error) from error
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
                self._logins.refuse_too_soon()
                try:
                    self._connection = await self._open()
                except ZsrError as error:
                    raise self._logins.failed(error) from error
                self._logins.succeeded()
                self._sessions = self._new_sessions()
            return self._connection

    async def _open(self) -> asyncssh.SSHClientConnection:
        self._way = await self._find_way()
        return await connect(self._node, self._way, self._settings, self._known_hosts)

    async def _find_way(self) -> Way:
        """Return the addresses to connect: the node's own, or those in the replication network."""
        node, limit = self._node, self._settings.connect_timeout
        if node.replication_network is None:
            return Way(node.address)
        network = parse_network(node.replication_network)
        here = await ask_address(network, self._here, limit=limit)
        if lies_inside(node.address, network):
            return Way(node.address, here)
        asked = SshHost(replace(node, replication_network=None), self._settings, self._known_hosts)
        try:
            return Way(await ask_address(network, asked, limit=limit), here)
        except NetworkError:
            if self._way.here is None:
                raise
            return replace(self._way, here=here)  # it answers nowhere else, but had this address before
        finally:
            await asked.close()

    def _new_sessions(self) -> Sessions:
        """Return the sessions of a new connection; a lost one allows no other."""
        connection = self._connection
        is_lost = (lambda: True) if connection is None else connection.is_closed
        return Sessions(self.name, is_lost, patience=self._settings.connect_timeout)

    def _login_files(self) -> list[Path]:
        """Return the files here that decide whether a login succeeds."""
        keys = [Path(key) for key in self._settings.keys] or list(Path("~/.ssh").expanduser().glob("id_*"))
        config = user_config()
        return [*keys, *self._known_hosts.files(), *([] if config is None else [config])]

    def login_failed(self, error: AuthError) -> None:
        """Note that the OpenSSH child was refused: no job asks this node again at once."""
        self._logins.failed(error)

    def _lost(self, error: BaseException | str | None) -> ConnectionLostError:
        if self._connection is not None:
            self._connection.abort()
            self._connection = None
        reason = f": {error}" if error is not None and str(error) else ""
        return ConnectionLostError(f"The connection to node {self.name} was lost{reason}.", node=self.name)


def _beginning(text: str) -> str:
    """Return the beginning of a text that is quoted in a sentence."""
    return shortened(text.strip(), _QUOTED)


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
def _duplicates(ends: Mapping[str, int]) -> Iterator[dict[str, int]]:
    """Duplicate descriptors that the body hands over; they are closed if the body fails."""
    copies = {end: os.dup(descriptor) for end, descriptor in ends.items()}
    try:
        yield copies
    except BaseException:
        for copy in copies.values():
            os.close(copy)
        raise


class SshStreamProcess:
    """A remote process at one end of a stream on the open connection."""

    def __init__(
        self, host: SshHost, sessions: Sessions, argv: Sequence[str], process: asyncssh.SSHClientProcess[bytes]
    ) -> None:
        self._host = host
        self._sessions = sessions
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
        finally:
            self._sessions.ended(self._process)
        status = self._process.exit_status
        if status is None and not self._process.exit_signal:
            raise self._host._lost(None)
        return Completed(self._argv, -1 if status is None else status, "", printed(tail.text()).text)

    async def ended(self) -> None:
        """See `StreamProcess.ended`."""
        await self._process.wait_closed()

    async def kill(self) -> None:
        """See `StreamProcess.kill`."""
        self._process.close()
        self._sessions.ended(self._process)


class OpenSshStreamProcess(LocalStreamProcess):
    """A remote process behind an OpenSSH child. Exit status 255 is the connection's, not the command's."""

    def __init__(self, host: SshHost, argv: Sequence[str], process: asyncio.subprocess.Process) -> None:
        super().__init__(argv, process)
        self._host = host

    async def wait(self) -> Completed:
        """See `StreamProcess.wait`."""
        done = await super().wait()
        output = printed(done.stderr)
        if done.status != SSH_FAILED:
            return replace(done, stderr=output.text)
        error = openssh_error(self._host.name, output.text)
        if isinstance(error, AuthError):
            self._host.login_failed(error)
        raise error


SSH_FAILED = 255
"""Exit status of the OpenSSH client when the connection failed."""
