"""What becomes of a half-received state: kept unless it is proven useless."""

from __future__ import annotations

from dataclasses import replace

import pytest

from replicator.errors import EncryptionError, ErrorClass, TargetActiveError, ZfsError, ZsrError
from replicator.hosts.host import Completed
from replicator.job_choices import Encryption
from replicator.models import Job, JobId
from replicator.replication.half_received import (
    REFUSALS,
    PastFailure,
    base_is_gone,
    examine,
    is_gone,
    is_ours,
    judged,
    read_token,
)
from replicator.replication.plan import VolumePair
from replicator.replication.stream_faults import Side, StreamFault
from replicator.zfs.resume_token import ResumeToken
from replicator.zfs.snapshot_names import snapshot_name
from tests.support.resume_tokens import make_token
from tests.support.volumes import JOB, bookmark, dataset, pair, snap

SOURCE = dataset(snap(1), snap(2))
REPLICA = dataset(snap(1), name="pool/vm-100-disk-0", job=str(JOB))
PAIR = pair(SOURCE, REPLICA)
NOW = 1_800_000_000.0
TOKEN = ResumeToken("1-", f"tank/a@{snap(2).name}", 2, 1, 1, 0, received=5000, raw=False)

CERTAIN = "cannot receive resume stream: destination pool/vm-100-disk-0 has been modified\nsince most recent snapshot"
UNKNOWN = "cannot receive resume stream: something that was never seen"
EINVAL = "cannot receive resume stream: kernel modules must be upgraded to receive this stream."
EMBEDDED = "cannot receive resume stream: incompatible embedded data stream feature with encrypted receive."


def fault(stderr: str, side: Side = Side.RECEIVER, status: int = 1) -> StreamFault:
    """A stream that failed, with these words of the receiver."""
    return StreamFault(side, ZfsError("It failed.", raw=stderr), Completed(("zfs",), status, "", stderr))


def judge(
    stderr: str,
    *failures: str,
    side: Side = Side.RECEIVER,
    status: int = 1,
    token: ResumeToken = TOKEN,
    volume: VolumePair = PAIR,
    minutes: float = 10.0,
) -> tuple[ZsrError, bool]:
    """The error of a resumed transfer, and whether its state is dropped; the runs are so many minutes apart."""
    past = [PastFailure(sentence, NOW - number * minutes * 60) for number, sentence in enumerate(failures, start=1)]
    return judged(fault(stderr, side, status), token, volume, "beta", past, NOW)


class TestARawState:
    SECRET = replace(SOURCE, encrypted=True)
    TEXT = make_token(f"tank/a@{snap(2).name}", 2, from_guid=1, raw=True)

    def onto(self, root: str, encryption: Encryption = Encryption.RAW) -> str | None:
        """Why it is useless on a replica with this encryption root."""
        replica = replace(REPLICA, encrypted=True, encryption_root=root, token=self.TEXT)
        return examine(Job(JOB, "beta", encryption=encryption), pair(self.SECRET, replica), "beta")[1]

    def test_goes_on_while_the_replica_has_a_key_of_its_own(self) -> None:
        assert self.onto(REPLICA.name) is None
        assert self.onto(REPLICA.name, Encryption.DECRYPTED) is None

    def test_never_reaches_a_replica_that_got_the_key_of_another_dataset(self) -> None:
        with pytest.raises(EncryptionError, match="it has the key of 'pool'"):
            self.onto("pool")
        assert self.onto("pool", Encryption.DECRYPTED) == "it is raw, and the replica no longer has a key of its own"


class TestAState:
    def test_is_gone_on_the_source_without_its_snapshot_by_name_and_guid(self) -> None:
        assert not is_gone(TOKEN, PAIR)
        assert is_gone(replace(TOKEN, to_guid=3), PAIR)
        assert is_gone(replace(TOKEN, to_guid=1), PAIR)
        assert is_gone(replace(TOKEN, to_name="tank/other@" + snap(2).name), PAIR)

    def test_has_lost_its_base_only_if_zfs_and_the_listing_say_so(self) -> None:
        gone = ZfsError("", raw="cannot resume send: incremental source 0x1 no longer exists")
        without = pair(dataset(snap(2)), REPLICA)
        assert base_is_gone(TOKEN, without, gone)
        assert not base_is_gone(TOKEN, PAIR, gone)
        assert not base_is_gone(TOKEN, pair(dataset(snap(2), bookmarks=(bookmark(1),)), REPLICA), gone)
        assert not base_is_gone(TOKEN, without, ZfsError("", raw="cannot open 'tank': pool I/O is currently suspended"))

    def test_is_ours_by_its_dataset_or_by_its_snapshot(self) -> None:
        unmarked = dataset(name=REPLICA.name)
        assert is_ours(TOKEN, unmarked, JOB)
        assert is_ours(replace(TOKEN, to_name="tank/a@syncoid"), REPLICA, JOB)
        assert not is_ours(replace(TOKEN, to_name="tank/a@syncoid"), unmarked, JOB)
        assert not is_ours(replace(TOKEN, to_name=f"tank/a@{snapshot_name(JobId(100, 2), 1002)}"), unmarked, JOB)

    @pytest.mark.parametrize("name", ["syncoid", snapshot_name(JobId(100, 2), 1002), snap(9).name])
    def test_on_an_unmarked_dataset_is_another_tools_unless_it_is_the_jobs_and_of_use(self, name: str) -> None:
        """One that is useless would be dropped, and nothing says that the job began it."""
        begun = dataset(name=REPLICA.name, token=make_token(f"tank/a@{name}", 7))
        volume = dataset(snap(2), snap(7, name if name != snap(9).name else "other"))
        with pytest.raises(TargetActiveError, match="another tool"):
            examine(Job(JOB, "beta"), pair(volume, begun), "beta")
        mine = replace(begun, token=make_token(f"tank/a@{snap(2).name}", 2))
        assert examine(Job(JOB, "beta"), pair(volume, mine), "beta")[1] is None


