"""A node that takes a guest puts its files in place: the version of its set, and no path that it does not name."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from replicator.common.kept_files import KeptFile, Version, name_of
from replicator.errors import HookError
from replicator.guests.file_placing import Placed
from replicator.guests.taken_files import TakenFile, put_in_place
from replicator.hosts.local import LocalHost
from replicator.hosts.version_folder import keep_version
from replicator.models import Guest
from replicator.replication.file_keeper import GuestFiles
from tests.support.volumes import JOB

HOST = LocalHost("beta")


class Site:
    """A guest with one file, of which this node keeps versions."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "web.xml"
        self.where = GuestFiles(str(folder / "kept"), (str(folder / "zsr"),))
        self.guest = Guest(100, "web", "beta", files=(str(self.path),))

    def keep(self, set_time: int, content: bytes, path: Path | None = None) -> Path:
        """Keep a version; return where it lies."""
        file = KeptFile(str(path or self.path), 0o644, "root", "root", os.getuid(), os.getgid(), content)
        version = Version(set_time, set_time, file.digest)
        asyncio.run(keep_version(HOST, self.where.of_job(JOB), version, file))
        return Path(self.where.of_job(JOB), name_of(file.path, version))

    def take(self, set_time: int) -> list[TakenFile]:
        """Put the guest's files in place."""
        return asyncio.run(put_in_place(self.guest, JOB, set_time, self.where, HOST, 0.0))


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def test_the_version_of_the_set_is_put_in_place(site: Site) -> None:
    site.keep(1000, b"old")
    site.keep(2000, b"new")
    assert site.take(1500) == [TakenFile(str(site.path), 1000, Placed.NEW)]
    assert site.path.read_bytes() == b"old"


def test_a_file_of_which_none_is_kept_is_said_and_what_is_there_stays(site: Site) -> None:
    site.path.write_text("beta's own")
    site.keep(2000, b"new")
    assert site.take(1999) == [TakenFile(str(site.path))]
    assert site.path.read_text() == "beta's own"


def test_a_path_that_the_cluster_file_here_does_not_name_is_never_written(site: Site, tmp_path: Path) -> None:
    other = tmp_path / "passwd"
    site.keep(1000, b"root::0:0", other)
    site.keep(1000, b"new")
    site.take(1000)
    assert not other.exists()


def test_what_is_kept_for_another_path_is_not_taken_for_this_one(site: Site, tmp_path: Path) -> None:
    other = site.keep(1000, b"other", tmp_path / "other")
    mine = site.keep(1000, b"new")
    (mine.parent / other.name).write_bytes(other.read_bytes())
    mine.unlink()
    [found] = site.take(1000)
    assert "is damaged" in str(found.error)
    assert not site.path.exists()


def test_a_damaged_one_is_not_put_in_place_and_does_not_keep_the_others_from_it(site: Site, tmp_path: Path) -> None:
    kept = site.keep(1000, b"new")
    kept.write_bytes(kept.read_bytes().replace(b"new", b"now"))
    other = tmp_path / "web.service"
    site.keep(1000, b"unit", other)
    site.guest = Guest(100, "web", "beta", files=(str(site.path), str(other)))

    damaged, placed = site.take(1000)

    assert f"'{site.path}' is not put in place: '{kept}' is damaged." in str(damaged.error)
    assert not site.path.exists()
    assert (placed.placed, other.read_bytes()) == (Placed.NEW, b"unit")


def test_zsrs_own_files_are_never_replaced_also_not_through_a_link_on_the_way(site: Site, tmp_path: Path) -> None:
    own = tmp_path / "zsr" / "zsr.toml"
    own.parent.mkdir()
    own.write_text("own")
    (tmp_path / "way").symlink_to(own.parent)
    path = tmp_path / "way" / "zsr.toml"
    site.keep(1000, b"other", path)
    site.guest = Guest(100, "web", "beta", files=(str(path),))
    [found] = site.take(1000)
    assert "it is one of zsr's own files" in str(found.error)
    assert own.read_text() == "own"


def test_nothing_is_done_for_a_cluster_file_that_others_may_write(site: Site) -> None:
    site.keep(1000, b"new")
    site.guest = Guest(100, "web", "beta", files=site.guest.files, hooks_refused="it may be written by others")
    with pytest.raises(HookError, match="files of guest 100 are not put in place: it may be written by others"):
        site.take(1000)
    assert not site.path.exists()
