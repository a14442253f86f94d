"""A transfer with a played ZFS: its legs, what it does about refusals that have a remedy, and its progress."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from replicator.errors import ZsrError
from replicator.hosts.local import LocalHost
from replicator.hosts.stream import Limits
from replicator.models import Job
from replicator.replication.plan import Full, Incremental
from replicator.replication.progress import Progress, Step
from replicator.replication.transfer import Transfers
from replicator.zfs.client import ZfsClient
from replicator.zfs.commands import LISTED
from tests.support.played_zfs import PlayedZfs
from tests.support.volumes import JOB, dataset, pair, snap

NAME = "pool/vm-100-disk-0"
NEW = snap(9)
NEEDS_L = "cannot receive incremental stream: incremental send stream requires -L (--large-block), to match previous"
TAKEN = f"cannot restore to {NAME}@hourly: destination already exists"


@dataclass
class Site:
    """Both nodes with a played ZFS, and a run's log."""

    zfs: PlayedZfs
    folder: Path
    log: list[str] = field(default_factory=list)
    progress: Progress = field(default_factory=Progress)

    async def transfer(self, action: Full | Incremental) -> None:
        """Transfer one volume as a run does it."""
        alpha, beta = (ZfsClient(LocalHost(name), limit=20) for name in ("alpha", "beta"))
        transfers = Transfers(
            Job(JOB, "beta"), alpha, beta, Limits(None, 20), self.progress, lambda _, text: self.log.append(text),
            lambda: 0.0,
        )  # fmt: skip
        await transfers.transfer_all([action], NEW.name)

    def refuse_once(self, words: str) -> None:
        """Let the first receive refuse in these words, and later ones go well."""
        once = self.folder / "once"
        self.zfs.play(receive=f"cat >/dev/null; test -e {once} || {{ touch {once}; echo '{words}' >&2; exit 1; }}")

    def sends(self) -> list[str]:
        """The sends so far, without their estimates."""
        return [call for call in self.zfs.calls if call.startswith("send ") and not call.startswith("send -nvP")]


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    return Site(PlayedZfs(tmp_path, monkeypatch), tmp_path)


def onto(stream: str | None = f"Lce:{NAME}") -> Incremental:
    source = dataset(snap(1), snap(2, "hourly"), NEW)
    return Incremental(pair(source, dataset(snap(1), name=NAME, job=str(JOB), stream=stream)), snap(1))


async def test_a_first_copy_brings_the_oldest_snapshot_and_then_the_others(site: Site) -> None:
    await site.transfer(Full(pair(dataset(snap(1, "s1"), NEW), None)))

    assert site.sends() == ["send -p -L -c -e tank/a@s1", f"send -p -L -c -e -I @s1 tank/a@{NEW.name}"]
    receives = [call for call in site.zfs.calls if call.startswith("receive ")]
    assert all(f"zsr:stream=Lce:{NAME}" in call for call in receives)
    assert site.progress.done_bytes == site.progress.sent_bytes > 0, "the legs are counted together"


@pytest.mark.parametrize("encrypted", [True, False])
async def test_a_plain_volume_is_encrypted_where_its_place_on_the_target_is(site: Site, encrypted: bool) -> None:
    """Else the properties in the stream would say: not encrypted."""
    place = dataset(name="pool", encrypted=encrypted, encryption_root="pool" if encrypted else None)
    volume = pair(dataset(snap(1, "s1"), NEW), None)
    await site.transfer(Full(replace(volume, place=place)))

    first, second = (call for call in site.zfs.calls if call.startswith("receive "))
    assert ("-x encryption" in first) is encrypted
    assert "-x encryption" not in second, "an increment has no say in it"


async def test_a_replica_that_was_begun_with_large_blocks_gets_them_when_zfs_says_so(site: Site) -> None:
    site.refuse_once(NEEDS_L)
    await site.transfer(onto(stream=None))

    assert [("-L" in send.split()) for send in site.sends()] == [False, True]
    assert f"zsr:stream=Lce:{NAME}" in site.zfs.calls[-1] + site.zfs.calls[-2]


async def test_a_name_that_the_replica_got_meanwhile_is_gone_round(site: Site) -> None:
    columns = dict.fromkeys(LISTED, "-") | {"creation": "1", "written": "0"}
    rows = (
        columns | {"name": NAME, "type": "filesystem", "guid": "5", "createtxg": "1"},
        columns | {"name": f"{NAME}@{snap(1).name}", "type": "snapshot", "guid": "1", "createtxg": "2"},
        columns | {"name": f"{NAME}@hourly", "type": "snapshot", "guid": "77", "createtxg": "3"},
    )
    text = "\n".join("\t".join(row.values()) for row in rows)
    site.zfs.play(list=f"cat <<'EOF'\n{text}\nEOF")
    site.refuse_once(TAKEN)
    await site.transfer(onto())

    first, second = site.sends()
    assert "-I" in first.split()
    assert "-i" in second.split()
    assert any("(hourly)" in text for text in site.log)


HALF = f'cannot receive incremental stream: destination {NAME} contains partially-complete state from "zfs receive -s".'


@pytest.mark.parametrize("words", ["cannot receive: something else", HALF], ids=["unknown", "another one's state"])
async def test_another_refusal_is_an_error(site: Site, words: str) -> None:
    """A half-received state that was not there when the run looked is of a program that is at work."""
    site.zfs.play(receive=f"cat >/dev/null; echo '{words}' >&2; exit 1")
    with pytest.raises(ZsrError):
        await site.transfer(onto())
    assert len(site.sends()) == 1
    assert not any(call.startswith("rename") for call in site.zfs.calls)


async def test_a_replica_with_a_state_that_zfs_cannot_drop_is_set_aside(site: Site) -> None:
    """The run resumed or dropped all states before; one that is still there would stop every run."""
    site.refuse_once(HALF)
    action = onto()
    assert action.pair.target is not None
    target = replace(action.pair.target, token="1-a-b-c", source="alpha")
    with pytest.raises(ZsrError):  # the played ZFS cannot rename
        await site.transfer(replace(action, pair=replace(action.pair, target=target)))
    assert site.progress.step is Step.ASIDE
