"""Real OpenSSH servers: few sessions, odd shells, banners, refused logins, the user's own configuration."""

from __future__ import annotations

import asyncio
import logging
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import asyncssh
import pytest

from replicator.errors import AuthError, ConfigError, DeadlineError, HostKeyError, NetworkError, ZsrError
from replicator.hosts import sessions
from replicator.hosts.host import Completed
from replicator.hosts.local import LocalHost
from replicator.hosts.logins import Logins
from replicator.hosts.remote_shell import remote_command
from replicator.hosts.ssh import SshHost
from replicator.hosts.stream import Limits, StreamEnd, stream
from tests.support.daemon_env import until
from tests.support.openssh_server import OpenSshServer, openssh_server

pytestmark = pytest.mark.usefixtures("home")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The home of a user without any configuration."""
    (tmp_path / "home" / ".ssh").mkdir(parents=True, mode=0o700)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[OpenSshServer]:
    """A server with the settings of Debian."""
    (tmp_path / "server").mkdir()
    with openssh_server(tmp_path / "server") as running:
        yield running


@asynccontextmanager
async def connected(server: OpenSshServer, how: str = "auto") -> AsyncIterator[SshHost]:
    """A host behind a server."""
    host = SshHost(server.by(how), server.settings)
    try:
        yield host
    finally:
        await host.close()


async def sent(host: SshHost, text: str, receive: str) -> StreamEnd:
    """What a stream of a text to a remote script ends with."""
    return await stream(
        LocalHost("alpha"),
        ["printf", "%s", text],
        host,
        ["sh", "-c", receive],
        limits=Limits(None, 20.0),
        expected_bytes=None,
        on_progress=lambda _: None,
    )


async def begun(group: asyncio.TaskGroup, host: SshHost, mark: Path, script: str) -> asyncio.Task[Completed]:
    """A remote script that has begun."""
    task = group.create_task(host.run(["sh", "-c", f"touch {mark}; {script}"], limit=30))
    async with asyncio.timeout(20):
        await until(mark.exists)
    return task


class TestFewSessions:
    async def test_refused_commands_wait_for_their_turn_and_disturb_nobody(self, tmp_path: Path) -> None:
        with openssh_server(tmp_path, "MaxSessions 2") as server:
            async with connected(server) as host:
                async with asyncio.TaskGroup() as group:
                    first = await begun(group, host, tmp_path / "mark", "sleep 1; echo first")
                    connection = host._connection
                    rest = [
                        group.create_task(host.run(["sh", "-c", f"sleep 0.1; echo {n}"], limit=20)) for n in range(8)
                    ]
                assert first.result().stdout == "first\n"
                assert [task.result().stdout for task in rest] == [f"{n}\n" for n in range(8)]
                assert host._connection is connection
        assert "no more sessions" in server.log

    async def test_the_wait_for_a_turn_does_not_count_as_the_command_s_time(self, tmp_path: Path) -> None:
        with openssh_server(tmp_path, "MaxSessions 1") as server:
            async with connected(server) as host, asyncio.TaskGroup() as group:
                await begun(group, host, tmp_path / "mark", "sleep 5")
                assert (await host.run(["echo", "late"], limit=4)).stdout == "late\n"

    async def test_streams_wait_for_their_turn_too(self, tmp_path: Path) -> None:
        with openssh_server(tmp_path, "MaxSessions 2") as server:
            async with connected(server, "asyncssh") as host, asyncio.TaskGroup() as group:
                tasks = [group.create_task(sent(host, f"{n}", f"cat > {tmp_path}/out{n}; sleep 0.3")) for n in range(6)]
            assert all(task.result().receiver.ok for task in tasks)
            assert [(tmp_path / f"out{n}").read_text() for n in range(6)] == [f"{n}" for n in range(6)]

    async def test_a_probe_takes_a_refused_session_for_an_answer(self, tmp_path: Path) -> None:
        with openssh_server(tmp_path, "MaxSessions 1") as server:
            async with connected(server) as host, asyncio.TaskGroup() as group:
                task = await begun(group, host, tmp_path / "mark", "sleep 3")
                await host.probe()
                assert not task.done()

    async def test_a_server_that_allows_none_is_reported_after_a_while(self, tmp_path: Path) -> None:
        with openssh_server(tmp_path, "MaxSessions 0") as server:
            few = replace(server, settings=replace(server.settings, connect_timeout=1.0))
            async with connected(few) as host:
                with pytest.raises(NetworkError, match="Node beta refuses to start commands"):
                    await host.run(["true"], limit=5)
            async with connected(few, "asyncssh") as host:
                with pytest.raises(NetworkError, match="refuses to start commands"):
                    await sent(host, "x", "cat")

    async def test_a_cancelled_wait_gives_its_turn_to_the_next(self, tmp_path: Path) -> None:
        with openssh_server(tmp_path, "MaxSessions 1") as server:
            async with connected(server) as host, asyncio.TaskGroup() as group:
                await begun(group, host, tmp_path / "mark", "sleep 2")
                waiting = group.create_task(host.run(["echo", "never"], limit=20))
                behind = group.create_task(host.run(["echo", "behind"], limit=20))
                await asyncio.sleep(0.2)
                waiting.cancel()
                assert (await behind).stdout == "behind\n"


@pytest.mark.parametrize("how", ["asyncssh", "openssh"])
class TestOddServers:
    @pytest.mark.parametrize("shell", ["bash", "dash", "tcsh", "fish", "zsh"])
    async def test_any_login_shell_does(self, tmp_path: Path, how: str, shell: str) -> None:
        if shutil.which(shell) is None:
            pytest.skip(f"no {shell}")
        force = f'ForceCommand exec {shell} -c "$SSH_ORIGINAL_COMMAND"'
        with openssh_server(tmp_path, force) as server:
            async with connected(server, how) as host:
                done = await host.run(["sh", "-c", 'echo "$1"; cat', "sh", "it's\n100%! \\o/"], limit=20, stdin="in")
                assert done.stdout == "it's\n100%! \\o/\nin"
                assert (await sent(host, "data", f"cat > '{tmp_path}/out put'")).receiver.ok
        assert (tmp_path / "out put").read_text() == "data"

    async def test_the_words_of_a_banner_and_a_profile_are_not_those_of_zfs(self, tmp_path: Path, how: str) -> None:
        (tmp_path / "banner").write_text("*****\nThis disk is encrypted: key not loaded. Permission denied to all.\n")
        noise = 'ForceCommand echo hello; echo dataset is busy >&2; eval "$SSH_ORIGINAL_COMMAND"'
        with openssh_server(tmp_path, f"Banner {tmp_path}/banner", noise) as server:
            async with connected(server, how) as host:
                end = await sent(host, "data", "cat >/dev/null; echo cannot receive: out of space >&2; exit 1")
        assert end.receiver == Completed(end.receiver.argv, 1, "", "cannot receive: out of space\n")

    async def test_a_lost_connection_is_no_refused_login_whatever_the_banner_says(
        self, tmp_path: Path, how: str
    ) -> None:
        (tmp_path / "banner").write_text("Permission denied to all others.\n")
        with openssh_server(tmp_path, f"Banner {tmp_path}/banner") as server:
            async with connected(server, how) as host:
                with pytest.raises(NetworkError):
                    await sent(host, "data", "kill -9 $(cut -d' ' -f4 /proc/$PPID/stat) $PPID; sleep 9")

    @pytest.mark.parametrize(
        "line",
        [
            "ControlMaster auto\nControlPath {folder}/master-%C\nControlPersist 60",
            "RemoteCommand echo other",
            "LocalForward 127.0.0.1:{port} 127.0.0.1:1\nExitOnForwardFailure yes",
            "RequestTTY force",
            "PermitLocalCommand yes\nLocalCommand touch {folder}/local",
            "LogLevel DEBUG3",
            "StrictHostKeyChecking no\nUserKnownHostsFile /dev/null",
            "SetEnv LC_ALL=de_DE.UTF-8 X=1\nSendEnv *",
            "ForwardAgent yes\nForwardX11 yes\nCompression yes\nVisualHostKey yes",
            "Port 1\nUser nobody",
        ],
    )
    async def test_the_user_s_comforts_do_not_count(
        self, server: OpenSshServer, home: Path, how: str, line: str
    ) -> None:
        text = line.format(folder=server.folder, port=server.node.port)
        (home / ".ssh" / "config").write_text(f"Host *\n{text}\n")
        async with connected(server, how) as host:
            end = await sent(host, "data", f"cat > {server.folder}/out; echo words >&2; exit 3")
            assert (end.receiver.status, end.receiver.stderr) == (3, "words\n")
            assert (await host.run(["echo", "out"], limit=9)).stdout == "out\n"
        assert (server.folder / "out").read_text() == "data"
        assert not (server.folder / "local").exists()
        assert not list(server.folder.glob("master-*"))

    async def test_what_a_connection_needs_is_read_from_the_user_s_configuration(
        self, server: OpenSshServer, home: Path, how: str
    ) -> None:
        key = server.folder / "key"
        text = f"Host far\n  HostName 127.0.0.1\n  HostKeyAlias [127.0.0.1]:{server.node.port}\n  IdentityFile {key}\n"
        (home / ".ssh" / "config").write_text(text)
        node = replace(server.by(how), address="far")
        host = SshHost(node, replace(server.settings, keys=()))
        assert (await sent(host, "data", "cat >/dev/null; exit 3")).receiver.status == 3
        await host.close()

    @pytest.mark.parametrize(
        ("bad", "why"),
        [
            ("node9", "Invalid known hosts entry"),
            ("=======", "Invalid known hosts entry"),
            ("|1|AAAA ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA", "is skipped"),
            ("@other * ssh-ed25519 AAAA", "Invalid known hosts marker"),
            ("b\u00fccher", "Invalid known hosts entry"),
        ],
    )
    async def test_a_bad_line_in_known_hosts_is_skipped_with_a_warning(
        self, server: OpenSshServer, how: str, bad: str, why: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        path = server.folder / "known_hosts"
        path.write_text(f"# a comment\n{bad}\n{path.read_text()}", encoding="latin-1")
        with caplog.at_level(logging.WARNING):
            async with connected(server, how) as host:
                for _ in range(2):
                    assert (await host.run(["echo", "x"], limit=9)).ok
                    assert (await sent(host, "data", "cat >/dev/null")).receiver.ok
                    await host.close()
        if "AAAAC3" not in bad:  # a damaged key alone is skipped in silence
            assert [f"Line 2 of '{path}'" in message for message in caplog.messages] == [True]
            assert why in caplog.messages[0]


async def test_a_known_hosts_file_that_cannot_be_read_is_named(server: OpenSshServer) -> None:
    host = SshHost(server.node, replace(server.settings, known_hosts=f"{server.folder}/none"))
    with pytest.raises(ConfigError, match=r"known host keys in '.*/none' cannot be read"):
        await host.run(["true"], limit=5)


async def test_a_shell_that_prints_is_reported_once_and_its_text_is_skipped(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with openssh_server(tmp_path, 'ForceCommand echo hello; eval "$SSH_ORIGINAL_COMMAND"') as server:
        async with connected(server) as host:
            for _ in range(2):
                assert (await host.run(["echo", "data"], limit=9)).stdout == "data\n"
    assert caplog.messages == ["The login shell of node beta prints text: 'hello'; remove it from its profile."]


async def test_a_shell_that_runs_something_else_is_an_error_with_its_words(tmp_path: Path) -> None:
    with openssh_server(tmp_path, "ForceCommand echo Welcome") as server:
        async with connected(server) as host:
            with pytest.raises(ConfigError, match="The login shell of node beta prints text: 'Welcome'"):
                await host.run(["zfs", "list"], limit=9)


class TestRefusedLogins:
    @staticmethod
    async def _refused(host: SshHost, times: int = 5) -> list[ZsrError]:
        found = []
        for _ in range(times):
            try:
                await host.run(["true"], limit=5)
            except ZsrError as error:
                found.append(error)
        return found

    async def test_after_one_the_node_is_not_asked_by_every_job(self, server: OpenSshServer) -> None:
        server.authorized_keys.write_text("")
        async with connected(server) as host:
            errors = await asyncio.gather(*(self._refused(host) for _ in range(4)))
        assert {type(error) for some in errors for error in some} == {AuthError}
        assert sum(map(len, errors)) == 20
        assert server.log.count("Failed publickey") == 1

    async def test_a_key_put_right_there_counts_after_the_pause(self, server: OpenSshServer) -> None:
        keys = server.authorized_keys.read_text()
        server.authorized_keys.write_text("")
        async with connected(server) as host:
            now = 0.0
            host._logins = Logins(host._login_files, clock=lambda: now)
            assert len(await self._refused(host)) == 5
            server.authorized_keys.write_text(keys)
            assert len(await self._refused(host, 1)) == 1
            now = 16.0
            assert not await self._refused(host)

    async def test_a_key_changed_here_counts_at_once(self, server: OpenSshServer) -> None:
        good = (server.folder / "key").read_bytes()
        other = asyncssh.generate_private_key("ssh-ed25519").export_private_key()
        (server.folder / "key").write_bytes(other)
        async with connected(server) as host:
            assert len(await self._refused(host)) == 5
            (server.folder / "key").write_bytes(good)
            assert not await self._refused(host)

    async def test_the_child_s_refused_login_counts_for_all(self, server: OpenSshServer) -> None:
        async with connected(server, "openssh") as host:
            await host.reach()
            server.authorized_keys.write_text("")
            for _ in range(3):
                with pytest.raises(AuthError):
                    await sent(host, "x", "cat")
        assert server.log.count("Failed publickey") == 1


def test_a_server_that_closes_connections_after_a_refusal_bans_us_and_the_class_stays() -> None:
    logins = Logins(list, clock=lambda: 0.0)
    refused = AuthError("Node beta refused user root.", node="beta")
    reset = NetworkError("Could not connect to node beta: Connection reset by peer.", node="beta")
    assert logins.failed(reset) is reset
    logins.failed(refused)
    assert isinstance(logins.failed(reset), AuthError)
    silent = NetworkError("Could not connect to node beta: no answer in time.", node="beta")
    assert logins.failed(silent) is silent
    assert logins.failed(reset) is reset


class TestHangingCommands:
    """A process that ignores its end stands for one in the kernel's hands: no real one can be made at will."""

    async def test_one_is_not_started_again_before_it_has_ended(
        self, server: OpenSshServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("replicator.hosts.ssh.remote_command", _without_limit)
        monkeypatch.setattr("replicator.hosts.left_behind.DYING_SECONDS", 0.0)
        script = f"echo x >> {server.folder}/begun; while [ ! -e {server.folder}/go ]; do sleep 0.1; done"
        async with connected(server) as host:
            for _ in range(4):
                with pytest.raises(DeadlineError):
                    await host.run(["sh", "-c", script], limit=0.5)
            with pytest.raises(DeadlineError, match=r"has not ended; it is not started again before that\."):
                await host.run(["sh", "-c", script], limit=0.5)
            assert (await host.run(["echo", "other"], limit=5)).ok
            assert (server.folder / "begun").read_text() == "x\n"
            (server.folder / "go").touch()
            await asyncio.sleep(0.5)
            assert (await host.run(["sh", "-c", script], limit=5)).ok

    async def test_nobody_waits_for_the_session_of_one(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("replicator.hosts.ssh.remote_command", _without_limit)
        monkeypatch.setattr(sessions, "_LONGEST_PAUSE_SECONDS", 0.2)
        with openssh_server(tmp_path, "MaxSessions 1") as server:
            few = replace(server, settings=replace(server.settings, connect_timeout=1.0))
            async with connected(few) as host:
                with pytest.raises(DeadlineError):
                    await host.run(["sleep", "30"], limit=0.5)
                with pytest.raises(NetworkError, match="refuses to start commands"):
                    await host.run(["echo", "other"], limit=5)

    async def test_a_local_one_is_not_started_again_either(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("replicator.hosts.local.KILL_TIMEOUT_SECONDS", 0.1)
        monkeypatch.setattr("replicator.hosts.local.os.killpg", lambda *_: None)
        monkeypatch.setattr("replicator.hosts.left_behind.DYING_SECONDS", 0.0)
        script = f"echo x >> {tmp_path}/begun; while [ ! -e {tmp_path}/go ]; do sleep 0.1; done"
        host = LocalHost("alpha")
        for _ in range(3):
            with pytest.raises(DeadlineError):
                await host.run(["sh", "-c", script], limit=0.3)
        assert (tmp_path / "begun").read_text() == "x\n"
        (tmp_path / "go").touch()
        await asyncio.sleep(0.5)
        assert (await host.run(["sh", "-c", script], limit=5)).ok


def _without_limit(argv: list[str], *, marked: bool = True) -> str:
    """The command line without the limit that would end it there."""
    return remote_command(argv[4:] if argv[0] == "timeout" else argv, marked=marked)


async def test_an_unknown_host_key_is_another_error_than_a_changed_one(server: OpenSshServer) -> None:
    known_hosts = server.folder / "known_hosts"
    host, kind, key = known_hosts.read_text().split()
    other = (server.folder / "key.pub").read_text().split()[1]
    words = {}
    for name, line in {"none": "", "another": f"{host} {kind} {other}\n", "right": f"{host} {kind} {key}\n"}.items():
        known_hosts.write_text(line)
        async with connected(server) as ssh:
            try:
                await ssh.reach()
                words[name] = "in"
            except HostKeyError as error:
                words[name] = error.what

    assert words["none"].startswith("known_hosts has no key of node beta")
    assert words["another"].startswith("The host key of node beta")
    assert words["right"] == "in"
