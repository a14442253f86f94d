"""A host with faults under a real daemon: a SIGTERM at each step, disks that fill or fail, clocks that jump.

Each time: no guest is frozen, what was proven is still there, and the job goes on by itself when the fault is gone.
"""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.sandbox import Sandbox
from replicator.replication.progress import Step
from replicator.state.schema import DAMAGED
from tests.support.faulty_host import FaultyHost
from tests.support.pools import Pools
from tests.support.real_node import until, why_no_nodes
from tests.support.small_disk import Disk, mounted_disk

pytestmark = pytest.mark.timeout(200)
DAY = 86_400.0
IN_EACH_RUN = (Step.LOCK, Step.LOOK, Step.SNAPSHOT, Step.PLAN, Step.TRANSFER, Step.PROVE, Step.REMEMBER, Step.TIDY)


@pytest.fixture(scope="module")
def host(sandbox: Sandbox) -> Iterator[FaultyHost]:
    """A node that has replicated once; each test leaves it well, without a daemon."""
    if reason := why_no_nodes():
        pytest.skip(reason)
    source = sandbox.pool("source")
    try:
        target = sandbox.pool("target")
        try:
            with FaultyHost.opened(Pools(source, target, sandbox)) as host:
                host.node.start()
                host.replicate()
                host.node.stop()
                yield host
        finally:
            sandbox.destroy(target)
    finally:
        sandbox.destroy(source)


@pytest.fixture(autouse=True)
def at_rest(host: FaultyHost) -> Iterator[None]:
    """What a test that failed has left does not fail the next one."""
    yield
    host.slow("freeze", 0)
    host.slow("thaw", 0)
    host.node.set_clock(0)
    host.node.close_begun()


def well(host: FaultyHost) -> None:
    """The next daemon replicates, and its second run leaves one snapshot on the source."""
    host.node.start()
    host.replicate()
    assert host.is_replicated()
    host.replicate()
    assert len(host.snapshots(host.source)) == 1
    until(lambda: host.asked()["frozen"] == {}, host.said)  # as of the last look, every two seconds
    assert not host.is_frozen
    host.node.stop()
    assert "Traceback" not in host.said()


class TestASigterm:
    """It ends the daemon within 10 seconds, wherever a run is."""

    @pytest.mark.sampled(4)
    @pytest.mark.parametrize("step", IN_EACH_RUN)
    def test_at_a_step_of_a_run(self, host: FaultyHost, step: Step) -> None:
        proven = host.snapshots(host.replica)[-1]
        host.write()
        host.node.zsr("schedule-now", "100-0")
        daemon = host.start_to_end_at(step)
        until(host.reached.exists, host.said)
        begin = time.monotonic()
        assert daemon.wait(30) == 0
        assert time.monotonic() - begin < 10
        assert not host.is_frozen
        ours, theirs = host.snapshots(host.source), host.snapshots(host.replica)
        assert proven in ours
        assert proven in theirs or host.is_replicated(), "a newer one was proven there"
        well(host)

    @pytest.mark.sampled(2)
    @pytest.mark.parametrize(("hook", "seconds"), [("freeze", 40), ("thaw", 3)])
    def test_while_a_hook_works_leaves_the_guest_thawed(self, host: FaultyHost, hook: str, seconds: int) -> None:
        host.slow(hook, seconds)
        host.mark(hook).unlink(missing_ok=True)
        host.write()
        host.node.zsr("schedule-now", "100-0")
        host.node.start()
        until(host.mark(hook).exists, host.said)
        begin = time.monotonic()
        host.node.signal(signal.SIGTERM)
        until(lambda: not host.node.is_running, host.said)
        assert time.monotonic() - begin < 10
        assert not host.is_frozen
        host.slow(hook, 0)
        well(host)


@pytest.fixture
def disk(host: FaultyHost, tmp_path: Path) -> Iterator[Disk]:
    """The disk of the node's state.db, of its own."""
    with mounted_disk(tmp_path / "disk", enter=host.node.inside()) as disk:
        disk.run("cp", "-a", f"{host.node.state_dir}/.", str(disk.folder))
        text = host.node.settings.read_text()
        host.node.settings.write_text(text.replace(f'"{host.node.state_dir}"', f'"{disk.folder}"'))
        yield disk
        host.node.stop()
        host.node.settings.write_text(text)


def remembers_nothing(host: FaultyHost) -> bool:
    """Whether all goes on in memory, and that is reported."""
    (line, *_) = host.node.zsr("status").splitlines()[2:] or [""]
    return line.startswith("On alpha: state.db cannot be written, since ")


@pytest.mark.sampled(2)
class TestTheDiskOfStateDb:
    def test_that_is_full_holds_up_no_copy_and_all_returns_to_it(self, host: FaultyHost, disk: Disk) -> None:
        host.node.start()
        disk.fill()
        for _ in range(2):
            host.replicate()
        until(lambda: remembers_nothing(host), host.said)
        assert host.is_replicated()
        assert len(host.snapshots(host.replica)) >= 3, "nothing is destroyed meanwhile"
        disk.make_room()
        until(lambda: host.asked()["state_unwritable_since"] is None, host.said)
        well(host)

    def test_that_is_read_only_holds_up_no_copy_and_no_start(self, host: FaultyHost, disk: Disk) -> None:
        host.node.start()
        host.replicate()
        disk.fail()
        host.replicate()
        until(lambda: remembers_nothing(host), host.said)
        host.node.restart()
        host.replicate()
        assert host.is_replicated()
        assert remembers_nothing(host)
        host.node.stop()  # its locks keep the disk mounted
        disk.replace()
        well(host)


@pytest.mark.sampled(2)
@pytest.mark.parametrize("seed", range(2))
def test_random_bytes_in_state_db_cost_history_only(host: FaultyHost, seed: int) -> None:
    file = host.node.state_dir / "state.db"
    content, chance = bytearray(file.read_bytes()), random.Random(seed)
    for _ in range(64):
        content[chance.randrange(100, len(content))] = chance.randrange(256)
    file.write_bytes(content)
    before = host.guid(host.replica)
    host.node.start()
    host.replicate()
    assert host.guid(host.replica) == before, "the replica goes on from what it has"
    host.node.stop()
    well(host)
    for each in host.node.state_dir.iterdir():
        if DAMAGED in each.name:
            each.unlink()


@pytest.mark.sampled(3)
@pytest.mark.parametrize("jump", [DAY, -DAY, 400 * DAY], ids=["a day ahead", "a day back", "a year ahead"])
def test_a_clock_that_jumps_there_and_back_holds_up_no_copy_and_destroys_none(host: FaultyHost, jump: float) -> None:
    host.node.start()
    host.replicate()
    kept = len(host.snapshots(host.replica))
    host.node.set_clock(jump)
    host.replicate()
    host.node.set_clock(0)
    host.replicate()
    assert len(host.snapshots(host.replica)) >= kept
    (job,) = host.asked()["jobs"]
    assert job["next_sync"] <= time.time() + 1800
    assert (job["state"], job["promise"]) == ("ok", "kept")
    host.node.stop()
    well(host)
