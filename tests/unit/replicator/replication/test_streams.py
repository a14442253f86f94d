"""How a volume is sent: which flags of a stream both sides and the target's encryption allow."""

from __future__ import annotations

from replicator.replication.clones import described_clone
from replicator.replication.legs import Leg
from replicator.replication.plan import Full, VolumePair
from replicator.replication.streams import send_argv, without_limits
from replicator.zfs.features import Features
from tests.support.volumes import dataset, pair, snap

ALL = Features("2.3.2", send_compressed=True, send_embedded=True, send_large_blocks=True, send_raw=True)


def test_what_the_target_encrypts_has_no_embedded_blocks() -> None:
    """ZFS refuses such a stream there, in words that say nothing of it, and so every run."""
    vault = dataset(name="pool", encrypted=True, encryption_root="pool")
    volume = pair(dataset(snap(1)), None)
    leg = Leg(None, snap(1).name)
    plain = send_argv(ALL, Full(volume), leg, raw=False)
    assert "-e" in plain
    below = VolumePair(volume.volume, "pool", volume.source, volume.target_name, None, vault)
    assert [flag for flag in plain if flag != "-e"] == send_argv(ALL, Full(below), leg, raw=False)


def test_limits_are_remembered_where_no_stream_carries_them() -> None:
    found = {"quota": "5", "refquota": "4", "refreservation": "3", "sync": "always"}
    assert without_limits(found, is_volume=False) == {
        "zsr:quota": "5", "refquota": "4", "zsr:refreservation": "3", "sync": "always",
    }  # fmt: skip
    assert without_limits({"refreservation": "3"}, is_volume=True) == {"refreservation": "3"}


def test_a_clone_that_is_sent_in_full_says_what_that_costs() -> None:
    clone = dataset(origin="tank/base-9000-disk-0@__base__", used=1 << 20)
    said = described_clone(Full(pair(clone, None)), 3 << 30)
    assert said is not None
    assert "clone of tank/base-9000-disk-0@__base__" in said
    assert "3.0 GiB" in said
    assert "1.0 MiB" in said
    assert described_clone(Full(pair(dataset(), None)), 5) is None
