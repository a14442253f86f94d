"""The command that waits on the other node of a move: it takes the guest with an order, and ends without one."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from replicator.cli.standing_by import standing_by
from replicator.errors import DeadlineError
from replicator.hosts.local import LocalHost

SCRIPT = """#!/bin/sh
[ "$1 $2" = "guest stand-by" ] || exit 9
echo "a login shell's noise"
printf '%0100000d\n' 0
echo "zsr: ready"
read -r order
echo "order: $order, words: $3 $4" >>{folder}/said
[ "$order" = take ] || exit 2
{then}
"""


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LocalHost:
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return LocalHost("beta")


def plays(folder: Path, then: str) -> None:
    """Let `zsr` be a script that does something when it has its order."""
    is_zsr(folder, SCRIPT.format(folder=folder, then=then))


def is_zsr(folder: Path, script: str) -> None:
    """Let `zsr` be a script."""
    (folder / "zsr").write_text(script)
    (folder / "zsr").chmod(0o755)


def open_files() -> int:
    """How many descriptors this process has open."""
    return len(list(Path("/proc/self/fd").iterdir()))


def is_gone(pid: int) -> bool:
    """Whether a process has ended."""
    place = Path(f"/proc/{pid}/stat")
    return not place.exists() or place.read_text().rpartition(")")[2].split()[0] == "Z"


async def test_with_an_order_it_does_all_and_is_quoted(
    host: LocalHost, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plays(tmp_path, "echo is writable; echo 'zsr: taken'; echo careful >&2")
    async with standing_by(host, ["100", "--leave-off"]) as waiting:
        assert waiting is not None
        assert await waiting.is_ready(10)
        assert await waiting.take(10)
    assert capsys.readouterr() == ("beta: is writable\n", "beta: careful\n")
    assert (tmp_path / "said").read_text() == "order: take, words: 100 --leave-off\n"


async def test_the_guest_is_taken_before_the_command_ends(host: LocalHost, tmp_path: Path) -> None:
    plays(tmp_path, "echo 'zsr: taken'; sleep 1")
    async with standing_by(host, ["100"]) as waiting:
        assert waiting is not None
        taken = await waiting.take(10)
    assert taken is not None
    assert time.monotonic() - taken > 0.9


async def test_one_that_is_slow_to_begin_is_not_waited_for(host: LocalHost, tmp_path: Path) -> None:
    is_zsr(tmp_path, "#!/bin/sh\nexec sleep 60\n")
    async with standing_by(host, ["100"]) as waiting:
        assert waiting is not None
        assert not await waiting.is_ready(0.2)


async def test_one_that_fails_at_once_is_not_ready(host: LocalHost, tmp_path: Path) -> None:
    is_zsr(tmp_path, "#!/bin/sh\nexit 1\n")
    async with standing_by(host, ["100"]) as waiting:
        assert waiting is not None
        assert not await waiting.is_ready(10)


async def test_without_an_order_it_ends_and_takes_nothing(host: LocalHost, tmp_path: Path) -> None:
    plays(tmp_path, "touch taken")
    async with standing_by(host, ["100"]) as waiting:
        assert waiting is not None
    assert (tmp_path / "said").read_text() == "order: , words: 100 \n"
    assert not (tmp_path / "taken").exists()


async def test_one_that_has_failed_or_ended_before_is_no_success(host: LocalHost, tmp_path: Path) -> None:
    plays(tmp_path, "exit 1")
    async with standing_by(host, ["100"]) as waiting:
        assert waiting is not None
        assert not await waiting.take(10)
    (tmp_path / "zsr").write_text("#!/bin/sh\nexit 2\n")
    async with standing_by(host, ["100"]) as waiting:
        assert waiting is not None
        await waiting.process.ended()
        assert not await waiting.take(10)


async def test_one_that_hangs_is_an_error_and_is_killed(host: LocalHost, tmp_path: Path) -> None:
    plays(tmp_path, f"echo $$ >{tmp_path}/pid; sleep 60")
    async with standing_by(host, ["100"]) as waiting:
        assert waiting is not None
        with pytest.raises(DeadlineError):
            await waiting.take(1.0)
    assert is_gone(int((tmp_path / "pid").read_text()))


async def test_no_descriptor_is_left(host: LocalHost, tmp_path: Path) -> None:
    plays(tmp_path, "true")
    before = open_files()
    for _ in range(3):
        async with standing_by(host, ["100"]) as waiting:
            assert waiting is not None
            await waiting.take(10)
    assert open_files() == before
