"""The format of a cluster file; a played next format shows what happens to the files of an older one."""

from __future__ import annotations

from pathlib import Path

import pytest
import tomlkit

from replicator.cluster.file_store import FileStore
from replicator.cluster.model import Cluster
from replicator.errors import ConfigError
from replicator.models import JobId
from tests.support.command_line import CLUSTER


def rename_storage(document: tomlkit.TOMLDocument) -> None:
    """The step of a played format 2, in which the storage has another name."""
    document["storages"]["fast"] = document["storages"].pop("local-zfs")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "cluster.toml"
    path.write_text(CLUSTER)
    return path


@pytest.fixture
def newer(path: Path) -> FileStore:
    """The store of a version that knows format 2."""
    return FileStore(path, {1: rename_storage})


def disable(cluster: Cluster) -> Cluster:
    from dataclasses import replace

    nodes = {**cluster.nodes, "beta": replace(cluster.nodes["beta"], disabled=True)}
    return replace(cluster, nodes=nodes)


def test_a_file_without_one_has_the_first(path: Path) -> None:
    without = FileStore(path).read()
    path.write_text(f"format = 1\n{CLUSTER}")
    assert FileStore(path).read().guests == without.guests


def test_a_newer_one_is_refused_in_one_sentence_and_stays_as_it_is(path: Path) -> None:
    text = f"format = 2\n{CLUSTER}[rooms.north]\nnodes = 3\n"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"written for a newer zsr \(format 2, this one knows 1\)"):
        FileStore(path).read()
    with pytest.raises(ConfigError, match="newer zsr"):
        FileStore(path).change(disable, None)
    assert path.read_text() == text


@pytest.mark.parametrize("value", ["0", '"two"', "true", "1.5"])
def test_one_that_is_no_number_is_refused(path: Path, value: str) -> None:
    path.write_text(f"format = {value}\n{CLUSTER}")
    with pytest.raises(ConfigError, match="no number"):
        FileStore(path).read()


def test_an_older_one_is_read_as_if_it_were_new_and_not_written(path: Path, newer: FileStore) -> None:
    assert list(newer.read().storages) == ["fast"]
    assert path.read_text() == CLUSTER


def test_an_older_one_is_written_in_the_new_format_with_the_next_change_and_kept_as_it_was(
    path: Path, newer: FileStore
) -> None:
    newer.change(disable, None)
    text = path.read_text()
    assert tomlkit.parse(text)["format"] == 2
    assert "# the other one" in text
    assert newer.read().nodes["beta"].disabled
    assert path.with_name("cluster.toml.format-1").read_text() == CLUSTER
    with pytest.raises(ConfigError, match="newer zsr"):
        FileStore(path).read()


def test_a_change_that_changes_nothing_leaves_an_older_one_alone(path: Path, newer: FileStore) -> None:
    newer.change(lambda cluster: cluster, None)
    assert path.read_text() == CLUSTER
    assert [each.name for each in path.parent.glob("*.format-*")] == []


def test_a_file_that_is_written_says_no_format_while_there_is_one_only(path: Path) -> None:
    """An earlier version, on another node, refuses keys that it does not know."""
    FileStore(path).change(disable, None)
    assert "format" not in path.read_text()
    assert JobId(100, 0) not in FileStore(path).read().jobs
