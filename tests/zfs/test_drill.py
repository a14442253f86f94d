"""``zsr guest drill``, as typed, between two pools of this machine."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC
from functools import partial
from pathlib import Path

import pytest

from replicator.config.settings import load_settings
from replicator.daemon.drills import ScheduledDrills
from replicator.events import GuestDrilled
from replicator.guests import drill_clones
from replicator.guests.drilling import Driller
from replicator.models import DrillResult
from replicator.state.stores import State
from replicator.zfs.node_clients import Nodes
from tests.support.command_line import Zsr
from tests.support.pools import Pools
from tests.support.verbs_env import NAME, VerbsEnv

DRILL = ("guest", "drill", "100")
RUN = ("run", "--id", "100-0")


@pytest.fixture
def site(pools: Pools, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> VerbsEnv:
    monkeypatch.setattr(drill_clones, "MOUNTED_BELOW", str(tmp_path / "drills"))
    env = VerbsEnv(pools, Zsr.on_alpha(tmp_path, capsys, monkeypatch))
    env.zsr.well(*RUN)
    return env


def clones(site: VerbsEnv) -> list[str]:
    """The clones on the target."""
    return [name for name in site.names(site.target) if name.endswith("-drill")]


def of_guest(site: VerbsEnv, *lines: str) -> None:
    """Give the guest further settings."""
    text = site.zsr.cluster_path.read_text()
    site.zsr.cluster_path.write_text(text.replace('name = "web"', "\n".join(['name = "web"', *lines])))


def without_check(site: VerbsEnv) -> None:
    """Take the guest's own check from it."""
    lines = site.zsr.cluster_path.read_text().split("\n")
    site.zsr.cluster_path.write_text("\n".join(line for line in lines if not line.startswith("check")))


def last(site: VerbsEnv) -> dict[str, object]:
    """What is known of the last drill."""
    [known] = json.loads(site.zsr.well("guest", "drills", "--format", "json").out)
    assert isinstance(known, dict)
    return known


def lives(pid: str) -> bool:
    """Whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def until(holds: Callable[[], bool]) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def drill_apart(site: VerbsEnv) -> subprocess.Popen[str]:
    """Begin a drill in a process of its own."""
    command = [sys.executable, "-m", "replicator.cli.main", "--config", str(site.zsr.settings_path), *DRILL]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def last_or_none(site: VerbsEnv) -> object:
    """What is known of the last drill, if anything is."""
    return json.loads(site.zsr.well("guest", "drills", "--format", "json").out)


def with_daemon(site: VerbsEnv, holds: Callable[[], bool], clock: Callable[[], float] = time.time) -> None:
    """Let the daemon's part that drills work until something holds."""
    settings = load_settings(site.zsr.settings_path)
    cluster = site.zsr.cluster

    async def work() -> None:
        nodes = Nodes(settings.node, settings.ssh, limit=60.0)
        await nodes.update(cluster.nodes.values())
        driller = Driller(settings.node, state, settings.state_dir / "locks", nodes, clock, time.monotonic)
        drills = ScheduledDrills(driller, lambda: cluster, UTC, partial(asyncio.sleep, 0))
        async with asyncio.timeout(60), asyncio.TaskGroup() as group:
            keeping = group.create_task(drills.keep_drilling(group))
            await asyncio.to_thread(until, holds)
            keeping.cancel()

    with closing(State.open(settings.state_dir / "state.db")) as state:
        asyncio.run(work())


def test_a_filesystem_is_mounted_read_only_and_read_and_nothing_is_left(site: VerbsEnv) -> None:
    [point] = site.snapshots(f"{site.target}/{NAME}")

    said = site.zsr.well(*DRILL)

    assert "Guest 100 on beta:" in said.out
    assert f"data:{NAME}: mounted read-only," in said.out
    assert "passed after" in said.out
    assert clones(site) == []
    known = last(site)
    assert (known["result"], known["may_be_open"], known["drills"]) == (
        "passed",
        False,
        {"passed": 1, "failed": 0, "undone": 0},
    )
    assert str(known["set_time"]) in point
    site.change()
    site.zsr.well(*RUN)


