"""A remote host over SSH: a cancelled command leaves nothing behind, and each failure has its class.

The server is asyncssh's own, in this process, since a real one does not refuse a channel or ignore its client on
request; real ones are in tests/lab.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from replicator.config.ssh import SshSettings
from replicator.errors import ConfigError, DeadlineError, ErrorClass, HostKeyError, NetworkError, ZfsError, ZsrError
from replicator.hosts import ssh
from replicator.hosts.host import STDERR_KEPT
from replicator.hosts.pump import sized_pipe
from replicator.hosts.ssh import SshHost
from replicator.hosts.ssh_errors import connect_error, openssh_error
from replicator.models import Node


class Server:
    """Counts the commands that run; refuses new sessions on request.

    They never end by themselves, unless a ``status`` is given with which they end at once. Those that are ``endless``
    print without end, to stdout or stderr.
    """

    def __init__(self) -> None:
        self.status: int | None = None
        self.endless: str | None = None
        self.going = 0
        self.begun = 0
        self.refuse = False
        self.begins_nothing = False
        self.changed = asyncio.Event()

    def make(self) -> asyncssh.SSHServer:
        """The server's side of a connection."""
        return _Door(self)

    async def hang(self, stdin: Any, stdout: Any, stderr: Any) -> None:
        """What every command does: nothing, until its channel is closed."""
        if self.endless is not None:
            await self._print({"stdout": stdout, "stderr": stderr}[self.endless])
        if self.status is not None:
            stdin.channel.exit(self.status)
        self._count(1)
        try:
            await stdin.channel.wait_closed()
        finally:
            self._count(-1)

    async def _print(self, to: Any) -> None:
        with suppress(OSError, asyncssh.Error):  # nobody reads it any more
            for _ in range(200 if self.status is not None else 10**9):
                to.write(b"x" * 65536)
                await to.drain()

    async def until(self, going: int) -> None:
        """Wait until so many commands run."""
        async with asyncio.timeout(10):
            while self.going != going:
                self.changed.clear()
                await self.changed.wait()

    def _count(self, more: int) -> None:
        self.going += more
        self.begun += max(0, more)
        self.changed.set()


