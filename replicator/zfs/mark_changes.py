"""A replica goes to another job of its node: its marks and stamps are changed in one step (contract: Destruction).

Where ZFS can, one channel program compares all that was decided about and sets the properties, in one transaction. Else
the replica is looked at again, and one command sets them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from replicator.errors import BusyError, ZfsError
from replicator.zfs.channel_programs import change_marks, changed_marks
from replicator.zfs.client import ZfsClient
from replicator.zfs.fence import Fence
from replicator.zfs.model import Dataset, pool_of


@dataclass(frozen=True, slots=True)
class MarkChange:
    """A replica and the job that gets it.

    Attributes:
        replica: as it was listed: its marks, and that it is read-only and not written to, must still hold.
        fence: that of the job that has it, which its stamps must pass.
        new: that of the job that gets it, with the stamps that it gets.
    """

    replica: Dataset
    fence: Fence
    new: Fence

    @property
    def values(self) -> Mapping[str, str]:
        """The properties to set; ``zsr:job`` is last, for a ZFS that sets them one by one."""
        return {**self.new.stamps, "zsr:source": self.new.owner, "zsr:job": str(self.new.job)}


async def give_to_job(client: ZfsClient, change: MarkChange) -> None:
    """Change the marks of a replica, if it still is what was listed.

    Raises:
        SupersededError: its stamps refuse the fence of the job that has it. TargetActiveError: it is writable.
        BusyError, ZfsError: it is not what was listed any more; nothing was changed.
    """
    replica = change.replica
    marks = {"zsr:job": replica.job or "", "zsr:source": replica.source or ""}
    text = change_marks(replica.name, replica.guid, marks, change.values, change.fence)
    done = await client.program(pool_of(replica.name), text)
    if done is not None:
        found = changed_marks(done)
        client.refuse(change.fence, found)
        if isinstance(found, str):
            raise _changed(client.node, replica.name, found)
        if found:
            return
    await _give_by_commands(client, change)


async def _give_by_commands(client: ZfsClient, change: MarkChange) -> None:
    replica = change.replica
    await client.refuse_in_use(replica.name, replica.job or "", replica.source or "", change.fence)
    found = (await client.inventory(replica.name, depth=1)).get(replica.name)
    if found is None or found.guid != replica.guid:
        raise _changed(client.node, replica.name, "is another dataset now")
    if found.written:
        raise _changed(client.node, replica.name, "was written to")
    await client.set_together([replica.name], change.values)


def _changed(node: str, name: str, why: str) -> ZfsError | BusyError:
    return BusyError(
        f"The replica '{name}' on node {node} {why}; another job's volume does not continue it.",
        node=node,
        advice="The next run looks at it again.",
    )
