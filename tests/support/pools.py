"""Two fresh pools for one test."""

from __future__ import annotations

from dataclasses import dataclass

from demo.sandbox import Pool, Sandbox


@dataclass(frozen=True, slots=True)
class Pools:
    """The pools that play two nodes; ``sandbox`` fills filesystems and compares snapshots."""

    source: Pool
    target: Pool
    sandbox: Sandbox
