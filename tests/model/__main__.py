"""``python -m tests.model``: the larger worlds, which take an hour."""

from __future__ import annotations

import sys

from tests.model.explore import explore
from tests.model.rules import ALL
from tests.model.scenes import BIG


def main() -> int:
    """Explore each; 1 if a law is broken."""
    for name, world in BIG.items():
        explored = explore(world, ALL, most=20_000_000)
        sys.stdout.write(f"{name}: {explored.states} states, {explored.violation or 'all laws hold'}\n")
        sys.stdout.flush()
        if explored.violation is not None:
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
