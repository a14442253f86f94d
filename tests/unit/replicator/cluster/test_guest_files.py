"""The files that a guest needs besides its volumes: which paths the cluster file may name."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from replicator.cluster.checks import refused_hooks
from replicator.cluster.file_store import FileStore
from replicator.cluster.toml_schema import read_cluster
from tests.support.guest_files import UNIT, XML

CLUSTER = """
[nodes.alpha]
address = "local"
[guests.100]
node = "alpha"
"""


def test_a_guest_has_no_files_unless_it_names_some() -> None:
    cluster, problems = read_cluster(tomllib.loads(CLUSTER), "")
    assert (problems, cluster.guests[100].files) == ([], ())


def test_its_files_are_named_by_their_paths() -> None:
    cluster, problems = read_cluster(tomllib.loads(f'{CLUSTER}files = ["{XML}", "{UNIT}"]'), "")
    assert problems == []
    assert cluster.guests[100].files == (XML, UNIT)


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("web.xml", "the absolute path of one file"),
        ("", "the absolute path of one file"),
        ("/etc/\\u0007", "the absolute path of one file"),
        ("/etc/libvirt/", "this is a folder"),
        ("/", "this is a folder"),
        ("/etc/libvirt/qemu/*.xml", "without '*', '?' and '['"),
        ("/etc/../etc/web.xml", "without '.', '..' and '//'"),
        ("/etc//web.xml", "without '.', '..' and '//'"),
        ("//etc/web.xml", "without '.', '..' and '//'"),
        ("/etc/zsr/cluster.toml", "none of zsr itself"),
        ("/etc/zsr", "none of zsr itself"),
        ("/var/lib/zsr/state.db", "none of zsr itself"),
        (f"/etc/{'x' * 250}", "a shorter one"),
    ],
)
def test_a_path_that_cannot_be_one_is_named_with_what_is_allowed(path: str, says: str) -> None:
    _, [problem] = read_cluster(tomllib.loads(f'{CLUSTER}files = ["{XML}", "{path}"]'), "")
    assert problem.key == "guests.100.files.1"
    assert says in problem.allowed


def test_a_file_that_is_named_twice_is_a_problem() -> None:
    _, [problem] = read_cluster(tomllib.loads(f'{CLUSTER}files = ["{XML}", "{UNIT}", "{XML}"]'), "")
    assert (problem.key, problem.value, problem.allowed) == ("guests.100.files", repr(XML), "each file once")


def test_those_of_a_cluster_file_that_others_may_write_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "cluster.toml"
    path.write_text(f'{CLUSTER}files = ["{XML}"]\n')
    path.chmod(0o666)
    cluster = FileStore(path).read()
    assert cluster.guests[100].hooks_refused
    assert "their files are neither kept nor put in place" in next(iter(refused_hooks(cluster)))
