"""How a volume is sent: which flags of a stream both sides and the target's encryption allow."""

from __future__ import annotations

import pytest

from replicator.replication.clones import described_clone
from replicator.replication.legs import Leg
from replicator.replication.plan import Full, VolumePair
from replicator.replication.streams import remembered_limits, resumed_limits, send_argv, without_limits
from replicator.zfs.features import Features
from replicator.zfs.model import Dataset
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


class TestTheRefquotaOfAResumedStream:
    REPLICA = dataset(snap(1), snap(2), snap(3, "theirs"))

    def remembered(self, guid: object, replica: Dataset = REPLICA) -> dict[str, str]:
        return remembered_limits({"zsr:refquota": f"50@{guid}"}, replica)

    def test_counts_until_a_later_stream_has_brought_a_set(self) -> None:
        own = resumed_limits({"refquota": "50", "quota": "9"}, 2)
        assert remembered_limits(own, self.REPLICA) == {"refquota": "50"}
        assert self.remembered(1) == {}

    def test_is_none_where_the_source_has_none(self) -> None:
        assert remembered_limits(resumed_limits({}, 2), self.REPLICA) == {"refquota": "none"}

    @pytest.mark.parametrize("guid", ["7", "", "x", "9" * 5000])
    def test_of_a_snapshot_that_never_arrived_is_nothing(self, guid: str) -> None:
        assert self.remembered(guid) == {}


def test_the_limits_that_a_replica_remembers_are_as_zfs_takes_them() -> None:
    own = {"zsr:quota": "0", "zsr:reservation": "0", "zsr:refreservation": "3", "quota": "0", "com.me:x": "1"}
    assert remembered_limits(own, dataset()) == {"quota": "none", "reservation": "0", "refreservation": "3"}
    assert remembered_limits(own, dataset(is_volume=True)) == {"reservation": "0"}


def test_a_clone_that_is_sent_in_full_says_what_that_costs() -> None:
    clone = dataset(origin="tank/base-9000-disk-0@__base__", used=1 << 20)
    said = described_clone(Full(pair(clone, None)), 3 << 30)
    assert said is not None
    assert "clone of tank/base-9000-disk-0@__base__" in said
    assert "3.0 GiB" in said
    assert "1.0 MiB" in said
    assert described_clone(Full(pair(dataset(), None)), 5) is None


@pytest.mark.parametrize(("name", "holds"), [(snap(1).name, True), (snap(2).name, False), ("daily", False)])
def test_a_volume_whose_base_went_to_a_promoted_clone_says_how_it_comes_back(name: str, holds: bool) -> None:
    clone = dataset(origin=f"tank/theirs@{name}")
    said = described_clone(Full(pair(clone, dataset(snap(1), snap(7, "daily"), job="100-1"))), 5)
    assert said is not None
    assert ("'zfs promote tank/a' brings it back" in said) is holds