class _Door(asyncssh.SSHServer):
    """Lets everybody in."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def begin_auth(self, username: str) -> bool:
        return False

    async def _never(self) -> Any:
        await asyncio.Event().wait()

    def session_requested(self) -> Any:
        if self._server.begins_nothing:
            return self._never()
        return False if self._server.refuse else self._server.hang


@pytest.fixture
def server() -> Server:
    """What the far end does."""
    return Server()


@pytest.fixture
async def host(server: Server, tmp_path: Path) -> AsyncIterator[SshHost]:
    """A host behind that server."""
    key = asyncssh.generate_private_key("ssh-ed25519")
    listening = await asyncssh.listen("127.0.0.1", 0, server_factory=server.make, server_host_keys=[key], encoding=None)
    port = listening.get_port()
    public = key.export_public_key().decode().split()
    (tmp_path / "known hosts").write_text(f"[127.0.0.1]:{port} {public[0]} {public[1]}\n")
    settings = SshSettings(known_hosts=str(tmp_path / "known hosts"), agent=False, connect_timeout=5.0)
    far = SshHost(Node("beta", "127.0.0.1", port, stream="asyncssh"), settings)
    yield far
    await far.close()
    listening.close()
    await listening.wait_closed()


def open_descriptors() -> int:
    """How many descriptors this process has open."""
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


async def test_commands_that_do_not_end_in_time_leave_one_session_until_it_ends(host: SshHost, server: Server) -> None:
    for _ in range(3):
        with pytest.raises(DeadlineError):
            await host.run(["zfs", "list"], limit=0.3)
    assert server.begun == 1
    await host.close()
    await server.until(0)


async def test_what_a_command_prints_without_end_does_not_fill_the_memory(
    host: SshHost, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("replicator.hosts.host.STDOUT_LIMIT", 2**20)
    server.endless = "stdout"
    with pytest.raises(ZfsError, match=r"'zfs list -H' on beta printed more than 1 MiB\."):
        await host.run(["zfs", "list", "-H"], limit=20)
    server.endless, server.status = "stderr", 1
    done = await host.run(["zfs", "list"], limit=20)
    assert (done.status, done.stdout, len(done.stderr)) == (1, "", STDERR_KEPT)


async def test_a_host_is_reached_by_the_open_connection_or_a_new_one_or_fails(host: SshHost, server: Server) -> None:
    await host.reach()
    first = host._connection
    await host.reach()
    assert host._connection is first
    assert first is not None
    first.abort()
    await first.wait_closed()
    await host.reach()
    assert host._connection is not first
    gone = SshHost(Node("beta", "127.0.0.1", 1), SshSettings(connect_timeout=1.0))
    with pytest.raises(NetworkError):
        await gone.reach()


async def test_a_cancelled_command_leaves_no_session_behind(host: SshHost, server: Server) -> None:
    task = asyncio.create_task(host.run(["zfs", "list"], limit=60))
    await server.until(1)
    task.cancel()
    await server.until(0)
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_command_that_ended_before_it_was_given_its_input_reports_its_status(
    host: SshHost, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = ssh._opened

    async def opened_late(connection: Any, command: str) -> Any:
        """A loop that was busy when the command ended: no real one can be made so at will."""
        process = await opened(connection, command)
        await process.wait_closed()
        return process

    monkeypatch.setattr(ssh, "_opened", opened_late)
    server.status = 3
    done = await host.run(["zfs", "program"], limit=10, stdin="return 1")
    assert done.status == 3


async def test_a_refused_channel_leaves_no_descriptor_behind(host: SshHost, server: Server) -> None:
    with pytest.raises(DeadlineError):
        await host.run(["true"], limit=0.3)
    before = open_descriptors()
    server.refuse = True
    reader, writer = sized_pipe()
    with pytest.raises(NetworkError):
        await host.start_sink(["zfs", "receive"], reader, expected_bytes=1)
    os.close(writer)
    assert open_descriptors() <= before


async def test_a_server_that_answers_but_begins_no_stream_is_given_up(
    host: SshHost, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    await host.reach()
    monkeypatch.setattr(host, "_settings", replace(host._settings, connect_timeout=0.5))
    server.begins_nothing = True
    before = open_descriptors()
    reader, writer = sized_pipe()
    with pytest.raises(NetworkError, match="did not start 'zfs receive'"):
        await host.start_sink(["zfs", "receive"], reader, expected_bytes=1)
    os.close(writer)
    assert open_descriptors() <= before


async def test_a_key_file_that_is_none_is_reported_as_a_wrong_setting(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("no key\n")
    (tmp_path / "known").write_text("")
    for key in ("key", "missing"):
        settings = SshSettings(keys=(str(tmp_path / key),), known_hosts=str(tmp_path / "known"), agent=False)
        with pytest.raises(ConfigError, match="SSH key"):
            await SshHost(Node("beta", "127.0.0.1", 1), settings).run(["true"], limit=5)


async def test_a_missing_ssh_client_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("replicator.hosts.local._SBIN", str(tmp_path))
    reader, writer = sized_pipe()
    host = SshHost(Node("beta", "127.0.0.1", 1, stream="openssh"), SshSettings())
    with pytest.raises(ConfigError, match="no 'ssh'"):
        await host.start_sink(["zfs", "receive"], reader, expected_bytes=None)
    os.close(writer)


WORDS = [
    ("Host key verification failed.", ErrorClass.AUTH),
    ("@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @", ErrorClass.AUTH),
    ("No ED25519 host key is known for beta and you have requested strict checking.", ErrorClass.AUTH),
    ("root@beta: Permission denied (publickey,password).", ErrorClass.AUTH),
    ("Received disconnect from 10.0.0.12 port 22:2: Too many authentication failures", ErrorClass.AUTH),
    ("ssh: connect to host beta port 22: Connection refused", ErrorClass.NETWORK),
    ("ssh: connect to host beta port 22: Connection timed out", ErrorClass.NETWORK),
    ("ssh: connect to host beta port 22: No route to host", ErrorClass.NETWORK),
    ("ssh: Could not resolve hostname beta: Name or service not known", ErrorClass.NETWORK),
    ("Timeout, server beta not responding.", ErrorClass.NETWORK),
    ("client_loop: send disconnect: Broken pipe", ErrorClass.NETWORK),
    ("Connection to beta closed by remote host.", ErrorClass.NETWORK),
    ("kex_exchange_identification: read: Connection reset by peer", ErrorClass.NETWORK),
    ("Unable to negotiate with 10.0.0.12 port 22: no matching cipher found. Their offer: 3des-cbc", ErrorClass.CONFIG),
    ('Load key "/root/key": error in libcrypto', ErrorClass.CONFIG),
    ("command-line line 0: Bad configuration option: nonsense", ErrorClass.CONFIG),
    ("", ErrorClass.NETWORK),
    ("words that were never seen", ErrorClass.NETWORK),
]


@pytest.mark.parametrize(("stderr", "error_class"), WORDS)
def test_each_word_of_the_openssh_client_has_its_class_and_advice(stderr: str, error_class: ErrorClass) -> None:
    error = openssh_error("beta", f"some banner\n{stderr}\n" if stderr else "")
    assert error.error_class is error_class
    assert "beta" in error.what
    assert error.advice


@pytest.mark.parametrize(
    ("raised", "error_class"),
    [
        (asyncssh.HostKeyNotVerifiable("changed"), ErrorClass.AUTH),
        (asyncssh.PermissionDenied("no key fits"), ErrorClass.AUTH),
        (TimeoutError(), ErrorClass.NETWORK),
        (ConnectionRefusedError(111, "Connection refused"), ErrorClass.NETWORK),
        (OSError(113, "No route to host"), ErrorClass.NETWORK),
        (asyncssh.ConnectionLost("gone"), ErrorClass.NETWORK),
        (asyncssh.KeyImportError("Invalid private key"), ErrorClass.CONFIG),
        (PermissionError(13, "Permission denied", "/root/key"), ErrorClass.CONFIG),
        (ValueError("Unknown cipher"), ErrorClass.CONFIG),
    ],
)
def test_each_way_a_connection_cannot_be_made_has_its_class(raised: Exception, error_class: ErrorClass) -> None:
    error: ZsrError = connect_error(Node("beta", "10.0.0.12"), raised)
    assert error.error_class is error_class
    assert "beta" in error.what
    assert error.advice


def test_a_host_key_that_is_not_known_is_not_called_a_wrong_one() -> None:
    node = Node("beta", "10.0.0.12", 2222)
    error = connect_error(node, asyncssh.HostKeyNotVerifiable("Host key is not trusted"), key_is_known=False)

    assert isinstance(error, HostKeyError)
    assert error.what == "known_hosts has no key of node beta (10.0.0.12, port 2222)."
    assert error.advice.endswith(": ssh -p 2222 root@10.0.0.12")


def test_an_error_of_the_system_is_in_words_and_not_in_those_of_python() -> None:
    error = connect_error(Node("beta", "10.0.0.12"), OSError(113, "Connect call failed ('10.0.0.12', 22)"))

    assert error.what == "Could not connect to node beta (10.0.0.12, port 22): No route to host."
