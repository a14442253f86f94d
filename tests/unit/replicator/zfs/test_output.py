"""What zfs prints, read into facts: features, inventories, sizes, tokens."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from replicator.errors import ZfsError
from replicator.models import JobId
from replicator.zfs import commands
from replicator.zfs.features import Features, features_from_usage, version_from_output
from replicator.zfs.model import Bookmark, Snapshot
from replicator.zfs.output import estimated_size, inventory_from_get, inventory_from_list
from replicator.zfs.snapshot_names import snapshot_name

DATA = Path(__file__).parent / "data"
MODERN = features_from_usage((DATA / "zfs-usage-2.3.2.txt").read_text(), "2.3.2")
OLD = features_from_usage((DATA / "zfs-usage-fuse-0.7.0.txt").read_text(), "unknown")


def test_a_modern_zfs_has_every_feature() -> None:
    assert all(getattr(MODERN, name) for name in Features.__slots__ if name != "version")


def test_zfs_fuse_has_none_of_them() -> None:
    assert not any(getattr(OLD, name) for name in Features.__slots__ if name != "version")


def test_a_stream_uses_only_what_both_sides_know() -> None:
    assert MODERN.common(OLD) == Features("2.3.2")
    assert MODERN.common(MODERN) == MODERN


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("zfs-2.3.2-1~bpo12+2\nzfs-kmod-2.3.2-1\n", "2.3.2-1"),
        ("zfs-0.8.3-1ubuntu12\n", "0.8.3-1ubuntu12"),
        ("", "unknown"),
    ],
)
def test_the_version_is_read_where_there_is_one(text: str, version: str) -> None:
    assert version_from_output(text) == version


COLUMNS = {
    "type": "filesystem", "createtxg": "1", "creation": "100", "written": "512", "receive_resume_token": "-",
    "encryption": "off", "encryptionroot": "-", "keystatus": "-", "pbkdf2salt": "-",
    "readonly": "off", "mounted": "no", "origin": "-", "used": "8192",
    "zsr:job": "-", "zsr:source": "-", "zsr:owner": "-", "zsr:epoch": "-", "zsr:stream": "-",
}  # fmt: skip


def row(name: str, guid: int, **values: str) -> str:
    """A line of an inventory; ``zsr_job`` stands for ``zsr:job``."""
    known = {**COLUMNS, **{key.replace("zsr_", "zsr:"): value for key, value in values.items()}}
    return "\t".join([name if key == "name" else str(guid) if key == "guid" else known[key] for key in commands.LISTED])


VOLUME = "tank/data/vm-100-disk-0"
LISTING = "\n".join(
    [
        row("tank/data", 11),
        row(
            VOLUME, 12, type="volume", createtxg="5", creation="101", written="4096", receive_resume_token="1-abc-def",
            encryption="aes-256-gcm", encryptionroot=VOLUME, readonly="on", mounted="-", zsr_job="100-0",
            zsr_source="alpha", origin="tank/x@y",
        ),
        row(f"{VOLUME}@with space", 14, type="snapshot", createtxg="9", creation="109", written="10", zsr_job="100-0"),
        row(f"{VOLUME}@__replicate_100-0_105__", 13, createtxg="7", creation="105", written="20", zsr_job="100-0"),
        row(f"{VOLUME}#mark", 13, type="bookmark", createtxg="7", creation="105", written="-"),
    ]
)  # fmt: skip


def test_an_inventory_holds_datasets_with_their_snapshots_in_order() -> None:
    dataset = inventory_from_list(LISTING).datasets["tank/data/vm-100-disk-0"]
    assert (dataset.is_volume, dataset.guid, dataset.written, dataset.job) == (True, 12, 4096, "100-0")
    assert (dataset.token, dataset.encrypted) == ("1-abc-def", True)
    assert dataset.snapshots == (
        Snapshot("__replicate_100-0_105__", 13, 7, 105, 20),
        Snapshot("with space", 14, 9, 109, 10),
    )
    assert dataset.bookmarks == (Bookmark("mark", 13, 7, 105),)
    assert (dataset.readonly, dataset.mounted, dataset.origin) == (True, None, "tank/x@y")
    assert (dataset.encryption_root, dataset.creation) == (VOLUME, 101)


def test_the_old_form_gives_the_same_facts_as_far_as_it_has_them() -> None:
    rows = {
        "tank": {"type": "filesystem", "guid": "1", "createtxg": "1", "creation": "5", "zsr:job": "-"},
        "tank/a": {"type": "filesystem", "guid": "2", "createtxg": "3", "creation": "6", "zsr:job": "100-0"},
        "tank/a@s": {"type": "snapshot", "guid": "3", "createtxg": "4", "creation": "7", "zsr:job": "100-0"},
    }
    text = "".join(f"{name}\t{key}\t{value}\n" for name, row in rows.items() for key, value in row.items())
    dataset = inventory_from_get(text).datasets["tank/a"]
    assert (dataset.job, dataset.written, dataset.token) == ("100-0", None, None)
    assert dataset.snapshots == (Snapshot("s", 3, 4, 7, None),)


@pytest.mark.parametrize("text", ["tank\tfilesystem\n", "one word\n"])
def test_output_of_another_shape_is_an_error_and_not_an_empty_pool(text: str) -> None:
    with pytest.raises(ZfsError):
        inventory_from_list(text)
    with pytest.raises(ZfsError):
        inventory_from_get(text)


def test_a_missing_number_is_an_error() -> None:
    with pytest.raises(ZfsError, match="guid"):
        inventory_from_list(LISTING.replace("\t12\t", "\t-\t"))


def test_the_estimate_is_the_total_in_bytes() -> None:
    assert estimated_size("full\ttank/a@s\t624\nsize\t624\n") == 624
    assert estimated_size("nothing known") is None


def test_the_peers_job_ids_with_a_common_beginning_are_not_mixed_up() -> None:
    assert Snapshot("__replicate_100-10_5__", 1, 1, 1).job == JobId(100, 10)
    assert Snapshot("__replicate_100-1_5__x", 1, 1, 1).job is None
    assert Snapshot(snapshot_name(JobId(100, 1), 5), 1, 1, 1).set_time == 5


def test_a_destroy_of_snapshots_can_never_name_a_dataset() -> None:
    snapshots = [Snapshot("a", 1, 1, 1), Snapshot("b", 2, 2, 2)]
    for features in (MODERN, OLD):
        orders = commands.destroy_snapshots(features, "tank/a", snapshots)
        assert all("@" in argv[-1] for argv in orders)
    assert commands.destroy_snapshots(MODERN, "tank/a", []) == []


def test_a_receive_is_never_forced_and_never_mounts() -> None:
    for features in (MODERN, OLD):
        argv = commands.receive(features, "tank/a", is_volume=False, properties={"zsr:job": "100-0"})
        assert "-F" not in argv
        assert "-u" in argv


def test_a_sources_mountpoint_never_takes_effect_on_a_replica() -> None:
    assert "-p" not in commands.send(OLD, "tank/a", "s", None, raw=False, properties=True, all_between=True)
    receive = commands.receive(MODERN, "tank/a", is_volume=False, properties={})
    assert ("-x", "mountpoint") in set(pairwise(receive))


def test_a_sources_limits_never_stop_its_replica() -> None:
    """The replica has other snapshots, and a quota counts those as well."""
    filesystem = set(commands.receive(MODERN, "tank/a", is_volume=False, properties={}))
    zvol = set(commands.receive(MODERN, "tank/a", is_volume=True, properties={"refreservation": "5"}))
    assert {"quota=none", "reservation=none", "refreservation=none"} <= filesystem
    assert {"reservation=none", "refreservation=5"} <= zvol
    assert not {"quota=none", "refreservation=none"} & zvol


def test_a_dry_run_asks_for_the_very_same_stream() -> None:
    assert commands.estimate(["zfs", "send", "-p", "-I", "@a", "t@b"]) == [
        "zfs",
        "send",
        "-nvP",
        "-p",
        "-I",
        "@a",
        "t@b",
    ]


def test_a_bookmark_begins_a_plain_increment_also_when_all_between_are_wanted() -> None:
    argv = commands.send(MODERN, "tank/a", "s", "#mark", raw=False, properties=True, all_between=True)
    assert ("-i", "#mark") in set(pairwise(argv))
    argv = commands.send(MODERN, "tank/a", "s", "@base", raw=False, properties=True, all_between=True)
    assert ("-I", "@base") in set(pairwise(argv))


def test_what_is_kept_aside_is_no_replica() -> None:
    aside = row("tank/data/zsr-diverged/vm-100-disk-0-7", 5, zsr_job="100-0")
    inventory = inventory_from_list(f"{LISTING}\n{aside}")
    assert [d.name for d in inventory.replicas_of(JobId(100, 0))] == [VOLUME]
    assert [d.guid for d in inventory.diverged_of(JobId(100, 0))] == [5]
