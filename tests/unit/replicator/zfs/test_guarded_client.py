"""While state.db cannot be written, a client destroys nothing, and says of nothing that it was destroyed."""

from __future__ import annotations

import inspect
from collections.abc import Sequence

import pytest

from replicator.errors import NoSpaceError
from replicator.hosts.host import Completed
from replicator.hosts.local import LocalHost
from replicator.zfs import client, permits
from replicator.zfs.channel_programs import PruneResult
from replicator.zfs.client import ZfsClient
from replicator.zfs.guarded_client import GuardedClient
from replicator.zfs.model import Bookmark, Snapshot
from replicator.zfs.permits import BookmarksPermit, Law, SnapshotsPermit

SNAPSHOTS = SnapshotsPermit(Law.OURS, "old", "tank/a", (Snapshot("old", 1, 1, 1),))
BOOKMARKS = BookmarksPermit(Law.OURS, "old", "tank/a", (Bookmark("old", 1, 1, 1),))


class SilentHost(LocalHost):
    """Runs nothing, and fails the test if it is asked to."""

    async def run(self, argv: Sequence[str], *, limit: float, stdin: str = "") -> Completed:
        raise AssertionError(argv)


@pytest.fixture
def guarded() -> GuardedClient:
    return GuardedClient(SilentHost("alpha"), limit=5, may_destroy=lambda: False)


async def test_snapshots_and_bookmarks_stay(guarded: GuardedClient) -> None:
    with pytest.raises(NoSpaceError, match=r"state\.db cannot be written, so zsr does not destroy old snapshots"):
        await guarded.destroy_snapshots(SNAPSHOTS)
    with pytest.raises(NoSpaceError, match="old bookmarks"):
        await guarded.destroy_bookmarks(BOOKMARKS)


async def test_a_proof_goes_on_and_reports_what_is_stale_as_left(
    guarded: GuardedClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []

    async def proof(self: ZfsClient, pool: str, *, stale: Sequence[SnapshotsPermit] = (), **_: object) -> PruneResult:
        asked.extend(stale)
        return PruneResult(left={}, bookmarks=(), can_bookmark=True)

    monkeypatch.setattr(ZfsClient, "verify_and_prune", proof)
    found = await guarded.verify_and_prune("tank", stale=[SNAPSHOTS])
    assert isinstance(found, PruneResult)
    assert asked == []
    assert SNAPSHOTS.only(found.left) == SNAPSHOTS


def test_every_call_that_takes_a_permit_is_guarded() -> None:
    names = [name for name, _ in inspect.getmembers(permits, inspect.isclass) if name.endswith("Permit")]
    destroying = {
        name
        for name, method in inspect.getmembers(client.ZfsClient, inspect.isfunction)
        if any(permit in str(inspect.signature(method)) for permit in names)
    }
    assert destroying <= set(vars(GuardedClient))
    assert len(destroying) == 6
