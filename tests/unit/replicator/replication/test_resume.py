"""Half-received states on the target: finished, dropped if useless, kept if the fault is elsewhere."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from replicator.errors import EncryptionError, ErrorClass, TargetActiveError, ZfsError, ZsrError
from replicator.hosts.local import LocalHost
from replicator.hosts.stream import Limits
from replicator.job_choices import Encryption
from replicator.models import Job, KnownSets, Volume
from replicator.replication.half_received import PastFailure
from replicator.replication.plan import VolumePair
from replicator.replication.progress import Progress
from replicator.replication.provenance import Direction
from replicator.replication.resume import HalfReceived
from replicator.replication.transfer import Transfers
from replicator.zfs.client import ZfsClient
from replicator.zfs.fence import Fence
from replicator.zfs.model import Dataset
from tests.support.played_zfs import PlayedZfs
from tests.support.resume_tokens import make_token
from tests.support.volumes import JOB, WAY, dataset, pair, snap

SOURCE = dataset(snap(1), snap(2))
NAME = f"tank/a@{snap(2).name}"
NOTHING = "echo \"'pool/vm-100-disk-0' does not have any resumable receive state to abort\" >&2; exit 1"


def replica(token: str, **more: object) -> Dataset:
    """The replica, with a half-received state of this token."""
    return replace(dataset(snap(1), name="pool/vm-100-disk-0", job=str(JOB), token=token), **more)  # type: ignore[arg-type]


NOW = 1_800_000_000.0


def volume(token: str | None = None, source: Dataset = SOURCE, **more: object) -> VolumePair:
    """The volume whose transfer of its newest snapshot was cut."""
    return pair(source, replica(token or make_token(NAME, 2, from_guid=1), **more))


@dataclass
class Site:
    """Both nodes with a played ZFS, and a run's log."""

    zfs: PlayedZfs
    way: Direction = WAY
    failures: list[PastFailure] = field(default_factory=list)
    log: list[str] = field(default_factory=list)

    async def resume(self, *volumes: VolumePair, encryption: Encryption = Encryption.RAW) -> None:
        """Resume as a run does it."""
        alpha, beta = (ZfsClient(LocalHost(name), limit=20) for name in ("alpha", "beta"))

        def log(level: str, text: str) -> None:
            self.log.append(text)

        replicas = [each.target for each in volumes if each.target is not None]
        self.zfs.show({each.name: each.token for each in replicas if each.token is not None})
        job = Job(JOB, "beta", encryption=encryption)
        transfers = Transfers(job, alpha, beta, Limits(None, 20), Progress(), log, lambda: 0.0)
        await HalfReceived(job, self.way, transfers, alpha, beta, self.failures, NOW, log).resume_all(volumes)

    async def failure(self, *volumes: VolumePair) -> ZsrError:
        """The error with which it fails."""
        with pytest.raises(ZsrError) as caught:
            await self.resume(*volumes)
        return caught.value


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    """Two nodes on which all goes well."""
    return Site(PlayedZfs(tmp_path, monkeypatch))


async def test_a_cut_transfer_is_resumed_by_its_token(site: Site) -> None:
    token = make_token(NAME, 2, from_guid=1)
    await site.resume(volume(token))
    assert f"send -t {token}" in site.zfs.calls
    assert site.zfs.dropped() == []


@pytest.mark.parametrize(("has", "remembered"), [("refquota\t50", "50"), ("refquota\t0", "none"), ("", "none")])
async def test_the_refquota_that_a_resumed_stream_does_not_carry_is_remembered(
    site: Site, has: str, remembered: str
) -> None:
    site.zfs.play(get=f"printf '%s\n' '{has}'")
    await site.resume(volume())
    [receive] = [call for call in site.zfs.calls if call.startswith("receive ")]
    assert f"-o zsr:refquota={remembered}@2 " in receive


async def test_a_zvol_has_no_refquota_to_remember(site: Site) -> None:
    await site.resume(volume(source=replace(SOURCE, is_volume=True)))
    assert not any("refquota" in call or call.startswith("get ") for call in site.zfs.calls)


async def test_what_was_created_on_the_replica_since_the_cut_run_listed_it_is_marked_before_more_arrives(
    site: Site,
) -> None:
    """ZFS goes on with a state that was begun on such a snapshot; after that it would look like one that travelled."""
    token = make_token(NAME, 2, from_guid=1)
    travelled, theirs = snap(7, "daily"), snap(8, "theirs", written=0)
    site.way = replace(WAY, known=KnownSets(sent=frozenset({7})))
    found = volume(token)
    assert found.target is not None
    target = replace(found.target, snapshots=(snap(1), travelled, theirs), source=WAY.source)

    await site.resume(replace(found, target=target))

    orders = [call for call in site.zfs.calls if call.startswith(("set", "send -t"))]
    assert orders == ["set zsr:job=nobody pool/vm-100-disk-0@theirs", f"send -t {token}"]


