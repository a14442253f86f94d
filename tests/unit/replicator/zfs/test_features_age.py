"""What a host's ZFS can do is read again after a while: it may have been upgraded while the daemon runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from replicator.hosts.host import Completed, Host
from replicator.zfs.client import FEATURES_VALID_SECONDS, ZfsClient
from tests.support.played_host import PlayedHost


class UpgradedHost(PlayedHost):
    """A host that counts how often its ``zfs`` is asked for its usage and for programs, at a time that a test sets."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1_000_000.0
        self.version = "2.2.2-1"
        self.asked: list[str] = []

    def with_clock(self) -> ZfsClient:
        """Return a client with the test's clock."""
        return ZfsClient(cast(Host, self), limit=20, clock=lambda: self.now)

    async def run(self, argv: Sequence[str], *, limit: float, stdin: str = "") -> Completed:
        """Answer as the version that is there now."""
        self.asked.append((*argv, "usage")[1])
        if argv[1:] == ["version"]:
            return Completed(tuple(argv), 0, f"zfs-{self.version}", "")
        return await super().run(argv, limit=limit, stdin=stdin)


async def test_an_upgrade_is_seen_within_a_day() -> None:
    host = UpgradedHost()
    client = host.with_clock()
    assert (await client.features()).version == "2.2.2-1"

    host.version = "2.3.2-1"
    host.now += FEATURES_VALID_SECONDS - 1
    assert (await client.features()).version == "2.2.2-1"
    host.now += 1
    assert (await client.features()).version == "2.3.2-1"


async def test_a_clock_that_was_set_back_does_not_keep_old_features() -> None:
    host = UpgradedHost()
    client = host.with_clock()
    await client.features()

    host.version = "2.3.2-1"
    host.now -= 86_400
    assert (await client.features()).version == "2.3.2-1"


async def test_programs_that_were_refused_once_are_tried_again_with_new_features() -> None:
    host = UpgradedHost()
    client = host.with_clock()
    for _ in range(3):
        assert await client.program("tank", "return 1") is None
    assert host.asked.count("program") == 1

    host.now += FEATURES_VALID_SECONDS
    assert await client.program("tank", "return 1") is None
    assert host.asked.count("program") == 2
