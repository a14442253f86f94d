"""The claim to a guest's next epoch, which a recovery writes on the replicas before it commits that epoch.

A former owner that lives after all is refused from then on: it does not destroy the set that a person chose. The claim
is no epoch (`replicator.zfs.fence`): nothing may be done with it, and it is taken back where nothing was committed.
"""

from __future__ import annotations

from collections.abc import Iterable

from replicator.zfs.client import ZfsClient
from replicator.zfs.fence import EPOCH, OWNER, claim_of, claimed
from replicator.zfs.model import Dataset


async def claim_epoch(node: ZfsClient, replicas: Iterable[Dataset], epoch: int) -> None:
    """Claim replicas for an epoch that is not committed yet. The caller holds the guest's lock."""
    await node.set_together([each.name for each in replicas], {EPOCH: claimed(epoch)})


async def take_claims_back(node: ZfsClient, datasets: Iterable[Dataset], owner: str, epoch: int) -> list[str]:
    """Give datasets that are claimed the owner and epoch of the record again; return their names.

    The caller holds the guest's lock, so no recovery is under way here, and has read the record since.
    """
    listed = [each.name for each in datasets if claim_of(each.stamped) is not None]
    own = await node.local_stamps(listed) if listed else []
    claims = sorted(each.dataset for each in own if claim_of(each) is not None)
    if claims:
        await node.set_together(claims, {OWNER: owner, EPOCH: str(epoch)})
    return claims
