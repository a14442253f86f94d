"""Properties that the target refused while it received: the data arrived, and a person should know. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from replicator.replication.plan import VolumePair

_REFUSED = re.compile(r"cannot receive (?P<key>\S+) property on (?P<dataset>[^:]+): (?P<why>.+)")
_THIN = "so the replica reserves no space, and the guest may run out of it there"


def refused_properties(stderr: str) -> dict[str, str]:
    """Return the properties that a receive could not set, each with the reason that ZFS gives."""
    found = (_REFUSED.search(line) for line in stderr.splitlines())
    return {match["key"]: match["why"].strip().rstrip(".") for match in found if match is not None}


def described_refusals(pair: VolumePair, stderr: str, node: str) -> Iterator[str]:
    """Yield the sentences about what the target refused; a thick zvol that became thin has its own."""
    refused = refused_properties(stderr)
    thick = refused.pop("refreservation", None) if pair.source.is_volume else None
    if thick is not None:
        yield f"{pair.volume}: '{pair.target_name}' on {node} refused refreservation ({thick}), {_THIN}"
    if refused:
        names = ", ".join(f"{key} ({why})" for key, why in refused.items())
        yield f"{pair.volume}: '{pair.target_name}' on {node} refused properties of the source: {names}"
