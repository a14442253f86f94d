"""The cluster that a running daemon uses while files change."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from replicator.cluster import file_store
from replicator.cluster.file_store import FileStore
from replicator.cluster.store import ClusterStore
from replicator.config.settings import load_settings
from replicator.daemon import config_watcher
from replicator.daemon.config_watcher import ConfigWatcher
from replicator.errors import ConfigError

CLUSTER = """\
[nodes.alpha]
address = "local"
[nodes.beta]
address = "10.0.0.2"
[guests.100]
node = "alpha"
"""


class Files:
    """The two files of a node, and a clock."""

    def __init__(self, folder: Path) -> None:
        self.settings = folder / "zsr.toml"
        self.cluster = folder / "cluster.toml"
        self.now = 1000.0
        self._versions = 0
        self.write(self.settings, f'node = "alpha"\n[cluster]\npath = "{self.cluster}"\n')
        self.write(self.cluster, CLUSTER)

    def write(self, path: Path, text: str) -> None:
        """Write a file so that it cannot be mistaken for its older self, however quick the test."""
        self._versions += 1
        path.write_text(text)
        os.utime(path, ns=(self._versions * 10**9, self._versions * 10**9))

    def reading(self) -> ConfigWatcher:
        """A reading of them that has not begun."""
        store = ClusterStore(FileStore(self.cluster), ZoneInfo("UTC"))
        return ConfigWatcher(load_settings(self.settings), store, lambda: self.now)


@pytest.fixture
def files(tmp_path: Path) -> Files:
    """Two good files."""
    return Files(tmp_path)


async def test_nothing_is_well_before_the_first_reading(files: Files) -> None:
    assert not files.reading().status.ok


async def test_a_good_change_is_taken_over(files: Files) -> None:
    reading = files.reading()
    await reading.read()
    assert not await reading.read_again()
    files.now = 2000.0
    files.write(files.cluster, CLUSTER + '[guests.101]\nnode = "alpha"\n')
    assert not await reading.read_again()  # it may still be written
    assert await reading.read_again()
    assert sorted(reading.cluster.guests) == [100, 101]
    assert (reading.status.ok, reading.status.last_success) == (True, 2000.0)


async def test_a_bad_cluster_leaves_the_last_good_one_in_use_until_it_is_fixed(files: Files) -> None:
    reading = files.reading()
    await reading.read()
    files.now = 2000.0
    files.write(files.cluster, "[nodes.")
    for _ in range(2):
        assert not await reading.read_again()
    assert sorted(reading.cluster.guests) == [100]
    assert (reading.status.ok, reading.status.last_success) == (False, 1000.0)
    assert "TOML" in reading.status.problems[0]
    files.write(files.cluster, CLUSTER)
    assert not await reading.read_again()
    assert await reading.read_again()
    assert reading.status.ok


async def test_no_beginning_of_a_file_that_is_still_written_is_taken_though_it_is_valid(files: Files) -> None:
    text = CLUSTER + "".join(f'[guests.{number}]\nnode = "alpha"\n' for number in range(101, 110))
    reading = files.reading()
    await reading.read()
    for end in range(len(CLUSTER), len(text), 7):  # a writer that opens the file for each piece
        files.write(files.cluster, text[:end])
        assert not await reading.read_again()
        assert sorted(reading.cluster.guests) == [100]
        assert reading.status.ok
    files.write(files.cluster, text)
    await reading.read_again()
    assert await reading.read_again()
    assert len(reading.cluster.guests) == 10


async def test_a_file_that_was_put_in_place_by_a_rename_is_taken_at_once(files: Files) -> None:
    reading = files.reading()
    await reading.read()
    fresh = files.cluster.with_name("fresh")
    fresh.write_text(CLUSTER + '[guests.102]\nnode = "alpha"\n')
    fresh.replace(files.cluster)
    assert await reading.read_again()
    assert sorted(reading.cluster.guests) == [100, 102]


async def test_settings_with_which_the_daemon_would_not_start_again_are_reported(files: Files) -> None:
    reading = files.reading()
    await reading.read()
    good = files.settings.read_text()
    files.write(files.settings, good.replace("alpha", "al pha"))
    await reading.read_again()
    assert not reading.status.ok
    assert any("node" in line for line in reading.status.problems)
    files.write(files.settings, good)
    await reading.read_again()
    assert reading.status.ok


async def test_settings_that_are_gone_are_reported(files: Files) -> None:
    reading = files.reading()
    await reading.read()
    files.settings.unlink()
    await reading.read_again()
    assert not reading.status.ok


async def test_a_cluster_without_this_node_is_refused(files: Files) -> None:
    files.write(files.settings, files.settings.read_text().replace("alpha", "gamma"))
    with pytest.raises(ConfigError, match="gamma"):
        await files.reading().read()


async def test_settings_that_take_effect_at_the_next_start_are_shown_by_their_keys(files: Files) -> None:
    reading = files.reading()
    await reading.read()
    good = files.settings.read_text()
    files.write(files.settings, f"max_parallel = 2\n{good}[ssh]\nagent = false\n[exporter]\nenabled = false\n")
    await reading.read_again()
    assert (reading.status.ok, reading.status.pending) == (True, ("max_parallel", "ssh", "exporter"))
    files.write(files.settings, f"# as it was\n{good}")
    await reading.read_again()
    assert reading.status.pending == ()


class TestAFileThatCannotBeRead:
    """Whatever is in it: it is tried again, though it does not change."""

    @pytest.fixture(autouse=True)
    def at_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(config_watcher, "RETRY_SECONDS", 0.0)

    async def test_is_read_as_soon_as_that_is_possible(
        self, files: Files, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        reading = files.reading()
        await reading.read()
        files.write(files.cluster, CLUSTER + '[guests.101]\nnode = "alpha"\n')
        with monkeypatch.context() as patch:
            patch.setattr(Path, "open", without_descriptors)
            for _ in range(4):
                assert not await reading.read_again()
        assert "Too many open files. Raise the limit" in reading.status.problems[0]
        assert caplog.text.count("Could not read the cluster file") == 1
        assert await reading.read_again()
        assert (sorted(reading.cluster.guests), reading.status.ok) == ([100, 101], True)

    async def test_is_read_again_after_a_program_that_held_it_open_without_a_change(
        self, files: Files, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(file_store, "WRITER_TIMEOUT_SECONDS", 0.0)
        reading = files.reading()
        await reading.read()
        files.write(files.cluster, CLUSTER + '[guests.101]\nnode = "alpha"\n')
        with files.cluster.open("a"):
            for _ in range(3):
                assert not await reading.read_again()
            assert "open for writing" in reading.status.problems[0]
        assert await reading.read_again()
        assert reading.status.ok

    async def test_is_not_tried_with_each_turn(self, files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(config_watcher, "RETRY_SECONDS", 600.0)
        reading = files.reading()
        await reading.read()
        files.write(files.cluster, CLUSTER)
        with monkeypatch.context() as patch:
            patch.setattr(Path, "open", without_descriptors)
            for _ in range(2):
                await reading.read_again()
        assert not await reading.read_again()
        assert not reading.status.ok

    async def test_with_the_settings_is_read_again_too(self, files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
        reading = files.reading()
        await reading.read()
        files.write(files.settings, files.settings.read_text())
        with monkeypatch.context() as patch:
            patch.setattr(Path, "open", without_descriptors)
            await reading.read_again()
        assert "Too many open files" in reading.status.problems[0]
        await reading.read_again()
        assert reading.status.ok


def without_descriptors(*_: object, **__: object) -> None:
    """Open a file in a process that has no descriptor left; a fake, since pytest needs some."""
    raise OSError(errno.EMFILE, "Too many open files")
