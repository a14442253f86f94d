"""The preview of each volume: action, base, bytes, flags, properties, preparations and refusals."""

from __future__ import annotations

from dataclasses import replace

import pytest

from replicator.common.snapshot_patterns import Travelling
from replicator.errors import EncryptionError, SupersededError, TargetActiveError, ZfsError
from replicator.job_choices import Encryption
from replicator.models import Volume
from replicator.replication.preview import Does, PreparationStep, Resume
from replicator.replication.stamps import Refusal
from replicator.zfs.fence import Fence
from tests.support.foreseeing import REPLICA, doomed, facts, previews, remembered, replica
from tests.support.resume_tokens import make_token
from tests.support.volumes import JOB, WAY, bookmark, dataset, pair, snap

KNOWN = remembered(1, 1)


def test_a_new_volume_is_sent_in_full_with_the_bytes_that_it_holds() -> None:
    [volume] = previews(facts(pair(dataset(written=4096), None)))

    assert (volume.does, volume.base, volume.bytes) == (Does.FULL, None, 4096)
    assert (volume.source, volume.target) == ("tank/a", REPLICA)


def test_an_incremental_counts_what_was_written_since_its_base() -> None:
    source = dataset(snap(1), snap(2, "daily", written=100), written=50)
    [volume] = previews(facts(pair(source, replica(snap(1))), synced=KNOWN))

    assert (volume.does, volume.base, volume.bytes) == (Does.INCREMENTAL, f"@{snap(1).name}", 150)


def test_a_bookmark_as_base_is_named_as_one_and_its_bytes_are_those_that_zfs_estimates() -> None:
    source = dataset(snap(7, "new"), written=50, bookmarks=(bookmark(1),))
    found = facts(pair(source, replica(snap(1))), synced=KNOWN)

    [volume] = previews(found, {Volume("data", "vm-100-disk-0"): 777})

    assert (volume.base, volume.bytes) == (f"#{bookmark(1).name}", 777)
    assert "-i" in volume.flags


def test_a_clone_is_asked_for_its_bytes_since_only_those_after_its_origin_are_counted() -> None:
    found = facts(pair(dataset(written=50, origin="tank/base@b"), None))

    [volume] = previews(found, {Volume("data", "vm-100-disk-0"): 777})

    assert volume.bytes == 777


def test_bytes_that_nobody_knows_are_none() -> None:
    [volume] = previews(facts(pair(dataset(written=None), None)))

    assert volume.bytes is None


def test_the_flags_are_those_of_the_send() -> None:
    both = pair(dataset(snap(1), written=5), replica(snap(1)))

    assert previews(facts(both, synced=KNOWN))[0].flags == ("-p", "-L", "-c", "-e", "-I")
    assert previews(facts(both, synced=KNOWN, snapshots=Travelling.OWN))[0].flags[-1] == "-i"


def test_an_encrypted_volume_of_a_raw_job_is_sent_raw() -> None:
    [volume] = previews(facts(pair(dataset(written=5, encrypted=True), None)))

    assert volume.flags == ("-p", "-w")


def test_a_readable_replica_of_a_raw_job_is_refused() -> None:
    both = pair(dataset(snap(1), written=5, encrypted=True), replica(snap(1)))
    [volume] = previews(facts(both, synced=KNOWN, encryption=Encryption.RAW))

    assert volume.does is Does.CONFLICT
    assert isinstance(volume.error, EncryptionError)


LEFT_OUT = ("mountpoint", "sharenfs", "sharesmb", "quota", "reservation", "refreservation")


@pytest.mark.parametrize(("is_volume", "ignored"), [(True, ("reservation",)), (False, LEFT_OUT)])
def test_the_properties_are_those_of_a_replica(is_volume: bool, ignored: tuple[str, ...]) -> None:
    [volume] = previews(facts(pair(dataset(is_volume=is_volume), None)))

    assert {"readonly": "on", "zsr:job": "100-1", "zsr:source": "alpha"}.items() <= volume.properties.items()
    assert ("canmount" in volume.properties) is not is_volume
    assert volume.ignored == ignored


def test_nothing_written_sends_nothing() -> None:
    [volume] = previews(facts(pair(dataset(snap(1)), replica(snap(1))), synced=KNOWN, may_snapshot_first=True))

    assert (volume.does, volume.base, volume.bytes, volume.flags) == (Does.UNCHANGED, f"@{snap(1).name}", 0, ())


def test_nothing_written_is_seen_also_by_a_node_that_lost_its_memory() -> None:
    [volume] = previews(facts(pair(dataset(snap(1)), replica(snap(1)))))

    assert (volume.does, volume.base) == (Does.UNCHANGED, f"@{snap(1).name}")


def test_a_dataset_of_somebody_is_refused_with_the_error_of_the_run() -> None:
    [volume] = previews(facts(pair(dataset(snap(1)), dataset(snap(1)))))

    assert volume.does is Does.CONFLICT
    assert isinstance(volume.error, TargetActiveError)
    assert "zsr adopt 100-1" in volume.error.advice


def test_a_replica_that_was_written_to_is_set_aside_under_a_name_with_the_time_of_the_run() -> None:
    [volume] = previews(facts(pair(dataset(snap(1), written=5), replica(snap(1), snap(2, "x", written=9)))))
    aside = "pool/zsr-diverged/vm-100-disk-0-TIME"

    assert volume.preparations == (
        PreparationStep("set-aside", REPLICA, aside),
        PreparationStep("clone", f"{aside}@{snap(1).name}", REPLICA),
        PreparationStep("promote", REPLICA),
    )


def test_a_snapshot_that_was_created_on_the_replica_is_tagged() -> None:
    both = pair(dataset(snap(1), written=5), replica(snap(1), snap(2, "x")))

    assert previews(facts(both, synced=KNOWN))[0].preparations == (
        PreparationStep("tag", f"{REPLICA}@x", "zsr:job=nobody"),
    )


