"""The control socket: one daemon, its owner only, and no client can harm it."""

from __future__ import annotations

import asyncio
import json
import socket
from pathlib import Path

import pytest

from replicator.daemon.control import NoDaemonError, Request, Say, call, serve_control
from replicator.errors import BusyError, ConfigError, ZsrError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run" / "control.sock"


async def answer(request: Request, say: Say) -> object:
    """What the daemon of these tests answers."""
    match request["verb"]:
        case "say":
            say("one")
            say("two")
            return "done"
        case "big":
            return ["x" * 1000] * 5000
        case "wrong":
            raise ConfigError("There is no job 1.", advice="Known: 2.")
        case "fail":
            raise ZsrError("It failed.", advice="Fix it.")
        case "bug":
            raise LookupError("unexpected")
    return request["verb"]


def rights(path: Path) -> int:
    return path.stat().st_mode & 0o777


def exists(path: Path) -> bool:
    return path.exists()


async def serve_for_a_moment(path: Path) -> None:
    async with serve_control(path, answer):
        await asyncio.sleep(0.05)


async def raw(path: Path, text: bytes) -> dict[str, object]:
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(text)
    line = await reader.readline()
    writer.close()
    found: dict[str, object] = json.loads(line)
    return found


async def test_lines_come_before_the_result(path: Path) -> None:
    lines: list[str] = []
    async with serve_control(path, answer):
        assert await call(path, {"verb": "say"}, lines.append) == "done"
    assert lines == ["one", "two"]


async def test_only_its_owner_may_open_it(path: Path) -> None:
    async with serve_control(path, answer):
        assert (rights(path), rights(path.parent)) == (0o600, 0o700)


async def test_what_others_create_meanwhile_has_the_rights_that_they_ask_for(path: Path, tmp_path: Path) -> None:
    async def make_files() -> None:
        for number in range(200):
            (tmp_path / str(number)).touch()
            await asyncio.sleep(0)

    async with asyncio.TaskGroup() as group:
        group.create_task(make_files())
        for name in ("one", "two"):
            await asyncio.sleep(0)
            group.create_task(serve_for_a_moment(path.with_name(name)))
    (tmp_path / "after").touch()
    expected = rights(tmp_path / "0")
    assert expected & 0o044
    assert {rights(tmp_path / name) for name in ("after", *map(str, range(200)))} == {expected}


async def test_it_is_gone_with_the_daemon(path: Path) -> None:
    async with serve_control(path, answer):
        pass
    assert not exists(path)
    with pytest.raises(NoDaemonError):
        await call(path, {"verb": "ping"})


async def test_a_second_daemon_is_refused_and_the_first_goes_on(path: Path) -> None:
    async with serve_control(path, answer):
        with pytest.raises(BusyError, match=r"running already \(pid \d+"):
            async with serve_control(path, answer):
                pass
        assert await call(path, {"verb": "ping"}) == "ping"


async def test_of_daemons_that_start_at_once_one_serves(path: Path) -> None:
    async def start() -> bool:
        try:
            async with serve_control(path, answer):
                await asyncio.sleep(0.05)
        except BusyError:
            return False
        return True

    assert sorted(await asyncio.gather(*(start() for _ in range(8)))) == [False] * 7 + [True]


async def test_the_socket_of_a_dead_daemon_is_replaced(path: Path) -> None:
    path.parent.mkdir()
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    async with serve_control(path, answer):
        assert await call(path, {"verb": "ping"}) == "ping"


async def test_a_place_that_cannot_be_used_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="Could not create the control socket"):
        async with serve_control(tmp_path / "file" / "control.sock", answer):
            pass


@pytest.mark.parametrize(
    "text", [b"hello\n", b"\xff\xfe\n", b"[1, 2]\n", b"null\n", b"[" * 100_000 + b"\n", b"x" * 20_000_000 + b"\n"]
)
async def test_garbage_is_answered(path: Path, text: bytes) -> None:
    async with serve_control(path, answer):
        found = await raw(path, text)
        assert (found["ok"], found["exit"]) == (False, 2)
        assert await call(path, {"verb": "ping"}) == "ping"


@pytest.mark.parametrize(("verb", "status"), [("wrong", 2), ("fail", 1), ("bug", 1)])
async def test_an_error_comes_as_a_sentence_with_its_exit_status(path: Path, verb: str, status: int) -> None:
    async with serve_control(path, answer):
        found = await raw(path, json.dumps({"verb": verb}).encode() + b"\n")
        assert (found["ok"], found["exit"]) == (False, status)
        with pytest.raises(ConfigError if status == 2 else ZsrError):
            await call(path, {"verb": verb})
        assert await call(path, {"verb": "ping"}) == "ping"


async def test_an_answer_of_megabytes_arrives_whole(path: Path) -> None:
    async with serve_control(path, answer):
        assert await call(path, {"verb": "big"}) == ["x" * 1000] * 5000


async def test_a_client_that_goes_away_harms_nothing(path: Path) -> None:
    entered, ended = asyncio.Event(), asyncio.Event()

    async def slow(request: Request, say: Say) -> object:
        if request["verb"] == "ping":
            return "pong"
        entered.set()
        for _ in range(50):
            say("x" * 1000)
            await asyncio.sleep(0)
        ended.set()
        return None

    async with serve_control(path, slow):
        _, writer = await asyncio.open_unix_connection(path)
        writer.write(b'{"verb": "run"}\n')
        await entered.wait()
        writer.transport.abort()
        await ended.wait()
        assert await call(path, {"verb": "ping"}) == "pong"


async def test_a_client_that_says_nothing_does_not_keep_the_others_waiting(path: Path) -> None:
    async with serve_control(path, answer):
        _, writer = await asyncio.open_unix_connection(path)
        assert await call(path, {"verb": "ping"}) == "ping"
        writer.close()


async def test_a_daemon_that_dies_before_it_answers_is_reported(path: Path) -> None:
    async def die(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.close()

    path.parent.mkdir()
    async with await asyncio.start_unix_server(die, path):
        with pytest.raises(NoDaemonError, match="ended before it answered"):
            await call(path, {"verb": "ping"})


def put(path: Path, kind: str) -> None:
    """Put at a path what is no socket."""
    path.parent.mkdir()
    match kind:
        case "file":
            path.write_text("precious")
        case "folder":
            path.mkdir()
        case "link":
            (path.parent / "cluster.toml").write_text("precious")
            path.symlink_to("cluster.toml")


def found(folder: Path) -> dict[str, str]:
    """What each file in a folder has."""
    return {each.name: each.read_text() for each in folder.iterdir() if each.is_file()}


@pytest.mark.parametrize("kind", ["file", "folder", "link"])
async def test_what_is_no_socket_is_never_replaced(path: Path, kind: str) -> None:
    put(path, kind)
    before = found(path.parent)
    with pytest.raises(ConfigError, match=r"is no socket.*Name another path in zsr.toml \(control\)"):
        await serve_for_a_moment(path)
    assert found(path.parent) == before
