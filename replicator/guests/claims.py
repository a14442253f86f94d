"""The claim on a replica that becomes a guest's volume: of which epoch, as of which set, and under which name.

It stands on the dataset itself, so that what a recovery has begun is known wherever it died, also while the replica is
renamed. A claim of another epoch says nothing: that recovery ended, or another one came after it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from replicator.zfs import commands, output
from replicator.zfs.client import ZfsClient
from replicator.zfs.execution import execute_all
from replicator.zfs.fence import Fence

ACTIVATING = "zsr:activating"
"""The property that holds it; any value says that the dataset is becoming a guest's volume."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What a replica becomes.

    Attributes:
        epoch: of the guest, with which it is taken.
        set_time: the set with which it goes on (unix seconds), where a person chose an older one.
        home: its name.
    """

    epoch: int
    set_time: int
    home: str

    @property
    def text(self) -> str:
        """The claim as the value of a property."""
        return f"{self.epoch}:{self.set_time}:{self.home}"


PLAIN = "on"
"""The claim of a replica that goes on as it is, from its newest set."""


def parse_claim(text: str) -> Claim | None:
    """Return the claim that names a set; None if the text is `PLAIN`, or none at all."""
    epoch, _, rest = text.partition(":")
    set_time, _, home = rest.partition(":")
    known = home and all(each.isascii() and each.isdecimal() for each in (epoch, set_time))
    return Claim(int(epoch), int(set_time), home) if known else None


async def claims_on(client: ZfsClient, datasets: Iterable[str], epoch: int | None) -> dict[str, Claim]:
    """Return the claims of an epoch that some datasets have themselves, by name."""
    asked = commands.own_values(sorted(datasets), ACTIVATING)
    own = output.values_by_name(await execute_all(client, asked, "look for what a recovery has begun"))
    claims = {name: parse_claim(values.get(ACTIVATING, "")) for name, values in own.items()}
    return {name: claim for name, claim in claims.items() if claim is not None and claim.epoch == epoch}


def fork_name(fence: Fence) -> str:
    """Return the name of the snapshot that marks where a guest was taken over."""
    return f"zsr-recovered-{fence.epoch}"