def test_a_renamed_volume_renames_its_replica() -> None:
    old = dataset(snap(1), name="pool/old", job="100-1", readonly=True)
    [volume] = previews(facts(pair(dataset(snap(1), written=5), None), orphans=(old,), synced=KNOWN))

    assert volume.preparations == (PreparationStep("rename", "pool/old", REPLICA),)
    assert volume.does is Does.INCREMENTAL


SECOND = make_token(f"tank/a@{snap(2).name}", 2, from_guid=1)
"""The token of a transfer of the second snapshot."""


class TestHalfReceived:
    SOURCE = dataset(snap(1), snap(2, written=100), written=50)

    def test_a_state_that_fits_is_resumed_and_its_snapshot_becomes_the_base(self) -> None:
        both = pair(self.SOURCE, replica(snap(1), token=SECOND))

        [volume] = previews(facts(both, tokens={both.volume: 70}, synced=KNOWN))

        assert volume.resume == Resume(f"tank/a@{snap(2).name}", 70)
        assert (volume.base, volume.bytes) == (f"@{snap(2).name}", 50)

    def test_a_state_after_which_nothing_is_left_to_send_is_resumed_too(self) -> None:
        both = pair(dataset(snap(1), snap(2, written=100)), replica(snap(1), token=SECOND))

        [volume] = previews(facts(both, tokens={both.volume: 70}, synced=KNOWN))

        assert volume.resume == Resume(f"tank/a@{snap(2).name}", 70)
        assert (volume.does, volume.base) == (Does.UNCHANGED, f"@{snap(2).name}")

    def test_a_first_transfer_that_cannot_be_resumed_begins_again(self) -> None:
        both = pair(self.SOURCE, replica(token=make_token("tank/a@gone", 99)))

        [volume] = previews(facts(both, tokens={both.volume: 70}))

        assert volume.resume == Resume("tank/a@gone", 70, "its snapshot is gone from the source")
        assert volume.does is Does.FULL

    def test_a_state_that_the_source_cannot_resume_now_stays_and_the_run_would_be_refused(self) -> None:
        both = pair(self.SOURCE, replica(snap(1), token=SECOND))
        suspended = ZfsError("Could not prepare the resumed send.", raw="pool I/O is currently suspended")

        [volume] = previews(facts(both, tokens={both.volume: suspended}, synced=KNOWN))

        assert (volume.does, volume.error) == (Does.CONFLICT, suspended)

    def test_a_state_whose_base_is_gone_from_the_source_is_dropped(self) -> None:
        both = pair(self.SOURCE, replica(snap(1), token=make_token(f"tank/a@{snap(2).name}", 2, from_guid=77)))
        gone = ZfsError("Could not.", raw="cannot resume send: incremental source 0x4d no longer exists")

        [volume] = previews(facts(both, tokens={both.volume: gone}, synced=KNOWN))

        assert volume.resume == Resume(f"tank/a@{snap(2).name}", None, "its base is gone from the source")
        assert volume.does is Does.INCREMENTAL

    def test_a_state_of_another_tool_is_refused_and_not_dropped(self) -> None:
        both = pair(self.SOURCE, dataset(name=REPLICA, token=make_token("tank/else@theirs", 99)))

        [volume] = previews(facts(both, tokens={both.volume: 70}))

        assert volume.resume is None
        assert isinstance(volume.error, TargetActiveError)
        assert "half-received state of another tool" in volume.error.what

    def test_nothing_is_resumed_while_another_volume_is_refused(self) -> None:
        both = pair(self.SOURCE, replica(snap(1), token=SECOND))
        other = replace(pair(dataset(snap(9)), dataset(snap(9))), volume=Volume("data", "b"), target_name="pool/b")

        first, second = previews(facts(both, other, tokens={both.volume: 70}))

        assert first.resume is None
        assert second.error is not None


def test_a_bookmark_that_is_newer_than_the_common_snapshot_is_passed_over_as_in_a_run() -> None:
    theirs = replace(bookmark(5), name="theirs")
    both = pair(dataset(snap(1), written=5, bookmarks=(theirs,)), replica(snap(1), snap(5, "theirs")))

    [volume] = previews(facts(both, synced=KNOWN))

    assert volume.base == f"@{snap(1).name}"


def test_a_run_that_owner_and_epoch_refuse_does_nothing_with_any_volume() -> None:
    error = SupersededError("Guest 100 belongs to beta.")
    found = replace(facts(pair(dataset(snap(1)), replica(snap(1)))), refusal=Refusal(error, disputed=False))
    [preview] = previews(found)
    assert (preview.does, preview.error) == (Does.CONFLICT, error)
    assert doomed(found) == {}


def test_of_a_disputed_guest_the_conflicts_of_its_volumes_are_shown() -> None:
    unmarked = dataset(snap(1), name=REPLICA)
    found = facts(pair(dataset(snap(1)), unmarked))
    found = replace(found, refusal=Refusal(SupersededError("Guest 100 has two owners."), disputed=True))
    [preview] = previews(found)
    assert isinstance(preview.error, TargetActiveError)


def test_a_new_replica_gets_the_stamps_and_an_old_one_does_not() -> None:
    way = replace(WAY, fence=Fence(JOB, "alpha", 2))
    [first] = previews(replace(facts(pair(dataset(snap(1)), None)), way=way))
    [later] = previews(replace(facts(pair(dataset(snap(1)), replica(snap(1)))), way=way))
    assert (first.properties["zsr:owner"], first.properties["zsr:epoch"]) == ("alpha", "2")
    assert not {"zsr:owner", "zsr:epoch"} & set(later.properties)