class TestATokenThatCannotBeRead:
    def test_is_refused_with_a_way_out_and_proves_nothing(self) -> None:
        with pytest.raises(ZfsError, match="does not understand") as caught:
            read_token("2-abc", PAIR, REPLICA, "beta")
        assert (caught.value.node, caught.value.volume) == ("beta", "data:vm-100-disk-0")
        assert "zfs receive -A pool/vm-100-disk-0" in caught.value.advice

    def test_is_another_tools_where_the_dataset_has_no_mark(self) -> None:
        with pytest.raises(TargetActiveError, match="another tool"):
            read_token("2-abc", PAIR, dataset(name=REPLICA.name), "beta")

    def test_is_another_matter_than_one_that_can(self) -> None:
        text = make_token("tank/a@s", 2)
        assert read_token(text, PAIR, REPLICA, "beta").to_guid == 2


class TestAResumeThatFails:
    @pytest.mark.parametrize("side", [Side.SENDER, Side.TRANSPORT])
    @pytest.mark.parametrize("words", [CERTAIN, UNKNOWN, EINVAL, ""])
    def test_through_the_sender_or_the_transport_keeps_the_state_for_ever(self, side: Side, words: str) -> None:
        error, drop = judge(words, *["It failed."] * 9, side=side)
        assert (error.what, drop) == ("It failed.", False)

    def test_in_words_against_the_state_drops_it(self) -> None:
        assert judge(CERTAIN)[1]

    @pytest.mark.parametrize("status", [-1, -9])
    def test_because_the_receiver_was_killed_keeps_the_state(self, status: int) -> None:
        assert not judge(CERTAIN, status=status)[1]

    @pytest.mark.parametrize("words", ["cannot receive resume stream: out of space", "sudo: no password", ""])
    def test_for_another_reason_of_the_target_keeps_the_state_for_ever(self, words: str) -> None:
        error, drop = judge(words, *["It failed."] * 9)
        assert (error.what, drop) == ("It failed.", False)

    @pytest.mark.parametrize("words", [UNKNOWN, EINVAL, EMBEDDED])
    def test_in_unknown_words_keeps_the_state_until_the_third_run_in_a_row(self, words: str) -> None:
        failures: list[str] = []
        for _ in range(REFUSALS - 1):
            error, drop = judge(words, *failures)
            assert not drop
            assert error.error_class is ErrorClass.ZFS
            assert "after 5000 bytes (data:vm-100-disk-0 on beta)" in error.what
            assert "dropped" in error.advice
            failures.insert(0, error.what)
        assert judge(words, *failures)[1]

    def test_in_unknown_words_counts_only_runs_with_the_same_words_and_not_a_byte_more(self) -> None:
        same, other = judge(UNKNOWN)[0].what, judge(EINVAL)[0].what
        grown = judge(UNKNOWN, token=replace(TOKEN, received=6000))[0].what
        assert not judge(UNKNOWN, same, other, same)[1]
        assert not judge(UNKNOWN, same, grown, grown)[1]
        assert not judge(UNKNOWN, "Node beta cannot be reached.", same, same)[1]
        assert judge(UNKNOWN, same, same, other)[1]

    def test_in_unknown_words_keeps_the_state_for_a_quarter_of_an_hour_however_often_a_job_runs(self) -> None:
        same = judge(UNKNOWN)[0].what
        assert not judge(UNKNOWN, *[same] * 14, minutes=1)[1]
        assert judge(UNKNOWN, *[same] * 15, minutes=1)[1]
        assert not judge(UNKNOWN, *[same] * 14, "Node beta cannot be reached.", same, minutes=1)[1]

    @pytest.mark.parametrize("words", [UNKNOWN, EINVAL, EMBEDDED])
    def test_in_unknown_words_drops_the_state_of_a_replica_that_got_a_snapshot_since(self, words: str) -> None:
        newer = pair(SOURCE, dataset(snap(1), snap(9, "theirs"), name=REPLICA.name, job=str(JOB)))
        assert judge(words, volume=newer)[1]
        assert not judge("cannot receive resume stream: out of space", volume=newer)[1]

    def test_in_unknown_words_keeps_the_state_of_a_first_transfer(self) -> None:
        first = pair(SOURCE, dataset(name=REPLICA.name, job=str(JOB)))
        assert not judge(EINVAL, token=replace(TOKEN, from_guid=None), volume=first)[1]
