"""A run brings a guest's files to its target, with a real shell: what it asks there, and what it warns of."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from replicator.common.kept_files import Kept
from replicator.hosts.host import Completed
from replicator.hosts.version_folder import list_versions
from replicator.models import Guest, TargetPlace, TargetStorage
from replicator.replication.discovery import Discovered
from replicator.replication.file_keeper import LOOK_AGAIN_SECONDS, FileKeeper, GuestFiles, RememberedFiles, remove_files
from tests.support.guest_files import NodeWithFiles
from tests.support.volumes import JOB, dataset, pair, snap

PLACE = TargetPlace("beta", "10.0.0.12", (TargetStorage("data", "pool/data", 7),))
NOTHING = Discovered((), (), ())


class Site:
    """A guest with two files on alpha, of which beta keeps what was proven."""

    def __init__(self, folder: Path) -> None:
        self.alpha, self.beta = NodeWithFiles("alpha"), NodeWithFiles("beta")
        self.where = GuestFiles(str(folder / "kept"), (str(folder / "state"),))
        self.xml, self.unit = folder / "web.xml", folder / "web.service"
        self.xml.write_text("<domain/>")
        self.unit.write_text("[Unit]")
        self.guest = Guest(100, "web", "alpha", files=(str(self.xml), str(self.unit)))
        self.log: list[tuple[str, str]] = []
        self.now = 1000.0

    def run(self, set_time: int, place: TargetPlace = PLACE, saw: Discovered = NOTHING) -> None:
        """One run that proves a set, and ``saw`` others before; the log and what was asked are those of this one."""
        self.log, self.alpha.host.asked, self.beta.host.asked = [], [], []
        self.now = max(self.now, float(set_time))
        asyncio.run(self._run(set_time, place, saw))

    async def _run(self, set_time: int, place: TargetPlace, saw: Discovered) -> None:
        keeper = FileKeeper(
            JOB, self.guest, self.where, self.alpha.client, self.beta.client, self._say, lambda: self.now
        )
        keeper.saw(saw)
        await keeper.read()
        await keeper.keep(NOTHING, set_time, place)

    def _say(self, level: str, text: str) -> None:
        self.log.append((level, text))

    def restart(self) -> None:
        """Forget what the process knew."""
        self.where = GuestFiles(self.where.folder, self.where.own, RememberedFiles())

    @property
    def kept(self) -> Kept:
        """What beta has."""
        return asyncio.run(list_versions(NodeWithFiles("beta").host, self.where.of_job(JOB)))

    def times(self, path: Path) -> list[int]:
        """The sets of the versions of a file that beta has."""
        return [each.set_time for each in self.kept.versions.get(str(path), ())]


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def test_the_first_run_looks_and_brings_each_file_once(site: Site) -> None:
    site.run(1000)
    assert (site.times(site.xml), site.times(site.unit)) == ([1000], [1000])
    assert (len(site.alpha.host.asked), len(site.beta.host.asked)) == (1, 3)
    assert site.log == [("info", f"'{path}' is kept on beta") for path in (site.xml, site.unit)]


def test_while_nothing_changes_the_target_is_asked_nothing(site: Site) -> None:
    site.run(1000)
    site.run(2000)
    assert (len(site.alpha.host.asked), site.beta.host.asked, site.log) == (1, [], [])


def test_a_restart_costs_one_look(site: Site) -> None:
    site.run(1000)
    site.restart()
    site.run(2000)
    assert len(site.beta.host.asked) == 1
    assert site.times(site.xml) == [1000]


def test_a_file_that_changed_is_brought_and_the_version_that_no_set_needs_goes(site: Site) -> None:
    site.run(1000)
    site.xml.write_text("<domain>new</domain>")
    site.run(2000)
    assert (site.times(site.xml), site.times(site.unit)) == ([2000], [1000])
    assert len(site.beta.host.asked) == 2


def test_a_version_stays_while_any_replica_that_the_run_saw_has_its_set(site: Site) -> None:
    """Replicas of volumes, of vanished ones, and those that were set aside, maybe in this run."""
    site.run(1001)
    for number, content in enumerate(("two", "three", "four"), start=2):
        site.xml.write_text(content)
        of = [dataset(snap(each)) for each in (1, 2, 3)]
        saw = Discovered((pair(dataset(), of[0]),), (of[1],), (of[2],))
        site.run(1000 + number, saw=saw)
    assert site.times(site.xml) == [1001, 1002, 1003, 1004]
    site.run(1005)
    assert site.times(site.xml) == [1004]


def test_what_somebody_removed_on_the_target_is_there_again_after_a_day(site: Site) -> None:
    site.run(1000)
    asyncio.run(_remove(site))
    site.run(2000)
    assert site.kept == Kept()
    site.now += LOOK_AGAIN_SECONDS
    site.run(3000)
    assert site.times(site.xml) == [3000]


async def _remove(site: Site) -> None:
    await remove_files(JOB, GuestFiles(site.where.folder), [site.beta.client], site._say)


def test_another_target_is_looked_at(site: Site) -> None:
    site.run(1000)
    site.run(2000, TargetPlace("beta", "10.0.0.99", PLACE.storages))
    assert len(site.beta.host.asked) == 1


def test_a_file_that_is_not_there_any_more_is_a_warning_and_its_version_stays(site: Site) -> None:
    site.run(1000)
    site.xml.unlink()
    site.run(2000)
    assert site.log == [
        ("warning", f"'{site.xml}' was not brought to beta: there is no such file. What is kept there stays.")
    ]
    assert site.times(site.xml) == [1000]


def test_zsrs_own_files_never_travel_whatever_the_cluster_file_says(site: Site, tmp_path: Path) -> None:
    own = tmp_path / "state" / "state.db"
    own.parent.mkdir()
    own.write_text("x")
    site.guest = Guest(100, "web", "alpha", files=(str(own),))
    site.run(1000)
    assert site.kept == Kept()
    assert [text for _, text in site.log] == [
        f"'{own}' was not brought to beta: it is one of zsr's own files. What is kept there stays."
    ]


def test_a_target_that_takes_none_is_a_warning_and_the_next_run_tries_again(site: Site, tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("a file is in the way")
    site.run(1000)
    [(level, text)] = site.log
    assert level == "warning"
    assert text.startswith("The files of guest 100 are not all kept on beta: Could not ")
    (tmp_path / "kept").unlink()
    site.run(2000)
    assert site.times(site.xml) == [2000]


def test_a_guest_without_files_costs_nothing(site: Site) -> None:
    site.guest = Guest(100, "web", "alpha")
    site.run(1000)
    assert (site.alpha.host.asked, site.beta.host.asked) == ([], [])


def test_what_a_guest_does_not_name_any_more_goes(site: Site) -> None:
    site.run(1000)
    site.guest = Guest(100, "web", "alpha", files=(str(site.unit),))
    site.run(2000)
    assert list(site.kept.versions) == [str(site.unit)]
    site.guest = Guest(100, "web", "alpha")
    site.run(3000)
    assert site.kept == Kept()


def test_those_of_a_cluster_file_that_others_may_write_are_left_alone(site: Site) -> None:
    site.guest = Guest(100, "web", "alpha", files=site.guest.files, hooks_refused="it may be written by others")
    site.run(1000)
    assert (site.alpha.host.asked, site.beta.host.asked) == ([], [])
    assert site.log == [("warning", "The files of guest 100 are left alone: it may be written by others.")]


def test_all_of_a_job_are_removed(site: Site) -> None:
    site.run(1000)
    asyncio.run(_remove(site))
    assert site.kept == Kept()


def test_what_cannot_be_removed_is_a_warning(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(argv: Sequence[str], **_: object) -> Completed:
        return Completed(tuple(argv), 1, "", "rm: read-only file system")

    monkeypatch.setattr(site.beta.host, "run", fail)
    asyncio.run(_remove(site))
    [(level, text)] = site.log
    assert level == "warning"
    assert text.startswith("Files of guest 100 are left on beta: Could not remove ")
