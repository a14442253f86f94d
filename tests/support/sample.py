"""The sample of slow tests that a run of all tests tries; the whole of them is tried by `make proof`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping


def in_sample(marked: Mapping[str, int], seed: int) -> set[str]:
    """Return the tests of the sample: one of each ``n``, another one for each of ``n`` seeds that follow each other.

    ``marked`` are the tests (node ids) with the ``n`` of their mark ``sampled(n)``.
    """
    of: dict[int, list[str]] = defaultdict(list)
    for name, share in marked.items():
        of[share].append(name)
    return {name for share, names in of.items() for at, name in enumerate(sorted(names)) if at % share == seed % share}