class TestTheGuestsOwnCheck:
    def test_gets_the_clones_and_its_success_is_a_pass(self, site: VerbsEnv, tmp_path: Path) -> None:
        said = tmp_path / "said"
        of_guest(site, f"check = '''ls \"$ZSR_DRILL_PLACE_1\" >{said}; env | grep ^ZSR_DRILL_ | sort >>{said}'''")

        assert "its own check succeeded" in site.zsr.well(*DRILL).out

        lines = said.read_text().splitlines()
        assert f"ZSR_DRILL_VOLUME_1=data:{NAME}" in lines
        assert {"ZSR_DRILL_COUNT=1", "ZSR_DRILL_GUEST=100", "ZSR_DRILL_JOB=100-0", "ZSR_DRILL_NODE=beta"} <= {*lines}
        [place] = [line.partition("=")[2] for line in lines if line.startswith("ZSR_DRILL_PLACE_1=")]
        assert place.startswith(str(tmp_path / "drills"))
        assert not lines[0].startswith("ZSR_"), "the clone was not mounted"

    def test_fails_the_drill_with_its_last_words_without_control_characters(self, site: VerbsEnv) -> None:
        of_guest(site, r"""check = '''printf 'bad \033[31mtable\007\n' >&2; exit 3'''""")
        said = site.zsr(*DRILL)
        assert said.exit == 1
        assert "its own check failed: bad ^[[31mtable^G" in said.out
        assert (last(site)["result"], last(site)["last_pass"]) == ("failed", None)
        assert clones(site) == []

    def test_prints_as_much_as_it_likes(self, site: VerbsEnv) -> None:
        of_guest(site, "check = '''head -c 300000000 /dev/zero | tr '\\\\0' x; echo; echo the end; exit 1'''")
        assert "its own check failed:" in site.zsr(*DRILL).out
        assert len(str(last(site)["message"])) < 500

    def test_that_hangs_is_ended_with_all_its_processes(self, site: VerbsEnv, tmp_path: Path) -> None:
        pids = tmp_path / "pids"
        of_guest(
            site,
            f"check = '''cd \"$ZSR_DRILL_PLACE_1\"; sleep 300 & echo $! >{pids}; echo $$ >>{pids}; wait'''",
            'drill_timeout = "3s"',
        )

        said = site.zsr(*DRILL)

        assert said.exit == 1
        assert "failed after" in said.out
        assert "The checks did not end within 3 s." in str(last(site)["message"])
        assert clones(site) == []
        assert not any(lives(pid) for pid in pids.read_text().split())

    def test_is_not_run_from_a_file_that_others_may_write(self, site: VerbsEnv, tmp_path: Path) -> None:
        of_guest(site, f"check = 'touch {tmp_path}/ran'")
        site.zsr.cluster_path.chmod(0o666)
        said = site.zsr(*DRILL)
        assert said.exit == 1
        assert "The check of guest 100 is not run" in said.err
        assert not (tmp_path / "ran").exists()
        assert last(site)["last_try"], "or the daemon would try it again and again"
        assert last(site)["drills"] == {"passed": 0, "failed": 0, "undone": 1}


def test_runs_go_on_meanwhile_and_the_set_of_the_clone_is_pruned_when_it_is_gone(
    site: VerbsEnv, tmp_path: Path
) -> None:
    [first] = site.snapshots(f"{site.target}/{NAME}")
    begun, go_on = tmp_path / "begun", tmp_path / "go"
    of_guest(site, f"check = 'touch {begun}; while [ ! -e {go_on} ]; do sleep 0.1; done'")
    drill = drill_apart(site)
    until(begun.exists)
    assert "is drilled already" in site.zsr(*DRILL).err
    for _ in range(2):
        site.change()
        site.zsr.well(*RUN)
    assert first in site.snapshots(f"{site.target}/{NAME}")
    go_on.touch()

    out, _ = drill.communicate(timeout=60)

    assert "passed after" in out, out
    assert clones(site) == []
    site.change()
    site.zsr.well(*RUN)
    assert first not in site.snapshots(f"{site.target}/{NAME}")


class TestWhatAKilledDrillLeaves:
    @pytest.fixture
    def left(self, site: VerbsEnv, tmp_path: Path) -> VerbsEnv:
        """A drill that was killed during its check, which still runs and is in the clone."""
        begun = tmp_path / "begun"
        of_guest(site, f"check = 'cd \"$ZSR_DRILL_PLACE_1\"; echo $$ >{begun}.new; mv {begun}.new {begun}; sleep 300'")
        drill = drill_apart(site)
        until(begun.exists)
        drill.kill()
        drill.communicate()
        assert lives(begun.read_text().strip())
        assert len(clones(site)) == 1
        assert last(site)["may_be_open"] is True
        return site

    def test_is_destroyed_by_the_next_one_with_what_still_runs(self, left: VerbsEnv, tmp_path: Path) -> None:
        without_check(left)
        said = left.zsr.well(*DRILL)
        assert "was left by an earlier drill, and is destroyed" in said.out
        assert "passed after" in said.out
        assert not lives((tmp_path / "begun").read_text().strip())
        assert clones(left) == []
        assert last(left)["may_be_open"] is False

    def test_is_destroyed_by_the_daemon(self, left: VerbsEnv, tmp_path: Path) -> None:
        with_daemon(left, lambda: last(left)["may_be_open"] is False)
        assert clones(left) == []
        assert not lives((tmp_path / "begun").read_text().strip())
        assert last(left)["drills"] == {"passed": 0, "failed": 0, "undone": 0}

    def test_is_not_what_others_made(self, left: VerbsEnv) -> None:
        aside = f"{left.target}/zsr-diverged"
        [snapshot] = left.snapshots(f"{left.target}/{NAME}")
        others = {
            f"{aside}/other-1-drill": ("drill:100-0", "gamma"),
            f"{aside}/other-2-drill": ("drill:101-0", "alpha"),
            f"{aside}/other-3": ("drill:100-0", "alpha"),
            f"{aside}/other-4-drill": ("opened:100-0", "alpha"),
        }
        for name, (job, source) in others.items():
            marks = ("-o", f"zsr:job={job}", "-o", f"zsr:source={source}")
            left.zfs(
                "clone", "-o", "mountpoint=none", "-o", "readonly=on", *marks, f"{left.target}/{NAME}@{snapshot}", name
            )
        without_check(left)

        left.zsr.well(*DRILL)

        assert {*others} <= {*left.names(left.target)}
        assert len([name for name in left.names(aside) if name != aside]) == len(others)


