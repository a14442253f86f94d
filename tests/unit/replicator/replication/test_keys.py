"""Keys on both sides: which volumes are sent raw, which the target encrypts, and the errors that refuse a transfer."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from replicator.errors import EncryptionError, ErrorClass
from replicator.job_choices import Encryption
from replicator.models import Job
from replicator.replication.keys import (
    any_new_key,
    check_keys,
    described_plain,
    has_new_key,
    is_encrypted_there,
    plain_below_encrypted,
    with_unknown_salt,
)
from replicator.replication.plan import CloneFromDiverged, Full, Incremental, Promote, VolumePair
from replicator.replication.snapshot_sets import is_unchanged
from replicator.zfs.model import Dataset
from tests.support.volumes import JOB, WAY, dataset, pair, snap

NAME = "pool/vm-100-disk-0"
RAW = Job(JOB, "beta")
DECRYPTED = replace(RAW, encryption=Encryption.DECRYPTED)
PLAIN, SECRET = dataset(snap(1)), dataset(snap(1), encrypted=True, salt=5)
ASIDE_NAME = "pool/zsr-diverged/vm-100-disk-0-7"
ASIDE = dataset(snap(1), name=ASIDE_NAME, job=str(JOB), encrypted=True, encryption_root=ASIDE_NAME)
VAULT = dataset(name="pool", encrypted=True, encryption_root="pool", key_loaded=True)


def replica(root: str | None, **more: Any) -> VolumePair:
    """An encrypted volume with a replica of this encryption root."""
    there = dataset(snap(1), name=NAME, job=str(JOB), encrypted=root is not None, encryption_root=root, **more)
    return pair(SECRET, there)


def onto(volume: VolumePair) -> Incremental:
    """An incremental transfer of a volume."""
    return Incremental(volume, snap(1))


def out_of(source: Dataset, aside: Dataset) -> Incremental:
    """An incremental transfer onto a clone of an aside."""
    return Incremental(pair(source, None), snap(1), (CloneFromDiverged(aside.name, snap(1), aside), Promote()))


class TestARawJob:
    def test_sends_raw_into_nothing_and_onto_a_replica_with_a_key_of_its_own(self) -> None:
        assert check_keys(RAW, Full(pair(SECRET, None)))
        assert check_keys(RAW, onto(replica(NAME)))
        assert not check_keys(RAW, Full(pair(PLAIN, None)))

    @pytest.mark.parametrize(
        ("root", "why"), [(None, "it is not encrypted"), ("pool", "it has the key of 'pool' (zfs change-key -i there")]
    )
    def test_never_sends_onto_a_replica_that_is_not_raw(self, root: str | None, why: str) -> None:
        with pytest.raises(EncryptionError) as caught:
            check_keys(RAW, onto(replica(root)))

        assert why in caught.value.what
        assert "zsr reseed 100-1 data:vm-100-disk-0" in caught.value.advice
        assert ("zfs change-key" in caught.value.advice) == (root is not None)
        assert (caught.value.error_class, caught.value.node) == (ErrorClass.ENCRYPTION, "beta")

    def test_goes_on_from_an_aside_only_if_that_has_a_key_of_its_own(self) -> None:
        assert check_keys(RAW, out_of(SECRET, ASIDE))
        with pytest.raises(EncryptionError, match="it has the key of 'pool'"):
            check_keys(RAW, out_of(SECRET, replace(ASIDE, encryption_root="pool")))

    def test_needs_no_key_of_the_target(self) -> None:
        assert check_keys(RAW, Full(replace(pair(SECRET, None), place=replace(VAULT, key_loaded=False))))
        assert check_keys(RAW, onto(replica(NAME, key_loaded=False)))


class TestADecryptedJob:
    def test_sends_raw_what_is_new_below_a_raw_replica(self) -> None:
        """The target could not encrypt it: nobody has loaded the key there."""
        assert check_keys(DECRYPTED, Full(replace(pair(SECRET, None), is_below_raw=True)))
        assert not check_keys(DECRYPTED, Full(pair(SECRET, None)))
        assert not check_keys(DECRYPTED, Full(replace(pair(PLAIN, None), is_below_raw=True)))


class TestAnEncryptedTarget:
    @pytest.mark.parametrize("volume", [pair(PLAIN, None), pair(SECRET, None)], ids=["plain", "decrypted"])
    def test_encrypts_what_is_sent_readable(self, volume: VolumePair) -> None:
        below = replace(volume, place=VAULT)

        assert not check_keys(DECRYPTED, Full(below))
        assert is_encrypted_there(Full(below), raw=False)
        assert not is_encrypted_there(Full(below), raw=True)
        assert not is_encrypted_there(Full(volume), raw=False)

    def test_refuses_a_new_replica_while_its_key_is_not_loaded(self) -> None:
        locked = replace(pair(PLAIN, None), place=replace(VAULT, key_loaded=False))

        with pytest.raises(EncryptionError) as caught:
            check_keys(RAW, Full(locked))

        assert "The key of 'pool' on node beta is not loaded" in caught.value.what
        assert "storage data" in caught.value.what
        assert "zfs load-key pool" in caught.value.advice

    def test_refuses_an_increment_while_the_replicas_key_is_not_loaded(self) -> None:
        there = dataset(snap(1), name=NAME, job=str(JOB), encrypted=True, encryption_root="pool", key_loaded=False)

        with pytest.raises(EncryptionError, match="The key of 'pool'"):
            check_keys(RAW, onto(pair(PLAIN, there)))

    def test_refuses_to_go_on_from_an_aside_while_its_key_is_not_loaded(self) -> None:
        aside = replace(ASIDE, encryption_root="pool", key_loaded=False)

        with pytest.raises(EncryptionError, match="The key of 'pool'"):
            check_keys(RAW, out_of(PLAIN, aside))

    def test_with_a_plain_replica_of_before_is_not_asked_for_its_key(self) -> None:
        there = dataset(snap(1), name=NAME, job=str(JOB))
        old = replace(pair(PLAIN, there), place=replace(VAULT, key_loaded=False))

        assert not check_keys(RAW, onto(old))
        assert plain_below_encrypted(onto(old), raw=False) is there
        assert "zsr reseed 100-1 data:vm-100-disk-0" in described_plain(RAW, old, there)

    def test_is_nothing_to_report_where_the_replica_is_encrypted_or_new(self) -> None:
        there = dataset(snap(1), name=NAME, job=str(JOB), encrypted=True, encryption_root="pool")

        assert plain_below_encrypted(onto(replace(pair(PLAIN, there), place=VAULT)), raw=False) is None
        assert plain_below_encrypted(Full(replace(pair(PLAIN, None), place=VAULT)), raw=False) is None
        assert plain_below_encrypted(onto(pair(PLAIN, dataset(snap(1), name=NAME))), raw=False) is None


class TestANewKey:
    def test_is_seen_by_its_salt_on_raw_replicas_only(self) -> None:
        assert not has_new_key(replica(NAME, salt=5))
        assert has_new_key(replica(NAME, salt=6))
        assert not has_new_key(replica("pool", salt=6))
        assert not has_new_key(replica(None))
        assert not has_new_key(pair(SECRET, None))

    def test_is_not_claimed_where_a_salt_is_not_known(self) -> None:
        assert not has_new_key(replica(NAME))
        unread = replace(replica(NAME, salt=6), source=replace(SECRET, salt=None))
        assert not has_new_key(unread)
        assert with_unknown_salt([unread, replica(NAME, salt=6), pair(PLAIN, None)]) == [SECRET.name]
        assert any_new_key([unread], {SECRET.name: 5})
        assert not any_new_key([unread], {SECRET.name: 6})

    def test_is_a_change_although_no_byte_was_written(self) -> None:
        same, other = (replica(NAME, salt=salt, readonly=True) for salt in (5, 6))

        assert is_unchanged(WAY, [same], 1001)
        assert not is_unchanged(WAY, [other], 1001)
