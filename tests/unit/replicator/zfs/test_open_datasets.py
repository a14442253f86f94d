"""Which datasets are open: asked of each pool in a program that changes nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from importlib.resources import files
from typing import cast

from replicator.zfs.client import ZfsClient
from replicator.zfs.open_datasets import open_among


class Node:
    """A node on which some datasets are open; None: its ZFS runs no channel programs."""

    def __init__(self, opened: Mapping[str, list[str]] | None) -> None:
        self._opened = opened
        self.asked: list[str] = []

    async def program(self, pool: str, text: str) -> str | None:
        self.asked.append(pool)
        if self._opened is None:
            return None
        return json.dumps({"return": {"opened": {str(at): name for at, name in enumerate(self._opened[pool], 1)}}})


async def test_each_pool_is_asked_once() -> None:
    node = Node({"tank": ["tank/a"], "fast": []})
    assert await open_among(cast(ZfsClient, node), ["tank/a", "fast/b", "tank/c"]) == {"tank/a"}
    assert node.asked == ["fast", "tank"]


async def test_nothing_is_known_to_be_open_without_channel_programs_nor_asked_without_a_dataset() -> None:
    assert await open_among(cast(ZfsClient, Node(None)), ["tank/a"]) == set()
    node = Node({})
    assert await open_among(cast(ZfsClient, node), []) == set()
    assert node.asked == []


def test_the_program_changes_nothing() -> None:
    text = files("replicator.zfs").joinpath("open_datasets.lua").read_text()
    assert re.findall(r"zfs\.(sync|check)\.\w+", text) == ["check"]
