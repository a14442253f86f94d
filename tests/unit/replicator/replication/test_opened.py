"""Where a clone is that a person opened."""

from __future__ import annotations

from replicator.replication.opened import place_of


def test_the_device_of_a_name_with_a_space_is_where_udev_makes_it() -> None:
    assert place_of("tank/the disk", "", is_volume=True) == "/dev/zvol/tank/the+disk"