@pytest.mark.parametrize("began", [True, False], ids=["a first transfer", "an existing replica"])
async def test_a_receive_sets_stamps_only_where_there_is_no_replica_yet(site: Site, began: bool) -> None:
    """One that begins late would undo those that a later owner set since."""
    alpha, beta = (ZfsClient(LocalHost(name), limit=20) for name in ("alpha", "beta"))
    fence = Fence(JOB, "alpha", 3)
    log = site.log
    transfers = Transfers(
        Job(JOB, "beta"), alpha, beta, Limits(None, 20), Progress(), lambda level, text: log.append(text), lambda: 0.0,
        fence=fence,
    )  # fmt: skip
    found = pair(SOURCE, None if began else replica("1-x"))
    assert await transfers.attempt(found, ["zfs", "send", "-t", "1-x"], None) is None
    [receive] = [call for call in site.zfs.calls if call.startswith("receive")]
    assert ("zsr:owner=alpha" in receive, "zsr:epoch=3" in receive) == (began, began)
    assert "zsr:job=100-1" in receive


FAILS = "echo '{}' >&2; exit 1"
SAYS = f"cat >/dev/null; {FAILS}"
INCOMPLETE = SAYS.format("cannot receive resume stream: checksum mismatch or incomplete stream.")
EINVAL = SAYS.format("cannot receive resume stream: kernel modules must be upgraded to receive this stream.")
NOT_THE_STATES_FAULT = {
    "a sender killed for want of memory": {"send": "echo part; kill -9 $$", "receive": INCOMPLETE},
    "a sender killed, with another word of the receiver": {"send": "echo part; kill -9 $$", "receive": EINVAL},
    "a sender that is interrupted": {"send": "echo part; kill $$", "receive": INCOMPLETE},
    "a disk of the source": {
        "send": "echo part; echo \"warning: cannot send 'a@b': Input/output error\" >&2; exit 1", "receive": EINVAL,
    },
    "a suspended pool of the source": {
        "send": "echo \"cannot open 'tank': pool I/O is currently suspended\" >&2; exit 1", "receive": INCOMPLETE,
    },
    "a source that cannot be asked": {
        "estimate": "echo \"cannot open 'tank': pool I/O is currently suspended\" >&2; exit 1",
    },
    "a snapshot that zfs does not find and the listing does": {
        "estimate": "echo \"cannot resume send: 'tank/a@s' used in the initial send no longer exists\" >&2; exit 1",
    },
    "a base that zfs does not find and the listing does": {
        "estimate": "echo 'cannot resume send: incremental source 0x1 no longer exists' >&2; exit 1",
    },
    "a key that is not loaded": {
        "estimate": "echo 'cannot resume send: dataset key must be loaded' >&2; exit 1",
    },
    "a receiver that is killed": {"send": "cat /dev/zero", "receive": "head -c 999 >/dev/null; kill -9 $$"},
    "a target without zfs": {"receive": "echo 'env: zfs: No such file or directory' >&2; exit 127"},
    "a full target": {"send": "cat /dev/zero", "receive": FAILS.format("cannot receive: out of space")},
    "unknown words": {"receive": SAYS.format("cannot receive resume stream: never seen")},
    "words that openzfs has for everything": {"receive": EINVAL},
}  # fmt: skip


@pytest.mark.parametrize("orders", NOT_THE_STATES_FAULT.values(), ids=NOT_THE_STATES_FAULT)
async def test_a_state_stays_through(site: Site, orders: dict[str, str]) -> None:
    site.zfs.play(**orders)
    await site.failure(volume())
    assert site.zfs.dropped() == []


THE_STATES_FAULT = {
    "a replica that was written to": "destination pool/a has been modified\nsince most recent snapshot",
    "another newest snapshot": "most recent snapshot of pool/a does not\nmatch incremental source",
    "a replica that exists": "destination pool/a exists".replace("pool/a", "'\"'\"'pool/a'\"'\"'"),
}


@pytest.mark.parametrize("words", THE_STATES_FAULT.values(), ids=THE_STATES_FAULT)
async def test_a_state_is_dropped_and_the_run_goes_on_when_the_receiver_finds(site: Site, words: str) -> None:
    site.zfs.play(receive=SAYS.format(f"cannot receive resume stream: {words}"))
    await site.resume(volume())
    assert site.zfs.dropped() == ["pool/vm-100-disk-0"]


async def test_a_state_is_dropped_after_the_same_unknown_words_in_three_runs(site: Site) -> None:
    site.zfs.play(receive=SAYS.format("cannot receive resume stream: never seen"))
    for start in (NOW - 900, NOW - 600):
        site.failures.insert(0, PastFailure((await site.failure(volume())).what, start))
    assert site.zfs.dropped() == []
    await site.resume(volume())
    assert site.zfs.dropped() == ["pool/vm-100-disk-0"]


