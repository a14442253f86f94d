"""The commit of a recovery: what is looked at between its claim and the change of the cluster file."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from replicator.cli import recovery_order
from replicator.cli.recovery_order import RecoveryOrder, Wishes
from replicator.config.settings import load_settings
from replicator.errors import SupersededError
from replicator.guests.recovery import Recovery
from replicator.models import JobId
from replicator.replication.guest_replicas import Answers
from replicator.zfs.model import Dataset
from replicator.zfs.node_clients import Nodes
from tests.support.command_line import Zsr

REPLICA = Dataset("rpool/data/vm-200-disk-0", is_volume=True, guid=1, job="200-0", source="beta", readonly=True)
CLAIMED = Dataset("rpool/data/vm-200-disk-0", is_volume=True, guid=2, owner="beta", epoch="2-claimed")


async def test_a_recovery_that_another_node_claimed_in_the_same_moment_stops_this_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither saw a claim when it looked. Each claims before it asks again, so one of them sees the other's."""
    zsr, done = Zsr.on_alpha(tmp_path, capsys, monkeypatch), list[str]()
    text = zsr.cluster_path.read_text().replace('"local"', '"10.0.0.11"')
    zsr.cluster_path.write_text(f'{text}\n[jobs.200-0]\ntarget = "alpha"\nsource = "beta"\n')
    order = RecoveryOrder(load_settings(zsr.settings_path), 200, Wishes(force=True, yes=True))

    async def claim(*_: object) -> None:
        done.append("claimed")

    async def ask(_cluster: object, names: Iterable[str], *_: object) -> Answers:
        done.append(f"asked {' '.join(sorted(names))}")
        return {"alpha": {REPLICA.name: REPLICA}, "gamma": {CLAIMED.name: CLAIMED}}

    async def take_back(*_: object) -> list[str]:
        done.append("taken back")
        return []

    async def no_receive(*_: object) -> bool:
        return False

    for name, played in (("claim_epoch", claim), ("ask_nodes", ask), ("take_claims_back", take_back)):
        monkeypatch.setattr(recovery_order, name, played)
    here = cast("Any", SimpleNamespace(zfs=SimpleNamespace(end_stale_receives=no_receive), answers={}))
    nodes = cast("Nodes", SimpleNamespace(client=lambda _: None))
    recovery = Recovery(JobId(200, 0), "beta", 1_800_000_000, (REPLICA,))

    with pytest.raises(SupersededError, match="A recovery of guest 200 was begun on gamma"):
        await order._commit(zsr.cluster.jobs[JobId(200, 0)], recovery, 2, here, nodes)

    assert done == ["claimed", "asked alpha gamma", "asked alpha", "taken back"]
    assert zsr.cluster.guests[200].node == "beta"
