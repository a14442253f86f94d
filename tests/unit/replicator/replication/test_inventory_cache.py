"""The inventory cache: which runs share an inventory and for how long; a run never gets one from before it was due."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from replicator.errors import DeadlineError
from replicator.hosts.host import Completed
from replicator.hosts.local import LocalHost
from replicator.replication.inventory_cache import CACHE_SECONDS, SLOW_SECONDS, InventoryCache
from replicator.zfs import commands
from replicator.zfs.client import ZfsClient
from replicator.zfs.features import Features

MODERN = Features("2.3", **dict.fromkeys((name for name in Features.__slots__ if name != "version"), True))


class PlayedHost(LocalHost):
    """A host whose zfs lists one dataset; what it was asked is written down."""

    def __init__(self) -> None:
        super().__init__("alpha")
        self.asked: list[str] = []

    async def run(self, argv: Sequence[str], *, limit: float, stdin: str = "") -> Completed:
        self.asked.append(" ".join(argv[:2]))
        columns = {"name": "tank/data", "type": "filesystem", "guid": "1", "createtxg": "1", "creation": "1"}
        line = "\t".join(columns.get(column, "-") for column in commands.LISTED)
        return Completed(tuple(argv), 0, line + "\n", "")


class PlayedClient(ZfsClient):
    """ZFS of that host, whose features are known."""

    async def features(self) -> Features:
        return MODERN


class Clocks:
    """Unix time, and a time that only goes on."""

    def __init__(self) -> None:
        self.unix = 1000.0
        self.steady = 0.0


@pytest.fixture
def clocks() -> Clocks:
    """Both stand still until a test moves them."""
    return Clocks()


@pytest.fixture
def host() -> PlayedHost:
    """The node that is looked at."""
    return PlayedHost()


@pytest.fixture
def inventory_cache(clocks: Clocks) -> InventoryCache:
    """The cache under test."""
    return InventoryCache(lambda: clocks.unix, lambda: clocks.steady)


async def read_at(inventory_cache: InventoryCache, host: PlayedHost, since: float) -> float:
    """Return the moment of the inventory that a run gets which is due since a moment."""
    return (await inventory_cache.read(PlayedClient(host, limit=5), "tank/data", since=since, sync=True)).at


async def test_runs_that_are_due_together_share_one_inventory(
    inventory_cache: InventoryCache, host: PlayedHost, clocks: Clocks
) -> None:
    assert await read_at(inventory_cache, host, 1000.0) == 1000.0
    clocks.unix += 5
    clocks.steady += 5
    assert await read_at(inventory_cache, host, 1000.0) == 1000.0
    assert host.asked == ["zpool sync", "zfs list"]


async def test_a_run_that_is_due_later_lists_the_storage_again(
    inventory_cache: InventoryCache, host: PlayedHost, clocks: Clocks
) -> None:
    """Who asks for a run now means what was written until now."""
    await read_at(inventory_cache, host, 1000.0)
    clocks.unix += 5
    clocks.steady += 5
    assert not inventory_cache.has_fresh("alpha", 1005.0)
    assert await read_at(inventory_cache, host, 1005.0) == 1005.0


async def test_an_inventory_is_not_shared_for_long(
    inventory_cache: InventoryCache, host: PlayedHost, clocks: Clocks
) -> None:
    await read_at(inventory_cache, host, 1000.0)
    assert inventory_cache.has_fresh("alpha", 1000.0)
    clocks.unix += CACHE_SECONDS
    clocks.steady += CACHE_SECONDS
    assert not inventory_cache.has_fresh("alpha", 1000.0)
    assert await read_at(inventory_cache, host, 1000.0) == 1000.0 + CACHE_SECONDS


async def test_the_pool_is_synced_before_the_inventory_whose_moment_is_before_both(
    inventory_cache: InventoryCache, host: PlayedHost, clocks: Clocks
) -> None:
    class Slow(PlayedHost):
        async def run(self, argv: Sequence[str], *, limit: float, stdin: str = "") -> Completed:
            clocks.unix += 3
            return await super().run(argv, limit=limit, stdin=stdin)

    slow = Slow()
    assert await read_at(inventory_cache, slow, 0.0) == 1000.0
    assert slow.asked == ["zpool sync", "zfs list"]


async def test_a_node_that_is_forgotten_is_listed_again(inventory_cache: InventoryCache, host: PlayedHost) -> None:
    client = PlayedClient(host, limit=10)
    for node, asked in (("beta", 1), ("alpha", 2)):
        await inventory_cache.read(client, "tank/data", since=0.0, sync=False)
        inventory_cache.forget(node)
        await inventory_cache.read(client, "tank/data", since=0.0, sync=False)
        assert host.asked.count("zfs list") == asked


async def test_a_storage_that_cannot_be_listed_in_time_is_left_to_the_runs_for_an_hour(
    inventory_cache: InventoryCache, clocks: Clocks
) -> None:
    class Slow(PlayedHost):
        async def run(self, argv: Sequence[str], *, limit: float, stdin: str = "") -> Completed:
            if argv[1] == "list":
                raise DeadlineError("'zfs list' did not end within 60 s.")
            return await super().run(argv, limit=limit, stdin=stdin)

    assert not inventory_cache.is_too_slow("alpha", "tank/data")
    with pytest.raises(DeadlineError):
        await read_at(inventory_cache, Slow(), 1000.0)
    assert inventory_cache.is_too_slow("alpha", "tank/data")
    assert not inventory_cache.is_too_slow("alpha", "tank/other")
    clocks.steady += SLOW_SECONDS
    assert not inventory_cache.is_too_slow("alpha", "tank/data")
