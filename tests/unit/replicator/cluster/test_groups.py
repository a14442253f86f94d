"""Groups in the cluster file: guests that have a name, and volumes that are listed."""

from __future__ import annotations

from pathlib import Path

import pytest

from replicator.cluster.file_store import FileStore
from replicator.config.problems import SettingsError
from replicator.ids import GroupName
from replicator.models import JobId, Volume
from tests.support.command_line import CLUSTER

HOME = GroupName("home")
GROUP = """
[groups.home]
node = "alpha"
volumes = ["local-zfs:home", { volume = "local-zfs:home/cache", replicate = false }]
"""


def store(folder: Path, text: str) -> FileStore:
    path = folder / "cluster.toml"
    path.write_text(CLUSTER + text)
    return FileStore(path)


def problems(folder: Path, text: str) -> dict[str, str]:
    """The keys of a file that are refused, and what is allowed there."""
    with pytest.raises(SettingsError) as caught:
        store(folder, text).read()
    return {problem.key: problem.allowed for problem in caught.value.problems}


def test_a_group_is_a_guest_with_the_volumes_of_its_list(tmp_path: Path) -> None:
    cluster = store(tmp_path, GROUP + '[jobs.home-0]\ntarget = "beta"\n').read()
    group = cluster.guests[HOME]
    assert (group.id, group.name, group.node, group.storages) == ("home", "home", "alpha", ())
    assert group.volumes == (Volume("local-zfs", "home"),)
    assert group.excluded == {Volume("local-zfs", "home/cache")}
    assert cluster.source(cluster.jobs[JobId(HOME, 0)]) == "alpha"
    assert [str(guest) for guest in sorted(cluster.guests)] == ["100", "101", "200", "home"]


@pytest.mark.parametrize("name", ["Home", "1st", "home-dir", "_x", "x" * 33, "100"])
def test_a_name_that_could_be_read_in_two_ways_is_refused(tmp_path: Path, name: str) -> None:
    found = problems(tmp_path, f'[groups.{name}]\nnode = "alpha"\nvolumes = ["local-zfs:home"]\n')
    assert found == {f"groups.{name}": "a name of up to 32 small letters, digits and _, which begins with a letter"}


def test_a_name_among_the_guests_is_refused_with_where_it_belongs(tmp_path: Path) -> None:
    found = problems(tmp_path, '[guests.home]\nnode = "alpha"\n')
    assert found == {"guests.home": "a guest's number, 100 or more; or, as a group: [groups.home]"}


def test_a_group_needs_a_list_with_a_volume_that_is_replicated(tmp_path: Path) -> None:
    assert problems(tmp_path, '[groups.home]\nnode = "alpha"\n') == {"groups.home.volumes": "this key is required"}
    nothing = 'volumes = [{ volume = "local-zfs:home", replicate = false }]'
    (text,) = problems(tmp_path, f'[groups.home]\nnode = "alpha"\n{nothing}\n').values()
    assert "at least one that is replicated" in text


def test_a_group_has_no_storages_to_look_through(tmp_path: Path) -> None:
    assert list(problems(tmp_path, f'{GROUP}storages = ["local-zfs"]\n')) == ["groups.home.storages"]


def test_what_is_wrong_with_a_group_is_reported_at_its_place(tmp_path: Path) -> None:
    found = problems(tmp_path, GROUP.replace('"alpha"', '"nowhere"'))
    assert list(found) == ["groups.home.node"]


def test_a_change_of_owner_is_written_into_the_groups_table(tmp_path: Path) -> None:
    file = store(tmp_path, GROUP)
    from dataclasses import replace

    def give(cluster):  # type: ignore[no-untyped-def]
        moved = replace(cluster.guests[HOME], node="beta", epoch=2)
        return replace(cluster, guests={**cluster.guests, HOME: moved})

    file.change(give, None)
    assert (file.read().guests[HOME].node, file.read().guests[HOME].epoch) == ("beta", 2)
    assert "epoch = 2" in file.path.read_text().partition("[groups.home]")[2]
