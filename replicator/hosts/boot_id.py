"""Boot ids, by which two names of one machine are recognised: the kernel draws one at random when it boots."""

from __future__ import annotations

from replicator.common.process_identity import BOOT_ID
from replicator.errors import ZsrError
from replicator.hosts.host import Host

BOOT_ID_TIMEOUT_SECONDS = 5.0

_LENGTH = 36
"""Characters of a UUID (random(4))."""


async def host_boot_id(host: Host) -> str | None:
    """Return the boot id of a host; None if it has none, or could not be asked."""
    try:
        return _checked((await host.run(["cat", str(BOOT_ID)], limit=BOOT_ID_TIMEOUT_SECONDS)).stdout)
    except ZsrError:
        return None


def _checked(text: str) -> str | None:
    found = text.strip()
    return found if len(found) == _LENGTH else None