async def test_a_state_whose_snapshot_is_gone_from_the_source_is_dropped_without_a_try(site: Site) -> None:
    await site.resume(volume(source=dataset(snap(1))))
    assert site.zfs.dropped() == ["pool/vm-100-disk-0"]
    assert not any(call.startswith("send") for call in site.zfs.calls)


async def test_a_state_whose_base_is_gone_from_the_source_is_dropped(site: Site) -> None:
    site.zfs.play(estimate="echo 'cannot resume send: incremental source 0x1 no longer exists' >&2; exit 1")
    await site.resume(volume(source=dataset(snap(2))))
    assert site.zfs.dropped() == ["pool/vm-100-disk-0"]


async def test_a_token_that_cannot_be_read_is_refused_and_its_state_stays(site: Site) -> None:
    error = await site.failure(volume("1-abc-def-00"))
    assert isinstance(error, ZfsError)
    assert "zfs receive -A pool/vm-100-disk-0" in error.advice
    assert site.zfs.calls == []


@pytest.mark.parametrize("source", [SOURCE, dataset(snap(1))], ids=["known snapshot", "unknown snapshot"])
async def test_a_state_of_another_tool_is_left_alone(site: Site, source: Dataset) -> None:
    error = await site.failure(volume(make_token("tank/a@syncoid", 2), source, job=None, snapshots=()))
    assert isinstance(error, TargetActiveError)
    assert site.zfs.calls == []


async def test_a_readable_state_of_a_raw_job_is_dropped_and_nothing_is_sent(site: Site) -> None:
    encrypted = replace(SOURCE, encrypted=True)
    await site.resume(volume(make_token(NAME, 2), encrypted, snapshots=()))
    assert site.zfs.dropped() == ["pool/vm-100-disk-0"]
    assert not any(call.startswith("send -t") for call in site.zfs.calls)


async def test_a_raw_state_of_a_raw_job_is_resumed(site: Site) -> None:
    encrypted = replace(SOURCE, encrypted=True)
    await site.resume(volume(make_token(NAME, 2, raw=True), encrypted, snapshots=()))
    assert site.zfs.dropped() == []


async def test_a_readable_state_on_a_readable_replica_of_a_raw_job_is_refused(site: Site) -> None:
    assert isinstance(await site.failure(volume(source=replace(SOURCE, encrypted=True))), EncryptionError)
    assert site.zfs.calls == []


async def test_a_readable_state_of_a_job_that_sends_readable_is_resumed(site: Site) -> None:
    await site.resume(volume(source=replace(SOURCE, encrypted=True)), encryption=Encryption.DECRYPTED)
    assert site.zfs.dropped() == []


async def test_a_token_without_a_state_does_not_stop_the_run(site: Site) -> None:
    site.zfs.play(abort=NOTHING)
    await site.resume(volume(source=dataset(snap(1))))
    assert any("no half-received state to drop" in text for text in site.log)


async def test_a_state_that_cannot_be_dropped_stops_the_run(site: Site) -> None:
    site.zfs.play(abort="echo \"cannot destroy 'pool/vm-100-disk-0/%recv': dataset is busy\" >&2; exit 1")
    assert (await site.failure(volume(source=dataset(snap(1))))).error_class is ErrorClass.BUSY


async def test_one_volume_that_fails_does_not_keep_the_others_from_being_finished(site: Site) -> None:
    other = replace(volume(), volume=Volume("data", "vm-100-disk-1"))
    error = await site.failure(volume("1-abc-def-00"), other)
    assert error.volume == "data:vm-100-disk-0"
    assert any(call.startswith("send -t") for call in site.zfs.calls)


async def test_a_state_that_grew_while_it_was_resumed_is_the_same_one(site: Site) -> None:
    """Its token has the bytes in it, so the text is another one."""
    words = "destination pool/a has been modified\nsince most recent snapshot"
    site.zfs.play(receive=SAYS.format(f"cannot receive resume stream: {words}"))
    show, grown = site.zfs.show, make_token(NAME, 2, from_guid=1, received=4096)
    site.zfs.show = lambda tokens: show(dict.fromkeys(tokens, grown))  # type: ignore[method-assign]
    await site.resume(volume())
    assert site.zfs.dropped() == ["pool/vm-100-disk-0"]


async def test_another_state_than_the_one_that_was_judged_is_not_dropped(site: Site) -> None:
    site.zfs.play(
        receive=SAYS.format(
            "cannot receive resume stream: destination pool/a has been modified\nsince most recent snapshot"
        )
    )
    judged = volume()
    show = site.zfs.show
    site.zfs.show = lambda tokens: show(dict.fromkeys(tokens, "1-other"))  # type: ignore[method-assign]
    await site.resume(judged)
    assert site.zfs.dropped() == []
