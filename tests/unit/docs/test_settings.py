"""docs/settings.md is right: its examples load, what it calls defaults are the defaults, and it names every key."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from replicator.cluster import toml_schema
from replicator.cluster.file_store import FileStore
from replicator.config import settings
from replicator.config.settings import load_settings

TEXT = (Path(__file__).parents[3] / "docs" / "settings.md").read_text()


def example(name: str) -> str:
    (found,) = (block for block in re.findall(r"```toml\n(.*?)```", TEXT, re.DOTALL) if block.startswith(f"# {name}"))
    return str(found)


def test_the_nodes_example_holds_the_defaults(tmp_path: Path) -> None:
    full, least = tmp_path / "full.toml", tmp_path / "least.toml"
    full.write_text(example("/etc/zsr/zsr.toml"))
    least.write_text('node = "alpha"\ntimezone = "Europe/Vienna"\n')

    assert dataclasses.replace(load_settings(full), path=least) == load_settings(least)


def test_the_clusters_example_loads(tmp_path: Path) -> None:
    path = tmp_path / "cluster.toml"
    path.write_text(example("/etc/zsr/cluster.toml"))
    settings = tmp_path / "zsr.toml"
    settings.write_text('node = "alpha"\n')

    cluster = FileStore(path).read()

    assert [str(job) for job in sorted(cluster.jobs)] == ["100-0", "101-0", "home-0"]
    assert cluster.storages["tank"].path_on("beta") == "backup/guests"


@pytest.mark.parametrize(
    ("prefix", "model"),
    [
        ("", settings._File),
        ("cluster.", settings._Cluster),
        ("history.", settings._History),
        ("zfs.", settings._Zfs),
        ("ssh.", settings._Ssh),
        ("doctor.", settings._Doctor),
        ("nodes.NAME.", toml_schema._Node),
        ("storages.NAME.", toml_schema._Storage),
        ("guests.ID.", toml_schema._Guest),
        ("jobs.ID.", toml_schema._Job),
    ],
)
def test_every_key_has_its_row(prefix: str, model: type[settings._Section] | type[toml_schema._Entry]) -> None:
    rows = " ".join(re.findall(r"^\| (`.*?) \|", TEXT, re.MULTILINE))
    shown = set(re.findall(r"`([^`]+)`", rows))
    shown |= {f"{prefix}{name[1:]}" for name in shown if name.startswith(".")}
    sections = {"cluster", "history", "zfs", "ssh", "doctor"}

    assert {f"{prefix}{name}" for name in model.model_fields if prefix or name not in sections} - shown == set()
