"""The flags of a stream: fixed when the replica is begun, never -L onto one of unknown beginnings."""

from __future__ import annotations

from typing import Any

import pytest

from replicator.replication.plan import Full, Incremental
from replicator.replication.stream_flags import described_way_back, flags_of, needs_large, record, recorded
from replicator.zfs.features import Features
from replicator.zfs.model import Dataset
from tests.support.volumes import JOB, dataset, pair, snap

ALL = Features("2.3", send_large_blocks=True, send_compressed=True, send_embedded=True, send_raw=True)
NAME = "pool/vm-100-disk-0"
REFUSED = """\
cannot receive incremental stream: incremental send stream requires -L (--large-block), to match previous receive.
"""


def onto(stream: str | None, **more: Any) -> Incremental:
    replica = dataset(snap(1), name=NAME, job=str(JOB), stream=stream, **more)
    return Incremental(pair(dataset(snap(1), snap(2)), replica), snap(1))


def test_a_new_replica_gets_all_that_both_sides_know() -> None:
    new = Full(pair(dataset(snap(1)), None))

    assert flags_of(ALL, new, raw=False) == "Lce"
    assert flags_of(Features("0.8", send_compressed=True), new, raw=False) == "c"
    assert flags_of(ALL, new, raw=True) == "w"


def test_an_unknown_replica_goes_on_without_large_blocks() -> None:
    """ZFS lets -L through there, and may zero parts of files (#6224, #17866)."""
    assert flags_of(ALL, onto(None), raw=False) == "ce"


def test_it_gets_them_when_zfs_says_that_it_was_begun_so() -> None:
    assert needs_large(REFUSED)
    assert flags_of(ALL, onto(None), raw=False, large=True) == "Lce"


@pytest.mark.parametrize("flags", ["Lce", "Lc", "ce", "c"])
def test_a_replica_goes_on_as_it_was_begun(flags: str) -> None:
    assert flags_of(ALL, onto(f"{flags}:{NAME}"), raw=False) == flags


def test_what_the_target_encrypts_has_no_embedded_blocks_whatever_is_recorded() -> None:
    assert flags_of(ALL, onto(f"Lce:{NAME}", encrypted=True, encryption_root="pool"), raw=False) == "Lc"


@pytest.mark.parametrize("borrowed", ["Lce:pool", "Lce:tank/vm-100-disk-0", "Lce"])
def test_a_record_of_another_dataset_says_nothing(borrowed: str) -> None:
    """A child inherits it, and a stream brings that of a source which was a replica itself."""
    assert flags_of(ALL, onto(borrowed), raw=False) == "ce"


def test_what_is_recorded_can_be_read_again() -> None:
    [value] = record("Lc", NAME).values()

    assert recorded(Dataset(NAME, False, 1, stream=value)) == "Lc"
    assert recorded(None) is None


def test_the_way_back_of_large_blocks_is_said() -> None:
    assert "blocks of 1024 KiB" in described_way_back("data:subvol-100-disk-0", 1 << 20)
