"""The file ``state.db``: damage, older and newer formats, full disks, and several writers at once."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest

from replicator.errors import NoSpaceError, ZsrError
from replicator.events import RunStarted, RunSucceeded, VolumesVanished
from replicator.models import Guest, Hook, JobId, KnownSets, Synced, TargetPlace, TargetStorage, Vanished
from replicator.state.stores import State
from tests.support.state_records import JOB, NEWEST, NOW, gone, make_older, records_of_run, succeed


def test_only_its_owner_may_read_it(state: State, path: Path) -> None:
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


def fill_with_words(state: State, run: int) -> None:
    while True:
        state.logs.append(run, [(NOW, "raw", "x" * 50_000)])


class TestTheFile:
    @pytest.mark.parametrize("damage", [b"no database at all " * 99, None], ids=["garbage", "a torn page"])
    def test_damaged_is_moved_aside_and_replaced(self, path: Path, damage: bytes | None) -> None:
        with closing(State.open(path)) as state:
            for index in range(50):
                succeed(state, NOW + index)
        whole = path.read_bytes()
        path.write_bytes(damage or whole[:4096] + b"\xff" * 8192 + whole[12288:])

        with closing(State.open(path)) as state:
            assert state.database.moved_aside is not None
            assert (
                state.database.moved_aside.read_bytes()
                == path.with_name(state.database.moved_aside.name).read_bytes()
                != b""
            )
            assert state.jobs.all() == {}
            succeed(state, NOW)

    def test_it_knows_since_when_it_is_there_and_one_that_replaces_it_is_younger(self, path: Path) -> None:
        begin = time.time()
        with closing(State.open(path)) as state:
            made = state.created
        assert begin <= made <= time.time()
        with closing(State.open(path)) as state:
            assert state.created == made
        path.write_bytes(b"no database at all " * 99)
        with closing(State.open(path)) as state:
            assert state.created > made

    def test_one_of_before_that_was_recorded_is_as_old_as_what_it_knows(self, path: Path) -> None:
        with closing(State.open(path)) as state:
            state.jobs.ensure(JOB, 1_700_000_000.0)
            with state.database.transaction() as db:
                db.execute("DELETE FROM memory")
        with closing(State.open(path)) as state:
            assert state.created == 1_700_000_000.0

    def test_damaged_twice_in_a_second_overwrites_nothing(self, path: Path) -> None:
        path.parent.mkdir()
        found = []
        for words in (b"first " * 99, b"second " * 99):
            path.write_bytes(words)
            with closing(State.open(path)) as state:
                assert state.database.moved_aside is not None
                found.append(state.database.moved_aside)
            path.unlink()
        assert [place.read_bytes()[:5] for place in found] == [b"first", b"secon"]

    def test_of_a_newer_version_is_refused_and_left_as_it_is(self, path: Path) -> None:
        State.open(path).close()
        with closing(sqlite3.connect(path)) as other:
            other.execute("PRAGMA user_version = 99")
        with pytest.raises(ZsrError, match="newer zsr"):
            State.open(path)
        with closing(sqlite3.connect(path)) as other:
            assert other.execute("PRAGMA user_version").fetchone()[0] == 99

    def test_of_format_1_goes_on_with_all_that_it_remembered(self, path: Path) -> None:
        """Format 2 remembers the set of last sync too; the next run finds out which one that was."""
        with closing(State.open(path)) as state:
            run = succeed(state, NOW)
        make_older(path, 1)

        for _ in range(2):  # the second time there is nothing to bring over
            with closing(State.open(path)) as state:
                found = state.jobs.all()[JOB]
                assert (found.last_sync, found.last_set, found.runs_succeeded) == (NOW + 1, None, 1)
                assert state.database.moved_aside is None
        with closing(State.open(path)) as state:
            state.jobs.set_synced(JOB, Synced(NOW + 9, int(NOW)), run=run, now=NOW + 10)
            assert state.jobs.all()[JOB].last_set == NOW
            assert state.runs.begin(JOB, NOW, owner="another process", missed=0) > run
        with closing(sqlite3.connect(path)) as now:
            assert now.execute("PRAGMA user_version").fetchone()[0] == NEWEST

    def test_of_format_2_goes_on_with_all_that_it_remembered(self, path: Path) -> None:
        """Format 3 remembers vanished volumes too; the next run finds out which those are."""
        with closing(State.open(path)) as state:
            run = succeed(state, NOW)
            state.jobs.set_synced(JOB, Synced(NOW + 9, int(NOW)), run=run, now=NOW + 10)
        make_older(path, 2)

        for _ in range(2):  # the second time there is nothing to bring over
            with closing(State.open(path)) as state:
                found = state.jobs.all()[JOB]
                assert (found.last_sync, found.last_set, found.vanished) == (NOW + 9, NOW, ())
                assert state.database.moved_aside is None
        with closing(State.open(path)) as state:
            state.vanished.set(JOB, gone("tank/vm-100-disk-1"), ends={}, run=run, now=NOW + 11)
            assert state.jobs.all()[JOB].vanished == gone("tank/vm-100-disk-1")
        with closing(sqlite3.connect(path)) as now:
            assert now.execute("PRAGMA user_version").fetchone()[0] == NEWEST

    def test_of_format_3_knows_of_its_sets_only_that_the_last_one_was_taken_here_and_proven(self, path: Path) -> None:
        """Format 4 remembers more; what is not remembered destroys nothing."""
        with closing(State.open(path)) as state:
            run = succeed(state, NOW)
            state.jobs.set_synced(JOB, Synced(NOW + 9, int(NOW)), run=run, now=NOW + 10)
        make_older(path, 3)

        with closing(State.open(path)) as state:
            assert state.jobs.all()[JOB].sets == KnownSets(int(NOW), (), (int(NOW),), by_name=True)
            known = KnownSets(int(NOW), ("tank:a",), (int(NOW), int(NOW) + 5))
            state.jobs.set_synced(JOB, Synced(NOW + 9, int(NOW), known), run=run, now=NOW + 10)
            assert state.jobs.all()[JOB].sets == known

    def test_of_format_4_knows_its_snapshots_by_name_until_they_are_known_by_guid(self, path: Path) -> None:
        with closing(State.open(path)) as state:
            run = succeed(state, NOW)
        make_older(path, 4)
        with closing(sqlite3.connect(path)) as older:
            older.execute('UPDATE job_state SET sets = \'{"proven": 5, "volumes": [], "taken": [5]}\'')
            older.commit()

        with closing(State.open(path)) as state:
            assert state.jobs.all()[JOB].sets == KnownSets(5, (), (5,), by_name=True)
            known = KnownSets(6, (), (5, 6), sent=frozenset({7}))
            state.jobs.set_synced(JOB, Synced(NOW + 9, 6, known), run=run, now=NOW + 10)
            assert not state.jobs.all()[JOB].sets.by_name
            assert state.jobs.with_sent(JOB, KnownSets()).sent == {7}

    def test_of_format_5_does_not_know_where_it_proved_and_raises_no_alarm_for_that(self, path: Path) -> None:
        """Format 6 remembers the place of the target; the next run finds out which that is."""
        with closing(State.open(path)) as state:
            run = succeed(state, NOW)
            state.jobs.set_synced(JOB, Synced(NOW + 9, int(NOW)), run=run, now=NOW + 10)
        make_older(path, 5)

        for _ in range(2):  # the second time there is nothing to bring over
            with closing(State.open(path)) as state:
                found = state.jobs.all()[JOB]
                assert (found.last_sync, found.place, found.is_replica_lost) == (NOW + 9, None, False)
        place = TargetPlace("beta", "10.0.0.12", (TargetStorage("tank", "tank/data", 2**64 - 1),), held=False)
        with closing(State.open(path)) as state:
            state.jobs.set_synced(JOB, Synced(NOW + 9, int(NOW), place=place), run=run, now=NOW + 10)
        with closing(State.open(path)) as state:
            assert state.jobs.all()[JOB].place == place

    def test_of_format_6_goes_on_with_all_that_it_remembered(self, path: Path) -> None:
        """Format 7 also remembers which guests may be frozen, and counts the failures of hooks."""
        with closing(State.open(path)) as state:
            succeed(state, NOW)
        make_older(path, 6)

        for _ in range(2):  # the second time there is nothing to bring over
            with closing(State.open(path)) as state:
                assert state.jobs.all()[JOB].last_sync == NOW + 1
                assert (state.hooks.frozen(), state.hooks.failures()) == ([], {})
                assert state.database.moved_aside is None
        with closing(State.open(path)) as state:
            state.hooks.record_freeze(Guest(100, "web", "alpha"), "thaw-web", job=JOB, run=1, now=NOW)
            state.hooks.count_failure(100, Hook.FREEZE, NOW)
            assert [each.thaw for each in state.hooks.frozen()] == ["thaw-web"]
        with closing(sqlite3.connect(path)) as now:
            assert now.execute("PRAGMA user_version").fetchone()[0] == NEWEST

    def test_of_format_7_still_knows_its_vanished_volumes_and_counts_their_grace_from_now_on(self, path: Path) -> None:
        """Format 8 counts how long each has waited."""
        with closing(State.open(path)) as state:
            succeed(state, NOW)
        make_older(path, 7)
        with closing(sqlite3.connect(path)) as older:
            older.execute("UPDATE job_state SET vanished = ?", ('["tank/a", "tank/b"]',))
            older.commit()

        for _ in range(2):  # the second time there is nothing to bring over
            with closing(State.open(path)) as state:
                assert state.jobs.all()[JOB].vanished == (Vanished("tank/a", 0, 0, 0), Vanished("tank/b", 0, 0, 0))
                assert state.database.moved_aside is None
        with closing(State.open(path)) as state:
            asyncio.run(records_of_run(state, at=NOW + 60).note_vanished({"tank/a": 1}))
            assert state.jobs.all()[JOB].vanished == gone("tank/a", at=NOW + 60)
            assert not [event for _, event in state.journal.events(0) if isinstance(event, VolumesVanished)]

    def test_that_cannot_be_created_is_reported_in_a_sentence(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("in the way")
        with pytest.raises(ZsrError, match="Could not open"):
            State.open(tmp_path / "file" / "state.db")

    def test_full_disk_is_class_no_space_and_changes_nothing(self, state: State) -> None:
        state.jobs.ensure(JOB, NOW)
        pages = state.database._connection.execute("PRAGMA page_count").fetchone()[0]
        state.database._connection.execute(
            f"PRAGMA max_page_count = {pages}"
        )  # SQLite's own word for a disk without a page left
        run = state.runs.begin(JOB, NOW, owner="another process", missed=0)
        with pytest.raises(NoSpaceError):
            state.logs.append(run, [(NOW, "raw", "x" * 100_000)])
        assert state.logs.lines(run) == []
        state.database._connection.execute(f"PRAGMA max_page_count = {pages + 1000}")
        state.logs.append(run, [(NOW, "info", "room again")])

    @pytest.mark.skipif(os.geteuid() != 0, reason="a disk of its own needs root")
    def test_really_full_disk_keeps_what_was_written(self, tmp_path: Path) -> None:
        disk = tmp_path / "disk"
        disk.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(disk)], check=True)
        try:
            with closing(State.open(disk / "state.db")) as state:
                run = succeed(state, NOW)
                with pytest.raises(NoSpaceError):
                    fill_with_words(state, run)
            with closing(State.open(disk / "state.db")) as state:
                assert state.database.moved_aside is None
                assert state.jobs.all()[JOB].last_sync == NOW + 1
        finally:
            subprocess.run(["umount", str(disk)], check=True)

    def test_serves_threads_and_processes_at_once(self, state: State, path: Path) -> None:
        code = (
            "import sys; from pathlib import Path; from replicator.state.stores import State\n"
            "from replicator.models import JobId\n"
            "state = State.open(Path(sys.argv[1]))\n"
            "for index in range(50): state.runs.begin(JobId(200, 0), index, owner='child', missed=1)\n"
        )
        child = subprocess.Popen([sys.executable, "-c", code, str(path)])
        threads = [
            threading.Thread(target=lambda: [state.runs.begin(JOB, i, owner="us", missed=1) for i in range(25)])
            for _ in range(2)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert child.wait() == 0
        assert {job: found.missed_runs for job, found in state.jobs.all().items()} == {JOB: 50, JobId(200, 0): 50}


WRITER = """
import sys
from pathlib import Path
from replicator.events import RunSucceeded
from replicator.models import JobId
from replicator.common.history import Retention
from replicator.state.stores import State
state = State.open(Path(sys.argv[1]))
print("ready", flush=True)
job, at = JobId(100, 0), 1_800_000_000.0
while True:
    at += 60
    run = state.runs.begin(job, at, owner="child", missed=1)
    state.logs.append(run, [(at, "info", "words")])
    event = RunSucceeded(at + 5, job, run, last_sync=at, duration=5.0, sent_bytes=7)
    state.runs.finish(event, start=at, sent_bytes=7, unreplicated=0, retention=Retention(5, 600))
"""


@pytest.mark.parametrize("seed", range(4))
def test_a_writer_killed_at_any_point_leaves_books_that_agree(path: Path, seed: int) -> None:
    child = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE)
    assert child.stdout is not None
    assert child.stdout.readline() == b"ready\n"
    time.sleep(random.Random(seed).uniform(0.02, 0.3))
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdout.close()

    with closing(State.open(path)) as state:
        assert state.database.moved_aside is None
        found = state.jobs.all().get(JOB)
        if found is None:
            return
        unfinished = len(state.runs.unfinished())
        assert unfinished <= 1
        events = [event for _, event in state.journal.events(0, limit=100_000)]
        assert sum(isinstance(event, RunSucceeded) for event in events) == found.runs_succeeded
        assert sum(isinstance(event, RunStarted) for event in events) == found.runs_succeeded + unfinished
        assert found.missed_runs == found.runs_succeeded + unfinished
        assert found.sent_bytes_total == 7 * found.runs_succeeded