def test_the_daemon_drills_on_schedule_and_the_journal_has_it(
    site: VerbsEnv,
) -> None:
    of_guest(site, 'drill = "*:*"')
    now = time.time()
    with_daemon(site, lambda: bool(last_or_none(site)), clock=lambda: now)
    assert last(site)["last_try"] is None
    with_daemon(site, lambda: last(site)["result"] == "passed", clock=lambda: now + 61)
    with closing(State.read(site.zsr.folder / "state/state.db")) as state:
        [event] = [event for _, event in state.journal.events(0) if isinstance(event, GuestDrilled)]
    assert (event.node, event.result) == ("beta", DrillResult.PASSED)
    assert clones(site) == []


def test_a_clone_that_is_in_use_is_left_and_said_and_goes_later(
    site: VerbsEnv, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drill_clones, "BUSY_TRIES", 2)
    of_guest(
        site,
        f"check = 'cd \"$ZSR_DRILL_PLACE_1\"; setsid sleep 300 >/dev/null 2>&1 </dev/null & echo $! >{tmp_path}/pid'",
    )
    said = site.zsr.well(*DRILL)
    assert "Clones are left on beta, which the daemon destroys" in said.err
    assert last(site)["may_be_open"] is True
    [clone] = clones(site)
    stubborn = subprocess.run(["fuser", "-k", "-m", str(tmp_path / "drills" / clone.rpartition("/")[2])], check=False)
    assert stubborn.returncode == 0
    without_check(site)
    site.zsr.well(*DRILL)
    assert clones(site) == []


class TestADrillThatCannotBeDone:
    def undone(self, site: VerbsEnv, *more: str) -> str:
        """Why a drill could not be done, which must count neither as success nor as failure."""
        said = site.zsr(*DRILL, *more)
        assert said.exit == 1
        assert "undone after" in said.out
        known = last(site)
        assert (known["result"], known["drills"]) == (None, {"passed": 0, "failed": 0, "undone": 1})
        assert clones(site) == []
        assert str(known["obstacle"]) in said.err
        return said.err

    def test_is_one_without_a_replica(self, site: VerbsEnv) -> None:
        site.zfs("destroy", "-r", f"{site.target}/{NAME}")
        assert "beta holds no whole set of job 100-0 that is proven" in self.undone(site)

    def test_is_one_whose_target_does_not_answer(self, site: VerbsEnv) -> None:
        text = site.zsr.cluster_path.read_text()
        gone = '[nodes.beta]\naddress = "127.0.0.1"\nport = 1\n'
        site.zsr.cluster_path.write_text(text.replace('[nodes.beta]\naddress = "local"\n', gone))
        assert site.zsr(*DRILL).exit == 1
        assert last(site)["drills"] == {"passed": 0, "failed": 0, "undone": 1}

    def test_keeps_the_result_of_the_one_before(self, site: VerbsEnv) -> None:
        site.zsr.well(*DRILL)
        site.zfs("destroy", "-r", f"{site.target}/{NAME}")
        assert site.zsr(*DRILL).exit == 1
        known = last(site)
        assert (known["result"], known["drills"]) == ("passed", {"passed": 1, "failed": 0, "undone": 1})
        assert "the last could not be done" in site.zsr.well("guest", "drills").out


def test_a_replica_that_is_ahead_is_drilled_as_of_the_set_that_all_have(site: VerbsEnv) -> None:
    [first] = site.snapshots(f"{site.target}/{NAME}")
    second = "subvol-100-disk-1"
    site.zfs("create", f"{site.source}/{second}")
    site.zsr.well(*RUN)
    whole = site.snapshots(f"{site.target}/{second}")[-1]
    site.zfs("snapshot", f"{site.target}/{NAME}@__replicate_100-0_1999999999__")
    assert site.zsr.well(*DRILL).out.count("read to their end") == 2
    assert str(last(site)["set_time"]) in whole
    assert first != whole


def test_what_cannot_be_meant_is_refused(site: VerbsEnv) -> None:
    assert "There is no guest 999" in site.zsr("guest", "drill", "999").err
    said = site.zsr(*DRILL, "--on", "gamma")
    assert said.exit == 2
    assert "No job replicates guest 100 to gamma" in said.err
    site.zsr.well(*DRILL, "--on", "beta")
