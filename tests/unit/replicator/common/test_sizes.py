"""Numbers of bytes as people read them."""

from __future__ import annotations

import pytest

from replicator.common.sizes import size


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (None, "-"),
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (4608, "4.5 KiB"),
        (2**20 - 1, "1.0 MiB"),
        (1_258_291, "1.2 MiB"),
        (3 << 30, "3.0 GiB"),
        (5 << 50, "5120.0 TiB"),
    ],
)
def test_a_size_has_the_unit_that_fits(count: int | None, words: str) -> None:
    assert size(count) == words
